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
from schedules.lunar import FIRST_DAY, LAST_DAY, is_covered
from schedules.rrule import Frequency, RecurrenceError, Rule, Scale, parse

__all__ = ["HORIZON_YEARS", "MOST_EXCLUSIONS", "Every", "Recurrence", "RecurrenceError", "check", "starts"]

HORIZON_YEARS: Final = 20
"""How long after its start a recurrence may be silent. 29 February is at most eight years off (from 2096), a leap
month of the lunar calendar mostly less than twenty; whoever names one that is further off adds SKIP."""

MOST_EXCLUSIONS: Final = 400
"""Times, and days, that may be left out, and times that may be added: each day of a year, so that ``check``
ends soon whatever is sent."""

_YEARS: Final = range(1970, 3000)
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
        recurrence: One that ``check`` accepts.
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


def check(recurrence: Recurrence, zone: ZoneInfo, days: DayTypes = NO_DAY_TYPES) -> None:
    """Do nothing if the recurrence can be followed. Takes bounded time, whatever is sent.

    Raises:
        RecurrenceError: ``bad_rule``, ``too_often``, ``bad_start``, ``bad_every``, ``bad_duration``,
            ``too_many_exclusions``, ``unknown_day_type``, or ``never_fires``: none within ``HORIZON_YEARS`` of
            the start. The sender's mistake.
        ValueError: A time of it is aware. A caller's mistake: translate it to local time first.
    """
    every, times = recurrence.every, (recurrence.start, recurrence.until, *recurrence.added, *recurrence.excluded)
    if any(t is not None and t.tzinfo for t in (*times, *((every.first, every.last) if every else ()))):
        raise ValueError("the times of a recurrence are local; translate aware ones first")
    rule = None if recurrence.rule is None else parse(recurrence.rule)
    _refuse_out_of_bounds(recurrence)
    if rule is not None:
        _refuse_bad_rule(recurrence, rule)
    if every is not None:
        _refuse_bad_every(every, rule)
    _refuse_unknown_types(recurrence, days)
    _refuse_silence(recurrence, zone, days)


def _refuse_out_of_bounds(recurrence: Recurrence) -> None:
    for part, t in (("start", recurrence.start), *(("added", t) for t in recurrence.added)):
        if t.year not in _YEARS:
            said = f"{part.capitalize()} {t.isoformat()} is not in the years {_YEARS[0]} to {_YEARS[-1]}; correct it."
            raise RecurrenceError("bad_start", said, start=t.isoformat(), part=part)
    for part in ("excluded", "excluded_days", "added"):
        if len(getattr(recurrence, part)) > MOST_EXCLUSIONS:
            said = f"More than {MOST_EXCLUSIONS} are in {part}; send fewer, with another rule or a day type."
            raise RecurrenceError("too_many_exclusions", said, most=MOST_EXCLUSIONS, part=part)
    duration = recurrence.duration
    if duration is not None and (not timedelta() < duration <= _DAY or duration.microseconds):
        said = f"The duration {duration} is not one second to one day, in whole seconds; correct it or leave it out."
        raise RecurrenceError("bad_duration", said, duration_seconds=duration.total_seconds())


def _refuse_bad_rule(recurrence: Recurrence, rule: Rule) -> None:
    if rule.is_too_often:
        part, said = "BYSECOND", "BYSECOND has several seconds of one minute; keep one of them."
        if rule.frequency is Frequency.SECONDLY:
            part, said = "FREQ", "FREQ=SECONDLY may fire every second; use MINUTELY or a rarer frequency."
        raise RecurrenceError("too_often", said, rule=recurrence.rule, part=part)
    for part, value in (("COUNT", rule.count), ("UNTIL", rule.until)):
        if value is not None and recurrence.until is not None:
            said = f"{part} in the rule and until beside it both say when it ends; keep one."
            raise RecurrenceError("bad_rule", said, rule=recurrence.rule, part=part)
    if rule.scale is Scale.VIETNAMESE and not is_covered(recurrence.start.date()):
        start = recurrence.start.isoformat()
        said = f"Start {start} is not in the lunar table, {FIRST_DAY} to {LAST_DAY}; correct it, or leave RSCALE out."
        raise RecurrenceError("bad_start", said, start=start, part="start")


def _refuse_bad_every(every: Every, rule: Rule | None) -> None:
    if every.minutes < 1:
        said = f"Every {every.minutes} minutes gives times less than a minute apart; say 1 to {_MINUTES} minutes."
        raise RecurrenceError("too_often", said, rule=None, part="minutes")
    if every.minutes > _MINUTES:
        raise _bad_every("minutes", f"Every {every.minutes} minutes is more than a day; say 1 to {_MINUTES} minutes.")
    if every.last < every.first:
        raise _bad_every("last", f"The last time, {every.last}, is before the first, {every.first}; exchange them.")
    if rule is not None and rule.frequency in (Frequency.HOURLY, Frequency.MINUTELY):
        said = f"FREQ={rule.frequency} and every both say how often in a day; use FREQ=DAILY, or leave every out."
        raise _bad_every("FREQ", said)
    clock = () if rule is None else (("BYHOUR", rule.hours), ("BYMINUTE", rule.minutes), ("BYSECOND", rule.seconds))
    for part, values in clock:
        if values:
            raise _bad_every(part, f"{part} and every both say the times of a day; leave one of them out.")


def _bad_every(part: str, sentence: str) -> RecurrenceError:
    return RecurrenceError("bad_every", sentence, part=part)


def _refuse_unknown_types(recurrence: Recurrence, days: DayTypes) -> None:
    for part in ("only_on", "not_on"):
        for type_id in getattr(recurrence, part):
            if type_id not in days:
                said = f"There is no day type {type_id!r}, which {part} names; choose one that exists or add it first."
                raise RecurrenceError("unknown_day_type", said, part=part, day_type=type_id)


def _refuse_silence(recurrence: Recurrence, zone: ZoneInfo, days: DayTypes) -> None:
    begin = _instant(min((recurrence.start, *recurrence.added)), zone) - _DAY
    end = _instant(recurrence.start, zone) + timedelta(days=366 * HORIZON_YEARS)
    if next(starts(recurrence, begin, end, zone, days), None) is None:
        raise RecurrenceError(
            "never_fires",
            f"The recurrence from {recurrence.start.isoformat()} is not heard once in {HORIZON_YEARS} years; look for "
            "a day that does not exist, an end before the start, or exclusions and day types that leave nothing.",
            start=recurrence.start.isoformat(),
            rule=recurrence.rule,
            horizon_years=HORIZON_YEARS,
        )


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
        instant = _instant(local, zone)
        if instant.astimezone(zone).replace(tzinfo=None) != local:
            waiting.append(instant)
            continue
        while waiting and waiting[0] <= instant:
            if (moved := waiting.popleft()) < instant:
                yield moved
        yield instant
    yield from waiting


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    # fold=0 takes the offset before a change both in a gap and in a repeated hour (PEP 495).
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _last(recurrence: Recurrence, zone: ZoneInfo) -> datetime | None:
    until = recurrence.until
    if until is None and recurrence.rule is not None:
        until = parse(recurrence.rule).until
    if until is None or until.tzinfo is not None:
        return until
    # People write 9999 for "for ever"; an instant of that year may lie outside the calendar.
    return _instant(min(max(until, recurrence.start - _DAY), datetime(_YEARS.stop, 1, 1)), zone)
