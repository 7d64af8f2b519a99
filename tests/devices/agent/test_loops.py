"""Loops go on whatever fails in them, and end when they are told to."""

import asyncio

from devices.agent.loops import end, keep
from devices.link import LinkDown
from tests.fakes.clock import HandClock


class Line:
    """Serves sessions without end; its first falls in the very moment in which it is told to stop."""

    sessions = 0

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.session())
            except* LinkDown:
                pass

    async def session(self) -> None:
        self.sessions += 1
        first = self.sessions == 1
        try:
            await asyncio.Event().wait()
        finally:
            if first:
                raise LinkDown("the line fell")


def test_a_stop_that_meets_a_falling_line_is_not_forgotten() -> None:
    async def scene() -> bool:
        line = Line()
        task = asyncio.create_task(line.run())
        while not line.sessions:
            await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await end([task])
        return task.cancelled()

    assert asyncio.run(scene())


def test_a_loop_that_fails_is_begun_again() -> None:
    async def scene() -> int:
        clock, begun = HandClock(), 0

        async def loop() -> None:
            nonlocal begun
            begun += 1
            raise OSError("disk full")

        task = asyncio.create_task(keep("test", loop, clock))
        while begun < 3:
            await asyncio.sleep(0)
            clock.turn(60)
        await end([task])
        return begun

    assert asyncio.run(scene()) >= 3
