"""A sound card turned by hand: it runs by its own crystal; its reports may be noisy, wrong or missing."""

import random
from dataclasses import dataclass, field

import numpy as np

from devices.agent.sound.output import OutputError
from devices.agent.sound.portaudio import Fill
from tests.fakes.clock import HandClock

FRAMES = 960
RATE = 48_000


@dataclass
class Card:
    """A driver with one card, which is its own stream."""

    clock: HandClock
    ppm: float = 0.0
    """By how much its crystal is too fast."""
    buffer_s: float = 0.0
    noise_s: float = 0.0
    there: bool = True
    stuck: bool = False
    """It takes nothing more and does not close."""
    active: bool = False
    opened: int = 0
    refreshed: int = 0
    sound: list[tuple[float, bytes]] = field(default_factory=list)
    """Blocks with the second of the steady clock at which each is heard."""

    def __post_init__(self) -> None:
        self._fill: Fill | None = None
        self.fills: list[Fill] = []
        self._began = 0.0
        self._frames = 0
        self._slipped = False
        self._chance = random.Random(1)

    def steady(self) -> float:
        return self.clock.monotonic()

    def find(self, device: str | int | None) -> None:
        if not self.there:
            raise OutputError(f"There is no sound device {device}")

    def refresh(self) -> None:
        self.refreshed += 1

    def open(self, device: str | int | None, fill: Fill) -> "Card":
        if not self.there:
            raise OutputError("it cannot be opened: it is not there")
        self._fill, self._began, self._frames, self.active, self.stuck = fill, self.steady(), 0, True, False
        self.opened += 1
        self.fills.append(fill)
        return self

    def end(self) -> None:
        self.pump()
        self.close()

    def close(self) -> None:
        self.active = False
        self._fill = None

    def run_dry(self, seconds: float) -> None:
        """Play nothing for so long, and say so with the next block."""
        self._began += seconds
        self._slipped = True

    def pump(self) -> None:
        """Ask for every block that has room by now."""
        while self._fill is not None and not self.stuck:
            heard = self._began + self.buffer_s + self._frames / RATE / (1 + self.ppm * 1e-6)
            ahead = heard - self.steady()
            if ahead > self.buffer_s + 1e-9:
                return
            reported = ahead + self._chance.uniform(-self.noise_s, self.noise_s)
            block = self._fill(FRAMES, reported, self._slipped)
            self._slipped = False
            self.sound.append((heard, block))
            self._frames += FRAMES

    def samples(self) -> np.ndarray:
        """Return all that was played, from its first block on, without regard to when."""
        return np.frombuffer(b"".join(block for _, block in self.sound), "<i2") / 32767
