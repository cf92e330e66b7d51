#!/usr/bin/python3
"""Every system call of an append and of a seal fails once, or the process is killed there; then the stream must verify.

SPDX-License-Identifier: Apache-2.0

    campaign.py --driver PROGRAM --shim LIBRARY --plugins FOLDER [--full] [--jobs N] [--only KIND] [--at N] [--keep]

First the driver's calls are counted and listed, then it is run again for each call and each kind of fault that the call
can meet. After each run a new process without faults opens the same folder, appends, seals and checks. What must hold:
the driver ends by itself and no signal but the injected one ends it; a process that was not killed can append and seal
again afterwards; the stream verifies; each acknowledged record is in it exactly once, each refused one is not.
Exit code 0, 1 when something did not hold, 77 when the shim cannot be loaded here.
"""
import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
import time

KILLS = ("KILL_BEFORE", "KILL_AFTER")
MAKES = ("open+", "openat+", "open64+", "openat64+", "write", "pwrite", "pwrite64", "rename", "renameat", "renameat2", "link",
         "linkat", "mkdir", "mkdirat", "fallocate", "fallocate64", "posix_fallocate", "posix_fallocate64", "fsync",
         "fdatasync", "ftruncate", "ftruncate64", "copy_file_range", "sync_file_range")
MOVES = ("read", "write", "pread", "pread64", "pwrite", "pwrite64", "copy_file_range", "getrandom")
DENIED = ("open", "openat", "open64", "openat64", "open+", "openat+", "open64+", "openat64+", "rename", "renameat", "renameat2",
          "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "opendir", "fstatat", "stat", "lstat", "mmap")
INTERRUPTED = ("open", "openat", "open64", "openat64", "open+", "openat+", "open64+", "openat64+", "read", "write", "pread",
               "pread64", "pwrite", "pwrite64", "fsync", "fdatasync", "ftruncate", "ftruncate64", "fallocate", "flock", "close",
               "posix_fallocate", "posix_fallocate64", "getrandom")
TIMEOUT_S = 20


class Point:
    """One run: a fault at a call, in a scenario."""

    def __init__(self, scenario, number, name, kind, count=1):
        self.scenario, self.number, self.name, self.kind, self.count = scenario, number, name, kind, count

    def __str__(self):
        more = "" if self.count == 1 else " and all that follow" if self.count == 0 else f" and {self.count - 1} more"
        return f"{self.kind} at call {self.number} ({self.name}){more}, {self.scenario} bytes a segment"


class Campaign:
    def __init__(self, args):
        self.args = args
        parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) and not args.disk else tempfile.gettempdir()
        self.base = tempfile.mkdtemp(prefix="prov-fault-", dir=parent)
        os.mkdir(self.base + "/seen", 0o700)

    def driver(self, mode, folder, scenario, fault=None):
        """Runs the driver; (exit code or negative signal, lines). A driver that hangs raises TimeoutExpired."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("FAULT_")}
        if fault:
            env.update(LD_PRELOAD=self.args.shim, PROV_ALLOW_LD="1", **fault)
        done = subprocess.run([self.args.driver, mode, folder, self.args.plugins, self.base + "/seen", str(scenario)], env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S, check=False)
        return done.returncode, done.stdout.decode(errors="replace").splitlines()

    def calls(self, scenario):
        """The names of the calls that an undisturbed run makes, in order."""
        with tempfile.TemporaryDirectory(dir=self.base) as folder:
            log = folder + "/log"
            code, lines = self.driver("run", folder, scenario, {"FAULT_AT": "0", "FAULT_KIND": "EIO", "FAULT_LOG": log})
            if code != 0 or "alive" not in lines:
                raise SystemExit(f"the undisturbed run failed ({code}):\n" + "\n".join(lines))
            if not os.path.exists(log):
                print("the shim is not loaded here (a static or sanitized build?): skipped")
                raise SystemExit(77)
            with open(log, encoding="ascii") as file:
                return [line.split()[1] for line in sorted(file, key=lambda line: int(line.split()[0]))]

    def problems(self, point):
        """What did not hold at this point, as a list of sentences."""
        folder = tempfile.mkdtemp(dir=self.base)
        fault = {"FAULT_AT": str(point.number), "FAULT_KIND": point.kind, "FAULT_COUNT": str(point.count)}
        found, said = [], []
        try:
            code, said = self.driver("run", folder, point.scenario, fault)
            if code < 0 and not (code == -9 and point.kind in KILLS):
                found.append(f"the driver died of signal {-code}")
            elif code != -9 and "alive" not in said and not (point.count == 0 and "breaker open" in said[-1]):
                found.append(f"the process could not go on after the fault (exit {code})")
            found += self.verify(folder, point, said)
            if self.args.full:  # as after a reboot: the shared page is made anew from the segments
                self.forget_control(folder)
                found += self.verify(folder, point, said)
        except subprocess.TimeoutExpired as error:
            found.append(f"the driver hung ({error.cmd[1]})")
        if found and self.args.keep:
            found.append("kept in " + folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        return found + ["    " + line for line in said] if found else []

    @staticmethod
    def forget_control(folder):
        for parent, _, files in os.walk(folder + "/state"):
            if "control" in files:
                os.unlink(parent + "/control")

    def verify(self, folder, point, said):
        if point.number % 2:
            self.forget_control(folder)
        code, lines = self.driver("check", folder, point.scenario)
        if code != 0:
            return [f"afterwards the check fails ({code}): " + " | ".join(lines)]
        entries = [line.split()[1:3] for line in lines if line.startswith("entry ")]
        ids, found = [entry[1] for entry in entries], []
        for words in (line.split() for line in said):
            if words[:1] == ["ack"] and ids.count(words[2]) != 1:
                found.append(f"record {words[1]} was acknowledged and is there {ids.count(words[2])} times")
            if words[:1] == ["refused"] and any(entry[0] == words[1] for entry in entries):
                found.append(f"record {words[1]} was refused and is there")
        numbers = [entry[0] for entry in entries if entry[0] != "1000"]
        if len(numbers) != len(set(numbers)):
            found.append("records are there twice: " + " ".join(numbers))
        return found


def kinds_of(name):
    yield from KILLS
    yield "EIO"
    if name in MAKES:
        yield "ENOSPC"
    if name in INTERRUPTED:
        yield "EINTR"
    if name in MOVES:
        yield "SHORT"
    if name in DENIED:
        yield "EACCES"
    if name.startswith("open"):
        yield "EMFILE"


def points_of(campaign, args):
    for scenario in (0, 600) if args.full else (600,):  # the default segments; a new one for every second record
        names = campaign.calls(scenario)
        print(f"{len(names)} system calls with {scenario or 'the default'} bytes a segment", flush=True)
        for number, name in enumerate(names, 1):
            for kind in kinds_of(name):
                yield Point(scenario, number, name, kind)
            if args.full and name in MAKES:
                yield Point(scenario, number, name, "ENOSPC", 0)
                yield Point(scenario, number, name, "EIO", 3)
                yield Point(scenario, number, name, "EIO", 0)


def sample(points):
    """The short form: of all points an even selection that never changes, each kind and each call among it."""
    order = {kind: i for i, kind in enumerate(("KILL_BEFORE", "KILL_AFTER", "EIO", "ENOSPC", "EINTR", "SHORT", "EACCES", "EMFILE"))}
    return sorted(points, key=lambda p: ((p.number * 7 + order[p.kind] * 3) % 11, p.number, order[p.kind]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    parser.add_argument("--shim", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=45, help="of the short form")
    parser.add_argument("--only", help="one kind of fault")
    parser.add_argument("--at", type=int, help="one call")
    parser.add_argument("--disk", action="store_true", help="on the disk also where there is /dev/shm")
    parser.add_argument("--keep", action="store_true", help="keep the folders of failures")
    args = parser.parse_args()
    campaign = Campaign(args)
    begun, tried, bad = time.monotonic(), 0, 0
    try:
        points = [p for p in points_of(campaign, args)
                  if (not args.only or p.kind == args.only) and (not args.at or p.number == args.at)]
        if not args.full:
            points = sample(points)
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for start in range(0, len(points), 64):
                if not args.full and time.monotonic() - begun > args.seconds:
                    break
                batch = points[start:start + 64]
                for point, found in zip(batch, pool.map(campaign.problems, batch)):
                    tried += 1
                    if found:
                        bad += 1
                        print(f"{point}:\n  " + "\n  ".join(found), flush=True)
        of = "" if tried == len(points) else f" of {len(points)} (the rest: tools/faults)"
        print(f"{tried} points tried{of} in {time.monotonic() - begun:.0f} s, {bad} did not hold")
    finally:
        if not (bad and args.keep):
            shutil.rmtree(campaign.base, ignore_errors=True)
    return 1 if bad or not tried else 0


if __name__ == "__main__":
    sys.exit(main())
