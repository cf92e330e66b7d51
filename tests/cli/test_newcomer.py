#!/usr/bin/python3
"""What newcomers run into: clones that nobody trusts yet, full disks, closed pipes, and the documents' own commands.
SPDX-License-Identifier: Apache-2.0"""

import json
import os
import re
import shutil
import subprocess

import cli_case
from cli_case import HASH, PROV, SOURCE, Case

CHECKPOINT = ("record", "checkpoint", "--model-hash", HASH, "--epoch", "1")


def blocks(name, language):
    """The blocks of code of a document."""
    with open(os.path.join(SOURCE, name), encoding="utf-8") as file:
        return re.findall(r"^```%s\n(.*?)^```" % language, file.read(), re.S | re.M)


class Clone(Case):
    """A project that another user made, with a proof in it."""

    def setUp(self):
        super().setUp()
        self.key = self.init()["log_key"]
        self.checkpoint(1)
        self.prov("proof", "create", "-o", "proof.json")
        self.env["HOME"] = os.path.join(self.root, "other")
        os.mkdir(self.env["HOME"])

    def test_reading_goes_on_without_the_project_and_says_so_once(self):
        for words in (["proof", "verify", "proof.json", "--trust", self.key], ["plugin", "list"], ["config", "show"],
                      ["plugin", "info", "storage-local"], ["plugin", "check", "storage-local"]):
            result = self.prov(*words)
            self.assertEqual(result.err.count("warning"), 1, result.err)
            self.assertIn("prov config trust", result.err)
            self.assertIn("going on without the project's configuration", result.err)
        self.assertEqual(self.prov("proof", "show", "proof.json").err, "")
        result = self.prov("--json", "proof", "verify", "proof.json", "--trust", self.key)
        self.assertEqual(result.json()["verdict"], "ok")
        self.assertIn("going on", json.loads(result.err)["warning"]["message"])

    def test_the_project_trusts_nobody_then(self):
        self.assertIn("signer unknown", self.prov("proof", "verify", "proof.json", code=3).out)

    def test_the_doctor_names_the_file_and_is_not_content(self):
        result = self.prov("doctor", "--json", code=1)
        first = result.json()["checks"][0]
        self.assertEqual((first["name"], first["status"]), ("configuration", "fail"))
        self.assertIn("prov config trust", first["detail"])
        self.assertFalse(os.path.exists(os.path.join(self.env["HOME"], ".local", "state")))

    def test_recording_and_keys_still_refuse(self):
        for words in (CHECKPOINT, ["history"], ["log", "verify"], ["log", "show"], ["key", "list"], ["key", "new", "k"],
                      ["proof", "create"], ["config", "check"]):
            self.assertIn("prov config trust", self.prov(*words, code=5).err)

    def test_a_file_that_was_named_is_meant(self):
        self.prov("config", "show", "--config", "prov.yaml", code=5)
        self.prov("config", "show", env={"PROV_CONFIG": self.path("prov.yaml")}, code=5)

    def test_what_is_wrong_elsewhere_too_is_an_error(self):
        self.prov("config", "show", "--network", "mars", code=5)
        os.makedirs(os.path.join(self.env["HOME"], ".config", "prov"), 0o700)
        with open(os.path.join(self.env["HOME"], ".config", "prov", "prov.yaml"), "w", encoding="utf-8") as file:
            file.write("nonsense: 1\n")
        self.prov("config", "show", code=5)

    def test_verify_takes_the_proof_as_an_option(self):
        for words in (["proof", "verify", "--proof", "proof.json"], ["verify", "--proof", "proof.json"],
                      ["verify", "proof.json"]):
            self.assertIn("OK: ", self.prov(*words, "--trust", self.key).out)
        self.prov("proof", "verify", "proof.json", "--proof", "proof.json", code=2)
        self.prov("proof", "verify", code=2)


class Reading(Case):
    def files(self):
        return sorted(os.path.join(folder, name) for folder, folders, names in os.walk(self.root)
                      for name in folders + names if ".cache" not in folder and name != ".cache")

    def test_reading_makes_nothing_and_seals_nothing(self):
        self.init()
        self.checkpoint(1)
        os.rename(self.path("prov-data"), self.path("away"))
        self.write("prov-data", b"")
        self.checkpoint(2)
        os.unlink(self.path("prov-data"))
        os.rename(self.path("away"), self.path("prov-data"))
        before = self.files()
        for _ in range(2):
            self.assertEqual([line["index"] for line in self.lines("--kind", "training.")], [2, None])
        for words in (["log", "show"], ["log", "verify"], ["log", "list"]):
            self.prov(*words)
        self.assertEqual(self.files(), before)
        state = os.path.join(self.root, "none")
        self.prov("history", env={"XDG_STATE_HOME": state})
        self.assertFalse(os.path.exists(state))

    def test_a_journal_that_cannot_be_read_is_a_failure(self):
        self.init()
        self.checkpoint(1)
        found = [os.path.join(folder, "control") for folder, _, names in os.walk(os.path.join(self.root, "home"))
                 if "control" in names]
        self.assertEqual(len(found), 1)
        os.unlink(found[0])
        os.mkdir(found[0])
        self.assertIn("journal", self.prov("history", code=None).err)
        self.assertNotEqual(self.prov("history", code=None).code, 0)
        self.prov("history", "--sealed")


class Output(Case):
    def test_a_full_disk_says_so_and_that_the_record_is_kept(self):
        self.init()
        for options in ([], ["--json"]):
            with open("/dev/full", "wb") as full:
                result = self.prov(*CHECKPOINT, *options, code=1, stdout=full)
            self.assertIn("No space left on device", result.err)
            kept = re.search(r"the record ([0-9a-f]{64}) is kept", result.err).group(1)
            self.assertEqual(self.lines()[-1]["id"], kept)
            self.assertIsNotNone(self.lines()[-1]["index"])
        other = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        for words in (["proof", "create"], ["log", "verify"], ["log", "prove", "#0"], ["doctor"],
                      ["key", "authorize", other], ["key", "revoke", other], ["key", "list"]):
            with open("/dev/full", "wb") as full:
                result = self.prov(*words, code=1, stdout=full)
            self.assertIn("No space left on device", result.err, words)

    def test_a_closed_pipe_is_quiet_everywhere(self):
        self.init()
        self.checkpoint(1)
        self.prov("proof", "create", "-o", "proof.json")
        for words in (CHECKPOINT, [*CHECKPOINT, "--json"], ["proof", "create"], ["proof", "verify", "proof.json"],
                      ["proof", "show", "proof.json"], ["history"], ["doctor"], ["log", "verify"], ["--help"],
                      ["demo", "--epochs", "2"]):
            read, write = os.pipe()
            os.close(read)
            result = self.prov(*words, code=141, stdout=write)
            os.close(write)
            self.assertEqual(result.err, "", words)
        self.assertEqual(len(self.lines("--kind", "training.")), 3)


class Words(Case):
    def test_help_is_json_with_json(self):
        for words in (["log", "--help"], ["--help"], ["log", "show", "-h"], ["help", "log"]):
            document = self.prov(*words, "--json").json()
            self.assertEqual(document["schema"], "prov.help/1")
            self.assertIn("Examples", document["help"])

    def test_what_is_not_utf8_is_named(self):
        self.init()
        bad = b"\xff".decode("utf-8", "surrogateescape")
        for words in ([*CHECKPOINT, "--actor", bad], [*CHECKPOINT, "--model-id", bad], ["key", "show", bad],
                      [*CHECKPOINT, "--metrics", '{"a":"%s"}' % bad], ["log", "show", "--stream", bad], [bad],
                      ["log", "prove", bad], ["log", "list", "--trust", bad]):
            self.assertIn("not UTF-8", self.prov(*words, code=2).err)
        os.close(os.open(os.fsencode(self.dir) + b"/\xff.bin", os.O_CREAT | os.O_WRONLY))
        self.prov("record", "checkpoint", "--file", bad + ".bin", "--epoch", "1")

    def test_words_of_other_versions_do_not_mislead(self):
        for words in (["chain"], ["model", "list"], ["dataset"], ["session"], ["reward"], ["attest"], ["serve"],
                      ["report"], ["import", "mlflow"], ["catalog"], ["anchor"], ["verify-chain"], ["list"],
                      ["log", "monitor"], ["key", "export"], ["key", "rotate"], ["key", "sign"], ["key", "verify"],
                      ["plugin", "test"], ["plugin", "new"], ["plugin", "sign"], ["plugin", "verify"],
                      ["plugin", "lock"], ["help", "reward"], ["help", "plugin", "test"]):
            self.assertNotIn("did you mean", self.prov(*words, code=2).err, words)

    def test_the_demo_wants_a_folder_of_its_own(self):
        self.write("file", b"x")
        os.mkdir(self.path("used"))
        self.write("used/x", b"x")
        for name in ("used", "file"):
            result = self.prov("demo", "--dir", name, code=7)
            self.assertIn("new or empty", result.err)
            self.assertNotIn("prov init", result.err)
        self.assertEqual(os.listdir(self.path("used")), ["x"])
        os.mkdir(self.path("empty"))
        self.prov("demo", "--dir", "empty", "--epochs", "2")


class Documents(Case):
    """The commands of the documents do what the documents say."""

    def compile(self, *words):
        compiler = shutil.which("cc")
        if not compiler:
            self.skipTest("no C compiler here")
        subprocess.run([compiler, "-std=c17", "-Wall", "-Wextra", "-Werror", "-I", os.path.join(SOURCE, "include"),
                        *words], cwd=self.dir, check=True)

    def test_records_come_out_of_the_history_byte_for_byte(self):
        self.init()
        ident = self.prov(*CHECKPOINT, "--actor", '","record":{', "--metrics",
                          '{"a":1e-7,"b":1E21,"c":"\\u007f\\u2028é","d":1.0}').out.strip()
        script = [block for block in blocks("docs/formats.md", "sh") if "prov history" in block]
        self.assertEqual(len(script), 1)
        env = {**self.env, "PATH": os.path.dirname(PROV) + ":" + self.env["PATH"]}
        out = subprocess.run(["sh", "-ec", script[0]], cwd=self.dir, env=env, check=True, stdout=subprocess.PIPE).stdout
        self.assertEqual(out.decode().split()[0], ident)

    def test_the_program_of_the_library_page_records(self):
        library = os.path.join(os.path.dirname(PROV), "..", "lib")
        if not os.path.exists(os.path.join(library, "libprov.so")):
            self.skipTest("no libprov.so beside the command")
        with open(os.path.join(library, "libprov.so"), "rb") as file:
            if re.search(rb"lib[at]san\.so|libclang_rt|__[at]san_init", file.read()):
                self.skipTest("a sanitized library wants a sanitized program")
        self.write("first.c", blocks("docs/library.md", "c")[0])
        self.compile("-o", "first", "first.c", "-L", library, "-Wl,-rpath," + os.path.abspath(library), "-lprov")
        self.init()
        self.write("model.bin", b"weights\n")
        done = subprocess.run(["./first"], cwd=self.dir, env=self.env, check=True, stdout=subprocess.PIPE)
        line = self.lines("--model-id", "iris")[-1]
        self.assertEqual((line["id"], line["index"]), (done.stdout.decode().strip(), 2))

    def test_the_backend_of_the_authors_page_keeps_to_the_interface(self):
        self.write("reward-equal.c", blocks("docs/plugin-authors.md", "c")[0])
        self.compile("-fPIC", "-fvisibility=hidden", "-shared", "-o", "reward-equal.so", "reward-equal.c")
        self.prov("plugin", "check", "./reward-equal.so")
        self.assertIn("reward-equal", self.prov("plugin", "info", "./reward-equal.so").out)

    def test_a_second_host_joins_as_the_page_says(self):
        self.init()
        self.checkpoint(1)
        first = dict(self.env)
        keys = {key["name"]: key["file"] for key in self.prov("key", "list", "--json").json()["keys"]}
        other = os.path.join(self.root, "other")
        os.mkdir(other)
        self.env["HOME"] = other
        self.prov("config", "trust")
        made = self.prov("key", "new", "writer", "--json").json()
        target = os.path.join(os.path.dirname(made["file"]), "log.key")
        shutil.copyfile(keys["log"], target)
        os.chmod(target, 0o600)
        self.prov("doctor")
        self.checkpoint(2)
        kinds = [line["record"]["kind"] for line in self.lines()]
        self.assertEqual(kinds, ["key.authorize", "writer.open", "training.checkpoint"] * 2)
        self.prov("log", "verify")
        self.prov("key", "revoke", made["public"], "--reason", "lost", env=first)
        self.assertIn("revoked", self.checkpoint(3).err)
        self.assertIn("OK: ", self.prov("log", "verify", env=first).out)
        os.unlink(made["file"])
        os.unlink(made["file"][:-4] + ".pub")
        self.prov("key", "new", "writer")
        self.checkpoint(4)
        epochs = [line["record"]["body"]["epoch"] for line in self.lines("--sealed", "--kind", "training.")]
        self.assertEqual(epochs, [1, 2, 4])
        self.prov("log", "verify")


if __name__ == "__main__":
    cli_case.main()
