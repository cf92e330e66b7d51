#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Notes, streams and proofs: what the C code makes is read here, what is made here is read by the C code.

    test_notes_interop.py NOTE_TOOL

Every key, text, tree and mutation is random; on failure the seed is printed, and PROV_INTEROP_SEED repeats the run.
Keys and signatures come from the `openssl` command.
"""
import base64
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import read_stream  # noqa: E402  (the folder must be on the path first)

READER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "read_stream.py")
PKCS8_ED25519 = bytes.fromhex("302e020100300506032b657004220420")
SEED = os.environ.get("PROV_INTEROP_SEED", os.urandom(8).hex())
TOOL = None
DASH = "\u2014"


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


class Signer:
    """A key pair made from a random seed, and notes made without the C code."""

    def __init__(self, rng, folder, name):
        self.seed, self.name = rng.randbytes(32), name
        self.file = os.path.join(folder, self.seed.hex()[:16] + ".der")
        with open(self.file, "wb") as out:
            out.write(PKCS8_ED25519 + self.seed)
        self.public = openssl("pkey", "-inform", "DER", "-in", self.file, "-pubout", "-outform", "DER")[-32:]
        self.hash = hashlib.sha256(name.encode() + b"\n\x01" + self.public).digest()[:4]
        self.vkey = f"{name}+{self.hash.hex()}+{base64.b64encode(bytes([1]) + self.public).decode()}"

    def line(self, text):
        with tempfile.NamedTemporaryFile() as message:
            message.write(text)
            message.flush()
            signature = openssl("pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", self.file,
                                "-in", message.name)
        return f"{DASH} {self.name} {base64.b64encode(self.hash + signature).decode()}\n".encode()

    def note(self, text):
        return text + b"\n" + self.line(text)


class Interop(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="prov-interop-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.rng = random.Random(f"{SEED} {self.id()}")
        self.signer = Signer(self.rng, self.folder, self.random_name())

    # ---- random things

    def random_name(self):
        letters = "abcdefghijklmnopqrstuvwxyz0123456789.-_/\u00e9\u4e2d\U0001f332"
        return "log.example/" + "".join(self.rng.choice(letters) for _ in range(self.rng.randint(1, 40)))

    def random_text(self):
        letters = "ab \n\n\u00e9\u2014\U0001f332+=/9"
        return ("".join(self.rng.choice(letters) for _ in range(self.rng.randint(0, 200))) + "\n").encode()

    def random_entries(self, n):
        return [self.rng.randbytes(self.rng.choice((0, 1, 30, 300 if n < 1000 else 31))) for _ in range(n)]

    # ---- files and commands

    def path(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as out:
            out.write(data)
        return path

    def tool(self, *arguments):
        done = subprocess.run([TOOL, *arguments], capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout

    def tool_on_many(self, many, *arguments):
        """Runs the tool once over many inputs; the lines that it answers."""
        paths = [self.path(f"many-{i}", data) for i, data in enumerate(many)]
        answers = self.tool(*arguments, *paths).decode().splitlines()
        self.assertEqual(len(answers), len(many))
        return answers

    def bundle(self, entries):
        return self.path("bundle", b"".join(struct.pack(">H", len(entry)) + entry for entry in entries))

    def stream(self, entries):
        """A stream made by the C code in a new folder."""
        folder = tempfile.mkdtemp(dir=self.folder)
        self.tool("stream", self.signer.seed.hex(), self.signer.name, self.bundle(entries), folder)
        return folder

    def reader(self, *arguments, key=None):
        return subprocess.run(["/usr/bin/python3", READER, "--key", key or self.signer.vkey, *arguments],
                              capture_output=True, text=True, check=False)

    # ---- notes

    def test_a_verifier_key_is_the_same_in_c_and_here(self):
        for _ in range(5):
            signer = Signer(self.rng, self.folder, self.random_name())
            self.assertEqual(self.tool("vkey", signer.seed.hex(), signer.name).decode().strip(), signer.vkey)
            self.assertEqual(read_stream.Key(signer.vkey).public, signer.public)

    def test_notes_of_c_are_the_notes_of_openssl(self):
        key = read_stream.Key(self.signer.vkey)
        for _ in range(12):
            text = self.random_text()
            note = self.tool("sign", self.signer.seed.hex(), self.signer.name, self.path("text", text))
            self.assertEqual(read_stream.open_note(note, key), text)
            self.assertEqual(note, self.signer.note(text))  # Ed25519 has one signature for one text

    def test_notes_of_openssl_are_good_in_c(self):
        other = Signer(self.rng, self.folder, self.signer.name)
        texts = [self.random_text() for _ in range(8)]
        notes = [self.signer.note(text) for text in texts]
        notes += [text + b"\n" + other.line(text) + self.signer.line(text) for text in texts]
        self.assertEqual(self.tool_on_many(notes, "verify", self.signer.vkey), ["good"] * len(notes))
        unsigned = [other.note(text) for text in texts]
        self.assertEqual(self.tool_on_many(unsigned, "verify", self.signer.vkey), ["unsigned"] * len(texts))

    def mutations(self, data):
        """Every bit flipped, every byte left out, doubled and made telling, every cut, at each place of data."""
        for i, byte in enumerate(data):
            for bit in range(8):
                yield data[:i] + bytes([byte ^ 1 << bit]) + data[i + 1:]
            for telling in b"\n +=A\x00\xff":
                if telling != byte:
                    yield data[:i] + bytes([telling]) + data[i + 1:]
            yield data[:i] + data[i + 1:]
            yield data[:i] + bytes([byte]) + data[i:]
            yield data[:i]

    def test_no_mutation_of_a_note_is_good_in_c(self):
        signer = Signer(self.rng, self.folder, "l/" + self.rng.choice("abc"))
        note = signer.note(b"l\n%d\n" % self.rng.randint(0, 99))
        changed = [data for data in self.mutations(note) if data != note]
        answers = self.tool_on_many(changed, "verify", signer.vkey)
        for data, answer in zip(changed, answers):
            self.assertNotEqual(answer, "good", data)
            try:
                read_stream.split_note(data)
                well_formed = True
            except read_stream.Refused:
                well_formed = False
            self.assertEqual(not answer.startswith("refused E_CORRUPT"), well_formed, (data, answer))

    # ---- streams

    def test_streams_of_c_are_read_here(self):
        sizes = [0, 1, 2, 3, 255, 256, 257, self.rng.randint(4, 254), self.rng.randint(258, 1500), 65536 + 257]
        for size in sizes:
            folder = self.stream(self.random_entries(size))
            done = self.reader(folder)
            self.assertEqual(done.returncode, 0, f"size {size}: {done.stderr}")
            self.assertIn(f"{size} entries give that root", done.stdout)

    def test_a_change_in_any_file_of_a_stream_is_seen(self):
        folder = self.stream(self.random_entries(self.rng.randint(257, 600)))
        files = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]
        self.assertGreaterEqual(len(files), 6)
        for path in files:
            with open(path, "rb") as data:
                good = data.read()
            at = self.rng.randrange(len(good))
            flipped = good[:at] + bytes([good[at] ^ 1 << self.rng.randrange(8)]) + good[at + 1:]
            for data in (flipped, good[:-1], b"", good + good):
                with open(path, "wb") as out:
                    out.write(data)
                done = self.reader(folder)
                self.assertEqual(done.returncode, 1, f"{path}: byte {at}: {done.stdout}")
                self.assertIn("REFUSED", done.stderr)
            os.remove(path)
            self.assertEqual(self.reader(folder).returncode, 1, path)
            with open(path, "wb") as out:
                out.write(good)
        self.assertEqual(self.reader(folder).returncode, 0)

    def test_names_of_tiles_are_the_same_in_c_and_here(self):
        for _ in range(40):
            folder = self.rng.choice(("tile/entries", "signatures", f"tile/{self.rng.randrange(64)}"))
            index, width = self.rng.getrandbits(self.rng.randint(1, 64)), self.rng.randint(1, 256)
            name = self.tool("name", folder, str(index), str(width)).decode().strip()
            self.assertEqual(name, read_stream.tile_path(folder, index, width))

    def test_another_key_is_refused(self):
        folder = self.stream(self.random_entries(3))
        other = Signer(self.rng, self.folder, self.signer.name)
        self.assertEqual(self.reader(folder, key=other.vkey).returncode, 1)

    # ---- batch signatures

    def key_record(self, by, key, kind):
        body = self.tool("authorize", by.seed.hex(), self.signer.name,
                         "writer" if kind == "key.authorize" else "revoke", key.public.hex())
        return json.dumps({"kind": kind, "body": json.loads(body)}).encode()

    def batch_stream(self, change=None):
        """A stream of one tile with key records and batch signatures by C; change edits (entries, signatures)."""
        writer = Signer(self.rng, self.folder, "writer")
        text = hashlib.sha256(writer.public).hexdigest()[:32] + "/" + self.rng.randbytes(8).hex()
        entries = [self.key_record(self.signer, writer, "key.authorize")]
        entries += [json.dumps({"writer": text, "wseq": i, "pad": self.rng.randint(0, 9)}).encode() for i in range(9)]
        signed = sorted(self.rng.sample(range(1, 10), 3))
        if change == "unauthorised":
            entries[0] = b"{}"
        elif change == "by a stranger":
            entries[0] = self.key_record(writer, writer, "key.authorize")
        elif change == "revoked":
            entries.insert(signed[2], self.key_record(writer, writer, "key.revoke"))
            signed[2] += 1
        elif change == "revoked later":
            entries.append(self.key_record(self.signer, writer, "key.revoke"))
        lines = b""
        for index in signed:
            leaf = hashlib.sha256(b"\0" + entries[index]).hexdigest()
            wseq = json.loads(entries[index])["wseq"] + (change == "wseq")
            origin = "another.example" if change == "origin" else self.signer.name
            lines += self.tool("batch", writer.seed.hex(), origin, text, str(wseq), str(index), leaf)
        folder = self.stream(entries)
        os.mkdir(os.path.join(folder, "signatures"))
        path = os.path.join(folder, "signatures", f"000.p/{len(entries)}")
        os.mkdir(os.path.dirname(path))
        with open(path, "wb") as out:
            out.write(lines)
        return folder, path, lines

    def test_batch_signatures_of_c_verify_here(self):
        for change in (None, "revoked later"):
            done = self.reader(self.batch_stream(change)[0])
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("3 batch signatures verify", done.stdout)
        for change in ("unauthorised", "by a stranger", "revoked", "wseq", "origin"):
            done = self.reader(self.batch_stream(change)[0])
            self.assertEqual(done.returncode, 1, f"{change}: {done.stdout}")

    def test_a_change_in_a_batch_signature_is_seen(self):
        folder, path, lines = self.batch_stream()
        for at in self.rng.sample(range(len(lines)), 40):
            bad = lines[:at] + bytes([lines[at] ^ 1 << self.rng.randrange(8)]) + lines[at + 1:]
            with open(path, "wb") as out:
                out.write(bad)
            done = self.reader(folder)
            self.assertEqual(done.returncode, 1, f"byte {at}: {bad}")
            self.assertIn("REFUSED", done.stderr)

    # ---- proofs

    def prove(self, entries, index):
        return self.tool("prove", self.signer.seed.hex(), self.signer.name, self.bundle(entries), str(index))

    def path_of(self, leaves, lo, hi, index):
        """PATH(m, D[n]) of RFC 6962."""
        if hi - lo == 1:
            return []
        k = read_stream.split_point(hi - lo)
        if index < k:
            return self.path_of(leaves, lo, lo + k, index) + [read_stream.tree_hash(leaves, lo + k, hi)]
        return self.path_of(leaves, lo + k, hi, index - k) + [read_stream.tree_hash(leaves, lo, lo + k)]

    def own_proof(self, entries, index, extra=None):
        leaves = [read_stream.leaf_hash(entry) for entry in entries]
        root = base64.b64encode(read_stream.tree_hash(leaves, 0, len(leaves))).decode()
        head = self.signer.note(f"{self.signer.name}\n{len(leaves)}\n{root}\n".encode())
        path = [base64.b64encode(node).decode() for node in self.path_of(leaves, 0, len(leaves), index)]
        lines = ["c2sp.org/tlog-proof@v1"] + ([f"extra {base64.b64encode(extra).decode()}"] if extra else [])
        return "\n".join(lines + [f"index {index}"] + path + ["", ""]).encode() + head

    def test_proofs_are_the_same_in_c_and_here(self):
        for size in (1, 2, 3, 7, 8, 9, self.rng.randint(10, 400)):
            entries = self.random_entries(size)
            for index in {0, size - 1, self.rng.randrange(size)}:
                proof = self.prove(entries, index)
                self.assertEqual(proof, self.own_proof(entries, index))
                pair = f"{self.path('proof', proof)}={self.path('entry', entries[index])}"
                done = self.reader("--proof", pair)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(f"entry {index} of {size}", done.stdout)
                wrong = f"{self.path('proof', proof)}={self.path('entry', entries[index] + b'x')}"
                self.assertEqual(self.reader("--proof", wrong).returncode, 1)
                more = self.own_proof(entries, index, extra=self.rng.randbytes(20))
                answers = self.tool_on_many([proof, more], "check", self.signer.vkey,
                                            self.path("entry", entries[index]))
                self.assertEqual(answers, ["good", "good"])

    def test_no_mutation_of_a_proof_is_good_in_c(self):
        entries = self.random_entries(self.rng.randint(3, 9))
        index = self.rng.randrange(len(entries))
        proof = self.own_proof(entries, index)
        changed = [data for data in self.mutations(proof) if data != proof]
        answers = self.tool_on_many(changed, "check", self.signer.vkey, self.path("entry", entries[index]))
        for data, answer in zip(changed, answers):
            self.assertNotEqual(answer, "good", data)


def main():
    global TOOL
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    TOOL = os.path.abspath(sys.argv.pop(1))
    if shutil.which("openssl") is None:
        print("skipped: no openssl command")
        return 77
    result = unittest.main(exit=False, verbosity=2).result
    if not result.wasSuccessful():
        print(f"to repeat: PROV_INTEROP_SEED={SEED}", file=sys.stderr)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
