"""The way to the sound cards of this machine, through PortAudio. The only file that imports sounddevice."""

import time
from collections.abc import Callable
from typing import Any, Final, Protocol

try:
    import sounddevice
except OSError:  # the package is there, the PortAudio library is not
    sounddevice = None

from devices.agent.sound.decoding import RATE
from devices.agent.sound.output import OutputError

BLOCK_FRAMES: Final = RATE // 50
LATENCY_S: Final = 0.2
_OLDEST_S: Final = 0.1
_STEADY: Final = getattr(time, "CLOCK_MONOTONIC_RAW", time.CLOCK_MONOTONIC)

Fill = Callable[[int, float | None, bool], bytes]
"""Given the frames of a block, the seconds until its first one is heard (None: not known) and whether the card ran dry,
it returns their samples. Called from the card's thread."""


class Stream(Protocol):
    """A card that is open and takes blocks."""

    @property
    def active(self) -> bool:
        """Whether it still runs, as far as it knows."""
        ...

    def end(self) -> None:
        """Play what it was given, then close. May hang."""
        ...

    def close(self) -> None:
        """Close at once. May hang."""
        ...


class Driver(Protocol):
    """The way to the sound cards of a machine."""

    def steady(self) -> float:
        """Return seconds of a clock that nobody sets or slews. Any thread."""
        ...

    def find(self, device: str | int | None) -> None:
        """Raise ``OutputError`` if there is no such card, or if it does not play 48 kHz."""
        ...

    def refresh(self) -> None:
        """Look again which cards there are. Only while no stream is open."""
        ...

    def open(self, device: str | int | None, fill: Fill) -> Stream:
        """Return the card, running. Raises ``OutputError``; may hang."""
        ...


def device_available() -> str | None:
    """Return the name of the default sound output, or None if this machine has none."""
    if sounddevice is None:
        return None
    try:
        return str(sounddevice.query_devices(kind="output")["name"])
    except (sounddevice.PortAudioError, ValueError):
        return None


class PortAudio:
    """The cards that PortAudio knows."""

    def __init__(self) -> None:
        if sounddevice is None:
            raise OutputError(
                "The PortAudio library is missing. On Debian: apt install libportaudio2. "
                "Without a sound card use --output wav:PATH."
            )

    def steady(self) -> float:
        """See ``Driver.steady``."""
        return time.clock_gettime(_STEADY)

    def find(self, device: str | int | None) -> None:
        """See ``Driver.find``."""
        try:
            sounddevice.check_output_settings(device, channels=1, dtype="int16", samplerate=RATE)
        except (sounddevice.PortAudioError, ValueError) as error:
            name = "device" if device is None else f"device:{device}"
            raise OutputError(
                f"There is no sound device {name} that plays 48 kHz: {error}. Without one use --output wav:PATH."
            ) from error

    def refresh(self) -> None:
        """See ``Driver.refresh``. PortAudio lists the cards when it is initialised, and never again.

        Source: https://github.com/spatialaudio/python-sounddevice/issues/125
        """
        sounddevice._terminate()
        sounddevice._initialize()

    def open(self, device: str | int | None, fill: Fill) -> Stream:
        """See ``Driver.open``."""

        def filled(out: Any, frames: int, times: Any, status: Any) -> None:
            out[:] = fill(frames, _ahead_s(times.currentTime, times.outputBufferDacTime), status.output_underflow)

        try:
            stream = sounddevice.RawOutputStream(
                samplerate=RATE,
                blocksize=BLOCK_FRAMES,
                device=device,
                channels=1,
                dtype="int16",
                latency=LATENCY_S,
                callback=filled,
            )
            stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise OutputError(f"it cannot be opened: {error}") from error
        return _PortAudioStream(stream)


class _PortAudioStream:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def active(self) -> bool:
        return bool(self._stream.active)

    def end(self) -> None:
        time.sleep(2 * BLOCK_FRAMES / RATE)  # a block that fades is asked for
        self._stream.stop()
        self._stream.close()

    def close(self) -> None:
        self._stream.close()


def _ahead_s(current_s: float, dac_s: float) -> float | None:
    """Return the seconds from now until the DAC time, or None if that is not known yet.

    ``current_s`` is when the card was asked, by one of the system's clocks, a little before this thread came to run.
    """
    if dac_s <= current_s:  # a card that has not begun tells no delay
        return None
    ages = (clock() - current_s for clock in (time.time, time.monotonic))
    return dac_s - current_s - next((age for age in ages if 0 <= age < _OLDEST_S), 0.0)
