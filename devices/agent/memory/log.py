"""What ``loa box log`` prints: the receipts that a box holds, and whether their chain is whole. Changes nothing."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from devices.agent.config import BoxError
from devices.agent.memory.checking import Findings, check
from devices.agent.memory.tables import VERSION, read_receipt


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the outbox's file for reading only, whether the box runs or not.

    Raises:
        BoxError: there is none, or it cannot be read.
    """
    if not path.is_file():
        raise BoxError("no_log", f"There is no {path}. The box has not run yet, or --dir names another place.")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.text_factory = lambda content: content.decode(errors="replace")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                raise BoxError("no_log", f"{path} is of another version of Loa. Start the box once, then it is read.")
            connection.execute("BEGIN")  # one moment for all that is printed
            yield connection
    except sqlite3.Error as error:
        raise BoxError("no_log", f"{path} cannot be read: {error}. The box moves it aside when it starts.") from error


def lines(connection: sqlite3.Connection, box: str) -> Iterator[str]:
    """Yield the receipts that are held, oldest first, and what left before them, each as a line."""
    spans = connection.execute("SELECT first, last FROM dropped WHERE box = ? ORDER BY first", (box,))
    for first, last in spans:
        yield f"{first}-{last} left, because the box held too many"
    rows = connection.execute("SELECT sequence, body FROM receipts WHERE box = ? ORDER BY sequence", (box,))
    for sequence, body in rows:
        try:
            said = read_receipt(sequence, body).model_dump(mode="json", exclude_none=True, exclude={"id", "sequence"})
        except ValueError:
            yield f"{sequence} cannot be read"
        else:
            facts = " ".join(f"{name}={value}" for name, value in said.items() if name not in ("at", "outcome"))
            yield f"{sequence} {said['at']} {said['outcome']} {facts}".rstrip()


def verify(connection: sqlite3.Connection, box: str) -> tuple[bool, str]:
    """Return whether the chain over what is held is whole, and say so."""
    found: Findings = check(connection, box)
    if found.whole:
        return True, "The chain is whole."
    return False, f"The chain is not whole: {found.told()}"
