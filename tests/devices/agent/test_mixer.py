"""Which sample sounds when: exact to the sample, whatever the blocks, wherever a slot is joined or cut."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.agent.sound.decoding import RATE, Decoder, Samples, Track
from devices.agent.sound.mixer import FADE_FRAMES, Mixer, instant_of, sample_at
from devices.agent.sound.output import Cue
from devices.agent.timing.clock import from_ns, to_ns
from schedules.levels import Level
from schedules.timeline import Slot, SlotItem
from tests.devices.agent.conftest import Sound
from tests.fakes.clock import START

EPOCH = to_ns(START)


class HandDecoder(Decoder):
    """Decodes when it is told to, on the test's own thread."""

    def open(self, path: Path, first: int) -> Track:
        track = Track(path, first)
        self._tracks.append(track)
        self.fill()
        return track


class Stage:
    def __init__(self, directory: Path, *sounds: Sound) -> None:
        self.decoder = HandDecoder()
        self.mixer = Mixer(changed=lambda: None, decoder=self.decoder)
        self.files = {}
        for sound in sounds:
            path = directory / f"{sound.digest}.opus"
            path.write_bytes(sound.content)
            self.files[sound.digest] = path

    def cue(
        self, start: datetime, *sounds: Sound, seconds: float | None = None, gain: float = 1.0, joined: float = 0.0
    ) -> Cue:
        items, offset = [], timedelta()
        for sound in sounds:
            duration = timedelta(seconds=sound.seconds)
            items.append(SlotItem(rendition=sound.digest, offset=offset, duration=duration))
            offset += duration
        end = start + (offset if seconds is None else timedelta(seconds=seconds))
        slot = Slot(id=f"slot@{start}", title="", level=Level.ROUTINE, start=start, end=end, items=tuple(items))
        begin = start + timedelta(seconds=joined)
        return Cue(slot=slot, begin=begin, end=end, files=self.files, gain=gain)

    def render(self, seconds: float, *, first: int = 0, block: int = 960, epoch_ns: int = EPOCH) -> Samples:
        blocks = []
        for at in range(first, first + round(seconds * RATE), block):
            self.decoder.fill()
            blocks.append(self.mixer.render(at, block, epoch_ns=epoch_ns))
        return np.concatenate(blocks)


@pytest.fixture(scope="module")
def noise(make_sound: Callable[[float, int], Sound]) -> Sound:
    return make_sound(1.0, 1)


@pytest.fixture(scope="module")
def other(make_sound: Callable[[float, int], Sound]) -> Sound:
    return make_sound(0.7, 2)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path


@given(st.integers(0, 10**9), st.integers(0, 10**12), st.integers(0, 48_000 * 86_400))
def test_a_sample_and_its_instant_name_each_other(microseconds: int, epoch_us: int, sample: int) -> None:
    epoch = epoch_us * 1000
    assert sample_at(instant_of(sample, epoch), epoch) == sample
    instant = epoch + microseconds * 1000
    assert abs(instant_of(sample_at(instant, epoch), epoch) - instant) <= 1e9 / RATE / 2 + 1


def test_an_instant_survives_nanoseconds() -> None:
    instant = START + timedelta(microseconds=123_457)
    assert from_ns(to_ns(instant)) == instant


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(microseconds=st.integers(0, 300_000), block=st.integers(100, 2000))
def test_a_slot_begins_at_its_sample_whatever_the_blocks(
    directory: Path, noise: Sound, microseconds: int, block: int
) -> None:
    stage, start = Stage(directory, noise), START + timedelta(microseconds=microseconds)
    stage.mixer.play([stage.cue(start, noise)], START)
    heard = stage.render(1.5, block=block)
    onset = round(microseconds * RATE / 1_000_000 + 1e-9)
    assert not heard[:onset].any()
    np.testing.assert_array_equal(heard[onset : onset + len(noise.samples)], noise.samples)
    assert not heard[onset + len(noise.samples) :].any()


def test_items_follow_at_their_own_samples(directory: Path, noise: Sound, other: Sound) -> None:
    stage, start = Stage(directory, noise, other), START + timedelta(microseconds=10_003)
    stage.mixer.play([stage.cue(start, other, noise)], START)
    heard = stage.render(2.0)
    first, second = round(10_003 * 0.048), round((10_003 + 700_000) * 0.048)
    np.testing.assert_array_equal(heard[first:second], other.samples[: second - first])
    np.testing.assert_array_equal(heard[second : second + RATE], noise.samples)


def test_joined_late_it_sounds_at_the_right_place_after_a_short_rise(directory: Path, noise: Sound) -> None:
    stage, late = Stage(directory, noise), timedelta(milliseconds=400)
    stage.mixer.play([stage.cue(START, noise)], START + late)
    first = sample_at(to_ns(START + late), EPOCH)
    heard = stage.render(0.3, first=first)
    risen = FADE_FRAMES
    np.testing.assert_array_equal(heard[risen:], noise.samples[first + risen : first + len(heard)])
    assert heard[0] == 0
    (told,) = stage.mixer.heard(START).values()
    assert told.began == START + late


def test_one_that_may_begin_only_later_is_joined_there_after_a_short_rise(directory: Path, noise: Sound) -> None:
    stage = Stage(directory, noise)
    stage.mixer.play([stage.cue(START, noise, joined=0.3)], START)
    heard, joined = stage.render(1.0), round(0.3 * RATE)
    assert not heard[: joined + 1].any()
    np.testing.assert_array_equal(heard[joined + FADE_FRAMES :], noise.samples[joined + FADE_FRAMES :])
    assert np.all(np.abs(heard[joined:][:FADE_FRAMES]) <= np.abs(noise.samples[joined:][:FADE_FRAMES]))
    (told,) = stage.mixer.heard(START).values()
    assert (told.began, told.lasted) == (START + timedelta(seconds=0.3), timedelta(seconds=0.7))


def test_given_the_air_earlier_than_it_was_told_it_is_joined_earlier(directory: Path, noise: Sound) -> None:
    stage = Stage(directory, noise)
    stage.mixer.play([stage.cue(START, noise, joined=0.6)], START)
    stage.mixer.play([stage.cue(START, noise, joined=0.2)], START)
    heard, joined = stage.render(1.0), round(0.2 * RATE)
    assert not heard[: joined + 1].any()
    np.testing.assert_array_equal(heard[joined + FADE_FRAMES :], noise.samples[joined + FADE_FRAMES :])


def test_a_slot_never_sounds_beyond_its_end_and_falls_softly(directory: Path, noise: Sound) -> None:
    stage = Stage(directory, noise)
    stage.mixer.play([stage.cue(START, noise, seconds=0.5)], START)
    heard = stage.render(1.0)
    assert not heard[RATE // 2 :].any()
    np.testing.assert_array_equal(heard[: RATE // 2 - FADE_FRAMES], noise.samples[: RATE // 2 - FADE_FRAMES])
    assert abs(heard[RATE // 2 - 1]) < 0.01


def test_what_is_cued_no_more_fades_out_and_stops(directory: Path, noise: Sound) -> None:
    stage = Stage(directory, noise)
    stage.mixer.play([stage.cue(START, noise)], START)
    before = stage.render(0.2)
    stage.mixer.play([], START)
    after = stage.render(0.2, first=len(before))
    assert after[:FADE_FRAMES].any()
    assert not after[FADE_FRAMES:].any()
    assert stage.mixer.silent(len(before) + len(after), RATE, epoch_ns=EPOCH)


def test_what_is_cued_again_goes_on_untouched(directory: Path, noise: Sound) -> None:
    stage = Stage(directory, noise)
    heard = []
    for block in range(50):
        stage.mixer.play([stage.cue(START, noise)], START)
        heard.append(stage.render(0.02, first=block * 960))
    np.testing.assert_array_equal(np.concatenate(heard), noise.samples)


def test_volume_is_a_share_of_full_amplitude(directory: Path, noise: Sound) -> None:
    stage = Stage(directory, noise)
    stage.mixer.play([stage.cue(START, noise, gain=0.5)], START)
    np.testing.assert_allclose(stage.render(1.0), noise.samples * 0.5, rtol=1e-6)


def test_what_was_not_decoded_in_time_is_silent_and_what_follows_is_in_place(directory: Path, noise: Sound) -> None:
    stage = Stage(directory, noise)
    stage.decoder.fill = lambda: None  # type: ignore[method-assign]  # a card that hangs
    stage.mixer.play([stage.cue(START, noise)], START)
    assert not stage.render(0.1).any()
    del stage.decoder.fill
    heard = stage.render(0.3, first=RATE // 10)
    np.testing.assert_array_equal(
        heard[FADE_FRAMES:], noise.samples[RATE // 10 + FADE_FRAMES :][: len(heard) - FADE_FRAMES]
    )
    (told,) = stage.mixer.heard(START).values()
    assert told.lasted == timedelta(seconds=0.3)
    assert told.began == START + timedelta(seconds=0.1)


def test_a_file_that_cannot_be_decoded_is_silent_and_named(directory: Path, noise: Sound, other: Sound) -> None:
    stage = Stage(directory, noise, other)
    stage.files[noise.digest].write_bytes(b"OggS, and then nothing of it")
    stage.mixer.play([stage.cue(START, other, noise)], START)
    heard = stage.render(2.0)
    assert stage.mixer.broken() == {noise.digest}
    np.testing.assert_array_equal(heard[: len(other.samples)], other.samples)


def test_a_file_of_another_rate_is_refused(directory: Path, noise: Sound) -> None:
    stage = Stage(directory, noise)
    soundfile.write(stage.files[noise.digest], noise.samples, 16_000, format="WAV")
    stage.mixer.play([stage.cue(START, noise)], START)
    assert not stage.render(0.5).any()
    assert stage.mixer.broken() == {noise.digest}


def test_no_more_is_decoded_ahead_than_its_bound(directory: Path, make_sound: Callable[[float, int], Sound]) -> None:
    stage = Stage(directory, make_sound(10.0, 3))
    (digest,) = stage.files
    track = stage.decoder.open(stage.files[digest], 0)
    assert sum(len(block) for _, block in track._blocks) <= 2 * RATE + RATE // 10
