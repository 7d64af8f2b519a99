"""The server's line to the broker: publications, acknowledgements, the time out; statuses and receipts in."""

import asyncio
import logging
import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from broadcaster.publisher.intake import Intake
from broadcaster.publisher.sending import Held, Sent, due
from broadcaster.publisher.times import Times
from broadcaster.store.records import Publication
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup
from devices import messages, times, topics
from devices.agent.timing.clock import Clock, SystemClock, sleep
from devices.envelope import SigningKey, seal
from devices.link import Address, Connect, LinkDown, Message, Session
from devices.registry import Health, health
from devices.trust import Refused

log = logging.getLogger(__name__)

CLIENT_ID: Final = "loa-server"
_LOOK_AGAIN_S: Final = 10.0
_LONGEST_PAUSE_S: Final = 10.0
_MOST_AT_ONCE: Final = 500
_MOST_ANSWERS: Final = 200
"""Answers with the time that the broker has not yet taken; a box that gets none asks again."""
BEACON_S: Final = 600.0


@dataclass(slots=True, kw_only=True)
class Publisher:
    """Keeps a session with the broker and, over it, brings boxes to the versions that are published."""

    store: Store
    intake: Intake
    key: SigningKey
    address: Address
    connect: Connect
    clock: Clock = field(default_factory=SystemClock)
    connected: bool = False
    line_since: datetime | None = None
    """When this session called the boxes' roll, by ``clock``; None: there is no session yet."""
    times: Times = field(init=False)
    _acknowledge: dict[str, int] = field(default_factory=dict)
    _acknowledging: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.times = Times(key=self.key, clock=self.clock)

    async def run(self) -> None:
        """Connect, serve, and connect again when the line falls, until cancelled."""
        pause_s = 0.25
        while True:
            try:
                async with self.connect(self.address, client_id=CLIENT_ID) as session:
                    log.info("broker connected host=%s port=%d", self.address.host, self.address.port)
                    self.connected, pause_s = True, 0.25
                    await self._serve(session)
            except* LinkDown as down:
                log.warning("broker lost: %s", down.exceptions[0])
            finally:
                self.connected, self.line_since = False, None
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _serve(self, session: Session) -> None:
        word, following = secrets.token_hex(8), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            arrived: asyncio.Queue[Message] = asyncio.Queue(maxsize=_MOST_AT_ONCE)
            group.create_task(self._receive(session, arrived, group), name="inbox")
            group.create_task(self._take(arrived, word), name="intake")
            group.create_task(self._follow_boxes(session, following), name="subscriptions")
            group.create_task(self._send_beacons(session, word, following), name="beacon")
            group.create_task(self._send_acknowledgements(session), name="acknowledgements")
            group.create_task(self._send_publications(session), name="publications")

    async def _receive(self, session: Session, arrived: "asyncio.Queue[Message]", answers: asyncio.TaskGroup) -> None:
        """Answer who asks for the time at once, pass on the rest.

        A full queue holds the reader back, and the link has its own bound.
        """
        waiting: set[asyncio.Task[None]] = set()
        async for message in session.messages():
            received = self.clock.now()
            if topics.asker(message.topic) is None:
                await arrived.put(message)
            elif not message.retained and len(waiting) < _MOST_ANSWERS and (answer := self._answer(message, received)):
                task = answers.create_task(session.publish(*answer), name="time")
                waiting.add(task)
                task.add_done_callback(waiting.discard)

    def _answer(self, message: Message, received: datetime) -> tuple[str, bytes] | None:
        try:
            return self.times.answer(message, received)
        except Refused as refusal:
            self.intake.drop(message.topic, refusal)
            return None

    async def _send_beacons(self, session: Session, word: str, following: asyncio.Event) -> None:
        """Call the roll when the answers can be heard, and say now and then that the server lives."""
        await following.wait()
        while True:
            now = self.clock.now()
            document = times.Beacon(at=now, session=word)
            await session.publish(topics.beacon(), seal(document.to_bytes(), times.BEACON, self.key), retain=True)
            self.line_since = self.line_since or now
            await sleep(self.clock, BEACON_S)

    async def _take(self, arrived: "asyncio.Queue[Message]", word: str) -> None:
        """Store what has arrived, all that waits at a time: one turn of the loop for many boxes."""
        while True:
            batch = [await arrived.get()]
            while not arrived.empty():
                batch.append(arrived.get_nowait())
            complete = await asyncio.to_thread(self.intake.take, batch, now=self.clock.now(), session=word)
            if complete:
                self._acknowledge |= complete
                self._acknowledging.set()

    async def _follow_boxes(self, session: Session, following: asyncio.Event) -> None:
        """Subscribe to what each enrolled box sends: exact topics, because brokers limit retained ones to wildcards."""
        followed: set[str] = set()
        with self.store.wakeups.listen(Wakeup.BOXES) as listener:
            while True:
                self.times.keys = await asyncio.to_thread(self.intake.keys)
                new = [id for id in self.times.keys if id not in followed]
                of_a_box = (topics.status, topics.receipts, topics.time_request)
                await session.subscribe(*(topic(id) for id in new for topic in of_a_box))
                followed.update(new)
                following.set()
                await listener.wait(_LOOK_AGAIN_S)

    async def _send_acknowledgements(self, session: Session) -> None:
        while True:
            await self._acknowledging.wait()
            self._acknowledging.clear()
            waiting, self._acknowledge = self._acknowledge, {}
            async with asyncio.TaskGroup() as group:
                for box, through in waiting.items():
                    document = messages.Acknowledgement(box=box, through=through, at=self.clock.now())
                    envelope = seal(document.to_bytes(), messages.ACKNOWLEDGEMENT, self.key)
                    group.create_task(session.publish(topics.acknowledgement(box), envelope, retain=True))

    async def _send_publications(self, session: Session) -> None:
        """Send what is due, and look again while the broker still answers for what was sent before."""
        sent: dict[str, Sent] = {}
        async with asyncio.TaskGroup() as under_way:
            with self.store.wakeups.listen(Wakeup.PUBLISH) as listener:
                while True:
                    now = self.clock.now()
                    for publication in await asyncio.to_thread(self._due, sent, now):
                        before = sent.get(publication.cluster)
                        again = before.times if before and before.version == publication.version else 0
                        sent[publication.cluster] = Sent(version=publication.version, at=now, times=again + 1)
                        under_way.create_task(_send(session, publication))
                    await listener.wait(_LOOK_AGAIN_S)

    def _due(self, sent: Mapping[str, Sent], now: datetime) -> list[Publication]:
        return due(self.store.journal.publications(), self._held(now), sent, now)

    def _held(self, now: datetime) -> Mapping[str, Held]:
        statuses = self.store.journal.statuses()
        held: dict[str, Held] = {}
        for box in self.store.definitions.boxes.all():
            if box.retired_at is None:
                last = statuses.get(box.id)
                online = health(last, now, line_since=self.line_since) is Health.ONLINE
                held[box.cluster] = Held(version=(last[1].playlist or 0) if last else 0, online=online)
        return held


async def _send(session: Session, publication: Publication) -> None:
    await session.publish(topics.playlist(publication.cluster), publication.envelope, retain=True)
    log.info("playlist published cluster=%s version=%d", publication.cluster, publication.version)
