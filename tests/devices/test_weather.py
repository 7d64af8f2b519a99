"""Weather as wrappers: what a line, a web and a clock do while it lasts, and that nothing else changes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.agent.supply.web import WebError
from devices.link import Address, LinkDown, Message
from devices.simulation import downloads, links
from devices.simulation.clocks import WeatheredMachine
from devices.simulation.weather import OF_ALL, ROUGH, schedule
from tests.fakes.clock import START, HandClock
from tests.fakes.link import FakeBroker
from tests.simulation.disk import Disks
from tests.simulation.loop import VirtualLoop

ADDRESS = Address(host="broker.test", port=1883)


def in_no_time(test: Callable[[], Awaitable[None]]) -> None:
    loop = VirtualLoop(Disks(Random(0)))
    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(test())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def gathered(line: links.Line, count: int, seed: int) -> tuple[list[bytes], bool]:
    """Return what a subscriber gets of ``count`` messages, and whether its session stood to the end."""
    broker = FakeBroker()
    taken: list[Message] = []
    stood = False
    try:
        async with links.weathered(broker.connect, line, Random(seed))(ADDRESS, client_id="a") as session:
            await session.subscribe("t")
            for number in range(count):
                broker.publish("t", b"%d" % number)

            async def take() -> None:
                async for message in session.messages():
                    taken.append(message)

            async with asyncio.timeout(3600):
                await take()
    except TimeoutError:
        stood = True
    except LinkDown:
        pass
    return [message.payload for message in taken], stood


@given(
    count=st.integers(1, 20),
    slow_s=st.sampled_from([0.0, 5.0]),
    loss=st.sampled_from([0.0, 0.2]),
    twice=st.sampled_from([0.0, 0.5]),
    swapped=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 99),
)
def test_a_session_that_stands_loses_nothing(
    count: int, slow_s: float, loss: float, twice: float, swapped: float, seed: int
) -> None:
    async def test() -> None:
        line = links.Line(slow_s=slow_s, loss=loss, twice=twice, swapped=swapped)
        taken, stood = await gathered(line, count, seed)
        sent = [b"%d" % number for number in range(count)]
        assert set(taken) <= set(sent)
        assert not stood or set(taken) == set(sent)
        assert twice or swapped or taken == sent[: len(taken)]
        assert loss or stood

    in_no_time(test)


def test_a_line_that_falls_is_noticed_by_the_keep_alive_and_not_before() -> None:
    async def test() -> None:
        line = links.Line()
        broker = FakeBroker()
        loop = asyncio.get_running_loop()
        with pytest.raises(LinkDown):
            async with links.weathered(broker.connect, line, Random(0))(ADDRESS, client_id="a") as session:
                line.fall()
                began = loop.time()
                async for _ in session.messages():
                    raise AssertionError("nothing comes over a line that is down")
        assert 44 < loop.time() - began < 46

    in_no_time(test)


def test_a_short_break_of_the_line_only_delays() -> None:
    async def test() -> None:
        line = links.Line()
        broker = FakeBroker()
        async with links.weathered(broker.connect, line, Random(0))(ADDRESS, client_id="a") as session:
            line.fall()
            asyncio.get_running_loop().call_later(5.0, line.rise)
            await session.publish("t", b"1")
        assert broker.on("t") == [b"1"]

    in_no_time(test)


def test_nobody_can_dial_while_the_line_is_down() -> None:
    async def test() -> None:
        line = links.Line(down=True)
        with pytest.raises(LinkDown):
            async with links.weathered(FakeBroker().connect, line, Random(0))(ADDRESS, client_id="a"):
                pass

    in_no_time(test)


def test_a_web_that_lies_changes_a_byte_and_no_more(tmp_path: Path) -> None:
    async def fetch(server: str, path: str, part: Path, *, size_bytes: int, proceed: Callable[[], bool]) -> bool:
        del server, path
        await asyncio.to_thread(part.write_bytes, bytes(size_bytes))
        return all(proceed() for _ in range(4))

    async def test() -> None:
        part = tmp_path / "a.part"
        lying = downloads.weathered(fetch, downloads.Web(wrong=1.0), Random(1))
        assert await lying("http://loa.test", "/a", part, size_bytes=50, proceed=lambda: True)
        assert sum(byte != 0 for byte in part.read_bytes()) == 1
        with pytest.raises(WebError):
            down = downloads.weathered(fetch, downloads.Web(down=True), Random(1))
            await down("http://loa.test", "/a", part, size_bytes=50, proceed=lambda: True)
        with pytest.raises(WebError):
            torn = downloads.weathered(fetch, downloads.Web(cut=1.0), Random(1))
            await torn("http://loa.test", "/a", part, size_bytes=50, proceed=lambda: True)

    in_no_time(test)


def test_a_crystal_that_is_fast_takes_its_clock_along() -> None:
    truth = HandClock()
    machine = WeatheredMachine(truth, boot="1", fast=100e-6)
    truth.turn(10_000)
    assert machine.monotonic() == pytest.approx(10_001)
    assert machine.now() - truth.now() == pytest.approx(timedelta(seconds=1), abs=timedelta(milliseconds=1))


def test_a_kernel_left_alone_doubts_more_and_more_until_it_gives_up() -> None:
    truth = HandClock()
    machine = WeatheredMachine(truth, boot="1")
    assert machine.synchronised() is None
    machine.discipline(0.02)
    truth.turn(3600)
    assert machine.synchronised() == 0.02
    machine.release()
    truth.turn(3600)
    assert machine.synchronised() == pytest.approx(0.02 + 3600 * 500e-6)
    truth.turn(40_000)
    assert machine.synchronised() is None
    assert machine.now() == truth.now()


def test_a_clock_that_is_set_is_wrong_and_after_a_power_cut_shows_what_its_chip_says() -> None:
    truth = HandClock()
    machine = WeatheredMachine(truth, boot="1")
    machine.discipline(0.02)
    machine.jump(-60)
    assert machine.now() == START - timedelta(seconds=60)
    assert machine.synchronised() is None
    truth.turn(10)
    past = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    machine.switch_on("2", past)
    truth.turn(5)
    assert (machine.boot, machine.monotonic(), machine.now()) == ("2", 5.0, past + timedelta(seconds=5))


@given(seed=st.integers(0, 1000), lasting_s=st.floats(60, 1e6))
def test_a_schedule_comes_from_its_chance_alone_and_ends_in_time(seed: int, lasting_s: float) -> None:
    boxes = ["box-1", "box-2"]
    faults = schedule(Random(seed), boxes, lasting_s)
    assert faults == schedule(Random(seed), boxes, lasting_s)
    assert [fault.begin_s for fault in faults] == sorted(fault.begin_s for fault in faults)
    for fault in faults:
        assert 0 <= fault.begin_s <= fault.end_s <= lasting_s
        assert (fault.box is None) == (fault.kind in OF_ALL)
        low, high = ROUGH[fault.kind].strength
        assert low <= fault.strength <= high
