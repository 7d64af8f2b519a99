"""When something goes wrong, and for how long: a schedule of faults, the same for the same chance. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from types import MappingProxyType
from typing import Final

MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0


class Kind(StrEnum):
    """What can go wrong with a box. Where it needs a number it is the fault's ``strength``."""

    LINE_DOWN = "line_down"
    """Neither broker nor server can be reached."""
    LINE_SLOW = "line_slow"
    """Every message takes up to so many seconds."""
    LINE_LOSSY = "line_lossy"
    """The session breaks at a message, before it or after it, with this probability."""
    LINE_TWICE = "line_twice"
    """A message comes twice with this probability."""
    LINE_SWAPPED = "line_swapped"
    """A message comes after the next one with this probability."""
    WEB_DOWN = "web_down"
    """The server answers no request for a file."""
    WEB_SLOW = "web_slow"
    """An answer takes up to so many seconds to begin."""
    WEB_CUT = "web_cut"
    """A transfer breaks off in the middle with this probability."""
    WEB_WRONG = "web_wrong"
    """Somebody between box and server sends other bytes with this probability."""
    DISK_FULL = "disk_full"
    """The disk takes nothing more."""
    DISK_SLOW = "disk_slow"
    """Each piece of work with the disk takes up to so many seconds."""
    POWER_CUT = "power_cut"
    """Nothing works, and the monotonic clock begins anew."""
    KILLED = "killed"
    """The process ends without a word and is started again."""
    CLOCK_JUMP = "clock_jump"
    """The system clock is set by so many seconds."""
    CLOCK_FREE = "clock_free"
    """Nothing disciplines the system clock."""
    SERVER_DOWN = "server_down"
    """The server does not run."""
    BROKER_DOWN = "broker_down"
    """The broker does not run; ``strength`` over 0: it has forgotten what it retained."""
    ROGUE = "rogue"
    """The broker replays, forges and garbles, so many times an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """How often a fault comes, and how long it stays."""

    every_s: float
    """Mean time between two of a box."""
    lasts_s: tuple[float, float]
    """Shortest and longest; what lies between is met evenly on a logarithmic scale, as outages are."""
    strength: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Fault:
    """Something is wrong in ``[begin_s, end_s)``, seconds since the schedule began."""

    begin_s: float
    end_s: float
    kind: Kind
    box: str | None
    """None: not of a single box."""
    strength: float = 0.0


ROUGH: Final[Mapping[Kind, Season]] = MappingProxyType(
    {
        Kind.LINE_DOWN: Season(every_s=18 * HOUR_S, lasts_s=(20.0, 30 * HOUR_S)),
        Kind.LINE_SLOW: Season(every_s=DAY_S, lasts_s=(MINUTE_S, 6 * HOUR_S), strength=(0.2, 8.0)),
        Kind.LINE_LOSSY: Season(every_s=DAY_S, lasts_s=(MINUTE_S, 6 * HOUR_S), strength=(0.01, 0.3)),
        Kind.LINE_TWICE: Season(every_s=DAY_S, lasts_s=(MINUTE_S, 6 * HOUR_S), strength=(0.1, 1.0)),
        Kind.LINE_SWAPPED: Season(every_s=DAY_S, lasts_s=(MINUTE_S, 6 * HOUR_S), strength=(0.1, 0.5)),
        Kind.WEB_DOWN: Season(every_s=DAY_S, lasts_s=(MINUTE_S, 12 * HOUR_S)),
        Kind.WEB_SLOW: Season(every_s=DAY_S, lasts_s=(MINUTE_S, 12 * HOUR_S), strength=(0.5, 60.0)),
        Kind.WEB_CUT: Season(every_s=DAY_S, lasts_s=(MINUTE_S, 12 * HOUR_S), strength=(0.2, 0.9)),
        Kind.WEB_WRONG: Season(every_s=8 * HOUR_S, lasts_s=(MINUTE_S, 12 * HOUR_S), strength=(0.2, 1.0)),
        Kind.DISK_FULL: Season(every_s=2 * DAY_S, lasts_s=(MINUTE_S, 12 * HOUR_S)),
        Kind.DISK_SLOW: Season(every_s=2 * DAY_S, lasts_s=(MINUTE_S, 6 * HOUR_S), strength=(0.05, 1.5)),
        Kind.POWER_CUT: Season(every_s=12 * HOUR_S, lasts_s=(2.0, 20 * HOUR_S)),
        Kind.KILLED: Season(every_s=12 * HOUR_S, lasts_s=(0.5, 20.0)),
        Kind.CLOCK_JUMP: Season(every_s=DAY_S, lasts_s=(1.0, 1.0), strength=(-7200.0, 7200.0)),
        Kind.CLOCK_FREE: Season(every_s=2 * DAY_S, lasts_s=(HOUR_S, 3 * DAY_S)),
        Kind.SERVER_DOWN: Season(every_s=2 * DAY_S, lasts_s=(5.0, 20 * HOUR_S)),
        Kind.BROKER_DOWN: Season(every_s=2 * DAY_S, lasts_s=(1.0, 10 * HOUR_S), strength=(-1.0, 1.0)),
        Kind.ROGUE: Season(every_s=12 * HOUR_S, lasts_s=(HOUR_S, 12 * HOUR_S), strength=(2.0, 60.0)),
    }
)
"""Far worse than any commune has it, so that a week shows what years would."""


def hastened(climate: Mapping[Kind, Season], factor: float) -> dict[Kind, Season]:
    """Return a climate in which everything comes ``factor`` times as often and is over ``factor`` times as soon."""
    return {
        kind: replace(
            season,
            every_s=season.every_s / factor,
            lasts_s=(max(season.lasts_s[0] / factor, 1.0), max(season.lasts_s[1] / factor, 1.0)),
        )
        for kind, season in climate.items()
    }


OF_ALL: Final = frozenset({Kind.SERVER_DOWN, Kind.BROKER_DOWN, Kind.ROGUE})
"""Faults that are not of a single box."""
OF_BOXES: Final = frozenset(Kind) - OF_ALL


def schedule(
    chance: Random,
    boxes: Sequence[str],
    lasting_s: float,
    *,
    climate: Mapping[Kind, Season] = ROUGH,
    most: float = 1.0,
) -> tuple[Fault, ...]:
    """Return the faults of ``lasting_s`` seconds, by their begin. None is under way at the end.

    Args:
        chance: where the schedule comes from.
        boxes: whose faults.
        lasting_s: how long the schedule is.
        climate: what there is, how often and how long.
        most: how much of the climate there is: at 0.5 faults come half as often.
    """
    faults: list[Fault] = []
    for kind in sorted(climate):
        for box in (None,) if kind in OF_ALL else boxes:
            faults.extend(_of_one(chance, kind, box, climate[kind], lasting_s, most))
    return tuple(sorted(faults, key=_order))


def _of_one(
    chance: Random, kind: Kind, box: str | None, season: Season, lasting_s: float, most: float
) -> Iterable[Fault]:
    if most <= 0:
        return
    shortest, longest = season.lasts_s
    t = chance.expovariate(most / season.every_s)
    while t < lasting_s:
        length = shortest * (longest / shortest) ** chance.random()
        end = min(t + length, lasting_s)
        yield Fault(kind=kind, box=box, begin_s=t, end_s=end, strength=chance.uniform(*season.strength))
        t = end + chance.expovariate(most / season.every_s)


def _order(fault: Fault) -> tuple[float, str, str]:
    return fault.begin_s, fault.kind, fault.box or ""
