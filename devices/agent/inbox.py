"""What comes from the broker: each message goes through the trust gate and is stored before it counts."""

import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from devices import topics
from devices.agent.clock import Bell, Clock, sleep
from devices.agent.ledger import Event
from devices.agent.outbox import Outbox
from devices.agent.playlists import Shelf
from devices.agent.reports import CALM_S
from devices.link import Message, Session
from devices.messages import Outcome
from devices.trust import Pinned, Refused, accept_acknowledgement

log = logging.getLogger(__name__)

_REMEMBERED: Final = 256
MOST_REFUSALS: Final = 30
"""Refusals reported in an hour; more are only logged, so that a flood cannot push out real receipts."""
_HOUR_S: Final = 3600.0


class Inbox:
    """Reads a session's messages. Writes the shelf; tells the outbox what was accepted and refused."""

    def __init__(
        self,
        pinned: Pinned,
        *,
        shelf: Shelf,
        outbox: Outbox,
        clock: Clock,
        accepted: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self._pinned = pinned
        self._shelf = shelf
        self._outbox = outbox
        self._clock = clock
        self._accepted = accepted
        self._changed = changed
        self._playlist = topics.playlist(pinned.cluster)
        self._acknowledgement = topics.acknowledgement(pinned.box)
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        self._reported: deque[float] = deque()
        self._untold: list[Event] = []
        self._told_bell = Bell()

    @property
    def topics(self) -> tuple[str, ...]:
        """What the box subscribes to: exact topics, never a wildcard."""
        return self._playlist, self._acknowledgement

    async def read(self, session: Session) -> None:
        """Take messages until the line falls (``LinkDown``)."""
        async for message in session.messages():
            try:
                await self._take(message)
            except Refused as refusal:
                await self._refuse(message.payload, refusal)
            except OSError as error:
                # Not acknowledged in any way: the server sees the old version in the status and sends again.
                log.error("message not stored topic=%s error=%s", message.topic, error)

    async def tell(self) -> None:
        """Put what was accepted into the outbox, a moment later: playing and fetching come first. Until cancelled."""
        while True:
            if self._untold:
                await sleep(self._clock, CALM_S)
                events, self._untold = self._untold, []
                await self._outbox.commit(events)
                self._changed()
            await self._told_bell.wait(self._clock, _HOUR_S)

    async def _take(self, message: Message) -> None:
        if message.topic == self._playlist:
            await self._take_playlist(message.payload)
        elif message.topic == self._acknowledgement:
            acknowledged = accept_acknowledgement(message.payload, self._pinned)
            await self._outbox.acknowledge(acknowledged.through)
            self._changed()

    async def _take_playlist(self, raw: bytes) -> None:
        now = self._clock.now()
        if not await self._shelf.put(raw, now) or self._shelf.held is None:
            return
        playlist = self._shelf.held.playlist
        self._accepted()
        self._untold.append(Event(outcome=Outcome.ACCEPTED, at=now, playlist=playlist.version))
        self._told_bell.ring()
        log.info("playlist accepted version=%d slots=%d", playlist.version, len(playlist.slots))

    async def _refuse(self, raw: bytes, refusal: Refused) -> None:
        """Report a refusal once: a retained message comes again with every session."""
        digest = sha256(raw).digest()
        if digest in self._refused:
            return
        self._refused[digest] = None
        if len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)
        log.warning("message refused code=%s reason=%s", refusal.code, refusal)
        moment = self._clock.monotonic()
        while self._reported and self._reported[0] <= moment - _HOUR_S:
            self._reported.popleft()
        if len(self._reported) < MOST_REFUSALS:
            self._reported.append(moment)
            held = self._shelf.held.playlist.version if self._shelf.held else None
            event = Event(outcome=Outcome.REFUSED, at=self._clock.now(), code=refusal.code, playlist=held)
            await self._outbox.commit([event])
            self._changed()
