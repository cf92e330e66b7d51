"""What the tests of the command share: the binary, run in a home of its own. SPDX-License-Identifier: Apache-2.0"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

PROV = os.environ.get("PROV_BIN", "prov")
SOURCE = os.environ.get("PROV_SOURCE_DIR", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
HASH = "ab" * 32


class Result:
    def __init__(self, done):
        self.code = done.returncode
        self.raw = done.stdout
        self.out = done.stdout.decode("utf-8", "replace")
        self.err = done.stderr.decode("utf-8", "replace")

    def json(self):
        """The one document on stdout."""
        return json.loads(self.out)

    def error(self):
        """The error document: the last line of stderr."""
        return json.loads(self.err.splitlines()[-1])["error"]


class Case(unittest.TestCase):
    """self.dir is a new working folder, self.env an environment in which nothing of the user's is seen."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="prov-cli-")
        self.addCleanup(self.remove)
        self.dir = os.path.join(self.root, "project")
        os.mkdir(self.dir)
        home = os.path.join(self.root, "home")
        os.mkdir(home)
        self.env = {"HOME": home, "PATH": "/usr/bin:/bin", "LC_ALL": "C", "TMPDIR": self.root}
        self.env.update({name: value for name, value in os.environ.items()
                         if name.endswith("SAN_OPTIONS") or name == "PROV_PLUGIN_PATH"})

    def remove(self):
        for folder, _, _ in os.walk(self.root):
            os.chmod(folder, 0o700)
        shutil.rmtree(self.root, ignore_errors=True)

    def prov(self, *arguments, code=0, stdin=b"", env=None, cwd=None, **options):
        """Runs prov and checks its exit code."""
        done = subprocess.run([PROV, *arguments], input=stdin, stdout=options.pop("stdout", subprocess.PIPE),
                              stderr=subprocess.PIPE, cwd=cwd or self.dir, env={**self.env, **(env or {})}, timeout=120,
                              check=False, **options)
        if done.stdout is None:
            done.stdout = b""
        result = Result(done)
        if code is not None:
            self.assertEqual(result.code, code, "prov %s\n%s%s" % (" ".join(arguments), result.out, result.err))
        return result

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def init(self, model="iris"):
        return self.prov("init", "--model-id", model, "--json").json()

    def lines(self, *options):
        """The documents of `prov history --json`."""
        return [json.loads(line) for line in self.prov("history", "--json", *options).out.splitlines()]

    def checkpoint(self, epoch, *more, **options):
        return self.prov("record", "checkpoint", "--model-hash", "%064x" % (epoch + 1), "--epoch", str(epoch),
                         "--metrics", '{"loss": %.4f, "accuracy": 0.5}' % (1 / (epoch + 1)), *more, **options)


def main():
    if not os.access(PROV, os.X_OK):
        print("no binary at %s: skipped" % PROV)
        sys.exit(77)
    unittest.main()
