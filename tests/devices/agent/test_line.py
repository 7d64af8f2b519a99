"""The box on the line: what it believes, keeps, refuses and says, against a broker in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from devices import messages, topics
from devices.agent.inbox import MOST_REFUSALS, Inbox
from devices.agent.ledger import Event
from devices.agent.line import Line
from devices.agent.outbox import Outbox
from devices.agent.playlists import Shelf
from devices.agent.reports import PATIENCE_FIRST_S, PATIENCE_MOST_S, STATUS_S, Reports
from devices.envelope import SigningKey
from devices.link import Address
from devices.messages import Outcome
from devices.trust import accept_from_box
from tests.devices.agent.conftest import Site, playlist, running, slot, until
from tests.fakes.clock import START, HandClock
from tests.fakes.link import FakeBroker

PLAYLIST = topics.playlist("ap-chau")
ACKNOWLEDGEMENT = topics.acknowledgement("box-1")
STATUS = topics.status("box-1")
RECEIPTS = topics.receipts("box-1")


class Scene:
    """A box without a player, its broker, and what the server would read of it."""

    def __init__(self, directory: Path, site: Site, clock: HandClock) -> None:
        self.site = site
        self.clock = clock
        self.broker = FakeBroker()
        self.key = SigningKey.generate()
        self.path = directory / "playlist.jws"
        self.shelf = Shelf(self.path, site.pinned)
        self.outbox = Outbox(directory / "outbox.db")
        self.volume = 50
        self.accepted = 0
        self.reports = Reports(site.pinned, self.key, outbox=self.outbox, clock=clock, describe=self._describe)
        self.line = Line(
            Address(host="broker", port=1883),
            site.pinned,
            connect=self.broker.connect,
            inbox=Inbox(
                site.pinned,
                shelf=self.shelf,
                outbox=self.outbox,
                clock=clock,
                accepted=self._accept,
                changed=self.reports.ring,
            ),
            reports=self.reports,
            clock=clock,
        )

    def _accept(self) -> None:
        self.accepted += 1

    def _describe(self) -> messages.Status:
        return messages.Status(box="box-1", cluster="ap-chau", at=self.clock.now(), online=True, volume=self.volume)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Scene"]:
        async with self.outbox:
            await self.shelf.load()
            task = asyncio.create_task(self.line.run())
            try:
                yield self
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def send(self, document: messages.Playlist) -> bytes:
        raw = self.site.seal(document)
        self.broker.publish(PLAYLIST, raw, retain=True)
        return raw

    @property
    def statuses(self) -> list[messages.Status]:
        return [
            accept_from_box(raw, messages.STATUS, messages.Status, box="box-1", key=self.key.public())
            for raw in self.broker.on(STATUS)
        ]

    @property
    def batches(self) -> list[messages.Receipts]:
        return [
            accept_from_box(raw, messages.RECEIPTS, messages.Receipts, box="box-1", key=self.key.public())
            for raw in self.broker.on(RECEIPTS)
        ]

    @property
    def sent(self) -> list[tuple[int, Outcome, str | None]]:
        return [(one.sequence, one.outcome, one.code) for batch in self.batches for one in batch.receipts]

    async def up(self) -> None:
        await until(lambda: bool(self.broker.sessions) and len(self.broker.sessions[0].topics) == 2)


@pytest.fixture
def scene(tmp_path: Path, site: Site, clock: HandClock) -> Scene:
    return Scene(tmp_path, site, clock)


def one_slot(version: int = 1) -> messages.Playlist:
    return playlist(slot("one", START + timedelta(minutes=5), ("a" * 64, 5.0)), version=version, renditions=(NOISE,))


NOISE = messages.RenditionReference(digest="a" * 64, size_bytes=1, duration=5.0, url="/media/a")


@running
async def test_a_playlist_is_on_disk_before_it_counts_and_is_acknowledged(scene: Scene) -> None:
    raw = scene.send(one_slot())
    async with scene.running():
        await until(lambda: bool(scene.clock.turn(0.05) or scene.sent == [(1, Outcome.ACCEPTED, None)]))
        assert scene.path.read_bytes() == raw
        assert scene.accepted == 1
        assert scene.shelf.agenda is not None
        assert scene.shelf.agenda.timeline.slots[0].end == START + timedelta(minutes=5, seconds=5)


@running
async def test_the_same_playlist_again_is_not_news(scene: Scene) -> None:
    raw = scene.send(one_slot())
    async with scene.running():
        await until(lambda: scene.accepted == 1)
        scene.broker.publish(PLAYLIST, raw)
        scene.send(one_slot(version=2))
        await until(lambda: scene.accepted == 2)
        await until(lambda: bool(scene.clock.turn(0.05) or len(scene.sent) == 2))


def forged(site: Site, held: bytes) -> list[tuple[str, bytes]]:
    other = Site(SigningKey.generate(), site.pinned)
    wrong = one_slot(3).model_copy(update={"cluster": "elsewhere"})
    return [
        ("unknown_key", other.seal(one_slot(3))),
        ("bad_signature", held[:-10] + (b"A" if held[-10:-9] != b"A" else b"B") + held[-9:]),
        ("malformed", b"speak!"),
        ("too_long", b"a" * 300_000),
        ("wrong_type", site.seal_acknowledgement(1)),
        ("wrong_cluster", site.seal(wrong)),
        ("rolled_back", site.seal(one_slot(1))),
        ("version_reused", site.seal(playlist(version=2))),
        ("expired", site.seal(playlist(version=3, expires=START))),
        ("bad_slots", site.seal(playlist(slot("x", START, ("b" * 64, 5.0)), version=3))),
    ]


@running
async def test_what_is_refused_changes_nothing_and_is_reported_once(scene: Scene, site: Site) -> None:
    held = scene.send(one_slot(2))
    async with scene.running():
        await until(lambda: scene.accepted == 1)
        agenda = scene.shelf.agenda
        attacks = forged(site, held)
        for _, raw in attacks * 3:
            scene.broker.publish(PLAYLIST, raw, retain=True)
        await until(lambda: bool(scene.clock.turn(0.05) or len(scene.sent) == 1 + len(attacks)))
        assert [code for _, outcome, code in scene.sent if outcome is Outcome.REFUSED] == [code for code, _ in attacks]
        assert scene.shelf.agenda is agenda
        assert scene.path.read_bytes() == held
        assert scene.accepted == 1


@running
async def test_a_flood_of_forgeries_cannot_push_out_real_receipts(scene: Scene) -> None:
    async with scene.running():
        await scene.up()
        for n in range(MOST_REFUSALS * 3):
            scene.broker.publish(PLAYLIST, f"forgery {n}".encode())
        scene.send(one_slot())
        await until(lambda: scene.accepted == 1)
        assert scene.outbox.waiting <= MOST_REFUSALS + 1


@running
async def test_the_held_playlist_survives_a_restart_even_expired(tmp_path: Path, scene: Scene, site: Site) -> None:
    scene.send(playlist(version=7, expires=START + timedelta(minutes=1)))
    async with scene.running():
        await until(lambda: scene.accepted == 1)
    again = Scene(tmp_path, site, HandClock(START + timedelta(days=30)))
    async with again.running():
        assert again.shelf.held is not None
        again.send(playlist(version=6, expires=START + timedelta(days=60)))
        await until(lambda: bool(again.clock.turn(0.05) or "rolled_back" in [code for _, _, code in again.sent]))


@running
async def test_receipts_leave_only_when_the_server_has_them(scene: Scene, site: Site) -> None:
    async with scene.running():
        await scene.outbox.commit([Event(outcome=Outcome.STARTED, at=START, slot=str(n)) for n in range(150)])
        scene.reports.ring()
        await until(lambda: bool(scene.clock.turn(0.05) or len(scene.sent) == 150))
        assert [len(batch.receipts) for batch in scene.batches] == [100, 50]
        assert scene.outbox.waiting == 150
        scene.broker.publish(ACKNOWLEDGEMENT, site.seal_acknowledgement(120), retain=True)
        await until(lambda: scene.outbox.waiting == 30)


@running
async def test_unacknowledged_receipts_are_sent_again_ever_more_patiently(scene: Scene) -> None:
    async with scene.running():
        await scene.outbox.commit([Event(outcome=Outcome.STARTED, at=START, slot="one")])
        scene.reports.ring()
        patience = PATIENCE_FIRST_S
        for times in range(1, 8):
            await until(lambda times=times: bool(scene.clock.turn(0.05) or len(scene.sent) == times))  # type: ignore[misc]
            await scene_settles(scene)
            scene.clock.turn(patience - 1)
            await scene_settles(scene)
            assert len(scene.sent) == times
            scene.clock.turn(1)
            patience = min(patience * 2, PATIENCE_MOST_S)


async def scene_settles(scene: Scene) -> None:
    """Let a whole round trip through the outbox's thread pass."""
    for _ in range(3):
        await scene.outbox.batch(0)


@running
async def test_after_the_line_fell_receipts_are_sent_again_at_once(scene: Scene) -> None:
    async with scene.running():
        await scene.outbox.commit([Event(outcome=Outcome.STARTED, at=START, slot="one")])
        scene.reports.ring()
        await until(lambda: bool(scene.clock.turn(0.05) or len(scene.sent) == 1))
        scene.broker.fall()
        scene.broker.up = True
        await until(lambda: bool(scene.clock.turn(0.1) or len(scene.sent) == 2))


@running
async def test_a_lost_line_is_tried_quickly_and_then_at_most_every_minute(scene: Scene) -> None:
    scene.broker.up = False
    dials = []
    async with scene.running():
        await until(lambda: scene.broker.dials == 1)
        for _ in range(12):
            before, at = scene.broker.dials, scene.clock.monotonic()
            await until(lambda before=before: bool(scene.clock.turn(0.5) or scene.broker.dials > before))  # type: ignore[misc]
            dials.append(scene.clock.monotonic() - at)
    assert dials[0] <= 2
    assert max(dials) <= 62
    assert dials[-1] >= 29


@running
async def test_the_status_is_told_at_once_on_change_and_regularly(scene: Scene) -> None:
    async with scene.running():
        await until(lambda: len(scene.statuses) == 1)
        scene.reports.ring()  # nothing has changed
        scene.volume = 80
        scene.reports.ring()
        await until(lambda: bool(scene.clock.turn(0.05) or len(scene.statuses) == 2))
        assert [status.volume for status in scene.statuses] == [50, 80]
        told = scene.clock.monotonic()
        await until(lambda: bool(scene.clock.turn(0.5) or len(scene.statuses) == 3))
        assert scene.clock.monotonic() - told == pytest.approx(STATUS_S, abs=2)


@running
async def test_the_will_and_the_goodbye_say_that_the_box_is_offline(scene: Scene) -> None:
    async with scene.running():
        await until(lambda: len(scene.statuses) == 1)
        scene.broker.fall()
        assert scene.statuses[-1].online is False
        scene.broker.up = True
        await until(lambda: bool(scene.clock.turn(0.1) or scene.statuses[-1].online))
    assert scene.statuses[-1].online is False
    assert scene.broker.sessions == []
