"""An event loop whose time is a number: it jumps to the next timer, and threads are steps of it.

The same calls in the same order give the same run, whatever the machine does meanwhile. Nothing waits: what sleeps
for a week is woken after the work of that week.
"""

import asyncio
import contextvars
import heapq
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, Protocol

TURN_S = 1e-6
"""What a turn of the loop takes. If it took nothing, a wait for less than a float can tell would never end."""
MOST_TURNS = 20_000
"""A loop that turns this often in ``SPUN_S`` does so for ever: a wait of nothing, or one that grows ever shorter."""
SPUN_S = 0.1


class Disk(Protocol):
    """Where blocking work runs: on which box, how long it takes, and what becomes of it."""

    def takes_s(self) -> float:
        """Return the seconds until the call that is asked for now is done. In the context of who asks."""
        ...

    def outlives(self) -> bool:
        """Say whether a call runs although nobody waits for it any more: its thread had begun."""
        ...

    def run(self, work: Callable[[], Any]) -> Any:
        """Run the call, or raise what the disk says. In the context of who asked."""
        ...


class Stuck(Exception):
    """Nothing will ever happen again, or nothing else, and the simulation is not over."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs coroutines at no time but its own. Sockets and real threads have no place in it."""

    def __init__(self, disk: Disk) -> None:
        super().__init__()
        self.elapsed = 0.0
        """Seconds since the world began."""
        self._disk = disk
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = count()
        self._looked = 0.0
        self._turns = 0

    def time(self) -> float:
        """See ``BaseEventLoop.time``."""
        return self.elapsed

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """See ``BaseEventLoop.call_at``. What is due at the same instant is called in the order of asking."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:
        """There is one thread."""
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        """Run ``func`` as one step, a little later, in the context of who asks."""
        del executor
        answer = self.create_future()
        self.call_later(self._disk.takes_s(), self._step, answer, partial(func, *args))
        return answer

    def _step(self, answer: "asyncio.Future[Any]", work: Callable[[], Any]) -> None:
        if answer.cancelled() and not self._disk.outlives():
            return
        try:
            result = self._disk.run(work)
        except Exception as error:  # noqa: BLE001 - it belongs to who asked
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(result)

    def _run_once(self) -> None:
        """Turn once. As the loop that waits for sockets does it, without them."""
        ready, timers = self._ready, self._timers  # type: ignore[attr-defined]
        self.elapsed += TURN_S
        if not ready:
            self.elapsed = max(self.elapsed, self._next_timer())
        due = self.elapsed
        while timers and timers[0][0] <= due:
            ready.append(heapq.heappop(timers)[2])
        self._refuse_to_spin()
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _next_timer(self) -> float:
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        if not self._timers:
            raise Stuck("no timer is set and nothing is ready")
        return self._timers[0][0]

    def _refuse_to_spin(self) -> None:
        self._turns += 1
        if self.elapsed - self._looked >= SPUN_S:
            self._looked, self._turns = self.elapsed, 0
        elif self._turns > MOST_TURNS:
            self._turns = 0
            callbacks = [handle._callback for handle in list(self._ready)[:3]]  # type: ignore[attr-defined]
            who = ", ".join(repr(getattr(callback, "__self__", callback)) for callback in callbacks)
            raise Stuck(f"time stands still at {self.elapsed:.6f} s: {who}")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It leaves when it is due."""

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """There is nobody to wake."""
