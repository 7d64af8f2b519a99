"""The child process that speaks: ``python -m audio.espeak`` reads one order, writes one WAV and ends.

libespeak-ng keeps its state in globals, is not safe in threads, and a crash in it is a crash of the process. So each
text gets a process of its own: 60 ms to start it, 1 s for 10 minutes of speech.

The order is JSON on stdin: ``text``, ``voice`` (espeak-ng's name), ``words_per_minute``, ``into`` (path of the WAV:
22,050 Hz, 16 bit, mono). Exit status 0 says that it is complete; otherwise stderr says why not.

It is started by its path, so that it needs no import path of Loa's, and imports nothing of Loa.
"""

import ctypes
import json
import os
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import espeakng_loader

# From speak_lib.h of espeak-ng 1.52.
_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000
_RATE, _VOLUME = 1, 2
_UTF8, _END_PAUSE = 1, 0x1000
_AT_CHARACTER = 1

_VOLUME_PERCENT = 60
"""At espeak-ng's own 100 the southern voice clips."""

_OnSamples = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def speak(text: str, *, voice: str, words_per_minute: int, into: Path) -> None:
    """Write ``text``, as spoken by ``voice``, to the WAV ``into``.

    Raises:
        RuntimeError: espeak-ng refused; the message says at which step.
    """
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = _start(library)
    _check(library.espeak_SetVoiceByName(voice.encode()), f"choosing the voice {voice}")
    _check(library.espeak_SetParameter(_RATE, words_per_minute, 0), "setting the rate")
    _check(library.espeak_SetParameter(_VOLUME, _VOLUME_PERCENT, 0), "setting the volume")
    with wave.open(str(into), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        callback = _writer(sound)
        library.espeak_SetSynthCallback(callback)
        words = text.encode()
        flags = _UTF8 | _END_PAUSE
        size = ctypes.c_size_t(len(words) + 1)
        _check(library.espeak_Synth(words, size, 0, _AT_CHARACTER, 0, flags, None, None), "speaking")
        _check(library.espeak_Synchronize(), "finishing")


def _start(library: ctypes.CDLL) -> int:
    """Start espeak-ng on its bundled data and return its sample rate.

    The data is named relative to the working directory: espeak-ng cuts a path of more than 160 bytes.
    """
    os.chdir(Path(espeakng_loader.get_data_path()).parent)
    rate = int(library.espeak_Initialize(_SYNCHRONOUS, 0, b".", _DO_NOT_EXIT))
    if rate <= 0:
        raise RuntimeError("espeak-ng cannot start: its data is missing or damaged")
    return rate


def _writer(sound: wave.Wave_write) -> Callable[..., int]:
    """Return the callback that appends what espeak-ng says to ``sound``; 1 from it stops the speech."""

    def on_samples(samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            try:
                sound.writeframesraw(ctypes.string_at(samples, count * 2))
            except OSError as error:  # an exception cannot cross into C
                print(f"cannot write the WAV: {error}", file=sys.stderr)  # noqa: T201 - the parent reads it
                return 1
        return 0

    return _OnSamples(on_samples)


def _check(status: int, step: str) -> None:
    if status != 0:
        raise RuntimeError(f"espeak-ng failed at {step} (status {status})")


if __name__ == "__main__":
    order = json.load(sys.stdin)
    try:
        speak(
            order["text"],
            voice=order["voice"],
            words_per_minute=order["words_per_minute"],
            into=Path(order["into"]).absolute(),
        )
    except (RuntimeError, OSError) as error:
        sys.exit(str(error))
