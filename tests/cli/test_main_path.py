#!/usr/bin/python3
"""The main job by hand: init, record, look, prove, verify, refuse. SPDX-License-Identifier: Apache-2.0"""

import hashlib
import json
import os
import re

import cli_case
from cli_case import HASH, Case


class MainPath(Case):
    def test_from_init_to_a_refused_forgery(self):
        self.init()
        model = self.write("model.bin", b"weights")
        first = self.prov("record", "checkpoint", "--file", model, "--epoch", "1", "--metrics", '{"loss": 0.5}').out
        self.assertRegex(first, r"^[0-9a-f]{64}\n$")
        validation = self.prov("record", "validation", "--file", model, "--validator", "lab-2", "--result",
                               '{"accuracy": 0.94}', "--checkpoint", first.strip(), "--confidence", "0.9").out
        self.assertNotEqual(first, validation)
        table = self.prov("history").out
        for expected in ("training.checkpoint", "epoch 1", first[:12], hashlib.sha256(b"weights").hexdigest()[:12],
                         "loss=0.5", "lab-2", "accuracy=0.94"):
            self.assertIn(expected, table)
        self.assertTrue(self.prov("log", "verify").out.splitlines()[-1].startswith("OK: "))
        self.prov("proof", "create", "-o", "proof.json")
        self.assertTrue(self.prov("proof", "verify", "proof.json").out.splitlines()[-1].startswith("OK: "))
        self.prov("verify", "--proof", "proof.json")
        proof = self.read("proof.json")
        at = proof.index(b"weights"[:0] + hashlib.sha256(b"weights").hexdigest().encode())
        self.write("forged.json", proof[:at] + (b"0" if proof[at:at + 1] != b"0" else b"1") + proof[at + 1:])
        refused = self.prov("proof", "verify", "forged.json", code=3)
        self.assertTrue(refused.out.splitlines()[-1].startswith("TAMPERED: "), refused.out)
        self.assertIn("FAILED", refused.out)

    def test_others_verify_with_the_key_that_they_were_given(self):
        self.init()
        self.checkpoint(1)
        self.prov("proof", "create", "-o", "proof.json")
        key = self.prov("key", "show", "log").out
        self.assertEqual(len(key.splitlines()), 1)
        stranger = {"HOME": self.root, "XDG_CONFIG_HOME": os.path.join(self.root, "nothing")}
        elsewhere = os.path.join(self.root, "elsewhere")
        os.mkdir(elsewhere)
        proof = self.path("proof.json")
        self.prov("proof", "verify", proof, "--trust", key.strip(), env=stranger, cwd=elsewhere)
        unknown = self.prov("proof", "verify", proof, code=3, env=stranger, cwd=elsewhere)
        self.assertRegex(unknown.out.splitlines()[-1], r"^intact, signer unknown: \S+")
        self.prov("proof", "verify", proof, "--allow-unknown", env=stranger, cwd=elsewhere)
        self.prov("proof", "verify", "-", "--trust", key.strip(), env=stranger, cwd=elsewhere,
                  stdin=self.read("proof.json"))
        self.prov("proof", "verify", proof, "--trust", "nonsense", env=stranger, cwd=elsewhere, code=2)

    def test_allow_unknown_never_excuses_tampering(self):
        self.init()
        self.checkpoint(1)
        self.prov("proof", "create", "-o", "proof.json")
        self.write("bad.json", self.read("proof.json").replace(b'"training_epochs":1', b'"training_epochs":2'))
        self.assertNotEqual(self.read("bad.json"), self.read("proof.json"))
        self.prov("proof", "verify", "bad.json", "--allow-unknown", code=3)

    def test_metrics_come_inline_from_a_file_or_from_stdin(self):
        self.init()
        self.write("metrics.json", '{"loss": 0.25}')
        for metrics, stdin in (('{"loss": 0.25}', b""), ("@metrics.json", b""), ("-", b'{"loss": 0.25}'),
                               ("@-", b'{"loss": 0.25}')):
            self.prov("record", "checkpoint", "--model-hash", HASH, "--epoch", "1", "--metrics", metrics, stdin=stdin)
        records = [line["record"] for line in self.lines("--kind", "training.")]
        self.assertEqual([record["body"]["metrics"] for record in records], [{"loss": 0.25}] * 4)

    def test_history_selects(self):
        self.init()
        for epoch in range(5):
            self.checkpoint(epoch)

        def epochs(*options):
            lines = self.prov("history", "--json", "--kind", "training.checkpoint", *options).out.splitlines()
            return [json.loads(line)["record"]["body"]["epoch"] for line in lines]
        self.assertEqual(epochs(), [0, 1, 2, 3, 4])
        self.assertEqual(epochs("--newest", "--limit", "2"), [4, 3])
        self.assertEqual(epochs("--limit", "1"), [0])
        self.assertEqual(self.prov("history", "--kind", "no.such").out, "")
        first = json.loads(self.prov("history", "--json", "--from", "3").out.splitlines()[0])
        self.assertEqual(first["index"], 3)

    def test_an_id_is_the_hash_of_the_record(self):
        self.init()
        ident = self.checkpoint(1).out.strip()
        line = json.loads(self.prov("history", "--json", "--newest", "--limit", "1").out)
        self.assertEqual(line["id"], ident)
        exact = json.dumps(line["record"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        self.assertEqual(hashlib.sha256(b"\0" + exact).hexdigest(), ident)

    def test_log_prove(self):
        self.init()
        ident = self.checkpoint(1).out.strip()
        self.checkpoint(2)
        text = self.prov("log", "prove", ident[:12]).out
        self.assertTrue(text.startswith("c2sp.org/tlog-proof@v1\n"), text)
        self.assertEqual(self.prov("log", "prove", "#2").out, text)
        self.prov("log", "prove", ident, "-o", "one.proof")
        self.assertEqual(self.read("one.proof").decode(), text)
        grown = self.prov("log", "prove", "--since", "2", "--json").json()
        self.assertEqual((grown["old_size"], grown["size"]), (2, 4))
        self.prov("log", "prove", code=2)
        self.prov("log", "prove", ident, "--since", "2", code=2)
        self.prov("log", "prove", "0" * 64, code=4)
        self.prov("log", "prove", "--since", "100", code=2)

    def test_another_model_is_another_stream(self):
        self.init()
        self.checkpoint(1)
        self.checkpoint(1, "--model-id", "other")
        streams = [row["stream"] for row in self.prov("log", "list", "--json").json()["streams"]]
        self.assertEqual(sorted(streams), ["models/iris", "models/other"])
        self.assertIn("models/other", self.prov("log", "show", "--model-id", "other").out)
        self.assertIn("models/other", self.prov("log", "show", "--stream", "models/other").out)
        self.prov("log", "show", "--model-id", "none", code=4)

    def test_a_copy_of_the_store_verifies_elsewhere(self):
        self.init()
        self.checkpoint(1)
        key = self.prov("key", "show", "log").out.strip()
        stranger = {"HOME": self.root}
        words = ("log", "verify", "--store", "file://" + self.path("prov-data"), "--stream", "models/iris")
        self.prov(*words, "--trust", key, cwd=self.root, env=stranger)
        self.prov(*words, cwd=self.root, env=stranger, code=3)

    def test_keys(self):
        self.init()
        self.assertRegex(self.prov("key", "show", "writer").out, r"^ed25519:[0-9a-f]{64}\n$")
        self.prov("key", "new", "lab-2")
        self.prov("key", "new", "payer", "--algorithm", "secp256k1", "--encrypt",
                  env={"PROV_PASSPHRASE": "open sesame"})
        names = [key["name"] for key in self.prov("key", "list", "--json").json()["keys"]]
        self.assertLessEqual({"log", "writer", "lab-2"}, set(names))
        self.prov("key", "new", "lab-2", code=7)
        self.prov("key", "show", "nobody", code=4)
        self.prov("key", "new", "x", "--algorithm", "rsa", code=2)
        self.prov("key", "new", "x", "--encrypt", code=2)
        junk = self.write("junk", b"junk")
        self.prov("key", "import", "y", junk, code=8)
        os.chmod(junk, 0o600)
        self.prov("key", "import", "y", junk, code=2)
        self.prov("key", "import", "y", "missing.pem", code=4)
        self.prov("record", "validation", "--model-hash", HASH, "--validator", "lab-2", "--result", "{}",
                  "--validator-key", "lab-2")
        record = json.loads(self.prov("history", "--json", "--newest", "--limit", "1").out)["record"]
        self.assertIn("validator_signature", record["body"])
        keys = [os.path.join(folder, name) for folder, _, names in os.walk(self.root)
                for name in names if name.endswith(".key")]
        self.assertEqual({os.stat(key).st_mode & 0o777 for key in keys}, {0o600})

    def test_writers_are_authorized_and_revoked(self):
        self.init()
        self.checkpoint(1)
        other = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        self.assertRegex(self.prov("key", "authorize", other).out, r"^[0-9a-f]{64}\n$")
        self.assertTrue(self.prov("key", "revoke", other, "--reason", "stolen", "--json").json()["sealed"])
        kinds = [json.loads(line)["record"]["kind"] for line in self.prov("history", "--json").out.splitlines()]
        self.assertEqual(kinds[-2:], ["key.authorize", "key.revoke"])
        self.prov("log", "verify")
        self.prov("key", "authorize", "ed25519:zz", code=2)

    def test_proof_pages(self):
        self.init()
        self.checkpoint(1)
        self.prov("proof", "create", "-o", "proof.json")
        self.assertIn("iris", self.prov("proof", "show", "proof.json").out)
        page = self.prov("proof", "show", "proof.json", "--html").out
        self.assertIn("<html", page)
        self.assertIsNone(re.search(r"""(src|href)=["']?https?:""", page), "the page is not self-contained")
        self.assertEqual(self.prov("proof", "create").raw.strip()[:1], b"{")

    def test_the_demo_is_a_page_and_leaves_a_place_to_try(self):
        page = self.prov("demo", "--dir", "iris-demo").out
        for expected in ("Set up", "Train", "accuracy", "Seal", "Verified", "Refused", "Try next"):
            self.assertIn(expected, page)
        self.assertNotIn("\033", page)
        self.assertEqual(os.listdir(self.env["HOME"]), [], "the demo touched the user's home")
        own = {line.split("=")[0].split()[-1]: line.split("=")[1].strip().strip("'")
               for line in self.read("iris-demo/env").decode().splitlines() if line.startswith("export")}
        self.prov("history", cwd=self.path("iris-demo"), env=own)
        self.prov("proof", "verify", "run/proof.json", cwd=self.path("iris-demo"), env=own)
        self.prov("proof", "verify", "run/forged-proof.json", cwd=self.path("iris-demo"), env=own, code=3)
        self.prov("demo", "--dir", "iris-demo", code=7)
        facts = self.prov("demo", "--json", "--epochs", "2").json()
        self.assertTrue(facts["passed"] and facts["forged"]["refused"])


if __name__ == "__main__":
    cli_case.main()
