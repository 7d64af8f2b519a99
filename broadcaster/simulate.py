"""``loa simulate``: a town of boxes in one process, against a server of its own or one that is there.

The boxes are the real agent with a silent output; they enrol, fetch and report as boxes on poles do. For load, for
training, and to see what a bad night does: ``--weather``.
"""

import asyncio
import json
import resource
import secrets
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

from broadcaster.children import child
from broadcaster.flow.sign_in import add_official
from broadcaster.remote import Remote, signed_in
from broadcaster.store.directory import usable
from broadcaster.store.records import Role
from broadcaster.store.tiny import TinyDefinitions
from devices.agent.enrolment import enrol
from devices.simulation.crowd import Crowd, Look
from devices.simulation.weather import OF_BOXES, ROUGH, Fault, hastened, schedule

HASTE: Final = {"calm": 0.0, "rough": 60.0, "storm": 600.0}
"""How much faster than in ``ROUGH`` faults come and go."""
LONGEST_S: Final = 6 * 3600.0
"""How long the weather is, where nobody says how long the simulation is."""
_ADMIN: Final = "admin"
_TOLD_S: Final = 10.0
_FILES_A_BOX: Final = 3
"""Descriptors: the line to the broker, a transfer, a file."""


class CannotSimulate(Exception):
    """It cannot be simulated as asked; the message says what to do."""

    code = "cannot_simulate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants simulated."""

    boxes: int
    directory: Path
    """Keeps the identities of the boxes: the next simulation goes on with them."""
    server: str | None
    """Its URL; None: one of our own, in ``directory``."""
    name: str
    password: str
    zone: str
    """Where clusters are added for boxes that have none; it is made if it is not there."""
    weather: str
    seed: int
    minutes: float | None
    """How long; None: until Ctrl-C."""


def run(asked: Asked) -> None:
    """Run the simulation, tell every 10 s how the boxes are, and at the end what they said.

    Raises:
        CannotSimulate, ChildError, RemoteError: the message says why.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _make_room(asked.boxes)
    try:
        with _server(asked) as remote:
            homes = _found(remote, asked)
            _say(f"{asked.boxes} boxes at {remote.address}, weather {asked.weather}, seed {asked.seed}")
            asyncio.run(_simulate(homes, asked))
    except KeyboardInterrupt:
        _say(f"The simulation has ended; its boxes are in {asked.directory}")


@contextmanager
def _server(asked: Asked) -> Iterator[Remote]:
    """Sign in at the server that was named, or run one over a data directory of the simulation's."""
    if asked.server is not None:
        with signed_in(asked.server, asked.name, asked.password) as remote:
            yield remote
        return
    place = _place(asked.directory)
    address = f"http://127.0.0.1:{place['http_port']}"
    environment = {
        "LOA_DATA__DIR": str(asked.directory / "server"),
        "LOA_HTTP__PORT": str(place["http_port"]),
        "LOA_BROKER__PORT": str(place["broker_port"]),
        "LOA_LOG__LEVEL": "warning",
    }
    with child("server", ["serve"], asked.directory / "logs", environment) as server:
        server.until_ready(address)
        _say(f"Loa is at {address}, its API at {address}/docs; sign in as {_ADMIN} with {place['password']}")
        with signed_in(address, _ADMIN, str(place["password"])) as remote:
            yield remote


def _place(directory: Path) -> dict[str, int | str]:
    """Return where the simulation's own server is to listen, and its admin's password; chosen at the first run.

    The boxes learn the ports when they enrol, so the next run must find them again.
    """
    note = directory / "simulation.json"
    if note.exists():
        found: dict[str, int | str] = json.loads(note.read_text())
        return found
    directory.mkdir(parents=True, exist_ok=True)
    place: dict[str, int | str] = {
        "http_port": _free_port(),
        "broker_port": _free_port(),
        "password": secrets.token_urlsafe(12),
    }
    with closing(TinyDefinitions(usable(directory / "server"))) as definitions:
        add_official(
            _ADMIN, role=Role.ADMIN, password=str(place["password"]), definitions=definitions, now=datetime.now(UTC)
        )
    note.touch(mode=0o600)
    note.write_text(json.dumps(place))
    return place


def _found(remote: Remote, asked: Asked) -> list[Path]:
    """Enrol the boxes that are not yet; return the directory of each.

    A cluster that has a box is never touched: another enrolment would retire it.
    """
    if asked.zone not in {zone["id"] for zone in remote.all("/zones")}:
        remote.ask("POST", "/zones", {"id": asked.zone, "name": "Mô phỏng", "kind": "simulation"})
    present = {cluster["id"] for cluster in remote.all("/clusters")}
    served = {box["cluster"] for box in remote.all("/boxes")}
    homes = [asked.directory / "boxes" / f"sim-{number:05d}" for number in range(1, asked.boxes + 1)]
    told = time.monotonic()
    for number, home in enumerate(homes):
        if (home / "box.json").exists():
            continue
        if home.name in served:
            raise CannotSimulate(
                f"{home.name} is served by a box whose directory is not {home}. Simulate with the --dir of that time."
            )
        if home.name not in present:
            remote.ask("POST", "/clusters", {"id": home.name, "name": f"Cụm loa {home.name}", "zone": asked.zone})
        enrol(remote.address, remote.ask("POST", f"/clusters/{home.name}/enrolment")["code"], home)
        if time.monotonic() - told > _TOLD_S:
            _say(f"{number + 1} of {len(homes)} boxes enrolled")
            told = time.monotonic()
    return homes


async def _simulate(homes: list[Path], asked: Asked) -> None:
    crowd = Crowd(homes, asked.directory / "boxes.db", seed=asked.seed)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        group.create_task(crowd.run(stop), name="crowd")
        weather = group.create_task(crowd.suffer(_weather(crowd.boxes, asked)), name="weather")
        ends = None if asked.minutes is None else time.monotonic() + asked.minutes * 60
        cpu_s, moment = time.process_time(), time.monotonic()
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_TOLD_S):
                    await stop.wait()
            if ends is not None and time.monotonic() >= ends:
                stop.set()
            cpu_s, before = time.process_time(), cpu_s
            moment, since = time.monotonic(), moment
            _say(_line(crowd.look(), (cpu_s - before) / (moment - since)))
        weather.cancel()
    _say(
        "said: "
        + (", ".join(f"{count} {outcome}" for outcome, count in crowd.tally.outcomes.most_common()) or "nothing")
    )
    _say(f"late: {crowd.tally.late}, the latest by {crowd.tally.latest_s:.3f} s")


def _weather(boxes: Sequence[str], asked: Asked) -> tuple[Fault, ...]:
    """Return the faults of this simulation: a day of rough weather in 24 minutes, or in 2.4."""
    haste = HASTE[asked.weather]
    if not haste:
        return ()
    lasting_s = LONGEST_S if asked.minutes is None else asked.minutes * 60
    climate = {kind: season for kind, season in hastened(ROUGH, haste).items() if kind in OF_BOXES}
    return schedule(Random(asked.seed), boxes, lasting_s, climate=climate)


def _line(look: Look, cores: float) -> str:
    newest = max(look.versions, default=0)
    holding = look.versions.get(newest, 0)
    return (
        f"up {look.up}/{look.boxes}  connected {look.connected}  newest version {newest} on {holding}"
        f"  files missing {look.missing}  playing {look.playing}  receipts waiting {look.waiting}  cores {cores:.2f}"
    )


def _make_room(boxes: int) -> None:
    """Raise the limit of open files to what so many boxes need."""
    needed = boxes * _FILES_A_BOX + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise CannotSimulate(f"{boxes} boxes need {needed} open files and this account may have {hard}; ulimit -n")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _say(line: str) -> None:
    print(line, flush=True)
