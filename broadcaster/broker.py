"""The broker that comes with Loa: a Mosquitto that we supervise where it is installed, else iotcore.

Either runs as a child process, listens on one address, stores nothing (the truth is the store, not a retained
message) and is started again when it dies.
"""

import asyncio
import errno
import logging
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from iotcore import Broker as IotcoreBroker

from broadcaster.config import Broker as BrokerSettings
from broadcaster.errors import CannotStart
from devices.envelope import LONGEST_BYTES
from devices.link import Address

log = logging.getLogger(__name__)

_READY_S: Final = 10.0
_LOOK_S: Final = 0.2
_LEFTOVER_S: Final = 1.0
_SBIN: Final = "/usr/sbin:/usr/local/sbin"
"""Where distributions put Mosquitto, often outside a user's PATH."""


class Child(Protocol):
    """A broker process."""

    name: str

    def start(self) -> None:
        """Start it; it may take a moment until it listens."""

    def stop(self) -> None:
        """End it and wait until it is gone."""

    def is_running(self) -> bool:
        """Return whether the process lives."""
        ...


class Mosquitto:
    """Eclipse Mosquitto with a configuration that we write."""

    name = "Mosquitto"

    def __init__(self, program: str, settings: BrokerSettings, directory: Path) -> None:
        self._program = program
        self._file = directory / "mosquitto.conf"
        self._pid = directory / "mosquitto.pid"
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._file.write_text(
            f"listener {settings.port} {settings.host}\n"
            "allow_anonymous true\n"
            "persistence false\n"
            "set_tcp_nodelay true\n"  # else an answer waits 40 ms for the acknowledgement of what went before it
            f"max_packet_size {LONGEST_BYTES + 1024}\n"
            "max_queued_messages 10000\n"
            "max_inflight_messages 100\n"
            "log_dest stderr\nlog_type error\nlog_type warning\n"
        )

    def start(self) -> None:
        """Start it, after ending one that a killed server left behind."""
        self.end_leftover()
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._file.absolute())],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._pid.write_text(str(self._process.pid))

    def stop(self) -> None:
        """Ask it to end, then insist."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._pid.unlink(missing_ok=True)

    def is_running(self) -> bool:
        """Return whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def end_leftover(self) -> None:
        """End the Mosquitto that a server killed with -9 could not take along: ours by its configuration file."""
        with suppress(OSError, ValueError):
            pid = int(self._pid.read_text())
            if os.fsencode(str(self._file.absolute())) in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
                log.warning("broker left behind ended pid=%d", pid)


class Iotcore:
    """The broker in a wheel (rumqttd); its process ends with ours by itself."""

    name = "iotcore"

    def __init__(self, settings: BrokerSettings) -> None:
        self._broker = IotcoreBroker(port=settings.port, listen=settings.host, max_payload_size=LONGEST_BYTES + 1024)

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._broker.start(timeout=_READY_S)

    def stop(self) -> None:
        """End it."""
        self._broker.stop()

    def is_running(self) -> bool:
        """Return whether the process lives."""
        return self._broker.is_running


@asynccontextmanager
async def serving(settings: BrokerSettings, directory: Path) -> AsyncIterator[Address]:
    """Give the address of a broker that listens; ours runs for the length of the block.

    Raises:
        CannotStart: ``port_in_use``, ``address_unusable``, ``broker_missing``, ``broker_failed``.
    """
    address = Address(host=settings.host, port=settings.port)
    if settings.kind == "external":
        yield address
        return
    child = _choose(settings, directory)
    if isinstance(child, Mosquitto):
        child.end_leftover()
    await _require_free(settings)
    async with _supervised(child, address):
        yield address


def _choose(settings: BrokerSettings, directory: Path) -> Child:
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + os.pathsep + _SBIN)
    if settings.kind == "mosquitto" and program is None:
        raise CannotStart(
            "broker_missing",
            "broker.kind is mosquitto, but the program is not installed; install it (Debian: apt install mosquitto) "
            "or set broker.kind to auto.",
        )
    if settings.kind != "iotcore" and program is not None:
        return Mosquitto(program, settings, directory)
    return Iotcore(settings)


async def _require_free(settings: BrokerSettings) -> None:
    """Refuse a port that somebody else has, after a moment for one that a leftover is giving back."""
    loop = asyncio.get_running_loop()
    patience = loop.time() + _LEFTOVER_S
    while True:
        try:
            return _bind(settings)
        except OSError as error:
            if loop.time() > patience:
                raise _unusable(settings, error) from error
        await asyncio.sleep(_LOOK_S)


def _bind(settings: BrokerSettings) -> None:
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((settings.host, settings.port))


def _unusable(settings: BrokerSettings, error: OSError) -> CannotStart:
    if error.errno == errno.EADDRINUSE:
        return CannotStart(
            "port_in_use",
            f"Port {settings.port} on {settings.host} is in use by another program; "
            "stop that program or choose another broker.port (LOA_BROKER__PORT).",
            port=settings.port,
            setting="broker.port",
        )
    return CannotStart(
        "address_unusable",
        f"The broker cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
        "correct broker.host or broker.port.",
        setting="broker.host",
    )


@asynccontextmanager
async def _supervised(child: Child, address: Address) -> AsyncIterator[None]:
    await asyncio.to_thread(_start, child)
    try:
        await _until_listening(child, address)
        log.info("broker started kind=%s host=%s port=%d", child.name, address.host, address.port)
        watch = asyncio.create_task(_watch(child), name="broker supervisor")
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
    finally:
        await asyncio.to_thread(child.stop)


def _start(child: Child) -> None:
    try:
        child.start()
    except (OSError, RuntimeError) as error:
        raise CannotStart("broker_failed", f"{child.name} does not start: {error}.") from error


async def _until_listening(child: Child, address: Address) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_READY_S):
            while child.is_running():
                try:
                    _, writer = await asyncio.open_connection(address.host, address.port)
                except OSError:
                    await asyncio.sleep(0.02)
                    continue
                writer.close()
                return
    raise CannotStart(
        "broker_failed",
        f"{child.name} does not listen on {address.host}:{address.port}; see its messages above.",
    )


async def _watch(child: Child) -> None:
    """Start the broker again whenever it has died, waiting longer each time it dies at once."""
    loop = asyncio.get_running_loop()
    pause_s = _LOOK_S
    while True:
        started = loop.time()
        while child.is_running():
            await asyncio.sleep(_LOOK_S)
        log.warning("broker died kind=%s; starting it again", child.name)
        pause_s = _LOOK_S if loop.time() - started > 30 else min(pause_s * 2, 30)
        await asyncio.sleep(pause_s)
        try:
            await asyncio.to_thread(child.stop)
            await asyncio.to_thread(_start, child)
        except CannotStart as error:
            log.warning("broker not started: %s", error)
