"""The SQLite file behind the outbox: its tables and statements. Blocking; one connection."""

import logging
import sqlite3
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from devices.agent.ledger import FINAL, Entry, Event, State
from devices.messages import MOST_RECEIPTS, Receipt

log = logging.getLogger(__name__)

_BUSY_S: Final = 5.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS receipts (sequence INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ledger (
    slot TEXT PRIMARY KEY, state TEXT NOT NULL, ends TEXT NOT NULL, heard_s REAL NOT NULL
) WITHOUT ROWID;
"""


def open_database(path: Path) -> sqlite3.Connection:
    """Open or create the file; a broken one is moved aside: a box must play on without its past.

    Raises:
        sqlite3.OperationalError: the disk does not take it.
    """
    try:
        return _connect(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        mark = f"broken-{time.time_ns()}"
        log.error("outbox was broken and begins anew path=%s kept=%s error=%s", path, mark, error)
        for suffix in ("", "-wal", "-shm"):
            file = path.with_name(path.name + suffix)
            if file.exists():
                file.rename(path.with_name(f"{path.name}.{mark}{suffix}"))
        return _connect(path)


def append(
    database: sqlite3.Connection,
    events: Iterable[tuple[str, Event]],
    entries: Mapping[str, Entry | None],
    *,
    most_held: int,
) -> None:
    """Write receipts (with their ids) and ledger lines in one transaction; keep ``most_held`` receipts."""
    lines = [
        (slot, entry.state.value, entry.ends.isoformat(), entry.heard_s)
        for slot, entry in entries.items()
        if entry is not None
    ]
    with database:
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO receipts (body) VALUES (?)", [(_body(*event),) for event in events])
        database.execute("DELETE FROM receipts WHERE sequence <= ?", (last_sequence(database) - most_held,))
        database.executemany("DELETE FROM ledger WHERE slot = ?", [(slot,) for slot in entries])
        database.executemany("INSERT INTO ledger VALUES (?, ?, ?, ?)", lines)


def drop(database: sqlite3.Connection, through: int) -> None:
    """Forget the receipts up to ``through``, which the server has stored.

    A server that has more than this file ever counted has seen the file that was here before. What waits
    now is new then, and goes behind what the server knows.
    """
    with database:
        database.execute("BEGIN IMMEDIATE")
        last = last_sequence(database)
        if through <= last:
            database.execute("DELETE FROM receipts WHERE sequence <= ?", (through,))
            return
        # By way of negative numbers: a sequence is unique at every step.
        database.execute("UPDATE receipts SET sequence = -(sequence + ?)", (through,))
        database.execute("UPDATE receipts SET sequence = -sequence")
        database.execute("DELETE FROM sqlite_sequence WHERE name = 'receipts'")
        database.execute("INSERT INTO sqlite_sequence VALUES ('receipts', ?)", (last + through,))


def first_receipts(database: sqlite3.Connection, after: int) -> tuple[Receipt, ...]:
    """Return the first receipts above ``after``, at most as many as one message takes."""
    rows = database.execute(
        "SELECT sequence, body FROM receipts WHERE sequence > ? ORDER BY sequence LIMIT ?",
        (after, MOST_RECEIPTS),
    )
    return tuple(Receipt.model_validate_json(body).model_copy(update={"sequence": sequence}) for sequence, body in rows)


def read_ledger(database: sqlite3.Connection) -> dict[str, Entry]:
    """Return what became of each slot before this process started."""
    rows = database.execute("SELECT slot, state, ends, heard_s FROM ledger").fetchall()
    return {slot: _entry(state, ends, heard_s) for slot, state, ends, heard_s in rows}


def extent(database: sqlite3.Connection) -> tuple[int, int]:
    """Return the lowest sequence held (the next one if none is) and the highest ever given."""
    (oldest,) = database.execute("SELECT min(sequence) FROM receipts").fetchone()
    last = last_sequence(database)
    return oldest or last + 1, last


def last_sequence(database: sqlite3.Connection) -> int:
    """Return the highest sequence ever given; SQLite keeps it when the receipts are gone."""
    row = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'receipts'").fetchone()
    return int(row[0]) if row else 0


def _connect(path: Path) -> sqlite3.Connection:
    # Threads take turns under the outbox's lock, so the connection may serve them all.
    database = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_SCHEMA)
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
    except BaseException:
        database.close()
        raise
    return database


def _body(id_: str, event: Event) -> str:
    """Write a receipt; its sequence is the row's and is put in when it is read."""
    receipt = Receipt(
        id=id_,
        sequence=1,
        at=event.at,
        outcome=event.outcome,
        playlist=event.playlist,
        slot=event.slot,
        code=event.code,
        offset=event.offset,
        heard=event.heard,
        rendition=event.rendition,
    )
    return receipt.model_dump_json(exclude_none=True)


def _entry(state: str, ends: str, heard_s: float) -> Entry:
    known = State(state)
    return Entry(state=known, ends=datetime.fromisoformat(ends), heard_s=heard_s, resumed=known not in FINAL)
