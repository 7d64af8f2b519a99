"""The broker and the web of the simulated commune, before any weather: MQTT's promises, and files by range."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from devices.agent.supply.web import TooLong, WebError
from devices.link import Address, LinkDown, Message, Session, Will

HOP_S = 0.005
"""What a message takes from one end to the other."""
CHUNK_BYTES = 4096


@dataclass
class Broker:
    """Retained topics, clean sessions, wills. It can be stopped, and can forget."""

    retained: dict[str, bytes] = field(default_factory=dict)
    up: bool = True
    heard: Callable[[str, bytes], None] = lambda topic, payload: None
    """Told of everything that is published."""
    delivered: Callable[[str, Message], None] = lambda client, message: None
    """Told of everything that a client takes."""
    sessions: "dict[str, BrokerSession]" = field(default_factory=dict)

    @asynccontextmanager
    async def connect(
        self, address: Address, *, client_id: str, will: Will | None = None, keepalive_s: int = 30
    ) -> AsyncIterator[Session]:
        await asyncio.sleep(2 * HOP_S)
        if not self.up:
            raise LinkDown("nobody answers")
        if client_id in self.sessions:
            self.sessions[client_id].fall("another session took over", silence_s=0.0)
        session = self.sessions[client_id] = BrokerSession(self, client_id, will, keepalive_s)
        try:
            yield session
        except asyncio.CancelledError:
            session.leave()
            raise
        except BaseException:
            session.fall("the line broke", silence_s=1.5 * keepalive_s)
            raise
        finally:
            session.leave()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.heard(topic, payload)
        if retain and payload:
            self.retained[topic] = payload
        elif retain:
            self.retained.pop(topic, None)
        for client in sorted(self.sessions):
            self.sessions[client].offer(Message(topic=topic, payload=payload, retained=False))

    def stop(self) -> None:
        """Every session falls, and nobody can connect until ``start``."""
        self.up = False
        for session in list(self.sessions.values()):
            session.fall("the broker is gone", silence_s=None)

    def start(self, *, forgetful: bool) -> None:
        self.up = True
        if forgetful:
            self.retained.clear()

    def lose(self, client_id: str) -> None:
        """A client is gone without a word: the broker learns it by its silence."""
        if client_id in self.sessions:
            session = self.sessions[client_id]
            session.fall("the client is gone", silence_s=1.5 * session.keepalive_s)


class BrokerSession:
    """One client's session, over a line without weather."""

    def __init__(self, broker: Broker, client_id: str, will: Will | None, keepalive_s: int) -> None:
        self._broker = broker
        self._will = will
        self._down: str | None = None
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self.client_id = client_id
        self.keepalive_s = keepalive_s
        self.topics: set[str] = set()

    async def subscribe(self, *topics: str) -> None:
        if not topics:
            return
        await self._hop()
        self.topics.update(topics)
        for topic in topics:
            if topic in self._broker.retained:
                self.offer(Message(topic=topic, payload=self._broker.retained[topic], retained=True))
        await self._hop()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        await self._hop()
        self._broker.publish(topic, payload, retain=retain)
        await self._hop()

    async def messages(self) -> AsyncIterator[Message]:
        while (message := await self._inbox.get()) is not None:
            self._broker.delivered(self.client_id, message)
            yield message
        self._inbox.put_nowait(None)
        raise LinkDown(self._down)

    def offer(self, message: Message) -> None:
        if self._down is None and message.topic in self.topics:
            self._inbox.put_nowait(message)

    def fall(self, reason: str, *, silence_s: float | None) -> None:
        """End; the will speaks after ``silence_s``, or never."""
        if self._down is not None:
            return
        self._down = reason
        if self._broker.sessions.get(self.client_id) is self:
            del self._broker.sessions[self.client_id]
        self._inbox.put_nowait(None)
        if self._will is not None and silence_s is not None:
            asyncio.get_running_loop().call_later(silence_s, self._speak_will)

    def leave(self) -> None:
        self._will = None
        self.fall("the session was closed", silence_s=None)

    def _speak_will(self) -> None:
        if self._will is not None and self._broker.up:
            self._broker.publish(self._will.topic, self._will.payload, retain=True)

    async def _hop(self) -> None:
        if self._down is None:
            await asyncio.sleep(HOP_S)
        if self._down is not None:
            raise LinkDown(self._down)


@dataclass
class Files:
    """What the server gives over HTTP, by path; every byte through the disk of the box that asks."""

    content: Mapping[str, bytes]
    up: bool = True

    async def fetch(self, server: str, path: str, part: Path, *, size_bytes: int, proceed: Callable[[], bool]) -> bool:
        while True:
            await asyncio.sleep(4 * HOP_S)
            if not self.up or path not in self.content:
                raise WebError(f"{server}{path} is not to be had")
            if not proceed():
                return False
            if await asyncio.to_thread(self._append, path, part, size_bytes):
                return True

    def _append(self, path: str, part: Path, size_bytes: int) -> bool:
        """Write the next chunk; say whether it was the last."""
        content = self.content[path]
        present = part.stat().st_size if part.exists() else 0
        if present > size_bytes or len(content) > size_bytes:
            part.unlink(missing_ok=True)
            raise TooLong(f"{path} is longer than promised")
        with part.open("ab") as file:
            file.write(content[present : present + CHUNK_BYTES])
        return part.stat().st_size >= size_bytes


async def asleep(event: asyncio.Event, seconds: float) -> None:
    """Return when ``event`` is set, at the latest after ``seconds``.

    As ``asyncio.timeout`` around ``event.wait()``, at a third of its cost: nothing is cancelled when the time is up.
    """
    if event.is_set():
        await asyncio.sleep(0)
        return
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[bool] = loop.create_future()
    waiters = event._waiters  # type: ignore[attr-defined]
    waiters.append(woken)
    timer = loop.call_later(seconds, _wake, woken)
    try:
        await woken
    finally:
        timer.cancel()
        waiters.remove(woken)


def _wake(woken: "asyncio.Future[bool]") -> None:
    if not woken.done():
        woken.set_result(True)
