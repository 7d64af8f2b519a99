"""Receipts and ledger on disk: what was committed survives anything, in order, without gaps."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from devices.agent.ledger import Entry, Event, State
from devices.agent.outbox import REMEMBERED, Outbox
from devices.messages import MOST_RECEIPTS, Outcome
from tests.devices.agent.conftest import running
from tests.fakes.clock import START

ROOT = Path(__file__).parents[3]


def event(slot: str) -> Event:
    return Event(outcome=Outcome.STARTED, at=START, slot=slot, offset=0.0)


def cued(state: State = State.CUED) -> Entry:
    return Entry(state=state, ends=START)


@running
async def test_sequences_count_from_one_without_gaps_over_restarts_and_acknowledgements(tmp_path: Path) -> None:
    async with Outbox(tmp_path / "outbox.db") as outbox:
        await outbox.commit([event("a"), event("b")])
        await outbox.acknowledge(2)
        assert await outbox.batch(0) == ()
        assert (outbox.oldest, outbox.last) == (3, 2)
    async with Outbox(tmp_path / "outbox.db") as outbox:
        await outbox.commit([event("c")])
        assert [(one.sequence, one.slot) for one in await outbox.batch(0)] == [(3, "c")]
        assert outbox.oldest == 3
        assert outbox.waiting == 1


@running
async def test_a_receipt_keeps_its_id_until_it_is_acknowledged(tmp_path: Path) -> None:
    async with Outbox(tmp_path / "outbox.db") as outbox:
        await outbox.commit([event("a")])
        before = await outbox.batch(0)
    async with Outbox(tmp_path / "outbox.db") as outbox:
        assert await outbox.batch(0) == before


@running
async def test_batches_fit_one_message_and_follow_one_another(tmp_path: Path) -> None:
    async with Outbox(tmp_path / "outbox.db") as outbox:
        await outbox.commit(event(str(n)) for n in range(MOST_RECEIPTS + 5))
        first = await outbox.batch(0)
        second = await outbox.batch(first[-1].sequence)
        assert [one.sequence for one in first + second] == list(range(1, MOST_RECEIPTS + 6))
        assert len(first) == MOST_RECEIPTS


@running
async def test_when_full_the_oldest_leave_and_it_says_so(tmp_path: Path) -> None:
    async with Outbox(tmp_path / "outbox.db", most_held=10) as outbox:
        for n in range(25):
            await outbox.commit([event(str(n))])
        assert len(await outbox.batch(0)) == 10
        assert (outbox.oldest, outbox.waiting) == (16, 10)


@running
async def test_the_ledger_is_read_back_and_knows_what_was_open(tmp_path: Path) -> None:
    async with Outbox(tmp_path / "outbox.db") as outbox:
        await outbox.commit(entries={"open": cued(), "over": cued(State.FINISHED), "gone": cued()})
        await outbox.commit(entries={"gone": None})
    async with Outbox(tmp_path / "outbox.db") as outbox:
        assert dict(outbox.ledger) == {
            "open": Entry(state=State.CUED, ends=START, resumed=True),
            "over": Entry(state=State.FINISHED, ends=START),
        }


@running
async def test_old_final_lines_are_forgotten_and_open_ones_are_not(tmp_path: Path) -> None:
    async with Outbox(tmp_path / "outbox.db") as outbox:
        await outbox.commit(entries={"open": cued(), "over": cued(State.MISSED)})
        await outbox.forget_old(START + REMEMBERED)
        assert set(outbox.ledger) == {"open", "over"}
        await outbox.forget_old(START + REMEMBERED + timedelta(seconds=1))
        assert set(outbox.ledger) == {"open"}


@running
async def test_a_lost_file_counts_on_behind_what_the_server_has(tmp_path: Path) -> None:
    async with Outbox(tmp_path / "outbox.db") as outbox:
        await outbox.commit([event("a"), event("b")])
        await outbox.acknowledge(500)
        assert [one.sequence for one in await outbox.batch(0)] == [501, 502]
        await outbox.commit([event("c")])
        assert [one.slot for one in await outbox.batch(502)] == ["c"]
        await outbox.acknowledge(502)
        assert outbox.oldest == 503


def test_a_broken_file_is_kept_aside_and_the_box_goes_on(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"not a database, but long enough to look at" * 100)

    async def use() -> None:
        async with Outbox(tmp_path / "outbox.db") as outbox:
            await outbox.commit([event("a")])
            assert outbox.waiting == 1

    asyncio.run(use())
    assert any(path.name.startswith("outbox.db.broken-") for path in tmp_path.iterdir())


@running
async def test_a_disk_that_takes_nothing_loses_nothing_once_it_does_again(tmp_path: Path) -> None:
    async with Outbox(tmp_path / "outbox.db") as outbox:
        outbox._database.execute("PRAGMA query_only = ON")  # type: ignore[union-attr]
        await outbox.commit([event("a")], {"a": cued()})
        assert outbox.ledger["a"].state is State.CUED
        outbox._database.execute("PRAGMA query_only = OFF")  # type: ignore[union-attr]
        await outbox.commit([event("b")])
        assert [one.slot for one in await outbox.batch(0)] == ["a", "b"]
    async with Outbox(tmp_path / "outbox.db") as outbox:
        assert "a" in outbox.ledger


WRITER = """
import asyncio, sys
from pathlib import Path
from devices.agent.ledger import Entry, Event, State
from devices.agent.outbox import Outbox
from devices.messages import Outcome
from tests.fakes.clock import START

async def main():
    async with Outbox(Path(sys.argv[1])) as outbox:
        for n in range(100_000):
            slot = str(n)
            await outbox.commit(
                [Event(outcome=Outcome.FINISHED, at=START, slot=slot)],
                {slot: Entry(state=State.FINISHED, ends=START)},
            )
            print(n, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("commits", [1, 7, 40])
def test_kill_9_loses_nothing_that_was_committed(tmp_path: Path, commits: int) -> None:
    path = tmp_path / "outbox.db"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "."},
    ) as child:
        assert child.stdout is not None
        for _ in range(commits):
            last = int(child.stdout.readline())
        child.kill()
        last = max([last, *map(int, child.stdout.read().split())])
    asyncio.run(_check(path, last))


async def _check(path: Path, last: int) -> None:
    async with Outbox(path) as outbox:
        finished = {int(slot) for slot in outbox.ledger}
        assert finished >= set(range(last + 1))
        assert outbox.waiting == len(finished)  # an outcome and its receipt are one
        sequences: list[int] = []
        while receipts := await outbox.batch(sequences[-1] if sequences else 0):
            sequences += [one.sequence for one in receipts]
        assert sequences == list(range(1, len(finished) + 1))


def test_the_file_is_synced_at_every_commit(tmp_path: Path) -> None:
    asyncio.run(_check_pragmas(tmp_path / "outbox.db"))


async def _check_pragmas(path: Path) -> None:
    async with Outbox(path) as outbox:
        database = outbox._database
        assert isinstance(database, sqlite3.Connection)
        assert database.execute("PRAGMA synchronous").fetchone() == (2,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
