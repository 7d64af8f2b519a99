"""The box put together: every loop gets its collaborators here; they stop in the reverse order of start."""

import asyncio
import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from devices.agent.cache import Cache
from devices.agent.clock import Machine, SystemClock, sleep
from devices.agent.config import BoxConfig, BoxError, Layout, load
from devices.agent.describing import Describing
from devices.agent.fetching import Fetch, fetch
from devices.agent.inbox import Inbox
from devices.agent.ledger import Event
from devices.agent.line import Line
from devices.agent.loops import end, keep
from devices.agent.outbox import Outbox
from devices.agent.output import Output
from devices.agent.outputs import open_output
from devices.agent.player import Player
from devices.agent.playlists import Shelf
from devices.agent.reports import Reports
from devices.agent.settings import Settings, read
from devices.agent.timekeeper import Timekeeper
from devices.link import Connect
from devices.messages import Outcome

log = logging.getLogger(__name__)

_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a box is given of the world: this machine and its network, or a simulated one."""

    connect: Connect
    """How a session with the broker is had."""
    machine: Machine = field(default_factory=SystemClock)
    fetch: Fetch = fetch


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
    with _locked(config.layout):
        async with Outbox(config.layout.outbox) as outbox:
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
        clock = self._clock = Timekeeper(surroundings.machine)
        self._shelf = Shelf(config.layout.playlist, config.pinned)
        self._output: Output = open_output(output, clock=clock.sound, changed=self._output_changed)
        self._cache = Cache(
            config.layout.renditions,
            config.server,
            agenda=lambda: self._shelf.agenda,
            clock=clock,
            changed=self._files_changed,
            rejected=self._rejected,
        )
        self._player = Player(
            self._output,
            shelf=self._shelf,
            files=lambda: self._cache.files,
            outbox=outbox,
            clock=clock,
            changed=self._happened,
        )
        self._describing = Describing(
            config, clock=clock, shelf=self._shelf, cache=self._cache, player=self._player, outbox=outbox
        )
        self._reports = Reports(config.pinned, config.key, outbox=outbox, clock=clock, describe=self._describing.status)
        inbox = Inbox(
            config.pinned,
            shelf=self._shelf,
            outbox=outbox,
            clock=clock,
            accepted=self._playlist_changed,
            changed=self._happened,
        )
        self._line = Line(
            config.broker,
            config.pinned,
            connect=surroundings.connect,
            inbox=inbox,
            reports=self._reports,
            clock=clock,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run every loop until ``stop``. The output ends last, so that a cut sound can fade."""
        await self._shelf.load()
        log.info(
            "box up box=%s cluster=%s output=%s",
            self._config.pinned.box,
            self._config.pinned.cluster,
            self._output.name,
        )
        async with asyncio.TaskGroup() as outer:
            output = outer.create_task(keep("output", self._output.run, self._clock), name="output")
            async with asyncio.TaskGroup() as inner:
                loops = [
                    inner.create_task(keep(name, loop, self._clock), name=name)
                    for name, loop in (
                        ("player", self._player.run),
                        ("cache", self._cache.run),
                        ("line", self._line.run),
                        ("upkeep", self._look_after),
                    )
                ]
                await stop.wait()
                await end(loops)
            output.cancel()
        log.info("box down box=%s", self._config.pinned.box)

    async def _look_after(self) -> None:
        while True:
            await self._outbox.forget_old(self._clock.now())
            await sleep(self._clock, _DAY_S)

    async def _rejected(self, digest: str) -> None:
        event = Event(outcome=Outcome.REFUSED, at=self._clock.now(), code="bad_rendition", rendition=digest)
        await self._outbox.commit([event])
        self._happened()

    # Who wakes whom.

    def _happened(self) -> None:
        self._reports.ring()

    def _playlist_changed(self) -> None:
        self._player.bell.ring()
        self._cache.bell.ring()
        self._reports.ring()

    def _files_changed(self) -> None:
        self._player.bell.ring()
        self._reports.ring()

    def _output_changed(self) -> None:
        self._loop.call_soon_threadsafe(self._player.bell.ring)


@contextmanager
def _locked(layout: Layout) -> Iterator[None]:
    with layout.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BoxError("already_running", f"Another process runs the box in {layout.directory}.") from error
        yield
