"""The composition root: everything that runs is put together here, started in order and stopped in reverse."""

import asyncio
import errno
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn

from audio.library import Library
from broadcaster.api.context import Context
from broadcaster.api.server import create
from broadcaster.broker import serving
from broadcaster.config import Http, Settings
from broadcaster.errors import CannotStart
from broadcaster.flow.plan import Board
from broadcaster.flow.prepare import Preparation
from broadcaster.publisher.intake import Intake
from broadcaster.publisher.keys import playlist_key
from broadcaster.publisher.playlists import Planner
from broadcaster.publisher.session import Publisher
from broadcaster.store.directory import alone, usable
from broadcaster.store.journal import SqliteJournal
from broadcaster.store.store import Store
from broadcaster.store.tiny import TinyDefinitions
from broadcaster.timers import Timers
from broadcaster.wakeups import Wakeup, Wakeups
from devices.agent.loops import end, keep
from devices.agent.timing.clock import Clock, SystemClock
from devices.link import connect

log = logging.getLogger(__name__)

_FAREWELL_S: Final = 3
_SWITCH_S: Final = 0.0005
"""How long a thread may keep the interpreter while another waits. With Python's 5 ms the event loop, which gives
it away at every system call, crawls while a plan is signed: 140 ms to send 200 playlists became 60."""


@contextmanager
def opened(directory: Path) -> Iterator[Store]:
    """Give the store in ``directory`` for the length of a block.

    Raises:
        StoreError: ``store_damaged``, ``store_unwritable``.
    """
    definitions = TinyDefinitions(directory)
    try:
        journal = SqliteJournal(directory / "journal.db")
        try:
            yield Store(definitions=definitions, journal=journal, wakeups=Wakeups())
        finally:
            journal.close()
    finally:
        definitions.close()


def listening(settings: Http) -> socket.socket:
    """Return a socket that listens where the API is to answer.

    Raises:
        CannotStart: ``port_in_use`` or ``address_unusable``.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                "port_in_use",
                f"Port {settings.port} on {settings.host} is in use by another program; "
                "stop that program or choose another http.port (LOA_HTTP__PORT).",
                port=settings.port,
                setting="http.port",
            ) from error
        raise CannotStart(
            "address_unusable",
            f"The API cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
            "correct http.host or http.port.",
            setting="http.host",
        ) from error
    return listener


@dataclass(slots=True)
class _Progress:
    """How far the start has come."""

    planned: bool = False

    def mark_planned(self) -> None:
        self.planned = True


async def serve(settings: Settings) -> None:
    """Run the server until SIGINT or SIGTERM.

    Raises:
        CannotStart, StoreError: it cannot run here as it is set up.
    """
    sys.setswitchinterval(_SWITCH_S)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(settings):
        await stop.wait()
        log.info("server stopping")


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Context]:
    """Run the server for the length of a block.

    Started in this order and stopped in reverse: the lock on the data, the port, the store, the broker, the loops,
    the API. An official who can reach the API finds everything behind it at work.
    """
    directory = usable(settings.data.dir.absolute())
    async with AsyncExitStack() as stack:
        stack.enter_context(alone(directory))
        listener = stack.enter_context(listening(settings.http))
        store = stack.enter_context(opened(directory))
        key = playlist_key(directory / "keys")
        address = await stack.enter_async_context(serving(settings.broker, directory / "broker"))
        library = Library(directory / "sounds")
        progress = _Progress()
        intake = Intake(store=store)
        board = Board(store.definitions, settings)
        clock = SystemClock()
        publisher = Publisher(store=store, intake=intake, key=key, address=address, connect=connect, clock=clock)
        planner = Planner(
            store=store, board=board, settings=settings, key=key, planned=progress.mark_planned, clock=clock
        )
        timers = Timers(settings, store, board)
        context = Context(
            settings=settings,
            store=store,
            board=board,
            library=library,
            preparation=Preparation(store=store, library=library, settings=settings.sound, zone=settings.station.zone),
            playlist_keys=(key.public(),),
            readiness=lambda: {"plan": progress.planned, "broker": publisher.connected},
            dropped=lambda: dict(intake.refused),
            line_since=lambda: publisher.line_since,
        )
        await stack.enter_async_context(timers.running())
        loops = {
            "prepare": context.preparation.run,
            "plan": planner.run,
            "publish": publisher.run,
            "report": timers.run,
        }
        await stack.enter_async_context(_tasks(loops, clock))
        await stack.enter_async_context(_answering(context, listener))
        log.info("server ready address=http://%s:%d data=%s", settings.http.host, settings.http.port, directory)
        yield context


@asynccontextmanager
async def _tasks(loops: Mapping[str, Callable[[], Awaitable[None]]], clock: Clock) -> AsyncIterator[None]:
    """Run every loop; one that fails is begun again, and ends no other."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(keep(name, loop, clock), name=name) for name, loop in loops.items()]
        try:
            yield
        finally:
            await end(tasks)


@asynccontextmanager
async def _answering(context: Context, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        create(context), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=_FAREWELL_S
    )
    server = _Uvicorn(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the HTTP server ended while starting")
            await asyncio.sleep(0.005)
        yield
    finally:
        context.closing = True
        context.store.wakeups.wake(Wakeup.NEWS)  # endless answers look, and end
        server.should_exit = True
        await task


class _Uvicorn(uvicorn.Server):
    """Leaves signals to us: everything stops in one order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signals."""
        yield
