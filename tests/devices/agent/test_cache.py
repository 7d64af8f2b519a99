"""The box fetches ahead: in order, each at its moment, and again and again until it has it."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from devices.agent.supply import web
from devices.agent.supply.needs import Need, pause_s
from tests.devices.agent.conftest import reference, running, until
from tests.devices.agent.pantry import DAY_S, Held, digest_of, digests, settled
from tests.fakes.clock import START, HandClock


@pytest.fixture
def held(tmp_path: Path, clock: HandClock) -> Held:
    return Held(tmp_path, clock)


@running
async def test_the_cache_fetches_what_the_playlist_names(held: Held) -> None:
    held.wire.serve(b"one", b"two")
    async with held.running() as cache:
        held.hold(b"one", b"two")
        assert cache.missing == 2
        await held.have(b"one", b"two")
        assert cache.missing == 0
        assert [digest for _, digest in held.wire.asked] == [digest_of(b"one"), digest_of(b"two")]


@running
async def test_the_loop_sleeps_until_a_rendition_s_own_moment(held: Held) -> None:
    held.wire.serve(b"one")
    left_s = 4 * 3600.0
    need = Need(reference=reference(b"one", 1), start=START + timedelta(seconds=left_s))
    moment = pause_s("box-1", need, 0, START)
    assert moment > 20
    async with held.running():
        held.hold(b"one", after=left_s)
        await until(lambda: held.looks == 1)
        await settled()
        held.clock.turn(moment - 0.01)
        await settled()
        assert held.wire.asked == []
        held.clock.turn(0.02)
        await held.have(b"one")


@running
async def test_a_new_version_that_needs_it_sooner_brings_it_forward_and_one_that_needs_it_later_does_not(
    held: Held,
) -> None:
    held.wire.serve(b"one", b"two")
    async with held.running() as cache:
        held.hold(b"one", after=DAY_S)
        await until(lambda: held.looks == 1)
        held.hold(b"one", after=30, version=2)
        await held.have(b"one")
        assert held.clock.monotonic() == 0
        await settled()
        looks = held.looks
        held.hold(b"two", after=1000, version=3)
        await until(lambda: held.looks > looks)
        await settled()
        held.hold(b"two", after=10 * DAY_S, version=4)
        assert await held.turn_until(lambda: len(cache.files) == 2, 10) <= 1000 / 4


@running
async def test_an_emergency_interrupts_what_is_on_its_way(held: Held) -> None:
    held.wire.serve(b"long", b"flood")
    held.wire.stalls = digests([b"long"])
    async with held.running():
        held.hold(b"long")
        await until(lambda: len(held.wire.asked) == 1)
        held.hold(b"long", emergency=b"flood", version=2)
        await held.have(b"flood")
        held.wire.stalls.clear()
        await held.have(b"long")
        assert [digest for _, digest in held.wire.asked] == [digest_of(each) for each in (b"long", b"flood", b"long")]


@running
async def test_a_new_version_that_still_needs_it_first_does_not_interrupt_it(held: Held) -> None:
    held.wire.serve(b"long")
    held.wire.stalls = digests([b"long"])
    async with held.running():
        held.hold(b"long")
        await until(lambda: len(held.wire.asked) == 1)
        held.hold(b"long", version=2)
        await until(lambda: held.looks == 2)
        await settled()
        held.wire.stalls.clear()
        await held.have(b"long")
        assert len(held.wire.asked) == 1


@running
async def test_what_falls_due_sooner_interrupts_what_is_heard_later(held: Held) -> None:
    held.wire.serve(b"a", b"b")
    async with held.running():
        held.wire.error = web.WebError("no line")
        held.hold(b"a", b"b")
        await until(lambda: len(held.wire.asked) == 2)
        held.wire.error, held.wire.stalls = None, digests([b"b"])
        await held.turn_until(lambda: digest_of(b"a") in held.cache.files, 0.25)
        assert held.clock.monotonic() <= 2


@running
async def test_a_bad_rendition_is_reported_once_and_tried_again_later(held: Held) -> None:
    held.wire.content[digest_of(b"one")] = b"0ne"
    async with held.running() as cache:
        held.hold(b"one")
        await until(lambda: held.rejected == [digest_of(b"one")])
        await held.turn_until(lambda: len(held.wire.asked) == 3, 0.5)
        held.wire.serve(b"one")
        await held.turn_until(lambda: bool(cache.files), 0.5)
        assert held.rejected == [digest_of(b"one")]


@running
async def test_wrong_bytes_that_may_be_our_own_fault_are_reported_at_the_second_time(held: Held) -> None:
    held.path(b"one").with_suffix(".part").write_bytes(b"0n")
    held.wire.content[digest_of(b"one")] = b"0ne"
    async with held.running():
        held.hold(b"one")
        await until(lambda: len(held.wire.asked) == 1)
        await settled()
        assert held.rejected == []
        await held.turn_until(lambda: held.rejected == [digest_of(b"one")], 0.5)


@running
async def test_a_server_that_is_away_is_asked_less_and_less_often(held: Held) -> None:
    async with held.running():
        held.hold(b"one", after=30 * 86_400)
        await held.turn_until(lambda: len(held.wire.asked) == 1, 10)
        pauses = [
            await held.turn_until(lambda tries=tries: len(held.wire.asked) > tries, 0.5)  # type: ignore[misc]
            for tries in range(1, 8)
        ]
        assert pauses[0] < 3
        assert pauses[-1] > 30


@running
async def test_in_the_last_minute_it_is_asked_every_few_seconds(held: Held) -> None:
    async with held.running() as cache:
        held.hold(b"one", after=3600)
        await held.turn_until(lambda: held.clock.monotonic() >= 3540, 60)
        await held.turn_until(lambda: held.clock.monotonic() > 3590, 2)
        assert sum(3540 <= at <= 3600 for at, _ in held.wire.asked) >= 9
        held.wire.serve(b"one")
        await held.turn_until(lambda: bool(cache.files), 1)
        assert held.clock.monotonic() < 3600


@running
async def test_a_step_of_the_clock_brings_forward_what_is_nearer_than_it_seemed(held: Held) -> None:
    held.wire.serve(b"one")
    async with held.running() as cache:
        held.hold(b"one", after=DAY_S)
        await until(lambda: held.looks == 1)
        await settled()
        held.clock.jump(DAY_S - 30)
        cache.bell.ring()
        await held.have(b"one")


@running
async def test_a_mistake_in_a_transfer_is_not_swallowed(held: Held) -> None:
    held.wire.error = RuntimeError("a mistake")
    held.hold(b"one")
    with pytest.raises(RuntimeError, match="a mistake"):
        await asyncio.wait_for(held.cache.run(), 5)
