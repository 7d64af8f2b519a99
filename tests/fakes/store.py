"""Stores in memory that keep the contract of ``broadcaster/store/port.py`` for as long as they live."""

import dataclasses
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, Generic, TypeVar, cast

from broadcaster.store.chains import BROKEN, Spans, Stored, Verified, complete_through, verify
from broadcaster.store.port import AlreadyExists, Collection, NotFound, Record, RevisionConflict
from broadcaster.store.records import Box, Enrolment, Fact, Official, Publication, Session, Sound
from devices.messages import Receipt, Receipts, Status
from schedules.days import DayType
from schedules.programmes import Programme
from schedules.verdicts import Decision
from schedules.zones import Cluster, Zone

R = TypeVar("R", bound=Record)


class Table(dict[str, Any]):
    """The records of one noun by id."""

    @cached_property
    def all(self) -> tuple[Any, ...]:
        return tuple(self.values())


NO_RECORDS: Final = Table()


class MemoryCollection(Generic[R]):
    """One noun. Tables are replaced, never changed, so that a reader keeps what it holds."""

    def __init__(self, store: "MemoryDefinitions", name: str) -> None:
        self._store = store
        self._name = name

    def get(self, id: str) -> R:
        record = self.find(id)
        if record is None:
            raise NotFound(f"There is no {id!r} in {self._name}.", collection=self._name, id=id)
        return record

    def find(self, id: str) -> R | None:
        return self._table().get(id)

    def all(self) -> Sequence[R]:
        return self._table().all

    def add(self, record: R) -> R:
        with self._store.writing():
            if self.find(record.id) is not None:
                raise AlreadyExists(f"There is already a {record.id!r}.", collection=self._name, id=record.id)
            return self._put(record, revision=1)

    def change(self, id: str, change: Callable[[R], R], *, expected: int | None = None) -> R:
        with self._store.writing():
            present = self.get(id)
            if expected is not None and present.revision != expected:
                fields = {"expected": expected, "actual": present.revision}
                raise RevisionConflict(f"{id!r} has changed.", collection=self._name, id=id, **fields)
            changed = change(present)
            if changed.id != id:
                raise ValueError("a change must keep the id")
            return present if changed is present else self._put(changed, revision=present.revision + 1)

    def remove(self, id: str) -> R:
        with self._store.writing():
            record = self.get(id)
            left = Table({key: value for key, value in self._table().items() if key != id})
            self._store.put(self._name, left)
            return record

    def _table(self) -> Table:
        return self._store.tables().get(self._name, NO_RECORDS)

    def _put(self, record: R, *, revision: int) -> R:
        stored = cast(R, dataclasses.replace(cast(Any, record), revision=revision))
        self._store.put(self._name, Table({**self._table(), record.id: stored}))
        return stored


class MemoryDefinitions:
    """The collections, and transactions over them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._writer: int | None = None
        self._draft: dict[str, Table] = {}
        self._state: tuple[int, dict[str, Table]] = (0, {})
        self.zones: Collection[Zone] = MemoryCollection(self, "zones")
        self.clusters: Collection[Cluster] = MemoryCollection(self, "clusters")
        self.day_types: Collection[DayType] = MemoryCollection(self, "day_types")
        self.programmes: Collection[Programme] = MemoryCollection(self, "programmes")
        self.decisions: Collection[Decision] = MemoryCollection(self, "decisions")
        self.sounds: Collection[Sound] = MemoryCollection(self, "sounds")
        self.officials: Collection[Official] = MemoryCollection(self, "officials")
        self.sessions: Collection[Session] = MemoryCollection(self, "sessions")
        self.enrolments: Collection[Enrolment] = MemoryCollection(self, "enrolments")
        self.boxes: Collection[Box] = MemoryCollection(self, "boxes")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._writer == threading.get_ident():
            raise RuntimeError("transactions do not nest")
        with self.writing():
            yield

    def change_count(self) -> int:
        return self._state[0]

    def close(self) -> None:
        pass

    def tables(self) -> dict[str, Table]:
        return self._draft if self._writer == threading.get_ident() else self._state[1]

    def put(self, name: str, table: Table) -> None:
        self._draft = {**self._draft, name: table}

    @contextmanager
    def writing(self) -> Iterator[None]:
        if self._writer == threading.get_ident():
            yield
            return
        with self._lock:
            count, before = self._state
            self._writer, self._draft = threading.get_ident(), before
            try:
                yield
                if self._draft is not before:
                    self._state = count + 1, self._draft
            finally:
                self._writer = None


class MemoryJournal:
    """Facts, receipts, publications, statuses and answers in lists and dictionaries."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._facts: list[Fact] = []
        self._receipts: list[tuple[int, str, str, Receipt]] = []
        self._known: dict[str, dict[int, Receipt]] = {}
        self._verified: dict[str, Verified | None] = {}
        self._through: dict[str, int] = {}
        self._publications: dict[str, Publication] = {}
        self._statuses: dict[str, tuple[datetime, Status]] = {}
        self._answers: dict[str, tuple[datetime, str, int, bytes]] = {}

    def append(self, kind: str, subject: str, *, by: str | None, at: datetime, body: Mapping[str, Any]) -> Fact:
        _require_aware(at)
        copy = json.loads(json.dumps(dict(body), allow_nan=False))
        with self._lock:
            sequence = len(self._facts) + 1
            fact = Fact(sequence=sequence, at=at, kind=kind, subject=subject, by=by, body=copy)
            self._facts.append(fact)
            return fact

    def facts(
        self, *, after: int = 0, limit: int = 100, kind: str | None = None, subject: str | None = None
    ) -> Sequence[Fact]:
        with self._lock:
            later = self._facts[max(after, 0) :]
        return [f for f in later if kind in (None, f.kind) and subject in (None, f.subject)][:limit]

    def newest(self, kind: str) -> Fact | None:
        with self._lock:
            return next((fact for fact in reversed(self._facts) if fact.kind == kind), None)

    def last_sequence(self) -> int:
        return len(self._facts)

    def store_receipts(self, message: Receipts, *, received_at: datetime) -> Stored:
        _require_aware(received_at)
        new = []
        with self._lock:
            known = self._known.setdefault(message.box, {})
            for receipt in message.receipts:
                if receipt.sequence not in known:
                    known[receipt.sequence] = receipt
                    new.append(receipt)
                    self._receipts.append((len(self._receipts) + 1, message.box, message.cluster, receipt))

            def stored(after: int) -> Iterator[Receipt]:
                return (known[sequence] for sequence in sorted(known) if sequence > after)

            through = max(self._through.get(message.box, 0), message.oldest - 1)
            through = complete_through(through, Spans(message.dropped), (each.sequence for each in stored(through)))
            self._through[message.box] = through
            broken = None
            if new:
                self._verified[message.box], broken = verify(self._verified.get(message.box), message, stored)
            if broken is not None:
                self.append(BROKEN, message.box, by=None, at=received_at, body={"sequence": broken})
            return Stored(new, through, broken)

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
        with self._lock:
            rows = self._receipts[max(after, 0) :]
        return [
            row
            for row in rows
            if box in (None, row[1])
            and cluster in (None, row[2])
            and slot in (None, row[3].slot)
            and (since is None or row[3].at >= since)
            and (until is None or row[3].at < until)
        ][:limit]

    def last_receipt(self) -> int:
        return len(self._receipts)

    def count_receipts(self) -> Mapping[str, int]:
        with self._lock:
            return Counter(row[3].outcome.value for row in self._receipts)

    def publications(self) -> Mapping[str, Publication]:
        with self._lock:
            return dict(self._publications)

    def store_publications(self, publications: Iterable[Publication]) -> None:
        stored = {publication.cluster: publication for publication in publications}
        with self._lock:
            self._publications.update(stored)

    def store_status(self, status: Status, *, received_at: datetime) -> None:
        _require_aware(received_at)
        with self._lock:
            held = self._statuses.get(status.box)
            if held is None or held[0] <= received_at:
                self._statuses[status.box] = (received_at, status)

    def statuses(self) -> Mapping[str, tuple[datetime, Status]]:
        with self._lock:
            return dict(self._statuses)

    def answered(self, key: str, *, request: str, now: datetime) -> tuple[int, bytes] | None:
        with self._lock:
            given_at, asked, status, body = self._answers.get(key, (None, "", 0, b""))
        if given_at is None or given_at <= now - timedelta(hours=24):
            return None
        if asked != request:
            fields = {"expected": request, "actual": asked}
            raise RevisionConflict(f"{key!r} was used before.", collection="answers", id=key, **fields)
        return status, body

    def store_answer(self, key: str, *, request: str, status: int, body: bytes, now: datetime) -> None:
        with self._lock:
            oldest = now - timedelta(hours=24)
            self._answers = {key: answer for key, answer in self._answers.items() if answer[0] > oldest}
            self._answers.setdefault(key, (now, request, status, body))

    def close(self) -> None:
        pass


def _require_aware(instant: datetime) -> None:
    if instant.utcoffset() is None:
        raise ValueError(f"an instant needs a time zone: {instant!r}")
