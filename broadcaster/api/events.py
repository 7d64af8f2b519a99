"""Events: facts, receipts and progress as they come, server-sent (WHATWG HTML, section 9.2).

An event's id is ``facts-receipts``, the last rows seen of each; a client that sends it back as
``Last-Event-ID`` misses nothing. Progress is not kept: it comes as it is at the moment.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from broadcaster.api.context import Context, House, SignedIn
from broadcaster.api.receipts import show
from broadcaster.wakeups import Wakeup

router = APIRouter(tags=["events"])

_LOOK_AGAIN_S = 15.0
_MOST_AT_ONCE = 100
_CURSOR = re.compile(r"(\d{1,15})-(\d{1,15})")


@dataclass(slots=True)
class _Reader:
    """How far one client has read."""

    house: Context
    fact: int
    receipt: int
    progress: dict[str, float] = field(default_factory=dict)

    def read(self) -> list[ServerSentEvent]:
        """Return what is new since the last call; at most ``_MOST_AT_ONCE`` of each kind."""
        return [*self._facts(), *self._receipts(), *self._progress()]

    def _facts(self) -> list[ServerSentEvent]:
        events = []
        for fact in self.house.store.journal.facts(after=self.fact, limit=_MOST_AT_ONCE):
            self.fact = fact.sequence
            told = {"subject": fact.subject, "at": fact.at.isoformat(), "by": fact.by, **fact.body}
            events.append(self._event(fact.kind, told))
        return events

    def _receipts(self) -> list[ServerSentEvent]:
        events = []
        for row, box, cluster, receipt in self.house.store.journal.receipts(after=self.receipt, limit=_MOST_AT_ONCE):
            self.receipt = row
            told = show(box, cluster, receipt).model_dump(mode="json", exclude_none=True)
            events.append(self._event("receipt", told))
        return events

    def _progress(self) -> list[ServerSentEvent]:
        present = dict(self.house.preparation.progress)
        changed = {id: done for id, done in present.items() if self.progress.get(id) != done}
        self.progress = present
        return [
            self._event("sound.progress", {"subject": id, "progress": round(done, 2)}) for id, done in changed.items()
        ]

    def _event(self, kind: str, told: dict[str, Any]) -> ServerSentEvent:
        return ServerSentEvent(event=kind, data=told, id=f"{self.fact}-{self.receipt}")


@router.get("/events", response_class=EventSourceResponse)
async def events(
    house: House, _by: SignedIn, last_event_id: Annotated[str | None, Header()] = None
) -> AsyncIterator[ServerSentEvent]:
    """Follow what happens: facts under their kind, `receipt`, and `sound.progress`."""
    reader = _Reader(house, *await asyncio.to_thread(_start, house, last_event_id))
    with house.store.wakeups.listen(Wakeup.NEWS) as listener:
        while not house.closing:
            news = await asyncio.to_thread(reader.read)
            for event in news:
                yield event
            if len(news) < _MOST_AT_ONCE:
                await listener.wait(_LOOK_AGAIN_S)


def _start(house: Context, last_event_id: str | None) -> tuple[int, int]:
    journal = house.store.journal
    if last_event_id and (found := _CURSOR.fullmatch(last_event_id)):
        return int(found[1]), int(found[2])
    return journal.last_sequence(), journal.last_receipt()
