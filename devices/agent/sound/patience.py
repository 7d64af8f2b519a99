"""Calls that may never return: each gets a thread of its own, which is abandoned when its time is up."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")


class Hung(Exception):
    """The call has not come back in time, or too many have not."""


class Patience:
    """Makes such calls for one event loop. Those that hang are waited for no longer, but counted."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self.hanging = 0
        """How many abandoned calls have not come back yet."""

    async def call(
        self, action: Callable[[], T], *, limit_s: float, late: Callable[[T], object] = lambda result: None
    ) -> T:
        """Return what ``action`` returns, or raise what it raises.

        Args:
            action: called in a daemon thread.
            limit_s: how long it is waited for.
            late: given the result if that comes after all; called in the thread.

        Raises:
            Hung: it takes longer, or ``most`` abandoned calls hang already and this one was not begun.
        """
        if self.hanging >= self._most:
            raise Hung(f"{self.hanging} calls have not come back")
        call = _Call(action, late, asyncio.get_running_loop(), self._came_back)
        threading.Thread(target=call.run, name="patience", daemon=True).start()
        try:
            async with asyncio.timeout(limit_s):
                return await call.done
        except TimeoutError as error:
            raise Hung(f"no answer within {limit_s:g} s") from error
        finally:
            with self._lock:
                self.hanging += call.abandon()

    def _came_back(self) -> None:
        with self._lock:
            self.hanging -= 1


class _Call(Generic[T]):
    def __init__(
        self,
        action: Callable[[], T],
        late: Callable[[T], object],
        loop: asyncio.AbstractEventLoop,
        came_back: Callable[[], None],
    ) -> None:
        self._action, self._late, self._loop, self._came_back = action, late, loop, came_back
        self._lock = threading.Lock()
        self._ended = self._abandoned = False
        self.done: asyncio.Future[T] = loop.create_future()

    def abandon(self) -> bool:
        """Wait no longer; return whether the call is still out."""
        with self._lock:
            self._abandoned = not self._ended
            return self._abandoned

    def run(self) -> None:
        """Make the call and hand on its result, to whoever waits for it or to ``late``."""
        try:
            result = self._action()
        except Exception as error:  # noqa: BLE001 - it belongs to the caller, if there is one still
            if not self._end(partial(self.done.set_exception, error)):
                self._came_back()
            return
        if not self._end(partial(self.done.set_result, result)):
            with suppress(Exception):
                self._late(result)
            self._came_back()

    def _end(self, tell: Callable[[], None]) -> bool:
        """Return whether somebody still waits; he is told."""
        with self._lock:
            self._ended = True
            if self._abandoned:
                return False
        with suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(lambda: None if self.done.done() else tell())
        return True
