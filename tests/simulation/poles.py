"""A pole of the commune: a real box, and what surrounds it: power, clocks, a line, a disk, and who listens."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from devices.simulation import downloads, links
from devices.simulation.clocks import WeatheredMachine
from tests.simulation.disk import Weather
from tests.simulation.ear import Sound, Street
from tests.simulation.lives import Life

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass(kw_only=True)
class Nature:
    """What a pole is like, as long as it stands."""

    fast: float
    """By how much its crystal is too fast."""
    ntp: bool
    """Whether there is anything to discipline its kernel while the line is up."""
    chip: str
    """What its clock shows at boot: ``battery``, ``1970``, ``next_year``, ``hour_off``, ``last_stop``."""


class Pole:
    """One pole, across all its lives."""

    def __init__(self, world: "World", box: str, cluster: str, directory: Path, nature: Nature) -> None:
        self.world = world
        self.box = box
        self.cluster = cluster
        self.nature = nature
        self.chance = Random(f"{world.seed} {box}")
        self.machine = WeatheredMachine(world.truth, boot=f"{box}-0", fast=nature.fast)
        self.line = links.Line()
        self.web = downloads.Web()
        self.disk = Weather()
        self.street = Street(world.truth.now, lambda sound: world.watch.began(self, sound))
        self.life: Life | None = None
        self.directory = directory
        self.lives = 0
        self.boots = 0
        self.stopped_at = world.truth.now()
        self.ran: list[tuple[datetime, datetime | None]] = []
        """From when till when its process ran; the last one may still."""
        self.forgot: list[tuple[datetime, datetime]] = []
        """Times of which nothing is on disk: it took nothing, until the process that remembered was gone."""
        self.powered = False
        self.free = False
        """Whether the weather keeps NTP away."""
        self.line_down = self.web_down = False

    def switch_on(self) -> None:
        """The power comes; the process starts a little later."""
        self.powered = True
        self.boots += 1
        self.machine.switch_on(f"{self.box}-{self.boots}", self._shown_at_boot())
        self.world.note(f"{self.box} power on, clock shows {self.machine.now():%Y-%m-%d %H:%M:%S}")
        asyncio.get_running_loop().call_later(self.chance.uniform(3.0, 15.0), self.start, self.boots)
        self.expect_ntp()

    def ran_between(self, begin: datetime, end: datetime) -> bool:
        """Say whether a process of it ran at some time of these."""
        return any(since <= end and (until is None or begin <= until) for since, until in self.ran)

    def ran_from(self, begin: datetime, end: datetime) -> bool:
        """Say whether one and the same process of it ran all the time."""
        return any(since <= begin and (until is None or end <= until) for since, until in self.ran)

    def has_forgotten(self, sound: Sound) -> bool:
        """Say whether nothing of a sound is on disk: it took nothing until the power was cut."""
        return any(since <= sound.ended and sound.since <= until for since, until in self.forgot)

    def start(self, boots: int) -> None:
        """Begin a life."""
        if self.powered and self.life is None and self.boots == boots:
            self.lives += 1
            self.ran.append((self.world.truth.now(), None))
            self.life = Life(self)
            self.world.note(f"{self.box} starts")

    def cut(self, *, power: bool) -> None:
        """The power goes, or the process is killed, at its next step on the disk, or within a second."""
        if self.life is None:
            if power:
                self._power_off()
            return
        self.life.doom(power=power)

    def gone(self, *, power: bool) -> None:
        """A life has ended without a word."""
        self.life = None
        self.ran[-1] = (self.ran[-1][0], self.world.truth.now())
        self.world.broker.lose(self.box)
        if power:
            self._power_off()
        else:
            asyncio.get_running_loop().call_later(self.chance.uniform(0.5, 20.0), self.start, self.boots)

    def _power_off(self) -> None:
        if self.powered:
            self.stopped_at = self.world.truth.now()
        self.powered = False
        self.machine.release()

    def expect_ntp(self) -> None:
        """Something about line or power has changed: the kernel is disciplined a while after all is well."""
        if self.line.down or self.free or not self.nature.ntp or not self.powered:
            self.machine.release()
            return
        asyncio.get_running_loop().call_later(self.chance.uniform(10.0, 90.0), self._synchronise, self.boots)

    def expect_ntp_later(self) -> None:
        """Somebody has set the clock: what disciplined it takes minutes to notice."""
        asyncio.get_running_loop().call_later(self.chance.uniform(60.0, 600.0), self.expect_ntp)

    def power_returns(self) -> None:
        """Switch on what was cut."""
        if self.life is not None:
            self.life.meet_doom(power=True)
        if not self.powered:
            self.switch_on()

    def weather_changed(self) -> None:
        if self.line_down != self.line.down:
            (self.line.fall if self.line_down else self.line.rise)()
            self.expect_ntp()
        self.web.down = self.line_down or self.web_down

    def _synchronise(self, boots: int) -> None:
        if self.powered and self.boots == boots and not self.line.down and not self.free:
            self.machine.discipline(self.chance.uniform(0.005, 0.05))

    def _shown_at_boot(self) -> datetime:
        now = self.world.truth.now()
        match self.nature.chip:
            case "battery":
                return now + timedelta(seconds=self.chance.uniform(-2.0, 2.0))
            case "1970":
                return datetime.fromisoformat("1970-01-01T00:00:00+00:00")
            case "next_year":
                return now + timedelta(days=365)
            case "hour_off":
                return now + timedelta(hours=self.chance.choice((-1, 1)))
            case _:
                return self.stopped_at
