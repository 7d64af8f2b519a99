"""Whether neighbours sound together: two real boxes on two speakers of one PulseAudio, recorded by one recorder.

* Skew: where the two channels of a second of noise agree best, for every second.
* Start: where what was played agrees best with what was sent, against its instant: in the WAV of a real box, and on a
  card in software, because no recorder knows to a millisecond when it heard what.
* One clock fast: the machine of one box runs 50 ppm fast, and the server's time is all that disciplines it.

A box that has just been started is not measured: PulseAudio's reports settle only within a minute.
"""

import asyncio
import io
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final

import numpy as np
import soundfile

from benchmarks import pulse, softcard
from benchmarks.figures import Figure
from benchmarks.pulse import RATE, Samples, Street, lag_s
from benchmarks.town import Town, resident_mb, town
from devices.agent.enrolment import enrol
from devices.agent.run import Surroundings
from devices.agent.run import run as run_box
from devices.agent.sound.pacing import Pacer, Reading
from devices.agent.timing.clock import SystemClock
from devices.link import connect

LONG: Final = bool(os.environ.get("LONG") or os.environ.get("SOAK"))
SKEW_S: Final = 60
FAST_S: Final = 600 if LONG else 90
FAST_PPM: Final = 50.0
SETTLE_S: Final = 75
STARTS: Final = 20
SPACING: Final = timedelta(seconds=2)
_SPEAKERS: Final = ("left", "right")
_HEARD: Final = 0.01


def figures() -> Iterator[Figure]:
    """Measure, and yield each figure as it is known. Where there is no PulseAudio, only what needs none."""
    yield _simulated_card()
    yield from _on_a_soft_card()
    if (reason := pulse.missing()) is not None:
        print(f"no boxes are recorded: {reason}", file=sys.stderr)
        return
    yield from _with_one_clock()
    yield from _with_a_fast_clock()


def _on_a_soft_card() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="loa-bench-") as name:
        errors = softcard.start_errors_ms(Path(name), STARTS * 2)
    which = f"start, card in software, {len(errors)} sounds"
    yield Figure(figure=f"{which}: p99", value=_p99(errors), unit="ms", limit=3)
    yield Figure(figure=f"{which}: median", value=median(errors), unit="ms", limit=None)


# A card by calculation, ten minutes in a second.


def _simulated_card() -> Figure:
    chance, pacer, worst_s, frames = Random(1), Pacer(), 0.0, RATE // 50
    for block in range(660 * 50):
        true_s = block * frames / RATE * (1 + FAST_PPM * 1e-6)
        laid = pacer.block(frames, Reading(true_s + chance.uniform(-0.002, 0.002), 0, False), quiet=block < 60 * 50)
        if laid is not None and block >= 60 * 50:
            worst_s = max(worst_s, abs((laid.whole + laid.part) / RATE - true_s))
    name = "calculated: card 50 ppm slow, reports off by ±2 ms, 10 min: worst"
    return Figure(figure=name, value=worst_s * 1000, unit="ms", limit=1.0)


# Real boxes.


def _with_one_clock() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="loa-bench-") as name:
        with _boxes(Path(name), {"left": 0.0, "right": 0.0, "wav": 0.0}) as scene:
            scene.own()
            time.sleep(SETTLE_S)
            starts, long = scene.announce(STARTS, 1.0), scene.announce(1, SKEW_S + 2.0)
            peak = resident_mb(scene.boxes["left"].pid, peak=True)
        own, wav, skews = scene.own_ms(), starts.written_ms(), long.skews_ms()
    yield Figure(figure="recorder: one process on both speakers, skew", value=own, unit="ms", limit=0.01)
    yield Figure(figure=f"start, WAV, p99 of {len(wav)}", value=_p99(wav), unit="ms", limit=3)
    yield Figure(figure=f"skew of two boxes, {SKEW_S} s: median", value=median(skews), unit="ms", limit=0.1)
    yield Figure(figure=f"skew of two boxes, {SKEW_S} s: worst", value=max(skews), unit="ms", limit=0.25)
    yield Figure(figure="memory of a box with a sound device (peak)", value=peak, unit="MB", limit=None)


def _with_a_fast_clock() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="loa-bench-") as name:
        with _boxes(Path(name), {"left": 0.0, "right": FAST_PPM}) as scene:
            time.sleep(SETTLE_S)
            long = scene.announce(1, FAST_S + 2.0)
        skews = long.skews_ms()
    which = f"skew, one clock 50 ppm fast, {FAST_S} s"
    yield Figure(figure=f"{which}: median", value=median(skews), unit="ms", limit=None)
    yield Figure(figure=f"{which}: worst", value=max(skews), unit="ms", limit=1.0)


class Scene:
    """A town with a server, its boxes and the street that they sound in, which is recorded all the time."""

    def __init__(self, directory: Path, at: Town, street: Street, boxes: "dict[str, subprocess.Popen[bytes]]") -> None:
        self.directory, self.at, self.street, self.boxes = directory, at, street, boxes
        self._noises = 0

    def own(self) -> None:
        """Let one process play a noise on both speakers at once."""
        raw = self.directory / "noise.raw"
        raw.write_bytes((_noise(3.0, 0) * 32767).astype("<i2").tobytes())
        self.street.play_on_both(raw)

    def own_ms(self) -> float:
        """Return by how much the speakers were apart then. Once the recording has ended."""
        heard = pulse.read(self.directory / "street.raw")
        loud = np.flatnonzero(np.abs(heard[0]) > _HEARD)
        seconds = [heard[:, at : at + RATE] for at in range(int(loud[0]), int(loud[0]) + 2 * RATE, RATE)]
        return max(_skews_ms(seconds))

    def announce(self, count: int, seconds: float) -> "Noise":
        """Announce a noise ``count`` times for all boxes, and return when it was heard."""
        self._noises += 1
        file = io.BytesIO()
        soundfile.write(file, _noise(seconds, self._noises), RATE, "PCM_16", format="FLAC")
        answer = self.at.ask("POST", "/sounds", files={"file": ("noise.flac", file.getvalue())})
        sound = self.at.wait(f"/sounds/{answer['id']}", lambda answer: answer["state"] == "ready", 120)
        first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=10)
        starts = [first + SPACING * number for number in range(count)]
        for start in starts:
            body = {"title": "noise", "sound": sound["id"], "zones": ["town"], "at": start.isoformat()}
            self.at.ask("POST", "/announcements", json=body)
        time.sleep((starts[-1] - datetime.now(UTC)).total_seconds() + seconds + 1)
        return Noise(self.directory, sound["rendition"], starts, seconds)


class Noise:
    """A noise that the boxes of a scene were told to play, to be looked at when the recording has ended."""

    def __init__(self, directory: Path, rendition: str, starts: list[datetime], seconds: float) -> None:
        self._directory, self._starts, self._seconds = directory, starts, seconds
        self._sent: Samples = soundfile.read(next((directory / "left" / "renditions").glob(rendition + "*")))[0]

    def skews_ms(self) -> list[float]:
        """Return by how much the speakers were apart in each second of it, the first and the last left out."""
        heard = pulse.read(self._directory / "street.raw")
        first = self._first(heard[0]) + RATE
        seconds = [heard[:, at : at + RATE] for at in range(first, first + int(self._seconds - 2) * RATE, RATE)]
        return _skews_ms(seconds)

    def _first(self, heard: Samples) -> int:
        """Return about where in the recording it begins: its last long sound."""
        loud = np.flatnonzero(np.abs(heard) > _HEARD)
        return int(loud[-1]) - round(self._seconds * RATE)

    def written_ms(self) -> list[float]:
        """Return by how much each of its starts was late in the WAV."""
        wav = self._directory / "street.wav"
        epoch = datetime.fromisoformat(json.loads(wav.with_name(wav.name + ".json").read_text())["epoch"])
        heard: Samples = soundfile.read(wav)[0]
        return [abs(self._late_ms(heard, (start - epoch).total_seconds() * RATE)) for start in self._starts]

    def _late_ms(self, heard: Samples, frame: float) -> float:
        margin, nominal = RATE // 8, round(frame)
        around = heard[nominal - margin : nominal + self._sent.size + margin]
        if around.std() < _HEARD:
            raise RuntimeError("a noise did not sound")
        return (lag_s(around, np.concatenate((np.zeros(margin), self._sent)), 0.1) - (frame - nominal) / RATE) * 1000


def _skews_ms(seconds: list[Samples]) -> list[float]:
    if any(min(second.std(axis=1)) < _HEARD for second in seconds):
        raise RuntimeError("a speaker was silent")
    return [abs(lag_s(second[0], second[1])) * 1000 for second in seconds]


def _noise(seconds: float, seed: int) -> Samples:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).clip(-1, 1)


def _p99(values: list[float]) -> float:
    return float(np.percentile(values, 99, method="higher"))


@contextmanager
def _boxes(directory: Path, clocks: dict[str, float]) -> Iterator[Scene]:
    """Start a town and its boxes, by the names of their speakers, each with the ppm by which its machine is fast."""
    with ExitStack() as stack:
        street = stack.enter_context(pulse.street(directory / "pulse"))
        at = stack.enter_context(town(directory / "data", len(clocks)))
        boxes = {}
        for number, (speaker, ppm) in enumerate(clocks.items()):
            home = directory / speaker
            enrol(at.url, at.ask("POST", f"/clusters/c{number}/enrolment")["code"], home)
            output = f"device:{speaker}" if speaker in _SPEAKERS else f"wav:{directory / 'street.wav'}"
            command = [sys.executable, "-m", "benchmarks.together", str(home), output, str(ppm)]
            log = stack.enter_context((directory / f"{speaker}.log").open("wb"))
            boxes[speaker] = subprocess.Popen(command, env=street.environment, stdout=log, stderr=log)
            stack.callback(_end, boxes[speaker])
        at.wait("/boxes", lambda answer: all(box["health"] == "online" for box in answer["items"]))
        with street.recording(directory / "street.raw"):
            yield Scene(directory, at, street, boxes)


def _end(box: "subprocess.Popen[bytes]") -> None:
    box.terminate()
    try:
        box.wait(10)
    except subprocess.TimeoutExpired:
        box.kill()


class Crystal(SystemClock):
    """A machine whose crystal is ``ppm`` fast. At 0 its kernel says that it is synchronised, else that it is not."""

    def __init__(self, ppm: float) -> None:
        self._ppm = ppm
        self._began, self._moment = super().now(), super().monotonic()

    def now(self) -> datetime:
        """Return the wall clock, which nobody corrects."""
        return self._began + timedelta(seconds=self.monotonic() - self._moment)

    def monotonic(self) -> float:
        """Return the monotonic clock by this crystal."""
        return self._moment + (super().monotonic() - self._moment) * (1 + self._ppm * 1e-6)

    def synchronised(self) -> float | None:
        """Return a millisecond, or None."""
        return None if self._ppm else 0.001


async def _live(home: Path, output: str, ppm: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    surroundings: Any = Surroundings(connect=connect, machine=Crystal(ppm))
    await run_box(home, output, surroundings=surroundings, stop=stop)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_live(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
