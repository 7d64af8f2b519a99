"""One SQLite file behind one connection and one lock, with its errors in our words. Knows no tables.

Write-ahead log with ``synchronous=FULL``: the log has reached the disk when a commit returns.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from broadcaster.store.files import open_private, sync_directory, unwritable
from broadcaster.store.port import Damaged, Unwritable

Run = Callable[..., sqlite3.Cursor]
"""``run(statement, values)``; valid inside the block that gave it."""

_BUSY_SECONDS: Final = 5.0
"""For a backup that reads the file with a connection of its own."""
_SMALLEST_BYTES: Final = 512
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNWRITABLE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)


class SqliteFile:
    """A file of one format: ``application_id`` and ``version`` in its header; it refuses others."""

    def __init__(self, path: Path, *, schema: str, application_id: int, version: int) -> None:
        self.path = path
        self._application_id = application_id
        self._version = version
        self._guard = threading.Lock()
        with self._translating():
            if not path.exists():
                self._create(schema)
            self._connection = self._connect(path)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    @contextmanager
    def reading(self) -> Iterator[Run]:
        """Let the block run queries; it takes all rows before it ends."""
        with self._guard, self._translating():
            yield self._connection.execute

    @contextmanager
    def writing(self) -> Iterator[Run]:
        """Let the block run statements in one transaction: stored when this returns, undone if it raises."""
        with self._guard, self._translating():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled back already
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Bring the log into the file and release both."""
        with self._guard, self._translating():
            self._connection.close()  # the last connection checkpoints and removes the log

    def damaged(self, wrong: str) -> Damaged:
        """Return the error that says what is ``wrong``, as the end of a sentence."""
        return Damaged(
            f"{self.path} {wrong}. Nothing was changed. Restore it from a backup; or, to begin an empty one "
            f"and lose the receipts and facts in it, stop the server and move {self.path.name}, "
            f"{self.path.name}-wal and {self.path.name}-shm away.",
            path=self.path,
        )

    def _create(self, schema: str) -> None:
        """Make the file under another name and rename it, so that no empty one is taken for a new one."""
        log, new = (self.path.with_name(self.path.name + suffix) for suffix in ("-wal", ".new"))
        if log.exists():
            raise self.damaged(f"is missing, but {log.name} is there")
        for leftover in (new, new.with_name(new.name + "-journal")):
            leftover.unlink(missing_ok=True)
        os.close(open_private(str(new), os.O_RDWR | os.O_CREAT | os.O_EXCL))
        with closing(self._connect(new)) as connection:
            connection.executescript(
                f"BEGIN; {schema} PRAGMA application_id = {self._application_id:d};"
                f"PRAGMA user_version = {self._version:d}; COMMIT;"
            )
        new.rename(self.path)
        sync_directory(self.path.parent)

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    def _prepare(self) -> None:
        """Recognise the file before the first change to it, and choose how it is written."""
        if self.path.stat().st_size < _SMALLEST_BYTES:  # SQLite takes such a file for an empty one
            raise self.damaged("is torn: it is shorter than any SQLite file")
        application_id = self._connection.execute("PRAGMA application_id").fetchone()[0]
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if application_id != self._application_id:
            raise self.damaged("is an SQLite file, but not one that Loa made")
        if version != self._version:
            raise self.damaged(f"has version {version}, and this Loa reads version {self._version}")
        self._connection.execute("PRAGMA synchronous = FULL")
        mode = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            reason = f"its file system has no shared memory for a write-ahead log (mode {mode})"
            raise Unwritable(f"{self.path} cannot be written: {reason}.", path=self.path, reason=reason)

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Turn what the world did wrong into ``Damaged`` and ``Unwritable``; our own mistakes pass."""
        try:
            yield
        except OSError as error:
            raise unwritable(self.path, error) from error
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
            if code in _DAMAGED:
                raise self.damaged(f"is torn, or is not an SQLite file ({error})") from error
            if code in _UNWRITABLE:
                raise unwritable(self.path, OSError(str(error))) from error
            raise
