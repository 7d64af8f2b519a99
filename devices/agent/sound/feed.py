"""What a sound card is given, block by block: the cued sound, laid on the clock and kept on it."""

from collections.abc import Callable
from typing import Final

import numpy as np

from devices.agent.sound.decoding import Samples
from devices.agent.sound.mixer import FADE_FRAMES, Mixer
from devices.agent.sound.pacing import Pacer, Reading
from devices.agent.sound.resampling import REACH, Resampler
from devices.agent.timing.clock import Clock, to_ns

_SAME_S: Final = 100e-6
"""Two clocks read within this time are read together; else another thread came in between."""


class Feed:
    """Fills the blocks of one card. ``block`` belongs to the card's thread: it neither waits, nor logs, nor raises."""

    def __init__(self, mixer: Mixer, *, clock: Clock, steady: Callable[[], float], delay_ns: int) -> None:
        self._mixer = mixer
        self._clock = clock
        self._steady = steady
        self._pacer = Pacer(delay_ns=delay_ns)
        self._resampler = Resampler(lambda first, frames: mixer.render(first, frames, epoch_ns=0))
        self.frames = 0
        """How many the card has taken. While it runs they grow: this tells that it is alive."""
        self.xruns = 0
        """How often the card ran dry."""

    def begin(self) -> None:
        """Lay the sound anew: another card, or the same one opened again."""
        self._pacer.lose()
        self._resampler.forget()

    def block(self, frames: int, ahead_s: float | None, slipped: bool) -> bytes:
        """Return the next ``frames`` of the card as 16-bit samples.

        Args:
            frames: how many.
            ahead_s: seconds from this call until the first of them is heard; None: the card does not tell.
            slipped: it ran dry before them.
        """
        self.frames += frames
        self.xruns += slipped
        moment, ahead_ns = self._clocks()
        reading = Reading(None if ahead_s is None else moment + ahead_s, ahead_ns, slipped)
        block = self._pacer.block(frames, reading, quiet=self._quiet(self._pacer.place, frames))
        if block is None or self._quiet(block.whole, frames):
            self._resampler.forget()
            return bytes(2 * frames)
        values = self._resampler.read(block.whole, block.part, frames, ratio=block.ratio, ratio_after=block.ratio_after)
        if block.cut:
            values *= np.clip(1 - np.arange(frames, dtype=np.float32) / FADE_FRAMES, 0, 1)
            self._resampler.forget()
        return to_pcm(values)

    def _quiet(self, whole: int | None, frames: int) -> bool:
        return whole is None or self._mixer.silent(whole - REACH, frames + 2 * REACH, epoch_ns=0)

    def _clocks(self) -> tuple[float, int]:
        """Return the steady clock, and by how much the wall clock is ahead of it, in nanoseconds."""
        before, now, after = self._steady(), self._clock.now(), self._steady()
        if after - before > _SAME_S:
            before, now, after = self._steady(), self._clock.now(), self._steady()
        return after, to_ns(now) - round((before + after) / 2 * 1e9)


def to_pcm(samples: Samples) -> bytes:
    """Return samples of full scale 1 as 16-bit little-endian ones; what is louder is cut off."""
    return (np.clip(samples, -1.0, 1.0) * 32767).round().astype("<i2").tobytes()
