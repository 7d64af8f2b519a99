"""A worn card, or somebody's hand: what is readable stays, the chain begins anew there, and the server is told."""

import asyncio
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broadcaster.store.chains import BROKEN
from devices.agent.cli import app
from devices.agent.memory.checking import check
from devices.agent.memory.database import Database
from devices.agent.memory.ledger import Event
from devices.agent.memory.log import lines, reading, verify
from devices.agent.memory.outbox import Outbox
from devices.envelope import SigningKey
from devices.messages import Outcome, Receipts
from tests.devices.agent.conftest import MediaServer, running
from tests.fakes.clock import START
from tests.fakes.store import MemoryJournal

BOX = "box-1"


def events(*slots: int) -> Iterable[Event]:
    return [Event(outcome=Outcome.STARTED, at=START, slot=str(slot), offset=1 / 3) for slot in slots]


async def filled(path: Path, journal: MemoryJournal) -> None:
    """Ten receipts in the file; the first three are stored and acknowledged."""
    with Database(path) as database:
        async with Outbox(database, BOX) as outbox:
            await outbox.commit(events(1, 2, 3))
            await send(outbox, journal)
            await outbox.acknowledge(3)
            await outbox.commit(events(*range(4, 11)))


async def send(outbox: Outbox, journal: MemoryJournal) -> list[int | None]:
    """Send all that is held, as ``Reports`` does; return where each message was found not to fit."""
    found: list[int | None] = []
    sent = 0
    while (batch := await outbox.batch(sent)).receipts:
        message = Receipts(
            box=BOX,
            cluster="c",
            oldest=batch.oldest,
            receipts=batch.receipts,
            previous=batch.previous,
            dropped=batch.dropped or None,
        )
        found.append(journal.store_receipts(message, received_at=START).broken)
        sent = batch.receipts[-1].sequence
    return found


def by_hand(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as hand:
        hand.execute(statement)
    hand.close()


@running
async def test_a_log_that_nobody_touched_fits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, journal = tmp_path / "outbox.db", MemoryJournal()
    await filled(path, journal)
    with Database(path) as database:
        async with Outbox(database, BOX) as outbox:
            assert database.read(lambda connection: check(connection, BOX)).whole
            assert await send(outbox, journal) == [None]
            await outbox.commit(events(11))
            assert await send(outbox, journal) == [None]
    assert journal.last_sequence() == 0
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    ("statement", "breaks", "held"),
    [
        ("UPDATE receipts SET body = replace(body, 'started', 'missed') WHERE sequence = 6", [6], 7),
        ("UPDATE receipts SET body = '{\"id' WHERE sequence = 6", [7], 6),
        ("UPDATE receipts SET body = CAST(x'7bff' AS TEXT) WHERE sequence = 6", [7], 6),
        ("UPDATE receipts SET chain = 'ab' WHERE sequence = 6", [6], 7),
        ("DELETE FROM receipts WHERE sequence = 6", [7], 6),
        ("DELETE FROM receipts WHERE sequence IN (4, 6)", [4], 5),
        ("DELETE FROM receipts WHERE sequence > 8", [11], 5),
        ("UPDATE boxes SET chain = printf('%064d', 7)", [11], 7),
    ],
)
@running
async def test_where_it_does_not_fit_a_new_chain_begins_and_the_server_learns_it_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, statement: str, breaks: list[int], held: int
) -> None:
    path, journal = tmp_path / "outbox.db", MemoryJournal()
    await filled(path, journal)
    by_hand(path, statement)
    with Database(path) as database:
        async with Outbox(database, BOX) as outbox:
            assert outbox.waiting == held
            await outbox.commit(events(11))
            found = await send(outbox, journal)
            assert [sequence for sequence in found if sequence is not None] == breaks
            assert await send(outbox, journal) == [None] * len(found)
            await outbox.acknowledge(10)
        assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
        async with Outbox(database, BOX) as outbox:
            await outbox.commit(events(12))
            assert await send(outbox, journal) == [None]
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    assert [fact.body["sequence"] for fact in journal.facts(kind=BROKEN, subject=BOX)] == breaks
    assert journal._through[BOX] == 12


@running
async def test_an_old_copy_of_the_file_put_back_is_found_out(tmp_path: Path) -> None:
    path, journal = tmp_path / "outbox.db", MemoryJournal()
    await filled(path, journal)
    copy = path.read_bytes()
    with Database(path) as database:
        async with Outbox(database, BOX) as outbox:
            await outbox.commit(events(11, 12, 13))
            assert await send(outbox, journal) == [None]
    path.write_bytes(copy)
    with Database(path) as database:
        async with Outbox(database, BOX) as outbox:
            await outbox.commit(events(11, 12, 13))
            await send(outbox, journal)
            await outbox.acknowledge(13)
            await outbox.commit(events(14))
            assert await send(outbox, journal) == [14]


@running
async def test_the_log_says_what_is_held_while_the_box_runs(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    await filled(path, MemoryJournal())
    with Database(path) as database:
        async with Outbox(database, BOX) as outbox:
            with reading(path) as log:
                said = list(lines(log, BOX))
                assert said[0] == "4 2026-03-02T22:00:00.000000Z started slot=4 offset=0.333333"
                assert len(said) == 7
                assert verify(log, BOX) == (True, "The chain is whole.")
            await outbox.commit(events(11))
    by_hand(path, "DELETE FROM receipts WHERE sequence = 6")
    with reading(path) as log:
        assert verify(log, BOX) == (False, "The chain is not whole: break=7 missing=6-6")


def test_the_command_prints_it_and_exits_with_1_where_it_is_not_whole(media: MediaServer, tmp_path: Path) -> None:
    home = tmp_path / "box"
    keys = [SigningKey.generate().public().to_jwk()]
    media.answer = json.dumps({"box": BOX, "cluster": "c", "broker": {"port": 9}, "playlist_keys": keys}).encode()
    CliRunner().invoke(app, ["enrol", "--server", media.url, "--code", "CODE", "--dir", str(home)])
    before = CliRunner().invoke(app, ["log", "--dir", str(home)])
    assert (before.exit_code, "has not run yet" in before.stderr) == (2, True)
    asyncio.run(filled(home / "outbox.db", MemoryJournal()))
    whole = CliRunner().invoke(app, ["log", "--dir", str(home)])
    assert (whole.exit_code, len(whole.stdout.splitlines())) == (0, 8)
    by_hand(home / "outbox.db", "DELETE FROM receipts WHERE sequence = 6")
    broken = CliRunner().invoke(app, ["log", "--dir", str(home)])
    assert (broken.exit_code, broken.stdout.splitlines()[-1]) == (1, "The chain is not whole: break=7 missing=6-6")
    (home / "outbox.db").write_bytes(b"torn" * 5000)
    torn = CliRunner().invoke(app, ["log", "--dir", str(home)])
    assert (torn.exit_code, "cannot be read" in torn.stderr) == (2, True)
