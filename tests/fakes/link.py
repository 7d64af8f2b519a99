"""A broker in memory with the contract of ``devices.link``: retained topics, wills, lines that fall on demand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from devices.link import Address, LinkDown, Message, Session, Will


@dataclass
class FakeBroker:
    retained: dict[str, bytes] = field(default_factory=dict)
    published: list[tuple[str, bytes]] = field(default_factory=list)
    up: bool = True
    frozen: bool = False
    """The lines stand, but nothing is answered."""
    dials: int = 0
    sessions: "list[FakeSession]" = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def connect(
        self, address: Address, *, client_id: str, will: Will | None = None, keepalive_s: int = 30
    ) -> AsyncIterator[Session]:
        self.dials += 1
        self._news.set()
        if not self.up:
            raise LinkDown("nobody answers")
        for other in [known for known in self.sessions if known.client_id == client_id]:
            other.fall("another session took over")
        session = FakeSession(self, client_id, will)
        self.sessions.append(session)
        try:
            yield session
        finally:
            session.leave()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.published.append((topic, payload))
        if retain and payload:
            self.retained[topic] = payload
        elif retain:
            self.retained.pop(topic, None)  # an empty payload clears the topic (MQTT-3.3.1-10)
        for session in self.sessions:
            if topic in session.topics:
                session.inbox.put_nowait(Message(topic=topic, payload=payload, retained=False))
        self._news.set()

    def fall(self) -> None:
        """Every line falls, and nobody can connect until ``up`` is set."""
        self.up = False
        for session in list(self.sessions):
            session.fall("the broker is gone")

    def on(self, topic: str) -> list[bytes]:
        """Everything published on a topic so far."""
        return [payload for where, payload in self.published if where == topic]

    async def news(self) -> None:
        """Wait until somebody dials, leaves or publishes."""
        self._news.clear()
        await self._news.wait()


class FakeSession:
    def __init__(self, broker: FakeBroker, client_id: str, will: Will | None) -> None:
        self._broker = broker
        self._will = will
        self._down: str | None = None
        self._fell = asyncio.Event()
        self.client_id = client_id
        self.topics: set[str] = set()
        self.inbox: asyncio.Queue[Message | None] = asyncio.Queue()

    async def subscribe(self, *topics: str) -> None:
        self._stand()
        self.topics.update(topics)
        for topic in topics:
            if topic in self._broker.retained:
                payload = self._broker.retained[topic]
                self.inbox.put_nowait(Message(topic=topic, payload=payload, retained=True))

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._stand()
        if self._broker.frozen:
            await self._fell.wait()
            self._stand()
        self._broker.publish(topic, payload, retain=retain)
        await asyncio.sleep(0)

    async def messages(self) -> AsyncIterator[Message]:
        while (message := await self.inbox.get()) is not None:
            yield message
        self.inbox.put_nowait(None)  # for whoever asks again
        raise LinkDown(self._down)

    def fall(self, reason: str) -> None:
        if self._down is None:
            self._down = reason
            self._fell.set()
            self._broker.sessions.remove(self)
            self.inbox.put_nowait(None)
            if self._will is not None:
                self._broker.publish(self._will.topic, self._will.payload, retain=True)

    def leave(self) -> None:
        self._will = None
        self.fall("the session was closed")

    def _stand(self) -> None:
        if self._down is not None:
            raise LinkDown(self._down)
