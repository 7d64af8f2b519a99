"""The line to the broker: paho-mqtt, translated into a context manager, awaitable calls and an iterator.

A session lives as long as one TCP connection. When the line falls, every call that waits raises
``LinkDown``; whoever wants another session connects again and compares states anew. Nothing is carried
over from one session to the next (sessions are clean), so there is nothing to recover.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

ANSWER_S: Final = 20.0
"""Longest wait for a CONNACK, SUBACK or PUBACK before the line counts as fallen."""
MOST_WAITING: Final = 10_000
"""Messages received but not yet read. A reader that falls further behind loses the session, not a message
in the middle: what is retained comes again with the next one."""
MOST_IN_FLIGHT: Final = 100
_TOPICS_AT_ONCE: Final = 200
_HOUSEKEEPING_S: Final = 1.0


class LinkDown(Exception):
    """There is no line to the broker, or it fell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a broker listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What came on a topic. ``retained``: the broker held it; it may be old."""

    topic: str
    payload: bytes = field(repr=False)
    retained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker publishes, retained, if this session ends without a goodbye."""

    topic: str
    payload: bytes = field(repr=False)


class Session(Protocol):
    """One connection to a broker. Every method raises ``LinkDown`` once the line has fallen."""

    async def subscribe(self, *topics: str) -> None:
        """Ask for topics at QoS 1; returns when the broker has granted them all."""
        ...

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send at QoS 1; returns when the broker has it (which does not mean that anyone else does)."""
        ...

    def messages(self) -> AsyncIterator[Message]:
        """Yield messages as they come, each once per delivery; QoS 1 may deliver twice."""
        ...


class Connect(Protocol):
    """How a session is had: ``connect`` below, or a fake with the same contract."""

    def __call__(
        self, address: Address, *, client_id: str, will: Will | None = None, keepalive_s: int = 30
    ) -> AbstractAsyncContextManager[Session]:
        """Enter to connect, leave to say goodbye. Raises ``LinkDown`` on entry if there is no broker."""
        ...


@asynccontextmanager
async def connect(
    address: Address, *, client_id: str, will: Will | None = None, keepalive_s: int = 30
) -> AsyncIterator[Session]:
    """Connect to a broker over MQTT 3.1.1 with a clean session; disconnect cleanly at the end.

    Args:
        address: host and TCP port.
        client_id: unique among the broker's clients; another session with the same id ends this one.
        will: published by the broker if the line falls without a disconnect.
        keepalive_s: the broker notices a dead line within 1.5 times this.

    Raises:
        LinkDown: nobody answers there, or the broker refuses the session.
    """
    session = _PahoSession(client_id, will)
    try:
        await session.open(address, keepalive_s)
        yield session
    finally:
        session.close()


class _PahoSession:
    """A paho client driven by the running event loop: no thread of its own."""

    def __init__(self, client_id: str, will: Will | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._answers: dict[object, asyncio.Future[Any]] = {}
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self._down: str | None = None
        self._housekeeping: asyncio.TimerHandle | None = None
        client = self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=True,
            protocol=MQTTv311,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(MOST_IN_FLIGHT)
        client.connect_timeout = ANSWER_S / 2
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_message = self._received
        client.on_publish = self._published
        client.on_subscribe = self._subscribed

    async def open(self, address: Address, keepalive_s: int) -> None:
        answer = self._expect("connected")
        dial = self._loop.run_in_executor(None, self._client.connect, address.host, address.port, keepalive_s)
        try:
            await asyncio.shield(dial)
        except OSError as error:
            self._fall(f"no broker answers at {address.host}:{address.port}: {error}")
        except asyncio.CancelledError:
            dial.add_done_callback(lambda done: done.exception() or self._client.disconnect())
            raise
        else:
            self._watch_socket()
            self._keep_house()
        await self._wait(answer)

    def close(self) -> None:
        with suppress(ValueError, OSError):
            self._client.disconnect()
            self._client.loop_write()  # now: the socket closes before the loop comes round, and the will would speak
        self._fall("the session was closed")

    async def subscribe(self, *topics: str) -> None:
        for first in range(0, len(topics), _TOPICS_AT_ONCE):
            asked = topics[first : first + _TOPICS_AT_ONCE]
            self._stand()
            code, mid = self._client.subscribe([(topic, 1) for topic in asked])
            self._sent(code)
            granted: Sequence[ReasonCode] = await self._wait(self._expect(mid))
            if refused := [topic for topic, reason in zip(asked, granted, strict=True) if reason.is_failure]:
                raise LinkDown(f"the broker refuses the topics {', '.join(refused[:3])}")

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._stand()
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        self._sent(sent.rc)
        await self._wait(self._expect(sent.mid))

    async def messages(self) -> AsyncIterator[Message]:
        while (message := await self._inbox.get()) is not None:
            yield message
        self._inbox.put_nowait(None)  # for whoever asks again
        raise LinkDown(self._down)

    # What waits for the broker, and what ends the waiting.

    def _expect(self, key: object) -> "asyncio.Future[Any]":
        future = self._loop.create_future()
        self._answers[key] = future
        if self._down is not None:
            future.set_exception(LinkDown(self._down))
        return future

    async def _wait(self, future: "asyncio.Future[Any]") -> Any:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await future
        except TimeoutError as error:
            self._fall(f"the broker did not answer within {ANSWER_S:.0f} s")
            raise LinkDown(self._down) from error

    def _answer(self, key: object, value: Any) -> None:
        future = self._answers.pop(key, None)
        if future is not None and not future.done():
            future.set_result(value)

    def _stand(self) -> None:
        if self._down is not None:
            raise LinkDown(self._down)

    def _sent(self, code: MQTTErrorCode) -> None:
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._fall(f"the message could not be sent: {code.name}")
            raise LinkDown(self._down)

    def _fall(self, reason: str) -> None:
        if self._down is not None:
            return
        self._down = reason
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        self._forget_socket()
        for future in self._answers.values():
            if not future.done():
                future.set_exception(LinkDown(reason))
                future.exception()  # it may be that nobody waits any more
        self._answers.clear()
        self._inbox.put_nowait(None)

    # The socket, on the event loop.

    def _watch_socket(self) -> None:
        client, sock = self._client, self._client.socket()
        if sock is None:
            self._fall("the broker closed the line at once")
            return
        if isinstance(sock, socket.socket):  # a message must not wait for the one behind it
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.on_socket_register_write = lambda _c, _u, s: self._loop.add_writer(s, client.loop_write)
        client.on_socket_unregister_write = lambda _c, _u, s: self._unwatch_writing(s)
        client.on_socket_close = lambda _c, _u, s: self._unwatch(s)
        self._loop.add_reader(sock, client.loop_read)
        if client.want_write():
            self._loop.add_writer(sock, client.loop_write)

    def _unwatch(self, sock: Any) -> None:
        with suppress(ValueError, OSError):  # already closed: the loop has dropped it
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)

    def _unwatch_writing(self, sock: Any) -> None:
        self._loop.remove_writer(sock)

    def _forget_socket(self) -> None:
        client, sock = self._client, self._client.socket()
        client.on_socket_register_write = client.on_socket_unregister_write = client.on_socket_close = None
        if sock is not None:
            self._unwatch(sock)
            sock.close()

    def _keep_house(self) -> None:
        if self._down is None:
            self._client.loop_misc()
            self._housekeeping = self._loop.call_later(_HOUSEKEEPING_S, self._keep_house)

    # What paho calls, always from within the event loop.

    def _connected(
        self, _client: Client, _user: Any, _flags: ConnectFlags, reason: ReasonCode, _more: Properties | None
    ) -> None:
        if reason.is_failure:
            self._fall(f"the broker refuses the session: {reason}")
        else:
            self._answer("connected", None)

    def _disconnected(
        self,
        _client: Client,
        _user: Any,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _more: Properties | None,
    ) -> None:
        self._fall(f"the line fell: {reason}")

    def _received(self, _client: Client, _user: Any, message: MQTTMessage) -> None:
        if self._inbox.qsize() >= MOST_WAITING:
            self._fall(f"{MOST_WAITING} messages wait unread")
            return
        self._inbox.put_nowait(Message(topic=message.topic, payload=bytes(message.payload), retained=message.retain))

    def _published(self, _client: Client, _user: Any, mid: int, _reason: ReasonCode, _more: Properties | None) -> None:
        self._answer(mid, None)

    def _subscribed(
        self, _client: Client, _user: Any, mid: int, reasons: list[ReasonCode], _more: Properties | None
    ) -> None:
        self._answer(mid, reasons)
