"""What comes from the broker: each message goes through the trust gate and is stored before it counts."""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Final

from devices import topics
from devices.agent.conduct.playlists import Shelf
from devices.agent.memory.ledger import Event
from devices.agent.memory.outbox import Outbox
from devices.agent.timing.clock import Bell, sleep
from devices.agent.timing.timekeeper import Timekeeper
from devices.agent.wire.asking import Asking
from devices.agent.wire.reports import CALM_S
from devices.link import LinkDown, Message, Session
from devices.messages import Outcome
from devices.trust import Pinned, Refused, accept_acknowledgement, accept_beacon, accept_time

log = logging.getLogger(__name__)

_REMEMBERED: Final = 256
MOST_REFUSALS: Final = 30
"""Refusals reported in an hour; more are only logged at DEBUG: no flood pushes out real receipts, or fills a log."""
_HOUR_S: Final = 3600.0
_MOST_ARRIVED: Final = 500
"""Messages that wait to be stored; more wait in the session, which has a bound of its own."""


class Inbox:
    """Reads a session's messages. Writes the shelf; tells the outbox what was accepted and refused."""

    def __init__(
        self,
        pinned: Pinned,
        *,
        shelf: Shelf,
        outbox: Outbox,
        clock: Timekeeper,
        asking: Asking,
        accepted: Callable[[], None],
        changed: Callable[[], None],
        called: Callable[[str], None],
    ) -> None:
        """Put it together.

        Args:
            pinned: whom to believe.
            shelf: takes playlists.
            outbox: takes what is said of them.
            clock: learns the instants of all that is signed.
            asking: takes the server's answers.
            accepted: called when another playlist is held.
            changed: called when there is something to tell.
            called: called with the word of a new session of the server: it calls the roll.
        """
        self._pinned = pinned
        self._shelf = shelf
        self._outbox = outbox
        self._clock = clock
        self._accepted = accepted
        self._changed = changed
        self._asking = asking
        self._called = called
        self._playlist = topics.playlist(pinned.cluster)
        self._acknowledgement = topics.acknowledgement(pinned.box)
        self._time = topics.time(pinned.box)
        self._beacon_at: datetime | None = None
        self._session: str | None = None
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        self._reported: deque[float] = deque()
        self._untold: list[Event] = []
        self._told_bell = Bell()
        self._storing: asyncio.Future[None] | None = None

    @property
    def topics(self) -> tuple[str, ...]:
        """What the box subscribes to: exact topics, never a wildcard."""
        return self._playlist, self._acknowledgement, self._time, topics.beacon()

    async def read(self, session: Session) -> None:
        """Take messages until the line falls (``LinkDown``): the time at once, the rest one after the other.

        An answer that waited behind a playlist on its way to the disk would be as good as one from far away.
        """
        arrived: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=_MOST_ARRIVED)
        async with asyncio.TaskGroup() as tasks:
            storing = tasks.create_task(self._store(arrived), name="storing")
            try:
                async for message in session.messages():
                    if message.topic == self._time:
                        await self._guarded(message)
                    else:
                        await arrived.put(message)
            except LinkDown:
                await arrived.put(None)
                await storing
                raise

    async def _store(self, arrived: "asyncio.Queue[Message | None]") -> None:
        while (message := await arrived.get()) is not None:
            await self._guarded(message)

    async def _guarded(self, message: Message) -> None:
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
        if message.topic == self._time:
            received = self._clock.monotonic()
            self._asking.take(accept_time(message.payload, self._pinned), received)
        elif message.topic == topics.beacon():
            self._take_beacon(message.payload)
        elif message.topic == self._playlist:
            await self._take_playlist(message.payload)
        elif message.topic == self._acknowledgement:
            acknowledged = accept_acknowledgement(message.payload, self._pinned)
            self._clock.saw(acknowledged.at)
            await self._outbox.acknowledge(acknowledged.through)
            self._changed()

    def _take_beacon(self, raw: bytes) -> None:
        beacon = accept_beacon(raw, self._pinned, newest=self._beacon_at)
        self._beacon_at = max(beacon.at, self._beacon_at or beacon.at)
        self._clock.saw(beacon.at)
        if beacon.session != self._session:
            self._session = beacon.session
            self._called(beacon.session)

    async def _take_playlist(self, raw: bytes) -> None:
        """Store a playlist to the end though the line falls meanwhile, and one after the other.

        A thread that writes cannot be called back: an older one would lie on the disk under a newer one that is held.
        """
        while self._storing is not None and not self._storing.done():
            await asyncio.wait([self._storing])
        self._storing = asyncio.ensure_future(self._put(raw))
        await asyncio.shield(self._storing)

    async def _put(self, raw: bytes) -> None:
        now = self._clock.now()
        if not await self._shelf.put(raw, now) or (held := self._shelf.held) is None:
            return
        self._clock.saw(held.issued)
        self._accepted()
        at = self._clock.now()  # a box that knew no time knows now that it is not earlier than the playlist
        self._untold.append(Event(outcome=Outcome.ACCEPTED, at=at, playlist=held.version))
        self._told_bell.ring()
        log.info("playlist accepted version=%d expires=%s", held.version, held.expires.isoformat())

    async def _refuse(self, raw: bytes, refusal: Refused) -> None:
        """Report a refusal once: a retained message comes again with every session."""
        digest = sha256(raw).digest()
        if digest in self._refused:
            return
        self._refused[digest] = None
        if len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)
        moment = self._clock.monotonic()
        while self._reported and self._reported[0] <= moment - _HOUR_S:
            self._reported.popleft()
        level = logging.WARNING if len(self._reported) < MOST_REFUSALS else logging.DEBUG
        log.log(level, "message refused code=%s reason=%s", refusal.code, refusal)
        if len(self._reported) < MOST_REFUSALS:
            self._reported.append(moment)
            held = self._shelf.held.version if self._shelf.held else None
            now = self._clock.now()
            event = Event(outcome=Outcome.REFUSED, at=now, code=refusal.code, playlist=held, routine=False)
            await self._outbox.commit([event])
            self._changed()
