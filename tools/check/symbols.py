#!/usr/bin/python3
"""Checks what the built binaries export and how they are linked. SPDX-License-Identifier: Apache-2.0

    symbols.py ROOT BUILD   checks BUILD/lib/libprov.so, the plugins of the build and BUILD/bin/prov
    symbols.py --self-test  builds small wrong libraries with cc and checks that each fault is named

libprov.so exports exactly the functions that include/prov/*.h mark PROV_API; a plugin exports prov_plugin_v1 alone. No
binary has text relocations, an executable stack, lazy binding or a search path that is not relative to itself.
"""

import glob
import os
import re
import subprocess
import sys
import tempfile

PLUGIN_SYMBOL = "prov_plugin_v1"


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8",
                          env={**os.environ, "LC_ALL": "C"}).stdout


def exported(path):
    """Names that a shared object defines for others, without version nodes."""
    names = set()
    for line in run("nm", "-D", "--defined-only", path).splitlines():
        fields = line.split()
        if len(fields) >= 2 and fields[-2] != "A":
            names.add(fields[-1].split("@")[0])
    return names


def declared(folder):
    """Names of the functions and objects that the public headers mark PROV_API."""
    names = set()
    for path in glob.glob(os.path.join(folder, "*.h")):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
        text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", " ", text, flags=re.M)
        for match in re.finditer(r"\bPROV_API\b([^;{]*)", text):
            found = re.search(r"\b(\w+)\s*\(", re.sub(r"__attribute__\s*\(\(.*?\)\)", " ", match.group(1)))
            names.add(found.group(1) if found else match.group(1).split()[-1].strip("*[]"))
    return names


def linkage(path):
    """Faults in how one binary is linked."""
    dynamic = run("readelf", "-d", "-W", path)
    headers = run("readelf", "-l", "-W", path)
    if "TEXTREL" in dynamic:
        yield "has text relocations"
    stack = re.search(r"GNU_STACK.*", headers)
    if not stack or re.search(r"\sRWE\s", stack.group(0)):
        yield "has an executable stack"
    if "GNU_RELRO" not in headers or not re.search(r"BIND_NOW|\bNOW\b", dynamic):
        yield "is not linked with -z relro -z now"
    for entry in re.findall(r"\((?:RPATH|RUNPATH)\).*?\[(.*?)\]", dynamic):
        for folder in filter(None, entry.split(":")):
            if folder != "$ORIGIN" and not folder.startswith("$ORIGIN/"):
                yield "has the search path %s, which is not relative to $ORIGIN" % folder


def compare(path, wanted, found, declared_in):
    for name in sorted(wanted - found):
        yield "%s: does not export %s, which %s declares" % (path, name, declared_in)
    for name in sorted(found - wanted):
        yield "%s: exports %s, which %s does not declare" % (path, name, declared_in)


def check_plugin(path):
    yield from compare(path, {PLUGIN_SYMBOL}, exported(path), "prov_plugin.h")
    for fault in linkage(path):
        yield "%s: %s" % (path, fault)


def check_library(path, headers):
    wanted = declared(headers)
    for name in sorted(wanted):
        if not name.startswith("prov_"):
            yield "%s: %s is public and has no prov_ prefix" % (headers, name)
    yield from compare(path, wanted, exported(path), "include/prov")
    for fault in linkage(path):
        yield "%s: %s" % (path, fault)


def check_build(root, build):
    library = os.path.join(build, "lib", "libprov.so")
    if os.path.exists(library):
        yield from check_library(library, os.path.join(root, "include", "prov"))
    elif glob.glob(os.path.join(root, "host", "api", "*.c")):
        yield "%s: was not built" % library
    for path in sorted(glob.glob(os.path.join(build, "lib", "prov", "plugins", "*.so"))):
        yield from check_plugin(path)
    for path in sorted(glob.glob(os.path.join(build, "bin", "*"))):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            for fault in linkage(path):
                yield "%s: %s" % (path, fault)


def self_test():
    safe = ["-shared", "-fPIC", "-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack"]
    header = "#define PROV_API __attribute__((visibility(\"default\")))\n/* PROV_API int prov_no(void); */\n" \
             "PROV_API int prov_yes(int a,\n                     int b);\nPROV_API extern const int prov_number;\n"
    good = "int prov_yes(int a, int b) { return a + b; } const int prov_number = 1;"
    cases = [  # source, flags, what must be said (None: nothing)
        (good, safe, None),
        ("const int prov_number = 1;", safe, "does not export prov_yes"),
        (good + "int stray(void) { return 0; }", safe, "exports stray"),
        (good, safe + ["-Wl,-z,execstack"], "executable stack"),
        (good, safe[:2] + ["-Wl,-z,lazy", "-Wl,-z,norelro"], "not linked with -z relro"),
        (good, safe + ["-Wl,-rpath,/opt/lib"], "search path /opt/lib"),
        (good, safe + ["-Wl,-rpath,$ORIGIN/../lib"], None),
    ]
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "prov"))
        with open(os.path.join(folder, "prov", "prov.h"), "w", encoding="utf-8") as file:
            file.write(header)
        assert declared(os.path.join(folder, "prov")) == {"prov_yes", "prov_number"}
        library = os.path.join(folder, "libprov.so")
        for source, flags, expected in cases:
            subprocess.run(["cc", "-x", "c", "-", "-o", library, *flags], input=source.encode(), check=True)
            faults = list(check_library(library, os.path.join(folder, "prov")))
            fine = len(faults) == 1 and expected in faults[0] if expected else not faults
            assert fine, "%s %s: wanted %s, got %s" % (source, flags, expected, faults)
    print("symbols: %d libraries judged as they should be" % len(cases))


def main(arguments):
    if arguments[1:] == ["--self-test"]:
        self_test()
        return 0
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    faults = list(check_build(arguments[1], arguments[2]))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
