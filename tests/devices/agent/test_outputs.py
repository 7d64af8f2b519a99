"""The contract of outputs, on every one of them; then what the WAV promises beyond it."""

import asyncio
import json
import threading
import time
import wave
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
import soundfile

from devices.agent.sound.device import DeviceOutput
from devices.agent.sound.mixer import Mixer
from devices.agent.sound.null import NullOutput
from devices.agent.sound.output import Cue, Output, OutputError
from devices.agent.sound.outputs import open_output
from devices.agent.sound.wav import WavOutput
from devices.agent.sound.wavefile import LONGEST, WaveFile, read_epoch
from devices.agent.timing.clock import SystemClock
from schedules.levels import Level
from schedules.timeline import Slot, SlotItem
from tests.devices.agent.card import Card
from tests.devices.agent.conftest import RATE, Sound, running
from tests.devices.agent.test_mixer import HandDecoder
from tests.fakes.clock import START, HandClock


class Stage(Protocol):
    """An output under a hand clock."""

    output: Output
    clock: HandClock

    def run(self, seconds: float) -> None: ...


class NullStage:
    def __init__(self, clock: HandClock, path: Path) -> None:
        self.clock = clock
        self.output: Output = NullOutput()

    def run(self, seconds: float) -> None:
        self.clock.turn(seconds)


class WavStage:
    def __init__(self, clock: HandClock, path: Path, *, delay_ms: float = 0.0) -> None:
        self.clock = clock
        self.decoder = HandDecoder()
        mixer = Mixer(changed=lambda: None, decoder=self.decoder)
        self.output: WavOutput = WavOutput(path, clock=clock, changed=lambda: None, delay_ms=delay_ms, mixer=mixer)
        self.output.open()

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.clock.turn(0.05)
            self.decoder.fill()
            self.output.catch_up()


class DeviceStage:
    """A card that plays what it is given at once, so that what is asked for is what is heard."""

    def __init__(self, clock: HandClock, path: Path) -> None:
        self.clock = clock
        self.decoder = HandDecoder()
        self.card = Card(clock)
        output = DeviceOutput(
            None,
            clock=clock,
            changed=lambda: None,
            driver=self.card,
            mixer=Mixer(changed=lambda: None, decoder=self.decoder),
        )
        self.output: Output = output
        self.card.open(None, output._feed.block)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            self.decoder.fill()
            self.card.pump()
            self.clock.turn(0.02)


@pytest.fixture(params=[NullStage, WavStage, DeviceStage])
def stage(request: pytest.FixtureRequest, clock: HandClock, tmp_path: Path) -> Stage:
    stage: Stage = request.param(clock, tmp_path / "out.wav")
    return stage


@pytest.fixture(scope="module")
def sound(make_sound: Callable[[float, int], Sound]) -> Sound:
    return make_sound(2.0, 4)


@pytest.fixture
def make_cue(tmp_path: Path, sound: Sound) -> Callable[..., Cue]:
    path = tmp_path / "sound.opus"
    path.write_bytes(sound.content)

    def make(start: datetime, seconds: float = 2.0, *, files: bool = True, joined: float = 0.0) -> Cue:
        item = SlotItem(rendition=sound.digest, offset=timedelta(), duration=timedelta(seconds=2))
        end = start + timedelta(seconds=seconds)
        slot = Slot(id="one", title="", level=Level.ROUTINE, start=start, end=end, items=(item,))
        begin = start + timedelta(seconds=joined)
        return Cue(slot=slot, begin=begin, end=end, files={sound.digest: path} if files else {}, gain=1.0)

    return make


def test_a_cued_slot_is_heard_from_its_instant_to_its_end(stage: Stage, make_cue: Callable[..., Cue]) -> None:
    cue = make_cue(START + timedelta(seconds=1))
    stage.output.play([cue], stage.clock.now())
    stage.run(0.9)
    assert stage.output.heard(stage.clock.now()) == {}
    stage.run(1.1)
    halfway = stage.output.heard(stage.clock.now())["one"]
    assert (halfway.cue, halfway.began) == (cue, START + timedelta(seconds=1))
    assert halfway.lasted == pytest.approx(timedelta(seconds=1), abs=timedelta(milliseconds=60))
    stage.run(2)
    assert stage.output.heard(stage.clock.now())["one"].lasted == timedelta(seconds=2)


def test_cued_late_it_is_joined_in_progress(stage: Stage, make_cue: Callable[..., Cue]) -> None:
    stage.output.play([make_cue(START - timedelta(seconds=1.5))], stage.clock.now())
    stage.run(1)
    heard = stage.output.heard(stage.clock.now())["one"]
    assert (heard.began, heard.lasted) == (START, timedelta(seconds=0.5))


def test_one_that_may_begin_later_than_its_slot_is_joined_there(stage: Stage, make_cue: Callable[..., Cue]) -> None:
    stage.output.play([make_cue(START + timedelta(seconds=1), joined=0.7)], stage.clock.now())
    stage.run(1.6)
    assert stage.output.heard(stage.clock.now()) == {}
    stage.run(2)
    heard = stage.output.heard(stage.clock.now())["one"]
    assert (heard.began, heard.lasted) == (START + timedelta(seconds=1.7), timedelta(seconds=1.3))


def test_it_never_sounds_beyond_the_cues_end(stage: Stage, make_cue: Callable[..., Cue]) -> None:
    stage.output.play([make_cue(START, seconds=1.2)], stage.clock.now())
    stage.run(3)
    assert stage.output.heard(stage.clock.now())["one"].lasted == timedelta(seconds=1.2)


def test_an_item_that_is_not_at_hand_is_silent(stage: Stage, make_cue: Callable[..., Cue]) -> None:
    stage.output.play([make_cue(START, files=False)], stage.clock.now())
    stage.run(1)
    assert stage.output.heard(stage.clock.now()) == {}
    stage.output.play([make_cue(START)], stage.clock.now())
    stage.run(2)
    assert stage.output.heard(stage.clock.now())["one"].began == START + timedelta(seconds=1)


def test_cued_again_it_goes_on_untouched(stage: Stage, make_cue: Callable[..., Cue]) -> None:
    for _ in range(8):
        stage.output.play([make_cue(START)], stage.clock.now())
        stage.run(0.3)
    heard = stage.output.heard(stage.clock.now())["one"]
    assert (heard.began, heard.lasted) == (START, timedelta(seconds=2))


def test_cued_no_more_it_is_heard_no_more(stage: Stage, make_cue: Callable[..., Cue]) -> None:
    stage.output.play([make_cue(START)], stage.clock.now())
    stage.run(0.5)
    stage.output.play([], stage.clock.now())
    stage.run(1)
    assert stage.output.heard(stage.clock.now()) == {}


@pytest.mark.parametrize("spec", ["", "wav", "wav:", "null:x", "speaker", "Device"])
def test_an_unknown_output_is_refused_with_the_choice(spec: str, clock: HandClock) -> None:
    with pytest.raises(OutputError, match="choose device, device:NAME, wav:PATH or null"):
        open_output(spec, clock=clock, changed=lambda: None)


# The WAV.


@pytest.fixture
def wav(clock: HandClock, tmp_path: Path) -> Iterator[WavStage]:
    stage = WavStage(clock, tmp_path / "out.wav")
    yield stage
    stage.output.close()


def samples(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


def length_s(path: Path) -> float:
    return (path.stat().st_size - 44) / 2 / RATE


def onset(path: Path, sound: Sound) -> int:
    """Return the sample at which ``sound`` begins in the file, by correlation."""
    heard = samples(path)
    return int(np.argmax(np.correlate(heard, sound.samples[: RATE // 20], "valid")))


def test_the_first_sample_is_at_the_epoch_and_the_length_follows_the_clock(wav: WavStage, tmp_path: Path) -> None:
    assert json.loads((tmp_path / "out.wav.json").read_text()) == {"epoch": "2026-03-02T22:00:00.000000Z"}
    for n in range(1, 11):
        wav.run(0.5)
        assert len(samples(tmp_path / "out.wav")) == n * RATE // 2


def test_a_slot_lies_at_its_sample(wav: WavStage, tmp_path: Path, make_cue: Callable[..., Cue], sound: Sound) -> None:
    start = START + timedelta(microseconds=1_234_567)
    wav.output.play([make_cue(start)], wav.clock.now())
    wav.run(4)
    at = round(1.234567 * RATE)
    heard = samples(tmp_path / "out.wav")
    assert onset(tmp_path / "out.wav", sound) == at
    np.testing.assert_allclose(heard[at : at + 2 * RATE], sound.samples, atol=2 / 32767)
    assert not heard[:at].any()
    assert not heard[at + 2 * RATE :].any()


@pytest.mark.parametrize("delay_ms", [-1000.0, -12.5, 250.0])
def test_a_delay_moves_what_is_written_and_not_what_is_told_of_it(
    clock: HandClock, tmp_path: Path, make_cue: Callable[..., Cue], sound: Sound, delay_ms: float
) -> None:
    wav = WavStage(clock, tmp_path / "out.wav", delay_ms=delay_ms)
    wav.output.play([make_cue(START + timedelta(seconds=2))], clock.now())
    wav.run(5)
    wav.output.close()
    assert onset(tmp_path / "out.wav", sound) == round((2 + delay_ms / 1000) * RATE)


def test_told_of_a_sound_that_is_delayed_it_is_the_planned_instant(
    clock: HandClock, tmp_path: Path, make_cue: Callable[..., Cue]
) -> None:
    wav = WavStage(clock, tmp_path / "out.wav", delay_ms=300)
    wav.output.play([make_cue(START)], clock.now())
    wav.run(1)
    heard = wav.output.heard(clock.now())["one"]
    assert (heard.began, heard.lasted) == (START, timedelta(seconds=0.7))
    wav.output.close()


def test_silence_takes_no_room_on_disk(wav: WavStage, tmp_path: Path, make_cue: Callable[..., Cue]) -> None:
    wav.output.play([make_cue(START + timedelta(seconds=300))], wav.clock.now())
    wav.run(310)
    facts = (tmp_path / "out.wav").stat()
    assert facts.st_size == 44 + 310 * RATE * 2
    assert facts.st_blocks * 512 < 2.2 * RATE * 2 + 64 * 1024


def test_a_restart_goes_on_in_the_same_file_with_a_hole(
    wav: WavStage, tmp_path: Path, make_cue: Callable[..., Cue], sound: Sound
) -> None:
    wav.run(1)
    wav.clock.turn(5)
    again = WavStage(wav.clock, tmp_path / "out.wav")
    again.output.play([make_cue(START + timedelta(seconds=6.5))], wav.clock.now())
    again.run(3)
    assert read_epoch(tmp_path / "out.wav") == START
    assert len(samples(tmp_path / "out.wav")) == 9 * RATE
    assert onset(tmp_path / "out.wav", sound) == round(6.5 * RATE)


def test_an_output_that_was_closed_and_opened_again_goes_on(
    wav: WavStage, tmp_path: Path, make_cue: Callable[..., Cue], sound: Sound
) -> None:
    cue = make_cue(START)
    wav.output.play([cue], wav.clock.now())
    wav.run(0.5)
    wav.output.close()
    wav.clock.turn(0.3)
    wav.output.open()
    wav.output.play([cue], wav.clock.now())
    wav.run(2)
    heard, again = samples(tmp_path / "out.wav"), round(0.8 * RATE)
    assert not heard[RATE // 2 : again].any()
    np.testing.assert_allclose(heard[again + 480 : 2 * RATE], sound.samples[again + 480 :], atol=2 / 32767)


@pytest.mark.parametrize("away", [LONGEST, -timedelta(seconds=1)])
def test_a_file_too_old_or_from_the_future_is_moved_aside(wav: WavStage, tmp_path: Path, away: timedelta) -> None:
    wav.run(0.5)
    wav.clock.jump(away.total_seconds() - 0.5)
    WavStage(wav.clock, tmp_path / "out.wav").output.close()
    assert read_epoch(tmp_path / "out.wav") == START + away
    kept = tmp_path / "out.20260302T220000.000000Z.wav"
    assert len(samples(kept)) == RATE // 2
    assert read_epoch(kept) == START


def test_somebody_elses_file_is_kept(tmp_path: Path, clock: HandClock) -> None:
    (tmp_path / "out.wav").write_bytes(b"precious")
    WavStage(clock, tmp_path / "out.wav").output.close()
    assert b"precious" in [path.read_bytes() for path in tmp_path.iterdir()]
    assert read_epoch(tmp_path / "out.wav") == START


def test_a_jump_forward_is_a_hole_and_sound_stays_on_the_clock(
    wav: WavStage, tmp_path: Path, make_cue: Callable[..., Cue], sound: Sound
) -> None:
    wav.run(1)
    wav.clock.jump(3600)
    wav.output.play([make_cue(START + timedelta(seconds=3602))], wav.clock.now())
    wav.run(4)
    facts = (tmp_path / "out.wav").stat()
    assert facts.st_size == 44 + 3605 * RATE * 2
    assert facts.st_blocks * 512 < 2.2 * RATE * 2 + 64 * 1024
    tail, _ = soundfile.read(tmp_path / "out.wav", start=3601 * RATE, dtype="float32")
    assert int(np.argmax(np.correlate(tail, sound.samples[: RATE // 20], "valid"))) == RATE


def test_a_jump_back_begins_a_new_file(wav: WavStage, tmp_path: Path) -> None:
    wav.run(2)
    wav.clock.jump(-1)
    wav.run(1)
    assert read_epoch(tmp_path / "out.wav") == START + timedelta(seconds=1.05)
    assert len(samples(tmp_path / "out.20260302T220000.000000Z.wav")) == 2 * RATE


def test_a_file_never_outgrows_its_format(wav: WavStage, tmp_path: Path) -> None:
    wav.clock.turn(LONGEST.total_seconds())
    wav.output.catch_up()
    assert read_epoch(tmp_path / "out.wav") == START + LONGEST


def test_a_reader_at_any_moment_finds_a_whole_file(tmp_path: Path, clock: HandClock) -> None:
    path, stop, read = tmp_path / "out.wav", threading.Event(), 0
    file = WaveFile.begin(path, clock.now())

    def write() -> None:
        while not stop.is_set():
            file.write(file.length, b"\1\0" * 960)
            file.extend(file.length)

    writer = threading.Thread(target=write)
    writer.start()
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        with wave.open(str(path)) as reader:
            assert len(reader.readframes(reader.getnframes())) == reader.getnframes() * 2
        read += 1
    stop.set()
    writer.join()
    file.close()
    assert read > 10


@running
async def test_in_real_time_the_file_keeps_up_and_the_sound_is_on_its_sample(
    tmp_path: Path, make_cue: Callable[..., Cue], sound: Sound
) -> None:
    clock, path = SystemClock(), tmp_path / "out.wav"
    output = WavOutput(path, clock=clock, changed=lambda: None)
    task = asyncio.create_task(output.run())
    start = clock.now() + timedelta(seconds=0.5)
    output.play([make_cue(start)], clock.now())
    lag = []
    while clock.now() < start + timedelta(seconds=2.2):
        await asyncio.sleep(0.1)
        if epoch := read_epoch(path):
            lag.append((clock.now() - epoch).total_seconds() - length_s(path))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    epoch = read_epoch(path)
    assert epoch is not None
    assert abs(onset(path, sound) - (start - epoch).total_seconds() * RATE) <= 1
    assert max(lag) <= 0.25
    assert output.heard(clock.now())["one"].lasted == timedelta(seconds=2)


@running
async def test_a_place_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    output = WavOutput(tmp_path / "file" / "out.wav", clock=SystemClock(), changed=lambda: None)
    with pytest.raises(OutputError, match="cannot be written"):
        await output.run()
