"""The output to a sound card, on the DAC time of PortAudio. The only file that imports sounddevice."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np

try:
    import sounddevice
except OSError:  # the package is there, the PortAudio library is not
    sounddevice = None

from devices.agent.clock import Clock, sleep, to_ns
from devices.agent.decoding import RATE
from devices.agent.mixer import Mixer, instant_of
from devices.agent.output import Cue, Heard, OutputError

log = logging.getLogger(__name__)

BLOCK_FRAMES: Final = RATE // 50
LATENCY_S: Final = 0.1
APART_NS: Final = 5_000_000
"""When the card's samples have run this far from the clock, they are laid on it anew."""
AT_ONCE_NS: Final = 50_000_000
"""From here on even in the middle of a sound: an underrun, or a clock that was set."""
_SMOOTHING: Final = 0.02
_LOOK_S: Final = 1.0


def device_available() -> str | None:
    """Return the name of the default sound output, or None if this machine has none."""
    if sounddevice is None:
        return None
    try:
        return str(sounddevice.query_devices(kind="output")["name"])
    except (sounddevice.PortAudioError, ValueError):
        return None


class DeviceOutput:
    """Plays on a sound card: 48 kHz, mono, 16-bit."""

    def __init__(self, device: str | None, *, clock: Clock, changed: Callable[[], None]) -> None:
        if sounddevice is None:
            raise OutputError(
                "The PortAudio library is missing. On Debian: apt install libportaudio2. "
                "Without a sound card use --output wav:PATH."
            )
        self._device = int(device) if device is not None and device.isdecimal() else device
        self._find()
        self._clock = clock
        self._mixer = Mixer(changed=changed)
        self._grid: Grid | None = None

    @property
    def name(self) -> str:
        """``device``, or ``device:NAME``."""
        return "device" if self._device is None else f"device:{self._device}"

    def play(self, cues: Sequence[Cue], now: datetime) -> None:
        """See ``Output.play``."""
        self._mixer.play(cues, now)

    def heard(self, now: datetime) -> Mapping[str, Heard]:
        """See ``Output.heard``."""
        return self._mixer.heard(now)

    def broken(self) -> frozenset[str]:
        """See ``Output.broken``."""
        return self._mixer.broken()

    async def run(self) -> None:
        """See ``Output.run``."""
        try:
            stream = await asyncio.to_thread(self._open)
        except sounddevice.PortAudioError as error:
            raise OutputError(f"The sound device {self.name} cannot be opened: {error}") from error
        try:
            while stream.active:
                await sleep(self._clock, _LOOK_S)
            raise OutputError(f"The sound device {self.name} has stopped.")
        finally:
            await asyncio.to_thread(stream.close)
            self._mixer.close()

    def _find(self) -> None:
        try:
            sounddevice.check_output_settings(self._device, channels=1, dtype="int16", samplerate=RATE)
        except (sounddevice.PortAudioError, ValueError) as error:
            raise OutputError(
                f"There is no sound device {self.name} that plays 48 kHz: {error}. Without one use --output wav:PATH."
            ) from error

    def _open(self) -> Any:
        self._grid = None
        stream = sounddevice.RawOutputStream(
            samplerate=RATE,
            blocksize=BLOCK_FRAMES,
            device=self._device,
            channels=1,
            dtype="int16",
            latency=LATENCY_S,
            callback=self._fill,
        )
        stream.start()
        return stream

    def _fill(self, out: Any, frames: int, times: Any, status: Any) -> None:
        """Give PortAudio its next block. Runs in its thread: no waiting, no logging, no exception."""
        ahead_s = times.outputBufferDacTime - times.currentTime
        heard_ns = to_ns(self._clock.now()) + int((ahead_s if ahead_s > 0 else LATENCY_S) * 1e9)
        if self._grid is None:
            self._grid = Grid(heard_ns)
        grid = self._grid
        quiet = self._mixer.silent(grid.position, frames, epoch_ns=grid.epoch_ns)
        grid.follow(heard_ns, quiet=quiet, slipped=bool(status.output_underflow))
        if self._mixer.silent(grid.position, frames, epoch_ns=grid.epoch_ns):
            out[:] = bytes(len(out))
        else:
            samples = self._mixer.render(grid.position, frames, epoch_ns=grid.epoch_ns)
            out[:] = (np.clip(samples, -1.0, 1.0) * 32767).round().astype("<i2").tobytes()
        grid.position += frames


class Grid:
    """Where the card's samples lie on the wall clock."""

    def __init__(self, epoch_ns: int) -> None:
        self.epoch_ns = epoch_ns
        """Instant of sample 0."""
        self.position = 0
        """Index of the next sample to go out."""
        self._apart_ns = 0.0

    def follow(self, heard_ns: int, *, quiet: bool, slipped: bool) -> None:
        """Note that the next sample will be heard at ``heard_ns``; move the grid if it is too far from that.

        A single report is off by a millisecond or two, so it is smoothed; in silence the grid moves at will.
        """
        apart = heard_ns - instant_of(self.position, self.epoch_ns)
        self._apart_ns += (apart - self._apart_ns) * _SMOOTHING
        if slipped or abs(apart) >= AT_ONCE_NS:
            shift = apart
        elif quiet or abs(self._apart_ns) >= APART_NS:
            shift = round(self._apart_ns)
        else:
            return
        self.epoch_ns += shift
        self._apart_ns = 0.0
