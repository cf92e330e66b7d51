#!/usr/bin/python3
"""What `prov` writes, read by a program that shares no code with it. SPDX-License-Identifier: Apache-2.0"""

import json
import os
import random
import subprocess
import sys

from cli_case import SOURCE, Case, main

READER = os.path.join(SOURCE, "tests", "interop", "read_stream.py")


class Independent(Case):
    def read_stream(self, *arguments, code=0):
        done = subprocess.run([sys.executable, READER, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              cwd=self.dir, env=self.env, timeout=120, check=False)
        self.assertEqual(done.returncode, code, done.stdout.decode())
        return done.stdout.decode()

    def test_a_stream_and_its_proofs_hold_for_an_independent_reader(self):
        seed = int.from_bytes(os.urandom(4), "big")
        print("seed", seed)
        dice = random.Random(seed)
        self.init()
        for epoch in range(dice.randrange(270, 300)):  # more than one full tile, sealed in pieces of several sizes
            metrics = json.dumps({"loss": dice.random(), "é%d" % dice.randrange(9): dice.randrange(2**53)})
            self.prov("record", "checkpoint", "--model-hash", "%064x" % dice.getrandbits(256), "--epoch", str(epoch),
                      "--metrics", metrics)
        key = self.prov("log", "show", "--json").json()["verifier_key"]
        stream = self.path("prov-data", "models", "iris")
        self.assertIn("all of it holds", self.read_stream("--key", key, stream))

        records = self.lines()
        self.assertGreater(len(records), 271)
        for one in dice.sample(records, 5):
            proof = self.prov("log", "prove", one["id"]).out
            self.write("one.tlog-proof", proof)
            entry = self.entry(stream, one["index"])
            self.write("one.json", entry)
            self.read_stream("--key", key, "--proof", "one.tlog-proof=one.json")
            self.write("one.json", entry[:-1] + b" ")
            self.read_stream("--key", key, "--proof", "one.tlog-proof=one.json", code=1)

        tile = os.path.join(stream, "tile", "0", "000")
        with open(tile, "r+b") as file:
            at = dice.randrange(8192)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ (1 << dice.randrange(8))]))
        self.read_stream("--key", key, stream, code=1)
        self.prov("log", "verify", code=3)

    @staticmethod
    def entry(stream, index):
        """The exact bytes of a leaf, out of its entry bundle."""
        folder = os.path.join(stream, "tile", "entries")
        name = "%03d" % (index // 256)
        names = [name] if os.path.exists(os.path.join(folder, name)) else []
        if not names:
            widths = sorted(int(width) for width in os.listdir(os.path.join(folder, name + ".p")))
            names = [os.path.join(name + ".p", str(widths[-1]))]
        with open(os.path.join(folder, names[0]), "rb") as file:
            bundle = file.read()
        at = 0
        for _ in range(index % 256):
            at += 2 + int.from_bytes(bundle[at:at + 2], "big")
        return bundle[at + 2:at + 2 + int.from_bytes(bundle[at:at + 2], "big")]


if __name__ == "__main__":
    main()
