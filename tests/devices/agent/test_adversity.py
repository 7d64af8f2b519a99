"""Faults that come together: a wait that ends while the disk fails, a broken file on a card that is read-only."""

import asyncio
import os
import resource
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from devices import topics
from devices.agent import settings
from devices.agent.cabinet import commands
from devices.agent.cabinet.amplifier import Amplifier
from devices.agent.cabinet.commands import CommandError
from devices.agent.conduct.playlists import Agenda, Shelf
from devices.agent.memory import held
from devices.agent.memory.checking import check
from devices.agent.memory.database import Database
from devices.agent.memory.ledger import Entry, Event, State
from devices.agent.memory.outbox import Outbox
from devices.agent.supply.folder import Folder, free_bytes
from devices.agent.timing.timekeeper import Timekeeper
from devices.agent.wire.asking import Asking
from devices.agent.wire.inbox import Inbox
from devices.envelope import SigningKey
from devices.link import Message
from devices.messages import MOST_DROPPED, Outcome
from devices.trust import Accepted
from tests.devices.agent.conftest import Site, playlist, reference, running
from tests.fakes.clock import START, HandClock

Answer = TypeVar("Answer")


class Disk(Database):
    """Takes nothing while it is full."""

    full = False

    async def write(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        full = self.full

        def tried(connection: sqlite3.Connection) -> Answer:
            if full:
                raise sqlite3.OperationalError("database or disk is full")
            return work(connection)

        return await super().write(tried)


def event(slot: str) -> Event:
    return Event(outcome=Outcome.FINISHED, at=START, slot=slot)


def line(state: State) -> Entry:
    return Entry(state=state, ends=START + timedelta(hours=1))


@asynccontextmanager
async def a_full_disk(path: Path) -> AsyncIterator[tuple[Disk, Outbox]]:
    disk = Disk(path)
    with disk:
        async with Outbox(disk, "box-1") as outbox:
            disk.full = True
            yield disk, outbox


async def slots_in(outbox: Outbox) -> list[str | None]:
    return [receipt.slot for receipt in (await outbox.batch(0)).receipts]


@running
async def test_a_line_that_falls_while_a_full_disk_is_tried_loses_no_receipt(tmp_path: Path) -> None:
    async with a_full_disk(tmp_path / "outbox.db") as (disk, outbox):
        await outbox.commit([event("before")])
        impatient = asyncio.create_task(outbox.commit([event("cut")]))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait([impatient])
        while outbox.waiting < 2:
            await asyncio.sleep(0.001)
        disk.full = False
        await outbox.commit([event("after")])
        assert await slots_in(outbox) == ["before", "cut", "after"]


@running
async def test_what_a_full_disk_did_not_take_never_overwrites_what_came_later(tmp_path: Path) -> None:
    async with a_full_disk(tmp_path / "outbox.db") as (disk, outbox):
        await outbox.commit(entries={"a": line(State.CUED)})
        other = asyncio.create_task(outbox.commit([event("b")]))  # takes the line along, and fails with it
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        disk.full = False
        await outbox.commit(entries={"a": line(State.INTERRUPTED)})
        await other
        await outbox.commit()
        on_disk = disk.read(lambda connection: held.read_ledger(connection, "box-1"))
        assert on_disk["a"].state is State.INTERRUPTED


class StallingShelf(Shelf):
    """The first playlist takes its time to reach the disk."""

    def __init__(self, path: Path, site: Site) -> None:
        super().__init__(path, site.pinned)
        self.stalls, self.go_on, self.stores = threading.Event(), threading.Event(), 0

    def _store(self, accepted: Accepted, now: datetime) -> Agenda:
        first = not self.stalls.is_set()
        if first:
            self.stalls.set()
            self.go_on.wait(5)
        try:
            return super()._store(accepted, now)
        finally:
            self.stores += 1


class Hears:
    """A session over which one message comes."""

    def __init__(self, raw: bytes) -> None:
        self._message = Message(topic=topics.playlist("ap-chau"), payload=raw, retained=True)

    async def subscribe(self, *_: str) -> None: ...

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None: ...

    async def messages(self) -> AsyncIterator[Message]:
        yield self._message
        await asyncio.Event().wait()


@running
async def test_a_line_that_falls_while_a_playlist_is_stored_leaves_the_newest_on_the_disk(
    tmp_path: Path, site: Site, clock: HandClock
) -> None:
    shelf, keeper = StallingShelf(tmp_path / "playlist.jws", site), Timekeeper(clock)
    with Database(tmp_path / "outbox.db") as database:
        async with Outbox(database, "box-1") as outbox:
            asking = Asking(site.pinned, SigningKey.generate(), clock=keeper)
            inbox = Inbox(
                site.pinned,
                shelf=shelf,
                outbox=outbox,
                clock=keeper,
                asking=asking,
                accepted=lambda: None,
                changed=lambda: None,
                called=lambda _: None,
            )
            cut = asyncio.create_task(inbox.read(Hears(site.seal(playlist(version=5)))))
            await asyncio.to_thread(shelf.stalls.wait, 5)
            cut.cancel()
            await asyncio.wait([cut])
            newer = asyncio.create_task(inbox.read(Hears(site.seal(playlist(version=6)))))
            await asyncio.sleep(0.05)
            shelf.go_on.set()
            async with asyncio.timeout(5):
                while shelf.stores < 2 or shelf.held is None or shelf.held.version < 6:
                    await asyncio.sleep(0.001)
            newer.cancel()
            await asyncio.wait([newer])
    again = Shelf(tmp_path / "playlist.jws", site.pinned)
    await again.load()
    assert again.held is not None
    assert again.held.version == 6


@running
async def test_a_broken_file_that_cannot_be_moved_aside_does_not_keep_the_box_from_playing(tmp_path: Path) -> None:
    path = tmp_path / ("o" * 240)  # as on a read-only disk: it has no room for a longer name
    path.write_bytes(b"torn" * 5000)
    with Database(path) as database:
        async with Outbox(database, "box-1") as outbox:
            await outbox.commit([event("a")], {"a": line(State.STARTED)})
            assert outbox.ledger["a"].state is State.STARTED
            assert outbox.waiting == 1


@running
async def test_a_file_with_more_holes_than_one_message_tells_still_gives_messages(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with Database(path) as database:
        async with Outbox(database, "box-1") as outbox:
            await outbox.commit([event(str(n)) for n in range(4 * MOST_DROPPED)])
    with closing(sqlite3.connect(path)) as by_hand:
        by_hand.execute("UPDATE receipts SET body = 'x' WHERE sequence % 3 = 0")
        by_hand.commit()
    with Database(path) as database:
        async with Outbox(database, "box-1") as outbox:
            batch = await outbox.batch(0)
            assert len(batch.dropped) <= MOST_DROPPED
            assert batch.receipts
            assert not database.read(lambda connection: check(connection, "box-1")).broken


@running
async def test_an_old_acknowledgement_again_writes_nothing(tmp_path: Path) -> None:
    with Database(tmp_path / "outbox.db") as database:
        async with Outbox(database, "box-1") as outbox:
            await outbox.commit([event("a"), event("b")])
            assert await slots_in(outbox) == ["a", "b"]
            await outbox.acknowledge(1)
            before = database.read(lambda connection: connection.total_changes)
            await outbox.acknowledge(1)
            assert database.read(lambda connection: connection.total_changes) == before
            assert await slots_in(outbox) == ["b"]


@asynccontextmanager
async def no_files_left() -> AsyncIterator[None]:
    """Let the process open no file more."""
    os.close(free := os.dup(0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@running
async def test_a_process_with_too_many_open_files_deletes_no_rendition(tmp_path: Path) -> None:
    folder, promised = Folder(tmp_path, free_bytes), reference(b"one", 1.0)
    folder.whole(promised.digest).write_bytes(b"one")
    async with no_files_left():
        assert not folder.verify(promised)
    assert folder.verify(promised)


@running
async def test_a_command_that_finds_no_file_to_speak_through_is_said_to_have_failed() -> None:
    async with no_files_left():
        with pytest.raises(CommandError, match="cannot be started"):
            await commands.run(["true"])


@running
async def test_an_amplifier_whose_loop_failed_while_it_was_switched_off_is_switched_off_again(clock: HandClock) -> None:
    done: list[str] = []

    async def relay(command: Sequence[str]) -> str:
        done.append(command[0])
        if len(done) == 1:
            raise RuntimeError("a mistake that nobody foresaw")
        return ""

    asked = settings.Amplifier.model_validate({"on": ["on"], "off": ["off"]})
    amplifier = Amplifier(asked, sounding=lambda _: None, clock=clock, changed=lambda: None, run=relay)
    with pytest.raises(RuntimeError):
        await amplifier.run()
    again = asyncio.create_task(amplifier.run())
    while amplifier.state is None and not again.done() and len(done) < 2:
        clock.turn(1.0)
        await asyncio.sleep(0)
        if clock.monotonic() > 60:
            break
    again.cancel()
    await asyncio.wait([again])
    assert done == ["off", "off"]
