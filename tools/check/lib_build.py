"""What the wrappers of static checkers share: compile commands, a result cache. SPDX-License-Identifier: Apache-2.0"""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys

SKIPPED = 77  # ctest reads this exit code as "skipped"


def need(program):
    """The path of a program, or the end of this run as skipped."""
    path = shutil.which(program)
    if not path:
        print("%s is not installed: skipped" % program)
        sys.exit(SKIPPED)
    return path


def compile_commands(root, build, folders):
    """(path relative to root, its flags without compiler, output and warnings), once for each source in folders."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    found = {}
    for entry in entries:
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), root)
        if path.split(os.sep)[0] in folders and path.endswith(".c") and os.path.exists(os.path.join(root, path)):
            words = entry.get("arguments") or shlex.split(entry["command"])
            found.setdefault(path, flags_of(words))
    return sorted(found.items())


def flags_of(words):
    kept = []
    following = iter(words)
    for word in following:
        if word in ("-I", "-isystem", "-D", "-U", "-include"):
            kept += [word, next(following)]
        elif word.startswith(("-I", "-D", "-U", "-std=", "-isystem")):
            kept.append(word)
    return kept


def text_digest(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else part.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def preprocessed(compiler, root, path, flags):
    """The preprocessed source with its line marks (a finding's place is part of the answer), or None if it fails."""
    result = subprocess.run([compiler, "-E", "-w", *flags, path], cwd=root, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, check=False)
    return result.stdout if result.returncode == 0 else None


class Cache:
    """Answers of earlier runs, one small file each, named by the digest of all that the answer depends on."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def get(self, key):
        try:
            with open(os.path.join(self.folder, key), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def put(self, key, text):
        temporary = os.path.join(self.folder, "%s.%d.tmp" % (key, os.getpid()))
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, os.path.join(self.folder, key))
