"""A clock that a test turns by hand."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

from devices.agent.timing.clock import SystemClock

START = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)


class TrueClock(SystemClock):
    """The clocks of this machine, with a time daemon that vouches for them."""

    def synchronised(self) -> float | None:
        return 0.001


class HandClock:
    """Time stands still until ``turn``; whoever waits is woken in the order of the deadlines."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._elapsed = 0.0
        self.doubt: float | None = 0.0
        """What the kernel says of the wall clock; None: nothing disciplines it."""
        self.boot = "hand"
        self.fast = 0.0
        """The ratio by which the oscillator under both clocks is too fast."""
        self.true = start
        """What time it really is."""
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    def synchronised(self) -> float | None:
        return self.doubt

    def turn(self, seconds: float) -> None:
        """Let both clocks run on."""
        self.true += timedelta(seconds=seconds)
        seconds *= 1 + self.fast
        self._elapsed += seconds
        self._now += timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= self._elapsed + 1e-9:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)

    def turn_to(self, t: datetime) -> None:
        self.turn((t - self._now).total_seconds())

    def jump(self, seconds: float) -> None:
        """Set the wall clock; the monotonic one does not notice."""
        self._now += timedelta(seconds=seconds)

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        if seconds <= 0 or event.is_set():
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), future))
        ringing = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((future, ringing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ringing.cancel()
            future.cancel()
