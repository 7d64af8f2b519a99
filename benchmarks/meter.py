"""How many bytes a box's line carries: a wrapper over ``Connect`` and ``Fetch`` that counts what goes over the sockets.

MQTT is counted as it is framed (MQTT 3.1.1, section 2.2), HTTP with the headers that client and server really send.
What TCP and IP add is estimated, and kept apart: 40 bytes a segment of at most 1,400, and as much for an
acknowledgement of every second one.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devices.agent.supply.fetching import Fetch
from devices.link import Address, Connect, Message, Session, Will

_SEGMENT: Final = 1400
_HEADERS: Final = 40
_REQUEST_BYTES: Final = 180
"""A GET of ``devices/agent/supply/web.py`` with its range, and the path with a digest."""
_ANSWER_BYTES: Final = 420
"""Status line and headers of ``/media``."""


@dataclass(slots=True)
class Meter:
    """Bytes of one box's line, both ways."""

    mqtt: int = 0
    http: int = 0
    renditions: int = 0
    """Content of files, part of ``http``."""
    below: int = 0
    """What TCP and IP add, estimated."""
    keepalive_s: int = 0
    """Of the last session: every so often two packets of two bytes, where nothing else is said."""

    def packet(self, payload: int, topic: str = "") -> None:
        """Count one MQTT packet, the broker's or the box's answer to it with four bytes, and what carries them."""
        rest = payload + (len(topic) + 4 if topic else 0)
        length = 1 + (1 if rest < 128 else 2 if rest < 16_384 else 3)
        self.mqtt += rest + length + 4
        self._carry(rest + length)
        self._carry(4)

    def transfer(self, size: int) -> None:
        """Count a file that came."""
        self.renditions += size
        self.http += size + _REQUEST_BYTES + _ANSWER_BYTES
        self._carry(size + _ANSWER_BYTES)
        self._carry(_REQUEST_BYTES)

    def beats(self, lasting_s: float) -> None:
        """Count the heartbeat of so long a time, as if nothing else were ever said."""
        beats = int(lasting_s / self.keepalive_s)
        self.mqtt += 4 * beats
        self.below += 3 * _HEADERS * beats

    def _carry(self, size: int) -> None:
        segments = -(-size // _SEGMENT)
        self.below += _HEADERS * (segments + -(-segments // 2))


def metered(connect: Connect, meter: Meter) -> Connect:
    """Return ``connect``, its sessions counted by ``meter``."""

    @asynccontextmanager
    async def counted(
        address: Address, *, client_id: str, will: Will | None = None, keepalive_s: int = 30
    ) -> AsyncIterator[Session]:
        meter.keepalive_s = keepalive_s
        meter.packet(14 + len(client_id) + (len(will.topic) + len(will.payload) + 4 if will else 0))
        async with connect(address, client_id=client_id, will=will, keepalive_s=keepalive_s) as session:
            yield _Session(session, meter)

    return counted


def metered_fetch(fetch: Fetch, meter: Meter) -> Fetch:
    """Return ``fetch``, what it brings counted by ``meter``."""

    async def counted(server: str, path: str, part: Path, *, size_bytes: int, proceed: Callable[[], bool]) -> bool:
        before = _size(part)
        try:
            return await fetch(server, path, part, size_bytes=size_bytes, proceed=proceed)
        finally:
            meter.transfer(max(_size(part) - before, 0))

    return counted


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


class _Session:
    def __init__(self, inner: Session, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    async def subscribe(self, *topics: str) -> None:
        self._meter.packet(sum(len(topic) + 3 for topic in topics) + 2)
        await self._inner.subscribe(*topics)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._meter.packet(len(payload), topic)
        await self._inner.publish(topic, payload, retain=retain)

    async def messages(self) -> AsyncIterator[Message]:
        async for message in self._inner.messages():
            self._meter.packet(len(message.payload), message.topic)
            yield message
