#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs train-iris in a folder of its own, and looks at what it leaves with none of Provhost's code.

    test_train_iris.py TRAIN_IRIS CMAKE

Checkpoints are read with struct and json, records straight from the store's entry bundles, the log by
tests/interop/read_stream.py (Python and the `openssl` command). The accuracy is computed again from the checkpoint's
weights and iris.csv.
"""
import hashlib
import io
import json
import math
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stdout

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "interop"))
import read_stream  # noqa: E402  (the folder must be on the path first)

EXAMPLE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "examples", "train-iris")
CSV = os.path.join(EXAMPLE, "iris.csv")
SPECIES = ["setosa", "versicolor", "virginica"]
SHAPES = {"w1": [16, 4], "b1": [16], "w2": [3, 16], "b2": [3], "momentum.w1": [16, 4], "momentum.b1": [16],
          "momentum.w2": [3, 16], "momentum.b2": [3], "input.mean": [4], "input.deviation": [4]}
# What scikit-learn ships as iris.csv: another header, the species as numbers, CRLF.
SKLEARN_SHA256 = "f9e3809b56cc0f2f2f69554b7a0ea04e94d0e2c21343c86593eaf5581551dab6"
TOOL = CMAKE = ROOT = None
PROV = {"PROV_STORE", "PROV_KEYS", "PROV_STATE", "PROV_TRUST", "PROV_NETWORK", "PROV_MODEL_ID", "PROV_CONFIG"}


def environment():
    env = {name: value for name, value in os.environ.items() if name not in PROV and not name.startswith("XDG_")}
    env["HOME"] = os.path.join(ROOT, "home")
    for name in ("CONFIG_HOME", "STATE_HOME", "DATA_HOME", "CACHE_HOME"):
        env["XDG_" + name] = os.path.join(ROOT, "home", name.lower())
    return env


def run(*arguments, cwd=None):
    return subprocess.run([TOOL, *arguments], capture_output=True, text=True, env=environment(), cwd=cwd or ROOT,
                          timeout=120, check=False)


def load(path):
    with open(path, "rb") as data:
        return data.read()


def sha256(path):
    return hashlib.sha256(load(path)).hexdigest()


def safetensors(path):
    """({name: (shape, [numbers])}, metadata), after checking that the file is what the format says."""
    data = load(path)
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__")
    tensors, covered = {}, []
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        count = math.prod(entry["shape"])
        assert entry["dtype"] == "F32" and end - begin == 4 * count, (path, name, entry)
        tensors[name] = (entry["shape"], list(struct.unpack_from(f"<{count}f", data, 8 + length + begin)))
        covered.append((begin, end))
    covered.sort()
    at = 0
    for begin, end in covered:
        assert begin == at, (path, "a gap or an overlap")
        at = end
    assert 8 + length + at == len(data), (path, "bytes behind the last tensor")
    return tensors, metadata


def rows():
    with open(CSV, encoding="ascii") as lines:
        next(lines)
        for line in lines:
            *measures, species = line.strip().split(",")
            yield [float(x) for x in measures], SPECIES.index(species)


def recognised(tensors):
    """How many of the 150 flowers the network in a checkpoint names rightly."""
    values = {name: numbers for name, (_, numbers) in tensors.items()}
    right = 0
    for measures, species in rows():
        x = [(m - mean) / dev for m, mean, dev in zip(measures, values["input.mean"], values["input.deviation"])]
        hidden = [math.tanh(values["b1"][h] + sum(values["w1"][4 * h + f] * x[f] for f in range(4))) for h in range(16)]
        out = [values["b2"][s] + sum(values["w2"][16 * s + h] * hidden[h] for h in range(16)) for s in range(3)]
        right += out.index(max(out)) == species
    return right


class Run:
    """One run of the program and all that it left."""

    def __init__(self, folder, *arguments, number=1):
        self.dir, self.folder = folder, os.path.join(folder, f"run-{number}")
        self.done = run(*arguments, folder)
        self.out = self.done.stdout
        assert self.done.returncode == 0, f"exit {self.done.returncode}\n{self.out}\n{self.done.stderr}"
        self.stream = os.path.join(folder, "prov-data", "models", "iris")
        self.size = int(read_stream.read(self.stream, "checkpoint").split(b"\n")[1])
        self.entries = read_stream.read_entries(self.stream, self.size)
        self.records = [json.loads(entry) for entry in self.entries]
        # Runs follow each other in the log; each begins with a checkpoint of epoch 0.
        starts = [i for i, r in enumerate(self.records)
                  if r["kind"] == "training.checkpoint" and r["body"]["epoch"] == 0]
        mine = self.records[starts[number - 1]:starts[number] if number < len(starts) else None]
        self.checkpoints = [r["body"] for r in mine if r["kind"] == "training.checkpoint"]
        self.validations = [r["body"] for r in mine if r["kind"] == "training.validation"]

    def file(self, epoch):
        return os.path.join(self.folder, f"epoch-{epoch:04d}.safetensors")

    def line(self, name):
        return re.search(rf"^ +{name} +(.+)$", self.out, re.MULTILINE)[1]


class TheRun(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.left = Run(os.path.join(ROOT, "iris run"))

    def test_the_page_says_that_the_proof_holds_and_the_forgery_is_refused(self):
        self.assertEqual(self.left.done.stderr, "")
        self.assertEqual([line.split()[1] for line in self.left.out.splitlines() if line.startswith("  verified")],
                         ["OK:", "OK:", "REFUSED:"])
        self.assertIn("The proof holds, the forgery was refused.", self.left.out)

    def test_there_is_a_checkpoint_for_each_epoch_with_its_tensors(self):
        names = sorted(name for name in os.listdir(self.left.folder) if name.endswith(".safetensors"))
        self.assertEqual(names, [f"epoch-{epoch:04d}.safetensors" for epoch in range(41)])
        seen = set()
        for epoch in range(41):
            tensors, metadata = safetensors(self.left.file(epoch))
            self.assertEqual({name: shape for name, (shape, _) in tensors.items()}, SHAPES)
            for name, (_, numbers) in tensors.items():
                self.assertTrue(all(map(math.isfinite, numbers)), name)
            self.assertEqual((metadata["epoch"], metadata["seed"], metadata["step"]),
                             (str(epoch), "1936", str(15 * epoch)))
            seen.add(tuple(tensors["w1"][1]))
        self.assertEqual(len(seen), 41, "two epochs have the same weights")

    def test_the_records_name_the_files_by_their_digests(self):
        self.assertEqual([body["epoch"] for body in self.left.checkpoints], list(range(41)))
        config, data = sha256(os.path.join(self.left.folder, "training.json")), sha256(CSV)
        for body in self.left.checkpoints:
            self.assertEqual(body["model_hash"], sha256(self.left.file(body["epoch"])))
            self.assertEqual((body["config_digest"], body["dataset_sha256"]), (config, data))
            self.assertEqual((body["model_id"], body["step"]), ("iris", 15 * body["epoch"]))

    def test_the_last_checkpoint_on_the_page_is_the_last_record(self):
        last = [i for i, r in enumerate(self.left.records) if r["kind"] == "training.checkpoint"][-1]
        self.assertEqual(self.left.line("last id"), read_stream.leaf_hash(self.left.entries[last]).hex())
        self.assertEqual(self.left.line("SHA-256"), self.left.records[last]["body"]["model_hash"])

    def test_validations_name_models_that_were_recorded_before(self):
        hashes = {body["model_hash"]: body["epoch"] for body in self.left.checkpoints}
        self.assertEqual([hashes[body["model_hash"]] for body in self.left.validations], [0, 10, 20, 30, 40])
        for body in self.left.validations:
            result = body["validation_result"]
            self.assertEqual((body["validator_id"], result["rows"], sorted(result["recall"])),
                             ("held-out", 30, SPECIES))
            self.assertAlmostEqual(sum(result["recall"].values()) / 3, result["accuracy"], places=5)
            self.assertTrue(1 / 3 <= body["confidence_score"] <= 1)

    def test_it_learned_from_guessing_to_more_than_nine_in_ten(self):
        losses = [body["metrics"]["loss"] for body in self.left.checkpoints]
        self.assertTrue(all(losses[i + 5] < losses[i] for i in range(0, 36, 5)), losses)
        self.assertLess(losses[-1], losses[0] / 10)
        self.assertLess(self.left.validations[0]["validation_result"]["accuracy"], 0.6)
        self.assertGreater(self.left.validations[-1]["validation_result"]["accuracy"], 0.93)

    def test_the_recorded_accuracies_are_those_of_the_files(self):
        for body in self.left.validations:
            checkpoint = next(c for c in self.left.checkpoints if c["model_hash"] == body["model_hash"])
            want = round(120 * checkpoint["metrics"]["accuracy"]) + round(30 * body["validation_result"]["accuracy"])
            self.assertEqual(recognised(safetensors(self.left.file(checkpoint["epoch"]))[0]), want)

    def test_an_independent_reader_accepts_the_log(self):
        key = read_stream.Key(self.left.line("log key"))
        with redirect_stdout(io.StringIO()) as said:
            read_stream.check_stream(self.left.stream, key)
        self.assertIn(f"{self.left.size} entries, root {self.left.line('root')}", said.getvalue())

    def test_the_proof_is_canonical_and_carries_every_record(self):
        data = load(os.path.join(self.left.folder, "proof.json"))
        proof = json.loads(data)
        self.assertEqual(json.dumps(proof, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(), data)
        parts = [e for name in ("training_chain", "validation_chain", "other_records") for e in proof[name]]
        parts.sort(key=lambda e: e["index"])
        self.assertEqual([e["record"].encode() for e in parts], self.left.entries)
        self.assertEqual(proof["merkle_root"], self.left.line("root"))
        self.assertEqual(proof["final_model_hash"], sha256(self.left.file(40)))

    def test_the_forgery_is_one_digit_of_the_last_validation(self):
        proof = load(os.path.join(self.left.folder, "proof.json"))
        forged = load(os.path.join(self.left.folder, "forged-proof.json"))
        self.assertEqual(len(forged), len(proof))
        places = [i for i, (a, b) in enumerate(zip(proof, forged)) if a != b]
        said = re.search(r'byte (\d+): +"accuracy":([0-9.]+) is now "accuracy":([0-9.]+)', self.left.out)
        self.assertEqual(places, [int(said[1])])
        was, now = (json.loads(json.loads(data)["validation_chain"][-1]["record"])["body"]["validation_result"]
                    for data in (proof, forged))
        was, now = was["accuracy"], now["accuracy"]
        self.assertEqual((was, now), (float(said[2]), float(said[3])))
        self.assertEqual(was, self.left.validations[-1]["validation_result"]["accuracy"])

    def test_the_refusal_says_what_is_wrong(self):
        self.assertRegex(self.left.out.split("one byte changed")[1], r"verified +REFUSED: \S+.{20,}")


class MoreRuns(unittest.TestCase):
    def test_without_epochs_it_guesses_and_is_proved_all_the_same(self):
        accuracies = []
        for seed in range(6):
            done = Run(os.path.join(ROOT, f"none-{seed}"), "--epochs", "0", "--seed", str(seed))
            self.assertEqual((len(done.checkpoints), len(done.validations)), (1, 1))
            self.assertEqual(done.line("verified").split()[0], "OK:")
            accuracies.append(done.validations[0]["validation_result"]["accuracy"])
        self.assertLess(sum(accuracies) / 6, 0.6)
        self.assertGreater(len(set(accuracies)), 1, "the seed changes nothing")

    def test_a_second_run_adds_to_the_same_log_and_gives_the_same_model(self):
        folder = os.path.join(ROOT, "twice")
        first = Run(folder, "--epochs", "12")
        second = Run(folder, "--epochs", "12", number=2)
        self.assertEqual(second.entries[:first.size], first.entries)
        for epoch in range(13):
            self.assertEqual(load(first.file(epoch)), load(second.file(epoch)))
        other = Run(folder, "--epochs", "12", "--seed", "5", number=3)
        self.assertNotEqual(load(first.file(12)), load(other.file(12)))
        self.assertEqual([len(r.checkpoints) for r in (first, second, other)], [13, 13, 13])

    def test_without_a_folder_it_makes_one_here(self):
        here = os.path.join(ROOT, "here")
        os.mkdir(here)
        self.assertEqual(run("--epochs", "1", cwd=here).returncode, 0)
        self.assertTrue(os.path.exists(os.path.join(here, "iris-run", "run-1", "proof.json")))


class Refusals(unittest.TestCase):
    def test_wrong_usage_exits_with_2(self):
        for arguments in (["--epochs", "x"], ["--epochs", "-1"], ["--epochs", "10000"], ["--seed", "1 "],
                          ["--seed", "18446744073709551616"], ["--nonsense"], ["a", "b"]):
            with self.subTest(arguments=arguments):
                done = run(*arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn("usage: train-iris", done.stderr)
        self.assertFalse(os.path.exists(os.path.join(ROOT, "iris-run")))

    def test_a_folder_that_cannot_be_is_named(self):
        file = os.path.join(ROOT, "file")
        with open(file, "w", encoding="ascii") as out:
            out.write("not a folder\n")
        for path in (file, os.path.join(ROOT, "not", "there")):
            with self.subTest(path=path):
                done = run(path)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(path, done.stderr)

    def test_a_broken_configuration_exits_with_5(self):
        folder = os.path.join(ROOT, "broken")
        os.mkdir(folder)
        with open(os.path.join(folder, "prov.yaml"), "w", encoding="ascii") as out:
            out.write("version: 1\nstoer: {}\n")
        done = run(folder)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("prov.yaml:2:", done.stderr)
        self.assertEqual(os.listdir(folder), ["prov.yaml"])

    def test_a_full_standard_output_is_no_success(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full here")
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([TOOL, "--epochs", "1", os.path.join(ROOT, "full")], stdout=full, env=environment(),
                                  stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)


class TheData(unittest.TestCase):
    def test_the_c_file_is_made_from_the_csv(self):
        made = os.path.join(ROOT, "iris_data.c")
        subprocess.run([CMAKE, f"-DCSV={CSV}", f"-DOUT={made}", "-P", os.path.join(EXAMPLE, "iris_data.cmake")],
                       check=True, capture_output=True)
        self.assertEqual(load(made), load(os.path.join(EXAMPLE, "iris_data.c")))

    def test_the_csv_has_fishers_values(self):
        lines = load(CSV).decode("ascii").splitlines()
        self.assertEqual((lines[35], lines[38]), ("4.9,3.1,1.5,0.2,setosa", "4.9,3.6,1.4,0.1,setosa"))
        theirs = ["150,4," + ",".join(SPECIES)]
        for line in lines[1:]:
            measures, species = line.rsplit(",", 1)
            theirs.append(f"{measures},{SPECIES.index(species)}")
        self.assertEqual(hashlib.sha256("".join(t + "\r\n" for t in theirs).encode()).hexdigest(), SKLEARN_SHA256)


def main():
    global TOOL, CMAKE, ROOT
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    TOOL, CMAKE = os.path.abspath(sys.argv[1]), sys.argv[2]
    if shutil.which("openssl") is None:
        print("skipped: the openssl command is not here")
        return 77
    with tempfile.TemporaryDirectory(prefix="train-iris-") as ROOT:
        os.mkdir(os.path.join(ROOT, "home"))
        result = unittest.main(argv=[sys.argv[0], *sys.argv[3:]], exit=False).result
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
