"""The output that writes a WAV in real time: what a sound card would have played, to look at and to measure.

A sample's place in the file follows from its instant, so the file is right to the sample however late
the thread that writes it may come.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from devices.agent.sound.decoding import RATE
from devices.agent.sound.feed import to_pcm
from devices.agent.sound.mixer import Mixer
from devices.agent.sound.output import Cue, Heard, OutputError
from devices.agent.sound.wavefile import LONGEST, WaveFile
from devices.agent.timing.clock import Clock, to_ns

log = logging.getLogger(__name__)

TICK_S: Final = 0.05
BLOCK_FRAMES: Final = RATE // 50
JUMP: Final = timedelta(milliseconds=50)
"""The wall clock may run this much off the monotonic one between two ticks before it counts as set."""
_READINGS: Final = 5
_TOGETHER_S: Final = 0.005
_LATEST: Final = RATE
"""Sound that could not be written within 1 s is lost, as it would be on a sound card."""


class WavOutput:
    """Writes 48 kHz mono 16-bit to a file, at most 0.25 s behind real time."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        changed: Callable[[], None],
        delay_ms: float = 0.0,
        mixer: Mixer | None = None,
    ) -> None:
        self._path = path
        self._clock = clock
        self._delay = timedelta(milliseconds=delay_ms)
        self._mixer = mixer or Mixer(changed=changed)
        self._file: WaveFile | None = None
        self._wall = clock.now()
        self._moment = clock.monotonic()

    @property
    def name(self) -> str:
        """``wav:PATH``."""
        return f"wav:{self._path}"

    def play(self, cues: Sequence[Cue], now: datetime) -> None:
        """See ``Output.play``."""
        self._mixer.play(cues, now - self._delay)

    def heard(self, now: datetime) -> Mapping[str, Heard]:
        """See ``Output.heard``."""
        return self._mixer.heard(now)

    def broken(self) -> frozenset[str]:
        """See ``Output.broken``."""
        return self._mixer.broken()

    async def run(self) -> None:
        """See ``Output.run``: a thread writes, so that nothing on the event loop can hold it up."""
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[None] = loop.create_future()
        stop = threading.Event()

        def fail(error: Exception) -> None:
            if not failed.done():
                failed.set_exception(error)

        def write() -> None:
            try:
                self.open()
                while not stop.wait(TICK_S):
                    self.catch_up()
                self.catch_up()  # what was cued no more has faded out
            except OSError as error:
                loop.call_soon_threadsafe(fail, OutputError(f"{self._path} cannot be written: {error}"))
            except Exception as error:  # noqa: BLE001 - a thread has nobody else to tell
                loop.call_soon_threadsafe(fail, error)

        thread = threading.Thread(target=write, name="wav", daemon=True)
        thread.start()
        try:
            await failed
        finally:
            stop.set()
            await asyncio.to_thread(thread.join)
            self.close()

    def open(self) -> None:
        """Go on with the file, or begin it. Raises ``OSError``."""
        self._wall, self._moment = self._read_clocks()
        self._file = WaveFile.resume(self._path, self._wall)
        self._file.extend(self._file.position(self._wall))

    def catch_up(self) -> None:
        """Write everything up to now. Raises ``OSError``."""
        file, now = self._ready()
        epoch_ns = to_ns(file.epoch - self._delay)  # the planned instant of what sounds at the epoch
        end = file.position(now)
        first = max(file.length, end - _LATEST)
        while first < end:
            frames = min(BLOCK_FRAMES, end - first)
            if not self._mixer.silent(first, frames, epoch_ns=epoch_ns):
                file.write(first, to_pcm(self._mixer.render(first, frames, epoch_ns=epoch_ns)))
            first += frames
        file.extend(end)

    def close(self) -> None:
        """Close file and decoder; ``open`` begins anew."""
        self._mixer.close()
        if self._file is not None:
            self._file.close()
        self._file = None

    def _read_clocks(self) -> tuple[datetime, float]:
        """Return both clocks as of one moment: a thread that is held up between two readings sees no jump."""
        moment, now = self._clock.monotonic(), self._clock.now()
        for _ in range(_READINGS):
            if self._clock.monotonic() - moment < _TOGETHER_S:
                break
            moment, now = self._clock.monotonic(), self._clock.now()
        return now, moment

    def _ready(self) -> tuple[WaveFile, datetime]:
        """Return the file that this instant belongs to: after a jump of the clock it may be another one."""
        if self._file is None:
            raise RuntimeError("the WAV is not open")
        now, moment = self._read_clocks()
        jump = (now - self._wall) - timedelta(seconds=moment - self._moment)
        if jump > JUMP:
            log.warning("clock jumped forward seconds=%.3f", jump.total_seconds())
        if jump > JUMP and now - self._file.epoch < LONGEST:  # from 1970 to today is no silence to be written
            self._file.extend(self._file.position(self._wall + jump))
        if jump < -JUMP or now - self._file.epoch >= LONGEST:
            log.info("wav begun anew path=%s clock_jump_s=%.3f", self._path, jump.total_seconds())
            self._file.close()
            self._file = WaveFile.begin(self._path, now)
        self._wall, self._moment = now, moment
        return self._file, now
