"""The contract of ``devices.link``, over every broker that we ship, and over the one in memory."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any, Protocol

import pytest

from broadcaster.broker import Child, Iotcore, Mosquitto
from broadcaster.config import Broker as Settings
from devices.link import Address, Connect, LinkDown, Message, Session, Will, connect
from tests.fakes.link import FakeBroker
from tests.services import require
from tests.system.flaky import FlakyLine
from tests.system.town import free_port, until

WAIT_S = 15.0

pytestmark = pytest.mark.timeout(60)


class Ground(Protocol):
    """A broker to stand on, with what may happen to it."""

    connect: Connect
    address: Address

    def cut(self) -> None:
        """Let every line fall; the broker lives."""

    def freeze(self) -> None:
        """Let the broker answer no more, and nobody notice."""

    def die(self) -> None:
        """Kill the broker."""


class Memory:
    address = Address(host="memory", port=1)

    def __init__(self) -> None:
        self.broker = FakeBroker()
        self.connect: Connect = self.broker.connect

    def cut(self) -> None:
        for session in list(self.broker.sessions):
            session.fall("cut")

    def freeze(self) -> None:
        self.broker.frozen = True

    def die(self) -> None:
        self.broker.fall()


class Real:
    """A broker process, reached through a line that can be cut."""

    connect: Connect = staticmethod(connect)

    def __init__(self, pid: int, line: FlakyLine) -> None:
        self._pid = pid
        self._line = line
        self.address = Address(host="127.0.0.1", port=line.port)

    def cut(self) -> None:
        self._line.cut()

    def freeze(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def die(self) -> None:
        os.kill(self._pid, signal.SIGKILL)


@pytest.fixture(params=["memory", "mosquitto", "iotcore"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    if request.param == "memory":
        yield Memory()
        return
    settings = Settings(kind=request.param, port=free_port())
    broker: Child = (
        Mosquitto(require("mosquitto"), settings, tmp_path) if request.param == "mosquitto" else Iotcore(settings)
    )
    with ExitStack() as stack:
        before = _children()
        broker.start()
        stack.callback(broker.stop)
        (pid,) = _children() - before
        stack.callback(_thaw, pid)
        until(lambda: _listens(settings.port), 10, "the broker listens")
        yield Real(pid, stack.enter_context(FlakyLine(settings.port).up()))


def _children() -> set[int]:
    return {int(pid) for place in Path("/proc/self/task").iterdir() for pid in (place / "children").read_text().split()}


def _thaw(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def _listens(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


def running(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a coroutine test on a loop of its own, and not for ever."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), WAIT_S))

    return run


async def next_of(messages: AsyncIterator[Message], count: int) -> list[Message]:
    """Return the next ``count`` messages."""
    return [await anext(messages) for _ in range(count)]


# Messages


@running
async def test_a_message_reaches_whoever_subscribed_and_nobody_else(ground: Ground) -> None:
    async with (
        ground.connect(ground.address, client_id="sender") as sender,
        ground.connect(ground.address, client_id="listener") as listener,
        ground.connect(ground.address, client_id="other") as other,
    ):
        await listener.subscribe("loa/1/a")
        await other.subscribe("loa/1/b")
        await sender.publish("loa/1/a", b"one")
        await sender.publish("loa/1/b", b"two")
        assert await anext(listener.messages()) == Message(topic="loa/1/a", payload=b"one", retained=False)
        assert await anext(other.messages()) == Message(topic="loa/1/b", payload=b"two", retained=False)


@running
async def test_what_is_retained_reaches_a_late_subscriber_and_says_so(ground: Ground) -> None:
    async with ground.connect(ground.address, client_id="sender") as sender:
        await sender.publish("loa/1/a", b"old", retain=True)
        await sender.publish("loa/1/a", b"new", retain=True)
        await sender.publish("loa/1/b", b"passing")
    async with ground.connect(ground.address, client_id="late") as late:
        await late.subscribe("loa/1/a", "loa/1/b")
        messages = late.messages()
        assert await anext(messages) == Message(topic="loa/1/a", payload=b"new", retained=True)
        await late.publish("loa/1/a", b"newer", retain=True)
        assert await anext(messages) == Message(topic="loa/1/a", payload=b"newer", retained=False)


@running
async def test_an_empty_payload_clears_what_was_retained(ground: Ground) -> None:
    async with ground.connect(ground.address, client_id="sender") as sender:
        await sender.publish("loa/1/a", b"old", retain=True)
        await sender.publish("loa/1/a", b"", retain=True)
        await sender.publish("loa/1/b", b"mark", retain=True)
    async with ground.connect(ground.address, client_id="late") as late:
        await late.subscribe("loa/1/a")
        await late.subscribe("loa/1/b")
        assert (await anext(late.messages())).topic == "loa/1/b"


@running
async def test_five_hundred_messages_arrive_once_and_in_order(ground: Ground) -> None:
    topics = [f"loa/1/{number}" for number in range(5)]
    sent = {topic: [b"%d " % number + bytes(3 * 1024) for number in range(100)] for topic in topics}
    async with (
        ground.connect(ground.address, client_id="sender") as sender,
        ground.connect(ground.address, client_id="listener") as listener,
    ):
        await listener.subscribe(*topics)
        async with asyncio.TaskGroup() as group:
            for payloads in zip(*sent.values(), strict=True):
                for topic, payload in zip(topics, payloads, strict=True):
                    group.create_task(sender.publish(topic, payload))
            arrived = await next_of(listener.messages(), 500)
        assert {topic: [each.payload for each in arrived if each.topic == topic] for topic in topics} == sent
        await sender.publish(topics[0], b"and no more")
        assert (await anext(listener.messages())).payload == b"and no more"


@running
async def test_a_message_of_200_kib_passes(ground: Ground) -> None:
    payload = os.urandom(200 * 1024)
    async with ground.connect(ground.address, client_id="box") as session:
        await session.subscribe("loa/1/long")
        await session.publish("loa/1/long", payload, retain=True)
        assert (await anext(session.messages())).payload == payload


@running
async def test_450_exact_topics_each_bring_what_they_retain(ground: Ground) -> None:
    retained = {f"loa/1/boxes/box-{number}/status": b"status %d" % number for number in range(450)}
    async with ground.connect(ground.address, client_id="sender") as sender, asyncio.TaskGroup() as group:
        for topic, payload in retained.items():
            group.create_task(sender.publish(topic, payload, retain=True))
    async with ground.connect(ground.address, client_id="late") as late:
        await late.subscribe(*retained)
        arrived = await next_of(late.messages(), 450)
        assert {each.topic: each.payload for each in arrived} == retained
        assert all(each.retained for each in arrived)


@running
async def test_nothing_is_carried_over_to_the_next_session(ground: Ground) -> None:
    async with ground.connect(ground.address, client_id="sender") as sender:
        async with ground.connect(ground.address, client_id="box") as first:
            await first.subscribe("loa/1/a")
        await sender.publish("loa/1/a", b"while it was away")
        async with ground.connect(ground.address, client_id="box") as second:
            await sender.publish("loa/1/a", b"before it asked")
            await second.subscribe("loa/1/b")
            await sender.publish("loa/1/b", b"mark")
            assert (await anext(second.messages())).payload == b"mark"


# Lines that fall


@running
async def test_nobody_listens_there(ground: Ground) -> None:
    ground.die()
    with pytest.raises(LinkDown):
        async with ground.connect(ground.address, client_id="box"):
            raise AssertionError("there is no broker")


@running
async def test_the_will_is_published_when_the_line_falls(ground: Ground) -> None:
    will = Will(topic="loa/1/boxes/box/status", payload=b"offline")
    with pytest.raises(LinkDown):
        async with ground.connect(ground.address, client_id="box", will=will) as box:
            ground.cut()
            await anext(box.messages())
    async with ground.connect(ground.address, client_id="listener") as listener:
        await listener.subscribe(will.topic)
        arrived = await anext(listener.messages())
        assert (arrived.topic, arrived.payload) == (will.topic, will.payload)


@running
async def test_the_will_is_not_published_after_a_goodbye(ground: Ground) -> None:
    will = Will(topic="loa/1/boxes/box/status", payload=b"offline")
    async with ground.connect(ground.address, client_id="listener") as listener:
        await listener.subscribe(will.topic)
        async with ground.connect(ground.address, client_id="box", will=will) as box:
            await box.publish(will.topic, b"online", retain=True)
        async with ground.connect(ground.address, client_id="box") as box:
            await box.publish(will.topic, b"online again", retain=True)
        assert [each.payload for each in await next_of(listener.messages(), 2)] == [b"online", b"online again"]


@running
async def test_another_session_of_the_same_name_ends_this_one(ground: Ground) -> None:
    async with ground.connect(ground.address, client_id="box") as old:
        await old.subscribe("loa/1/a")
        async with ground.connect(ground.address, client_id="box") as new:
            with pytest.raises(LinkDown):
                await anext(old.messages())
            with pytest.raises(LinkDown):
                await old.publish("loa/1/a", b"from the grave")
            await new.subscribe("loa/1/a")
            await new.publish("loa/1/a", b"alive")
            assert (await anext(new.messages())).payload == b"alive"


@running
async def test_everything_that_waits_is_told_that_the_broker_died(ground: Ground) -> None:
    async with ground.connect(ground.address, client_id="box") as session:
        await session.subscribe("loa/1/a")
        await session.publish("loa/1/a", b"before")
        messages = session.messages()
        assert (await anext(messages)).payload == b"before"
        ground.freeze()
        waiting = [asyncio.ensure_future(anext(messages)), asyncio.ensure_future(session.publish("loa/1/a", b"lost"))]
        assert (await asyncio.wait(waiting, timeout=0.1))[0] == set()
        ground.die()
        for each in waiting:
            with pytest.raises(LinkDown):
                await each
        for call in (partial(session.subscribe, "loa/1/b"), partial(session.publish, "loa/1/b", b""), _next(session)):
            with pytest.raises(LinkDown):
                await call()


def _next(session: Session) -> Callable[[], Awaitable[object]]:
    async def ask() -> object:
        return await anext(session.messages())

    return ask


@running
async def test_what_came_before_the_line_fell_is_read_first(ground: Ground) -> None:
    async with ground.connect(ground.address, client_id="box") as session:
        await session.subscribe("loa/1/a")
        for number in range(3):
            await session.publish("loa/1/a", b"%d" % number)
        messages = session.messages()
        assert (await anext(messages)).payload == b"0"
        await session.publish("loa/1/b", b"its answer comes behind the messages")
        ground.die()
        assert [each.payload for each in await next_of(messages, 2)] == [b"1", b"2"]
        with pytest.raises(LinkDown):
            await anext(messages)


@running
async def test_leaving_a_session_whose_line_fell_is_quiet(ground: Ground) -> None:
    async with ground.connect(ground.address, client_id="box") as session:
        await session.subscribe("loa/1/a")
        ground.die()
        with pytest.raises(LinkDown):
            await anext(session.messages())


# Giving up while connecting


def _sockets() -> set[str]:
    """Return the sockets that this process has open."""
    found = set()
    for place in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(str(place.readlink()))
    return {each for each in found if each.startswith("socket:")}


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def _enter(address: Address) -> None:
    async with connect(address, client_id="box"):
        raise AssertionError("nobody answered")


@running
async def test_given_up_while_a_mute_server_is_waited_for_no_socket_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        before = _sockets()
        task = asyncio.create_task(_enter(Address(host="127.0.0.1", port=mute.getsockname()[1])))
        with (await asyncio.to_thread(mute.accept))[0] as accepted:
            assert await asyncio.to_thread(accepted.recv, 1) == b"\x10", "it has sent its CONNECT"
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert _sockets() == before


@running
async def test_given_up_while_dialling_no_socket_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as busy, ExitStack() as stack:
        address = busy.getsockname()
        for _ in range(2):  # as many as the queue of a listener with backlog 0 takes, and the next one waits
            queued = stack.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(address)
        before = _sockets()
        task = asyncio.create_task(_enter(Address(host="127.0.0.1", port=address[1])))
        await _until(lambda: len(_sockets()) > len(before))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(2):
            busy.accept()[0].close()
        await _until(lambda: _sockets() <= before)


@running
async def test_a_server_that_speaks_something_else_is_no_broker() -> None:
    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        with pytest.raises(LinkDown):
            await _enter(Address(host="127.0.0.1", port=server.sockets[0].getsockname()[1]))
