#!/usr/bin/python3
"""Bad input and bad luck: what is said, and how it exits. SPDX-License-Identifier: Apache-2.0"""

import json
import os
import shutil
import signal
import subprocess
import time

import cli_case
from cli_case import HASH, PROV, Case


class BadInput(Case):
    def checkpoint_with(self, code, expected, *words, **options):
        result = self.prov("record", "checkpoint", *words, code=code, **options)
        self.assertIn(expected, result.err)
        self.assertEqual(result.out, "")

    def test_json_that_is_wrong_names_the_place(self):
        self.init()
        base = ("--model-hash", HASH, "--epoch", "1", "--metrics")
        for text in ('{"loss": }', '{"loss": NaN}', '{"loss": Infinity}', '{"a": 1, "a": 2}', "[1, 2]", '"text"', "{",
                     "", '{"a": "\\ud800"}', '{"a": 01}', '{"a": 9007199254740993}', '{"a": 1} x', "{'a': 1}",
                     "[" * 5000):
            self.checkpoint_with(2, "metrics", *base, text)
        self.checkpoint_with(2, "metrics:1:10", *base, '{"loss": }')
        self.write("nul.json", b'{"a": 1}\0{"b": 2}')
        self.checkpoint_with(2, "NUL", *base, "@nul.json")
        self.write("latin1.json", b'{"a": "\xe9"}')
        self.checkpoint_with(2, "metrics", *base, "@latin1.json")
        self.write("large.json", '{"a": "%s"}' % ("x" * 70000))
        self.checkpoint_with(2, "", *base, "@large.json")
        self.checkpoint_with(4, "missing.json", *base, "@missing.json")
        self.assertEqual(self.prov("log", "list", "--json").json()["streams"], [])

    def test_not_a_number_is_recorded_as_text(self):
        self.init()
        self.prov("record", "checkpoint", "--model-hash", HASH, "--epoch", "1", "--metrics", '{"loss": "NaN"}')

    def test_hashes(self):
        self.init()
        for text, expected in (("", "empty"), ("0x", "empty"), ("xyz", "not hex"), ("ab" * 31, "62 hex digits"),
                               ("ab" * 33, "66 hex digits"), ("g" * 64, "not hex"), ("ab" * 31 + " a", "not hex")):
            self.checkpoint_with(2, expected, "--model-hash", text, "--epoch", "1")
        ident = self.prov("record", "checkpoint", "--model-hash", "0x" + HASH.upper(), "--epoch", "1").out
        record = json.loads(self.prov("history", "--json", "--newest", "--limit", "1").out)
        self.assertEqual((record["id"], record["record"]["body"]["model_hash"]), (ident.strip(), HASH))

    def test_ids_that_would_climb_out_of_the_store(self):
        self.init()
        before = sorted(os.listdir(self.root))
        for model in ("../x", "a/b", "..", ".hidden", "", "a" * 129, "a b", "a\nb", "x\x1b[2J"):
            for words in (["record", "checkpoint", "--model-hash", HASH, "--epoch", "1"], ["history"], ["log", "show"],
                          ["proof", "create"]):
                result = self.prov(*words, "--model-id", model, code=2)
                self.assertNotIn("\x1b", result.err)
        for stream in ("models/../x", "/etc", "models", "models/", ""):
            self.prov("history", "--stream", stream, code=2)
        self.assertEqual(sorted(os.listdir(self.root)), before)

    def test_numbers(self):
        self.init()
        base = ("--model-hash", HASH)
        for epoch in ("-1", "x", "1.5", "", "1e3", "99999999999999999999", "9007199254740992", " 1", "0x10"):
            self.checkpoint_with(2, "--epoch", *base, "--epoch=" + epoch)
        self.checkpoint_with(2, "--epoch", *base)
        self.checkpoint_with(2, "--step", *base, "--epoch", "1", "--step=-1")
        validation = ("record", "validation", *base, "--validator", "v", "--result", "{}")
        for confidence in ("1.1", "-0.1", "nan", "inf", "x", ""):
            self.assertIn("--confidence", self.prov(*validation, "--confidence=" + confidence, code=2).err)
        self.prov(*validation, "--confidence", "1")

    def test_files_of_a_record(self):
        self.init()
        self.checkpoint_with(4, "missing.bin", "--file", "missing.bin", "--epoch", "1")
        self.prov("record", "checkpoint", "--file", ".", "--epoch", "1", code=2)
        self.checkpoint_with(2, "give one of them", "--file", "a", "--model-hash", HASH, "--epoch", "1")
        self.checkpoint_with(2, "--model-hash", "--epoch", "1")
        for words, expected in ((["--result", "{}"], "--validator"), (["--validator", "v"], "--result")):
            self.assertIn(expected, self.prov("record", "validation", "--model-hash", HASH, *words, code=2).err)

    def test_proofs_that_are_none(self):
        self.init()
        self.checkpoint(1)
        self.prov("proof", "create", "-o", "proof.json")
        proof = self.read("proof.json")
        cases = {"empty": b"", "text": b"hello", "list": b"[]", "object": b"{}", "half": proof[:len(proof) // 2],
                 "newline": proof + b"\n", "spaced": json.dumps(json.loads(proof)).encode(),
                 "binary": bytes(range(256)), "deep": b"[" * 100000, "nul": proof[:50] + b"\0" + proof[50:],
                 "bom": b"\xef\xbb\xbf" + proof}
        for name, data in cases.items():
            self.write(name, data)
            result = self.prov("proof", "verify", name, code=3)
            self.assertTrue(result.out or result.err, name)
        self.prov("proof", "verify", "missing", code=4)
        self.prov("proof", "verify", ".", code=4)
        self.prov("proof", "show", "text", code=None)
        self.assertNotEqual(self.prov("proof", "show", "text", code=None).code, 0)

    def test_unknown_models_and_streams(self):
        self.init()
        for words in (["history"], ["log", "show"], ["log", "verify"], ["proof", "create"], ["log", "prove", "#0"]):
            self.assertNotEqual(self.prov(*words, "--model-id", "none", code=4).err, "")

    def test_configuration(self):
        for text, expected in (("version: 1\nstroe: {}\n", "prov.yaml:2:1"), ("version: [\n", "prov.yaml:"),
                               ("version: 9\n", "prov.yaml:1:"), ("\t- x\n", "prov.yaml:1"),
                               ("store: 3\n", "prov.yaml:1"), ("store: {plugin: storage-none}\n", "storage-none"),
                               ("a: &a [*a]\n", "prov.yaml")):
            self.write("prov.yaml", text)
            result = self.prov("--config", "prov.yaml", "config", "check", code=5)
            self.assertIn(expected, result.err)
        self.assertIn("store", self.prov_yaml("version: 1\nstroe: {}\n").err)
        self.assertNotEqual(self.prov("--config", "missing.yaml", "config", "check", code=None).code, 0)
        self.prov("config", "trust", "missing.yaml", code=4)

    def prov_yaml(self, text):
        self.write("prov.yaml", text)
        return self.prov("config", "check", code=5)

    def test_a_project_file_is_not_trusted_until_its_user_says_so(self):
        self.write("prov.yaml", "version: 1\nplugins: {path: [./evil]}\n")
        self.assertIn("prov config trust", self.prov("config", "check", code=5).err)
        self.prov("config", "trust")
        self.prov("config", "show")
        self.write("prov.yaml", "version: 1\nplugins: {path: [./other]}\n")
        self.prov("config", "check", code=5)

    def test_unknown_plugins_and_networks(self):
        self.init()
        for words in (["plugin", "info", "storage-none"], ["plugin", "check", "storage-none"]):
            self.assertIn(self.prov(*words, code=None).code, (4, 5))
        junk = self.write("junk.so", b"\x7fELF junk")
        self.assertIn(self.prov("plugin", "check", junk, code=None).code, (3, 5))
        self.assertNotEqual(self.prov("--network", "mars", "config", "check", code=5).err, "")

    def test_terminals_are_safe_from_records(self):
        self.init()
        self.prov("record", "validation", "--model-hash", HASH, "--validator", "\x1b[31mred\x9b\x07", "--result",
                  json.dumps({"\u202eevil\u001b": "\u001b]0;title\u0007"}), code=None)
        for words in (["history"], ["proof", "verify", "\x1b[2J"], ["\x1b[31m"], ["history", "--\x1b[31m"]):
            result = self.prov(*words, code=None)
            for bad in ("\x1b", "\x07", "\u202e", "\x9b"):
                self.assertNotIn(bad, result.out + result.err)


class BadLuck(Case):
    def test_nothing_is_written_over(self):
        self.init()
        self.prov("init", code=7)
        self.checkpoint(1)
        self.write("proof.json", b"mine")
        self.prov("proof", "create", "-o", "proof.json", code=7)
        self.assertEqual(self.read("proof.json"), b"mine")
        self.prov("proof", "create", "-o", "proof.json", "--force")
        self.prov("proof", "verify", "proof.json")

    def test_a_full_disk_is_a_failure(self):
        self.init()
        self.checkpoint(0)
        for words in (["version"], ["help"], ["history"], ["--json", "version"], ["config", "show"]):
            with open("/dev/full", "wb") as full:
                self.assertIn("No space left", self.prov(*words, code=1, stdout=full).err)
            self.prov(*words, "-o", "/dev/full", code=1)
        self.prov("proof", "create", "-o", "/nowhere/x", code=4)

    def test_output_is_whole_or_not_there(self):
        self.prov("version", "-o", "v.txt")
        self.assertIn(b"prov ", self.read("v.txt"))
        self.prov("key", "show", "log", "-o", "key.txt", code=None)
        self.assertFalse(os.path.exists(self.path("key.txt")))
        self.prov("history", "--model-id", "none", "-o", "v.txt", code=None)
        self.assertIn(b"prov ", self.read("v.txt"))
        self.assertEqual([name for name in os.listdir(self.dir) if ".prov-" in name], [])
        self.prov("version", "-o", "no/such/folder", code=4)
        self.prov("version", "-o", ".", code=2)

    def test_closed_standard_files(self):
        self.init()
        self.prov("version", code=1, preexec_fn=lambda: os.close(1), stdout=None)
        ident = self.prov("record", "checkpoint", "--model-hash", HASH, "--epoch", "1",
                          preexec_fn=lambda: os.close(0)).out
        self.assertEqual(len(ident.strip()), 64)

    def test_a_reader_that_leaves_ends_it_quietly(self):
        self.init()
        self.checkpoint(1)
        for words in (["history"], ["help"], ["--json", "history"]):
            read, write = os.pipe()
            os.close(read)
            result = self.prov(*words, code=141, stdout=write)
            os.close(write)
            self.assertEqual(result.err, "")

    def test_a_store_that_fails_never_stops_a_record(self):
        self.init()
        self.checkpoint(1)
        os.rename(self.path("prov-data"), self.path("away"))
        self.write("prov-data", b"not a folder")
        result = self.checkpoint(2)
        self.assertRegex(result.out, r"^[0-9a-f]{64}\n$")
        self.assertIn("warning", result.err)
        self.assertIn("journal", result.err)
        document = self.checkpoint(3, "--json")
        self.assertFalse(document.json()["sealed"])
        self.assertIn("warning", json.loads(document.err.splitlines()[-1]))
        self.assertIn("FAILED", self.prov("doctor", code=1).out)
        os.unlink(self.path("prov-data"))
        os.rename(self.path("away"), self.path("prov-data"))
        self.prov("doctor")
        lines = self.lines("--kind", "training.checkpoint")
        self.assertEqual([line["record"]["body"]["epoch"] for line in lines], [1, 2, 3])
        self.assertNotIn(None, [line["index"] for line in lines])
        self.prov("log", "verify")

    def test_keys_that_others_can_read_are_refused(self):
        self.init()
        keys = self.prov("key", "show", "log", "--all", "--json").json()["file"]
        os.chmod(keys, 0o644)
        result = self.checkpoint(1, code=8)
        self.assertIn("chmod 600", result.err)

    def test_state_that_cannot_be_written(self):
        self.init()
        state = self.write("state", b"a file")
        result = self.prov("record", "checkpoint", "--model-hash", HASH, "--epoch", "1",
                           env={"XDG_STATE_HOME": state}, code=None)
        self.assertNotEqual(result.code, 0)
        self.assertEqual(result.out, "")
        self.assertIn(state, result.err)

    def test_many_processes_record_at_once(self):
        self.init()
        words = [PROV, "record", "checkpoint", "--model-hash", HASH, "--epoch"]
        running = [subprocess.Popen([*words, str(n)], cwd=self.dir, env=self.env, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE) for n in range(12)]
        ends = [process.communicate() for process in running]
        self.assertEqual([process.returncode for process in running], [0] * 12, ends)
        ids = {out.decode().strip() for out, _ in ends}
        lines = self.lines("--kind", "training.")
        self.assertEqual({line["id"] for line in lines}, ids)
        self.assertEqual(len(lines), 12)
        self.prov("log", "verify")

    def test_signals(self):
        self.init()
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            words = [PROV, "record", "checkpoint", "--model-hash", HASH, "--epoch", "1", "--metrics", "-"]
            process = subprocess.Popen(words, cwd=self.dir, env=self.env, stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
            time.sleep(0.3)
            process.send_signal(number)
            out, _ = process.communicate(timeout=20)
            self.assertEqual((process.returncode, out), (code, b""))
        process = subprocess.Popen([PROV, "demo", "--epochs", "9999", "--dir", "d"], cwd=self.root, env=self.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130)

    def test_damage_to_the_store_is_found(self):
        self.init()
        for epoch in range(3):
            self.checkpoint(epoch)
        for folder, _, names in os.walk(self.path("prov-data")):
            for name in names:
                path = os.path.join(folder, name)
                if "entries" not in path:
                    continue
                with open(path, "rb") as file:
                    data = file.read()
                with open(path, "wb") as file:
                    file.write(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
        result = self.prov("log", "verify", code=3)
        self.assertIn("TAMPERED: ", result.out.splitlines()[-1] + result.err)

    def test_a_store_that_is_gone(self):
        self.init()
        self.checkpoint(1)
        shutil.rmtree(self.path("prov-data"))
        self.assertNotEqual(self.prov("log", "verify", code=None).code, 0)
        self.assertNotEqual(self.prov("proof", "create", code=None).code, 0)


if __name__ == "__main__":
    cli_case.main()
