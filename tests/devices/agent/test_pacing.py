"""How a card that runs by its own crystal is kept on the clock: soon, evenly, within bounds, whatever the reports."""

import itertools
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.agent.sound.pacing import AT_ONCE_S, MOST, RATE, Block, Pacer, Reading

FRAMES = 960
BLOCK_S = FRAMES / RATE
BEGAN_S = 1000.0
AHEAD_NS = 1_700_000_000_000_000_000
CALM_S = 60.0


@dataclass
class Card:
    """A card whose every frame lasts ``ppm`` longer than it should, and a wall clock that may be slewed."""

    ppm: float = 0.0
    noise_s: float = 0.0
    seed: int = 0
    delay_ns: int = 0
    ahead_ns: float = AHEAD_NS
    late_s: float = 0.0
    frame: int = 0
    blocks: list[Block | None] = field(default_factory=list)
    apart_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pacer = Pacer(delay_ns=self.delay_ns)
        self.chance = random.Random(self.seed)

    @property
    def heard_s(self) -> float:
        """When the next frame is truly heard, by the steady clock."""
        return BEGAN_S + self.late_s + self.frame / RATE * (1 + self.ppm * 1e-6)

    def run(self, seconds: float, *, quiet: bool = False, slew_ppm: float = 0.0) -> None:
        for _ in range(round(seconds / BLOCK_S)):
            self.turn(quiet=quiet)
            self.ahead_ns += slew_ppm * 1000 * BLOCK_S

    def turn(self, *, quiet: bool = False, slipped: bool = False, silent: bool = False) -> Block | None:
        reported = None if silent else self.heard_s + self.chance.uniform(-self.noise_s, self.noise_s)
        block = self.pacer.block(FRAMES, Reading(reported, round(self.ahead_ns), slipped), quiet=quiet)
        self.blocks.append(block)
        if block is not None:
            due_ns = round(self.heard_s * 1e9) + round(self.ahead_ns) - self.delay_ns
            ahead = due_ns * RATE // 1000 - block.whole * 1_000_000
            self.apart_s.append((ahead / 1e6 - block.part) / RATE)
        self.frame += FRAMES
        return block


def worst_ms(card: Card, seconds: float) -> float:
    return max(abs(apart) for apart in card.apart_s[-round(seconds / BLOCK_S) :]) * 1000


@settings(max_examples=15, deadline=None)
@given(ppm=st.floats(-200, 200), seed=st.integers(0, 99))
def test_with_reports_off_by_two_milliseconds_a_sound_stays_within_a_quarter(ppm: float, seed: int) -> None:
    card = Card(ppm=ppm, noise_s=0.002, seed=seed)
    card.run(CALM_S, quiet=True)
    card.run(60)
    assert worst_ms(card, 60) <= 0.25


@pytest.mark.parametrize("ppm", [-50, 50])
def test_a_crystal_that_is_off_is_followed_exactly(ppm: float) -> None:
    card = Card(ppm=ppm)
    card.run(CALM_S, quiet=True)
    card.run(600)
    assert worst_ms(card, 600) <= 0.005
    assert card.pacer._ratio == pytest.approx(1 + ppm * 1e-6, abs=1e-7)


@settings(max_examples=15, deadline=None)
@given(
    ppm=st.floats(-300, 300),
    late_s=st.floats(-0.04, 0.04),
    slew_ppm=st.floats(-150, 150),
    noise_s=st.floats(0, 0.002),
)
def test_the_speed_is_bounded_and_changes_evenly(ppm: float, late_s: float, slew_ppm: float, noise_s: float) -> None:
    card = Card(ppm=ppm, noise_s=noise_s)
    card.run(20, quiet=True)
    card.late_s = late_s
    card.run(20, slew_ppm=slew_ppm)
    for before, block in itertools.pairwise(card.blocks):
        assert before is not None
        assert block is not None
        assert abs(block.ratio_after - 1) <= MOST + 1e-9
        assert abs(block.ratio_after - block.ratio) <= 250e-6 * BLOCK_S + 1e-9
    sounding = [block for block in card.blocks[1001:] if block is not None]
    assert not any(block.cut for block in sounding)
    for before, block in itertools.pairwise(sounding):
        gone = FRAMES * (before.ratio + before.ratio_after) / 2
        assert block.whole + block.part == pytest.approx(before.whole + before.part + gone, abs=0.05)


def test_brought_back_in_step_it_does_not_swing_to_the_other_side() -> None:
    card = Card()
    card.run(CALM_S, quiet=True)
    card.late_s = 0.010
    card.run(60)
    assert max(card.apart_s) == pytest.approx(0.010, abs=1e-6)
    assert min(card.apart_s) >= -0.0003
    assert worst_ms(card, 10) <= 0.02


def test_a_clock_that_is_slewed_is_followed() -> None:
    card = Card(ppm=20)
    card.run(CALM_S, quiet=True)
    card.run(60, slew_ppm=200)
    assert worst_ms(card, 60) <= 0.3
    assert worst_ms(card, 40) <= 0.02


def test_reports_that_go_astray_for_seconds_are_not_believed() -> None:
    card = Card(noise_s=30e-6)
    card.run(120, quiet=True)
    for _ in range(250):  # PulseAudio on a busy machine: 4 ms for five seconds
        card.late_s = 0.004
        reported = card.heard_s
        card.late_s = 0.0
        block = card.pacer.block(FRAMES, Reading(reported, AHEAD_NS, False), quiet=False)
        assert block is not None
        card.frame += FRAMES
        assert abs(card.pacer.apart_s) <= 0.00015


def test_a_single_report_that_is_nonsense_moves_nothing() -> None:
    card = Card(noise_s=0.0005)
    card.run(30)
    card.late_s = 10.0
    card.turn()
    card.late_s = 0.0
    card.apart_s.clear()
    card.run(10)
    assert worst_ms(card, 10) <= 0.3


def test_a_card_that_has_moved_by_some_milliseconds_is_followed_without_a_step() -> None:
    card = Card(noise_s=0.0005)
    card.run(30)
    card.late_s = 0.02
    card.run(60)
    assert not any(block.cut for block in card.blocks if block)
    assert worst_ms(card, 10) <= 0.3


@pytest.mark.parametrize("away", [-0.2, 0.2])
def test_a_card_that_is_nowhere_near_its_instant_is_laid_anew_after_a_soft_fall(away: float) -> None:
    card = Card()
    card.run(30)
    card.late_s = away
    card.run(1)
    assert sum(block.cut for block in card.blocks if block) == 1
    assert worst_ms(card, 0.5) <= 0.01


def test_a_clock_that_is_set_moves_the_sound_at_once() -> None:
    card = Card()
    card.run(10)
    card.ahead_ns += 3600 * 1e9
    assert card.turn().cut  # type: ignore[union-attr]
    card.apart_s.clear()
    card.turn()
    assert worst_ms(card, BLOCK_S) <= 0.001


def test_in_silence_it_is_laid_where_it_belongs_at_once() -> None:
    card = Card()
    card.run(10, quiet=True)
    card.ahead_ns += AT_ONCE_S / 2 * 1e9
    card.apart_s.clear()
    card.run(1, quiet=True)
    assert worst_ms(card, 1) <= 0.001
    assert not any(block.cut for block in card.blocks if block)


def test_after_an_underrun_it_is_laid_anew_with_the_next_report() -> None:
    card = Card()
    card.run(10)
    card.late_s = 0.013
    assert card.turn(slipped=True, silent=True) is None
    card.apart_s.clear()
    card.turn()
    assert worst_ms(card, BLOCK_S) <= 0.001


def test_a_delay_moves_everything() -> None:
    early, late = Card(delay_ns=-250_000_000), Card(delay_ns=250_000_000)
    blocks = early.turn(), late.turn()
    assert blocks[0] is not None
    assert blocks[1] is not None
    assert blocks[0].whole - blocks[1].whole == RATE // 2


def test_until_the_card_tells_when_it_is_heard_nothing_is_laid() -> None:
    card = Card()
    assert card.turn(silent=True) is None
    assert card.turn() is not None
