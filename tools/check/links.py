#!/usr/bin/python3
"""Checks that documents lead somewhere. SPDX-License-Identifier: Apache-2.0

    links.py ROOT [BUILD]

 - every relative link and image of every *.md leads to a file of the tree, and its #fragment to a heading
 - every path under tools/, docs/, include/, examples/ ... that a document names in `code` exists (words in capitals, as
   in fuzz/corpus/NAME, stand for any name)
 - the first code block of README.md is the two commands, and each of them is an executable script
 - every `prov NOUN VERB` in a code block is known to BUILD/bin/prov, when that was built
"""

import os
import re
import subprocess
import sys

SKIPPED = {"build", "node_modules", ".git", ".cache"}
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|<img[^>]*\ssrc=\"([^\"]+)\"")
PATH = re.compile(r"`((?:tools|docs|include|examples|tests|fuzz|bench|cmake|sdk|host|plugins|\.ci)/[\w./-]+)`")


def documents(root):
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in SKIPPED]
        for name in sorted(files):
            if name.endswith(".md"):
                yield os.path.join(folder, name)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def anchors(text):
    """The fragments that GitHub makes of headings."""
    found = set()
    for heading in re.findall(r"^#{1,6}\s+(.*?)\s*#*\s*$", FENCE.sub("", text), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|`", r"\1", heading).lower()
        found.add(re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", plain)))
    return found


def check_links(root, path, text):
    prose = FENCE.sub("", text)
    where = os.path.relpath(path, root)
    for match in LINK.finditer(prose):
        target = match.group(1) or match.group(2)
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        name, _, fragment = target.partition("#")
        home = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not os.path.exists(home):
            yield "%s: link to %s leads nowhere" % (where, target)
        elif fragment and home.endswith(".md") and fragment not in anchors(read(home)):
            yield "%s: no heading #%s in %s" % (where, fragment, os.path.relpath(home, root))
    for name in PATH.findall(prose):
        placeholder = re.search(r"(^|[/_.])[A-Z]{2,}([/_.]|$)", name) and not name.endswith((".md", "CMakeLists.txt"))
        if not placeholder and not os.path.exists(os.path.join(root, name.rstrip("/."))):
            yield "%s: names `%s`, which is not there" % (where, name)


def check_readme(root):
    blocks = FENCE.findall(read(os.path.join(root, "README.md")))
    commands = blocks[0][1].strip().splitlines() if blocks else []
    commands = [re.sub(r"\s+#.*", "", line).strip() for line in commands]
    if commands != ["tools/quickstart", "tools/test"]:
        yield "README.md: its first code block must be the two commands, it is %s" % commands
    for command in commands:
        if not os.access(os.path.join(root, command), os.X_OK):
            yield "README.md: %s is not an executable" % command


def prov_commands(text):
    """The words before the first option or value of each prov command in code blocks."""
    for _, block in FENCE.findall(text):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            match = re.match(r"\s*(?:\$ )?(?:build/release/bin/)?prov((?: [a-z][a-z-]*)+)", line)
            if match:
                yield match.group(1).split()[:2]


def check_commands(root, path, text, prov):
    for words in prov_commands(text):
        tried = [words[:n] for n in range(len(words), 0, -1)]
        if not any(subprocess.run([prov, *known, "--help"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  check=False).returncode == 0 for known in tried):
            yield "%s: prov does not know '%s'" % (os.path.relpath(path, root), " ".join(words))


def main(arguments):
    root = os.path.abspath(arguments[1])
    prov = os.path.join(arguments[2], "bin", "prov") if len(arguments) > 2 else ""
    faults = list(check_readme(root))
    count = 0
    for path in documents(root):
        count += 1
        text = read(path)
        faults += check_links(root, path, text)
        if os.access(prov, os.X_OK):
            faults += check_commands(root, path, text, prov)
    for fault in faults:
        print(fault)
    print("%d documents, %d faults" % (count, len(faults)))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
