#!/usr/bin/python3
"""Help, documents, suggestions: all printed from the command table. SPDX-License-Identifier: Apache-2.0"""

import os
import re
import shutil
import subprocess
import time

import cli_case
from cli_case import SOURCE, Case


def commands(page):
    """(noun, verb or None) of the list in `prov help`."""
    section = page.split("\nCommands\n")[1].split("\n\n")[0]
    return [tuple(line[2:22].split()) for line in section.splitlines()]


class Help(Case):
    def test_help_leads_with_examples(self):
        page = self.prov("help").out
        self.assertLess(page.index("Examples"), page.index("Commands"))
        self.assertEqual(self.prov("--help").out, page)
        self.assertEqual(self.prov("-h").out, page)

    def test_every_command_has_help_with_an_example_of_itself(self):
        rows = commands(self.prov("help").out)
        self.assertGreater(len(rows), 25)
        for row in rows:
            page = self.prov("help", *row).out
            self.assertIn("Examples", page)
            self.assertRegex(page.split("Usage")[0], r"prov %s\b" % " ".join(row))
            self.assertEqual(self.prov(*row, "--help").out, page)
            self.assertEqual(self.prov("--help", *row).out, page)

    def test_every_noun_has_a_page(self):
        for noun in {row[0] for row in commands(self.prov("help").out) if len(row) > 1}:
            page = self.prov("help", noun).out
            self.assertIn("Examples", page)
            self.assertEqual(self.prov(noun, "--help").out, page)

    def test_no_line_of_help_is_wider_than_a_screen(self):
        for row in [()] + commands(self.prov("help").out):
            for line in self.prov("help", *row).out.splitlines():
                self.assertLessEqual(len(line), 110, line)

    def test_unknown_words_get_a_suggestion(self):
        for words, expected in [
                (["recrod"], "prov record"), (["histroy"], "prov history"), (["checkpoint"], "prov record checkpoint"),
                (["record", "chekpoint"], "prov record checkpoint"), (["log", "verfy"], "prov log verify"),
                (["history", "--limt", "3"], "--limit"),
                (["record", "checkpoint", "--model_hash", "x"], "--model-hash"),
                (["--jsno", "history"], "--json"), (["help", "prof"], "proof"), (["help", "proof", "creat"], "create")]:
            result = self.prov(*words, code=2)
            self.assertIn(expected, result.err)
            self.assertIn("did you mean", result.err)
            self.assertEqual(result.out, "")

    def test_usage_errors_say_what_and_where_to_look(self):
        for words, expected in [
                ([], "which command"), (["record"], "checkpoint, validation"), (["key", "new"], "NAME is missing"),
                (["key", "import", "a"], "FILE is missing"), (["proof", "verify"], "FILE"),
                (["history", "extra"], "extra"),
                (["history", "--limit"], "needs a value"), (["log", "show", "--json=1"], "takes no value"),
                (["history", "--limit", "1", "--limit", "2"], "twice"), (["-o", "a", "-o", "b", "version"], "twice"),
                (["history", "--limit", "x"], "whole number"), (["history", "--limit", "0"], "too small"),
                (["history", "--from", "99999999999999999999"], "too large"), (["history", "-Z"], "-Z")]:
            result = self.prov(*words, code=2)
            self.assertIn(expected, result.err)
            self.assertIn("See 'prov help", result.err)
            self.assertEqual(result.out, "")

    def test_global_options_stand_anywhere(self):
        for words in (["--json", "version"], ["version", "--json"]):
            self.assertEqual(self.prov(*words).json()["schema"], "prov.version/1")
        page = self.prov("--json", "help", "log", "show").json()["help"]
        self.assertEqual(self.prov("help", "log", "--json", "show").json()["help"], page)

    def test_version(self):
        self.assertRegex(self.prov("version").out, r"^prov \d+\.\d+\.\d+\n$")
        self.assertEqual(self.prov("--version").out, self.prov("version").out)
        times = []
        for _ in range(20):
            start = time.monotonic()
            self.prov("version")
            times.append(time.monotonic() - start)
        print("prov version: %.1f ms at the median of 20, with starting the process" % (sorted(times)[10] * 1000))


class Documents(Case):
    def test_the_reference_is_what_the_table_says(self):
        with open(os.path.join(SOURCE, "docs", "cli.md"), encoding="utf-8") as file:
            self.assertEqual(self.prov("__markdown").out, file.read(), "run: prov __markdown >docs/cli.md")

    def test_man_pages_are_clean(self):
        self.prov("__man", self.root)
        pages = sorted(name for name in os.listdir(self.root) if name.endswith(".1"))
        self.assertIn("prov.1", pages)
        self.assertIn("prov-proof.1", pages)
        if not shutil.which("groff"):
            self.skipTest("no groff here")
        for page in pages:
            done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", os.path.join(self.root, page)],
                                  stderr=subprocess.PIPE, check=True)
            self.assertEqual(done.stderr, b"", page)

    def test_a_man_page_that_cannot_be_written_is_a_failure(self):
        self.prov("__man", os.path.join(self.root, "nowhere"), code=1)

    def complete(self, *words):
        script = os.path.join(self.root, "prov.bash")
        self.prov("__complete", "bash", "-o", script)
        text = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _prov; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", text, "bash", script, *words], stdout=subprocess.PIPE, check=True)
        return set(done.stdout.decode().split())

    def test_bash_completes_words_options_and_values(self):
        if not shutil.which("bash"):
            self.skipTest("no bash here")
        rows = commands(self.prov("help").out)
        self.assertEqual(self.complete("prov", "his"), {"history"})
        for noun in {row[0] for row in rows if len(row) > 1}:
            self.assertLessEqual({row[1] for row in rows if row[0] == noun}, self.complete("prov", noun, ""))
        self.assertEqual(self.complete("prov", "--config", "x", "log", "ver"), {"verify"})
        self.assertEqual(self.complete("prov", "record", "checkpoint", "--epo"), {"--epoch"})
        self.assertEqual(self.complete("prov", "key", "new", "x", "--algorithm", ""), {"ed25519", "secp256k1"})
        self.assertIn(self.write("proof.json", b"{}"), self.complete("prov", "proof", "verify", self.path("pro")))

    def test_other_shells_get_every_command(self):
        for shell in ("zsh", "fish"):
            script = self.prov("__complete", shell).out
            for row in commands(self.prov("help").out):
                for word in row:
                    self.assertRegex(script, r"\b%s\b" % re.escape(word))
            if shutil.which(shell):
                subprocess.run([shell, "-n"], input=script.encode(), check=True)
        self.prov("__complete", "tcsh", code=2)


if __name__ == "__main__":
    cli_case.main()
