#!/usr/bin/python3
"""--json: one document on stdout, errors as one document on stderr. SPDX-License-Identifier: Apache-2.0"""

import json
import os

import cli_case
from cli_case import HASH, SOURCE, Case


class Json(Case):
    def documents(self, *words, code=0, **options):
        result = self.prov("--json", *words, code=code, **options)
        self.assertTrue(result.out.endswith("\n"))
        return [json.loads(line) for line in result.out.splitlines()], result

    def test_every_command_gives_its_document(self):
        self.init()
        model = self.write("m.bin", b"m")
        ident = self.checkpoint(1).out.strip()
        self.prov("proof", "create", "-o", "proof.json")
        other = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        raw = self.write("raw.key", "4c" * 32)
        os.chmod(raw, 0o600)
        new = os.path.join(self.root, "new")
        commands = [
            (["init", "--dir", new], "prov.init/1", ["config", "store", "origin", "log_key"]),
            (["demo", "--epochs", "2"], "prov.demo/1", ["dir", "proof", "forged", "passed"]),
            (["record", "checkpoint", "--file", model, "--epoch", "2"], "prov.record.checkpoint/1",
             ["id", "sealed", "model_id"]),
            (["record", "validation", "--file", model, "--validator", "v", "--result", "{}"],
             "prov.record.validation/1", ["id"]),
            (["log", "show"], "prov.log.show/1", ["stream", "origin", "size", "root"]),
            (["log", "list"], "prov.log.list/1", ["streams"]),
            (["log", "verify"], "prov.log.verify/1", ["verdict", "summary", "checks"]),
            (["log", "prove", ident], "prov.log.prove/1", ["proof"]),
            (["log", "prove", "--since", "1"], "prov.log.prove/1", ["old_size", "old_root", "size", "root", "proof"]),
            (["proof", "create"], "prov.proof.create/1", ["proof"]),
            (["proof", "create", "-o", "p2.json"], "prov.proof.create/1", ["file", "bytes", "merkle_root"]),
            (["proof", "verify", "proof.json"], "prov.proof.verify/1", ["verdict", "summary", "checks"]),
            (["verify", "proof.json"], "prov.proof.verify/1", ["verdict"]),
            (["proof", "show", "proof.json"], "prov.proof.show/1", ["format", "page"]),
            (["key", "new", "lab"], "prov.key.new/1", ["name", "algorithm", "public"]),
            (["key", "import", "mine", raw], "prov.key.import/1", ["name", "public"]),
            (["key", "show", "log"], "prov.key.show/1", ["verifier_key"]),
            (["key", "list"], "prov.key.list/1", ["keys"]),
            (["key", "authorize", other], "prov.key.authorize/1", ["id", "sealed"]),
            (["key", "revoke", other], "prov.key.revoke/1", ["id", "sealed"]),
            (["config", "check"], "prov.config.check/1", ["file", "ok", "warnings"]),
            (["config", "show"], "prov.config.show/1", ["config"]),
            (["config", "show", "--origin"], "prov.config.show/1", ["config"]),
            (["config", "trust"], "prov.config.trust/1", ["file", "sha256"]),
            (["plugin", "list"], "prov.plugin.list/1", ["plugins"]),
            (["plugin", "info", "storage-local"], "prov.plugin.info/1", ["providers"]),
            (["plugin", "check", "storage-local"], "prov.plugin.check/1", ["ok", "checks"]),
            (["doctor"], "prov.doctor/1", ["ok", "checks"]),
            (["test"], "prov.doctor/1", ["ok", "checks"]),
            (["version"], "prov.version/1", ["version", "abi", "libraries"]),
            (["help", "log"], "prov.help/1", ["help"]),
        ]
        for words, schema, members in commands:
            documents, result = self.documents(*words)
            self.assertEqual(len(documents), 1, words)
            self.assertEqual(documents[0]["schema"], schema)
            for member in members:
                self.assertIn(member, documents[0], words)
            self.assertEqual(result.err, "", words)
        # Every command of the table is above.
        with open(os.path.join(SOURCE, "docs", "cli.md"), encoding="utf-8") as file:
            known = {line[3:].strip() for line in file if line.startswith("## prov ")}
        tried = {"prov " + schema[len("prov."):-len("/1")].replace(".", " ") for _, schema, _ in commands}
        self.assertEqual(known - tried, {"prov history"})

    def test_history_is_json_lines(self):
        self.init()
        self.checkpoint(1)
        documents, _ = self.documents("history")
        self.assertGreater(len(documents), 1)
        for index, document in enumerate(documents):
            self.assertEqual(document["schema"], "prov.history/1")
            self.assertEqual(document["index"], index)
            self.assertEqual(set(document["record"]) >= {"kind", "origin", "writer", "wseq", "timestamp"}, True)

    def test_errors_are_one_document_on_stderr(self):
        self.init()
        for words, code, name in [
                (["recrod"], 2, "E_INVALID"), (["history", "--limit", "x"], 2, "E_INVALID"),
                (["proof", "verify", "missing.json"], 4, "E_NOT_FOUND"), (["key", "show", "nobody"], 4, "E_NOT_FOUND"),
                (["init"], 7, "E_EXISTS"), (["--config", "missing.yaml", "history"], None, None),
                (["record", "checkpoint", "--model-hash", HASH, "--epoch", "1", "--metrics", "{"], 2, "E_INVALID")]:
            for order in (["--json", *words], [*words, "--json"]):
                result = self.prov(*order, code=code)
                self.assertNotEqual(result.code, 0)
                self.assertEqual(result.out, "")
                self.assertEqual(len(result.err.splitlines()), 1, result.err)
                error = result.error()
                self.assertEqual(error["exit"], result.code)
                self.assertTrue(error["message"])
                if name:
                    self.assertEqual(error["code"], name)

    def test_a_negative_verdict_is_a_document_and_exit_3(self):
        self.init()
        self.checkpoint(1)
        self.prov("proof", "create", "-o", "proof.json")
        self.write("bad.json", self.read("proof.json").replace(b'"total_checkpoints":1', b'"total_checkpoints":2'))
        document = self.documents("proof", "verify", "bad.json", code=3)[0][0]
        self.assertTrue(any(not check["ok"] for check in document["checks"]))

    def test_names_that_are_no_utf8_do_not_break_the_error(self):
        result = self.prov("--json", "proof", "verify", b"\xff\xfe\x1b[2J".decode("utf-8", "surrogateescape"), code=4)
        self.assertIn("message", result.error())

    def test_dry_run_says_so_and_changes_nothing(self):
        new = os.path.join(self.root, "new")
        for words in (["init", "--dir", new], ["demo", "--dir", new]):
            self.assertTrue(self.documents(*words, "--dry-run")[0][0]["dry_run"])
            self.assertFalse(os.path.exists(new))
        self.init()
        self.checkpoint(1)
        before = self.prov("history", "--json").out
        model = self.write("m.bin", b"m")
        for words in (["record", "checkpoint", "--file", model, "--epoch", "1"], ["key", "new", "lab"],
                      ["record", "validation", "--file", model, "--validator", "v", "--result", "{}"],
                      ["key", "authorize", "ed25519:" + "11" * 32], ["proof", "create", "-o", "p.json"]):
            self.assertTrue(self.documents("-n", *words)[0][0]["dry_run"])
        self.assertEqual(self.prov("history", "--json").out, before)
        self.assertFalse(os.path.exists(self.path("p.json")))
        self.prov("-n", "record", "checkpoint", "--file", model, "--epoch", "1", "--metrics", "[1]", code=2)
        self.prov("-n", "record", "checkpoint", "--file", "missing", "--epoch", "1", code=4)


if __name__ == "__main__":
    cli_case.main()
