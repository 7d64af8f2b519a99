"""The box put together: every loop gets its collaborators here; they stop in the reverse order of start."""

import asyncio
import fcntl
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from devices.agent.cache import Cache
from devices.agent.clock import Clock, SystemClock, sleep
from devices.agent.config import BoxConfig, BoxError, Layout, load, software
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
from devices.link import Connect
from devices.messages import Outcome, Status

log = logging.getLogger(__name__)

_DAY_S: Final = 86_400.0
_FREE_S: Final = 30.0


async def run(
    directory: Path, output: str, *, connect: Connect, stop: asyncio.Event, clock: Clock | None = None
) -> None:
    """Run the box in ``directory`` until ``stop`` is set. Many boxes may run in one process.

    Args:
        directory: where the box was enrolled.
        output: ``device``, ``device:NAME``, ``wav:PATH`` or ``null``.
        connect: how a session with the broker is had.
        stop: set it to end; the box then notes what was heard and says goodbye to the broker.
        clock: the system's, unless a test turns one by hand.

    Raises:
        BoxError: the directory holds no box that can run, or another process runs it.
        OutputError: there is no such output here.
    """
    clock = clock or SystemClock()
    config = load(directory)
    with _locked(config.layout):
        async with Outbox(config.layout.outbox) as outbox:
            box = Box(config, output, outbox, connect=connect, clock=clock)
            await box.run(stop)


class Box:
    """The loops of one box and the bells between them."""

    def __init__(self, config: BoxConfig, output: str, outbox: Outbox, *, connect: Connect, clock: Clock) -> None:
        self._config = config
        self._outbox = outbox
        self._clock = clock
        self._software = software()
        self._free: int | None = None
        self._free_due = clock.monotonic()
        self._loop = asyncio.get_running_loop()
        self._shelf = Shelf(config.layout.playlist, config.pinned)
        self._output: Output = open_output(output, clock=clock, changed=self._output_changed)
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
        self._reports = Reports(config.pinned, config.key, outbox=outbox, clock=clock, describe=self._status)
        inbox = Inbox(
            config.pinned,
            shelf=self._shelf,
            outbox=outbox,
            clock=clock,
            accepted=self._playlist_changed,
            changed=self._happened,
        )
        self._line = Line(
            config.broker, config.pinned, connect=connect, inbox=inbox, reports=self._reports, clock=clock
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

    def _status(self) -> Status:
        held = self._shelf.held
        return Status(
            box=self._config.pinned.box,
            cluster=self._config.pinned.cluster,
            at=self._clock.now(),
            online=True,
            playlist=held.playlist.version if held else None,
            renditions_missing=self._cache.missing if held else None,
            playing=self._player.playing,
            volume=held.playlist.volume if held else None,
            slots_refused=len(self._shelf.agenda.refused) if self._shelf.agenda else None,
            receipts_waiting=self._outbox.waiting,
            free_bytes=self._free_bytes(),
            output=self._output.name[:200],
            software=self._software,
        )

    def _free_bytes(self) -> int | None:
        """Return the free space in whole MiB, asked for at most twice a minute: every write is not a new status."""
        moment = self._clock.monotonic()
        if moment >= self._free_due:
            self._free_due = moment + _FREE_S
            try:
                self._free = shutil.disk_usage(self._config.layout.directory).free >> 20 << 20
            except OSError:
                self._free = None
        return self._free

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
