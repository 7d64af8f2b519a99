"""The time that the box plays by: the machine's monotonic clock, laid on what there is reason to believe."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from devices.agent.clock import Clock, Machine


class Timekeeper:
    """The ``Clock`` of the box. It takes no step that nobody notices, and it knows how wrong it may be."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.changed: Callable[[], None] = lambda: None
        """Called after a step, and when ``trusted`` has changed."""
        self.stepped = timedelta()
        """The sum of all steps since the start: how far ``now`` is from running on evenly."""
        self.holding = False
        """While True a step is kept from ``sound``. The player sets it as long as something sounds."""

    @property
    def sound(self) -> Clock:
        """The clock that sound is laid on: ``now`` without the steps that came while ``holding``."""
        return self

    @property
    def lag(self) -> timedelta:
        """By how much ``now`` is ahead of ``sound``; zero while not ``holding``."""
        return timedelta()

    @property
    def trusted(self) -> bool:
        """Whether the time is good enough to play by."""
        return True

    def now(self) -> datetime:
        """Return the best estimate of the time. Any thread."""
        return self._machine.now()

    def monotonic(self) -> float:
        """Return the machine's monotonic clock. Any thread."""
        return self._machine.monotonic()

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """See ``Clock.wait``."""
        await self._machine.wait(event, seconds)

    def saw(self, at: datetime) -> None:
        """Note the instant of a signed document: it is not earlier than that."""

    def measured(self, sent: float, received: float, *, server_received: datetime, server_sent: datetime) -> None:
        """Note an answer of the server.

        Args:
            sent: ``monotonic`` when the request left.
            received: ``monotonic`` when the answer was here.
            server_received: when the server had the request, by its clock.
            server_sent: when the server signed the answer.
        """

    def turn(self) -> float:
        """Look at the machine's clocks once; return the seconds within which to look again. Event loop only."""
        return 10.0
