"""The file that boxes share: commits go to disk together, and a broken file is replaced by what could be saved."""

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from devices.agent.memory.database import Database
from devices.agent.memory.ledger import Entry, Event, State
from devices.agent.memory.outbox import Outbox
from devices.messages import Outcome
from tests.devices.agent.conftest import running
from tests.fakes.clock import START

LINE = Entry(state=State.FINISHED, ends=START + timedelta(days=1))


def events(*slots: str) -> list[Event]:
    return [Event(outcome=Outcome.FINISHED, at=START, slot=slot) for slot in slots]


def broken_files(directory: Path) -> list[Path]:
    return list(directory.glob("outbox.db.broken-*"))


@running
async def test_boxes_that_commit_at_once_share_their_syncs(tmp_path: Path) -> None:
    said: list[str] = []
    with Database(tmp_path / "outbox.db") as database:
        boxes = [Outbox(database, f"box-{n}") for n in range(300)]
        await asyncio.gather(*(box.__aenter__() for box in boxes))
        database.read(lambda connection: connection.set_trace_callback(said.append))
        await asyncio.gather(*(box.commit(events("a", "b"), {"a": LINE}) for box in boxes))
        assert said.count("COMMIT") <= 2
        assert {(box.last, box.waiting) for box in boxes} == {(2, 2)}


@running
async def test_who_waits_no_longer_takes_nothing_from_the_others(tmp_path: Path) -> None:
    with Database(tmp_path / "outbox.db") as database:
        async with Outbox(database, "one") as one, Outbox(database, "two") as two:
            impatient = asyncio.create_task(one.commit(events("a")))
            patient = asyncio.create_task(two.commit(events("b")))
            await asyncio.sleep(0)
            impatient.cancel()
            await patient
            assert two.waiting == 1
            await one.commit(events("c"))
            assert [receipt.slot for receipt in (await one.batch(0)).receipts] == ["a", "c"]


@running
async def test_a_mistake_of_ours_reaches_whoever_made_it(tmp_path: Path) -> None:
    with Database(tmp_path / "outbox.db") as database:
        with pytest.raises(ZeroDivisionError):
            await database.write(lambda _: 1 // 0)
        assert await database.write(lambda connection: connection.execute("SELECT 7").fetchone()) == (7,)


@running
async def test_power_cut_while_a_broken_file_is_replaced_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with Database(path) as database:
        async with Outbox(database, "box-1") as outbox:
            await outbox.commit(events("a", "b"), {"a": LINE})
    path.rename(tmp_path / "outbox.db.broken-1")
    Database(path).close()
    with Database(path) as database:
        database.read(lambda _: None)
    with Database(path) as database:
        async with Outbox(database, "box-1") as outbox:
            assert (set(outbox.ledger), outbox.waiting) == ({"a"}, 2)


@running
async def test_a_card_that_breaks_every_file_does_not_fill_up(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with Database(path) as database:
        async with Outbox(database, "box-1") as outbox:
            for n in range(8):
                await outbox.commit(events(str(n)), {str(n): LINE})
                database.close()
                path.write_bytes(b"torn" * 5000)
            await outbox.commit(events("last"), {"last": LINE})
            assert set(outbox.ledger) == {*map(str, range(8)), "last"}
            assert outbox.last == 9
    assert len(broken_files(tmp_path)) <= 3
    with sqlite3.connect(path) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
