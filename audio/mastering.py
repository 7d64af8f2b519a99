"""Bringing one sound to the station's loudness: survey, rehearse, perform.

One reading of the sound measures it and cuts an excerpt; trials on the excerpt find the gain that comes out at the
target behind the limiter; then the sound is encoded, and measured as it is written. Only when that measurement is out
is it encoded again, at most three times. The time is that of one encoding and one reading; ffmpeg's own two-pass
normaliser takes twenty times a reading.
"""

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from audio import ffmpeg
from audio.child import Cancelled
from audio.errors import SoundError
from audio.ffmpeg import Progress, Sink
from audio.filters import Channel, Shape
from audio.library import Incoming
from audio.loudness import (
    CODEC_LOSS_LU,
    SURELY_HEARD_LUFS,
    TARGET_LUFS,
    Measurement,
    corrected,
    first_adjustment,
    is_silent,
    next_gain,
    scaled,
)

__all__ = ["Mastering", "empty"]

SHORTEST: Final = timedelta(milliseconds=100)
_MOST_TRIALS: Final = 4
_CLOSE_LU: Final = 0.15
_CANCELLING_LU: Final = 8.0
"""Mixed to one channel, a voice in the middle loses 3 LU, two independent channels 6. More: they cancel out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mastering:
    """One sound on its way to a rendition.

    ``lead_in`` of silence is put before it; ``longest`` is how long it may be without that; ``excerpt`` is a file
    that this may write.
    """

    source: Path
    excerpt: Path
    lead_in: timedelta
    longest: timedelta
    progress: Progress
    cancelled: Cancelled

    def run(self, into: Incoming) -> Measurement:
        """Write the rendition to ``into`` and return what a decoder hears.

        Raises:
            SoundError: the sender's fault: ``not_audio``, ``empty_audio``, ``silent_audio``, ``sound_too_long``,
                ``sound_too_large``; not theirs: ``library_unwritable``, ``sound_failed``, ``cancelled``.
        """
        self.progress(0.0)
        shape = Shape(lead_in=self.lead_in, longest=self.longest)
        measured = ffmpeg.measure(self.source, shape, cancelled=self.cancelled, excerpt_into=self.excerpt)
        self._check_length(measured.duration - self.lead_in)
        tried = self._try(shape)
        if (channel := self._channel(shape, tried)) != "mixed":
            shape = replace(shape, channel=channel)
            measured, tried = ffmpeg.measure(self.source, shape, cancelled=self.cancelled), self._try(shape)
        if measured.loudness_lufs <= SURELY_HEARD_LUFS:
            measured = ffmpeg.measure(self.source, shape, cancelled=self.cancelled, peak="sample")
        if is_silent(measured):
            sentence = "Nothing can be heard in this sound. Check the recording and send it again."
            raise SoundError("silent_audio", sentence)
        self.progress(0.15)
        shape = self._rehearse(shape, measured.loudness_lufs, tried)
        self.progress(0.2)
        return self._perform(shape, measured.duration, into)

    def _check_length(self, duration: timedelta) -> None:
        if duration < SHORTEST:
            raise empty()
        if duration > self.longest:
            limit_s = self.longest.total_seconds()
            sentence = f"The sound is longer than the {limit_s:.0f} s allowed. Shorten it or send it in parts."
            raise SoundError("sound_too_long", sentence, limit_s=limit_s)

    def _channel(self, shape: Shape, mixed: float) -> Channel:
        """Return ``mixed``, the excerpt's loudness (LUFS) being that, or the louder of two channels that cancel out."""
        lost = self._try(replace(shape, channel="stereo")) - mixed
        if math.isnan(lost) or lost < _CANCELLING_LU:  # not a number: neither was heard in the excerpt
            return "mixed"
        left, right = self._try(replace(shape, channel="left")), self._try(replace(shape, channel="right"))
        return "left" if left >= right else "right"

    def _rehearse(self, shape: Shape, whole: float, part: float) -> Shape:
        """Return the shape with the adjustment that brings the excerpt, and so most likely the sound, to the target.

        Args:
            whole: Loudness of the sound (LUFS).
            part: Loudness of its excerpt, minus infinity if that is silent: then the plain gain has to do.
        """
        adjustment = first_adjustment(whole)
        wanted = TARGET_LUFS + CODEC_LOSS_LU + part - whole
        trials: list[tuple[float, float]] = []
        while not math.isinf(wanted) and len(trials) < _MOST_TRIALS:
            trials.append((adjustment.gain_db, self._try(replace(shape, adjustment=adjustment))))
            if abs(trials[-1][1] - wanted) < _CLOSE_LU:
                break
            gain = min(next_gain(trials, wanted), adjustment.most_gain_db)
            adjustment = replace(adjustment, gain_db=gain)
        return replace(shape, adjustment=adjustment)

    def _try(self, shape: Shape) -> float:
        """Return the loudness of the excerpt in that shape."""
        return ffmpeg.measure(self.excerpt, shape, cancelled=self.cancelled).loudness_lufs

    def _perform(self, shape: Shape, length: timedelta, into: Incoming) -> Measurement:
        """Encode and measure; again while a correction is due."""
        measured = self._encode(shape, length, into, 0.2, 0.9)
        for correct, start, end in ((corrected, 0.9, 0.94), (scaled, 0.94, 0.97), (scaled, 0.97, 1.0)):
            assert shape.adjustment is not None
            if (better := correct(shape.adjustment, measured)) is not None:
                shape = replace(shape, adjustment=better)
                into.clear()
                measured = self._encode(shape, length, into, start, end)
        self.progress(1.0)
        return measured

    def _encode(self, shape: Shape, length: timedelta, into: Sink, start: float, end: float) -> Measurement:
        """Encode as the part of the work from ``start`` to ``end``."""

        def progress(part: float) -> None:
            self.progress(start + part * (end - start))

        return ffmpeg.encode(self.source, shape, into, length=length, progress=progress, cancelled=self.cancelled)


def empty() -> SoundError:
    """Return the error for a file with no sound, or next to none."""
    sentence = "The file holds no sound, or less than 0.1 s of it. Check the recording and send it again."
    return SoundError("empty_audio", sentence)
