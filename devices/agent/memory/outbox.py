"""What a box must still say, and what it must not play again: receipts and the ledger of slots, on disk.

A slot's outcome and its receipt are one transaction, synced before it counts. All work with the disk runs
in threads, so a slow SD card never holds up the event loop.
"""

import asyncio
import logging
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType, TracebackType
from typing import Final, TypeAlias

from devices.agent.memory import held
from devices.agent.memory.bound import leaving
from devices.agent.memory.checking import mend
from devices.agent.memory.database import Database
from devices.agent.memory.held import Batch, Extent
from devices.agent.memory.ledger import Entry, Event
from devices.agent.memory.tables import register
from devices.agent.timing.clock import Bell, Clock, sleep
from devices.chain import START
from devices.messages import Receipt

log = logging.getLogger(__name__)

MOST_HELD: Final = 20_000
"""Receipts kept while nobody acknowledges; at 300 slots a day more than 30 days. Then the oldest routine ones leave."""
MOST_UNSAVED: Final = 1_000
"""Receipts kept in memory while the disk takes nothing; the oldest routine ones leave, and were never counted."""
RETRY_FIRST_S: Final = 10.0
RETRY_MOST_S: Final = 300.0
"""How long a disk that took nothing is left alone: at first, and at most."""
REMEMBERED: Final = timedelta(days=30)
"""How long a final entry is kept after its slot; playlists live 7 days."""

_Receipts: TypeAlias = list[tuple[bool, Receipt]]
"""Each with whether it is routine; the sequence is given when it is written."""
_Entries: TypeAlias = dict[str, Entry | None]
_NOTHING: Final = Extent(1, 0, 0, START)


class Outbox:
    """One box's part of a database, and the only one that writes it. Open while its ``async with`` block runs."""

    def __init__(self, database: Database, box: str, *, most_held: int = MOST_HELD) -> None:
        self._database = database
        self._box = box
        self._most_held = most_held
        self._ledger: dict[str, Entry] = {}
        self._unsaved: tuple[_Receipts, _Entries] = ([], {})
        self._extent = _NOTHING
        self._failing = False
        self._unsaved_bell = Bell()

    @property
    def ledger(self) -> Mapping[str, Entry]:
        """What has become of each slot, by its id."""
        return MappingProxyType(self._ledger)

    @property
    def oldest(self) -> int:
        """Lowest sequence held, or the next one if none is, as of the last change."""
        return self._extent.oldest

    @property
    def last(self) -> int:
        """Highest sequence ever given."""
        return self._extent.last

    @property
    def waiting(self) -> int:
        """How many receipts the server has not acknowledged, those that the disk did not take included."""
        return self._extent.held + len(self._unsaved[0])

    @property
    def unsaved(self) -> bool:
        """Whether there is something that the disk did not take."""
        return any(self._unsaved)

    async def __aenter__(self) -> "Outbox":
        try:
            await self._database.write(self._take_place)
        except sqlite3.OperationalError as error:
            self._complain("outbox not checked", error)
        await asyncio.to_thread(self._load)
        self._database.attach(self._box, self._restore)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.commit()  # what the disk did not take: once more
        self._database.detach(self._box)

    async def keep_trying(self, clock: Clock) -> None:
        """Save what the disk did not take as soon as it takes it, though nothing new is said. Until cancelled."""
        pause_s = RETRY_FIRST_S
        while True:
            await self._unsaved_bell.wait(clock, RETRY_MOST_S)
            while self.unsaved:
                await sleep(clock, pause_s)
                pause_s = min(pause_s * 2, RETRY_MOST_S)
                await self.commit()
            pause_s = RETRY_FIRST_S

    async def commit(self, events: Iterable[Event] = (), entries: Mapping[str, Entry | None] | None = None) -> None:
        """Append ``events`` and set ``entries`` (None forgets a slot), all or none; on disk when it returns.

        A disk that takes nothing does not silence the box: the change counts in memory, is logged once
        and is saved with the next one. So does a change for which nobody waits any more.
        """
        for slot, entry in (entries or {}).items():
            if entry is None:
                self._ledger.pop(slot, None)
            else:
                self._ledger[slot] = entry
        receipts, lines = self._unsaved
        receipts.extend((event.routine, _receipt(event)) for event in events)
        lines.update(entries or {})
        if receipts or lines:
            self._unsaved = ([], {})
            await asyncio.shield(asyncio.ensure_future(self._save(receipts, lines)))

    async def batch(self, after: int) -> Batch:
        """Return the first receipts with a sequence above ``after``, at most as many as one message takes.

        No receipts, where the disk gives nothing.
        """
        try:
            batch = await asyncio.to_thread(
                self._database.read, lambda connection: held.batch(connection, self._box, after)
            )
            if batch.unnoted:
                await self._database.write(lambda connection: held.note_sent(connection, self._box, batch.told))
            return batch._replace(unnoted=False)
        except sqlite3.OperationalError as error:
            self._complain("outbox not read", error)
            return Batch((), self.oldest, START, (), 0)

    async def acknowledge(self, through: int) -> None:
        """Forget the receipts that the server has stored. Where the disk fails they are sent once more."""
        try:
            self._extent = await self._database.write(lambda connection: held.drop(connection, self._box, through))
        except sqlite3.OperationalError as error:
            self._complain("outbox not emptied", error)

    async def forget_old(self, now: datetime) -> None:
        """Drop final entries so old that no playlist can name their slots any more."""
        limit = now - REMEMBERED
        await self.commit(
            entries={slot: None for slot, entry in self._ledger.items() if entry.final and entry.ends < limit}
        )

    async def _save(self, receipts: _Receipts, lines: _Entries) -> None:
        try:
            self._extent = await self._database.write(
                lambda connection: held.append(connection, self._box, receipts, lines, most_held=self._most_held)
            )
        except sqlite3.OperationalError as error:
            self._complain(f"outbox not saved receipts={len(receipts)}", error)
            later_receipts, later_lines = self._unsaved
            # As the ledger has them now: a later change of the same slot may be on disk already.
            again = {slot: self._ledger.get(slot) for slot in (lines | later_lines)}
            self._unsaved = (_within_memory(receipts + later_receipts), again)
            self._unsaved_bell.ring()
        else:
            if self._failing:
                log.info("outbox saved again receipts=%d", len(receipts))
            self._failing = False

    def _complain(self, what: str, error: sqlite3.Error) -> None:
        level = logging.DEBUG if self._failing else logging.ERROR
        self._failing = True
        log.log(level, "%s box=%s error=%s", what, self._box, error)

    # From here on in a thread.

    def _take_place(self, connection: sqlite3.Connection) -> None:
        register(connection, self._box)
        findings = mend(connection, self._box)
        if findings.broken:
            log.error("receipts do not fit their chain box=%s %s", self._box, findings.told())

    def _load(self) -> None:
        """Read the ledger; from a file that cannot be opened, what its last proper close left in it."""
        for read in (self._database.read, self._database.read_as_it_lies):
            try:
                self._ledger, self._extent = read(
                    lambda connection: (held.read_ledger(connection, self._box), held.extent(connection, self._box))
                )
            except sqlite3.Error as error:
                self._complain("outbox not read", error)
            else:
                return

    def _restore(self, connection: sqlite3.Connection) -> None:
        """Write into a new file what is known of the one that was broken: what has sounded, and how far it counted."""
        register(connection, self._box)
        held.count_from(connection, self._box, self._extent)
        held.write_ledger(connection, self._box, dict(self._ledger))
        self._take_place(connection)


def _within_memory(receipts: _Receipts) -> _Receipts:
    surplus = len(receipts) - MOST_UNSAVED
    if surplus <= 0:
        return receipts
    gone = leaving([(at, routine) for at, (routine, _) in enumerate(receipts)], [], surplus)
    return [receipt for at, receipt in enumerate(receipts) if at not in gone]


def _receipt(event: Event) -> Receipt:
    """Return what is told of an event, under an id of its own; the sequence is its row's, given when it is written."""
    return Receipt(
        id=uuid.uuid4().hex,
        sequence=1,
        at=event.at,
        outcome=event.outcome,
        playlist=event.playlist,
        slot=event.slot,
        code=event.code,
        offset=_rounded(event.offset),
        heard=_rounded(event.heard),
        late=_rounded(event.late),
        rendition=event.rendition,
    )


def _rounded(seconds: float | None) -> float | None:
    """Return whole microseconds, so that the six decimals in the chain are the ones on the wire."""
    return None if seconds is None else round(seconds, 6)
