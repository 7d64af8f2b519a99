"""The box on the line: what it believes, keeps, refuses and says, against a broker in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from devices import envelope, messages, times, topics
from devices.agent.conduct.playlists import Shelf
from devices.agent.memory.database import Database
from devices.agent.memory.ledger import Event
from devices.agent.memory.outbox import Outbox
from devices.agent.timing.timekeeper import Timekeeper
from devices.agent.wire.asking import ANSWER_S, AT_ONCE, MOST_S, OFTEN_FOR_S, OFTEN_S, Asking
from devices.agent.wire.inbox import MOST_REFUSALS, Inbox
from devices.agent.wire.line import Line
from devices.agent.wire.reports import PATIENCE_FIRST_S, PATIENCE_MOST_S, ROLL_CALL_S, STATUS_S, Reports
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
        self.keeper = Timekeeper(clock)
        self.broker = FakeBroker()
        self.key = SigningKey.generate()
        self.path = directory / "playlist.jws"
        self.shelf = Shelf(self.path, site.pinned)
        self.outbox = Outbox(Database(directory / "outbox.db"), "box-1")
        self.volume = 50
        self.free = 0
        self.accepted = 0
        self.trusted_then: bool | None = None
        """Whether the time was known when the last playlist was accepted."""
        self.reports = Reports(site.pinned, self.key, outbox=self.outbox, clock=clock, describe=self._describe)
        asking = Asking(site.pinned, self.key, clock=self.keeper)
        self.line = Line(
            Address(host="broker", port=1883),
            site.pinned,
            connect=self.broker.connect,
            inbox=Inbox(
                site.pinned,
                shelf=self.shelf,
                outbox=self.outbox,
                clock=self.keeper,
                asking=asking,
                accepted=self._accept,
                changed=self.reports.ring,
                called=self.reports.called,
            ),
            reports=self.reports,
            asking=asking,
            clock=clock,
        )

    def _accept(self) -> None:
        self.accepted += 1
        self.trusted_then = self.keeper.trusted

    def _describe(self) -> messages.Status:
        return messages.Status(box="box-1", cluster="ap-chau", at=self.keeper.now(), online=True, **self._said())

    def _said(self) -> dict[str, int]:
        return {"volume": self.volume, "free_bytes": self.free}

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
        await until(lambda: bool(self.broker.sessions) and len(self.broker.sessions[0].topics) == 4)

    @property
    def asked(self) -> list[times.TimeRequest]:
        return [
            accept_from_box(raw, times.TIME_REQUEST, times.TimeRequest, box="box-1", key=self.key.public())
            for raw in self.broker.on(topics.time_request("box-1"))
        ]

    def answer(self, *, at: datetime | None = None, nonce: str | None = None, box: str = "box-1") -> bytes:
        """Tell the time, as the server does."""
        true = at or self.clock.true
        document = times.Time(box=box, nonce=nonce or self.asked[-1].nonce, received=true, sent=true)
        raw = envelope.seal(document.to_bytes(), times.TIME, self.site.key)
        self.broker.publish(topics.time("box-1"), raw)
        return raw

    def beacon(self, session: str, *, at: datetime | None = None) -> bytes:
        document = times.Beacon(at=at or self.clock.true, session=session * 16)
        raw = envelope.seal(document.to_bytes(), times.BEACON, self.site.key)
        self.broker.publish(topics.beacon(), raw, retain=True)
        return raw


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
async def test_a_server_that_is_away_costs_one_message_now_and_then(scene: Scene, site: Site) -> None:
    async with scene.running():
        await scene.outbox.commit([Event(outcome=Outcome.STARTED, at=START, slot=str(n)) for n in range(250)])
        scene.reports.ring()
        await until(lambda: bool(scene.clock.turn(0.05) or len(scene.sent) == 250))
        scene.clock.turn(PATIENCE_FIRST_S)
        await until(lambda: bool(scene.clock.turn(0.05) or len(scene.batches) == 4))
        assert scene.batches[3].receipts == scene.batches[0].receipts
        scene.broker.publish(ACKNOWLEDGEMENT, site.seal_acknowledgement(100), retain=True)
        await until(lambda: bool(scene.clock.turn(0.05) or len(scene.batches) == 6))
        assert [one.sequence for batch in scene.batches[4:] for one in batch.receipts] == list(range(101, 251))
        scene.reports.called("f" * 16)
        await until(lambda: bool(scene.clock.turn(0.05) or len(scene.batches) == 7))


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
        assert 0.9 * STATUS_S - 1 <= scene.clock.monotonic() - told <= STATUS_S + 1


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


def blind(clock: HandClock) -> None:
    """Take the machine its time: nothing disciplines its clock, which began in 1970."""
    clock.doubt = None
    clock.jump(-56 * 365 * 86_400)


@running
async def test_it_asks_for_the_time_at_once_and_ever_more_rarely(tmp_path: Path, site: Site, clock: HandClock) -> None:
    blind(clock)
    scene = Scene(tmp_path, site, clock)
    asked_at: list[float] = []
    rounds = 30
    async with scene.running():
        while len(asked_at) < rounds * AT_ONCE:
            if len(scene.broker.on(topics.time_request("box-1"))) == len(asked_at):
                since = clock.monotonic() - asked_at[-1] if asked_at else 0.0
                clock.turn(min(max(since / 50, 0.02), 10.0))
                await asyncio.sleep(0)
                continue
            asked_at.append(clock.monotonic())
            scene.answer()
            await until(lambda: scene.keeper.trusted)
        assert abs(scene.keeper.now() - clock.true) < timedelta(milliseconds=200)
    begins = asked_at[::AT_ONCE]
    for begin, last in zip(begins, asked_at[AT_ONCE - 1 :: AT_ONCE], strict=True):
        assert last - begin < 0.5, "questions of one round come one after the other"
    pauses = [later - earlier for earlier, later in pairwise(begins)]
    wanted = 1.0
    for begin, pause in zip(begins, pauses, strict=False):
        assert 0.78 * wanted <= pause <= 1.05 * wanted + 0.3
        wanted = min(wanted * 2, OFTEN_S if begin + pause - begins[0] < OFTEN_FOR_S else MOST_S)
    assert wanted == MOST_S
    assert len({each.nonce for each in scene.asked}) == rounds * AT_ONCE


@running
async def test_an_answer_counts_once_and_only_if_it_was_asked_for(tmp_path: Path, site: Site, clock: HandClock) -> None:
    blind(clock)
    scene = Scene(tmp_path, site, clock)
    async with scene.running():
        await until(lambda: len(scene.asked) == 1)
        wrong = START + timedelta(days=365)
        scene.answer(at=wrong, nonce="0" * 32)
        other = Site(SigningKey.generate(), site.pinned)
        scene.site = other
        scene.answer(at=wrong)
        scene.site = site
        scene.answer(at=wrong, box="box-2")
        clock.turn(ANSWER_S + 0.1)
        await until(lambda: len(scene.asked) == 2)
        scene.answer(at=wrong, nonce=scene.asked[0].nonce)
        assert not scene.keeper.trusted
        right = scene.answer()
        await until(lambda: scene.keeper.trusted)
        for _ in range(5):
            clock.turn(0.1)
            scene.broker.publish(topics.time("box-1"), right)
        scene.broker.publish(topics.time("box-1"), b"noise")
        await until(lambda: bool(clock.turn(0.1) or "malformed" in [code for _, _, code in scene.sent]))
        assert scene.keeper.stepped > timedelta()
        assert abs(scene.keeper.now() - clock.true) < timedelta(milliseconds=1)
        assert [code for _, _, code in scene.sent] == ["unknown_key", "wrong_box", "malformed"]


@running
async def test_an_answer_does_not_wait_behind_what_is_stored(tmp_path: Path, site: Site, clock: HandClock) -> None:
    blind(clock)
    scene = Scene(tmp_path, site, clock)
    async with scene.running():
        await until(lambda: len(scene.asked) == 1)
        scene.send(one_slot())
        scene.answer()
        await until(lambda: scene.accepted == 1)
        assert scene.trusted_then, "the playlist came first, and was still on its way to the disk"


@running
async def test_a_line_that_falls_again_and_again_costs_one_question_each(
    tmp_path: Path, site: Site, clock: HandClock
) -> None:
    scene = Scene(tmp_path, site, clock)
    async with scene.running():
        for times in range(1, 7):
            await until(lambda times=times: bool(clock.turn(0.2) or len(scene.asked) >= times))  # type: ignore[misc]
            scene.answer()
            clock.turn(0.1)
            await scene_settles(scene)
        before = len(scene.asked)
        for _ in range(5):
            scene.broker.fall()
            scene.broker.up = True
            before += 1
            await until(lambda n=before: bool(clock.turn(0.2) or len(scene.asked) >= n))  # type: ignore[misc]
            scene.answer()
            clock.turn(0.1)
            await scene_settles(scene)
            assert len(scene.asked) == before


@running
async def test_the_roll_call_is_answered_once_within_twenty_seconds(scene: Scene) -> None:
    scene.beacon("a")
    async with scene.running():
        await until(lambda: len(scene.statuses) == 1)
        for session in ("a", "b"):
            if session == "b":
                scene.beacon(session)
            called, told = scene.clock.monotonic(), len(scene.statuses)
            await until(lambda told=told: bool(scene.clock.turn(0.1) or len(scene.statuses) > told))  # type: ignore[misc]
            assert scene.clock.monotonic() - called <= ROLL_CALL_S + 0.2
            assert scene.statuses[-1].session == session * 16
            scene.beacon(session)
            for _ in range(60):
                scene.clock.turn(1)
                await asyncio.sleep(0.001)
            assert len(scene.statuses) == told + 1, "the same session again is no call"


@running
async def test_an_old_beacon_makes_no_box_speak(scene: Scene) -> None:
    async with scene.running():
        await until(lambda: len(scene.statuses) == 1)
        old = scene.beacon("a")
        scene.clock.turn(60)
        scene.beacon("b")
        await until(lambda: bool(scene.clock.turn(0.1) or scene.statuses[-1].session == "b" * 16))
        told = len(scene.statuses)
        scene.broker.publish(topics.beacon(), old, retain=True)
        await until(lambda: bool(scene.clock.turn(0.1) or "rolled_back" in [code for _, _, code in scene.sent]))
        for _ in range(60):
            scene.clock.turn(1)
            await asyncio.sleep(0.001)
        assert len(scene.statuses) == told


@running
async def test_a_beacon_and_an_acknowledgement_say_how_late_it_is_at_least(
    tmp_path: Path, site: Site, clock: HandClock
) -> None:
    blind(clock)
    scene = Scene(tmp_path, site, clock)
    async with scene.running():
        await scene.up()
        scene.beacon("a", at=START - timedelta(days=3))
        await until(lambda: scene.keeper.now() >= START - timedelta(days=3))
        scene.broker.publish(ACKNOWLEDGEMENT, site.seal_acknowledgement(0))
        await until(lambda: scene.keeper.now() >= START)
        assert not scene.keeper.trusted, "how much later nobody knows"


@running
async def test_figures_that_always_change_are_no_reason_for_a_status(scene: Scene) -> None:
    async with scene.running():
        await until(lambda: len(scene.statuses) == 1)
        for _ in range(20):
            scene.free += 1 << 20
            scene.reports.ring()
            scene.clock.turn(1)
            await asyncio.sleep(0.001)
        assert len(scene.statuses) == 1
        scene.volume = 80
        scene.reports.ring()
        await until(lambda: bool(scene.clock.turn(0.05) or len(scene.statuses) == 2))
        assert scene.statuses[-1].free_bytes == 20 << 20
