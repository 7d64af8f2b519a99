"""Definitions in TinyDB: tables of documents in one checked JSON file, read from memory, replaced as a whole.

A commune has some hundreds of definitions and changes a few a day. A write rewrites the file: 1 ms at 10
documents, 7 ms at 1,000 (780 KB). A read is one ``stat`` and a look into a dictionary: 4 µs.
"""

import operator
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from tinydb import TinyDB
from tinydb.table import Document

from broadcaster.store.port import AlreadyExists, Collection, NotFound, Record, RevisionConflict
from broadcaster.store.records import Box, Enrolment, Official, Session, Sound
from broadcaster.store.storage import CheckedStorage, Documents, RecordTable
from schedules.days import DayType
from schedules.programmes import Programme
from schedules.verdicts import Decision
from schedules.zones import Cluster, Zone

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class _Read(Generic[R]):
    """One state of a table, decoded."""

    documents: Documents = field(default_factory=dict)
    records: Mapping[str, R] = field(default_factory=dict)
    all: tuple[R, ...] = ()


class TinyCollection(Generic[R]):
    """One table as the records of one noun."""

    def __init__(self, table: RecordTable, storage: CheckedStorage, kind: type[R]) -> None:
        self._table = table
        self._storage = storage
        self._name = table.name
        self._kind = TypeAdapter(kind)
        self._decoding = threading.Lock()
        self._stored: _Read[R] = _Read()
        self._drafted: _Read[R] = self._stored
        """What the thread inside a transaction reads, kept apart: one that fails leaves ``_stored`` as it was."""

    def get(self, id: str) -> R:
        """Return the record, or raise ``NotFound``."""
        record = self.find(id)
        if record is None:
            raise NotFound(f"There is no {id!r} in {self._name}.", collection=self._name, id=id)
        return record

    def find(self, id: str) -> R | None:
        """Return the record, or None."""
        return self._read().records.get(id)

    def all(self) -> Sequence[R]:
        """Return every record: the same tuple until one of them is added, changed or removed."""
        return self._read().all

    def add(self, record: R) -> R:
        """Store a new record at revision 1."""
        document = self._encode(record, revision=1)
        with self._storage.writing():
            if record.id in self._table.documents():
                raise AlreadyExists(
                    f"There is already a {record.id!r} in {self._name}.", collection=self._name, id=record.id
                )
            self._table.insert(Document(document, record.id))  # type: ignore[arg-type]  # see document_id_class
            return self.get(record.id)

    def change(self, id: str, change: Callable[[R], R], *, expected: int | None = None) -> R:
        """Store ``change(record)`` at the next revision."""
        with self._storage.writing():
            present = self.get(id)
            if expected is not None and present.revision != expected:
                raise self._conflict(present, expected)
            changed = change(present)
            if changed is present:
                return present
            if changed.id != id:
                raise ValueError(f"a change must keep the id: {id!r} became {changed.id!r}")
            self._table.replace(id, self._encode(changed, revision=present.revision + 1))
            return self.get(id)

    def remove(self, id: str) -> R:
        """Take the record away and return it."""
        with self._storage.writing():
            record = self.get(id)
            self._table.remove(doc_ids=[id])  # type: ignore[list-item]  # see document_id_class
            return record

    def _read(self) -> _Read[R]:
        """Return the present state; only documents that are new since the last call are decoded."""
        documents, writing = self._table.documents(), self._storage.is_writing()
        read = self._drafted if writing else self._stored
        if read.documents is documents:
            return read
        with self._decoding:
            read = self._decoded(documents)
            if writing:
                self._drafted = read
            else:
                self._stored = read
        return read

    def _decoded(self, documents: Documents) -> _Read[R]:
        for known in (self._stored, self._drafted):
            if known.documents is documents:
                return known
        records = {id: self._known(id, document) or self._decode(id, document) for id, document in documents.items()}
        everyone = tuple(records.values())
        for known in (self._stored, self._drafted):
            if len(known.all) == len(everyone) and all(map(operator.is_, known.all, everyone)):
                everyone = known.all  # another noun was written, perhaps by another process
        return _Read(documents, records, everyone)

    def _known(self, id: str, document: Mapping[str, Any]) -> R | None:
        """Return the record that was decoded from the same document, or from an equal one of another process."""
        for known in (self._stored, self._drafted):
            before = known.documents.get(id)
            if before is document or before == document:
                return known.records[id]
        return None

    def _encode(self, record: R, *, revision: int) -> dict[str, Any]:
        """Return the record as a document, or raise ``ValueError`` if it would not come back as it is."""
        stored = replace(cast(Any, record), revision=revision)
        document: dict[str, Any] = self._kind.dump_python(stored, mode="json", warnings="error")
        if self._kind.validate_python(document) != stored:
            raise ValueError(f"{record!r} holds something that JSON cannot keep, such as a NaN or a tuple in a dict")
        return document

    def _decode(self, id: str, document: Mapping[str, Any]) -> R:
        try:
            return self._kind.validate_python(document)
        except ValidationError as error:
            raise self._storage.damaged(f"holds a {id!r} in {self._name} that is not one: {error}") from error

    def _conflict(self, present: R, expected: int) -> RevisionConflict:
        return RevisionConflict(
            f"{present.id!r} in {self._name} is at revision {present.revision}, not {expected}: "
            "somebody changed it in between. Read it again and repeat the change.",
            collection=self._name,
            id=present.id,
            expected=expected,
            actual=present.revision,
        )


class TinyDefinitions:
    """The collections of one data directory, and transactions over them.

    Opening it takes no exclusive hold: any number may be open on one directory, in any process.
    """

    def __init__(self, directory: Path) -> None:
        self._storage = CheckedStorage(directory)
        try:
            self._storage.read()  # a damaged file is refused now, not at the first request
        except BaseException:
            self._storage.close()
            raise
        self._database = TinyDB(storage=lambda: self._storage)
        self._database.table_class = RecordTable
        self.zones: Collection[Zone] = self._collection("zones", Zone)
        self.clusters: Collection[Cluster] = self._collection("clusters", Cluster)
        self.day_types: Collection[DayType] = self._collection("day_types", DayType)
        self.programmes: Collection[Programme] = self._collection("programmes", Programme)
        self.decisions: Collection[Decision] = self._collection("decisions", Decision)
        self.sounds: Collection[Sound] = self._collection("sounds", Sound)
        self.officials: Collection[Official] = self._collection("officials", Official)
        self.sessions: Collection[Session] = self._collection("sessions", Session)
        self.enrolments: Collection[Enrolment] = self._collection("enrolments", Enrolment)
        self.boxes: Collection[Box] = self._collection("boxes", Box)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the writes inside one.

        The thread inside reads what it wrote. Other threads and processes read the old state and do not
        wait; those that want to write wait, at most ``LONGEST_WAIT_SECONDS``.
        """
        if self._storage.is_writing():
            raise RuntimeError("transactions do not nest")
        with self._storage.writing():
            yield

    def change_count(self) -> int:
        """Return a number that rises with each write: one ``stat``."""
        return self._storage.change_count()

    def close(self) -> None:
        """Release the files."""
        self._database.close()

    def _collection(self, name: str, kind: type[R]) -> Collection[R]:
        return TinyCollection(cast(RecordTable, self._database.table(name, cache_size=0)), self._storage, kind)
