"""``kill -9`` and a full disk at any moment: each acknowledged write is there, and no half of another.

A child process (``store_writer.py``) is killed at random moments, then at every single system call that
changes a file of the store; the same calls then fail once for lack of room.
"""

import contextlib
import random
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.broadcaster.store_writer import STORES
from tests.services import require

ROUNDS = 15
CALLS = "write pwrite64 fsync fdatasync ftruncate rename renameat renameat2 link linkat unlink unlinkat"
"""The system calls that change a file. To die on entering one is to die after the one before it."""


def writer(store: str, directory: Path, count: int) -> list[str]:
    """Return the command of a process that writes ``count`` more numbers."""
    return [sys.executable, "-m", "tests.broadcaster.store_writer", store, str(directory), str(count)]


def held_after(store: str, directory: Path) -> int:
    """Return how many numbers a new process would find, having checked the file."""
    with contextlib.closing(STORES[store](directory)) as opened:
        held = opened.held()
        opened.write(held)  # and it can go on
        assert opened.held() == held + 1
    if store != "definitions":
        with contextlib.closing(sqlite3.connect(directory / "journal.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return held


@pytest.mark.parametrize("store", STORES)
def test_killed_at_random_moments(store: str, tmp_path: Path) -> None:
    moments = random.Random(store)
    present = 0
    for _ in range(ROUNDS):
        with subprocess.Popen(writer(store, tmp_path, 10_000), stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(moments.randrange(1, 20))]
            select.select([], [], [], moments.uniform(0, 0.004))  # into the middle of some write
            process.kill()
            said += process.stdout.readlines()
        acknowledged = [int(line.removeprefix(b"stored ")) for line in said if line.endswith(b"\n")]
        assert acknowledged == list(range(present, present + len(acknowledged)))
        stored = held_after(store, tmp_path)
        assert acknowledged[-1] < stored <= acknowledged[-1] + 2, "lost, or more than the one under way"
        present = stored + 1


class Point(NamedTuple):
    """The ``nth`` time that a process makes a system call on a file of the store."""

    call: str
    nth: int


class Rig:
    """A store with three numbers in it, and a process that adds one more under ``strace``."""

    def __init__(self, strace: str, store: str, directory: Path) -> None:
        self._strace = strace
        self.store = store
        self._directory = directory
        with contextlib.closing(STORES[store](directory / "before")) as opened:
            for number in range(3):
                opened.write(number)

    def points(self) -> list[Point]:
        """Return every point of an undisturbed run, in order."""
        run = self._run("undisturbed", [])
        assert run.stdout.split(b"\n") == [b"stored 3", b""], run.stderr
        calls = re.findall(r"^\d+ +(\w+)\(", (self._directory / "undisturbed.log").read_text(), re.MULTILINE)
        seen: Counter[str] = Counter()
        points = []
        for call in calls:
            seen[call] += 1
            points.append(Point(call, seen[call]))
        assert len(points) >= 6, points
        return points

    def everywhere(self, how: str, points: Sequence[Point]) -> list[tuple[Point, list[str], Path]]:
        """Return, for each point, what a process said to which ``how`` happened there and what it left."""
        with ThreadPoolExecutor(2) as threads:
            return list(threads.map(lambda point: self._disturbed(point, how), points))

    def _disturbed(self, point: Point, how: str) -> tuple[Point, list[str], Path]:
        name = f"{point.call}-{point.nth}"
        run = self._run(name, ["-e", f"inject={point.call}:{how}:when={point.nth}"])
        assert run.returncode in (0, 128 + signal.SIGKILL, -signal.SIGKILL), run.stderr.decode()
        return point, run.stdout.decode().splitlines(), self._directory / name

    def _run(self, name: str, options: list[str]) -> subprocess.CompletedProcess[bytes]:
        directory = self._directory / name
        shutil.copytree(self._directory / "before", directory)
        calls = ",".join(f"?{call}" for call in CALLS.split())
        command = [
            self._strace,
            "-f",
            "--seccomp-bpf",
            "-o",
            f"{directory}.log",
            "-e",
            f"trace={calls}",
            "-e",
            "signal=none",
        ]
        for path in (directory, *self._paths(directory)):
            command += ["-P", str(path)]
        return subprocess.run([*command, *options, *writer(self.store, directory, 1)], capture_output=True, check=False)

    @staticmethod
    def _paths(directory: Path) -> Iterator[Path]:
        for name in ("definitions.json", "journal.db"):
            for suffix in ("", ".new", ".1", ".1.new", "-wal", "-shm", "-journal"):
                yield directory / f"{name}{suffix}"


@pytest.fixture(params=STORES)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    return Rig(require("strace"), request.param, tmp_path)


def test_bytes_reach_the_disk_before_the_name_and_the_name_before_the_answer(rig: Rig) -> None:
    # A killed process leaves the kernel's cache as it was, so no kill can show that a sync is missing.
    calls = [point.call.removesuffix("at") for point in rig.points()]
    if rig.store == "definitions":
        assert calls == ["write", "fsync", "unlink", "link", "rename", "rename", "fsync"]
    else:
        assert calls.count("fdatasync") >= 2  # the commit's and the checkpoint's at least


def test_killed_at_every_system_call_that_changes_a_file(rig: Rig) -> None:
    for point, said, directory in rig.everywhere("signal=KILL", rig.points()):
        assert said in ([], ["stored 3"]), point
        assert 3 + len(said) <= held_after(rig.store, directory) <= 4, point


def test_full_disk_at_every_system_call_that_changes_a_file(rig: Rig) -> None:
    points = rig.points()
    # How SQLite takes each of its own calls is its own affair; all of them would take a minute.
    some = points if rig.store == "definitions" else points[::4]
    refused = 0
    for point, said, directory in rig.everywhere("error=ENOSPC", some):
        assert said[-1] == "stored 3", point
        assert held_after(rig.store, directory) == 4, point
        refused += "refused 3" in said
    assert refused >= len(some) // 3
