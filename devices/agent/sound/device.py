"""The output to a sound card, which is opened again whenever it fails, hangs or was unplugged."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from devices.agent.sound.feed import Feed
from devices.agent.sound.mixer import Mixer
from devices.agent.sound.output import Cue, Heard, OutputError
from devices.agent.sound.patience import Hung, Patience
from devices.agent.sound.portaudio import Driver, PortAudio, Stream
from devices.agent.timing.clock import Clock, sleep

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
STILL_LOOKS: Final = 4
"""So many looks without a frame taken, 2 s, and the card hangs."""
AGAIN_S: Final = 0.5
"""How long after a failure the card is opened again; twice as long after every other, for as long as it takes."""
AGAIN_MOST_S: Final = 2.0
OPEN_S: Final = 10.0
CLOSE_S: Final = 1.0
MOST_HANGING: Final = 4
"""So many calls to PortAudio may hang before no more are made."""


class DeviceOutput:
    """Plays on a sound card: 48 kHz, mono, 16-bit, laid on the DAC time that PortAudio reports."""

    def __init__(
        self,
        device: str | None,
        *,
        clock: Clock,
        changed: Callable[[], None],
        delay_ms: float = 0.0,
        driver: Driver | None = None,
        mixer: Mixer | None = None,
    ) -> None:
        self._device = int(device) if device is not None and device.isdecimal() else device
        self._driver = driver or PortAudio()
        self._driver.find(self._device)
        self._clock = clock
        self._delay = timedelta(milliseconds=delay_ms)
        self._mixer = mixer or Mixer(changed=changed)
        self._feed = Feed(self._mixer, clock=clock, steady=self._driver.steady, delay_ns=round(delay_ms * 1e6))
        self._patience = Patience(most=MOST_HANGING)
        self._turn = object()
        """Names the stream that is listened to."""
        self._failing = False
        self._told_xruns = 0

    @property
    def name(self) -> str:
        """``device``, or ``device:NAME``."""
        return "device" if self._device is None else f"device:{self._device}"

    @property
    def xruns(self) -> int:
        """How often the card ran dry since the start."""
        return self._feed.xruns

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
        """See ``Output.run``. A card that fails is not the end: what is cued stays decoded and goes on in its place."""
        pause_s = AGAIN_S
        try:
            while True:
                try:
                    await self._sound()
                except (OutputError, Hung) as error:
                    level = logging.DEBUG if self._failing else logging.WARNING
                    log.log(level, "sound device failed device=%s error=%s", self.name, error)
                    pause_s = min(2 * pause_s, AGAIN_MOST_S) if self._failing else AGAIN_S
                    self._failing = True
                await sleep(self._clock, pause_s)
        finally:
            self._mixer.close()

    async def _sound(self) -> None:
        """Open the card and watch it. Ends by ``OutputError`` or ``Hung`` only."""
        stream = await self._patience.call(self._open, limit_s=OPEN_S, late=lambda late: late.close())
        close = stream.close
        try:
            await self._watch(stream)
        except asyncio.CancelledError:
            close = stream.end  # what was cued no more fades out
            raise
        finally:
            try:
                await self._patience.call(close, limit_s=CLOSE_S)
            except Hung:
                log.debug("sound device does not close device=%s", self.name)

    def _open(self) -> Stream:
        if self._failing and not self._patience.hanging:
            self._driver.refresh()
        turn = self._turn = object()

        def fill(frames: int, ahead_s: float | None, slipped: bool) -> bytes:
            if self._turn is not turn:  # a card that hung and was left behind
                return bytes(2 * frames)
            return self._feed.block(frames, ahead_s, slipped)

        self._feed.begin()
        return self._driver.open(self._device, fill)

    async def _watch(self, stream: Stream) -> None:
        still, frames = 0, self._feed.frames
        while still < STILL_LOOKS:
            await sleep(self._clock, LOOK_S)
            if not stream.active:
                raise OutputError("it has stopped")
            still, frames = (still + 1, frames) if self._feed.frames == frames else (0, self._feed.frames)
            self._tell(alive=not still)
        raise OutputError(f"it has taken no sample for {STILL_LOOKS * LOOK_S:g} s")

    def _tell(self, *, alive: bool) -> None:
        if alive and self._failing:
            log.info("sound device works again device=%s", self.name)
            self._failing = False
        if (xruns := self._feed.xruns) != self._told_xruns:
            level = logging.DEBUG if self._told_xruns else logging.WARNING
            log.log(level, "sound device ran dry device=%s times=%d", self.name, xruns)
            self._told_xruns = xruns
