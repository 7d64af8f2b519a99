"""What a box costs where thousands share this machine with their server and their broker, and whether one is late."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks.figures import Figure
from benchmarks.town import resident_mb
from broadcaster.remote import Remote, signed_in

BOXES: Final = int(os.environ.get("BOXES", "2000"))
IDLE_S: Final = 60.0
TEXT: Final = "Xin kính chào bà con. Đây là buổi phát thanh thử. " * 4
LEFT: Final = timedelta(minutes=3)
"""From the announcement to its start."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_LINE: Final = re.compile(
    r"up (?P<up>\d+)/\d+  connected (?P<connected>\d+)  newest version (?P<version>\d+) on (?P<holding>\d+)"
    r"  files missing (?P<missing>\d+)  playing (?P<playing>\d+)  receipts waiting (?P<waiting>\d+)"
)


class Simulation:
    """``loa simulate`` as a process, and what it tells."""

    def __init__(self, directory: Path, boxes: int) -> None:
        self.log = directory.with_name(f"simulate-{boxes}.log")
        command = [sys.executable, "-m", "broadcaster.cli", "simulate", "--boxes", str(boxes), "--dir", str(directory)]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        self.boxes = boxes

    def until(self, limit_s: float, **wanted: int) -> None:
        """Wait until what it told last is as wanted."""
        end = time.monotonic() + limit_s
        while not self._is(wanted):
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError(f"not {wanted} within {limit_s} s: {self.log.read_text()[-1000:]}")
            time.sleep(0.5)

    def cpu_s(self) -> float:
        """Return the CPU time of the process of the boxes so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def end(self) -> str:
        """Stop it and return all that it told."""
        self.process.terminate()
        self.process.wait(120)
        return self.log.read_text()

    def _is(self, wanted: dict[str, int]) -> bool:
        told = [found for line in self.log.read_text().splitlines() if (found := _LINE.match(line))]
        return bool(told) and all(int(told[-1][name]) == value for name, value in wanted.items())


def figures() -> Iterator[Figure]:
    """Run one box, then the crowd, and yield what each more costs."""
    with tempfile.TemporaryDirectory(prefix="loa-bench-", dir="/dev/shm") as name:
        directory = Path(name) / "crowd"
        with _simulated(directory, 1) as one:
            one.until(60, connected=1, waiting=0)
            alone_mb = resident_mb(one.process.pid)
        with _simulated(directory, BOXES) as crowd:
            crowd.until(900, connected=BOXES, holding=BOXES, waiting=0)
            yield from _measured(crowd, directory, alone_mb)


def _measured(crowd: Simulation, directory: Path, alone_mb: float) -> Iterator[Figure]:
    time.sleep(20)  # what came with the connecting is over
    with _admin(directory) as admin:
        begin = crowd.cpu_s()
        time.sleep(IDLE_S)
        idle = (crowd.cpu_s() - begin) / IDLE_S / crowd.boxes
        yield _told(f"{crowd.boxes} boxes idle, CPU of one", idle * 1e6, "ppm")
        begin = crowd.cpu_s()
        rules = {"quiet": [{"start": "01:00", "end": "01:30"}]}
        admin.ask("PATCH", "/zones/simulation", {"revision": 1, "rules": rules})
        crowd.until(300, version=2, holding=crowd.boxes, waiting=0)
        yield _told("… all receiving one new playlist, CPU of one", _ms(crowd, begin), "ms")
        begin = crowd.cpu_s()
        at = datetime.now(UTC) + LEFT
        spoken = {"title": "Thử", "text": TEXT, "zones": ["simulation"], "at": at.isoformat()}
        admin.ask("POST", "/announcements", spoken)
        crowd.until(300, version=3, holding=crowd.boxes, missing=0)
        in_time = (at - datetime.now(UTC)).total_seconds()
        yield _told("… all fetching one new sound, CPU of one", _ms(crowd, begin), "ms")
        yield _told(f"… the last has it so long before its slot, of {LEFT.total_seconds():.0f} s", in_time, "s")
        time.sleep(max((at - datetime.now(UTC)).total_seconds(), 0) + 30)
        crowd.until(120, playing=0, waiting=0)
        held_kb = (resident_mb(crowd.process.pid) - alone_mb) * 1000 / (crowd.boxes - 1)
        yield Figure(figure=f"{crowd.boxes} boxes, memory of one more", value=held_kb, unit="KB", limit=150)
    told = crowd.end()
    late = re.search(r"late: (\d+), the latest by ([\d.]+) s", told)
    started = re.search(r"(\d+) started", told)
    if late is None or started is None or int(started[1]) != crowd.boxes:
        raise RuntimeError(f"not every box has played: {told[-1000:]}")
    yield Figure(figure=f"{crowd.boxes} boxes, how many were late", value=float(late[1]), unit="", limit=0)


@contextmanager
def _simulated(directory: Path, boxes: int) -> Iterator[Simulation]:
    simulation = Simulation(directory, boxes)
    try:
        yield simulation
    finally:
        if simulation.process.poll() is None:
            simulation.end()


@contextmanager
def _admin(directory: Path) -> Iterator[Remote]:
    """Sign in at the simulation's own server."""
    place = json.loads((directory / "simulation.json").read_text())
    with signed_in(f"http://127.0.0.1:{place['http_port']}", "admin", place["password"]) as admin:
        yield admin


def _ms(crowd: Simulation, begin: float) -> float:
    return (crowd.cpu_s() - begin) / crowd.boxes * 1000


def _told(figure: str, value: float, unit: str) -> Figure:
    return Figure(figure=figure, value=value, unit=unit, limit=None)
