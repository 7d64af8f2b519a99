"""What every store of Loa promises. Implementations: ``tiny.py`` and ``journal.py``; fakes in the tests.

**Definitions** are the nouns that officials and boxes create and change: zones, clusters, day types, programmes,
decisions, sounds, officials, sessions, enrolments, boxes. Each lives in a ``Collection`` by its ``id`` and carries a
``revision`` that starts at 1 and rises by one with each change.

**The journal** holds what only ever grows: facts (the audit trail, which is also the stream of events),
receipts of boxes, and beside them what can be computed again or replaced: publications, the last status of
each box, and answers to idempotent requests.

The contract of both:

* A method that returns has stored: ``kill -9`` or a power cut at any later moment loses nothing of it. One
  that raises has changed nothing.
* Calls are safe from any thread. They block (milliseconds; a definitions write grows with the number of
  documents), so an event loop calls them through a worker thread.
* Records are frozen; what ``get`` returns never changes under the reader.
* Definitions may be written by several processes on the same data directory (``loa official add`` beside a
  running server); each sees the other's writes at its next call. The journal has one process: while it is
  open, a second one is refused with ``Unwritable``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol, TypeVar

from broadcaster.store.chains import Stored
from broadcaster.store.records import Box, Enrolment, Fact, Official, Publication, Session, Sound
from devices.messages import Receipt, Receipts, Status
from schedules.days import DayType
from schedules.programmes import Programme
from schedules.verdicts import Decision
from schedules.zones import Cluster, Zone


class Record(Protocol):
    """Anything that a collection can keep: a frozen dataclass with these two, ``revision`` a field."""

    @property
    def id(self) -> str:
        """The key, unique in its collection."""
        ...

    @property
    def revision(self) -> int:
        """1 for a new record, one more after each change."""
        ...


R = TypeVar("R", bound=Record)


class StoreError(Exception):
    """A store cannot do what was asked. ``code`` is stable; ``fields`` are the facts of the message."""

    code = "store_failed"

    def __init__(self, sentence: str, **fields: Any) -> None:
        super().__init__(sentence)
        self.fields = fields


class AlreadyExists(StoreError):
    """``add`` met a record with the same id. Fields: ``collection``, ``id``."""

    code = "already_exists"


class NotFound(StoreError):
    """There is no such record. Fields: ``collection``, ``id``."""

    code = "not_found"


class RevisionConflict(StoreError):
    """The record is not what the caller thinks. Fields: ``collection``, ``id``, ``expected``, ``actual``."""

    code = "revision_conflict"


class Damaged(StoreError):
    """A file of the store is torn, foreign or of another version. Nothing is repaired silently.

    Fields: ``path``, and ``copy`` if there is a good one; the message says how to go back to it.
    """

    code = "store_damaged"


class Unwritable(StoreError):
    """The data directory or a file in it cannot be written. Fields: ``path``, ``reason``."""

    code = "store_unwritable"


class Collection(Protocol[R]):
    """The records of one noun, in the order in which they were added."""

    def get(self, id: str) -> R:
        """Return the record, or raise ``NotFound``."""
        ...

    def find(self, id: str) -> R | None:
        """Return the record, or None."""
        ...

    def all(self) -> Sequence[R]:
        """Return every record.

        While no record of this collection is added, changed or removed, every call returns the same tuple, and
        a record that stays as it is stays the same object: whoever computes from records asks by identity what
        is new. A writer inside a transaction reads its own.
        """
        ...

    def add(self, record: R) -> R:
        """Store a new record, at revision 1 whatever its own says; return it or raise ``AlreadyExists``."""
        ...

    def change(self, id: str, change: Callable[[R], R], *, expected: int | None = None) -> R:
        """Store ``change(record)`` with the next revision and return it.

        ``change`` is pure: it runs inside the store's lock, and keeps the id. If it returns its argument,
        nothing is written.
        Raises ``NotFound``, or ``RevisionConflict`` if ``expected`` is given and is not the present revision.
        """
        ...

    def remove(self, id: str) -> R:
        """Take the record away and return it, or raise ``NotFound``."""
        ...


class Definitions(Protocol):
    """The collections, and transactions over them."""

    zones: Collection[Zone]
    clusters: Collection[Cluster]
    day_types: Collection[DayType]
    programmes: Collection[Programme]
    decisions: Collection[Decision]
    sounds: Collection[Sound]
    officials: Collection[Official]
    sessions: Collection[Session]
    enrolments: Collection[Enrolment]
    boxes: Collection[Box]

    def transaction(self) -> AbstractContextManager[None]:
        """Make the writes inside one: all are stored at its end, or none if the block raises.

        Until then other threads and processes see none of them: they read the old state without waiting.
        Those that want to write wait, so a transaction is short and does nothing slow. The thread inside
        reads what it wrote. Transactions do not nest: ``RuntimeError``.
        """
        ...

    def change_count(self) -> int:
        """Return a number that differs after any write by any process: a cheap "has anything changed?"."""
        ...

    def close(self) -> None:
        """Release the files."""
        ...


class Journal(Protocol):
    """Facts and receipts, appended; publications and statuses, the last of each."""

    def append(self, kind: str, subject: str, *, by: str | None, at: datetime, body: Mapping[str, Any]) -> Fact:
        """Store a fact and return it with its sequence."""
        ...

    def facts(
        self, *, after: int = 0, limit: int = 100, kind: str | None = None, subject: str | None = None
    ) -> Sequence[Fact]:
        """Return up to ``limit`` facts with a sequence above ``after``, oldest first."""
        ...

    def newest(self, kind: str) -> Fact | None:
        """Return the newest fact of a kind, or None."""
        ...

    def last_sequence(self) -> int:
        """Return the sequence of the newest fact, 0 if there is none."""
        ...

    def store_receipts(self, message: Receipts, *, received_at: datetime) -> Stored:
        """Store the receipts that are new; return them and how far this box's receipts are complete.

        A receipt whose sequence is stored already is the same receipt again and is passed over. They are complete
        through the highest ``n`` such that every sequence from ``message.oldest`` to ``n`` is stored or in
        ``message.dropped`` (those and what lies below ``oldest`` will never come): the number to acknowledge. It
        never falls, so a message that was overtaken by a later one, with a higher ``oldest``, changes nothing that
        was acknowledged.

        Where the chain that the box tells does not fit the stored receipts, they are stored all the same (the box
        has signed them), and a fact ``receipts.chain_broken`` is, once a break: see ``chains.py``.
        """
        ...

    def receipts(
        self,
        *,
        box: str | None = None,
        cluster: str | None = None,
        slot: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[tuple[int, str, str, Receipt]]:
        """Return ``(row, box, cluster, receipt)`` with a row number above ``after``, oldest first.

        ``since`` (inclusive) and ``until`` (exclusive) bound the receipt's ``at``.
        """
        ...

    def last_receipt(self) -> int:
        """Return the row number of the newest receipt, 0 if there is none."""
        ...

    def count_receipts(self) -> Mapping[str, int]:
        """Return how many receipts are stored, by outcome."""
        ...

    def publications(self) -> Mapping[str, Publication]:
        """Return the last publication of every cluster."""
        ...

    def store_publications(self, publications: Iterable[Publication]) -> None:
        """Store them in one transaction, each in place of its cluster's former one."""
        ...

    def store_status(self, status: Status, *, received_at: datetime) -> None:
        """Keep a box's newest status (by ``received_at``) and when it came."""
        ...

    def statuses(self) -> Mapping[str, tuple[datetime, Status]]:
        """Return the last status of each box and when it came."""
        ...

    def answered(self, key: str, *, request: str, now: datetime) -> tuple[int, bytes] | None:
        """Return the answer (HTTP status, body) given to this idempotency key in the last 24 hours, if any.

        ``request`` is a digest of what was asked. Raises ``RevisionConflict`` if the key was used for another
        request.
        """
        ...

    def store_answer(self, key: str, *, request: str, status: int, body: bytes, now: datetime) -> None:
        """Keep an answer for ``answered``. The first to a key stands; those of 24 hours and older leave."""
        ...

    def close(self) -> None:
        """Checkpoint and release the files."""
        ...
