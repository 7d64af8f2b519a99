"""The server's session with the broker, over one in memory: what goes out, what comes in, lines that fall."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from broadcaster.publisher.intake import Intake
from broadcaster.publisher.session import Publisher
from broadcaster.store.records import Publication
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup, Wakeups
from devices import messages, topics, trust
from devices.envelope import SigningKey, seal
from devices.link import Address
from devices.messages import Outcome
from tests.broadcaster.commune import NOW, enrolled, receipt, receipts, settle_commune, status
from tests.fakes.link import FakeBroker
from tests.fakes.store import MemoryDefinitions, MemoryJournal

PATIENCE_S = 10


@dataclass
class Site:
    """A server's store and key, a box, a broker and the session between them."""

    store: Store
    key: SigningKey = field(default_factory=SigningKey.generate)
    broker: FakeBroker = field(default_factory=FakeBroker)

    def publish(self, cluster: str, version: int) -> None:
        """Do as the planner does."""
        envelope = b"%s-%d" % (cluster.encode(), version)
        publication = Publication(cluster=cluster, version=version, content="", issued_at=NOW, envelope=envelope)
        self.store.journal.store_publications([publication])
        self.store.wakeups.wake(Wakeup.PUBLISH)

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
            store=self.store, intake=intake, key=self.key, address=address, connect=self.broker.connect
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
            site.say(status(playlist=3), box)  # its disk was exchanged
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
