"""A machine whose clocks are wrong: a wrapper over a right one."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from devices.agent.timing.clock import Clock

_DRIFT: Final = 500e-6
"""By how much a second the kernel's own doubt grows while nothing disciplines it (RFC 5905, section 11.5.2)."""
_MOST_DOUBT_S: Final = 16.0
"""At this doubt the kernel calls its clock unsynchronised (``NTP_PHASE_LIMIT`` in Linux)."""


class WeatheredMachine:
    """The clocks of a box's hardware, right or wrong as they are told. See ``devices.agent.timing.clock.Machine``.

    Args:
        truth: a right clock.
        boot: names the time since it was switched on.
        fast: by how much its crystal is too fast: 50e-6 is 50 ppm.
    """

    def __init__(self, truth: Clock, *, boot: str, fast: float = 0.0) -> None:
        self._truth = truth
        self._rate = 1.0 + fast
        self._boot = boot
        self._origin = truth.monotonic()
        self._set_at = 0.0
        self._shown = truth.now()
        self._disciplined: float | None = None
        """The kernel's doubt, in seconds, while something disciplines it."""
        self._freed: tuple[float, float] | None = None
        """Since when nothing disciplines it (monotonic), and the doubt at that time."""

    @property
    def boot(self) -> str:
        """See ``Machine``."""
        return self._boot

    def now(self) -> datetime:
        """Return what the system clock shows, be it wrong."""
        if self._disciplined is not None:
            return self._truth.now()
        return self._shown + timedelta(seconds=self.monotonic() - self._set_at)

    def monotonic(self) -> float:
        """Return seconds since it was switched on, by its crystal."""
        return (self._truth.monotonic() - self._origin) * self._rate

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """See ``Clock``; the seconds are those of its crystal."""
        await self._truth.wait(event, seconds / self._rate)

    def synchronised(self) -> float | None:
        """See ``Machine``."""
        if self._disciplined is not None:
            return self._disciplined
        if self._freed is None:
            return None
        since, doubt = self._freed
        doubt += (self.monotonic() - since) * _DRIFT
        return doubt if doubt < _MOST_DOUBT_S else None

    def show(self, t: datetime) -> None:
        """Set the system clock by hand: the kernel then knows that nothing disciplines it."""
        self._disciplined, self._freed = None, None
        self._shown, self._set_at = t, self.monotonic()

    def jump(self, seconds: float) -> None:
        """Set the system clock by so much."""
        self.show(self.now() + timedelta(seconds=seconds))

    def discipline(self, doubt_s: float) -> None:
        """Let the kernel keep the system clock right, from now on."""
        self._disciplined, self._freed = doubt_s, None

    def release(self) -> None:
        """Let the system clock run on by itself; the kernel's doubt grows."""
        if self._disciplined is not None:
            doubt, shown = self._disciplined, self.now()
            self.show(shown)
            self._freed = self.monotonic(), doubt

    def switch_on(self, boot: str, shown: datetime) -> None:
        """Begin anew after a power cut, the system clock at ``shown``."""
        self._boot = boot
        self._origin = self._truth.monotonic()
        self.show(shown)
