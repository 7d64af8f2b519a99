"""A web that is down, slow, breaks off or lies: a wrapper over any ``Fetch``."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from devices.agent.supply.fetching import Fetch
from devices.agent.supply.web import WebError


@dataclass(slots=True, kw_only=True)
class Web:
    """The weather between one box and the server's files, as of now."""

    down: bool = False
    slow_s: float = 0.0
    """The longest time until an answer begins."""
    cut: float = 0.0
    """Probability that a transfer breaks off."""
    wrong: float = 0.0
    """Probability that other bytes come."""


def weathered(fetch: Fetch, web: Web, chance: Random) -> Fetch:
    """Return ``fetch`` as it is in this weather."""

    async def through(server: str, path: str, part: Path, *, size_bytes: int, proceed: Callable[[], bool]) -> bool:
        await asyncio.sleep(chance.uniform(0.0, web.slow_s))
        if web.down:
            raise WebError(f"{server} does not answer")
        chunks = chance.randrange(4) if chance.random() < web.cut else None
        line = _Line(proceed, chunks)
        done = await fetch(server, path, part, size_bytes=size_bytes, proceed=line.holds)
        if line.broke:
            raise WebError(f"{server} broke off")
        if done and chance.random() < web.wrong:
            await asyncio.to_thread(_garble, part, chance.randrange(size_bytes))
        return done

    return through


class _Line:
    """Breaks after so many chunks."""

    def __init__(self, proceed: Callable[[], bool], chunks: int | None) -> None:
        self._proceed = proceed
        self._left = chunks
        self.broke = False

    def holds(self) -> bool:
        """Say whether the transfer goes on; asked before each chunk, perhaps by another thread."""
        if self._left is not None:
            if self._left == 0:
                self.broke = True
                return False
            self._left -= 1
        return self._proceed()


def _garble(part: Path, place: int) -> None:
    content = bytearray(part.read_bytes())
    content[place] ^= 0xFF
    part.write_bytes(content)
