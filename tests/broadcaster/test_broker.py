"""The broker that comes with Loa: it listens, comes back when it dies, and leaves nothing behind."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.broker import serving
from broadcaster.config import Broker
from broadcaster.errors import CannotStart
from devices.link import Address, LinkDown, connect
from tests.services import require

PATIENCE_S = 15


@pytest.fixture(params=["mosquitto", "iotcore"])
def kind(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    if chosen == "mosquitto":
        require("mosquitto")
    return chosen


@pytest.fixture
def settings(kind: str) -> Broker:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Broker.model_validate({"kind": kind, "port": probe.getsockname()[1]})


def children(word: str) -> list[int]:
    """Return the processes that this one started and whose command names ``word``."""
    found = []
    for path in Path("/proc/self/task").glob("*/children"):
        for pid in path.read_text().split():
            with contextlib.suppress(OSError):
                if word in Path(f"/proc/{pid}/cmdline").read_text():
                    found.append(int(pid))
    return found


@pytest.fixture(autouse=True)
def nothing_is_left(settings: Broker) -> Iterator[None]:
    before = children("mosquitto") + children("iotcore")
    yield
    assert children("mosquitto") + children("iotcore") == before
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((settings.host, settings.port))


async def reach(address: Address) -> None:
    """Return when a message has made its way through the broker."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                async with connect(address, client_id="test") as session:
                    await session.subscribe("loa/1/test")
                    await session.publish("loa/1/test", b"hello")
                    async for message in session.messages():
                        assert message.payload == b"hello"
                        return
            except LinkDown:
                await asyncio.sleep(0.02)


def test_it_listens_as_long_as_it_is_wanted(settings: Broker, kind: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(settings, tmp_path) as address:
            assert address == Address(host="127.0.0.1", port=settings.port)
            assert len(children(kind)) == 1
            await reach(address)

    asyncio.run(test())
    assert not (tmp_path / "mosquitto.pid").exists()


def test_it_comes_back_after_it_was_killed(settings: Broker, kind: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(settings, tmp_path) as address:
            [pid] = children(kind)
            os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(PATIENCE_S):
                while children(kind) in ([], [pid]):
                    await asyncio.sleep(0.02)
            await reach(address)

    asyncio.run(test())


def test_a_port_that_is_taken_is_told(settings: Broker, tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(settings, tmp_path):
            pass

    with socket.socket() as other:
        other.bind((settings.host, settings.port))
        other.listen()
        with pytest.raises(CannotStart, match=r"choose another broker\.port") as refused:
            asyncio.run(test())
    assert refused.value.code == "port_in_use"
    assert refused.value.fields == {"port": settings.port, "setting": "broker.port"}


def test_an_address_that_is_not_ours_is_told(settings: Broker, tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(settings.model_copy(update={"host": "192.0.2.1"}), tmp_path):
            pass

    with pytest.raises(CannotStart, match=r"correct broker\.host") as refused:
        asyncio.run(test())
    assert refused.value.code == "address_unusable"


def test_it_ends_when_what_it_serves_fails(settings: Broker, tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(settings, tmp_path):
            raise LookupError("something else")

    with pytest.raises(LookupError):
        asyncio.run(test())


def started_by_hand(settings: Broker, directory: Path) -> "subprocess.Popen[bytes]":
    """Start a Mosquitto as a server does that was killed since."""
    file = directory / "mosquitto.conf"
    file.write_text(f"listener {settings.port} {settings.host}\nallow_anonymous true\n")
    return subprocess.Popen([require("mosquitto"), "-c", str(file)], stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("kind", ["mosquitto"], indirect=True)
def test_what_a_killed_server_left_behind_is_ended(settings: Broker, tmp_path: Path) -> None:
    leftover = started_by_hand(settings, tmp_path)
    (tmp_path / "mosquitto.pid").write_text(str(leftover.pid))

    async def test() -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(settings.host, settings.port)
                    writer.close()
                    break
                await asyncio.sleep(0.02)
        async with serving(settings, tmp_path) as address:
            await asyncio.to_thread(leftover.wait, PATIENCE_S)
            assert leftover.returncode == -signal.SIGKILL
            await reach(address)

    asyncio.run(test())


@pytest.mark.parametrize("kind", ["mosquitto"], indirect=True)
def test_a_stranger_with_the_number_of_a_broker_is_left_alone(settings: Broker, tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as stranger:
        (tmp_path / "mosquitto.pid").write_text(str(stranger.pid))

        async def test() -> None:
            async with serving(settings, tmp_path):
                pass

        asyncio.run(test())
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("kind", ["iotcore"], indirect=True)
def test_an_external_broker_is_not_ours_to_start(settings: Broker, tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(settings.model_copy(update={"kind": "external", "host": "mqtt.test"}), tmp_path) as address:
            assert address == Address(host="mqtt.test", port=settings.port)
            assert children("iotcore") == children("mosquitto") == []

    asyncio.run(test())
