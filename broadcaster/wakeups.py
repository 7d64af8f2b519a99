"""Wake-ups: "look again". They carry no data, may be lost or come twice, and never cause harm by it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto


class Wakeup(Enum):
    """What may have changed."""

    PREPARE = auto()
    """A sound waits to be prepared."""
    PLAN = auto()
    """Something that a plan is made of, or the day."""
    PUBLISH = auto()
    """Publications, or what boxes hold of them."""
    BOXES = auto()
    """Which boxes are enrolled."""
    REPORT = auto()
    """An occurrence may have ended."""
    NEWS = auto()
    """Facts, receipts or progress that a listener of events may want."""


class Listener:
    """One waiter for one wake-up."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Wake the waiter, or let its next wait return at once. From the event loop's thread only."""
        self._event.set()

    async def wait(self, limit_s: float) -> bool:
        """Wait for a wake-up, at most ``limit_s`` seconds; return whether one came."""
        try:
            async with asyncio.timeout(limit_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Wakeups:
    """Who waits for what. ``wake`` may be called from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: dict[Wakeup, list[Listener]] = {kind: [] for kind in Wakeup}

    @contextmanager
    def listen(self, kind: Wakeup) -> Iterator[Listener]:
        """Give a listener for ``kind`` for the length of a block in a coroutine."""
        self._loop = asyncio.get_running_loop()
        listener = Listener()
        self._listeners[kind].append(listener)
        try:
            yield listener
        finally:
            self._listeners[kind].remove(listener)

    def wake(self, *kinds: Wakeup) -> None:
        """Wake whoever listens for ``kinds``; with nobody listening it does nothing."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._notify, kinds)

    def _notify(self, kinds: tuple[Wakeup, ...]) -> None:
        for kind in kinds:
            for listener in self._listeners[kind]:
                listener.notify()
