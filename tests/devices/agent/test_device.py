"""A sound card on the clock: kept in step, noticed when it hangs, taken up again; the real one where there is one."""

import asyncio
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from benchmarks import pulse
from devices.agent.sound.device import DeviceOutput
from devices.agent.sound.mixer import Mixer
from devices.agent.sound.output import Cue, OutputError
from devices.agent.sound.outputs import open_output
from devices.agent.sound.patience import Hung, Patience
from devices.agent.sound.portaudio import device_available
from devices.agent.timing.clock import SystemClock
from schedules.levels import Level
from schedules.timeline import Slot, SlotItem
from tests.devices.agent.card import FRAMES, RATE, Card
from tests.devices.agent.conftest import running, until
from tests.devices.agent.test_mixer import HandDecoder
from tests.fakes.clock import START, HandClock

LONG_S = 40.0


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """440 Hz: where it is broken, two neighbouring samples lie far apart."""
    path = tmp_path_factory.mktemp("tone") / "tone.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(LONG_S * RATE)) / RATE), RATE, "PCM_16")
    return path


def cue(path: Path, start: datetime, seconds: float = LONG_S) -> Cue:
    item = SlotItem(rendition="tone", offset=timedelta(), duration=timedelta(seconds=seconds))
    end = start + timedelta(seconds=seconds)
    slot = Slot(id="slot", title="", level=Level.ROUTINE, start=start, end=end, items=(item,))
    return Cue(slot=slot, begin=start, end=end, files={"tone": path}, gain=1.0)


class Stand:
    """An output on a card, both under a hand clock."""

    def __init__(self, clock: HandClock, card: Card, *, delay_ms: float = 0.0) -> None:
        self.clock, self.card, self.decoder = clock, card, HandDecoder()
        mixer = Mixer(changed=lambda: None, decoder=self.decoder)
        self.output = DeviceOutput(None, clock=clock, changed=lambda: None, delay_ms=delay_ms, driver=card, mixer=mixer)

    def turn(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            self.decoder.fill()
            self.card.pump()
            self.clock.turn(0.02)

    async def live(self, seconds: float) -> None:
        """Turn the clock while the output's own loop runs; threads get the time that they need."""
        for _ in range(round(seconds / 0.1)):
            self.turn(0.1)
            await asyncio.sleep(0)
            await until(lambda: any(not future.done() for *_, future in self.clock._sleepers))


def loudest_edge(samples: np.ndarray) -> float:
    """Return the largest difference of two neighbours; of the tone itself it is 0.029."""
    return float(np.abs(np.diff(samples)).max())


def instant_of_sound(card: Card, epoch: float = 0.0) -> float:
    """Return the second at which the first sample above a hundredth is heard."""
    for heard, block in card.sound:
        samples = np.frombuffer(block, "<i2")
        if (loud := np.flatnonzero(np.abs(samples) > 327)).size:
            return float(heard + loud[0] / RATE)
    raise AssertionError("nothing is heard")


@running
async def test_a_card_whose_crystal_is_off_is_kept_in_step_without_a_click(clock: HandClock, tone: Path) -> None:
    stand = Stand(clock, Card(clock, ppm=80, buffer_s=0.2, noise_s=0.002))
    task = asyncio.create_task(stand.output.run())
    await until(lambda: stand.card.opened == 1)
    await stand.live(30)
    start = clock.now() + timedelta(seconds=1)
    stand.output.play([cue(tone, start)], clock.now())
    await stand.live(30)
    sounding = [(heard, np.frombuffer(block, "<i2") / 32767) for heard, block in stand.card.sound if any(block)]
    began = (start - START).total_seconds()
    for heard, samples in sounding[5:-5:40]:
        places = (heard - began) + np.arange(FRAMES) / RATE / (1 + 80e-6)
        late = [np.sum(samples * 0.5 * np.sin(2 * np.pi * 440 * places + turn)) for turn in (0, np.pi / 2)]
        assert abs(np.arctan2(late[1], late[0]) / 2 / np.pi / 440) <= 0.25e-3
    assert loudest_edge(np.concatenate([samples for _, samples in sounding[1:]])) <= 0.03
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("delay_ms", [-1000.0, -20.0, 0.0, 0.4, 300.0])
def test_a_delay_moves_the_sound_and_not_what_is_told_of_it(clock: HandClock, tone: Path, delay_ms: float) -> None:
    stand = Stand(clock, Card(clock, buffer_s=0.2), delay_ms=delay_ms)
    stand.card.open(None, stand.output._feed.block)
    stand.output.play([cue(tone, START + timedelta(seconds=2))], clock.now())
    stand.turn(4)
    assert instant_of_sound(stand.card) == pytest.approx(2 + delay_ms / 1000, abs=0.0002)
    assert stand.output.heard(clock.now())["slot"].began == START + timedelta(seconds=2)


def test_joined_under_way_a_delayed_sound_is_heard_at_once(clock: HandClock, tone: Path) -> None:
    stand = Stand(clock, Card(clock), delay_ms=500)
    stand.card.open(None, stand.output._feed.block)
    stand.turn(1)
    stand.output.play([cue(tone, START - timedelta(seconds=3))], clock.now())
    stand.turn(1)
    assert instant_of_sound(stand.card) == pytest.approx(1, abs=0.03)


def test_an_underrun_is_a_gap_after_which_it_goes_on_in_its_place(clock: HandClock, tone: Path) -> None:
    stand = Stand(clock, Card(clock, buffer_s=0.1))
    stand.card.open(None, stand.output._feed.block)
    stand.output.play([cue(tone, START)], clock.now())
    stand.turn(2)
    stand.card.run_dry(0.3)
    stand.turn(2)
    assert stand.output.xruns == 1
    heard, block = stand.card.sound[-1]
    places = heard + np.arange(FRAMES) / RATE
    np.testing.assert_allclose(np.frombuffer(block, "<i2") / 32767, 0.5 * np.sin(2 * np.pi * 440 * places), atol=0.002)


@pytest.mark.parametrize("seconds", [-0.4, 0.4])
def test_a_clock_that_is_set_in_the_middle_of_a_sound_makes_no_click(
    clock: HandClock, tone: Path, seconds: float
) -> None:
    stand = Stand(clock, Card(clock, buffer_s=0.1))
    stand.card.open(None, stand.output._feed.block)
    stand.output.play([cue(tone, START)], clock.now())
    stand.turn(2)
    clock.jump(seconds)
    stand.turn(2)
    assert loudest_edge(stand.card.samples()) <= 0.032
    assert stand.card.samples()[-FRAMES:].any()


@running
async def test_a_card_that_hangs_is_opened_again_within_five_seconds(
    clock: HandClock, tone: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stand = Stand(clock, Card(clock, buffer_s=0.1))
    task = asyncio.create_task(stand.output.run())
    await until(lambda: stand.card.opened == 1)
    stand.output.play([cue(tone, clock.now())], clock.now())
    await stand.live(2)
    stand.card.stuck = True
    hung = clock.monotonic()
    await stand.live(5)
    assert stand.card.opened == 2
    again = next(heard for heard, block in stand.card.sound if heard > hung + 0.2 and any(block))
    assert again - hung <= 5
    assert stand.card.refreshed == 1
    assert not any(stand.card.fills[0](FRAMES, 0.1, True))  # it comes to life, too late
    assert stand.output.xruns == 0
    assert [record.getMessage() for record in caplog.records if record.name == "devices.agent.sound.device"] == [
        "sound device failed device=device error=it has taken no sample for 2 s",
        "sound device works again device=device",
    ]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@running
async def test_a_card_that_is_pulled_out_is_taken_up_again_when_it_is_back(
    clock: HandClock, tone: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stand = Stand(clock, Card(clock, buffer_s=0.1))
    task = asyncio.create_task(stand.output.run())
    await until(lambda: stand.card.opened == 1)
    stand.output.play([cue(tone, clock.now())], clock.now())
    await stand.live(2)
    stand.card.there = stand.card.active = False
    await stand.live(15)
    assert stand.card.refreshed > 3
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1
    stand.card.there = True
    back = clock.monotonic()
    await stand.live(4)
    assert min(heard for heard, block in stand.card.sound if heard > back and any(block)) - back <= 3
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@running
async def test_a_call_that_hangs_is_left_behind_and_what_it_brings_late_is_closed() -> None:
    patience, release, late = Patience(most=2), threading.Event(), []
    for _ in range(2):
        with pytest.raises(Hung, match="no answer within"):
            await patience.call(lambda: release.wait(5), limit_s=0.02, late=late.append)
    with pytest.raises(Hung, match="2 calls have not come back"):
        await patience.call(lambda: 1, limit_s=1)
    release.set()
    await until(lambda: patience.hanging == 0)
    assert late == [True, True]
    assert await patience.call(lambda: 1, limit_s=1) == 1
    with pytest.raises(ZeroDivisionError):
        await patience.call(lambda: 1 // 0, limit_s=1)


def test_a_device_that_is_not_there_is_an_error_that_says_what_to_do(clock: HandClock) -> None:
    with pytest.raises(OutputError, match=r"libportaudio2|wav:PATH"):
        open_output("device:no such thing", clock=clock, changed=lambda: None)


def test_a_machine_without_a_sound_card_says_so() -> None:
    if (name := device_available()) is None:
        with pytest.raises(OutputError, match="wav:PATH"):
            open_output("device", clock=SystemClock(), changed=lambda: None)
    else:
        assert name


# The real thing: PortAudio, ALSA, PulseAudio.


@pytest.fixture
def street(tmp_path: Path) -> Iterator[pulse.Street]:
    if (reason := pulse.missing()) is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with pulse.street(tmp_path / "pulse") as street:
        yield street


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    path = tmp_path / "noise.wav"
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, 20 * RATE), RATE, "PCM_16")
    return path


def heard_s(player: Any) -> list[tuple[float, float]]:
    return [(line["at"], line["lasted"]) for line in map(json.loads, player.communicate(timeout=60)[0].splitlines())]


def test_two_real_outputs_play_together_and_one_that_hung_is_heard_again(
    street: pulse.Street, noise: Path, tmp_path: Path
) -> None:
    start = datetime.now(UTC) + timedelta(seconds=2.5)
    recorded = tmp_path / "street.raw"
    players = []
    try:
        with street.recording(recorded):
            players = [street.speaker(name, noise, start, 11) for name in ("left", "right")]
            threading.Event().wait((start - datetime.now(UTC)).total_seconds() + 1.5)
            with street.hanging():
                threading.Event().wait(3.5)
            free = datetime.now(UTC).timestamp()
            told = [heard_s(player) for player in players]
    finally:
        for player in players:
            with suppress(ProcessLookupError):
                player.kill()
            player.wait()
    for lines in told:
        before = max(lasted for at, lasted in lines if at <= free)
        assert before >= 1
        assert min(at for at, lasted in lines if lasted > before + 0.2) - free <= 5
    left, right = pulse.read(recorded)
    sounding = [
        at for at in range(0, left.size - RATE, RATE) if min(left[at : at + RATE].std(), right[at].std()) > 0.05
    ]
    assert all(abs(pulse.lag_s(left[at : at + RATE], right[at : at + RATE])) <= 0.01 for at in sounding)
