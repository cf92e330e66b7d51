#!/bin/sh
# The header compiles cleanly in C11, C17 and C++11 to C++20 with every compiler that is there. SPDX-License-Identifier: Apache-2.0
# usage: header.sh INCLUDE_FOLDER SOURCE.c
set -eu
warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wsign-conversion -Werror"
tried=0
for cc in gcc clang; do
    command -v $cc >/dev/null 2>&1 || continue
    for std in c11 c17; do
        $cc -std=$std $warnings -Wstrict-prototypes -fsyntax-only -I"$1" "$2"
        tried=$((tried + 1))
    done
done
for cxx in g++ clang++; do
    command -v $cxx >/dev/null 2>&1 || { echo "# no $cxx: its C++ checks are skipped"; continue; }
    for std in c++11 c++14 c++17 c++20; do
        $cxx -x c++ -std=$std $warnings -fsyntax-only -I"$1" "$2"
        tried=$((tried + 1))
    done
done
echo "# $tried compilations"
[ $tried -gt 0 ] || exit 77
