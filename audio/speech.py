"""Voices that read a text aloud, and those that are always there: espeak-ng's, in a child (``espeak.py``)."""

import json
import subprocess
import sys
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from audio import espeak
from audio.child import Bounds, Child, listen
from audio.errors import SoundError, failed

__all__ = ["Voice", "voice", "voices"]

SLOWEST: Final = 0.5
FASTEST: Final = 2.0
_WORDS_PER_MINUTE: Final = 160
"""At rate 1.0: slower than espeak-ng's 175, to be understood across a field. It goes down to 80."""

_BOUNDS: Final = Bounds(seconds=60, memory_bytes=512 << 20, file_bytes=512 << 20)
"""Twenty times what a text of 10,000 characters takes on one core; the file is 3 hours of speech."""


class Voice(Protocol):
    """Somebody who can read a text aloud."""

    @property
    def name(self) -> str:
        """The id in the API, such as ``vi-north``."""
        ...

    @property
    def language(self) -> str:
        """A BCP 47 tag."""
        ...

    @property
    def description(self) -> str:
        """What an official reads when choosing, in the voice's own language."""
        ...

    def speak(self, text: str, into: Path, *, rate: float) -> None:
        """Write ``text`` as speech to ``into``, a new 16-bit mono WAV. Blocks; safe from any thread.

        Args:
            text: Words to be read as they stand, of any length the caller allows.
            rate: Speed from 0.5 to 2.0; 1.0 is the voice's own.

        Raises:
            SoundError: ``sound_failed``; the voice's fault.
            ValueError: ``rate`` is out of range.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EspeakVoice:
    """A voice of the bundled espeak-ng."""

    name: str
    language: str
    description: str
    espeak_name: str

    def speak(self, text: str, into: Path, *, rate: float) -> None:
        """See ``Voice.speak``."""
        if not SLOWEST <= rate <= FASTEST:
            raise ValueError(f"The rate is from {SLOWEST} to {FASTEST}, not {rate}.")
        order = {
            "text": _plain(text),
            "voice": self.espeak_name,
            "words_per_minute": round(_WORDS_PER_MINUTE * rate),
            "into": str(into.absolute()),
        }
        command = [sys.executable, "-I", str(Path(espeak.__file__).absolute())]
        with Child(command, bounds=_BOUNDS, stdin=subprocess.PIPE) as child:
            with suppress(BrokenPipeError), child.stdin:  # a child that is gone says why by its status
                child.give(json.dumps(order).encode())
            streams = {"nothing": child.stdout, "complaints": child.stderr}
            tails = listen(streams, seconds=_BOUNDS.seconds, cancelled=lambda: False)
            if status := child.wait():
                reason = tails["complaints"].decode(errors="replace").strip().splitlines()[-1:]
                raise failed(f"the voice {self.name} ended with status {status} {' '.join(reason)}".rstrip())


def _plain(text: str) -> str:
    """Return the text composed (NFC), because espeak-ng does not know decomposed tones; controls become spaces."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(" " if unicodedata.category(sign) in ("Cc", "Cs") and sign != "\n" else sign for sign in composed)


_VOICES: Final = (
    EspeakVoice(name="vi-north", language="vi-VN", description="Giọng miền Bắc", espeak_name="vi"),
    EspeakVoice(name="vi-central", language="vi-VN", description="Giọng miền Trung", espeak_name="vi-vn-x-central"),
    EspeakVoice(name="vi-south", language="vi-VN", description="Giọng miền Nam", espeak_name="vi-vn-x-south"),
    EspeakVoice(name="en", language="en", description="English", espeak_name="en"),
)


def voices() -> tuple[Voice, ...]:
    """Return every voice, the default first."""
    return _VOICES


def voice(name: str) -> Voice:
    """Return the voice of that name.

    Raises:
        SoundError: ``unknown_voice``; the caller's choice.
    """
    for candidate in _VOICES:
        if candidate.name == name:
            return candidate
    names = [candidate.name for candidate in _VOICES]
    sentence = f"There is no voice {name!r}. Choose one of {', '.join(names)}."
    raise SoundError("unknown_voice", sentence, voice=name, voices=names)
