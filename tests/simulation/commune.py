"""What the officials of a commune do in a few days: bulletins, announcements, withdrawals, holds, other hours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from broadcaster.flow.arrange import HoldAsked, change_cluster, change_zone, place_hold
from broadcaster.flow.schedule import withdraw
from broadcaster.store.records import Official, Role
from schedules.lateness import IfLate, Late
from schedules.levels import Level
from schedules.programmes import IfTaken, Item, Programme, Yielding
from schedules.recurrence import Recurrence
from schedules.rules import Hours, LocalRules, Loudest
from schedules.zones import Cluster, Targets, Zone
from tests.simulation.station import Station

HERE = ZoneInfo("Asia/Ho_Chi_Minh")
START = datetime(2026, 3, 1, 21, 0, tzinfo=UTC)
"""Four in the morning in Saigon."""
OFFICIAL = Official(id="can-bo", role=Role.ADMIN, password_hash="never verified", created_at=START)
ZONES = ("lich-hoi-thuong", "nam-chanh", "giong-chat")
_DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Deed:
    """Something that an official does at an instant."""

    at_s: float
    """Seconds after ``START``."""
    name: str
    do: Callable[[datetime], None]


class Officials:
    """Decides, by chance, on everything that will be asked in ``days`` days. Then it is done when its time comes."""

    def __init__(self, seed: int, station: Station, days: float, poles: int) -> None:
        self._chance = Random(f"{seed} officials")
        self._station = station
        self._days = days
        self._count = 0
        self.clusters = tuple(f"pole-{number}" for number in range(1, poles + 1))
        self.moments: list[float] = []
        """Seconds after ``START`` at which something is to begin: where a power cut meets the most."""

    def settle(self) -> None:
        """Put the commune into the store, as it is on the first morning."""
        night, noon = Hours(start=time(21, 30), end=time(4, 30)), Hours(start=time(11, 20), end=time(13))
        quiet = (night, noon)[: self._chance.choice((0, 1, 2, 2))]
        loud = (Loudest(hours=Hours(start=time(4), end=time(6)), volume=50),) if self._chance.random() < 0.5 else ()
        longest = timedelta(minutes=45) if self._chance.random() < 0.3 else None
        zones = [
            Zone(
                id=ZONES[0],
                name="Xã",
                kind="xã",
                rules=LocalRules(quiet=quiet, loudest=loud, longest_session=longest),
            ),
            *(Zone(id=each, name=each, kind="ấp", parent=ZONES[0]) for each in ZONES[1:]),
        ]
        clusters = [
            Cluster(id=cluster, name=cluster, zone=ZONES[1 + number % 2], volume=80)
            for number, cluster in enumerate(self.clusters)
        ]
        self._station.settle(zones, clusters)

    def deeds(self) -> Sequence[Deed]:
        """Return everything that is done, by time."""
        deeds = [self._bulletin(at) for at in (1.0, 4.0, 7.0, self._chance.uniform(8.0, 17.0))]
        for day in range(int(self._days) + 1):
            for _ in range(self._chance.randrange(1, 4)):
                deeds += self._announcement(day)
            if self._chance.random() < 0.5:
                deeds.append(self._now(day))
            if self._chance.random() < 0.6:
                deeds.append(self._change(day))
            if self._chance.random() < 0.2:
                deeds.append(self._mistake(day))
        return sorted((deed for deed in deeds if deed.at_s < self._days * _DAY_S), key=lambda deed: deed.at_s)

    def _bulletin(self, hour: float) -> Deed:
        """A programme of every day, asked for in the first night."""
        seconds = [self._seconds() for _ in range(self._chance.randrange(1, 4))]
        local = (START + timedelta(hours=round(hour * 60) / 60)).astimezone(HERE).replace(tzinfo=None)
        recurrence = Recurrence(start=local, rule="FREQ=DAILY")
        level = self._chance.choice((Level.ROUTINE, Level.ROUTINE, Level.PRIORITY))
        self.moments += [hour * 3600 + day * _DAY_S for day in range(int(self._days) + 1)]
        return self._deed(self._chance.uniform(60.0, 1800.0), "bulletin", seconds, recurrence, level)

    def _announcement(self, day: int) -> list[Deed]:
        """Something once, at a time of its own; perhaps it is taken back, perhaps while it sounds."""
        at = day * _DAY_S + self._chance.uniform(3600, 11 * 3600)
        start = at - at % 60 + self._chance.choice((60, 300, 1800, 7200))
        recurrence = Recurrence(start=(START + timedelta(seconds=start)).astimezone(HERE).replace(tzinfo=None))
        level = self._chance.choice((Level.EMERGENCY, Level.PRIORITY, Level.ROUTINE, Level.ROUTINE))
        deed = self._deed(at, "announcement", [self._seconds()], recurrence, level)
        self.moments.append(start)
        if self._chance.random() < 0.3:
            back = self._chance.choice((start + self._chance.uniform(-20.0, 60.0), self._chance.uniform(at, start)))
            return [deed, self._withdrawal(max(back, at + 1), f"p{self._count}")]
        return [deed]

    def _now(self, day: int) -> Deed:
        at = day * _DAY_S + self._chance.uniform(1800, 12 * 3600)
        level = self._chance.choice((Level.EMERGENCY, Level.ROUTINE))
        self.moments.append(at + 10)
        return self._deed(at, "now", [self._chance.uniform(10, 120)], None, level)

    def _change(self, day: int) -> Deed:
        """Another volume, other hours, or a hold; often while something sounds."""
        near = self._chance.choice(self.moments) % _DAY_S + self._chance.uniform(-30.0, 400.0)
        at = day * _DAY_S + max(near, 600.0)
        cluster = self._chance.choice(self.clusters)
        volume = self._chance.randrange(10, 101)
        hour = self._chance.choice((8, 11, 12, 20))
        lasting = timedelta(seconds=self._chance.uniform(60, 7200))
        zone = self._chance.choice(ZONES)
        station = self._station

        def louder(now: datetime) -> None:
            revision = station.definitions.clusters.get(cluster).revision
            change_cluster(cluster, {"volume": volume}, revision=revision, by=OFFICIAL, store=station.store, now=now)

        def quieter(now: datetime) -> None:
            present = station.definitions.zones.get(ZONES[0])
            rules = replace(present.rules or LocalRules(), quiet=(Hours(start=time(hour, 4), end=time(hour + 1)),))
            change_zone(
                ZONES[0], {"rules": rules}, revision=present.revision, by=OFFICIAL, store=station.store, now=now
            )

        def held(now: datetime) -> None:
            asked = HoldAsked(kind="funeral", reason="đám tang", start=None, end=now + lasting)
            place_hold(zone, asked, by=OFFICIAL, store=station.store, now=now)

        name, do = self._chance.choice((("volume", louder), ("hours", quieter), ("hold", held)))
        return Deed(at_s=at, name=name, do=do)

    def _mistake(self, day: int) -> Deed:
        """The server signs what its own rules forbid; nobody's deed, but it happens like one."""
        at = day * _DAY_S + max(self._chance.choice(self.moments) % _DAY_S - self._chance.uniform(30, 600), 1800.0)
        cluster = self._chance.choice(self.clusters)
        return Deed(at_s=at, name=f"mistake {cluster}", do=lambda now: self._station.mistake(cluster, now))

    def _withdrawal(self, at: float, programme: str) -> Deed:
        return Deed(
            at_s=at,
            name=f"withdraw {programme}",
            do=lambda now: _ignored(withdraw(programme, by=OFFICIAL, store=self._station.store, now=now)),
        )

    def _deed(
        self, at: float, name: str, seconds: Sequence[float], recurrence: Recurrence | None, level: Level
    ) -> Deed:
        self._count += 1
        id_, targets, late = f"p{self._count}", self._targets(), self._if_late()
        taken = self._chance.choice((IfTaken(), IfTaken(action=Yielding.TRIM), IfTaken(action=Yielding.DROP)))

        def ask(now: datetime) -> None:
            recordings = [self._station.record(each, now) for each in seconds]
            items = (Item(sound=each.id, rendition=each.digest, duration=each.duration) for each in recordings)
            programme = Programme(
                id=id_,
                title=id_,
                level=level,
                items=tuple(items),
                targets=targets,
                recurrence=recurrence,
                if_taken=taken,
                if_late=late,
                reason="lũ" if level is Level.EMERGENCY else None,
                author=OFFICIAL.id,
                created_at=now,
            )
            self._station.air(programme, now)

        return Deed(at_s=at, name=f"{name} {id_}", do=ask)

    def _targets(self) -> Targets:
        if self._chance.random() < 0.6:
            return Targets(zones=(ZONES[0],))
        if self._chance.random() < 0.5:
            return Targets(zones=(self._chance.choice(ZONES[1:]),))
        return Targets(clusters=(self._chance.choice(self.clusters),))

    def _if_late(self) -> IfLate:
        action = self._chance.choice((Late.JOIN, Late.JOIN, Late.WHOLE, Late.SKIP))
        within = timedelta(minutes=self._chance.choice((1, 10, 60))) if action is Late.WHOLE else None
        return IfLate(action=action, within=within)

    def _seconds(self) -> float:
        return self._chance.choice((8.0, 20.0, 45.0, 120.0, 300.0)) * self._chance.uniform(0.7, 1.3)


def _ignored(_: object) -> None:
    pass
