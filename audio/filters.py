"""The filter graphs that ffmpeg is given, as text, and what its meter answers. Pure.

Every filter and option here exists in ffmpeg 4.2 and in 9.
"""

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from audio.loudness import Adjustment

__all__ = ["RATE", "Channel", "Peak", "Shape", "excerpt", "meter", "read_meter", "shaped"]

RATE: Final = 48_000
"""Samples a second of every rendition."""

Channel = Literal["mixed", "left", "right", "stereo"]
"""What is taken of a sound: both channels mixed, one of them, or both side by side (only to measure them)."""

Peak = Literal["sample", "true"]
"""Which peak the meter looks for."""

_TAKE: Final[dict[Channel, str]] = {
    "mixed": "pan=mono|c0=0.5*c0+0.5*c1,",
    "left": "pan=mono|c0=c0,",
    "right": "pan=mono|c0=c1,",
    "stereo": "",
}
_FLOATS: Final = "aformat=sample_fmts=fltp:channel_layouts=stereo"
_ATTACK_MS: Final = 5
_RELEASE_MS: Final = 20
"""Short, because that costs a voice the least loudness: 1.5 LU where 50 ms cost 1.7, measured on the bundled ones."""
_LIMITER_DELAY: Final = RATE * _ATTACK_MS // 1000 - 1
"""Samples by which the limiter is late; exact in 4.2, 7.0 and 9.0. Its option ``latency`` is younger than 4.2."""
_LEAST_CEILING: Final = 0.0625
"""The lowest ceiling that the limiter takes: -24 dB."""

_WHOLE_S: Final = 30
_PERIOD_S: Final = 60
_SPELL_S: Final = 1
_GATE_LUFS: Final = -70.0
"""The absolute gate of BS.1770. ffmpeg reports it where nothing passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is done to a decoded sound on its way to a rendition.

    ``longest`` bounds the work: nothing is decoded beyond it but one second, which tells that there is more.
    """

    longest: timedelta
    lead_in: timedelta = timedelta(0)
    channel: Channel = "mixed"
    adjustment: Adjustment | None = None


def shaped(shape: Shape) -> str:
    """Return the chain from a decoded sound of any kind to 48 kHz floats behind the lead-in, adjusted.

    Times are made anew from the count of samples: those of a hostile file may jump or stand still.
    """
    most = round(shape.longest.total_seconds() * RATE) + RATE
    lead = round(shape.lead_in.total_seconds() * RATE)
    chain = (
        f"{_FLOATS},{_TAKE[shape.channel]}aresample={RATE},asetpts=N/SR/TB,"
        f"atrim=end_sample={most},adelay={lead}S|{lead}S"
    )
    return chain if shape.adjustment is None else f"{chain},{_adjusted(shape.adjustment)}"


def _adjusted(adjustment: Adjustment) -> str:
    """Return gain and limiter; what the limiter is late by is added to the end and taken off the start.

    It works on samples, not on an oversampled wave: the codec moves peaks more than that would hold them. On ten
    kinds of sound the decoded peaks were the same within 0.3 dB at 48 and 192 kHz, and 192 kHz cost 7 s an hour.
    """
    ceiling = min(max(10 ** (adjustment.ceiling_dbfs / 20), _LEAST_CEILING), 1.0)
    return (
        f"volume={adjustment.gain_db:.3f}dB:precision=double,apad=pad_len={_LIMITER_DELAY},"
        f"alimiter=limit={ceiling:.5f}:attack={_ATTACK_MS}:release={_RELEASE_MS}:level=false,"
        f"atrim=start_sample={_LIMITER_DELAY},asetpts=N/SR/TB"
    )


def excerpt(longest: timedelta) -> str:
    """Return the chain from a decoded sound to the part of it that trials are made on, in stereo at 48 kHz.

    The first 30 s, then one second a minute: all of an announcement, a minute and a half from all over an hour.
    """
    chosen = f"lt(t\\,{_WHOLE_S})+lt(mod(t\\,{_PERIOD_S})\\,{_SPELL_S})"
    end = longest.total_seconds() + 1
    return f"asetpts=N/SR/TB,atrim=end={end:.3f},aselect={chosen},{_FLOATS},aresample={RATE},asetpts=N/SR/TB"


def meter(peak: Peak | None) -> str:
    """Return the R 128 meter, which writes what it knows to standard output every 100 ms.

    To a pipe and not to the log: in the log, the title tag of a file could pretend to be the meter. Without a peak only
    the loudness is written, and the sound leaves in whole seconds: from ffmpeg 7 on each frame that goes from one
    thread to the next costs a wake-up. The two save a third of the time.
    """
    measured = "" if peak is None else f":peak={peak}"
    told = ":key=lavfi.r128.I" if peak is None else ""
    return f"ebur128=metadata=1{measured},ametadata=mode=print{told}:file=pipe\\\\:1,asetnsamples=n={RATE}:p=0"


def read_meter(text: bytes) -> tuple[float, float | None, float | None]:
    """Return integrated loudness (LUFS), sample peak (dBFS) and true peak (dBTP) from the end of the meter's text.

    A peak that was not asked for is None. Of several channels it is the first's.
    """
    lines = (line.split(b"=", 1) for line in text.splitlines() if line.startswith(b"lavfi.r128."))
    last = {pair[0].removeprefix(b"lavfi.r128."): float(pair[1]) for pair in lines if len(pair) == 2 and pair[1]}
    loudness = last.get(b"I", -math.inf)
    peaks = (_decibels(last.get(b"%s_peaks_ch0" % kind)) for kind in (b"sample", b"true"))
    sample_peak, true_peak = peaks
    return loudness if loudness > _GATE_LUFS else -math.inf, sample_peak, true_peak


def _decibels(amplitude: float | None) -> float | None:
    if amplitude is None:
        return None
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf
