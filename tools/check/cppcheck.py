#!/usr/bin/python3
"""Runs cppcheck over the product's sources, incrementally. SPDX-License-Identifier: Apache-2.0

    cppcheck.py ROOT BUILD

Includes and definitions come from BUILD/compile_commands.json; results of unchanged files are reused from
ROOT/build/cppcheck. Suppressions, each with its reason, are in tools/check/cppcheck.suppress. Exit 1 when there are
findings, 77 when cppcheck is not there.
"""

import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
import lib_build  # noqa: E402

FOLDERS = ("sdk", "host", "plugins", "examples", "bench", "fuzz")


def main(arguments):
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    root, build = os.path.abspath(arguments[1]), arguments[2]
    cppcheck = lib_build.need("cppcheck")
    work = os.path.join(root, "build", "cppcheck")
    os.makedirs(work, exist_ok=True)
    sources = lib_build.compile_commands(root, build, FOLDERS)
    project = os.path.join(work, "project.json")
    with open(project, "w", encoding="utf-8") as file:
        # Not "arguments": cppcheck 2.10 loses the quotes of a definition there.
        json.dump([{"directory": root, "file": os.path.join(root, path),
                    "command": " ".join(["cc", *(flag.replace('"', '\\"') for flag in flags), "-c", path])}
                   for path, flags in sources], file)
    result = subprocess.run(
        [cppcheck, "--project=" + project, "--cppcheck-build-dir=" + work, "--quiet", "-j2", "--std=c11",
         "--enable=warning,performance,portability", "--inline-suppr", "--error-exitcode=1",
         "--library=" + os.path.join(root, "tools/check/cppcheck.cfg"),
         "--suppress=missingIncludeSystem", "--suppressions-list=" + os.path.join(root, "tools/check/cppcheck.suppress"),
         "--template={file}:{line}:{column}: {severity}: {message} [{id}]"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", check=False)
    print(result.stdout.replace(root + os.sep, ""), end="")
    print("cppcheck: %d sources" % len(sources))
    return 1 if result.returncode != 0 or not sources else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
