"""What the box must still say, and what it must not play again: receipts and the ledger of slots, on disk.

A slot's outcome and its receipt are one transaction, synced before it counts. All work with the disk runs
in threads, so a slow SD card never holds up the event loop.
"""

import asyncio
import logging
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, TypeAlias, TypeVar

from devices.agent import database
from devices.agent.ledger import Entry, Event
from devices.messages import Receipt

log = logging.getLogger(__name__)

MOST_HELD: Final = 20_000
"""Receipts kept while nobody acknowledges. Then the oldest leave: ``Receipts.oldest`` can tell the server
of a missing beginning, not of holes."""
MOST_UNSAVED: Final = 1_000
"""Receipts kept in memory while the disk takes nothing; the oldest leave."""
REMEMBERED: Final = timedelta(days=30)
"""How long a final entry is kept after its slot; playlists live 7 days."""

Answer = TypeVar("Answer")
_Changes: TypeAlias = tuple[list[tuple[str, Event]], dict[str, Entry | None]]


class Outbox:
    """One writer: this process. Open while its ``async with`` block runs."""

    def __init__(self, path: Path, *, most_held: int = MOST_HELD) -> None:
        self._path = path
        self._most_held = most_held
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._ledger: dict[str, Entry] = {}
        self._unsaved: _Changes = ([], {})
        self._failing = False
        self.oldest = 1
        """Lowest sequence held, or the next one if none is, as of the last change."""
        self.last = 0
        """Highest sequence ever given."""

    @property
    def ledger(self) -> Mapping[str, Entry]:
        """What has become of each slot, by its id."""
        return MappingProxyType(self._ledger)

    @property
    def waiting(self) -> int:
        """How many receipts the server has not acknowledged."""
        return self.last - self.oldest + 1

    async def __aenter__(self) -> "Outbox":
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._close)

    async def commit(self, events: Iterable[Event] = (), entries: Mapping[str, Entry | None] | None = None) -> None:
        """Append ``events`` and set ``entries`` (None forgets a slot), all or none; on disk when it returns.

        A disk that takes nothing does not silence the box: the change counts in memory, is logged once
        and is saved with the next one.
        """
        for slot, entry in (entries or {}).items():
            if entry is None:
                self._ledger.pop(slot, None)
            else:
                self._ledger[slot] = entry
        receipts, lines = self._unsaved
        receipts.extend((uuid.uuid4().hex, event) for event in events)
        lines.update(entries or {})
        if receipts or lines:
            self._unsaved = ([], {})
            await self._save((receipts, lines))

    async def batch(self, after: int) -> tuple[Receipt, ...]:
        """Return the first receipts with a sequence above ``after``, at most as many as one message takes."""
        return await asyncio.to_thread(self._locked, lambda open_: database.first_receipts(open_, after))

    async def acknowledge(self, through: int) -> None:
        """Forget the receipts that the server has stored."""
        await asyncio.to_thread(self._locked, lambda open_: database.drop(open_, through))

    async def forget_old(self, now: datetime) -> None:
        """Drop final entries so old that no playlist can name their slots any more."""
        limit = now - REMEMBERED
        await self.commit(
            entries={slot: None for slot, entry in self._ledger.items() if entry.final and entry.ends < limit}
        )

    async def _save(self, changes: _Changes) -> None:
        receipts, lines = changes
        try:
            await asyncio.to_thread(
                self._locked, lambda open_: database.append(open_, receipts, lines, most_held=self._most_held)
            )
        except sqlite3.OperationalError as error:
            level = logging.DEBUG if self._failing else logging.ERROR
            log.log(level, "outbox not saved receipts=%d error=%s", len(receipts), error)
            self._failing = True
            later_receipts, later_lines = self._unsaved
            self._unsaved = ((receipts + later_receipts)[-MOST_UNSAVED:], lines | later_lines)
        else:
            if self._failing:
                log.info("outbox saved again receipts=%d", len(receipts))
            self._failing = False

    # From here on in a thread.

    def _open(self) -> None:
        with self._lock:
            self._database = database.open_database(self._path)
            self._ledger = database.read_ledger(self._database)
            self.oldest, self.last = database.extent(self._database)

    def _close(self) -> None:
        with self._lock:
            if self._database is not None:
                self._database.close()
            self._database = None

    def _locked(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        with self._lock:
            if self._database is None:
                raise RuntimeError("the outbox is not open")
            answer = work(self._database)
            self.oldest, self.last = database.extent(self._database)
            return answer
