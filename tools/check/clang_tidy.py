#!/usr/bin/python3
"""Runs clang-tidy over the sources of a build, with a cache. SPDX-License-Identifier: Apache-2.0

    clang_tidy.py ROOT BUILD [FILE...]     all sources, or those named (relative to ROOT)

An answer is kept in ROOT/build/tidy-cache under the digest of the preprocessed source, the flags, .clang-tidy and the
version, so only what changed is analysed again. Exit 1 when there are findings, 77 when clang-tidy is not there.
"""

import concurrent.futures
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import lib_build  # noqa: E402

FOLDERS = ("sdk", "host", "plugins", "examples", "fuzz", "bench", "tests")
HINTS = "tools/check/analyzer.h"
WORKERS = min(os.cpu_count() or 1, 4)


def analyse(job):
    tidy, root, path, flags = job
    # Where the sdk is at hand, its error functions are; the file that defines them must not see its own hints.
    if "-I" + os.path.join(root, "sdk") in flags and path != "sdk/psdk_err.c":
        flags = [*flags, "-include", os.path.join(root, HINTS)]
    result = subprocess.run([tidy, "--quiet", "--warnings-as-errors=*", path, "--", *flags], cwd=root,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
                            check=False)
    if result.returncode == 0:
        return ""
    findings = result.stdout.strip() or result.stderr.strip()
    return findings.replace(os.path.abspath(root) + os.sep, "") or "clang-tidy failed without a word"


def main(arguments):
    if len(arguments) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    root, build, only = os.path.abspath(arguments[1]), arguments[2], set(arguments[3:])
    tidy = lib_build.need("clang-tidy")
    clang = lib_build.need("clang")
    version = subprocess.run([tidy, "--version"], stdout=subprocess.PIPE, check=True).stdout
    config = b""
    for name in (".clang-tidy", "tests/.clang-tidy", HINTS):
        with open(os.path.join(root, name), "rb") as file:
            config += file.read()
    cache = lib_build.Cache(os.path.join(root, "build", "tidy-cache"))
    sources = lib_build.compile_commands(root, build, FOLDERS)
    if only:
        sources = [(path, flags) for path, flags in sources if path in only]

    def one(source):
        path, flags = source
        text = lib_build.preprocessed(clang, root, path, flags)
        # Nothing but the marks names absolute paths: leave the root out, so that a moved tree keeps its cache. Comments
        # are gone after preprocessing, so NOLINT marks count by the source itself.
        with open(os.path.join(root, path), "rb") as file:
            marks = b"\n".join(re.findall(rb"NOLINT.*", file.read()))
        key = lib_build.text_digest(version, config, marks, " ".join(flags).replace(root, ""),
                                    (text or os.urandom(16)).replace(root.encode(), b""))
        answer = cache.get(key)
        fresh = answer is None
        if fresh:
            answer = analyse((tidy, root, path, flags))
            cache.put(key, answer)
        return path, answer, fresh

    analysed = 0
    bad = []
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for path, answer, fresh in pool.map(one, sources):
            analysed += fresh
            if answer:
                bad.append(path)
                print(answer, flush=True)
    print("clang-tidy: %d sources, %d analysed now, %d with findings" % (len(sources), analysed, len(bad)))
    return 1 if bad or not sources else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
