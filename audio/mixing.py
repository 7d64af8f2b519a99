"""Putting sounds one after another: silence, chime, speech. The only file that knows pydub.

For minutes, not hours: pydub holds a sound in memory. It works at the speech's own sample rate; the one resampler
of the house is ffmpeg's.
"""

import math
import warnings
from array import array
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

from audio.disk import writing
from audio.errors import failed

with warnings.catch_warnings():
    # At import pydub 0.25 complains of a missing ffmpeg, which it is never asked to run, and of its own escapes.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment
    from pydub.exceptions import CouldntDecodeError

__all__ = ["LEAD_IN", "announce", "chime"]

LEAD_IN: Final = timedelta(milliseconds=300)
"""Silence before everything: an amplifier that wakes up must not swallow the first syllable."""
PAUSE: Final = timedelta(milliseconds=350)

TONES_HZ: Final = (783.99, 659.26, 523.25)
"""G5, E5, C5: the falling major chord of a station gong, where horn speakers are loud."""
PARTIALS: Final = ((1.0, 1.0), (2.0, 0.28), (3.01, 0.08))
"""Frequency and strength of a struck bar's partials, against its tone."""
_STRIKE_S: Final = 0.36
_LENGTH_S: Final = 1.7
_DECAY_S: Final = 0.42
_ATTACK_S: Final = 0.006
_FADE_MS: Final = 120
_BELOW_WORDS_DB: Final = 4.0
"""What the limiter will take from the words and not from the gong, so that both are heard equally loud."""


def announce(spoken: Path, into: Path) -> None:
    """Write a WAV of 300 ms silence, the chime, a short pause and the speech in ``spoken``, a 16-bit WAV.

    Raises:
        SoundError: ``sound_failed``: the voice wrote no sound, its fault; ``library_unwritable``.
    """
    try:
        with spoken.open("rb") as file:
            words = AudioSegment.from_file(file, format="wav")
    except (CouldntDecodeError, OSError, EOFError) as error:
        raise failed(f"the voice wrote no readable WAV ({error})") from error
    rate = words.frame_rate
    gong = _at_level(chime(rate), words)
    mixed = _silence(LEAD_IN, rate) + gong + _silence(PAUSE, rate) + words.set_channels(1)
    with writing(into), into.open("wb") as file:
        mixed.export(file, format="wav")


@lru_cache(maxsize=4)
def chime(rate: int) -> AudioSegment:
    """Return the gong that makes people listen: three falling tones that ring on, 1.7 s, 16-bit mono at ``rate`` Hz."""
    sound = [0.0] * round(_LENGTH_S * rate)
    for number, tone in enumerate(TONES_HZ):
        _strike(sound, round(number * _STRIKE_S * rate), tone, rate)
    loudest = max(abs(value) for value in sound)
    samples = array("h", (round(value / loudest * 0.5 * 32767) for value in sound))
    segment = AudioSegment(samples.tobytes(), frame_rate=rate, sample_width=2, channels=1)
    return segment.fade_out(_FADE_MS)


def _strike(sound: list[float], start: int, tone: float, rate: int) -> None:
    """Add one struck tone to ``sound`` from sample ``start``; higher partials die sooner."""
    for multiple, strength in PARTIALS:
        turn = 2 * math.pi * tone * multiple / rate
        fade = math.exp(-multiple / (_DECAY_S * rate))
        level = strength
        for n in range(len(sound) - start):
            sound[start + n] += level * min(1.0, n / (_ATTACK_S * rate)) * math.sin(turn * n)
            level *= fade


def _at_level(gong: AudioSegment, words: AudioSegment) -> AudioSegment:
    """Return the gong at the level (RMS) that makes it as loud as the words; never above half of full scale."""
    if math.isinf(words.dBFS):
        return gong
    return gong.apply_gain(min(words.dBFS - _BELOW_WORDS_DB - gong.dBFS, -6.0 - gong.max_dBFS))


def _silence(duration: timedelta, rate: int) -> AudioSegment:
    samples = round(duration.total_seconds() * rate)
    return AudioSegment(b"\0\0" * samples, frame_rate=rate, sample_width=2, channels=1)
