"""One simulated pole: a real box in weather, with power that comes and goes."""

import asyncio
import errno
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

from devices.agent.config import BoxConfig
from devices.agent.memory.database import Database
from devices.agent.memory.ledger import Entry, Event
from devices.agent.memory.outbox import Outbox
from devices.agent.run import Box, Surroundings
from devices.agent.settings import Settings
from devices.agent.supply.fetching import Fetch, fetch
from devices.agent.timing.clock import SystemClock
from devices.link import connect
from devices.messages import Outcome, Status
from devices.simulation import downloads, links
from devices.simulation.clocks import WeatheredMachine
from devices.simulation.weather import Fault, Kind

log = logging.getLogger(__name__)

LATE_S: Final = 0.05
"""A slot that begins more than this behind its instant, or in its middle, counts as late."""
_DOUBT_S: Final = 0.01
"""What the kernel says of a clock that NTP keeps."""
_CRYSTALS: Final = 50e-6
_YEAR: Final = timedelta(days=365)
_OUTPUT: Final = "null"
_NTP_S: Final = (20.0, 600.0)
"""How long after the power comes NTP has found its time."""


@dataclass(slots=True)
class Tally:
    """What all boxes have said since the start."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """Receipts by outcome, and by ``outcome(code)`` where there is a code."""
    late: int = 0
    """Slots that began late; ``LATE_S``."""
    latest_s: float = 0.0
    """How late the latest of all began, in seconds."""

    def count(self, event: Event) -> None:
        """Note one event of one box."""
        self.outcomes[f"{event.outcome}({event.code})" if event.code else event.outcome.value] += 1
        if event.outcome is Outcome.STARTED:
            behind = (event.offset or 0.0) + (event.late or 0.0)
            self.late += behind > LATE_S
            self.latest_s = max(self.latest_s, behind)


class _Memory(Outbox):
    """An outbox that tells the tally, and that forgets everything when the power goes."""

    def __init__(self, database: Database, box: str, tally: Tally) -> None:
        super().__init__(database, box)
        self._tally = tally
        self.cut = False

    async def commit(self, events: Iterable[Event] = (), entries: Mapping[str, Entry | None] | None = None) -> None:
        if self.cut:  # what a process would have written after its end was never written
            return
        told = tuple(events)
        for event in told:
            self._tally.count(event)
        await super().commit(told, entries)


class Pole:
    """A box, its power, its line, its clocks, as they are in this weather.

    Args:
        config: of an enrolled box.
        database: where it keeps ledger and receipts, with its neighbours.
        tally: where its receipts are counted.
        seed: what its weather and its crystal come from, with its id.
    """

    def __init__(self, config: BoxConfig, database: Database, tally: Tally, seed: int) -> None:
        self.box = config.pinned.box
        self._config = config
        self._database = database
        self._tally = tally
        self._chance = Random(f"{seed} {self.box}")
        self._boots = 0
        self._machine = WeatheredMachine(
            SystemClock(), boot=f"{self.box}-0", fast=self._chance.uniform(-_CRYSTALS, _CRYSTALS)
        )
        self._machine.discipline(_DOUBT_S)
        self._line = links.Line()
        self._web = downloads.Web()
        self._full = False
        self._powered = asyncio.Event()
        self._powered.set()
        self._lost = asyncio.Event()
        self._running: Box | None = None

    @property
    def status(self) -> Status | None:
        """What the box would say now; None while it has no power."""
        return self._running.status() if self._running is not None else None

    @property
    def connected(self) -> bool:
        """Whether a session with the broker stands."""
        return self._line.connected

    async def live(self, stop: asyncio.Event) -> None:
        """Run the box whenever it has power, until ``stop``."""
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                powered = asyncio.ensure_future(self._powered.wait())
                await asyncio.wait((powered, stopping), return_when=asyncio.FIRST_COMPLETED)
                powered.cancel()
                if not stop.is_set():
                    await self._run(stop)
        finally:
            stopping.cancel()

    def feel(self, fault: Fault, *, begins: bool) -> None:
        """Let a fault begin or end."""
        strength = fault.strength if begins else 0.0
        match fault.kind:
            case Kind.LINE_DOWN:
                (self._line.fall if begins else self._line.rise)()
            case Kind.LINE_SLOW:
                self._line.slow_s = strength
            case Kind.LINE_LOSSY:
                self._line.loss = strength
            case Kind.LINE_TWICE:
                self._line.twice = strength
            case Kind.LINE_SWAPPED:
                self._line.swapped = strength
            case Kind.WEB_DOWN:
                self._web.down = begins
            case Kind.WEB_SLOW:
                self._web.slow_s = strength
            case Kind.WEB_CUT:
                self._web.cut = strength
            case Kind.WEB_WRONG:
                self._web.wrong = strength
            case Kind.DISK_FULL:
                self._full = begins
            case Kind.POWER_CUT | Kind.KILLED:
                self._switch(on=not begins, power=fault.kind is Kind.POWER_CUT)
            case Kind.CLOCK_JUMP if begins:
                self._machine.jump(fault.strength)
            case Kind.CLOCK_FREE:
                self._machine.release() if begins else self._machine.discipline(_DOUBT_S)
            case _:
                pass  # what is not of a single box

    def _switch(self, *, on: bool, power: bool) -> None:
        if not on:
            self._powered.clear()
            self._lost.set()
            return
        if power:
            self._boots += 1
            shown = self._chance.choice((datetime(1970, 1, 1, tzinfo=UTC), datetime.now(UTC) + _YEAR))
            self._machine.switch_on(f"{self.box}-{self._boots}", shown)
            asyncio.get_running_loop().call_later(
                self._chance.uniform(*_NTP_S), self._machine.discipline, _DOUBT_S
            )  # until then the server's time has to do
        self._powered.set()

    async def _run(self, stop: asyncio.Event) -> None:
        """One life of the box: until its power goes, or all end."""
        self._lost.clear()
        ending = asyncio.Event()
        memory = _Memory(self._database, self.box, self._tally)
        async with memory:
            box = self._running = Box(self._config, Settings(), _OUTPUT, memory, self._surroundings())
            life = asyncio.ensure_future(box.run(ending))
            ends = [asyncio.ensure_future(event.wait()) for event in (self._lost, stop)]
            try:
                await asyncio.wait((life, *ends), return_when=asyncio.FIRST_COMPLETED)
                memory.cut = not stop.is_set()
                # Told, not cancelled: a cancellation that meets a falling line may be forgotten, see ``loops.end``.
                ending.set()
                await life
            finally:
                for each in (life, *ends):
                    each.cancel()
                self._running = None

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            connect=links.weathered(connect, self._line, self._chance),
            machine=self._machine,
            fetch=downloads.weathered(self._fetch_to_disk(fetch), self._web, self._chance),
        )

    def _fetch_to_disk(self, inner: Fetch) -> Fetch:
        async def taken(server: str, path: str, part: Path, *, size_bytes: int, proceed: Callable[[], bool]) -> bool:
            if self._full:
                raise OSError(errno.ENOSPC, "the simulated disk is full")
            return await inner(server, path, part, size_bytes=size_bytes, proceed=proceed)

        return taken
