"""How a sound card's samples are kept on the wall clock; the card itself is tried where there is one."""

import pytest

from devices.agent.clock import SystemClock
from devices.agent.device import APART_NS, AT_ONCE_NS, Grid, device_available
from devices.agent.mixer import instant_of
from devices.agent.output import OutputError
from devices.agent.outputs import open_output
from tests.fakes.clock import HandClock

MS = 1_000_000


def run(grid: Grid, blocks: int, *, off_ns: int, quiet: bool) -> None:
    """Let blocks of 20 ms go out, each heard ``off_ns`` from where the clock wants it."""
    began = grid.position
    for block in range(blocks):
        grid.follow(instant_of(began + block * 960, 0) + off_ns, quiet=quiet, slipped=False)
        grid.position += 960


def test_in_silence_the_grid_follows_the_card() -> None:
    grid = Grid(0)
    run(grid, 400, off_ns=3 * MS, quiet=True)
    assert grid.epoch_ns == pytest.approx(3 * MS, abs=MS / 5)


def test_while_it_sounds_a_small_difference_is_left_alone() -> None:
    grid = Grid(0)
    run(grid, 400, off_ns=APART_NS - MS, quiet=False)
    assert grid.epoch_ns == 0


def test_a_clock_that_was_set_moves_the_grid_at_once() -> None:
    grid = Grid(0)
    grid.follow(2 * AT_ONCE_NS, quiet=False, slipped=False)
    assert grid.epoch_ns == 2 * AT_ONCE_NS


def test_an_underrun_moves_the_grid_at_once() -> None:
    grid = Grid(0)
    grid.follow(MS, quiet=False, slipped=True)
    assert grid.epoch_ns == MS


def test_a_device_that_is_not_there_is_an_error_that_says_what_to_do(clock: HandClock) -> None:
    with pytest.raises(OutputError, match=r"libportaudio2|wav:PATH"):
        open_output("device:no such thing", clock=clock, changed=lambda: None)


def test_a_machine_without_a_sound_card_says_so() -> None:
    if (name := device_available()) is None:
        with pytest.raises(OutputError, match="wav:PATH"):
            open_output("device", clock=SystemClock(), changed=lambda: None)
    else:
        assert name
