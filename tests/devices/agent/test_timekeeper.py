"""The box's time: whom it believes, what it never does, and what is left of it after a restart."""

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.agent.settings import Time
from devices.agent.timing.clock import SystemClock
from devices.agent.timing.reckoning import Source
from devices.agent.timing.timekeeper import Timekeeper
from tests.devices.agent.conftest import running, until
from tests.fakes.clock import START, HandClock

S = timedelta(seconds=1)
YEAR = timedelta(days=365)


@pytest.fixture
def machine() -> HandClock:
    """A machine without a time daemon, whose clock began in 1970."""
    machine = HandClock()
    machine.jump(-56 * YEAR.total_seconds())
    machine.doubt = None
    return machine


def answer(keeper: Timekeeper, machine: HandClock, *, way_s: float = 0.001, at: datetime | None = None) -> None:
    """Let the server answer; it says the truth, or ``at``."""
    sent = machine.monotonic()
    machine.turn(way_s)
    said = at or machine.true
    machine.turn(way_s)
    keeper.measured(sent, machine.monotonic(), server_received=said, server_sent=said)


def error(keeper: Timekeeper, machine: HandClock) -> float:
    return abs((keeper.now() - machine.true) / S)


def test_a_synchronised_system_clock_is_the_time(clock: HandClock) -> None:
    keeper = Timekeeper(clock)
    assert keeper.trusted
    for _ in range(100):
        clock.turn(0.7)
        keeper.turn()
        assert abs(keeper.now() - clock.now()) <= timedelta(microseconds=2)
    assert keeper.stepped == timedelta()
    assert keeper.estimate.source is Source.KERNEL


def test_a_clock_that_nothing_disciplines_is_never_believed(machine: HandClock) -> None:
    keeper = Timekeeper(machine)
    assert not keeper.trusted
    machine.jump(60 * YEAR.total_seconds())
    machine.turn(10)
    keeper.turn()
    assert not keeper.trusted
    assert keeper.now() == datetime.fromisoformat("1970-01-01T00:00:10+00:00")
    assert (keeper.estimate.source, keeper.estimate.doubt_s, keeper.estimate.offset_s) == (Source.NONE, None, None)


def test_the_server_alone_is_enough(machine: HandClock) -> None:
    machine.fast = 50e-6
    keeper, calls = Timekeeper(machine), []
    keeper.changed = lambda: calls.append(keeper.now())
    answer(keeper, machine)
    assert keeper.trusted
    assert len(calls) == 1
    assert error(keeper, machine) < 0.002
    worst = 0.0
    for pause in (1, 2, 4, 8, 16, 32, 64, 128, 256, *[300] * 20):
        for _ in range(4):  # it is looked at between the answers
            machine.turn(pause / 4)
            keeper.turn()
            worst = max(worst, error(keeper, machine))
        answer(keeper, machine)
    assert worst < 0.001
    assert len(calls) == 1, "nothing steps any more"
    offset = keeper.estimate.offset_s
    assert offset is not None
    assert offset == pytest.approx(-56 * YEAR.total_seconds(), abs=1)


def test_without_anybody_it_runs_on_and_doubts_more_and_more(machine: HandClock) -> None:
    machine.fast = -80e-6
    keeper = Timekeeper(machine, settings=Time(most_doubt_s=30))
    answer(keeper, machine)
    answer(keeper, machine)
    hours = 0
    while keeper.trusted:
        machine.turn(3600)
        keeper.turn()
        hours += 1
        estimate = keeper.estimate
        assert estimate.doubt_s is not None
        assert error(keeper, machine) <= estimate.doubt_s
    assert hours == pytest.approx(30 / 0.36, abs=1)
    assert keeper.estimate.source is Source.HELD
    answer(keeper, machine)
    assert keeper.trusted


def test_a_jump_of_the_kernels_clock_is_a_step_and_told(clock: HandClock) -> None:
    keeper, told = Timekeeper(clock), []
    keeper.changed = lambda: told.append(keeper.stepped)
    for jump in (600.0, -600.0, 0.06):
        clock.jump(jump)
        clock.turn(1)
        keeper.turn()
        assert keeper.now() == clock.now()
    assert told == [600 * S, 0 * S, 0.06 * S]


def test_a_jump_of_a_clock_that_nobody_believes_is_nothing(machine: HandClock) -> None:
    keeper = Timekeeper(machine)
    answer(keeper, machine)
    stepped = keeper.stepped
    for jump in (1e9, -2e9):
        machine.jump(jump)
        machine.turn(10)
        keeper.turn()
    assert keeper.stepped == stepped
    assert error(keeper, machine) < 0.01


def test_a_small_error_is_no_step(clock: HandClock) -> None:
    keeper = Timekeeper(clock)
    clock.jump(-0.04)
    before = keeper.now()
    for _ in range(120):
        clock.turn(1)
        keeper.turn()
        assert keeper.now() > before
        assert keeper.now() - before <= 1.00051 * S
        assert keeper.now() - before >= 0.99949 * S
        before = keeper.now()
    assert keeper.now() - clock.now() < timedelta(milliseconds=1)
    assert keeper.stepped == timedelta()


def test_while_something_sounds_its_clock_takes_no_step(clock: HandClock) -> None:
    keeper = Timekeeper(clock)
    assert keeper.turn() == 10
    keeper.holding = True
    assert keeper.turn() == 1
    before = keeper.sound.now()
    clock.jump(600)
    clock.turn(1)
    keeper.turn()
    clock.jump(-100)
    keeper.turn()
    assert keeper.now() == clock.now()
    assert keeper.sound.now() == before + S
    assert keeper.lag == 500 * S == keeper.now() - keeper.sound.now()
    keeper.holding = False
    assert keeper.lag == timedelta()
    assert keeper.sound.now() == keeper.now()
    clock.jump(60)
    keeper.turn()
    assert keeper.lag == timedelta()


def test_it_is_never_earlier_than_a_signed_document(machine: HandClock) -> None:
    keeper = Timekeeper(machine)
    keeper.saw(START - timedelta(days=30))
    assert keeper.now() == START - timedelta(days=30)
    assert not keeper.trusted
    keeper.saw(START - timedelta(days=60))
    assert keeper.now() == START - timedelta(days=30)
    machine.turn(60)
    assert keeper.now() == START - timedelta(days=30) + 60 * S


def test_a_kernel_that_is_behind_a_signed_document_is_not_believed(clock: HandClock) -> None:
    keeper = Timekeeper(clock)
    keeper.saw(clock.now() + 1.5 * S)
    assert keeper.trusted, "right clocks may differ by so much"
    assert keeper.now() == clock.now()
    keeper.saw(clock.now() + timedelta(hours=1))
    assert not keeper.trusted
    assert keeper.now() == START + timedelta(hours=1)
    clock.turn(3600)
    keeper.turn()
    assert keeper.trusted, "when the clocks have got there"


def test_a_server_that_was_wrong_raises_the_floor_and_is_followed(clock: HandClock) -> None:
    """The rule: nothing is earlier than what was signed. The box is with its server, or silent."""
    keeper = Timekeeper(clock)
    answer(keeper, clock, at=START + YEAR)
    assert keeper.estimate.source is Source.SERVER
    answer(keeper, clock)
    assert not keeper.trusted
    assert keeper.now() >= START + YEAR


async def written(machine: HandClock, path: Path, happen: Callable[[Timekeeper], None]) -> None:
    """Run a box's time, with what happens in it, and stop it."""
    keeper = Timekeeper(machine, path=path)
    loop = asyncio.create_task(keeper.run())
    await asyncio.sleep(0)
    happen(keeper)
    await asyncio.sleep(0)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


@running
async def test_a_restarted_process_goes_on_by_the_same_line(machine: HandClock, tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    await written(machine, path, lambda keeper: answer(keeper, machine))
    machine.turn(3600)
    keeper = Timekeeper(machine, path=path)
    assert keeper.trusted
    assert keeper.estimate.source is Source.HELD
    assert error(keeper, machine) < 0.4


@running
async def test_after_a_power_cut_it_is_only_known_that_it_is_later(machine: HandClock, tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    await written(machine, path, lambda keeper: answer(keeper, machine))
    cut = HandClock(START - 56 * YEAR)
    cut.doubt, cut.boot = None, "another"
    cut.turn(10_000)
    keeper = Timekeeper(cut, path=path)
    assert not keeper.trusted
    assert abs(keeper.now() - machine.true) < S


@pytest.mark.parametrize(("behind_s", "believed"), [(0, True), (1, True), (3600, False)])
@running
async def test_a_clock_with_a_battery_is_believed_unless_it_is_behind(
    behind_s: float, believed: bool, clock: HandClock, tmp_path: Path
) -> None:
    path = tmp_path / "clock.json"
    await written(clock, path, lambda keeper: None)
    cut = HandClock(START - behind_s * S)
    cut.doubt, cut.boot = None, "another"
    keeper = Timekeeper(cut, path=path, settings=Time(battery=True))
    assert keeper.trusted is believed
    if believed:
        assert keeper.estimate.source is Source.BATTERY
        assert keeper.estimate.doubt_s == pytest.approx(5)


@running
async def test_it_is_written_down_at_once_and_every_five_minutes(clock: HandClock, tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    keeper = Timekeeper(clock, path=path)
    loop = asyncio.create_task(keeper.run())
    await until(path.exists)
    first = path.read_bytes()
    for _ in range(29):
        clock.turn(10)
        await asyncio.sleep(0.002)
    assert path.read_bytes() == first
    clock.turn(10)
    await until(lambda: path.read_bytes() != first)
    assert json.loads(path.read_bytes())["boot"] == "hand"
    clock.turn(7)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert json.loads(path.read_bytes())["monotonic"] == pytest.approx(307)


@running
async def test_a_time_that_is_not_trusted_is_not_written_down(machine: HandClock, tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    await written(machine, path, lambda keeper: keeper.saw(START))
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"{}", b'{"instant": "soon"}', b"[" * 100_000])
def test_a_broken_file_is_as_good_as_none(content: bytes, machine: HandClock, tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    path.write_bytes(content)
    assert not Timekeeper(machine, path=path).trusted


@running
async def test_a_disk_that_takes_nothing_stops_no_time(
    clock: HandClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Timekeeper(clock, path=tmp_path / "gone" / "clock.json")
    loop = asyncio.create_task(keeper.run())
    for _ in range(100):
        clock.turn(10)
        await asyncio.sleep(0.001)
    assert not loop.done()
    assert len([each for each in caplog.records if each.levelname == "WARNING"]) == 1
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


happenings = st.lists(
    st.tuples(
        st.sampled_from(["turn", "jump", "daemon", "none", "answer", "document", "hold", "release"]),
        st.floats(-1e5, 1e5),
    ),
    max_size=40,
)


@given(happenings)
def test_it_goes_back_by_a_step_only_and_sound_not_at_all_while_it_lasts(history: list[tuple[str, float]]) -> None:
    machine = HandClock()
    machine.doubt = None
    keeper = Timekeeper(machine)
    floor = keeper.now()
    for what, much in history:
        moment, before, sounding, stepped = machine.monotonic(), keeper.now(), keeper.sound.now(), keeper.stepped
        held = keeper.holding
        if what == "turn":
            machine.turn(abs(much))
            keeper.turn()
        elif what == "jump":
            machine.jump(much)
            keeper.turn()
        elif what in ("daemon", "none"):
            machine.doubt = 0.01 if what == "daemon" else None
            keeper.turn()
        elif what == "answer":
            answer(keeper, machine, way_s=abs(much) / 1e6)
            floor = max(floor, machine.true - 0.2 * S)
        elif what == "document":
            at = machine.true + timedelta(seconds=min(much, 0.0))
            keeper.saw(at)
            floor = max(floor, at)
        else:
            keeper.holding = what == "hold"
        passed = (machine.monotonic() - moment) * S
        moved = keeper.now() - before - (keeper.stepped - stepped)
        assert abs(moved - passed) <= passed * 700e-6 + timedelta(microseconds=20)
        if held and keeper.holding:
            assert abs(keeper.sound.now() - sounding - passed) <= passed * 700e-6 + timedelta(microseconds=20)
        assert keeper.now() >= floor - 2 * S
        assert keeper.sound.now() + keeper.lag == keeper.now()


def test_what_this_machine_says_of_its_own_clock() -> None:
    machine = SystemClock()
    doubt = machine.synchronised()
    assert doubt is None or 0 <= doubt <= 17, "a kernel that doubts more than 16 s does not call itself synchronised"
    assert machine.boot == SystemClock().boot
    if sys.platform == "linux":
        assert len(machine.boot) == 36
