"""Receipts and ledger on disk: what was committed survives anything, in order, without gaps."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from devices.agent.memory.database import Database
from devices.agent.memory.ledger import Entry, Event, State
from devices.agent.memory.outbox import MOST_HELD, MOST_UNSAVED, REMEMBERED, Outbox
from devices.agent.wire.inbox import MOST_REFUSALS
from devices.messages import MOST_RECEIPTS, Outcome, Receipt
from tests.devices.agent.conftest import running
from tests.fakes.clock import START

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def opened(path: Path, *, most_held: int = MOST_HELD) -> AsyncIterator[Outbox]:
    with Database(path) as database:
        async with Outbox(database, "box-1", most_held=most_held) as outbox:
            yield outbox


async def held(outbox: Outbox, after: int = 0) -> tuple[Receipt, ...]:
    return (await outbox.batch(after)).receipts


def event(slot: str) -> Event:
    return Event(outcome=Outcome.STARTED, at=START, slot=slot, offset=0.0)


def cued(state: State = State.CUED) -> Entry:
    return Entry(state=state, ends=START)


@running
async def test_sequences_count_from_one_without_gaps_over_restarts_and_acknowledgements(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db") as outbox:
        await outbox.commit([event("a"), event("b")])
        assert len(await held(outbox)) == 2
        await outbox.acknowledge(2)
        assert await held(outbox, 0) == ()
        assert (outbox.oldest, outbox.last) == (3, 2)
    async with opened(tmp_path / "outbox.db") as outbox:
        await outbox.commit([event("c")])
        assert [(one.sequence, one.slot) for one in await held(outbox, 0)] == [(3, "c")]
        assert outbox.oldest == 3
        assert outbox.waiting == 1


@running
async def test_a_receipt_keeps_its_id_until_it_is_acknowledged(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db") as outbox:
        await outbox.commit([event("a")])
        before = await held(outbox, 0)
    async with opened(tmp_path / "outbox.db") as outbox:
        assert await held(outbox, 0) == before


@running
async def test_batches_fit_one_message_and_follow_one_another(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db") as outbox:
        await outbox.commit(event(str(n)) for n in range(MOST_RECEIPTS + 5))
        first = await held(outbox, 0)
        second = await held(outbox, first[-1].sequence)
        assert [one.sequence for one in first + second] == list(range(1, MOST_RECEIPTS + 6))
        assert len(first) == MOST_RECEIPTS


@running
async def test_the_ledger_is_read_back_and_knows_what_was_open(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db") as outbox:
        await outbox.commit(entries={"open": cued(), "over": cued(State.FINISHED), "gone": cued()})
        await outbox.commit(entries={"gone": None})
    async with opened(tmp_path / "outbox.db") as outbox:
        assert dict(outbox.ledger) == {
            "open": Entry(state=State.CUED, ends=START, resumed=True),
            "over": Entry(state=State.FINISHED, ends=START),
        }


@running
async def test_a_shift_survives_a_restart(tmp_path: Path) -> None:
    moved = Entry(state=State.STARTED, ends=START, heard_s=1.5, shift_s=-300.25)
    async with opened(tmp_path / "outbox.db") as outbox:
        await outbox.commit(entries={"moved": moved})
    async with opened(tmp_path / "outbox.db") as outbox:
        assert outbox.ledger["moved"] == replace(moved, resumed=True)


@running
async def test_boxes_in_one_file_know_nothing_of_one_another(tmp_path: Path) -> None:
    with Database(tmp_path / "outbox.db") as database:
        async with Outbox(database, "one") as one, Outbox(database, "two") as two:
            await asyncio.gather(
                *(box.commit([event(str(n))], {str(n): cued()}) for n in range(5) for box in (one, two))
            )
            assert len(await held(two)) == 5
            await two.acknowledge(5)
            await two.commit([event("more")])
            await one.commit(entries={"3": None})
            assert [receipt.slot for receipt in await held(one)] == ["0", "1", "2", "3", "4"]
            assert [(receipt.sequence, receipt.slot) for receipt in await held(two)] == [(6, "more")]
            assert ("3" in one.ledger, "3" in two.ledger) == (False, True)
        async with Outbox(database, "one") as one:
            assert (one.oldest, one.last, len(one.ledger)) == (1, 5, 4)


@running
async def test_three_days_without_a_line_lose_nothing(tmp_path: Path) -> None:
    """300 slots a day, each with its beginning and end, a playlist an hour, and as many refusals as are told."""
    told = 3 * (300 * 2 + 24 + MOST_REFUSALS * 24)
    async with opened(tmp_path / "outbox.db") as outbox:
        for n in range(0, told, 100):
            await outbox.commit(event(str(n + k)) for k in range(100))
    async with opened(tmp_path / "outbox.db") as outbox:
        sequences: list[int] = []
        while receipts := await held(outbox, sequences[-1] if sequences else 0):
            sequences += [one.sequence for one in receipts]
        assert sequences == list(range(1, len(sequences) + 1))
        assert len(sequences) >= told


@running
async def test_old_final_lines_are_forgotten_and_open_ones_are_not(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db") as outbox:
        await outbox.commit(entries={"open": cued(), "over": cued(State.MISSED)})
        await outbox.forget_old(START + REMEMBERED)
        assert set(outbox.ledger) == {"open", "over"}
        await outbox.forget_old(START + REMEMBERED + timedelta(seconds=1))
        assert set(outbox.ledger) == {"open"}


@running
async def test_a_lost_file_counts_on_behind_what_the_server_has(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db") as outbox:
        await outbox.commit([event("a"), event("b")])
        await outbox.acknowledge(500)
        assert [one.sequence for one in await held(outbox, 0)] == [501, 502]
        await outbox.commit([event("c")])
        assert [one.slot for one in await held(outbox, 502)] == ["c"]
        await outbox.acknowledge(502)
        assert outbox.oldest == 503


@running
async def test_a_lost_file_counts_on_behind_the_server_however_much_was_said_since(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db") as outbox:
        await outbox.commit(event(str(n)) for n in range(9))
        await outbox.acknowledge(5)  # retained: it comes before anything was sent
        assert [one.sequence for one in await held(outbox)] == list(range(6, 15))
        await outbox.acknowledge(5)
        assert outbox.waiting == 9


@running
async def test_what_a_new_box_sent_is_acknowledged_after_a_restart_too(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db") as outbox:
        await outbox.commit(event(str(n)) for n in range(9))
        await held(outbox)
    async with opened(tmp_path / "outbox.db") as outbox:
        await outbox.acknowledge(5)
        assert [one.sequence for one in await held(outbox)] == [6, 7, 8, 9]


def test_a_broken_file_is_kept_aside_and_the_box_goes_on(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"not a database, but long enough to look at" * 100)

    async def use() -> None:
        async with opened(tmp_path / "outbox.db") as outbox:
            await outbox.commit([event("a")])
            assert outbox.waiting == 1

    asyncio.run(use())
    assert any(path.name.startswith("outbox.db.broken-") for path in tmp_path.iterdir())


@running
async def test_a_broken_file_gives_what_can_be_read_of_it(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    async with opened(path) as outbox:
        await outbox.commit([event(str(n)) for n in range(300)], {str(n): cued(State.FINISHED) for n in range(300)})
    spoil(path, 0.5)
    async with opened(path) as outbox:
        assert len(outbox.ledger) + outbox.waiting > 300
        await outbox.commit([event("later")])
        assert outbox.last == 301


@pytest.mark.parametrize("where", [0.0, 0.2, 0.5, 0.9])
@running
async def test_a_file_that_breaks_under_the_running_box_makes_nothing_play_twice(tmp_path: Path, where: float) -> None:
    path = tmp_path / "outbox.db"
    async with opened(path) as outbox:
        for n in range(60):
            await outbox.commit([event(str(n))] * 5, {str(n): cued(State.FINISHED)})
        await outbox.commit(entries={"5": None})
        with sqlite3.connect(path) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        spoil(path, where)
        for n in range(60, 130):
            await outbox.commit([event(str(n))] * 5, {str(n): cued(State.FINISHED)})
        assert set(outbox.ledger) == {str(n) for n in range(130)} - {"5"}
        assert outbox.last == 650
        assert (await held(outbox, 300))[0].sequence == 301
    async with opened(path) as outbox:
        assert set(outbox.ledger) == {str(n) for n in range(130)} - {"5"}
        assert outbox.last == 650


def spoil(path: Path, where: float) -> None:
    """Overwrite two pages, ``where`` of the way into the file."""
    content = bytearray(path.read_bytes())
    page = int(where * len(content)) // 4096 * 4096
    with path.open("r+b") as file:
        file.seek(page)
        file.write(b"\x5a" * 8192)


@running
async def test_what_waits_in_memory_is_bounded_and_the_oldest_routine_ones_leave(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db") as outbox:
        connection = outbox._database._connection
        assert connection is not None
        connection.execute("PRAGMA query_only = ON")
        await outbox.commit([replace(event("urgent"), routine=False)])
        for n in range(0, MOST_UNSAVED + 200, 100):
            await outbox.commit(event(str(n + k)) for k in range(100))
        connection.execute("PRAGMA query_only = OFF")
        await outbox.commit()
        assert (outbox.waiting, outbox.last) == (MOST_UNSAVED, MOST_UNSAVED)
        assert [one.slot for one in await held(outbox)][:2] == ["urgent", "201"]


@running
async def test_a_disk_that_takes_nothing_loses_nothing_once_it_does_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db") as outbox:
        outbox._database._connection.execute("PRAGMA query_only = ON")  # type: ignore[union-attr]
        await outbox.commit([event("a")], {"a": cued()})
        assert outbox.ledger["a"].state is State.CUED
        outbox._database._connection.execute("PRAGMA query_only = OFF")  # type: ignore[union-attr]
        await outbox.commit([event("b")])
        assert [one.slot for one in await held(outbox, 0)] == ["a", "b"]
    async with opened(tmp_path / "outbox.db") as outbox:
        assert "a" in outbox.ledger


WRITER = """
import asyncio, sys
from pathlib import Path
from devices.agent.memory.database import Database
from devices.agent.memory.ledger import Entry, Event, State
from devices.agent.memory.outbox import Outbox
from devices.messages import Outcome
from tests.fakes.clock import START

async def main():
    with Database(Path(sys.argv[1])) as database:
      async with Outbox(database, "box-1") as outbox:
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
    async with opened(path) as outbox:
        finished = {int(slot) for slot in outbox.ledger}
        assert finished >= set(range(last + 1))
        assert outbox.waiting == len(finished)  # an outcome and its receipt are one
        sequences: list[int] = []
        while receipts := await held(outbox, sequences[-1] if sequences else 0):
            sequences += [one.sequence for one in receipts]
        assert sequences == list(range(1, len(finished) + 1))


def test_the_file_is_synced_at_every_commit(tmp_path: Path) -> None:
    asyncio.run(_check_pragmas(tmp_path / "outbox.db"))


async def _check_pragmas(path: Path) -> None:
    async with opened(path) as outbox:
        database = outbox._database._connection
        assert isinstance(database, sqlite3.Connection)
        assert database.execute("PRAGMA synchronous").fetchone() == (2,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
