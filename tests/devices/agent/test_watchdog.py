"""The line to systemd: real sockets, and a player that hangs."""

import asyncio
import logging
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.agent.cabinet.watchdog import EVERY_S, MOST_SILENT_S, Supervisor, Watchdog
from tests.architecture.house import ROOT
from tests.devices.agent.conftest import running
from tests.fakes.clock import HandClock
from tests.services import require

UNIT = ROOT / "deploy" / "loa-box.service"


class Systemd:
    """The other end of ``NOTIFY_SOCKET``."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)

    def told(self) -> list[dict[str, str]]:
        """Return the messages that have come since the last look."""
        found = []
        while True:
            try:
                words = self._socket.recv(4096).decode()
            except BlockingIOError:
                return found
            found.append(dict(line.split("=", 1) for line in words.splitlines()))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["file", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    listening = Systemd(str(tmp_path / "s") if request.param == "file" else f"@loa-test-{os.getpid()}-{id(request)}")
    yield listening
    listening.close()


class Player:
    """What the watchdog sees of it."""

    turned: float | None = None


def watchdog(systemd: Systemd, player: Player, clock: HandClock, usec: str = "30000000") -> Watchdog:
    supervisor = Supervisor.of({"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": usec})
    return Watchdog(supervisor, turned=lambda: player.turned, state=lambda: "playlist 5", clock=clock)


async def pass_time(clock: HandClock, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        for _ in range(6):
            await asyncio.sleep(0)
        clock.turn(0.1)


@running
async def test_it_is_ready_when_the_player_has_looked_and_not_before(systemd: Systemd, clock: HandClock) -> None:
    player = Player()
    task = asyncio.create_task(watchdog(systemd, player, clock).run())
    await pass_time(clock, 5)
    assert systemd.told() == []
    player.turned = clock.monotonic()
    await pass_time(clock, 0.5)
    assert systemd.told() == [{"READY": "1", "STATUS": "playlist 5"}, {"WATCHDOG": "1", "STATUS": "playlist 5"}]
    task.cancel()


@running
async def test_it_gives_a_sign_of_life_twice_in_the_time_that_systemd_waits(systemd: Systemd, clock: HandClock) -> None:
    player = Player()
    player.turned = 0.0
    task = asyncio.create_task(watchdog(systemd, player, clock, usec="6000000").run())
    for _ in range(10):
        player.turned = clock.monotonic()
        await pass_time(clock, 3)
        assert [told for told in systemd.told() if "WATCHDOG" in told]
    task.cancel()


@running
async def test_a_player_that_hangs_gets_no_sign_of_life_until_it_goes_on(
    systemd: Systemd, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    player = Player()
    player.turned = 0.0
    task = asyncio.create_task(watchdog(systemd, player, clock).run())
    await pass_time(clock, MOST_SILENT_S)
    systemd.told()
    with caplog.at_level(logging.ERROR):
        await pass_time(clock, 3 * EVERY_S)
    told = systemd.told()
    assert told
    assert all(each == {"STATUS": "the player hangs"} for each in told)
    assert len(caplog.records) == 1
    player.turned = clock.monotonic()
    await pass_time(clock, EVERY_S + 1)
    assert any("WATCHDOG" in each for each in systemd.told())
    task.cancel()


def test_a_message_is_one_line_a_key(systemd: Systemd) -> None:
    Supervisor(systemd.address).tell(STATUS="a\nWATCHDOG=1\n b", READY="1")
    assert systemd.told() == [{"STATUS": "a WATCHDOG=1 b", "READY": "1"}]


def test_nobody_there_is_no_failure_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gone = Supervisor(str(tmp_path / "gone"))
    with caplog.at_level(logging.INFO):
        gone.tell(READY="1")
        gone.tell(WATCHDOG="1")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert not Supervisor().there
    Supervisor().tell(READY="1")


def test_a_supervisor_that_listens_no_more_holds_nobody_up(systemd: Systemd) -> None:
    """Its buffer is full: a datagram is dropped rather than waited for."""
    supervisor = Supervisor(systemd.address)
    for _ in range(3000):
        supervisor.tell(WATCHDOG="1")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_what_the_environment_says_of_the_watchdog(environment: dict[str, str], seconds: float | None) -> None:
    assert Supervisor.of(environment).watchdog_s == seconds


def unit() -> dict[str, list[str]]:
    """Return the settings of the service unit: each with its values."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            found.setdefault(line.partition("=")[0], []).append(line.partition("=")[2])
    return found


def test_the_service_waits_for_no_network_and_for_nobody_s_clock() -> None:
    said = unit()
    awaited = " ".join(
        word for key in ("After", "Wants", "Requires", "Requisite", "BindsTo") for word in said.get(key, ())
    )
    assert "network" not in awaited
    assert "time-sync" not in awaited
    assert (said["Restart"], said["StartLimitIntervalSec"]) == (["always"], ["0"])


def test_the_service_is_watched_with_time_for_two_signs_of_life() -> None:
    said = unit()
    assert said["Type"] == ["notify"]
    assert int(said["WatchdogSec"][0]) >= 2 * EVERY_S


def test_systemd_takes_the_service(tmp_path: Path) -> None:
    verify = require("systemd-analyze")
    copy = tmp_path / "loa-box.service"
    copy.write_text(UNIT.read_text().replace("/opt/loa/.venv/bin/loa", "/bin/true"))
    done = subprocess.run([verify, "verify", str(copy)], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
