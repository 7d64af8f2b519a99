"""The disks: every call of ``to_thread`` is one step on one, before or after which the power may go."""

import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol

SHARED_MEMORY_BYTES = 32_768
"""SQLite's ``-shm`` file: it is there before the disk is full, and what is there can be overwritten."""
WHOSE: ContextVar["Stepping | None"] = ContextVar("WHOSE", default=None)
"""Whose code runs: a process on a box, or the server (None)."""


class Stepping(Protocol):
    """A process on a box."""

    chance: Random

    @property
    def slow_s(self) -> float:
        """The longest time that a step takes now."""
        ...

    @property
    def full(self) -> bool:
        """Whether the disk takes nothing."""
        ...

    def step(self, work: Callable[[], Any]) -> Any:
        """Do one piece of work with the disk."""
        ...


@dataclass
class Weather:
    """How the disk of one box is."""

    full: bool = False
    slow_s: float = 0.004


class Disks:
    """What ``VirtualLoop`` asks."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def takes_s(self) -> float:
        whose = WHOSE.get()
        return 0.002 if whose is None else whose.chance.uniform(0.0002, whose.slow_s)

    def outlives(self) -> bool:
        whose = WHOSE.get()
        return whose is None or whose.chance.random() < 0.5

    def run(self, work: Callable[[], Any]) -> Any:
        whose = WHOSE.get()
        return work() if whose is None else whose.step(work)


@contextmanager
def taking_nothing(but_bytes: int = 0) -> Iterator[None]:
    """Let every write to a file behind ``but_bytes`` fail, for the length of a block.

    The kernel itself refuses (``EFBIG``), so SQLite meets a full disk in the middle of its own work, too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (but_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


_SIZE = 8_000_000_000
_FREE = 4_000_000_000


def _usage(path: Any) -> _Usage:
    del path
    whose = WHOSE.get()
    free = 0 if whose is not None and whose.full else _FREE
    return _Usage(_SIZE, _SIZE - free, free)


@contextmanager
def counted() -> Iterator[None]:
    """Let ``shutil.disk_usage`` answer for the simulated disks: the real one's free space is nobody's seed."""
    real, shutil.disk_usage = shutil.disk_usage, _usage  # type: ignore[assignment]
    try:
        yield
    finally:
        shutil.disk_usage = real


def image(directory: Path, copy: Path, chance: Random, *, torn: bool) -> None:
    """Copy what is on the disk of a box as the power goes: what was never synced may be torn."""
    shutil.copytree(directory, copy)
    if not torn:
        return
    for part in sorted(copy.glob("renditions/*.part")):
        content = part.read_bytes()
        keep = chance.randrange(len(content) + 1)
        part.write_bytes(content[:keep] + bytes(chance.choice((0, len(content) - keep))))
    if chance.random() < 0.3:
        (copy / ".playlist.jws.1.tmp").write_bytes(b"eyJhbGciOiJFZERTQSIs"[: chance.randrange(20)])
