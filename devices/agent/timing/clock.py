"""Clocks as ports, and the one way to wait. Every loop is given a ``Clock`` and reads it once a turn.

A ``Machine`` is what the hardware says, right or wrong; ``timekeeper.py`` makes of it the ``Clock`` of the box.
"""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final, Protocol

from devices.agent.timing import kernel

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_MICROSECOND: Final = timedelta(microseconds=1)


class Clock(Protocol):
    """Where time comes from. ``now`` and ``monotonic`` may be called from any thread."""

    def now(self) -> datetime:
        """Return the wall clock as an aware UTC instant; it may jump either way."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary origin; they never go back."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return when ``event`` is set, at the latest ``seconds`` from now."""
        ...


class Machine(Clock, Protocol):
    """The clocks of the hardware. ``now`` is whatever the system clock says, be it 1970."""

    @property
    def boot(self) -> str:
        """What names the time since the machine was switched on: ``monotonic`` goes on while it is the same."""
        ...

    def synchronised(self) -> float | None:
        """Return the seconds by which the kernel says that ``now`` may be wrong, or None if nothing disciplines it."""
        ...


class SystemClock:
    """The clocks of this machine."""

    @property
    def boot(self) -> str:
        """The kernel's id of this boot; empty where there is none."""
        return _boot()

    def synchronised(self) -> float | None:
        """What the kernel says of its own clock; None on what is no Linux."""
        return kernel.doubt()

    def now(self) -> datetime:
        """Return the system's wall clock, to the microsecond."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the system's monotonic clock."""
        return time.monotonic()

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait on the event loop; no task is made, so hundreds of boxes can wait in one process."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()


@cache
def _boot() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


class Bell:
    """Wakes one loop. A ring carries no data and may be lost in another ring: state decides."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake the loop that waits, or the next that will. Event loop only."""
        self._event.set()

    async def wait(self, clock: Clock, seconds: float) -> None:
        """Return at the next ring, at the latest ``seconds`` from now."""
        await clock.wait(self._event, max(seconds, 0.0))
        self._event.clear()


async def sleep(clock: Clock, seconds: float) -> None:
    """Return ``seconds`` from now."""
    await clock.wait(asyncio.Event(), seconds)


def to_ns(t: datetime) -> int:
    """Return an aware instant as nanoseconds since 1970, exactly: instants have whole microseconds."""
    return (t - _EPOCH) // _MICROSECOND * 1000


def from_ns(ns: int) -> datetime:
    """Return nanoseconds since 1970 as an aware UTC instant, cut to the microsecond."""
    return _EPOCH + timedelta(microseconds=ns // 1000)
