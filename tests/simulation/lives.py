"""One process on a box, from its start to its end, and what is to be seen of it from outside."""

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from devices.agent.memory.database import Database
from devices.agent.run import Box, Surroundings, run
from devices.agent.timing.clock import Clock
from devices.link import Address, LinkDown, Session, Will
from devices.simulation import downloads, links
from tests.simulation.disk import SHARED_MEMORY_BYTES, WHOSE, image, taking_nothing
from tests.simulation.ear import Ear

if TYPE_CHECKING:
    from tests.simulation.poles import Pole


@dataclass(frozen=True, kw_only=True)
class Glance:
    """What a running box believes and has, at one moment."""

    at: datetime
    """By a right clock."""
    life: int
    error_s: float
    """By how much its time is ahead."""
    trusted: bool
    doubt_s: float
    stepped: timedelta
    lag: timedelta
    version: int
    """0: it holds no playlist."""
    files: frozenset[str]


class Life:
    """One process on a box, from start to end. What it does after its end reaches nothing any more."""

    def __init__(self, pole: "Pole") -> None:
        self.pole = pole
        self.chance = pole.chance
        self.directory = pole.directory
        self.ear: Ear | None = None
        self.box: Box | None = None
        self.since = pole.world.truth.monotonic()
        self.stop = asyncio.Event()
        self.over = False
        self.was_full = False
        """Whether it ever wrote to a disk that was full: what it remembers may be nowhere else."""
        self._full_since: datetime | None = None
        self._doom: bool | None = None
        context = contextvars.copy_context()
        context.run(WHOSE.set, self)
        world = pole.world
        surroundings = Surroundings(
            connect=links.weathered(self._connect, pole.line, pole.chance),
            machine=pole.machine,
            fetch=downloads.weathered(world.files.fetch, pole.web, pole.chance),
            open_output=self._listen,
        )
        self.task = asyncio.get_running_loop().create_task(
            run(self.directory, "null", surroundings=surroundings, stop=self.stop), name=pole.box, context=context
        )
        self.task.add_done_callback(self._ended)

    @property
    def slow_s(self) -> float:
        return self.pole.disk.slow_s

    @property
    def full(self) -> bool:
        return self.pole.disk.full

    def glance(self) -> Glance | None:
        """Look at the box; None while it has not come up, or is over."""
        box = self.box
        if box is None or self.over:
            return None
        clock, truth = box._clock, self.pole.world.truth.now()
        doubt = clock.estimate.doubt_s if clock.trusted else None
        return Glance(
            at=truth,
            life=self.pole.lives,
            error_s=(clock.now() - truth).total_seconds(),
            trusted=clock.trusted,
            doubt_s=doubt if doubt is not None else 1e9,
            stepped=clock.stepped,
            lag=clock.lag,
            version=box._shelf.held.version if box._shelf.held else 0,
            files=frozenset(box._cache.files),
        )

    def step(self, work: Callable[[], Any]) -> Any:
        """See ``Stepping``."""
        if self._doom is not None and not self.over and self.chance.random() < 0.5:
            self._die()
        if self.full and not self.over:
            self.was_full = True
            self._full_since = self._full_since or self.pole.world.truth.now()
            with taking_nothing(SHARED_MEMORY_BYTES if _is_database(work) else 0):
                answer = work()
        else:
            answer = work()
            self._full_since = None if _is_database(work) else self._full_since
        if self._doom is not None and not self.over:
            self._die()
        return answer

    def doom(self, *, power: bool) -> None:
        """End at the next step on the disk, or within a second."""
        if self._doom is None:
            self._doom = power
            asyncio.get_running_loop().call_later(self.chance.uniform(0.0, 1.0), self._die)

    def meet_doom(self, *, power: bool) -> None:
        """End now, if it is to lose its power."""
        if self._doom is power:
            self._die()

    async def end(self) -> None:
        """Stop as a service is stopped."""
        self.stop.set()
        await self.task

    def _die(self) -> None:
        """What is on the disk now is what there will be; the rest of this process happens nowhere."""
        if self.over or self.task.done() or self._doom is None:
            return
        self.over = True
        pole = self.pole
        pole.world.note(f"{pole.box} {'loses power' if self._doom else 'is killed'}")
        if self.ear is not None:
            self.ear.fall_silent()
        if self._full_since is not None:
            pole.forgot.append((self._full_since - timedelta(seconds=5), pole.world.truth.now()))
        pole.directory = self.directory.with_name(f"{pole.box}.{pole.lives}")
        image(self.directory, pole.directory, self.chance, torn=self._doom)
        self.stop.set()  # it cleans up where nobody looks any more
        pole.gone(power=self._doom)

    def _connect(
        self, address: Address, *, client_id: str, will: Will | None = None, keepalive_s: int = 30
    ) -> AbstractAsyncContextManager[Session]:
        if self.over:
            raise LinkDown("the power is gone")
        return self.pole.world.broker.connect(address, client_id=client_id, will=will, keepalive_s=keepalive_s)

    def _listen(self, spec: str, *, clock: Clock, changed: Callable[[], None], **_more: Any) -> Ear:
        del spec
        self.box = changed.__self__  # type: ignore[attr-defined]
        self.ear = Ear(self.pole.street, clock=clock, changed=changed)
        return self.ear

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if self.over:
            if not task.cancelled():
                task.exception()
            return
        self.over = True
        if self.pole.life is self:
            self.pole.life = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.pole.world.watch.violated("a box does not end by itself", f"{self.pole.box}: {error!r}")


def _is_database(work: Callable[[], Any]) -> bool:
    """Say whether a step is one of SQLite's: those of a database, and nothing else, go through its methods."""
    asked: Any = work
    while isinstance(asked, partial):
        asked = asked.args[0] if asked.args else asked.func
    return isinstance(getattr(asked, "__self__", None), Database)
