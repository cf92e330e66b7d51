#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reads a stream (a C2SP tlog-tiles log in a folder) and proofs made from it, with none of Provhost's code.

    read_stream.py --key NAME+HASH+BASE64 FOLDER           the folder has checkpoint, tile/, tile/entries/, signatures/
    read_stream.py --key NAME+HASH+BASE64 --proof FILE=ENTRY_FILE ... [FOLDER]

Python's standard library and the `openssl` command are all that it uses. It was written from the specifications (RFC
6962, C2SP signed-note, tlog-checkpoint, tlog-tiles, tlog-proof), not from the C sources, so that the two can disagree.
It prints what it checked and exits 0 when all of it holds, 1 when something does not, 2 when it was called wrongly.
"""
import argparse
import base64
import binascii
import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

# What every Ed25519 SubjectPublicKeyInfo begins with: SEQUENCE(42), SEQUENCE(5), OID 1.3.101.112, BIT STRING(33), no
# unused bits.
SPKI_ED25519 = bytes([0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00])


class Refused(Exception):
    """Something does not hold; the text says what."""


def unbase64(text, what):
    """Decodes standard base64 and refuses any other spelling of the same bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(f"{what}: not base64") from None
    if base64.b64encode(data) != (text if isinstance(text, bytes) else text.encode()):
        raise Refused(f"{what}: base64 that is not canonical")
    return data


def verifies(public, message, signature):
    """Asks the openssl command for an Ed25519 verdict."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for name, data in (("key", SPKI_ED25519 + public), ("msg", message), ("sig", signature)):
            paths[name] = os.path.join(folder, name)
            with open(paths[name], "wb") as out:
                out.write(data)
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", paths["key"],
             "-in", paths["msg"], "-sigfile", paths["sig"]], capture_output=True, check=False)
    return done.returncode == 0


# ---- notes -----------------------------------------------------------------------------------------------------------

class Key:
    """An Ed25519 verifier key."""

    def __init__(self, line):
        parts = line.split("+", 2)
        if len(parts) != 3:
            raise Refused("verifier key: want NAME+HASH+BASE64")
        self.name = parts[0]
        blob = unbase64(parts[2], "verifier key")
        if len(blob) != 33 or blob[0] != 1:
            raise Refused("verifier key: not an Ed25519 key")
        self.public = blob[1:]
        self.hash = hashlib.sha256(self.name.encode() + b"\n" + blob).digest()[:4]
        if self.hash.hex() != parts[1].lower():
            raise Refused("verifier key: its hash is not that of its name and key")

    def verifies(self, message, signature):
        return verifies(self.public, message, signature)


def split_note(data):
    """The signed text and the list of (name, key hash, signature)."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("note: not UTF-8") from None
    if any(ord(c) < 0x20 and c != "\n" for c in text):
        raise Refused("note: a control character")
    cut = text.rfind("\n\n")
    if cut < 0 or not text.endswith("\n"):
        raise Refused("note: no text, empty line and signatures")
    lines = text[cut + 2:].split("\n")[:-1]
    signatures = []
    for line in lines:
        match = re.fullmatch("\u2014 ([^ ]+) ([A-Za-z0-9+/=]+)", line)
        if match is None or "+" in match[1] or any(c.isspace() for c in match[1]):
            raise Refused(f"note: not a signature line: {line[:60]!r}")
        blob = unbase64(match[2], "note: signature")
        if len(blob) < 5:
            raise Refused("note: a signature of no bytes")
        signatures.append((match[1], blob[:4], blob[4:]))
    if not signatures:
        raise Refused("note: no signature")
    return text[:cut + 1].encode(), signatures


def open_note(data, key):
    """The text of a note, after a signature by key was verified (and none by it is wrong)."""
    text, signatures = split_note(data)
    mine = [blob for name, key_hash, blob in signatures if name == key.name and key_hash == key.hash]
    if not mine:
        raise Refused(f"note: not signed by {key.name}")
    if not all(len(blob) == 64 and key.verifies(text, blob) for blob in mine):
        raise Refused(f"note: a signature by {key.name} does not verify")
    return text


def tree_head(data, key):
    """Origin, size and root of a signed tree head."""
    lines = open_note(data, key).decode().split("\n")[:-1]
    if len(lines) < 3 or not all(lines):
        raise Refused("tree head: want three lines or more, none empty")
    if not re.fullmatch("0|[1-9][0-9]*", lines[1]):
        raise Refused(f"tree head: {lines[1]!r} is not a size")
    root = unbase64(lines[2], "tree head: root")
    if len(root) != 32:
        raise Refused("tree head: the root has not 32 bytes")
    if lines[0] != key.name:
        raise Refused(f"tree head: origin {lines[0]!r} is not the key's name")
    return lines[0], int(lines[1]), root


# ---- trees -----------------------------------------------------------------------------------------------------------

def leaf_hash(entry):
    return hashlib.sha256(b"\x00" + entry).digest()


def split_point(n):
    """The largest power of two below n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def tree_hash(leaves, lo, hi):
    """MTH(D[lo:hi]) of RFC 6962, as it is written there."""
    if hi == lo:
        return hashlib.sha256(b"").digest()
    if hi == lo + 1:
        return leaves[lo]
    k = split_point(hi - lo)
    return hashlib.sha256(b"\x01" + tree_hash(leaves, lo, lo + k) + tree_hash(leaves, lo + k, hi)).digest()


def path_root(leaf, index, size, path):
    """The root that an inclusion path leads to, by the recursion of RFC 6962 section 2.1.1."""
    if not 0 <= index < size:
        raise Refused(f"proof: index {index} is not in a tree of {size}")
    if size == 1:
        if path:
            raise Refused("proof: too many hashes")
        return leaf
    if not path:
        raise Refused("proof: too few hashes")
    k = split_point(size)
    if index < k:
        return hashlib.sha256(b"\x01" + path_root(leaf, index, k, path[:-1]) + path[-1]).digest()
    return hashlib.sha256(b"\x01" + path[-1] + path_root(leaf, index - k, size - k, path[:-1])).digest()


# ---- tiles -----------------------------------------------------------------------------------------------------------

def index_path(n):
    """1234067 -> x001/x234/067."""
    digits = str(n)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i:i + 3] for i in range(0, len(digits), 3)]
    return "/".join(["x" + g for g in groups[:-1]] + groups[-1:])


def tile_path(kind, n, width):
    return f"{kind}/{index_path(n)}" + (f".p/{width}" if width < 256 else "")


def read(folder, path):
    try:
        with open(os.path.join(folder, path), "rb") as data:
            return data.read()
    except OSError as why:
        raise Refused(f"{path}: {why.strerror}") from None


def tiles_of(count):
    """(index, width) of the tiles that hold count hashes."""
    for n in range((count + 255) // 256):
        yield n, min(256, count - 256 * n)


def read_tile(folder, kind, n, width):
    """A tile's path and bytes; the full tile stands in for a partial one that is gone, and then has more."""
    path = tile_path(kind, n, width)
    if width < 256 and not os.path.exists(os.path.join(folder, path)):
        full = tile_path(kind, n, 256)
        if os.path.exists(os.path.join(folder, full)):
            return full, read(folder, full), True
    return path, read(folder, path), False


def read_entries(folder, size):
    entries = []
    for n, width in tiles_of(size):
        path, data, longer = read_tile(folder, "tile/entries", n, width)
        at = 0
        for _ in range(width):
            if at + 2 > len(data):
                raise Refused(f"{path}: cut")
            length = struct.unpack_from(">H", data, at)[0]
            if at + 2 + length > len(data):
                raise Refused(f"{path}: cut inside an entry")
            entries.append(data[at + 2:at + 2 + length])
            at += 2 + length
        if at != len(data) and not longer:
            raise Refused(f"{path}: {len(data) - at} bytes too many")
    return entries


def check_tiles(folder, leaves):
    """Every hash tile of the tree against its recomputation; returns how many there are."""
    checked, level, count = 0, 0, len(leaves)
    while count > 0:
        span = 256 ** level
        for n, width in tiles_of(count):
            path, data, longer = read_tile(folder, f"tile/{level}", n, width)
            want = b"".join(tree_hash(leaves, (256 * n + i) * span, (256 * n + i + 1) * span) for i in range(width))
            if (data[:len(want)] if longer else data) != want:
                raise Refused(f"{path}: not the hashes of the entries")
            checked += 1
        level, count = level + 1, count // 256
    return checked


def check_names(folder):
    """Every file below tile/ and signatures/ has a name that a reader would ask for."""
    name = re.compile("(tile/(entries|[0-9]|[1-5][0-9]|6[0-3])|signatures)/"
                      "(x[0-9]{3}/)*[0-9]{3}(\\.p/[1-9][0-9]{0,2})?")
    for top in ("tile", "signatures"):
        for where, _, files in os.walk(os.path.join(folder, top)):
            for file in files:
                path = os.path.relpath(os.path.join(where, file), folder)
                if name.fullmatch(path) is None:
                    raise Refused(f"{path}: not the name of a tile")


def check_stream(folder, key):
    origin, size, root = tree_head(read(folder, "checkpoint"), key)
    print(f"tree head of {origin}: {size} entries, root {root.hex()}, signed by {key.name}")
    check_names(folder)
    entries = read_entries(folder, size)
    leaves = [leaf_hash(entry) for entry in entries]
    if tree_hash(leaves, 0, size) != root:
        raise Refused("the entries do not give the root of the tree head")
    tiles = check_tiles(folder, leaves)
    print(f"{size} entries give that root; {tiles} hash tiles hold the hashes of these entries")
    if os.path.isdir(os.path.join(folder, "signatures")):
        print(f"{check_batches(folder, origin, entries, leaves, key)} batch signatures verify")


# ---- batch signatures ------------------------------------------------------------------------------------------------

def record_of(entry):
    """The entry as a JSON object, or an empty one."""
    try:
        value = json.loads(entry)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def writer_keys(entries, origin, log_key):
    """Follows the key records: {public key: [first leaf, last leaf]} of the keys that may sign batches."""
    keys = {log_key.public: [0, len(entries)]}
    for index, entry in enumerate(entries):
        record = record_of(entry)
        body = record.get("body")
        if record.get("kind") not in ("key.authorize", "key.revoke") or not isinstance(body, dict):
            continue
        where = f"entry {index} ({record['kind']})"
        try:
            key, by = (bytes.fromhex(body[name].removeprefix("ed25519:")) for name in ("key", "by"))
            text = f"provhost-key-v1\n{origin}\n{body['role']}\n{key.hex()}\n".encode()
            signature = unbase64(body["signature"], where)
        except (KeyError, ValueError, AttributeError, TypeError):
            raise Refused(f"{where}: a member is missing or wrong") from None
        if by not in keys or not keys[by][0] <= index <= keys[by][1]:
            raise Refused(f"{where}: signed by a key that nobody authorised")
        if len(by) != 32 or len(signature) != 64 or not verifies(by, text, signature):
            raise Refused(f"{where}: the signature does not verify")
        if body["role"] != ("writer" if record["kind"] == "key.authorize" else "revoke"):
            raise Refused(f"{where}: of an unknown role")
        if record["kind"] == "key.revoke":
            keys.setdefault(key, [index, index])[1] = index
        elif keys.setdefault(key, [index, len(entries)])[1] < index:
            raise Refused(f"{where}: the key was revoked before")
    return keys


def check_batches(folder, origin, entries, leaves, log_key):
    """Every batch signature: of a record that is there, by the key of its writer, authorised at that leaf."""
    keys, checked = writer_keys(entries, origin, log_key), 0
    by_id = {hashlib.sha256(public).hexdigest()[:32]: public for public in keys}
    for n, width in tiles_of(len(entries)):
        if not os.path.exists(os.path.join(folder, tile_path("signatures", n, width))):
            continue
        path, data, _ = read_tile(folder, "signatures", n, width)
        if not data.endswith(b"\n"):
            raise Refused(f"{path}: the last line is cut")
        for number, line in enumerate(data[:-1].split(b"\n"), 1):
            where = f"{path}: line {number}"
            try:
                sig = json.loads(line)
                index, wseq, writer, leaf = sig["index"], sig["wseq"], sig["writer"], sig["id"]
                signature = unbase64(sig["signature"], where)
                if json.dumps(sig, sort_keys=True, separators=(",", ":")).encode() != line:
                    raise ValueError
            except (ValueError, KeyError, TypeError):
                raise Refused(f"{where}: not a batch signature") from None
            if not isinstance(index, int) or not 256 * n <= index < 256 * n + width or leaves[index].hex() != leaf:
                raise Refused(f"{where}: it is not about an entry of this tile")
            record = record_of(entries[index])
            if record.get("writer") != writer or record.get("wseq") != wseq:
                raise Refused(f"{where}: entry {index} was written by somebody else")
            public = by_id.get(writer.partition("/")[0])
            if public is None or not keys[public][0] <= index <= keys[public][1]:
                raise Refused(f"{where}: its writer was not authorised at entry {index}")
            text = f"provhost-batch-v1\n{origin}\n{writer}\n{wseq}\n{leaf}\n".encode()
            if len(signature) != 64 or not verifies(public, text, signature):
                raise Refused(f"{where}: the signature does not verify")
            checked += 1
    return checked


# ---- proofs ----------------------------------------------------------------------------------------------------------

def check_proof(data, entry, key):
    """A tlog-proof that entry is in the tree of a tree head signed by key. Returns index and size."""
    head, separator, note = data.partition(b"\n\n")
    if not separator:
        raise Refused("proof: no empty line")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise Refused("proof: not ASCII above the tree head") from None
    if lines.pop(0) != "c2sp.org/tlog-proof@v1":
        raise Refused("proof: not of the form c2sp.org/tlog-proof@v1")
    if lines and lines[0].startswith("extra "):
        unbase64(lines.pop(0)[6:], "proof: extra")
    match = re.fullmatch("index (0|[1-9][0-9]*)", lines.pop(0) if lines else "")
    if match is None:
        raise Refused("proof: no index")
    path = [unbase64(line, "proof: hash") for line in lines]
    if any(len(node) != 32 for node in path):
        raise Refused("proof: a hash has not 32 bytes")
    _, size, root = tree_head(note, key)
    if path_root(leaf_hash(entry), int(match[1]), size, path) != root:
        raise Refused("proof: it does not lead to the root")
    return int(match[1]), size


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--key", required=True, help="the verifier key that is trusted, NAME+HASH+BASE64")
    parser.add_argument("--proof", action="append", default=[], metavar="FILE=ENTRY_FILE",
                        help="a tlog-proof and the file with the bytes of its entry")
    parser.add_argument("folder", nargs="?", help="the folder of a stream")
    options = parser.parse_args()
    if options.folder is None and not options.proof:
        parser.error("nothing to check: give a folder or --proof")
    try:
        key = Key(options.key)
        if options.folder is not None:
            check_stream(options.folder, key)
        for pair in options.proof:
            file, separator, entry_file = pair.partition("=")
            if not separator:
                parser.error("--proof wants FILE=ENTRY_FILE")
            index, size = check_proof(read(".", file), read(".", entry_file), key)
            print(f"{entry_file}: entry {index} of {size}, proved by {file}")
    except Refused as why:
        print(f"REFUSED: {why}", file=sys.stderr)
        return 1
    print("all of it holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
