"""A commune for some days: its server, its boxes, the weather and the people, from one seed."""

import asyncio
import gc
import hashlib
import json
import random
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from devices.simulation.weather import ROUGH, Fault, Kind, Season, schedule
from tests.simulation.commune import START, Deed, Officials
from tests.simulation.disk import Disks, counted
from tests.simulation.invariants import Violation, Watch
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Broker, Files, asleep
from tests.simulation.poles import Nature, Pole
from tests.simulation.rogue import Rogue
from tests.simulation.station import ADDRESS, Station

DAY_S = 86_400.0
GRACE_S = 4200.0
"""After the last fault everything converges within this: what came with wrong bytes is asked for again after an hour
at the latest, all else sooner."""


class Truth:
    """The right time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.elapsed)

    def monotonic(self) -> float:
        return self._loop.elapsed

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        await asleep(event, seconds)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a seed."""

    seed: int
    violations: tuple[Violation, ...]
    trace: tuple[str, ...]
    figures: Mapping[str, int]

    @property
    def digest(self) -> str:
        """SHA-256 of the trace: equal runs have equal ones."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


class World:
    """Everything there is, and what happens to it."""

    def __init__(self, seed: int, directory: Path, loop: VirtualLoop, *, days: float, rough: float) -> None:
        self.seed = seed
        self.days = days
        self.loop = loop
        self.truth = Truth(loop)
        self.trace: list[str] = []
        chance = Random(f"{seed} world")
        self.watch = Watch(self)
        self.station = Station(seed, self.truth, self.watch.issued)
        self.files = Files(self.station.content)
        self.broker = Broker(delivered=self.watch.delivered)
        self.officials = Officials(seed, self.station, days, chance.choice((2, 2, 3, 4)))
        self.poles = [
            self._pole(number, cluster, directory, chance) for number, cluster in enumerate(self.officials.clusters, 1)
        ]
        self.by_box = {pole.box: pole for pole in self.poles}
        self.rogue = Rogue(seed, self)
        self.deeds = self.officials.deeds()
        self.faults = self._weather(chance, rough)

    def note(self, text: str) -> None:
        """Write a line into the trace."""
        self.trace.append(f"{self.loop.elapsed:.6f} {text}")

    async def live(self) -> None:
        """Let it all happen."""
        self.officials.settle()
        self.station.start(self.broker.connect)
        for pole in self.poles:
            pole.switch_on()
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(self._work(), name="officials"),
                group.create_task(self._storm(), name="weather"),
                *(group.create_task(self.watch.follow(pole), name=f"watch {pole.box}") for pole in self.poles),
            ]
            await asyncio.sleep(self.days * DAY_S + GRACE_S)
            self.watch.at_rest()
            for task in others:
                task.cancel()
        for pole in self.poles:
            if pole.life is not None:
                await pole.life.end()
        await self.station.stop()
        self.watch.at_end()

    async def _work(self) -> None:
        for deed in self.deeds:
            await self._until(deed.at_s)
            self._do(deed)

    def _do(self, deed: Deed) -> None:
        self.note(deed.name)
        deed.do(self.truth.now())

    async def _storm(self) -> None:
        edges = [(fault.begin_s, 1, fault) for fault in self.faults] + [(f.end_s, 0, f) for f in self.faults]
        for at, begins, fault in sorted(edges, key=lambda edge: (edge[0], edge[1], edge[2].kind, edge[2].box or "")):
            await self._until(at)
            self.note(f"{fault.box or 'all'} {fault.kind} {'begins' if begins else 'ends'} {fault.strength:.3f}")
            await self._feel(fault, begins=bool(begins))

    async def _until(self, at: float) -> None:
        if at > self.loop.elapsed:
            await asyncio.sleep(at - self.loop.elapsed)

    async def _feel(self, fault: Fault, *, begins: bool) -> None:
        if fault.box is not None:
            feel(self.by_box[fault.box], fault, begins=begins)
        elif fault.kind is Kind.SERVER_DOWN:
            self.files.up = not begins
            if begins:
                await self.station.stop()
            else:
                self.station.start(self.broker.connect)
        elif fault.kind is Kind.BROKER_DOWN:
            if begins:
                self.broker.stop()
            else:
                self.broker.start(forgetful=fault.strength > 0)
        elif fault.kind is Kind.ROGUE:
            self.rogue.often = fault.strength if begins else 0.0

    def _pole(self, number: int, cluster: str, directory: Path, chance: Random) -> Pole:
        box = f"box-{number}"
        nature = Nature(
            fast=chance.uniform(-80e-6, 80e-6),
            ntp=chance.random() < 0.5,
            chip=chance.choice(("battery", "1970", "next_year", "hour_off", "last_stop", "last_stop")),
        )
        home = directory / box
        home.mkdir()
        key = self.station.enrol(box, cluster, START)
        settings = {
            "box": box,
            "cluster": cluster,
            "broker": {"host": ADDRESS.host, "port": ADDRESS.port},
            "playlist_keys": [self.station.key.public().to_jwk()],
        }
        (home / "box.json").write_text(json.dumps({"server": "http://loa.test", "settings": settings}))
        (home / "key.pem").write_bytes(key.to_pem())
        (home / "key.pem").chmod(0o600)
        if nature.chip == "battery" and chance.random() < 0.5:
            (home / "box.toml").write_text("[time]\nbattery = true\n")
        return Pole(self, box, cluster, home, nature)

    def _weather(self, chance: Random, rough: float) -> tuple[Fault, ...]:
        """Return the seed's faults; some power cuts where something is about to begin."""
        lasting = self.days * DAY_S
        kinds: dict[Kind, Season] = {kind: ROUGH[kind] for kind in sorted(ROUGH) if chance.random() < 0.75}
        faults = list(schedule(chance, sorted(self.by_box), lasting, climate=kinds, most=rough))
        for box in sorted(self.by_box):
            for _ in range(round(rough * self.days * 3)):
                at = chance.choice(self.officials.moments) + chance.choice((-4, 0, 0, 3, 20)) + chance.uniform(-1, 1)
                end = at + chance.choice((1.0, 5.0, 60.0, 600.0))
                if at > 0 and end < lasting:
                    kind = chance.choice((Kind.POWER_CUT, Kind.KILLED))
                    faults.append(Fault(kind=kind, box=box, begin_s=at, end_s=end))
        if self.days > 1:
            faults = list(_alone(faults, "box-1", lasting))
        return tuple(sorted(faults, key=lambda fault: (fault.begin_s, fault.kind, fault.box or "")))


def _alone(faults: Iterable[Fault], box: str, lasting: float) -> Iterator[Fault]:
    """Let one box have no line for longer than a playlist is good for, with power, so that it knows the time."""
    kept_away = (Kind.POWER_CUT, Kind.LINE_DOWN, Kind.CLOCK_JUMP)
    yield from (fault for fault in faults if fault.box != box or fault.kind not in kept_away)
    yield Fault(kind=Kind.LINE_DOWN, box=box, begin_s=1800.0, end_s=lasting - 600.0)


def feel(pole: Pole, fault: Fault, *, begins: bool) -> None:
    """Let a fault of one box begin or end."""
    strength = fault.strength if begins else 0.0
    match fault.kind:
        case Kind.LINE_DOWN:
            pole.line_down = begins
        case Kind.LINE_SLOW:
            pole.line.slow_s = strength
        case Kind.LINE_LOSSY:
            pole.line.loss = strength
        case Kind.LINE_TWICE:
            pole.line.twice = strength
        case Kind.LINE_SWAPPED:
            pole.line.swapped = strength
        case Kind.WEB_DOWN:
            pole.web_down = begins
        case Kind.WEB_SLOW:
            pole.web.slow_s = strength
        case Kind.WEB_CUT:
            pole.web.cut = strength
        case Kind.WEB_WRONG:
            pole.web.wrong = strength
        case Kind.DISK_FULL:
            pole.disk.full = begins
        case Kind.DISK_SLOW:
            pole.disk.slow_s = strength or 0.004
        case Kind.CLOCK_JUMP if begins:
            pole.machine.jump(strength)
            pole.expect_ntp_later()
        case Kind.CLOCK_FREE:
            pole.free = begins
            pole.expect_ntp()
        case Kind.POWER_CUT if begins:
            pole.cut(power=True)
        case Kind.KILLED if begins:
            pole.cut(power=False)
        case Kind.POWER_CUT:
            pole.power_returns()
    pole.weather_changed()


def run_seed(seed: int, *, days: float, rough: float = 2.0) -> Outcome:
    """Run one seed for so many days, in weather so much rougher than ``ROUGH``."""
    state = random.getstate()
    gc.disable()  # a third of the time went into looking for cycles
    random.seed(f"{seed} everyone")  # the code under test takes its jitter from here
    try:
        with tempfile.TemporaryDirectory(dir=_memory()) as directory, counted():
            loop = VirtualLoop(Disks(Random(f"{seed} disks")))
            try:
                asyncio.set_event_loop(loop)
                world = World(seed, Path(directory), loop, days=days, rough=rough)
                with world.watch.listening():
                    loop.run_until_complete(world.live())
            finally:
                _abandon(loop)
                asyncio.set_event_loop(None)
                loop.close()
    finally:
        gc.enable()
        random.setstate(state)
    return Outcome(
        seed=seed, violations=tuple(world.watch.violations), trace=tuple(world.trace), figures=world.watch.figures()
    )


def _memory() -> str | None:
    """Return where files cost nothing, or None where there is no such place."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _abandon(loop: VirtualLoop) -> None:
    """End what still runs, as ``asyncio.run`` does."""
    while tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks, timeout=5.0))
