"""Samples between samples: a sound read at a rate that is a little off its own and changes while it is read.

Windowed sinc, 32 taps, Kaiser window (beta 9), 256 phases with a straight line between two: flat to 0.01 dB up to
20 kHz, where renditions end; while the rate changes, what it adds to a tone lies 90 dB below it up to 19 kHz.
libsoxr and libsamplerate know rates that change as well, but the first one's Python package does not offer it, and
neither says where between two samples it stands, which is what this is for.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from devices.agent.sound.decoding import Samples

TAPS: Final = 32
REACH: Final = TAPS // 2
"""How many samples to either side of a place its value depends on."""
_PHASES: Final = 256
_BETA: Final = 9.0


class Resampler:
    """Reads a source of samples at any place, block after block, without a seam."""

    def __init__(self, source: Callable[[int, int], Samples]) -> None:
        self._source = source
        """Given ``(first, frames)`` it returns these samples; it is read in order, with a hole after a jump."""
        self._kernel, self._slope = _kernel()
        self._held: Samples = np.zeros(0, np.float32)
        self._first = 0

    def read(self, whole: int, part: float, frames: int, *, ratio: float, ratio_after: float) -> Samples:
        """Return ``frames`` values from place ``whole + part`` on.

        Args:
            whole: index of a sample of the source.
            part: how far behind it the first value lies, 0 to 1 of a sample.
            frames: how many values.
            ratio: samples of the source for each value, at the beginning of the block.
            ratio_after: the same at its end; between, it changes evenly.
        """
        places = part + advance(frames, ratio, ratio_after, np.arange(frames, dtype=np.float64))
        before = places.astype(np.intp)
        phases = (places - before) * _PHASES
        phase = phases.astype(np.intp)
        between = (phases - phase).astype(np.float32)
        held = self._hold(whole - REACH + 1, whole + int(before[-1]) + REACH + 1)
        around = np.lib.stride_tricks.sliding_window_view(held, TAPS)[before]
        kernel = self._kernel[phase] + between[:, None] * self._slope[phase]
        values: Samples = np.einsum("ij,ij->i", around, kernel)
        return values

    def forget(self) -> None:
        """Hold no samples any longer: what is read next does not follow on."""
        self._held = np.zeros(0, np.float32)

    def _hold(self, first: int, end: int) -> Samples:
        """Return samples ``[first, end)``, of which the source is asked only for those not yet read."""
        known = self._first + len(self._held)
        if not self._first <= first <= known:
            self._held, known = self._held[:0], first
        if not len(self._held):
            self._first = known = first
        fresh = self._source(known, end - known) if end > known else self._held[:0]
        self._held = np.concatenate((self._held[first - self._first :], fresh))
        self._first = first
        return self._held


def advance(
    frames: int, ratio: float, ratio_after: float, after: "npt.NDArray[np.float64]"
) -> "npt.NDArray[np.float64]":
    """Return how far the source has been read ``after`` so many of a block's values, in samples."""
    return after * ratio + after * after * ((ratio_after - ratio) / (2 * frames))


def _kernel() -> tuple[Samples, Samples]:
    """Return the taps of each phase, and what leads from each to the next."""
    phases = np.arange(_PHASES + 1)[:, None] / _PHASES
    places = np.arange(TAPS)[None, :] - (REACH - 1) - phases
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (places / REACH) ** 2, 0, 1))) / np.i0(_BETA)
    taps = np.sinc(places) * window
    taps /= taps.sum(axis=1, keepdims=True)
    return taps[:-1].astype(np.float32), np.diff(taps, axis=0).astype(np.float32)
