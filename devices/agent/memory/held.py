"""What one box holds in the outbox's file: receipts added, sent, acknowledged, let go; the ledger beside them.

Each function is a part of a transaction that the caller has opened, or only reads. Blocking.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from devices.agent.memory.bound import Span, leaving, merged
from devices.agent.memory.ledger import FINAL, Entry, State
from devices.agent.memory.tables import add_receipt, read_receipt, register
from devices.chain import START
from devices.messages import MOST_RECEIPTS, Dropped, Receipt


class Extent(NamedTuple):
    """How much it is."""

    oldest: int
    """Lowest sequence held, or the next one if none is."""
    last: int
    """Highest sequence ever given."""
    held: int
    chain: str
    """The chain's value after the last one."""


class Batch(NamedTuple):
    """Receipts for one message, as they lie in the file at one moment."""

    receipts: tuple[Receipt, ...]
    """By sequence; only such as follow one another in the chain."""
    oldest: int
    previous: str
    """The chain's value before the first of them."""
    dropped: tuple[Dropped, ...]
    """What is missing among all that is not acknowledged."""
    told: int
    """The highest sequence that it tells of, held or left."""
    unnoted: bool = False
    """Whether ``note_sent`` has to come before it is sent."""


def extent(connection: sqlite3.Connection, box: str) -> Extent:
    """Return how much a box holds; nothing, if the file does not know it."""
    row = connection.execute("SELECT last, held, chain FROM boxes WHERE box = ?", (box,)).fetchone()
    last, held, chain = row or (0, 0, START)
    (oldest,) = connection.execute("SELECT min(sequence) FROM receipts WHERE box = ?", (box,)).fetchone()
    return Extent(oldest or last + 1, last, held, chain)


def count_from(connection: sqlite3.Connection, box: str, known: Extent) -> None:
    """Go on from what is ``known``, in a file that has less; without any receipts nothing is behind its chain."""
    less = (known.last, known.chain, box)
    connection.execute("UPDATE boxes SET last = ?1, chain = ?2, sent = NULL WHERE box = ?3 AND last < ?1", less)
    connection.execute(
        "UPDATE boxes SET base = chain WHERE box = ?1 AND NOT EXISTS (SELECT 1 FROM receipts WHERE box = ?1)", (box,)
    )


def append(
    connection: sqlite3.Connection,
    box: str,
    receipts: Iterable[tuple[bool, Receipt]],
    entries: Mapping[str, Entry | None],
    *,
    most_held: int,
) -> Extent:
    """Write receipts, each with whether it is routine, and ledger lines; let go of what is too much."""
    register(connection, box)
    before = extent(connection, box)
    last, chain = before.last, before.chain
    for routine, receipt in receipts:
        last += 1
        chain = add_receipt(connection, box, last, receipt, routine=routine, previous=chain)
    held = before.held + last - before.last
    connection.execute("UPDATE boxes SET last = ?, chain = ?, held = ? WHERE box = ?", (last, chain, held, box))
    write_ledger(connection, box, entries)
    if held > most_held:
        # A little more than must be, so that a full box does not look through all it holds at every commit.
        let_go(connection, box, surplus=held - most_held + most_held // 100)
    return extent(connection, box)


def drop(connection: sqlite3.Connection, box: str, through: int) -> Extent:
    """Forget the receipts up to ``through``, which the server has stored.

    A server that has more than this file ever counted, or a new one ever sent, has seen the file that was here
    before. What waits now is new then, and goes behind what the server knows.
    """
    register(connection, box)
    (last, sent) = connection.execute("SELECT last, sent FROM boxes WHERE box = ?", (box,)).fetchone()
    if through and sent is not None:
        connection.execute("UPDATE boxes SET sent = NULL WHERE box = ?", (box,))
    if through > (last if sent is None else sent):
        # By way of negative numbers: a key is unique at every step.
        connection.execute("UPDATE receipts SET sequence = -(sequence + ?) WHERE box = ?", (through, box))
        connection.execute("UPDATE receipts SET sequence = -sequence WHERE box = ?", (box,))
        connection.execute("UPDATE dropped SET first = -(first + ?1), last = last + ?1 WHERE box = ?2", (through, box))
        connection.execute("UPDATE dropped SET first = -first WHERE box = ?", (box,))
        connection.execute("UPDATE boxes SET last = last + ? WHERE box = ?", (through, box))
        return extent(connection, box)
    base = connection.execute(
        "SELECT chain FROM (SELECT sequence, chain FROM receipts WHERE box = ?1 AND sequence <= ?2"
        " UNION ALL SELECT last, chain FROM dropped WHERE box = ?1 AND last <= ?2) ORDER BY sequence DESC LIMIT 1",
        (box, through),
    ).fetchone()
    if base:
        connection.execute("UPDATE boxes SET base = ? WHERE box = ?", (*base, box))
    gone = connection.execute("DELETE FROM receipts WHERE box = ? AND sequence <= ?", (box, through)).rowcount
    if gone:  # an old acknowledgement again, which each session begins with, must not cost a sync
        connection.execute("UPDATE boxes SET held = held - ? WHERE box = ?", (gone, box))
    connection.execute("DELETE FROM dropped WHERE box = ? AND last <= ?", (box, through))
    connection.execute("UPDATE dropped SET first = ?1 WHERE box = ?2 AND first <= ?3", (through + 1, box, through))
    return extent(connection, box)


def note_sent(connection: sqlite3.Connection, box: str, told: int) -> None:
    """Write down that the server is about to be told of all up to ``told``; needless after an acknowledgement."""
    connection.execute("UPDATE boxes SET sent = ?1 WHERE box = ?2 AND sent < ?1", (told, box))


def batch(connection: sqlite3.Connection, box: str, after: int) -> Batch:
    """Return the first receipts above ``after``, at most as many as one message takes.

    Where the chain begins anew a message ends, so that the next one's ``previous`` tells the server of it.

    Raises:
        sqlite3.DatabaseError: a row holds no receipt.
    """
    spans = read_spans(connection, box)
    behind = {span.last: span for span in spans}
    rows = connection.execute(
        "SELECT sequence, previous, chain, body FROM receipts WHERE box = ? AND sequence > ? ORDER BY sequence LIMIT ?",
        (box, after, MOST_RECEIPTS),
    ).fetchall()
    receipts: list[Receipt] = []
    expected = rows[0][1] if rows else START
    for sequence, previous, chain, body in rows:
        span = behind.get(sequence - 1)
        if receipts and previous != (span.chain if span else expected):
            break
        try:
            receipts.append(read_receipt(sequence, body))
        except ValueError as error:
            raise sqlite3.DatabaseError(f"receipt {sequence} cannot be read") from error
        expected = chain
    dropped = tuple(Dropped(first=span.first, last=span.last, chain=span.chain) for span in spans)
    told = max([0, *(receipt.sequence for receipt in receipts), *behind])
    sent = connection.execute("SELECT sent FROM boxes WHERE box = ?", (box,)).fetchone()
    return Batch(
        receipts=tuple(receipts),
        oldest=extent(connection, box).oldest,
        previous=rows[0][1] if rows else START,
        dropped=dropped,
        told=told,
        unnoted=bool(sent and sent[0] is not None and told > sent[0]),
    )


def read_spans(connection: sqlite3.Connection, box: str) -> list[Span]:
    """Return what left unacknowledged, by sequence."""
    rows = connection.execute("SELECT first, last, chain FROM dropped WHERE box = ? ORDER BY first", (box,))
    return [Span(*row) for row in rows]


def write_spans(connection: sqlite3.Connection, box: str, spans: Iterable[Span]) -> None:
    """Keep these spans and no others."""
    connection.execute("DELETE FROM dropped WHERE box = ?", (box,))
    connection.executemany("INSERT INTO dropped VALUES (?, ?, ?, ?)", [(box, *span) for span in spans])


def read_ledger(connection: sqlite3.Connection, box: str) -> dict[str, Entry]:
    """Return what became of each slot before this process started."""
    rows = connection.execute("SELECT slot, state, ends, heard_s, shift_s FROM ledger WHERE box = ?", (box,)).fetchall()
    return {slot: _entry(*row) for slot, *row in rows}


def write_ledger(connection: sqlite3.Connection, box: str, entries: Mapping[str, Entry | None]) -> None:
    """Set lines; None forgets one."""
    lines = [
        (box, slot, entry.state.value, entry.ends.isoformat(), entry.heard_s, entry.shift_s)
        for slot, entry in entries.items()
        if entry is not None
    ]
    connection.executemany("DELETE FROM ledger WHERE box = ? AND slot = ?", [(box, slot) for slot in entries])
    connection.executemany("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?)", lines)


def let_go(connection: sqlite3.Connection, box: str, *, surplus: int) -> None:
    """Let ``surplus`` receipts leave, and those between two holes where there are more holes than can be told."""
    rows = connection.execute(
        "SELECT sequence, routine, chain FROM receipts WHERE box = ? ORDER BY sequence", (box,)
    ).fetchall()
    spans = read_spans(connection, box)
    gone = leaving([(sequence, bool(routine)) for sequence, routine, _ in rows], spans, surplus)
    chains = {sequence: chain for sequence, _, chain in rows}
    write_spans(connection, box, merged([*spans, *(Span(each, each, chains[each]) for each in gone)]))
    connection.executemany("DELETE FROM receipts WHERE box = ? AND sequence = ?", [(box, each) for each in gone])
    connection.execute("UPDATE boxes SET held = held - ? WHERE box = ?", (len(gone), box))


def _entry(state: str, ends: str, heard_s: float, shift_s: float) -> Entry:
    try:
        known = State(state)
        return Entry(
            state=known,
            ends=datetime.fromisoformat(ends),
            heard_s=heard_s,
            shift_s=shift_s,
            resumed=known not in FINAL,
        )
    except (TypeError, ValueError):  # a worn card: the slot was at hand at least, and must not sound twice
        return Entry(state=State.INTERRUPTED, ends=datetime.max.replace(tzinfo=UTC))
