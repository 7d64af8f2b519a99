"""Many boxes in one process: the real agent with a silent output, over one database and one pool of threads."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devices.agent.config import load
from devices.agent.memory.database import Database
from devices.simulation.pole import Pole, Tally
from devices.simulation.weather import Fault

THREADS: Final = 32
"""Disk and web work of all boxes at once: as many as their server takes without queueing."""
STARTS_A_SECOND: Final = 200
"""Boxes that come up in a second: a broker's queue of new connections is 128 long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How the crowd is at one moment."""

    boxes: int
    up: int
    """Boxes that run; the others have no power."""
    connected: int
    versions: Mapping[int, int]
    """Boxes that run, by the version that they hold; 0: none."""
    missing: int
    """Renditions that are not on disk yet, of all boxes."""
    playing: int
    waiting: int
    """Receipts that the server has not acknowledged, of all boxes."""


class Crowd:
    """Boxes that were enrolled in directories of their own.

    Args:
        homes: directories of enrolled boxes.
        database: where all of them keep ledger and receipts.
        seed: what weather and crystals come from.
    """

    def __init__(self, homes: Sequence[Path], database: Path, *, seed: int) -> None:
        self.tally = Tally()
        self._database = Database(database)
        self._poles = {config.pinned.box: Pole(config, self._database, self.tally, seed) for config in map(load, homes)}

    @property
    def boxes(self) -> tuple[str, ...]:
        """Their ids."""
        return tuple(self._poles)

    async def run(self, stop: asyncio.Event) -> None:
        """Run every box until ``stop`` is set."""
        with ThreadPoolExecutor(THREADS, thread_name_prefix="crowd") as threads, self._database:
            asyncio.get_running_loop().set_default_executor(threads)
            async with asyncio.TaskGroup() as living:
                for pole in self._poles.values():
                    living.create_task(pole.live(stop), name=pole.box)
                    await asyncio.sleep(1 / STARTS_A_SECOND)

    async def suffer(self, faults: Iterable[Fault]) -> None:
        """Let the faults of single boxes begin and end, seconds from now, one after the other."""
        loop = asyncio.get_running_loop()
        origin = loop.time()
        edges = [(fault.begin_s, True, fault) for fault in faults] + [(fault.end_s, False, fault) for fault in faults]
        for at, begins, fault in sorted(edges, key=lambda edge: edge[0]):
            await asyncio.sleep(origin + at - loop.time())
            if fault.box is not None:
                self._poles[fault.box].feel(fault, begins=begins)

    def look(self) -> Look:
        """Return how the boxes are now."""
        statuses = [status for pole in self._poles.values() if (status := pole.status) is not None]
        return Look(
            boxes=len(self._poles),
            up=len(statuses),
            connected=sum(pole.connected for pole in self._poles.values()),
            versions=Counter(status.playlist or 0 for status in statuses),
            missing=sum(status.renditions_missing or 0 for status in statuses),
            playing=sum(status.playing is not None for status in statuses),
            waiting=sum(status.receipts_waiting or 0 for status in statuses),
        )
