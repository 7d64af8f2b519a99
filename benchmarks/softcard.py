"""How exactly a box begins on a card whose true times are known: a card in software, in real time.

No recorder of a sound system says to a millisecond when it heard what. So here everything is real, decoder, clock and
threads, but for the card: its crystal is 50 ppm off, and its reports are off by up to 2 ms either way.
"""

import asyncio
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import soundfile

from benchmarks.pulse import RATE, Samples, lag_s
from devices.agent.sound.device import DeviceOutput
from devices.agent.sound.output import Cue
from devices.agent.sound.portaudio import Fill
from devices.agent.timing.clock import SystemClock
from schedules.levels import Level
from schedules.timeline import Slot, SlotItem

FRAMES: Final = RATE // 50
BUFFER_S: Final = 0.2
NOISE_S: Final = 0.002
PPM: Final = 50.0
SETTLE_S: Final = 30
SPACING: Final = timedelta(seconds=1)
_LENGTH: Final = timedelta(seconds=0.5)


class SoftCard:
    """A driver with one card, which is its own stream; it keeps what it played."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.began_s = 0.0
        self.active = False
        self._thread: threading.Thread | None = None

    def steady(self) -> float:
        """Return the monotonic clock."""
        return time.monotonic()

    def find(self, device: str | int | None) -> None:
        """It is there."""

    def refresh(self) -> None:
        """It is there still."""

    def open(self, device: str | int | None, fill: Fill) -> "SoftCard":
        """Begin to play."""
        self.began_s, self.active = self.steady() + BUFFER_S, True
        self._thread = threading.Thread(target=self._run, args=(fill,), daemon=True)
        self._thread.start()
        return self

    def heard_s(self, frame: int) -> float:
        """Return when a frame is truly heard, by the monotonic clock."""
        return self.began_s + frame / RATE * (1 + PPM * 1e-6)

    def end(self) -> None:
        """Stop."""
        self.active = False

    close = end

    def _run(self, fill: Fill) -> None:
        chance = Random(1)
        while self.active:
            while (ahead_s := self.heard_s(len(self.blocks) * FRAMES) - self.steady()) < BUFFER_S:
                self.blocks.append(fill(FRAMES, ahead_s + chance.uniform(-NOISE_S, NOISE_S), False))
            time.sleep(0.005)


def start_errors_ms(directory: Path, count: int) -> list[float]:
    """Return by how much each of ``count`` sounds began too early or too late."""
    path = directory / "noise.wav"
    noise = np.random.default_rng(3).normal(0, 0.1, round(_LENGTH.total_seconds() * RATE)).clip(-1, 1)
    soundfile.write(path, noise, RATE, "PCM_16")
    card, clock = SoftCard(), SystemClock()
    starts = [clock.now() + timedelta(seconds=SETTLE_S, microseconds=12_345 * n) + SPACING * n for n in range(count)]
    asyncio.run(_play(card, clock, path, starts))
    ahead_s = clock.now().timestamp() - card.steady()
    heard = np.frombuffer(b"".join(card.blocks), "<i2") / 32767
    return [_late_ms(heard, noise, _frame(card, start.timestamp() - ahead_s)) for start in starts]


async def _play(card: SoftCard, clock: SystemClock, path: Path, starts: Sequence[datetime]) -> None:
    output = DeviceOutput(None, clock=clock, changed=lambda: None, driver=card)
    task = asyncio.create_task(output.run())
    for start in starts:
        await asyncio.sleep((start - clock.now() - SPACING / 3).total_seconds())
        output.play([_cue(path, start)], clock.now())
    await asyncio.sleep(2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _cue(path: Path, start: datetime) -> Cue:
    item = SlotItem(rendition="noise", offset=timedelta(), duration=_LENGTH)
    slot = Slot(id=str(start), title="", level=Level.ROUTINE, start=start, end=start + _LENGTH, items=(item,))
    return Cue(slot=slot, begin=start, end=slot.end, files={"noise": path}, gain=1.0)


def _frame(card: SoftCard, second: float) -> float:
    return (second - card.began_s) * RATE / (1 + PPM * 1e-6)


def _late_ms(heard: Samples, sent: Samples, frame: float) -> float:
    margin, nominal = RATE // 8, round(frame)
    around = heard[nominal - margin : nominal + sent.size + margin]
    if around.std() < 0.01:
        raise RuntimeError("a noise did not sound")
    return abs(lag_s(around, np.concatenate((np.zeros(margin), sent)), 0.1) - (frame - nominal) / RATE) * 1000
