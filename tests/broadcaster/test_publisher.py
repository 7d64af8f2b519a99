"""The server's session with the broker, over one in memory: what goes out, what comes in, lines that fall."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest

from broadcaster.publisher.intake import Intake
from broadcaster.publisher.session import Publisher
from broadcaster.store.records import Publication
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup, Wakeups
from devices import messages, times, topics, trust
from devices.agent.timing.clock import Clock, SystemClock
from devices.envelope import SigningKey, seal
from devices.link import Address, Connect, Message, Session
from devices.messages import Outcome
from tests.broadcaster.commune import NOW, enrolled, receipt, receipts, settle_commune, status
from tests.fakes.clock import HandClock
from tests.fakes.link import FakeBroker
from tests.fakes.store import MemoryDefinitions, MemoryJournal

PATIENCE_S = 10
SECOND = timedelta(seconds=1)


@dataclass
class Site:
    """A server's store and key, a box, a broker and the session between them."""

    store: Store
    key: SigningKey = field(default_factory=SigningKey.generate)
    broker: FakeBroker = field(default_factory=FakeBroker)
    clock: Clock = field(default_factory=SystemClock)
    connect: Connect | None = None
    """How the broker is reached; None: as it is."""

    def publish(self, cluster: str, version: int) -> None:
        """Do as the planner does."""
        envelope = b"%s-%d" % (cluster.encode(), version)
        publication = Publication(cluster=cluster, version=version, content="", issued_at=NOW, envelope=envelope)
        self.store.journal.store_publications([publication])
        self.store.wakeups.wake(Wakeup.PUBLISH)

    def ask(self, box: SigningKey, nonce: str = "0" * 32, *, id: str = "box-1", on: str | None = None) -> None:
        """Ask for the time as a box does."""
        document = times.TimeRequest(box=id, nonce=nonce)
        self.broker.publish(topics.time_request(on or id), seal(document.to_bytes(), times.TIME_REQUEST, box))

    def pinned(self, box: str = "box-1") -> trust.Pinned:
        return trust.Pinned(box=box, cluster="nam-chanh-1", playlist_keys={self.key.kid: self.key.public()})

    @property
    def told(self) -> list[times.Time]:
        """Every answer that box-1 had."""
        return [trust.accept_time(raw, self.pinned()) for raw in self.broker.on(topics.time("box-1"))]

    @property
    def beacons(self) -> list[times.Beacon]:
        return [trust.accept_beacon(raw, self.pinned(), newest=None) for raw in self.broker.on(topics.beacon())]

    async def until_followed(self, box: str = "box-1") -> None:
        topic = topics.time_request(box)
        await self.until(lambda: any(topic in each.topics for each in self.broker.sessions))

    def say(self, document: messages.Status | messages.Receipts, box: SigningKey) -> None:
        """Send as a box does."""
        is_status = isinstance(document, messages.Status)
        kind = messages.STATUS if is_status else messages.RECEIPTS
        topic = (topics.status if is_status else topics.receipts)(document.box)
        self.broker.publish(topic, seal(document.to_bytes(), kind, box), retain=is_status)

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[Publisher]:
        intake = Intake(store=self.store)
        address = Address(host="broker", port=1883)
        publisher = Publisher(
            store=self.store,
            intake=intake,
            key=self.key,
            address=address,
            connect=self.connect or self.broker.connect,
            clock=self.clock,
        )
        task = asyncio.create_task(publisher.run())
        try:
            yield publisher
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not publisher.connected

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.002)

    async def until_sent(self, cluster: str, *versions: int) -> None:
        """Wait until exactly these versions went out for a cluster, in this order."""
        wanted = [b"%s-%d" % (cluster.encode(), version) for version in versions]
        await self.until(lambda: len(self.broker.on(topics.playlist(cluster))) >= len(wanted))
        assert self.broker.on(topics.playlist(cluster)) == wanted


class SlowJournal(MemoryJournal):
    """Takes no status until it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.free = Event(), Event()

    def store_status(self, status: messages.Status, *, received_at: datetime) -> None:
        self.entered.set()
        self.free.wait(PATIENCE_S)
        super().store_status(status, received_at=received_at)


@pytest.fixture
def site() -> Site:
    store = Store(definitions=MemoryDefinitions(), journal=MemoryJournal(), wakeups=Wakeups())
    settle_commune(store)
    return Site(store)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_what_is_published_goes_out_retained_and_once(site: Site) -> None:
    async def test() -> None:
        site.publish("nam-chanh-1", 1)
        async with site.publishing() as publisher:
            await site.until_sent("nam-chanh-1", 1)
            assert publisher.connected
            site.publish("ngan-ro-1", 1)
            await site.until_sent("ngan-ro-1", 1)
            site.publish("nam-chanh-1", 2)
            await site.until_sent("nam-chanh-1", 1, 2)
            await site.until_sent("ngan-ro-1", 1)
        assert site.broker.retained[topics.playlist("nam-chanh-1")] == b"nam-chanh-1-2"

    run(test())


def test_a_box_that_holds_it_is_not_sent_it_again(site: Site) -> None:
    async def test() -> None:
        box = enrolled(site.store)
        site.store.journal.store_status(status(playlist=4), received_at=NOW)
        site.publish("nam-chanh-1", 4)
        site.publish("ngan-ro-1", 1)
        async with site.publishing():
            await site.until_sent("ngan-ro-1", 1)
            assert site.broker.on(topics.playlist("nam-chanh-1")) == []
            site.say(status(playlist=3, at=NOW + SECOND), box)  # its disk was exchanged
            await site.until_sent("nam-chanh-1", 4)

    run(test())


def test_receipts_are_stored_and_then_acknowledged(site: Site) -> None:
    async def test() -> None:
        box = enrolled(site.store)
        async with site.publishing():
            await site.until(lambda: any(topics.receipts("box-1") in each.topics for each in site.broker.sessions))
            site.say(receipts(receipt(1, Outcome.STARTED), receipt(2, Outcome.FINISHED)), box)
            topic = topics.acknowledgement("box-1")
            await site.until(lambda: topic in site.broker.retained)
            assert site.store.journal.last_receipt() == 2
            pinned = trust.Pinned(box="box-1", cluster="nam-chanh-1", playlist_keys={site.key.kid: site.key.public()})
            assert trust.accept_acknowledgement(site.broker.retained[topic], pinned).through == 2
            site.say(receipts(receipt(2, Outcome.FINISHED)), box)
            await site.until(lambda: len(site.broker.on(topic)) == 2)
            assert site.store.journal.last_receipt() == 2

    run(test())


def test_a_box_that_is_enrolled_later_is_followed_too(site: Site) -> None:
    async def test() -> None:
        async with site.publishing():
            await site.until(lambda: len(site.broker.sessions) == 1)
            box = enrolled(site.store, "ngan-ro-1", "box-7")
            site.store.wakeups.wake(Wakeup.BOXES)
            [session] = site.broker.sessions
            await site.until(lambda: topics.status("box-7") in session.topics)
            site.say(status(box="box-7", cluster="ngan-ro-1", playlist=1), box)
            await site.until(lambda: "box-7" in site.store.journal.statuses())

    run(test())


def test_a_status_that_the_broker_kept_is_heard_after_a_restart(site: Site) -> None:
    async def test() -> None:
        box = enrolled(site.store)
        site.say(status(playlist=2, online=False), box)
        async with site.publishing():
            await site.until(lambda: "box-1" in site.store.journal.statuses())

    run(test())


def test_when_the_line_falls_it_dials_again_and_sends_what_a_broker_may_have_forgotten(site: Site) -> None:
    async def test() -> None:
        enrolled(site.store)
        site.publish("nam-chanh-1", 1)
        async with site.publishing() as publisher:
            await site.until_sent("nam-chanh-1", 1)
            site.broker.fall()
            site.broker.retained.clear()
            await site.until(lambda: not publisher.connected)
            site.publish("nam-chanh-1", 2)  # meanwhile
            dials = site.broker.dials
            await site.until(lambda: site.broker.dials > dials)
            site.broker.up = True
            await site.until_sent("nam-chanh-1", 1, 2)
            assert publisher.connected
            assert site.broker.retained[topics.playlist("nam-chanh-1")] == b"nam-chanh-1-2"

    run(test())


def test_what_nobody_confirmed_goes_to_a_broker_that_lost_it(site: Site) -> None:
    async def test() -> None:
        site.publish("ngan-ro-1", 1)
        async with site.publishing():
            await site.until_sent("ngan-ro-1", 1)
            for session in list(site.broker.sessions):
                session.fall("the broker was restarted")
            await site.until_sent("ngan-ro-1", 1, 1)

    run(test())


def test_a_stranger_on_the_line_changes_nothing(site: Site) -> None:
    async def test() -> None:
        box = enrolled(site.store)
        stranger = SigningKey.generate()
        async with site.publishing() as publisher:
            await site.until(lambda: any(topics.status("box-1") in each.topics for each in site.broker.sessions))
            site.say(status(playlist=9), stranger)
            site.broker.publish(topics.receipts("box-1"), b"\x00" * 1000)
            site.say(status(playlist=1), box)
            await site.until(lambda: "box-1" in site.store.journal.statuses())
            assert site.store.journal.statuses()["box-1"][1].playlist == 1
            assert dict(publisher.intake.refused) == {"unknown_key": 1, "malformed": 1}

    run(test())


def test_a_box_that_asks_is_told_the_time_once(site: Site) -> None:
    async def test() -> None:
        box = enrolled(site.store)
        async with site.publishing() as publisher:
            await site.until_followed()
            before = datetime.now(UTC)
            site.ask(box)
            await site.until(lambda: len(site.told) == 1)
            [told] = site.told
            assert told.nonce == "0" * 32
            assert before <= told.received <= told.sent <= datetime.now(UTC)
            assert topics.time("box-1") not in site.broker.retained
            site.ask(box)  # QoS 1 delivers twice, an attacker more often
            site.ask(box, "1" * 32)
            await site.until(lambda: len(site.told) == 2)
            assert site.told[1].nonce == "1" * 32
            assert publisher.intake.refused == {}

    run(test())


def test_the_time_is_told_while_a_store_is_slow(site: Site) -> None:
    """A question does not wait behind receipts on their way to the disk."""

    async def test() -> None:
        journal = SlowJournal()
        site.store = Store(definitions=site.store.definitions, journal=journal, wakeups=site.store.wakeups)
        box = enrolled(site.store)
        async with site.publishing():
            await site.until_followed()
            site.say(status(playlist=1), box)
            await site.until(journal.entered.is_set)
            site.ask(box)
            await site.until(lambda: len(site.told) == 1)
            assert journal.statuses() == {}
            journal.free.set()

    run(test())


def test_who_asks_too_often_is_told_eight_times_and_then_twice_a_second(site: Site) -> None:
    async def test() -> None:
        box = enrolled(site.store)
        async with site.publishing() as publisher:
            await site.until_followed()
            for number in range(40):
                site.ask(box, f"{number:032x}")
            await site.until(lambda: publisher.intake.refused["too_often"] >= 30)
            assert 8 <= len(site.told) <= 10

    run(test())


def test_nobody_else_is_told_the_time(site: Site) -> None:
    async def test() -> None:
        box, stranger = enrolled(site.store), SigningKey.generate()
        enrolled(site.store, "ngan-ro-1", "box-2")
        async with site.publishing() as publisher:
            await site.until_followed()
            site.ask(stranger)
            site.ask(box, id="box-2", on="box-1")
            site.broker.publish(topics.time_request("box-1"), b"what time is it?")
            sealed = seal(status().to_bytes(), messages.STATUS, box)
            site.broker.publish(topics.time_request("box-1"), sealed)
            await site.until(lambda: sum(publisher.intake.refused.values()) == 4)
            assert dict(publisher.intake.refused) == {
                "unknown_key": 1, "wrong_box": 1, "malformed": 1, "wrong_type": 1,
            }  # fmt: skip
            assert site.told == []
            site.store.definitions.boxes.change("box-1", lambda old: replace(old, retired_at=NOW))
            site.store.wakeups.wake(Wakeup.BOXES)
            await site.until(lambda: "box-1" not in publisher.times.keys)
            site.ask(box)
            await site.until(lambda: publisher.intake.refused["unknown_box"] == 1)

    run(test())


def test_each_session_calls_the_roll_when_it_can_hear_the_answers(site: Site) -> None:
    async def test() -> None:
        enrolled(site.store)
        async with site.publishing() as publisher:
            await site.until(lambda: len(site.beacons) == 1)
            assert any(topics.status("box-1") in each.topics for each in site.broker.sessions)
            await site.until(lambda: publisher.line_since is not None)
            assert publisher.line_since == site.beacons[0].at
            for session in list(site.broker.sessions):
                session.fall("the broker was restarted")
            await site.until(lambda: len(site.beacons) == 2)
            assert site.beacons[0].session != site.beacons[1].session
        assert publisher.line_since is None
        assert site.broker.retained[topics.beacon()] == site.broker.on(topics.beacon())[-1]

    run(test())


@dataclass
class SlowToSubscribe:
    """A session whose broker grants topics late."""

    session: Session
    granted: asyncio.Event

    async def subscribe(self, *topics: str) -> None:
        await self.granted.wait()
        await self.session.subscribe(*topics)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        await self.session.publish(topic, payload, retain=retain)

    def messages(self) -> AsyncIterator[Message]:
        return self.session.messages()


def test_no_roll_is_called_before_the_answers_can_be_heard(site: Site) -> None:
    async def test() -> None:
        enrolled(site.store)
        granted = asyncio.Event()

        @asynccontextmanager
        async def connect(address: Address, **how: Any) -> AsyncIterator[Session]:
            async with site.broker.connect(address, **how) as session:
                yield SlowToSubscribe(session, granted)

        site.connect = connect
        site.publish("nam-chanh-1", 1)
        async with site.publishing():
            await site.until_sent("nam-chanh-1", 1)
            assert site.beacons == []
            granted.set()
            await site.until(lambda: len(site.beacons) == 1)

    run(test())


def test_while_its_session_lasts_the_beacon_comes_every_ten_minutes(site: Site) -> None:
    async def test() -> None:
        clock = HandClock()
        site.clock = clock
        async with site.publishing():
            await site.until(lambda: len(site.beacons) == 1)
            for _ in range(3):
                clock.turn(599)
                await asyncio.sleep(0.01)
                before = len(site.beacons)
                clock.turn(1)
                await site.until(lambda before=before: len(site.beacons) == before + 1)  # type: ignore[misc]
        assert len({each.session for each in site.beacons}) == 1
        assert [each.at - site.beacons[0].at for each in site.beacons] == [600 * n * SECOND for n in range(4)]

    run(test())


def test_a_status_that_answers_the_roll_call_is_heard_whatever_its_clock_says(site: Site) -> None:
    async def test() -> None:
        box = enrolled(site.store)
        site.store.journal.store_status(status(at=NOW + 1000 * SECOND), received_at=NOW)
        async with site.publishing() as publisher:
            await site.until(lambda: len(site.beacons) == 1)
            site.say(status(at=NOW, playlist=1), box)
            await site.until(lambda: publisher.intake.refused["stale"] == 1)
            answer = status(at=NOW, playlist=2).model_copy(update={"session": site.beacons[0].session})
            site.say(answer, box)
            await site.until(lambda: site.store.journal.statuses()["box-1"][1].playlist == 2)

    run(test())
