"""Following what happens, without losing any of it."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from broadcaster.flow.prepare import Preparation
from broadcaster.store.records import Sound
from broadcaster.wakeups import Wakeup
from devices.messages import Outcome
from tests.broadcaster.commune import ADMIN, NOW, receipt, receipts
from tests.broadcaster.conftest import Commune
from tests.fakes.asgi import Event, Stream

SIGNED_IN = {"Authorization": f"Bearer {ADMIN.id}"}
EVENTS = "/api/v1/events"


def store_receipt(commune: Commune, sequence: int) -> None:
    said = receipts(receipt(sequence, Outcome.FINISHED, slot="p@1", heard=3.0))
    commune.store.journal.store_receipts(said, received_at=NOW)


def tell(commune: Commune, number: int) -> None:
    commune.store.record("zone.added", f"z{number}", by=ADMIN.id, at=NOW, number=number)


async def listening(commune: Commune, stream: Stream) -> None:
    """Return when the application has begun to answer: what comes later is new to it."""
    async with asyncio.timeout(10):
        while stream.answer.status == 0:
            await asyncio.sleep(0.001)


def test_facts_receipts_and_progress_come_as_they_happen(commune: Commune, sound: Sound) -> None:
    tell(commune, 0)  # before anybody listens

    async def follow() -> None:
        async with commune.browser.follow(EVENTS, headers={**SIGNED_IN, "Last-Event-ID": "1-0"}) as stream:
            await listening(commune, stream)
            assert stream.answer.headers["content-type"].startswith("text/event-stream")
            tell(commune, 1)
            fact = await stream.next()
            assert (fact.id, fact.kind) == ("2-0", "zone.added")
            assert fact.data == {"subject": "z1", "at": NOW.isoformat(), "by": ADMIN.id, "number": 1}
            store_receipt(commune, 1)
            commune.store.wakeups.wake(Wakeup.NEWS)
            told = await stream.next()
            assert (told.id, told.kind) == ("2-1", "receipt")
            assert (told.data["box"], told.data["slot"], told.data["heard_s"]) == ("box-1", "p@1", 3.0)
            commune.context.preparation = cast(Preparation, SimpleNamespace(progress={sound.id: 0.256}))
            commune.store.wakeups.wake(Wakeup.NEWS)
            progress = await stream.next()
            assert (progress.kind, progress.data) == ("sound.progress", {"subject": sound.id, "progress": 0.26})

    commune.run(follow())


def test_who_comes_back_misses_nothing_and_hears_nothing_twice(commune: Commune) -> None:
    async def read(count: int, since: str) -> list[Event]:
        async with commune.browser.follow(EVENTS, headers={**SIGNED_IN, "Last-Event-ID": since}) as stream:
            return [await stream.next() for _ in range(count)]

    for number in range(1, 251):
        tell(commune, number)
        if number % 2:
            store_receipt(commune, number // 2 + 1)
    whole = commune.run(read(375, "0-0"))
    assert [event.data["number"] for event in whole if event.kind == "zone.added"] == list(range(1, 251))
    assert len({event.data["id"] for event in whole if event.kind == "receipt"}) == 125
    for cut in (1, 99, 100, 101, 230, 374):
        rest = commune.run(read(375 - cut, whole[cut - 1].id))
        said = [(event.kind, event.data) for event in (*whole[:cut], *rest)]
        assert len(said) == 375
        assert {str(each) for each in said} == {str((event.kind, event.data)) for event in whole}


@pytest.mark.parametrize("since", ["", "nonsense", "-1-5", "1-2-3", "9" * 40 + "-1"])
def test_without_a_place_to_go_on_from_it_begins_now(commune: Commune, since: str) -> None:
    tell(commune, 1)

    async def follow() -> None:
        async with commune.browser.follow(EVENTS, headers={**SIGNED_IN, "Last-Event-ID": since}) as stream:
            await listening(commune, stream)
            tell(commune, 2)
            assert (await stream.next()).data["number"] == 2

    commune.run(follow())


def test_a_server_that_stops_lets_its_listeners_go(commune: Commune) -> None:
    async def follow() -> None:
        async with commune.browser.follow(EVENTS, headers=SIGNED_IN) as stream:
            await listening(commune, stream)
            commune.context.closing = True
            commune.store.wakeups.wake(Wakeup.NEWS)
            await stream.ended()

    commune.run(follow())


def test_nobody_follows_without_a_session(commune: Commune) -> None:
    commune.refused("GET", EVENTS, 401, "not_signed_in", token=None)
    commune.clock.turn(days=31)
    commune.refused("GET", EVENTS, 401, "not_signed_in")
    assert commune.clock.now - NOW == timedelta(days=31)
