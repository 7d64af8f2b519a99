"""The tables of the outbox's file: made, taken over from an earlier format, and saved out of a broken file.

Every row belongs to a box. ``chain`` is the chain's value after a receipt, ``previous`` the one before it.
Blocking; the caller has the lock.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from devices.chain import START, link
from devices.messages import Receipt

VERSION: Final = 2
UNNAMED: Final = ""
"""The box of a file of version 0, which had one box and did not name it; the first box to open it takes it."""
_TABLES: Final = {
    "boxes": """(box TEXT PRIMARY KEY, last INTEGER NOT NULL, chain TEXT NOT NULL, base TEXT NOT NULL,
        held INTEGER NOT NULL, sent INTEGER)""",
    "receipts": """(box TEXT, sequence INTEGER, routine INTEGER NOT NULL, previous TEXT NOT NULL,
        chain TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (box, sequence))""",
    "dropped": "(box TEXT, first INTEGER, last INTEGER NOT NULL, chain TEXT NOT NULL, PRIMARY KEY (box, first))",
    "ledger": """(box TEXT, slot TEXT, state TEXT NOT NULL, ends TEXT NOT NULL, heard_s REAL NOT NULL,
        shift_s REAL NOT NULL, PRIMARY KEY (box, slot))""",
}
"""``base`` is the chain's value before the lowest sequence that is held or was dropped since. ``sent`` is the highest
sequence that a message told of, NULL from the first acknowledgement on."""
_ADD_RECEIPT: Final = "INSERT INTO receipts VALUES (?, ?, ?, ?, ?, ?)"


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Make what the block changes one: all of it is on disk at the end, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk has rolled back already
            connection.execute("ROLLBACK")
        raise


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables in a new file, and of a file of version 0 one of ours: in one transaction.

    Raises:
        sqlite3.DatabaseError: the file is of another, newer kind.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == VERSION:
        return
    if version != 0:
        raise sqlite3.DatabaseError(f"version {version} of the outbox is not known here")
    with transaction(connection):
        former = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'receipts'").fetchone()
        if former:
            for name in ("receipts", "ledger"):
                connection.execute(f"ALTER TABLE {name} RENAME TO former_{name}")
        for name, columns in _TABLES.items():
            connection.execute(f"CREATE TABLE {name} {columns} WITHOUT ROWID")
        if former:
            _take_over(connection)
        connection.execute(f"PRAGMA user_version = {VERSION:d}")


def empty(connection: sqlite3.Connection) -> bool:
    """Whether no box has a place in the file yet."""
    return connection.execute("SELECT 1 FROM boxes").fetchone() is None


def register(connection: sqlite3.Connection, box: str) -> None:
    """Make a place for a box that has none; it takes over what an earlier file had not named."""
    if connection.execute("SELECT 1 FROM boxes WHERE box = ?", (box,)).fetchone():
        return
    if connection.execute("SELECT 1 FROM boxes WHERE box = ?", (UNNAMED,)).fetchone():
        for name in _TABLES:
            connection.execute(f"UPDATE {name} SET box = ? WHERE box = ?", (box, UNNAMED))  # noqa: S608 - our names
    else:
        connection.execute("INSERT INTO boxes VALUES (?, 0, ?, ?, 0, 0)", (box, START, START))


def add_receipt(
    connection: sqlite3.Connection, box: str, sequence: int, receipt: Receipt, *, routine: bool, previous: str
) -> str:
    """Write a receipt behind the chain's value ``previous``; return the value after it."""
    chain = link(previous, receipt)
    body = receipt.model_dump_json(exclude_none=True)
    connection.execute(_ADD_RECEIPT, (box, sequence, routine, previous, chain, body))
    return chain


def salvage(path: Path, connection: sqlite3.Connection) -> int:
    """Copy what can be read of a broken file; return how many rows. What does not fit is found by the chain."""
    saved = 0
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, isolation_level=None)) as broken:
        for name in _TABLES:
            for row in _readable(broken, name):
                with suppress(sqlite3.Error):
                    marks = ", ".join("?" * len(row))
                    saved += connection.execute(f"INSERT OR IGNORE INTO {name} VALUES ({marks})", row).rowcount  # noqa: S608
    return saved


def _readable(broken: sqlite3.Connection, name: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows before the first torn page, then those behind the last one."""
    for order in ("ASC", "DESC"):
        by = f"1 {order}" if name == "boxes" else f"1 {order}, 2 {order}"  # the primary key: no sorting, page by page
        with suppress(sqlite3.Error):
            yield from broken.execute(f"SELECT * FROM {name} ORDER BY {by}")  # noqa: S608 - our names


def _take_over(connection: sqlite3.Connection) -> None:
    chain, held = START, 0
    for sequence, body in connection.execute("SELECT sequence, body FROM former_receipts ORDER BY sequence").fetchall():
        with suppress(ValueError):  # a hole is found and told when the box opens the file
            receipt = read_receipt(sequence, body)
            chain = add_receipt(connection, UNNAMED, sequence, receipt, routine=True, previous=chain)
            held += 1
    counted = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'former_receipts'").fetchone()
    last = counted[0] if counted else 0
    connection.execute("INSERT INTO boxes VALUES (?, ?, ?, ?, ?, NULL)", (UNNAMED, last, chain, START, held))
    connection.execute("INSERT INTO ledger SELECT ?, slot, state, ends, heard_s, 0.0 FROM former_ledger", (UNNAMED,))
    for name in ("receipts", "ledger"):
        connection.execute(f"DROP TABLE former_{name}")


def read_receipt(sequence: int, body: str) -> Receipt:
    """Return a receipt as it goes over the wire; its sequence is its row's.

    Raises:
        ValueError: it is none.
    """
    return Receipt.model_validate_json(body).model_copy(update={"sequence": sequence})
