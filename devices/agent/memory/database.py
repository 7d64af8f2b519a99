"""The SQLite file behind the outboxes: one connection, one lock, and commits that share their sync.

A real box has a file for itself; a simulator keeps thousands of boxes in one, because each connection takes
more than 100 KB. Many boxes write at the same instant then, and what waits goes to disk in one transaction.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeAlias, TypeVar

from devices.agent.memory import tables

log = logging.getLogger(__name__)

_BUSY_S: Final = 5.0
_MOST_ASIDE: Final = 3
"""Broken files that are kept: a card that breaks them all must not fill up with them."""
_SUFFIXES: Final = ("", "-wal", "-shm")

Answer = TypeVar("Answer")
Restore: TypeAlias = Callable[[sqlite3.Connection], None]
_Waiting: TypeAlias = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]


class Database:
    """Opened at first use. ``read`` blocks, safe from any thread; ``write`` belongs to one event loop at a time.

    A file that turns out to be broken, at the opening or later, is moved aside. What can be read of it, and
    what the outboxes still know, goes into a new one: a box plays on, and nothing twice.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._restores: dict[str, Restore] = {}
        self._aside: Path | None = None
        """A broken file of which nothing was saved yet."""
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    def __enter__(self) -> "Database":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Bring the log into the file and release both; used again, it opens again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def attach(self, box: str, restore: Restore) -> None:
        """Let ``restore`` write what a box knows into a file that takes a broken one's place."""
        self._restores[box] = restore  # without the lock: the event loop must not wait for a slow disk

    def detach(self, box: str) -> None:
        """Forget a box that was attached."""
        self._restores.pop(box, None)

    def read(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Return what ``work`` finds.

        Raises:
            sqlite3.OperationalError: the disk does not give it.
        """
        with self._lock:
            return self._mending(lambda: work(self._opened()))

    def read_as_it_lies(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Return what ``work`` finds in a file that cannot be opened for writing, as the last proper close left it.

        Raises:
            sqlite3.Error: not even that.
        """
        connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            return work(connection)
        finally:
            connection.close()

    async def write(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Let ``work`` change the file; return its answer when that is on disk.

        ``work`` may be run twice, in a transaction with others that wait: all of them are stored, or none.

        Raises:
            sqlite3.OperationalError: the disk does not take it; nothing was changed.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((work, done))
        if self._writer is None or self._writer.done():
            self._writer = loop.create_task(self._write_waiting(), name="outbox")
        return await done

    async def _write_waiting(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting, []
            writing = asyncio.to_thread(self._write_all, [work for work, _ in taken])
            outcomes = await asyncio.gather(writing, return_exceptions=True)  # an error belongs to those who wait
            for at, (_, done) in enumerate(taken):
                if done.done():  # nobody waits any more
                    continue
                if isinstance(outcomes[0], BaseException):
                    done.set_exception(outcomes[0])
                else:
                    done.set_result(outcomes[0][at])

    # From here on in a thread.

    def _write_all(self, works: Sequence[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
        with self._lock:
            return self._mending(lambda: self._transact(works))

    def _transact(self, works: Sequence[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
        connection = self._opened()
        with tables.transaction(connection):
            return [work(connection) for work in works]

    def _mending(self, act: Callable[[], Answer]) -> Answer:
        """Return what ``act`` returns; after a new beginning, if the file was broken."""
        try:
            return act()
        except sqlite3.DatabaseError as error:
            if not _broken(error):
                raise
            self._set_aside(error)
        try:
            return act()
        except sqlite3.DatabaseError as error:
            if not _broken(error):
                raise
            raise sqlite3.OperationalError(f"the disk breaks a new file, too: {error}") from error

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = _connect(self._path)
            try:
                if self._aside is None and tables.empty(connection):  # the power was cut in the middle of it
                    self._aside = max(_asides(self._path), default=None)
                if self._aside is not None:
                    self._take_over(self._aside, connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._aside = connection, None
        return self._connection

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        try:
            aside = _move_aside(self._path)
        except OSError as refused:  # a card that failed is often read-only as well
            raise sqlite3.OperationalError(f"broken ({error}), and it cannot be moved aside: {refused}") from refused
        log.error("outbox was broken and begins anew path=%s kept=%s error=%s", self._path, aside.name, error)
        if self._aside is None:  # else what broke was new, and empty but for what the first one gave
            self._aside = aside

    def _take_over(self, aside: Path, connection: sqlite3.Connection) -> None:
        with tables.transaction(connection):
            rows = tables.salvage(aside, connection)
            for restore in list(self._restores.values()):
                restore(connection)
        log.info("outbox salvaged path=%s rows=%d", self._path, rows)


def _connect(path: Path) -> sqlite3.Connection:
    # Threads take turns under the lock, so the connection may serve them all.
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    connection.text_factory = _text
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        tables.prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _text(content: bytes) -> str:
    """Return text whatever the card made of it; what it was not, the chain finds."""
    return content.decode(errors="replace")


def _broken(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is no good; ``OperationalError`` is the disk's, the other kinds are our own mistakes."""
    return type(error) is sqlite3.DatabaseError


def _move_aside(path: Path) -> Path:
    """Rename the file and what belongs to it; of those that were moved before, keep a few."""
    for old in sorted(_asides(path))[: -_MOST_ASIDE + 1]:
        for suffix in _SUFFIXES:
            old.with_name(old.name + suffix).unlink(missing_ok=True)
    aside = path.with_name(f"{path.name}.broken-{time.time_ns():020d}")
    for suffix in _SUFFIXES:
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(aside.with_name(aside.name + suffix))
    return aside


def _asides(path: Path) -> list[Path]:
    return [file for file in path.parent.glob(f"{path.name}.broken-*") if not file.name.endswith(_SUFFIXES[1:])]
