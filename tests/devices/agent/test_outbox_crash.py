"""``kill -9`` and a full disk at any write of the outbox: chain, ledger and sequences are right after each."""

import asyncio
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from devices.agent.memory.checking import Findings, check
from devices.agent.memory.database import Database
from devices.agent.memory.outbox import Outbox
from devices.messages import Outcome, Receipt
from tests.devices.agent.outbox_writer import BOX, write
from tests.fakes.clock import START
from tests.services import require

CALLS = ("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "unlink")
"""The system calls that change a file. To die on entering one is to die after the one before it."""
MOST_POINTS = 10
FORMER = 40
"""Receipts in the file of the earlier format."""


class Left(NamedTuple):
    """What a new process finds."""

    sequences: list[int]
    slots: Counter[str | None]
    ledger: set[str]
    oldest: int
    last: int
    findings: Findings
    spans: list[tuple[int, int]]


async def left_in(path: Path) -> Left:
    with Database(path) as database:
        async with Outbox(database, BOX) as outbox:
            receipts: list[Receipt] = []
            while batch := (await outbox.batch(receipts[-1].sequence if receipts else 0)).receipts:
                receipts += batch
            spans = [(span.first, span.last) for span in (await outbox.batch(0)).dropped]
            left = Left(
                [one.sequence for one in receipts],
                Counter(one.slot for one in receipts),
                set(outbox.ledger),
                outbox.oldest,
                outbox.last,
                database.read(lambda connection: check(connection, BOX)),
                spans,
            )
            await write(outbox, 1_000)  # and it can go on
            assert outbox.last == left.last + 2
            return left


def former_format(path: Path) -> None:
    """Make a file as an earlier Loa left it."""
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(
            "CREATE TABLE receipts (sequence INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);"
            "CREATE TABLE ledger (slot TEXT PRIMARY KEY, state TEXT NOT NULL, ends TEXT NOT NULL,"
            " heard_s REAL NOT NULL) WITHOUT ROWID;"
        )
        for n in range(FORMER):
            body = Receipt(id=f"{n:032x}", sequence=1, at=START, outcome=Outcome.FINISHED, slot=str(n), heard=1 / 3)
            database.execute("INSERT INTO receipts (body) VALUES (?)", (body.model_dump_json(exclude_none=True),))
            database.execute("INSERT INTO ledger VALUES (?, 'finished', ?, 2.5)", (str(n), START.isoformat()))
        database.execute("DELETE FROM receipts WHERE sequence <= 10")
    database.close()


def prepare(kind: str, path: Path) -> None:
    path.parent.mkdir()
    if kind == "migrated":
        former_format(path)
    else:
        asyncio.run(some(path))


async def some(path: Path) -> None:
    with Database(path) as database:
        async with Outbox(database, BOX) as outbox:
            for n in range(3):
                await write(outbox, n)


class Rig:
    """A process under ``strace`` on a copy of a prepared file, undisturbed or killed at one system call."""

    def __init__(self, kind: str, directory: Path) -> None:
        self._strace = require("strace")
        self.kind = kind
        self._directory = directory
        prepare(kind, directory / "before" / "outbox.db")

    def points(self) -> list[tuple[str, int]]:
        """Return some of the points of an undisturbed run, first and last among them."""
        self.run("undisturbed")
        calls = re.findall(r"^\d+ +(\w+)\(", (self._directory / "undisturbed.log").read_text(), re.MULTILINE)
        seen: Counter[str] = Counter()
        points = []
        for call in calls:
            seen[call] += 1
            points.append((call, seen[call]))
        assert len(points) >= MOST_POINTS, points
        step = (len(points) - 1) / (MOST_POINTS - 1)
        return [points[round(at * step)] for at in range(MOST_POINTS)]

    def run(self, name: str, *options: str) -> tuple[list[str], Path]:
        """Return what the process said, and its file."""
        directory = self._directory / name
        shutil.copytree(self._directory / "before", directory)
        path = directory / "outbox.db"
        # Without --seccomp-bpf: with it strace 6.1 kills no thread but the first.
        command = [self._strace, "-f", "-o", f"{directory}.log", "-e", "signal=none"]
        command += ["-e", f"trace={','.join(f'?{call}' for call in CALLS)}"]
        for file in ("", "-wal", "-shm", "-journal"):
            command += ["-P", f"{path}{file}"]
        program = [sys.executable, "-m", "tests.devices.agent.outbox_writer", str(path), self.kind, "4"]
        done = subprocess.run([*command, *options, *program], capture_output=True, check=False, timeout=60)
        assert done.returncode in (0, 128 + signal.SIGKILL, -signal.SIGKILL), done.stderr.decode()
        return done.stdout.decode().split(), path

    def killed(self) -> Iterator[tuple[tuple[str, int], list[str], Left]]:
        with ThreadPoolExecutor(2) as threads:
            for point, (said, path) in threads.map(self._killed, self.points()):
                assert "closed" not in said, (point, "it was not killed")
                yield point, said, asyncio.run(left_in(path))

    def _killed(self, point: tuple[str, int]) -> tuple[tuple[str, int], tuple[list[str], Path]]:
        call, nth = point
        return point, self.run(f"{call}-{nth}", "-e", f"inject={call}:signal=KILL:when={nth}")


@pytest.mark.parametrize("kind", ["kept", "acknowledged", "full"])
def test_killed_at_a_write_of_a_commit(tmp_path: Path, kind: str) -> None:
    rig = Rig(kind, tmp_path)
    for point, said, left in rig.killed():
        written = [int(word) for word in said if word != "open"]
        assert left.findings.whole, (point, left.findings)
        assert left.ledger >= {"0", "1", "2", *map(str, written)}, point
        assert 2 * len(left.ledger) == left.last, (point, "an outcome and its receipts are one")
        gone = {sequence for first, last in left.spans for sequence in range(first, last + 1)}
        assert gone | set(left.sequences) == set(range(min([*gone, left.oldest]), left.last + 1)), point
        if kind == "kept":
            assert left.sequences == list(range(1, left.last + 1)), point
            assert set(left.slots.values()) == {2}, point
        if kind == "full":
            assert len(left.sequences) == 6, point
        if kind == "acknowledged":
            assert left.oldest == left.last + 1 - len(left.sequences), point


def test_killed_at_a_write_while_an_earlier_file_is_taken_over(tmp_path: Path) -> None:
    rig = Rig("migrated", tmp_path)
    for point, said, left in rig.killed():
        assert left.findings.whole, (point, left.findings)
        new = left.last - FORMER
        assert left.sequences == list(range(11, left.last + 1)), point
        assert {str(n) for n in range(FORMER)} <= left.ledger, point
        assert len(left.ledger) == FORMER + new // 2, point
        assert new // 2 >= len(said) - 1, point


FILLED = """
import asyncio, resource, sys
from pathlib import Path
from devices.agent.memory.database import Database
from devices.agent.memory.outbox import Outbox
from tests.devices.agent.outbox_writer import BOX, write

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main(path, at_start):
    if at_start:
        limit(0)
    with Database(path) as database:
        async with Outbox(database, BOX) as outbox:
            assert set(outbox.ledger) == {"0", "1", "2"}, outbox.ledger
            limit(0)
            for n in range(3, 9):
                await write(outbox, n)
            assert (await outbox.batch(6)).receipts == ()
            await outbox.acknowledge(2)
            assert set(outbox.ledger) == {str(n) for n in range(9)}
            limit(resource.RLIM_INFINITY)
            await write(outbox, 9)
            print(outbox.oldest, outbox.last)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2] == "at_start"))
"""


@pytest.mark.parametrize("when", ["at_start", "later"])
def test_a_full_disk_takes_it_all_when_there_is_room_again(tmp_path: Path, when: str) -> None:
    # A limit on the size of files stands for a disk without room, also for the log that SQLite makes at the opening.
    path = tmp_path / "box" / "outbox.db"
    prepare("full disk", path)
    done = subprocess.run([sys.executable, "-c", FILLED, str(path), when], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    left = asyncio.run(left_in(path))
    assert left.findings.whole
    assert left.sequences == list(range(1, 21))
    assert left.ledger == {str(n) for n in range(10)}
    assert done.stderr.count(b"not saved") <= 1, "told once"


BROKEN = """
import asyncio, resource, sys
from pathlib import Path
from devices.agent.memory.database import Database
from devices.agent.memory.outbox import Outbox
from tests.devices.agent.outbox_writer import BOX, write

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main(path):
    with Database(path) as database:
        async with Outbox(database, BOX) as outbox:
            await write(outbox, 3)
            database.close()
            path.write_bytes(b"torn" * 2000)
            limit(0)
            await write(outbox, 4)
            limit(resource.RLIM_INFINITY)
            await write(outbox, 5)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_file_that_breaks_on_a_full_disk_is_replaced_when_there_is_room_again(tmp_path: Path) -> None:
    path = tmp_path / "box" / "outbox.db"
    prepare("broken and full", path)
    done = subprocess.run([sys.executable, "-c", BROKEN, str(path)], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    left = asyncio.run(left_in(path))
    assert left.ledger == {str(n) for n in range(6)}
    assert (left.sequences, left.last) == ([9, 10, 11, 12], 12)
