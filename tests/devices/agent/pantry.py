"""The surroundings of a box's cache: a server without a network, and what the cache is told and tells."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from devices.agent.conduct.playlists import Agenda, agenda_of
from devices.agent.settings import Storage
from devices.agent.supply import web
from devices.agent.supply.cache import Cache
from tests.devices.agent.conftest import playlist, reference, slot, until
from tests.fakes.clock import START, HandClock

SOON: Final = 60.0
DAY_S: Final = 86_400.0


class Wire:
    """A server that gives what it has, at once or not at all, and keeps a record."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self.content: dict[str, bytes] = {}
        self.asked: list[tuple[float, str]] = []
        """When (seconds since the start), and which digest."""
        self.error: Exception | None = None
        self.stalls: set[str] = set()
        """Digests of which nothing comes until the box gives up."""

    def serve(self, *contents: bytes) -> None:
        for content in contents:
            self.content[reference(content, 1).digest] = content

    async def __call__(
        self, server: str, path: str, part: Path, *, size_bytes: int, proceed: Callable[[], bool]
    ) -> bool:
        digest = path.rpartition("/")[2]
        self.asked.append((self._clock.monotonic(), digest))
        while digest in self.stalls:
            if not proceed():
                return False
            await asyncio.sleep(0.001)
        if self.error is not None:
            raise self.error
        if digest not in self.content:
            raise web.WebError("the server answered 404")
        await asyncio.to_thread(part.write_bytes, self.content[digest])
        return True


class Held:
    """The cache's surroundings: what it asks and what it tells."""

    def __init__(self, directory: Path, clock: HandClock) -> None:
        self.directory = directory
        self.clock = clock
        self.wire = Wire(clock)
        self.agenda: Agenda | None = None
        self.rejected: list[str] = []
        self.arrived: list[str] = []
        """Digests in the order in which they became playable."""
        self.free = 10**12
        self.looks = 0
        self.cache = self._cache()

    def _cache(self) -> Cache:
        def measured(directory: Path) -> int:
            self.looks += 1
            return self.free

        return Cache(
            self.directory,
            "http://server",
            box="box-1",
            storage=Storage(budget_mb=16, keep_free_mb=1),
            agenda=lambda: self.agenda,
            clock=self.clock,
            fetch=self.wire,
            changed=self._changed,
            rejected=self._reject,
            free=measured,
        )

    def _changed(self) -> None:
        self.arrived += [digest for digest in self.cache.files if digest not in self.arrived]

    async def _reject(self, digest: str) -> None:
        self.rejected.append(digest)

    def restart(self) -> None:
        self.arrived.clear()
        self.wire.asked.clear()
        self.cache = self._cache()

    def hold(self, *contents: bytes, after: float = SOON, version: int = 1, emergency: bytes = b"") -> None:
        """Hold a playlist that needs these, the first ``after`` seconds from now and the others a second apart."""
        moments = [self.clock.now() + timedelta(seconds=n + after) for n in range(len(contents))]
        slots = [
            slot(f"{n}", moment, (reference(content, 1).digest, 1.0))
            for n, (content, moment) in enumerate(zip(contents, moments, strict=True))
        ]
        if emergency:
            flood = (reference(emergency, 1).digest, 1.0)
            slots.append(slot("flood", self.clock.now() + timedelta(days=1), flood, level=1))
        references = tuple(reference(content, 1) for content in (*contents, emergency) if content)
        self.agenda = agenda_of(
            playlist(*slots, renditions=references, version=version, expires=START + timedelta(days=90)), since=START
        )
        self.cache.bell.ring()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Cache]:
        task = asyncio.create_task(self.cache.run())
        try:
            yield self.cache
        finally:
            task.cancel()
            ended = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(ended[0], asyncio.CancelledError), ended

    async def turn_until(self, condition: Callable[[], bool], step: float) -> float:
        """Turn the clock until ``condition`` holds, and return how far it was turned."""
        began = self.clock.monotonic()
        while not condition():
            self.clock.turn(step)
            await settled()
        return self.clock.monotonic() - began

    async def have(self, *contents: bytes) -> None:
        await until(lambda: digests(contents) <= self.cache.files.keys())

    def lie(self, *contents: bytes, named: datetime = START) -> None:
        """Put files on disk, as an earlier run has left them."""
        for content in contents:
            path = self.path(content)
            path.write_bytes(content)
            os.utime(path, (named.timestamp(), named.timestamp()))

    def path(self, content: bytes) -> Path:
        return self.directory / f"{reference(content, 1).digest}.opus"

    def on_disk(self) -> set[str]:
        return {path.stem for path in self.directory.iterdir()}


def digests(contents: Iterable[bytes]) -> set[str]:
    return {reference(content, 1).digest for content in contents}


def digest_of(content: bytes) -> str:
    return reference(content, 1).digest


async def settled() -> None:
    """Let the loop and its threads come to rest: a look is one or two trips to a thread."""
    for _ in range(3):
        await asyncio.to_thread(lambda: None)
        await asyncio.sleep(0.001)
