"""How a loop is kept running for ever, whatever happens inside it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from devices.agent.timing.clock import Clock, sleep

log = logging.getLogger(__name__)

RETRY_FIRST_S: Final = 0.5
RETRY_MOST_S: Final = 30.0
AGAIN_S: Final = 1.0


def backoff(failures: int, *, first_s: float, most_s: float) -> float:
    """Return the seconds to wait after so many failures in a row: doubling, bounded, and spread over a half.

    The spread keeps thousands of boxes from coming back at once after an outage.
    """
    return min(first_s * 2.0 ** min(failures, 30), most_s) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


async def end(tasks: Collection["asyncio.Task[None]"]) -> None:
    """Cancel ``tasks``, and again what goes on, until all have ended.

    Once is not enough: before Python 3.13 a ``TaskGroup`` that is cancelled while a child of it fails (a stop that
    meets a falling line) raises the child's error and forgets the cancellation.
    """
    going = set(tasks)
    while going:
        for task in going:
            task.cancel()
        _, going = await asyncio.wait(going, timeout=AGAIN_S)


async def keep(name: str, loop: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Run ``loop`` until cancelled, again and again: what fails in it never ends another, least of all sound.

    The first failure is logged with its traceback, repeats without.
    """
    failures = 0
    while True:
        began = clock.monotonic()
        try:
            await loop()
        except Exception as error:  # the outermost guard
            if clock.monotonic() - began > 2 * RETRY_MOST_S:
                failures = 0
            level = logging.DEBUG if failures else logging.ERROR
            log.log(level, "loop failed loop=%s error=%s", name, error, exc_info=not failures)
        pause = backoff(failures, first_s=RETRY_FIRST_S, most_s=RETRY_MOST_S)
        failures += 1
        await sleep(clock, pause)
