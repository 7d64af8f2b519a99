"""How loud a sound is, how loud it shall be, and the gain and limiter ceiling that get it there. Pure.

Loudness is the integrated loudness of ITU-R BS.1770 and EBU R 128 (LUFS), peaks are true peaks (dBTP). A limiter
takes loudness away from a voice with high peaks (1.7 LU from the bundled ones at their plain gain), so the gain is
found by trial on an excerpt; the codec adds to peaks, so the ceiling leaves it room; and what counts is measured on
the finished rendition.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

__all__ = [
    "CEILING_DBTP",
    "CODEC_LOSS_LU",
    "SURELY_HEARD_LUFS",
    "TARGET_LUFS",
    "TOLERANCE_LU",
    "Adjustment",
    "Measurement",
    "corrected",
    "first_adjustment",
    "is_silent",
    "next_gain",
    "scaled",
]

TARGET_LUFS: Final = -16.0
CEILING_DBTP: Final = -1.0
TOLERANCE_LU: Final = 0.5
"""A rendition further from the target is encoded again. Nobody hears half a unit; a second encoding costs minutes."""

SILENCE_DBFS: Final = -60.0
SURELY_HEARD_LUFS: Final = -55.0
CODEC_LOSS_LU: Final = 0.3
"""What Opus at 32 kbit/s takes from the loudness of speech: 0.1 to 0.5 LU, measured. White noise loses 1.5."""
CODEC_ROOM_DB: Final = 1.5
"""What it may add to a peak: 0.4 to 1.2 dB on speech and music, measured. Single claps gain 6 and more."""
MARGIN_DB: Final = 0.3
"""How far below the ceiling a correction aims, because no two encodings are alike."""
MOST_DRIVE_DB: Final = 8.0
"""The most gain on top of the plain one. Beyond it the limiter is heard more than the speaker."""
_LEAST_SLOPE: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a meter says of a sound.

    Loudness is minus infinity where nothing passes the gate at -70 LUFS. A peak that was not asked for is None: a true
    peak takes as long as the loudness.
    """

    duration: timedelta
    loudness_lufs: float
    peak_dbtp: float | None = None
    sample_peak_dbfs: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """What is done to a sound: first the gain, then a limiter at the ceiling. ``most_gain_db`` bounds corrections."""

    gain_db: float
    ceiling_dbfs: float
    most_gain_db: float


def is_silent(measured: Measurement) -> bool:
    """Return whether nobody would hear it: nothing above the gate, or no sample above -60 dBFS.

    Above -55 LUFS the peak need not be known: the loudness of a wave is at most 4 LU above its peak.
    """
    if measured.loudness_lufs > SURELY_HEARD_LUFS or math.isinf(measured.loudness_lufs):
        return math.isinf(measured.loudness_lufs)
    if measured.sample_peak_dbfs is None:
        raise ValueError("Below -55 LUFS silence is told by the sample peak, which was not measured.")
    return measured.sample_peak_dbfs < SILENCE_DBFS


def first_adjustment(loudness_lufs: float) -> Adjustment:
    """Return the plain gain to the target, and a ceiling with room for the codec."""
    plain = TARGET_LUFS + CODEC_LOSS_LU - loudness_lufs
    return Adjustment(gain_db=plain, ceiling_dbfs=CEILING_DBTP - CODEC_ROOM_DB, most_gain_db=plain + MOST_DRIVE_DB)


def next_gain(trials: Sequence[tuple[float, float]], wanted_lufs: float) -> float:
    """Return the gain (dB) to try after ``trials``: pairs of a gain and the loudness that came of it, in order.

    It lies on the secant through the last two. A limiter never adds loudness, so the slope is at most 1; it is
    taken as at least 1/4, because a sound that gains nothing more must not be driven without end.
    """
    gain, loudness = trials[-1]
    slope = 1.0
    if len(trials) > 1 and trials[-2][0] != gain:
        before, loudness_before = trials[-2]
        slope = min(max((loudness - loudness_before) / (gain - before), _LEAST_SLOPE), 1.0)
    return gain + (wanted_lufs - loudness) / slope


def corrected(adjustment: Adjustment, rendition: Measurement) -> Adjustment | None:
    """Return a better adjustment after measuring the rendition made with it, or None: good, or as good as it gets."""
    gain, ceiling = adjustment.gain_db, adjustment.ceiling_dbfs
    missing = TARGET_LUFS - rendition.loudness_lufs
    if abs(missing) > TOLERANCE_LU:
        gain = min(gain + missing, adjustment.most_gain_db)
    if (excess := _excess(rendition)) > 0:
        ceiling -= excess + MARGIN_DB
    better = replace(adjustment, gain_db=gain, ceiling_dbfs=ceiling)
    return better if better != adjustment else None


def scaled(adjustment: Adjustment, rendition: Measurement) -> Adjustment | None:
    """Return the adjustment lowered as a whole, so that the peak fits at the cost of loudness; None if it fits.

    The last resort, for sounds whose peaks the codec makes anew below every ceiling: the wave keeps its shape,
    so the codec answers as before, only lower.
    """
    if (excess := _excess(rendition)) <= 0:
        return None
    down = excess + MARGIN_DB
    return replace(adjustment, gain_db=adjustment.gain_db - down, ceiling_dbfs=adjustment.ceiling_dbfs - down)


def _excess(rendition: Measurement) -> float:
    """Return by how many dB the true peak lies above the ceiling."""
    if rendition.peak_dbtp is None:
        raise ValueError("A rendition is judged by its true peak, which was not measured.")
    return rendition.peak_dbtp - CEILING_DBTP
