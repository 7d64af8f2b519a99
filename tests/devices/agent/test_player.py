"""The loop that makes the box sound: one turn after another on a clock that is set, with a disk that fails."""

import asyncio
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from devices import messages
from devices.agent.conduct.player import LONGEST_WAIT_S, Player
from devices.agent.conduct.playlists import Shelf
from devices.agent.memory.database import Database
from devices.agent.memory.ledger import State
from devices.agent.memory.outbox import Outbox
from devices.agent.sound.null import NullOutput
from devices.agent.sound.output import Cue
from devices.agent.timing.timekeeper import Timekeeper
from devices.messages import Outcome
from tests.devices.agent.conftest import Site, playlist, rules, running, slot
from tests.devices.agent.paper import FILES, A, second
from tests.fakes.clock import START, HandClock

Answer = TypeVar("Answer")


class Ear(NullOutput):
    """A silent output that remembers what it was told last, and how often it was told something."""

    def __init__(self) -> None:
        super().__init__()
        self.cues: tuple[Cue, ...] = ()
        self.told = 0
        self.undecodable: frozenset[str] = frozenset()

    def broken(self) -> frozenset[str]:
        return self.undecodable

    def play(self, cues: Sequence[Cue], now: datetime) -> None:
        super().play(cues, now)
        self.cues, self.told = tuple(cues), self.told + 1


class FullDisk(Database):
    """A database file on a disk that takes nothing while ``full``."""

    full = False

    async def write(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        return await super().write(work)


class Street:
    """A box without a line and a cache, and the hand on its clock."""

    def __init__(self, site: Site, clock: HandClock, directory: Path, database: FullDisk, outbox: Outbox) -> None:
        self.site = site
        self.clock = clock
        self.time = Timekeeper(clock)
        self.database = database
        self.outbox = outbox
        self.shelf = Shelf(directory / "playlist.jws", site.pinned)
        self.files: Mapping[str, Path] = FILES
        self.ear = Ear()
        self.distrusted: list[str] = []
        self.player = self.make()

    def make(self) -> Player:
        return Player(
            self.ear,
            shelf=self.shelf,
            files=lambda: self.files,
            outbox=self.outbox,
            clock=self.time,
            changed=lambda: None,
            distrust=self.distrusted.append,
        )

    def know_no_time(self) -> None:
        """Begin anew with a clock that nothing disciplines, and a floor."""
        self.clock.doubt = None
        self.time = Timekeeper(self.clock)
        self.player = self.make()
        self.time.saw(START)

    async def hold(self, *slots: messages.Slot, version: int = 1, keep: messages.Rules | None = None) -> None:
        needed = sorted({item.rendition for each in slots for item in each.items})
        said = tuple(
            messages.RenditionReference(digest=digest, size_bytes=1, duration=60, url="/a") for digest in needed
        )
        document = playlist(*slots, renditions=said, version=version, rules=keep)
        await self.shelf.put(self.site.seal(document), self.time.now())

    async def live(self, seconds: float) -> None:
        """Let time run on, and the player with it."""
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 0:
            self.clock.turn(min(await self.player.turn(), left))
        await self.player.turn()

    async def told(self, id_: str) -> list[tuple[Outcome, str | None]]:
        batch = await self.outbox.batch(0)
        return [(one.outcome, one.code) for one in batch.receipts if one.slot == id_]


@asynccontextmanager
async def street(site: Site, clock: HandClock, directory: Path) -> AsyncIterator[Street]:
    with FullDisk(directory / "outbox.db") as database:
        async with Outbox(database, "box-1") as outbox:
            assert isinstance(database, FullDisk)
            yield Street(site, clock, directory, database, outbox)


WHOLE = [(Outcome.STARTED, None), (Outcome.FINISHED, None)]


@running
async def test_what_sounds_is_not_touched_when_the_clock_is_set(site: Site, clock: HandClock, tmp_path: Path) -> None:
    async with street(site, clock, tmp_path) as here:
        await here.hold(slot("one", second(10), (A, 60)), slot("two", second(690), (A, 10)))
        await here.live(30)
        before = here.ear.cues
        assert here.time.holding
        clock.jump(600)
        await here.live(20)
        assert here.time.stepped == here.time.lag == timedelta(seconds=600)
        assert [(cue.slot, cue.begin, cue.end) for cue in here.ear.cues] == [
            (cue.slot, cue.begin, cue.end) for cue in before
        ]
        assert here.outbox.ledger["one"].shift_s == 600
        await here.live(21)
        assert here.time.lag == timedelta(seconds=0)
        assert not here.time.holding
        await here.live(100)
        assert await here.told("one") == await here.told("two") == WHOLE


@running
async def test_after_a_jump_back_nothing_sounds_twice(site: Site, clock: HandClock, tmp_path: Path) -> None:
    async with street(site, clock, tmp_path) as here:
        await here.hold(slot("one", second(10), (A, 20)))
        await here.live(60)
        clock.jump(-58)
        await here.live(100)
        assert await here.told("one") == WHOLE


@running
async def test_without_trust_it_is_silent_says_so_and_judges_later(
    site: Site, clock: HandClock, tmp_path: Path
) -> None:
    async with street(site, clock, tmp_path) as here:
        here.know_no_time()
        await here.hold(slot("one", second(10), (A, 20)), slot("two", second(100), (A, 20)))
        await here.live(50)
        assert here.player.silent == "clock"
        assert here.outbox.ledger == {}
        clock.doubt = 0.0
        await here.live(100)
        assert here.player.silent is None
        assert await here.told("one") == [(Outcome.MISSED, "clock")]
        assert await here.told("two") == WHOLE


@running
async def test_an_expired_playlist_is_a_reason_to_be_silent(site: Site, clock: HandClock, tmp_path: Path) -> None:
    async with street(site, clock, tmp_path) as here:
        await here.hold()
        await here.live(1)
        assert here.player.silent is None
        clock.turn(8 * 86_400)
        await here.live(1)
        assert here.player.silent == "expired"


@running
async def test_a_disk_that_takes_nothing_neither_silences_nor_repeats(
    site: Site, clock: HandClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with street(site, clock, tmp_path) as here:
        await here.hold(slot("one", second(10), (A, 20)), slot("two", second(40), (A, 20)))
        here.database.full = True
        with caplog.at_level(logging.WARNING):
            await here.live(35)
            clock.jump(-30)
            await here.live(70)
        assert [each.levelno for each in caplog.records if each.name.endswith("outbox")] == [logging.ERROR]
        assert {id_: entry.state for id_, entry in here.outbox.ledger.items()} == dict.fromkeys(
            ("one", "two"), State.FINISHED
        )
        here.database.full = False
        await here.hold(slot("three", second(100), (A, 10)), version=2)
        await here.live(60)
        assert await here.told("one") == await here.told("two") == await here.told("three") == WHOLE


@running
async def test_a_turn_in_which_nothing_is_due_asks_nothing_of_the_output(
    site: Site, clock: HandClock, tmp_path: Path
) -> None:
    async with street(site, clock, tmp_path) as here:
        await here.hold(slot("one", second(1000), (A, 20)))
        await here.live(1)
        told = here.ear.told
        await here.live(900)
        assert here.ear.told == told
        assert await here.player.turn() == LONGEST_WAIT_S
        await here.live(95)
        assert await here.player.turn() == pytest.approx(1), "exactly when it is to be cued"


@running
async def test_an_ordered_end_forgets_what_was_only_cued(site: Site, clock: HandClock, tmp_path: Path) -> None:
    """Who comes back an hour later plays it whole: nothing of it was heard."""
    async with street(site, clock, tmp_path) as here:
        await here.hold(slot("one", second(2), (A, 20)))
        task = asyncio.create_task(here.player.run())
        while "one" not in here.outbox.ledger:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert here.outbox.ledger == {}
        assert here.ear.cues == ()


@running
async def test_rules_bind_whatever_the_clock_said_when_the_playlist_came(
    site: Site, clock: HandClock, tmp_path: Path
) -> None:
    async with street(site, clock, tmp_path) as here:
        clock.jump(3600)
        here.time = Timekeeper(clock)
        here.player = here.make()
        await here.hold(slot("one", second(100), (A, 20)), keep=rules("00:00:00-00:00:00"))
        assert here.shelf.agenda is not None
        assert not here.shelf.agenda.refused, "it was over, as far as the box could know"
        clock.jump(-3600)
        await here.live(200)
        assert await here.told("one") == [(Outcome.REFUSED, "quiet_hours")]


@running
async def test_a_playlist_from_disk_did_not_come_in_the_future(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "playlist.jws"
    document = playlist(
        slot("one", second(100), (A, 20)),
        renditions=(messages.RenditionReference(digest=A, size_bytes=1, duration=60, url="/a"),),
        rules=rules("00:00:00-00:00:00"),
    )
    path.write_bytes(site.seal(document))
    future = datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    os.utime(path, (future, future))
    shelf = Shelf(path, site.pinned)
    await shelf.load()
    await shelf.came_by(START)
    assert shelf.agenda is not None
    assert [*shelf.agenda.refused] == ["one"]


@running
async def test_what_passed_without_trust_is_told_though_a_playlist_comes_that_knows_nothing_of_it(
    site: Site, clock: HandClock, tmp_path: Path
) -> None:
    async with street(site, clock, tmp_path) as here:
        here.know_no_time()
        await here.hold(slot("one", second(10), (A, 20)), slot("two", second(100), (A, 20)))
        await here.live(300)
        needed = (messages.RenditionReference(digest=A, size_bytes=1, duration=60, url="/a"),)
        later = playlist(renditions=needed, version=2, issued=second(290))
        await here.shelf.put(site.seal(later), here.time.now())
        await here.live(5)
        clock.doubt = 0.0
        await here.live(20)
        assert await here.told("one") == await here.told("two") == [(Outcome.MISSED, "clock")]
        assert here.shelf.agenda is not None
        assert here.shelf.agenda.former == ()


@running
async def test_what_passed_without_trust_did_not_come_late_because_a_playlist_names_it_again(
    site: Site, clock: HandClock, tmp_path: Path
) -> None:
    async with street(site, clock, tmp_path) as here:
        here.know_no_time()
        await here.hold(slot("one", second(10), (A, 20)))
        await here.live(300)
        await here.hold(slot("one", second(10), (A, 20)), version=2)
        clock.doubt = 0.0
        await here.live(20)
        assert await here.told("one") == [(Outcome.MISSED, "clock")]


@running
async def test_what_passed_under_an_earlier_playlist_is_not_forgotten_with_it(site: Site, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "playlist.jws", site.pinned)
    await shelf.put(site.seal(playlist()), START)
    await shelf.put(site.seal(playlist(version=2, issued=START)), START)
    assert shelf.agenda is not None
    assert shelf.agenda.history == START - timedelta(hours=1)


@running
async def test_what_cannot_be_decoded_is_checked_and_plays_again_once_it_is_whole(
    site: Site, clock: HandClock, tmp_path: Path
) -> None:
    async with street(site, clock, tmp_path) as here:
        await here.hold(slot("one", second(10), (A, 60)))
        await here.live(8)
        here.ear.undecodable = frozenset({A})
        await here.live(4)
        assert here.distrusted == [A]
        assert here.player.broken == {A}
        here.ear.undecodable, here.files = frozenset(), {}
        await here.live(3)
        here.files = FILES
        await here.live(80)
        assert (await here.told("one"))[0] == (Outcome.STARTED, None)
