"""What time it is, from what was seen: a line over the monotonic clock, and by how much it may be wrong. Pure.

An oscillator that costs a few cents keeps within 100 ppm of its name whatever the heat. So an instant that was known
once is known for ever, with a doubt that grows by at most 0.36 s an hour; how fast this oscillator really runs is
learned from answers of the server that lie minutes apart, and from then on the doubt grows slower.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final

DRIFT: Final = 100e-6
"""How much faster or slower than named an oscillator runs at most, as a ratio."""
WANDER: Final = 10e-6
"""How much its rate changes with the temperature while nobody looks."""
BATTERY_DOUBT_S: Final = 5.0
"""What a clock chip that is set at each stop may have lost meanwhile; 20 ppm lose this in three days."""
SLACK: Final = timedelta(seconds=2)
"""Instants of two clocks that are both right differ by less: no contradiction between a document and a clock."""
FRESH_S: Final = 4500.0
"""The server's time is called so as long as an answer is this young: two in a row may be lost."""
STEP_S: Final = 0.05
"""A larger error is corrected at once, a smaller one by running faster or slower."""
SLEW: Final = 500e-6
"""The most by which time runs faster or slower to correct an error: 0.9 cents, nobody hears it."""
SLEW_OVER_S: Final = 2.0
"""How long a small error takes to be made good."""
DEAD_S: Final = 20e-6
"""Smaller errors than reading two clocks one after the other makes are left alone."""
_ROUNDING_S: Final = 1e-4
_KEPT: Final = 16


class Source(StrEnum):
    """Where the time comes from, the best first."""

    KERNEL = "kernel"
    SERVER = "server"
    HELD = "held"
    BATTERY = "battery"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Line:
    """Time over the monotonic clock: straight, but for a while after ``since`` steeper or flatter by ``slew``."""

    since: float
    instant: datetime
    rate: float = 1.0
    """Seconds of time to a second of the monotonic clock."""
    slew: float = 0.0
    slew_s: float = 0.0

    def at(self, moment: float) -> datetime:
        """Return the time when the monotonic clock showed ``moment``."""
        run = moment - self.since
        return self.instant + timedelta(seconds=run * self.rate + min(max(run, 0.0), self.slew_s) * self.slew)


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """A line, and how far it may be off."""

    source: Source
    line: Line
    doubt_s: float
    """At ``line.since``; infinite where nothing bounds it."""
    drift: float = DRIFT
    """By how much a second adds to it."""

    def doubt(self, moment: float) -> float:
        """Return the seconds by which the line may be wrong at ``moment``."""
        return self.doubt_s + self.drift * max(moment - self.line.since, 0.0)


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer: at ``moment`` it was ``instant``, give or take ``half_s``."""

    moment: float
    instant: datetime
    half_s: float


def sample(sent: float, received: float, *, server_received: datetime, server_sent: datetime) -> Sample | None:
    """Return what an answer says, or None if its times cannot be.

    The request arrived after ``sent``, the answer left before ``received``: whatever the line's two directions
    take, the truth lies within half of what they take together.
    """
    there = (server_sent - server_received) / timedelta(seconds=1)
    half_s = (received - sent - there) / 2
    if half_s < -_ROUNDING_S or there < -_ROUNDING_S:
        return None
    return Sample((sent + received) / 2, server_received + (server_sent - server_received) / 2, max(half_s, 0.0))


@dataclass(frozen=True, slots=True)
class Samples:
    """Answers of one server, the oldest first, and what they tell of the oscillator."""

    kept: tuple[Sample, ...] = ()
    rate: float = 1.0
    drift: float = DRIFT
    """By how much ``rate`` may be wrong."""

    def plus(self, new: Sample) -> "Samples":
        """Return the samples with a new one; alone, if the others contradict it: the server's clock was set."""
        before = self.belief
        kept = self.kept
        if before is not None:
            apart = abs(new.instant - before.line.at(new.moment)) / timedelta(seconds=1)
            if apart > before.doubt(new.moment) + new.half_s + _ROUNDING_S:
                return Samples((new,))
        kept = _thinned((*kept, new))
        return Samples(kept, *_rate(kept))

    @property
    def belief(self) -> Belief | None:
        """The line through the best of them as seen from the newest, or None without any."""
        if not self.kept:
            return None
        moment = self.kept[-1].moment
        best = min(self.kept, key=lambda each: each.half_s + self.drift * (moment - each.moment))
        line = Line(best.moment, best.instant, self.rate)
        return Belief(source=Source.SERVER, line=line, doubt_s=best.half_s, drift=self.drift)

    def fresh(self, moment: float) -> bool:
        """Return whether the server has answered of late."""
        return bool(self.kept) and moment - self.kept[-1].moment <= FRESH_S


def _thinned(kept: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """Drop the worse of the two that lie closest together: a long span tells the rate best."""
    if len(kept) <= _KEPT:
        return kept
    gaps = [later.moment - earlier.moment for earlier, later in pairwise(kept[:-1])]
    first = gaps.index(min(gaps))
    worse = first if kept[first].half_s >= kept[first + 1].half_s else first + 1
    return kept[:worse] + kept[worse + 1 :]


def _rate(kept: tuple[Sample, ...]) -> tuple[float, float]:
    """Return the rate and its doubt, from the two that bound it best.

    What two answers say is weighed against what is known of any oscillator: seconds apart they say little.
    """
    best = (0.0, math.inf)
    for place, later in enumerate(kept):
        for earlier in kept[:place]:
            span = later.moment - earlier.moment
            if span > 0 and (later.half_s + earlier.half_s) / span < best[1]:
                run = (later.instant - earlier.instant) / timedelta(seconds=1)
                best = (run / span - 1, (later.half_s + earlier.half_s) / span)
    found, doubt = best
    if not math.isfinite(doubt):
        return 1.0, DRIFT
    weighed = found * DRIFT**2 / (DRIFT**2 + doubt**2)
    return 1.0 + weighed, min(DRIFT + abs(weighed), doubt + abs(found - weighed) + WANDER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything that there is to reckon with at one moment."""

    moment: float
    wall: datetime
    """What the system clock says."""
    kernel_s: float | None
    """The kernel's doubt of it; None: nothing disciplines it."""
    samples: Samples = field(default_factory=Samples)
    held: Belief | None = None
    """What was believed before, of kernel or server."""
    battery: Belief | None = None
    floor: datetime
    """It is not earlier than this."""


def reckon(seen: Seen) -> Belief | None:
    """Return what to believe, or None: then it is not known what time it is.

    The best source wins, unless it says that it is earlier than ``floor``, by more than right clocks may differ.
    """
    for each in _candidates(seen):
        if each.line.at(seen.moment) >= seen.floor - SLACK:
            return each
    return None


def _candidates(seen: Seen) -> Iterator[Belief]:
    if seen.kernel_s is not None:
        yield Belief(source=Source.KERNEL, line=Line(seen.moment, seen.wall), doubt_s=seen.kernel_s)
    server = seen.samples.belief
    if server is not None and seen.samples.fresh(seen.moment):
        yield server
    yield from _held(seen.moment, (each for each in (seen.held, server) if each is not None))
    if seen.battery is not None:
        yield seen.battery


def _held(moment: float, known: Iterable[Belief]) -> Iterator[Belief]:
    for each in sorted(known, key=lambda belief: belief.doubt(moment)):
        yield replace(each, source=Source.HELD)


def steered(line: Line, target: Line, moment: float, *, at_once: bool = False) -> tuple[Line, float]:
    """Return the line that leads from ``line`` to ``target``, and the seconds by which it steps at ``moment``.

    An error of more than ``STEP_S`` is a step. A smaller one is made good over some seconds; the new line knows
    when it is, so that it does not overshoot if nobody looks by then. Unless it steps, it never goes back.
    ``at_once`` makes any error a step: so far nothing was known, and nothing sounds that it could spoil.
    """
    present, wanted = line.at(moment), target.at(moment)
    error = (wanted - present) / timedelta(seconds=1)
    if abs(error) > (DEAD_S if at_once else STEP_S):
        return Line(moment, wanted, target.rate), error
    if abs(error) > DEAD_S:
        slew = math.copysign(min(abs(error) / SLEW_OVER_S, SLEW), error)
        return Line(moment, present, target.rate, slew, error / slew), 0.0
    if abs(line.rate - target.rate) > 1e-9 or (line.slew and moment >= line.since + line.slew_s):
        return Line(moment, present, target.rate), 0.0
    return line, 0.0
