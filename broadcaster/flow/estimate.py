"""How long a sound will last that is not prepared yet: good enough for a preview, never for a plan."""

from datetime import timedelta
from typing import Final

from broadcaster.flow.prepare import Words

_CHARACTERS_PER_SECOND: Final = 14.5
"""What espeak-ng says of Vietnamese prose at rate 1.0, in all three accents: 14.0 to 15.1 measured on texts of 42, 189
and 945 characters, a digit counted as below; English about 17. At rates 0.5 and 2.0 the same within a sixth."""
_DIGIT: Final = 3
"""Characters that one digit is worth: "2026" is "hai nghìn không trăm hai mươi sáu"."""
_CHIME: Final = timedelta(milliseconds=2350)
"""Silence, gong and pause before the words, as ``audio.mixing`` puts them."""
_BYTES_PER_SECOND: Final = 16_000
"""Of a recording as people send it: MP3 at 128 kbit/s."""


def spoken(words: Words) -> timedelta:
    """Return about how long a text will last, gong included."""
    worth = sum(_DIGIT if character.isdigit() else 1 for character in words.text)
    return _CHIME + timedelta(seconds=round(worth / _CHARACTERS_PER_SECOND / words.rate, 1))


def recorded(size_bytes: int | None, longest: timedelta) -> timedelta:
    """Return about how long a recording will last; nobody knows before it is decoded."""
    return min(longest, timedelta(seconds=max(1, (size_bytes or 0) // _BYTES_PER_SECOND)))
