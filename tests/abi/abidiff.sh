#!/bin/sh
# Compares a probe built from a frozen header with one built from today's. SPDX-License-Identifier: Apache-2.0
# usage: abidiff.sh CC FROZEN_HEADER TODAY_HEADER PROBE.c WORK_FOLDER; exit 77: abidiff is not there.
set -eu
command -v abidiff >/dev/null 2>&1 || { echo "SKIP: abidiff is not installed (abigail-tools)"; exit 77; }
mkdir -p "$5"
"$1" -std=c17 -g -shared -fPIC "-DPROBE_HEADER=\"$2\"" -o "$5/frozen.so" "$4"
"$1" -std=c17 -g -shared -fPIC "-DPROBE_HEADER=\"$3\"" -o "$5/today.so" "$4"
status=0
abidiff "$5/frozen.so" "$5/today.so" || status=$?
# 1 error, 2 usage, 4 changes (a struct that grew at its tail is one), 8 incompatible changes.
[ $((status & 11)) -eq 0 ] || { echo "abidiff: exit $status"; exit 1; }
