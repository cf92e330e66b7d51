#!/usr/bin/python3
"""Checks that every #include obeys the floors of ARCHITECTURE.md. SPDX-License-Identifier: Apache-2.0

    layers.py [ROOT]        checks a tree, prints one line for each broken rule, exits 1 if there is any
    layers.py --self-test   makes a tree that breaks each rule once and checks that each is named

A file may include its own folder and what its floor lists below; system headers always. Third-party libraries are free
on the floors, but the public headers, the front doors and the example plugins have a short list.
"""

import os
import re
import sys
import tempfile

ABI = "include"  # include/prov_plugin.h
PUBLIC = "include/prov"
# folder -> the other folders of this project that it may include
BELOW = {}


def _floor(folder, *below):
    BELOW[folder] = set(below)


_floor("sdk", ABI)
_floor("host/base", ABI, "sdk")
_floor("host/crypto", *BELOW["host/base"], "host/base")
_floor("host/config", *BELOW["host/crypto"], "host/crypto")
_floor("host/format", *BELOW["host/crypto"], "host/crypto")
_floor("host/plugin", *BELOW["host/config"], "host/config", "host/format")
_floor("host/domain/ledger", *BELOW["host/plugin"], "host/plugin")
for _noun in ("model", "anchor"):
    _floor("host/domain/" + _noun, *BELOW["host/domain/ledger"], "host/domain/ledger")
for _noun in ("training", "dataset", "session", "reward"):
    _floor("host/domain/" + _noun, *BELOW["host/domain/model"], "host/domain/model", "host/domain/anchor")
_floor("host/domain/registry", *BELOW["host/domain/training"],
       *("host/domain/" + noun for noun in ("training", "dataset", "session", "reward")))
_floor("host/api", PUBLIC, "host/domain/registry", *BELOW["host/domain/registry"])
_floor("host/cli", ABI, PUBLIC, "examples/train-iris")  # `prov demo` is that example
_floor("host/http", ABI, PUBLIC)
_floor(PUBLIC, ABI)
_floor(ABI)

THIRD_PARTY = re.compile(
    r"^(openssl/|yaml\.h|jansson|curl/|secp256k1|nettle/|sodium|sqlite3|libpq|postgres|microhttpd|gmp|google/|"
    r"protobuf-c/|check\.h)")
# folder -> third-party headers that it may include; folders that are not named may include any
LIBRARIES = {ABI: "", PUBLIC: "", "host/cli": "jansson", "host/http": "jansson|microhttpd"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
SOURCE = (".c", ".h", ".cc", ".cpp", ".hpp")
SKIPPED = {"build", ".git", "node_modules", "tests", "bench", "fuzz"}


def sources(root):
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in SKIPPED and not f.startswith("."))
        for name in sorted(files):
            if name.endswith(SOURCE):
                yield os.path.relpath(os.path.join(folder, name), root)


def headers(root):
    """Every spelling by which a header of the tree can be included -> the folders that have one of that name."""
    found = {}
    for path in sources(root):
        if path.endswith(".h"):
            folder = os.path.dirname(path)
            found.setdefault(os.path.basename(path), set()).add(folder)
            if folder == PUBLIC:
                found.setdefault("prov/" + os.path.basename(path), set()).add(folder)
    return found


def rule_of(folder):
    """(may include, third-party pattern or None for any), or None when the folder has no rule."""
    if folder in BELOW:
        return BELOW[folder], LIBRARIES.get(folder)
    parts = folder.split("/")
    if parts[0] == "plugins":
        return {ABI, "sdk"}, None
    if parts[0] == "examples" and len(parts) > 1 and parts[1].startswith("plugin-"):
        return {ABI}, ""
    if parts[0] == "examples":
        return {ABI, PUBLIC}, "jansson"
    if parts[0] in ("host", "sdk", "include"):
        return None
    return False


def own(folder, other):
    """Whether other is folder's own: the same, or both inside one plugin or example."""
    if folder == other:
        return True
    a, b = folder.split("/"), other.split("/")
    return a[0] in ("plugins", "examples") and a[:2] == b[:2]


def check_file(root, path, known):
    folder = os.path.dirname(path)
    rule = rule_of(folder)
    if rule is False:
        return
    if rule is None:
        yield "%s: folder %s has no floor; name it in tools/check/layers.py and ARCHITECTURE.md" % (path, folder)
        return
    below, libraries = rule
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        text = file.read()
    for match in INCLUDE.finditer(text):
        place = "%s:%d" % (path, text.count("\n", 0, match.start()) + 1)
        quoted, name = match.group(1) == '"', match.group(2)
        # The public headers find the ABI beside their own folder, wherever they are installed.
        if (name.startswith("../") or "/../" in name) and not (folder == PUBLIC and name == "../prov_plugin.h"):
            yield "%s: \"%s\" climbs out of its folder" % (place, name)
            continue
        homes = known.get(name)
        beside = os.path.normpath(os.path.join(folder, name))
        if os.path.exists(os.path.join(root, beside)):
            homes = {os.path.dirname(beside)}
        if homes:
            if not any(own(folder, home) or home in below for home in homes):
                yield "%s: %s may not include %s (of %s)" % (place, folder, name, ", ".join(sorted(homes)))
        elif THIRD_PARTY.match(name):
            if libraries is not None and not (libraries and re.match(libraries, name)):
                yield "%s: %s may not include the library header %s" % (place, folder, name)
        elif quoted and not name.endswith(".pb-c.h"):
            yield "%s: no header \"%s\" in the tree (system headers go in <>)" % (place, name)


def check_tree(root):
    known = headers(root)
    return [fault for path in sources(root) for fault in check_file(root, path, known)]


# (file, its text, what the check must say): each breaks one rule
BAD = [
    ("sdk/psdk_a.c", '#include "pv_log.h"\n', "sdk may not include pv_log.h"),
    ("host/crypto/pv_key.c", '#include "pv_config.h"\n', "host/crypto may not include pv_config.h"),
    ("host/config/pv_config.c", '#include "pv_note.h"\n', "host/config may not include pv_note.h"),
    ("host/format/pv_note.c", '#include "pv_config.h"\n', "host/format may not include pv_config.h"),
    ("host/domain/ledger/pv_l.c", '#include "pv_model.h"\n', "host/domain/ledger may not include pv_model.h"),
    ("host/domain/model/pv_m.c", '#include "pv_anchor.h"\n', "host/domain/model may not include pv_anchor.h"),
    ("host/domain/dataset/pv_d.c", '#include "pv_training.h"\n', "host/domain/dataset may not include pv_training.h"),
    ("host/cli/cli.c", '#include "psdk_buf.h"\n', "host/cli may not include psdk_buf.h"),
    ("host/cli/cli2.c", "#include <openssl/evp.h>\n", "host/cli may not include the library header openssl/evp.h"),
    ("host/plugin/pv_p.c", '#include "prov/prov.h"\n', "host/plugin may not include prov/prov.h"),
    ("plugins/storage-x/x.c", '#include "pv_log.h"\n', "plugins/storage-x may not include pv_log.h"),
    ("examples/plugin-x/x.c", '#include "psdk_buf.h"\n', "examples/plugin-x may not include psdk_buf.h"),
    ("include/prov/bad.h", "#include <jansson.h>\n", "include/prov may not include the library header jansson.h"),
    ("host/base/pv_b.c", '#include "../crypto/pv_key.h"\n', "climbs out of its folder"),
    ("host/base/pv_c.c", '#include "pv_nowhere.h"\n', 'no header "pv_nowhere.h"'),
    ("host/attic/pv_a.c", "\n", "has no floor"),
]
GOOD = [
    ("include/prov_plugin.h", "#include <stdint.h>\n"),
    ("include/prov/prov.h", '#include "../prov_plugin.h"\n'),
    ("include/prov/key.h", '#include "prov_plugin.h"\n#include "prov.h"\n'),
    ("sdk/psdk_buf.h", '#include "prov_plugin.h"\n'),
    ("host/base/pv_log.h", '#include "psdk_buf.h"\n'),
    ("host/crypto/pv_key.h", '#include "pv_log.h"\n#include <openssl/evp.h>\n'),
    ("host/config/pv_config.h", '#include "pv_key.h"\n'),
    ("host/format/pv_note.h", '#include "pv_key.h"\n'),
    ("host/domain/model/pv_model.h", '#include "pv_note.h"\n'),
    ("host/domain/anchor/pv_anchor.h", '#include "pv_note.h"\n'),
    ("host/domain/training/pv_training.h", '#include "pv_anchor.h"\n'),
    ("host/api/api.c", '#include "prov/prov.h"\n#include "pv_training.h"\n'),
    ("host/cli/main.c", '#include "prov/prov.h"\n#include <jansson.h>\n#include "cli.h"\n'),
    ("host/cli/cli.h", "#include <stdio.h>\n"),
    ("plugins/storage-x/in/y.c", '#include "psdk_buf.h"\n#include "x.h"\n'),
    ("plugins/storage-x/x.h", '#include "prov_plugin.h"\n'),
]


def self_test():
    with tempfile.TemporaryDirectory() as root:
        def write(path, text):
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        for path, text in GOOD:
            write(path, text)
        faults = check_tree(root)
        assert not faults, "a good tree was refused: %s" % faults
        for path, text, expected in BAD:
            write(path, text)
            faults = check_tree(root)
            assert len(faults) == 1 and expected in faults[0], "%s: wanted '%s', got %s" % (path, expected, faults)
            os.unlink(os.path.join(root, path))
    print("layers: %d bad includes found, the good tree passes" % len(BAD))


def main(arguments):
    if arguments[1:] == ["--self-test"]:
        self_test()
        return 0
    root = arguments[1] if len(arguments) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    faults = check_tree(os.path.abspath(root))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
