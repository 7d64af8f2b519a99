"""The box put together: every loop gets its collaborators here; they stop in the reverse order of start."""

import asyncio
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from devices.agent.cabinet.cabinet import Cabinet
from devices.agent.cabinet.switching import sounding
from devices.agent.cabinet.watchdog import Supervisor
from devices.agent.conduct.player import Player
from devices.agent.conduct.playlists import Shelf
from devices.agent.config import BoxConfig, BoxError, Layout, load
from devices.agent.describing import Describing
from devices.agent.loops import end, keep
from devices.agent.memory.database import Database
from devices.agent.memory.ledger import Event
from devices.agent.memory.outbox import Outbox
from devices.agent.settings import Settings, read
from devices.agent.sound.output import Output
from devices.agent.sound.outputs import open_output
from devices.agent.supply.cache import Cache
from devices.agent.supply.fetching import Fetch, fetch
from devices.agent.timing.clock import Machine, SystemClock, sleep
from devices.agent.timing.timekeeper import Timekeeper
from devices.agent.wire.asking import Asking
from devices.agent.wire.inbox import Inbox
from devices.agent.wire.line import Line
from devices.agent.wire.reports import Reports
from devices.link import Connect
from devices.messages import Outcome, Status

log = logging.getLogger(__name__)

_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a box is given of the world: this machine and its network, or a simulated one."""

    connect: Connect
    """How a session with the broker is had."""
    machine: Machine = field(default_factory=SystemClock)
    fetch: Fetch = fetch
    supervisor: Supervisor = field(default_factory=Supervisor)
    """Who is told that the box lives; by default nobody."""
    open_output: Callable[..., Output] = open_output
    """How an output is had by its name."""


async def run(directory: Path, output: str | None, *, surroundings: Surroundings, stop: asyncio.Event) -> None:
    """Run the box in ``directory`` until ``stop`` is set.

    Args:
        directory: where the box was enrolled.
        output: ``device``, ``device:NAME``, ``wav:PATH`` or ``null``; None: as ``box.toml`` says.
        surroundings: of the box.
        stop: set it to end; the box then notes what was heard and says goodbye to the broker.

    Raises:
        BoxError: the directory holds no box that can run, or another process runs it.
        OutputError: there is no such output here.
    """
    config, settings = load(directory), read(directory)
    with _locked(config.layout), Database(config.layout.outbox) as database:
        async with Outbox(database, config.pinned.box) as outbox:
            box = Box(config, settings, output or settings.sound.output, outbox, surroundings)
            await box.run(stop)


class Box:
    """The loops of one box and the bells between them."""

    def __init__(
        self, config: BoxConfig, settings: Settings, output: str, outbox: Outbox, surroundings: Surroundings
    ) -> None:
        self._config = config
        self._outbox = outbox
        self._loop = asyncio.get_running_loop()
        clock = self._clock = Timekeeper(surroundings.machine, path=config.layout.clock, settings=settings.time)
        clock.changed = self._clock_changed
        self._shelf = Shelf(config.layout.playlist, config.pinned)
        self._output: Output = surroundings.open_output(
            output, clock=clock.sound, changed=self._output_changed, delay_ms=settings.sound.delay_ms
        )
        self._cache = Cache(
            config.layout.renditions,
            config.server,
            box=config.pinned.box,
            storage=settings.storage,
            agenda=lambda: self._shelf.agenda,
            clock=clock,
            fetch=surroundings.fetch,
            changed=self._files_changed,
            rejected=self._rejected,
        )
        self._player = Player(
            self._output,
            shelf=self._shelf,
            files=lambda: self._cache.files,
            distrust=self._cache.distrust,
            outbox=outbox,
            clock=clock,
            changed=self._happened,
        )
        self._cabinet = Cabinet(
            settings,
            sounding=self._sounding,
            turned=lambda: self._player.turned,
            state=lambda: self._describing.line(),
            supervisor=surroundings.supervisor,
            clock=clock,
            changed=self._happened,
        )
        self._describing = Describing(
            config,
            clock=clock,
            shelf=self._shelf,
            cache=self._cache,
            player=self._player,
            cabinet=self._cabinet,
            outbox=outbox,
        )
        self._reports = Reports(config.pinned, config.key, outbox=outbox, clock=clock, describe=self._describing.status)
        self._line = self._line_of(surroundings.connect)

    def _line_of(self, connect: Connect) -> Line:
        config, clock = self._config, self._clock
        asking = Asking(config.pinned, config.key, clock=clock)
        inbox = Inbox(
            config.pinned,
            shelf=self._shelf,
            outbox=self._outbox,
            clock=clock,
            asking=asking,
            accepted=self._playlist_changed,
            changed=self._happened,
            called=self._reports.called,
        )
        return Line(
            config.broker,
            config.pinned,
            connect=connect,
            inbox=inbox,
            reports=self._reports,
            asking=asking,
            clock=clock,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run every loop until ``stop``. The output ends last, so that a cut sound can fade."""
        await self._shelf.load()
        if self._shelf.held:
            self._clock.saw(self._shelf.held.issued)
        log.info(
            "box up box=%s cluster=%s output=%s clock=%s",
            self._config.pinned.box,
            self._config.pinned.cluster,
            self._output.name,
            self._clock.estimate.source.value,
        )
        try:
            await self._run_loops(stop)
        finally:
            await self._cabinet.leave()
        log.info("box down box=%s", self._config.pinned.box)

    async def _run_loops(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as outer:
            output = outer.create_task(keep("output", self._output.run, self._clock), name="output")
            async with asyncio.TaskGroup() as inner:
                loops = [
                    inner.create_task(keep(name, loop, self._clock), name=name)
                    for name, loop in (
                        ("clock", self._clock.run),
                        ("player", self._player.run),
                        ("cache", self._cache.run),
                        ("line", self._line.run),
                        ("upkeep", self._look_after),
                        ("saving", self._save_what_was_not),
                        *self._cabinet.loops(),
                    )
                ]
                await stop.wait()
                self._cabinet.leaving()
                await end(loops)
            output.cancel()

    def status(self) -> Status:
        """Return what the box says of itself now."""
        return self._describing.status()

    def _sounding(self, now: datetime) -> tuple[datetime, datetime] | None:
        if (agenda := self._shelf.agenda) is None:
            return None
        files = {digest: path for digest, path in self._cache.files.items() if digest not in self._player.broken}
        return sounding(agenda, self._outbox.ledger, files, now, trusted=self._clock.trusted)

    async def _look_after(self) -> None:
        while True:
            if held := self._shelf.held:
                # A clock that went ahead must not make it forget what the held playlist still names.
                await self._outbox.forget_old(min(self._clock.now(), held.expires))
            await sleep(self._clock, _DAY_S)

    async def _save_what_was_not(self) -> None:
        await self._outbox.keep_trying(self._clock)

    async def _rejected(self, digest: str) -> None:
        now = self._clock.now()
        event = Event(outcome=Outcome.REFUSED, at=now, code="bad_rendition", rendition=digest, routine=False)
        await self._outbox.commit([event])
        self._happened()

    # Who wakes whom.

    def _happened(self) -> None:
        self._cabinet.ring()
        self._reports.ring()

    def _playlist_changed(self) -> None:
        self._player.bell.ring()
        self._cache.bell.ring()
        self._happened()

    def _clock_changed(self) -> None:
        self._player.bell.ring()
        self._cache.bell.ring()
        self._happened()

    def _files_changed(self) -> None:
        self._player.bell.ring()
        self._happened()

    def _output_changed(self) -> None:
        self._loop.call_soon_threadsafe(self._player.bell.ring)


@contextmanager
def _locked(layout: Layout) -> Iterator[None]:
    descriptor = os.open(layout.directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BoxError("already_running", f"Another process runs the box in {layout.directory}.") from error
        yield
    finally:
        os.close(descriptor)
