"""Sound read between its samples: as clean as if it had been recorded there, and without a seam."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.agent.sound.decoding import RATE, Samples
from devices.agent.sound.resampling import Resampler, advance

FRAMES = 960


class Tone:
    """A tone, and which of its samples were asked for."""

    def __init__(self, hertz: float) -> None:
        self.hertz = hertz
        self.asked: list[tuple[int, int]] = []

    def at(self, places: np.ndarray) -> np.ndarray:
        return 0.9 * np.sin(2 * np.pi * self.hertz * places / RATE)

    def __call__(self, first: int, frames: int) -> Samples:
        self.asked.append((first, frames))
        return self.at(np.arange(first, first + frames)).astype(np.float32)


def read(source: Tone, ratios: list[float], frames: int = FRAMES) -> tuple[np.ndarray, np.ndarray]:
    """Return what is read while the ratio changes, and the places at which it was."""
    resampler, whole, part, values, places = Resampler(source), 100_000, 0.37, [], []
    for ratio, after in itertools.pairwise(ratios):
        values.append(resampler.read(whole, part, frames, ratio=ratio, ratio_after=after))
        gone = part + advance(frames, ratio, after, np.arange(frames + 1.0))
        places.append(whole + gone[:-1])
        whole, part = whole + int(gone[-1]), gone[-1] % 1
    return np.concatenate(values), np.concatenate(places)


@pytest.mark.parametrize(("hertz", "least_db"), [(1000, 90), (8000, 90), (18_000, 85)])
def test_a_tone_stays_clean_while_its_speed_changes(hertz: float, least_db: float) -> None:
    tone = Tone(hertz)
    heard, places = read(tone, [1 + 500e-6 * float(np.sin(turn / 20)) for turn in range(200)])
    meant = tone.at(places)
    assert 10 * np.log10(np.sum(meant**2) / np.sum((heard - meant) ** 2)) >= least_db


def test_the_lowest_and_the_highest_that_a_rendition_holds_are_as_loud_as_they_were() -> None:
    for hertz in (50, 20_000):
        heard, _ = read(Tone(hertz), [1 + 100e-6] * 50)
        assert 20 * np.log10(np.std(heard) / (0.9 / np.sqrt(2))) == pytest.approx(0, abs=0.02)


def test_at_its_own_rate_and_on_its_own_samples_a_sound_is_what_it_was() -> None:
    tone = Tone(5000)
    heard = Resampler(tone).read(1000, 0.0, FRAMES, ratio=1.0, ratio_after=1.0)
    np.testing.assert_allclose(heard, tone(1000, FRAMES), atol=1e-9)


@given(st.lists(st.floats(-500e-6, 500e-6), min_size=3, max_size=12), st.integers(10, 2000))
def test_every_sample_is_asked_for_once_and_in_order(apart: list[float], frames: int) -> None:
    tone = Tone(440)
    read(tone, [1 + each for each in apart], frames)
    ends = [first + count for first, count in tone.asked]
    assert [first for first, _ in tone.asked[1:]] == ends[:-1]


def test_after_a_jump_only_what_is_needed_there_is_asked_for() -> None:
    tone = Tone(440)
    resampler = Resampler(tone)
    for whole in (1000, 90_000, 50_000):
        tone.asked.clear()
        heard = resampler.read(whole, 0.0, FRAMES, ratio=1.0, ratio_after=1.0)
        np.testing.assert_allclose(heard, tone.at(np.arange(whole, whole + FRAMES)), atol=1e-6)
        ((first, count),) = tone.asked
        assert whole - 16 <= first <= whole
        assert first + count <= whole + FRAMES + 16
