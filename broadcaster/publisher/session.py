"""The server's line to the broker: publications and acknowledgements out, statuses and receipts in."""

import asyncio
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from broadcaster.publisher.intake import Intake
from broadcaster.publisher.sending import Held, Sent, due
from broadcaster.store.records import Publication
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup
from devices import messages, topics
from devices.envelope import SigningKey, seal
from devices.link import Address, Connect, LinkDown, Message, Session

log = logging.getLogger(__name__)

CLIENT_ID: Final = "loa-server"
_LOOK_AGAIN_S: Final = 10.0
_LONGEST_PAUSE_S: Final = 10.0
_MOST_AT_ONCE: Final = 500


@dataclass(slots=True, kw_only=True)
class Publisher:
    """Keeps a session with the broker and, over it, brings boxes to the versions that are published."""

    store: Store
    intake: Intake
    key: SigningKey
    address: Address
    connect: Connect
    connected: bool = False
    _acknowledge: dict[str, int] = field(default_factory=dict)
    _acknowledging: asyncio.Event = field(default_factory=asyncio.Event)

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
                self.connected = False
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _serve(self, session: Session) -> None:
        async with asyncio.TaskGroup() as group:
            arrived: asyncio.Queue[Message] = asyncio.Queue(maxsize=_MOST_AT_ONCE)
            group.create_task(_receive(session, arrived), name="inbox")
            group.create_task(self._take(arrived), name="intake")
            group.create_task(self._follow_boxes(session), name="subscriptions")
            group.create_task(self._send_acknowledgements(session), name="acknowledgements")
            group.create_task(self._send_publications(session), name="publications")

    async def _take(self, arrived: "asyncio.Queue[Message]") -> None:
        """Store what has arrived, all that waits at a time: one turn of the loop for many boxes."""
        while True:
            batch = [await arrived.get()]
            while not arrived.empty():
                batch.append(arrived.get_nowait())
            complete = await asyncio.to_thread(self.intake.take, batch, now=datetime.now(UTC))
            if complete:
                self._acknowledge |= complete
                self._acknowledging.set()

    async def _follow_boxes(self, session: Session) -> None:
        """Subscribe to what each enrolled box sends: exact topics, because brokers limit retained ones to wildcards."""
        followed: set[str] = set()
        with self.store.wakeups.listen(Wakeup.BOXES) as listener:
            while True:
                boxes = await asyncio.to_thread(self.store.definitions.boxes.all)
                new = [box.id for box in boxes if box.retired_at is None and box.id not in followed]
                await session.subscribe(*(topic(id) for id in new for topic in (topics.status, topics.receipts)))
                followed.update(new)
                await listener.wait(_LOOK_AGAIN_S)

    async def _send_acknowledgements(self, session: Session) -> None:
        while True:
            await self._acknowledging.wait()
            self._acknowledging.clear()
            waiting, self._acknowledge = self._acknowledge, {}
            async with asyncio.TaskGroup() as group:
                for box, through in waiting.items():
                    document = messages.Acknowledgement(box=box, through=through, at=datetime.now(UTC))
                    envelope = seal(document.to_bytes(), messages.ACKNOWLEDGEMENT, self.key)
                    group.create_task(session.publish(topics.acknowledgement(box), envelope, retain=True))

    async def _send_publications(self, session: Session) -> None:
        """Send what is due, and look again while the broker still answers for what was sent before."""
        sent: dict[str, Sent] = {}
        async with asyncio.TaskGroup() as under_way:
            with self.store.wakeups.listen(Wakeup.PUBLISH) as listener:
                while True:
                    now = datetime.now(UTC)
                    for publication in await asyncio.to_thread(self._due, sent, now):
                        before = sent.get(publication.cluster)
                        again = before.times if before and before.version == publication.version else 0
                        sent[publication.cluster] = Sent(version=publication.version, at=now, times=again + 1)
                        under_way.create_task(_send(session, publication))
                    await listener.wait(_LOOK_AGAIN_S)

    def _due(self, sent: Mapping[str, Sent], now: datetime) -> list[Publication]:
        return due(self.store.journal.publications(), self._held(), sent, now)

    def _held(self) -> Mapping[str, Held]:
        statuses = self.store.journal.statuses()
        held: dict[str, Held] = {}
        for box in self.store.definitions.boxes.all():
            if box.retired_at is None:
                _, status = statuses.get(box.id, (None, None))
                held[box.cluster] = Held(
                    version=(status.playlist or 0) if status else 0, online=bool(status and status.online)
                )
        return held


async def _receive(session: Session, arrived: "asyncio.Queue[Message]") -> None:
    """Pass messages on; a full queue holds the reader back, and the link has its own bound."""
    async for message in session.messages():
        await arrived.put(message)


async def _send(session: Session, publication: Publication) -> None:
    await session.publish(topics.playlist(publication.cluster), publication.envelope, retain=True)
    log.info("playlist published cluster=%s version=%d", publication.cluster, publication.version)
