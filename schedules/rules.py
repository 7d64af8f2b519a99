"""Local rules: when, how long and how loud a zone lets its loudspeakers speak, and the holds that silence it.

Only an emergency passes them. They are checked where plans are made and, by the same functions, on the box.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from schedules.instants import require_aware
from schedules.wallclock import Piece, pieces

__all__ = [
    "Breach",
    "Hold",
    "Hours",
    "InForce",
    "LocalRules",
    "Loudest",
    "Rule",
    "breaks",
    "combine",
    "highest_volume",
    "stops",
]


class Rule(StrEnum):
    """Which rule stops a slot."""

    QUIET_HOURS = "quiet_hours"
    """It would sound, at least in part, in quiet hours."""
    WEEKDAY = "weekday"
    """It would sound on a day of the week on which the zone is silent."""
    HOLD = "hold"
    """It would sound, at least in part, while the zone is held silent."""
    SESSION_TOO_LONG = "session_too_long"
    """The session that it would be part of would last too long."""
    DAY_FULL = "day_full"
    """The minutes of its local day are used up."""
    TOO_MANY_SESSIONS = "too_many_sessions"
    """It would begin one session more than a local day may have."""
    TOO_SOON = "too_soon"
    """It would follow, or come before, another session with too short a pause."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Hours:
    """A stretch of every local day, half-open; over midnight where ``end`` is not after ``start``."""

    start: time
    end: time


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Loudest:
    """The highest volume, in percent of full amplitude, in some hours."""

    hours: Hours
    volume: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRules:
    """What a zone says for itself and all below it; None and empty: nothing is said.

    A *session* is a run of slots of one local day with pauses of at most a minute. Emergencies belong to none.
    """

    quiet: tuple[Hours, ...] = ()
    weekdays: frozenset[int] | None = None
    """Days of the week on which it may speak, Monday is 0; None: all."""
    longest_session: timedelta | None = None
    most_a_day: timedelta | None = None
    """How much may sound on a local day, all sessions together. A slot counts on the day on which it starts."""
    sessions_a_day: int | None = None
    gap: timedelta | None = None
    """Shortest pause between the end of a session and the start of the next."""
    loudest: tuple[Loudest, ...] = ()

    @property
    def counts(self) -> bool:
        """True if a rule looks at more than the slot itself: how long, how much, how often or how soon."""
        return (self.longest_session, self.most_a_day, self.sessions_a_day, self.gap) != (None,) * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A zone, and all below it, is silent in ``[start, end)``: an exam, a funeral, a hospital."""

    id: str
    kind: str
    """One of ``exam``, ``funeral``, ``hospital``, ``other``."""
    reason: str
    start: datetime
    end: datetime
    by: str
    """The official who placed it."""
    placed_at: datetime
    lifted_at: datetime | None = None
    """When it was lifted before its end; what had been silent until then stays so."""

    def as_of(self, now: datetime | None) -> "Hold | None":
        """Return the hold as it was known at ``now`` (None: by all that is known), or None if it was not, or no more.

        One that was lifted ended then.
        """
        if now is not None and now < self.placed_at:
            return None
        if self.lifted_at is None or (now is not None and now < self.lifted_at):
            return self
        return replace(self, end=min(self.end, self.lifted_at)) if self.start < self.lifted_at else None


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What one cluster must keep: the rules of its zone and every zone above, made one, and their holds."""

    zone: ZoneInfo
    rules: LocalRules = LocalRules()
    holds: tuple[Hold, ...] = ()
    """By start."""
    earlier: tuple[tuple[datetime, LocalRules], ...] = ()
    """What the rules were before, each until an instant, oldest first."""

    @property
    def counts(self) -> bool:
        """True if a rule counts, or one did before."""
        return self.rules.counts or any(rules.counts for _, rules in self.earlier)

    def as_of(self, now: datetime | None) -> "InForce":
        """Return it as it was known at ``now``; None: by all that is known."""
        holds = tuple(hold for each in self.holds if (hold := each.as_of(now)) is not None)
        rules = self.rules
        if now is not None:
            rules = next((before for until, before in self.earlier if now < until), rules)
        if holds == self.holds and rules is self.rules and not self.earlier:
            return self
        return replace(self, holds=holds, rules=rules, earlier=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """Which rule stops a slot, and what that rule says."""

    rule: Rule
    hours: Hours | None = None
    """Of ``quiet_hours``."""
    hold: Hold | None = None
    """Of ``hold``."""
    limit: timedelta | int | None = None
    """Of the rules that count."""


def combine(rules: Iterable[LocalRules]) -> LocalRules:
    """Return the rules that keep all of ``rules``: those of a zone and of every zone above it, in any order.

    A lower zone can only be stricter: what one silences nobody opens, and of two limits the narrower binds.
    """
    said = tuple(rules)
    weekdays = [each.weekdays for each in said if each.weekdays is not None]
    return LocalRules(
        quiet=tuple(sorted({hours for each in said for hours in each.quiet})),
        weekdays=frozenset.intersection(*weekdays) if weekdays else None,
        longest_session=min((each.longest_session for each in said if each.longest_session is not None), default=None),
        most_a_day=min((each.most_a_day for each in said if each.most_a_day is not None), default=None),
        sessions_a_day=min((each.sessions_a_day for each in said if each.sessions_a_day is not None), default=None),
        gap=max((each.gap for each in said if each.gap is not None), default=None),
        loudest=tuple(sorted({loudest for each in said for loudest in each.loudest})),
    )


def stops(start: datetime, end: datetime, in_force: InForce) -> Breach | None:
    """Return what stops a slot in ``[start, end)`` whatever else sounds: a hold, the weekday or quiet hours.

    It is stopped if it touches any of them, even by a second: it keeps the weekdays of every local day that it
    touches. One that ends as quiet hours begin is not stopped. Hours mean what the clocks on the wall show: an
    hour that comes twice is quiet both times, one that the clocks leave out silences nothing.

    Args:
        start: Aware instant.
        end: Aware instant, after ``start``.
        in_force: What the cluster must keep; emergencies are the caller's affair.

    Raises:
        ValueError: An instant is naive. A caller's mistake.
    """
    return next(_breaches(start, end, in_force), None)


def breaks(start: datetime, end: datetime, in_force: InForce) -> tuple[Rule, ...]:
    """Return every rule for which ``stops`` would stop the slot: what an emergency passes. Raises as ``stops``."""
    return tuple(breach.rule for breach in _breaches(start, end, in_force))


def highest_volume(start: datetime, end: datetime, in_force: InForce) -> int:
    """Return how loud, in percent, a slot may be: the lowest limit of hours that it touches. Raises as ``stops``."""
    require_aware(start, end)
    if not in_force.rules.loudest:
        return 100
    shown = pieces(start, end, in_force.zone)
    return min((one.volume for one in in_force.rules.loudest if _touches(one.hours, shown)), default=100)


def _breaches(start: datetime, end: datetime, in_force: InForce) -> Iterator[Breach]:
    """Yield at most one breach of each rule that looks at the slot alone."""
    require_aware(start, end)
    for hold in in_force.holds:
        if hold.start < end and start < hold.end:
            yield Breach(rule=Rule.HOLD, hold=hold)
            break
    rules = in_force.rules
    if not rules.quiet and rules.weekdays is None:
        return
    shown = pieces(start, end, in_force.zone)
    if rules.weekdays is not None and any(day.weekday() not in rules.weekdays for day, _, _ in shown):
        yield Breach(rule=Rule.WEEKDAY)
    for hours in rules.quiet:
        if _touches(hours, shown):
            yield Breach(rule=Rule.QUIET_HOURS, hours=hours)
            break


def _touches(hours: Hours, shown: Iterable[Piece]) -> bool:
    """Say whether clocks that show this show any time in ``hours``."""
    opens, closes = hours.start, hours.end
    for _, begin, end in shown:
        before_close, after_open = begin < closes, end is None or end > opens
        if (before_close and after_open) if opens < closes else (before_close or after_open):
            return True
    return False
