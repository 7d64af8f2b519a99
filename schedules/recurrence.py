"""When a programme is heard: a recurrence in the commune's local time → instants."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from heapq import merge
from itertools import groupby, takewhile
from typing import Final
from zoneinfo import ZoneInfo

from schedules.days import NO_DAY_TYPES, DayTypes
from schedules.expansion import expand
from schedules.instants import require_aware
from schedules.rrule import RecurrenceError, parse

__all__ = ["YEARS", "Every", "Recurrence", "RecurrenceError", "instant_of", "starts"]

YEARS: Final = range(1970, 3000)
"""Years of the calendar in which a recurrence may begin."""
_MINUTES: Final = 24 * 60  # of a day
_DAY: Final = timedelta(days=1)  # no zone ever moved its clocks by more (Pacific/Apia left out 2011-12-30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """Several times on each day that a rule means: ``first``, and every ``minutes`` after it, up to ``last``."""

    minutes: int
    first: time
    last: time
    """Inclusive, and not before ``first``: a day ends at midnight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """Local times, without a zone: the zone is the commune's and is told to the functions below.

    All times are naive and to the second; fractions are dropped.
    """

    start: datetime
    """The first time; with a rule, the first that it may mean, and what the rule leaves open is as here."""
    rule: str | None = None
    """An RFC 5545 RRULE value such as ``FREQ=DAILY;BYHOUR=5,17``; None for once. With the RSCALE of RFC 7529
    it counts in Vietnamese lunar months: ``RSCALE=VIETNAMESE;FREQ=MONTHLY;BYMONTHDAY=1,15``."""
    until: datetime | None = None
    """The last time that may be meant, inclusive like UNTIL in a rule; not beside UNTIL or COUNT."""
    every: Every | None = None
    """Several times a day instead of the hour of ``start``, none before ``start``; with no rule, or with FREQ=DAILY
    or longer, and not beside BYHOUR, BYMINUTE or BYSECOND. Each of them counts in COUNT."""
    duration: timedelta | None = None
    """The longest that one occurrence may sound; what its sounds exceed is cut. None: as long as they last."""
    added: tuple[datetime, ...] = ()
    """Times beside those of the rule, as RDATE; neither COUNT nor an end counts for them."""
    excluded: tuple[datetime, ...] = ()
    """Times left out, as EXDATE; they count in COUNT."""
    excluded_days: tuple[date, ...] = ()
    """Days left out, whatever the hour."""
    only_on: tuple[str, ...] = ()
    """Ids of day types: only days of one of them; empty: all days. Times left out by it count in COUNT."""
    not_on: tuple[str, ...] = ()
    """Ids of day types on whose days it is not heard."""


def starts(
    recurrence: Recurrence, after: datetime, before: datetime, zone: ZoneInfo, days: DayTypes = NO_DAY_TYPES
) -> Iterator[datetime]:
    """Yield the instants in ``[after, before)``, UTC, strictly rising.

    Where clocks change, one rule holds for every time (RFC 5545 section 3.3.5):

    * A time that does not exist, because clocks go over it, is read with the offset before the change: 02:30
      becomes 03:30 summer time. Section 3.3.10 would leave it out, but a bulletin that is not heard, and
      nobody knows, is worse. If another occurrence has that instant, the two are one.
    * A time that exists twice is heard once, the first time.

    An occurrence is left out by its local time, which is also what tells its day: who leaves out a time that
    is added as well leaves it out. It is ended by its instant: it is heard if that is not after the instant of
    ``until``, whichever of the three forms of UNTIL said it. What is added knows no end.

    Args:
        recurrence: One that ``recurrence_check.check`` accepts.
        after: Aware instant.
        before: Aware instant.
        zone: Where the commune's clocks are set.
        days: Of them ``only_on`` and ``not_on`` speak. No day belongs to a type that is not among them.

    Raises:
        ValueError: An instant is naive. A caller's mistake.
        RecurrenceError: ``bad_rule``; it was not checked.
    """
    require_aware(after, before)
    last = _last(recurrence, zone)
    is_heard_on = _day_test(recurrence, days)
    local_after = after.astimezone(zone).replace(tzinfo=None) - _DAY
    local_before = before.astimezone(zone).replace(tzinfo=None) + _DAY
    excluded = {t.replace(microsecond=0) for t in recurrence.excluded}
    ruled = (t for t in _ruled(recurrence, local_after, local_before, is_heard_on) if t not in excluded)
    added = {t.replace(microsecond=0) for t in recurrence.added if local_after <= t < local_before} - excluded
    of_rule = takewhile(lambda instant: last is None or instant <= last, _instants(ruled, zone))
    of_added = _instants(sorted(t for t in added if is_heard_on(t.date())), zone)
    for instant, _ in groupby(merge(of_rule, of_added)):
        if instant >= before:
            return
        if instant >= after:
            yield instant


def _day_test(recurrence: Recurrence, days: DayTypes) -> Callable[[date], bool]:
    left_out, only_on, not_on = frozenset(recurrence.excluded_days), recurrence.only_on, recurrence.not_on

    def is_heard_on(day: date) -> bool:
        if day in left_out or (only_on and not any(days.includes(type_id, day) for type_id in only_on)):
            return False
        return not (not_on and any(days.includes(type_id, day) for type_id in not_on))

    return is_heard_on


def _ruled(
    recurrence: Recurrence, after: datetime, before: datetime, is_heard_on: Callable[[date], bool]
) -> Iterator[datetime]:
    """Yield the local times of rule and every on the days that are not left out, rising."""
    start, clock = recurrence.start.replace(microsecond=0), _clock(recurrence.every)
    if recurrence.rule is None:
        times = [start] if clock is None else [datetime.combine(start, t) for t in clock]
        yield from (t for t in times if max(start, after) <= t < before and is_heard_on(t.date()))
        return
    rule = parse(recurrence.rule)
    while after < before:
        silent: date | None = None
        for t in expand(rule, start, after, before, clock):
            if is_heard_on(t.date()):
                yield t
            elif t.date() == silent:
                break  # a second time on a silent day: there may be a thousand more, and years of such days
            else:
                silent = t.date()
        else:
            return
        after = _next_heard(silent, before, is_heard_on)


def _next_heard(silent: date, before: datetime, is_heard_on: Callable[[date], bool]) -> datetime:
    days = map(date.fromordinal, range(silent.toordinal() + 1, before.toordinal() + 1))
    heard = next((day for day in days if is_heard_on(day)), None)
    return before if heard is None else datetime.combine(heard, time())


@lru_cache(maxsize=256)
def _clock(every: Every | None) -> tuple[time, ...] | None:
    if every is None:
        return None
    first, last = (t.hour * 3600 + t.minute * 60 + t.second for t in (every.first, every.last))
    return tuple(time(s // 3600, s // 60 % 60, s % 60) for s in range(first, last + 1, every.minutes * 60))


def _instants(times: Iterable[datetime], zone: ZoneInfo) -> Iterator[datetime]:
    """Translate rising local times to strictly rising instants.

    A time in a gap is moved beyond it, possibly past later times: it waits for its turn.
    """
    waiting: deque[datetime] = deque()
    for local in times:
        instant = instant_of(local, zone)
        if instant.astimezone(zone).replace(tzinfo=None) != local:
            waiting.append(instant)
            continue
        while waiting and waiting[0] <= instant:
            if (moved := waiting.popleft()) < instant:
                yield moved
        yield instant
    yield from waiting


def instant_of(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of a local time, as ``starts`` decides where clocks change."""
    # fold=0 takes the offset before a change both in a gap and in a repeated hour (PEP 495).
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _last(recurrence: Recurrence, zone: ZoneInfo) -> datetime | None:
    until = recurrence.until
    if until is None and recurrence.rule is not None:
        until = parse(recurrence.rule).until
    if until is None or until.tzinfo is not None:
        return until
    # People write 9999 for "for ever"; an instant of that year may lie outside the calendar.
    return instant_of(min(max(until, recurrence.start - _DAY), datetime(YEARS.stop, 1, 1)), zone)
