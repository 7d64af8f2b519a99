"""``clock.json``: what was known of the time when it was last written down."""

import asyncio
import logging
import threading
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from devices.agent.files import write_whole
from devices.agent.timing.reckoning import Belief, Line, Source
from devices.values import Instant

log = logging.getLogger(__name__)

_Duration = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Written(BaseModel):
    """The content of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instant: Instant
    """The time by the box's reckoning."""
    boot: str
    monotonic: Annotated[float, Field(allow_inf_nan=False)]
    """What the monotonic clock showed, since that boot."""
    rate: Annotated[float, Field(gt=0.99, lt=1.01)]
    """Seconds of time to a second of it."""
    doubt: _Duration
    """Seconds by which ``instant`` may be wrong."""
    drift: _Duration
    """By how much each second adds to it."""

    def held(self, boot: str, moment: float) -> Belief | None:
        """Return the line that was followed, if the same monotonic clock still runs.

        After a power cut it does not: nobody knows how long that lasted.
        """
        if not boot or self.boot != boot or self.monotonic > moment:
            return None
        line = Line(self.monotonic, self.instant, self.rate)
        return Belief(source=Source.HELD, line=line, doubt_s=self.doubt, drift=self.drift)


class ClockFile:
    """Reads and writes the file; what cannot be read or written is only logged: the box goes on without."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failing = False
        self._writing = threading.Lock()

    def read(self) -> Written | None:
        """Return what was written down, or None: never, or it cannot be read."""
        try:
            return Written.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            log.warning("clock not read path=%s error=%s", self._path, error)
            return None

    async def write(self, written: Written) -> None:
        """Put it on disk, in a thread."""
        try:
            await asyncio.to_thread(self._put, written.model_dump_json().encode())
        except OSError as error:
            log.log(logging.DEBUG if self._failing else logging.WARNING, "clock not written error=%s", error)
            self._failing = True
        else:
            if self._failing:
                log.info("clock written again path=%s", self._path)
            self._failing = False

    def _put(self, content: bytes) -> None:
        with self._writing:  # a write whose waiter was cancelled goes on; the last one at the stop comes after it
            write_whole(self._path, content)
