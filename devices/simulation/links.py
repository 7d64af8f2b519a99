"""A line that is down, slow, lossy, delivers twice or out of order: a wrapper over any ``Connect``.

What MQTT promises stays true: within a session nothing is lost, but the session breaks at any message, before the other
end has it or after; what was sent again comes twice.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random

from devices.link import ANSWER_S, Address, Connect, LinkDown, Message, Session, Will


@dataclass(slots=True, kw_only=True)
class Line:
    """The weather on one box's line, as of now. ``change`` it only through the method, so that sessions notice."""

    down: bool = False
    slow_s: float = 0.0
    """The longest time that a message takes, one way."""
    loss: float = 0.0
    """Probability that the session breaks at a message."""
    twice: float = 0.0
    """Probability that a message comes twice."""
    swapped: float = 0.0
    """Probability that a message comes after the next."""
    _up: asyncio.Event = field(default_factory=asyncio.Event)
    _sessions: list["_Session"] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.down:
            self._up.set()

    @property
    def connected(self) -> bool:
        """Whether a session stands."""
        return bool(self._sessions)

    def fall(self) -> None:
        """Let nothing through any more. Sessions that stand notice after their keep-alive."""
        self.down = True
        self._up.clear()
        for session in self._sessions:
            session.listen_for_it()

    def rise(self) -> None:
        """Let messages through again, those that wait first."""
        self.down = False
        self._up.set()

    async def pass_through(self, patience_s: float) -> bool:
        """Return True once messages pass, False if they do not within ``patience_s``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._up.wait()
        return not self.down


def weathered(connect: Connect, line: Line, chance: Random) -> Connect:
    """Return ``connect`` as it is over ``line``."""

    @asynccontextmanager
    async def over_line(
        address: Address, *, client_id: str, will: Will | None = None, keepalive_s: int = 30
    ) -> AsyncIterator[Session]:
        if not await line.pass_through(ANSWER_S / 2):
            raise LinkDown("nothing answers: the line is down")
        await asyncio.sleep(chance.uniform(0.0, 2 * line.slow_s))
        if chance.random() < line.loss:
            raise LinkDown("the line broke while dialling")
        async with connect(address, client_id=client_id, will=will, keepalive_s=keepalive_s) as inner:
            session = _Session(inner, line, chance, patience_s=1.5 * keepalive_s)
            line._sessions.append(session)
            arrivals = asyncio.create_task(session.receive(), name="arrivals")
            try:
                yield session
            finally:
                line._sessions.remove(session)
                session.end("the session was closed")
                arrivals.cancel()
                with suppress(asyncio.CancelledError):
                    await arrivals

    return over_line


class _Session:
    """One session, seen through the weather."""

    def __init__(self, inner: Session, line: Line, chance: Random, *, patience_s: float) -> None:
        self._inner = inner
        self._line = line
        self._chance = chance
        self._patience_s = patience_s
        self._down: str | None = None
        self._ended = asyncio.Event()
        self._arrived: asyncio.Queue[Message | None] = asyncio.Queue()

    async def subscribe(self, *topics: str) -> None:
        if not topics:
            return
        await self._travel(ANSWER_S)
        await self._inner.subscribe(*topics)
        await self._travel(ANSWER_S)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        await self._travel(ANSWER_S)
        await self._inner.publish(topic, payload, retain=retain)
        if self._chance.random() < self._line.twice:
            await self._inner.publish(topic, payload, retain=retain)
        await self._travel(ANSWER_S)  # the broker has it; its answer comes, or does not

    async def messages(self) -> AsyncIterator[Message]:
        while (message := await self._arrived.get()) is not None:
            yield message
        self._arrived.put_nowait(None)  # for whoever asks again
        raise LinkDown(self._down)

    async def receive(self) -> None:
        """Bring what comes to ``messages``, until the session ends."""
        kept: Message | None = None
        try:
            async for message in self._inner.messages():
                await self._travel(self._patience_s)
                if kept is None and self._chance.random() < self._line.swapped:
                    kept = message
                    asyncio.get_running_loop().call_later(self._patience_s, self._deliver_late, message)
                    continue
                self._arrived.put_nowait(message)
                if self._chance.random() < self._line.twice:
                    self._arrived.put_nowait(message)
                if kept is not None:
                    self._arrived.put_nowait(kept)
                    kept = None
        except LinkDown as down:
            self.end(str(down))

    def listen_for_it(self) -> None:
        """Notice by the keep-alive that the line is down, unless it comes back before."""
        asyncio.get_running_loop().call_later(self._patience_s, self._notice)

    def end(self, reason: str) -> None:
        """Let nothing more of the session work."""
        if self._down is None:
            self._down = reason
            self._ended.set()
            self._arrived.put_nowait(None)

    def _deliver_late(self, message: Message) -> None:
        """Bring a message that no other came after; one that did come is there twice then, as QoS 1 allows."""
        if self._down is None:
            self._arrived.put_nowait(message)

    def _notice(self) -> None:
        if self._line.down:
            self.end("the line is down")

    async def _travel(self, patience_s: float) -> None:
        """Let a message cross the line, or break the session."""
        self._stand()
        if self._line.down and not await self._line.pass_through(patience_s):
            self.end("nothing answers: the line is down")
        if self._line.slow_s:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._chance.uniform(0.0, self._line.slow_s)):
                    await self._ended.wait()
        if self._chance.random() < self._line.loss:
            self.end("the line broke")
        self._stand()

    def _stand(self) -> None:
        if self._down is not None:
            raise LinkDown(self._down)
