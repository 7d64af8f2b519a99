"""What a recurrence says of days and times, in one form for all the ways of writing the same."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from typing import Final

from schedules.expansion import expand
from schedules.recurrence import Every, Recurrence
from schedules.recurrence_check import HORIZON_YEARS
from schedules.rrule import Frequency, Rule, Scale
from schedules.sentences.language import Days

__all__ = [
    "FINER_THAN_DAYS",
    "counts_by_the_moon",
    "days_of",
    "ends_of_day",
    "first_time",
    "in_order",
    "times_of",
    "week_start_matters",
]

FINER_THAN_DAYS: Final = (Frequency.HOURLY, Frequency.MINUTELY, Frequency.SECONDLY)
_MADE_OF_MONTHS: Final = (Frequency.YEARLY, Frequency.MONTHLY)


def days_of(rule: Rule) -> Days:
    """Return the days that a completed rule means; of INTERVAL, BYSETPOS and WKST they say nothing."""
    plain = {weekday for which, weekday in rule.weekdays if not which}
    named = {(which, weekday) for which, weekday in rule.weekdays if which and weekday not in plain}
    return Days(
        months=tuple(sorted(rule.months)),
        leap_months=tuple(sorted(rule.leap_months)),
        lunar=rule.scale is Scale.VIETNAMESE,
        skip=rule.skip,
        month_days=in_order(rule.month_days),
        year_days=in_order(rule.year_days),
        weeks=in_order(rule.week_numbers),
        weekdays=tuple(sorted(plain)) if len(plain) < 7 else (),
        numbered=tuple(sorted(named, key=lambda name: (name[0] < 0, *name))) if len(plain) < 7 else (),
        numbered_in_year=rule.frequency is not Frequency.MONTHLY and not rule.months,
    )


def in_order(positions: Iterable[int]) -> tuple[int, ...]:
    """Return positions as they are told: from the beginning on, then to the end: 1, 15, −2, −1."""
    return tuple(sorted(positions, key=lambda position: (position < 0, position)))


def first_time(recurrence: Recurrence, rule: Rule) -> datetime:
    """Return the first time that the rule means, from which an interval or a count is understood.

    Where nothing comes within ``HORIZON_YEARS``, the start.
    """
    start, every = recurrence.start, recurrence.every
    clock = None if every is None else times_of(every)
    horizon = start + timedelta(days=366 * HORIZON_YEARS)
    return next(expand(rule, start, start, horizon, clock), start)


def times_of(every: Every) -> list[time]:
    """Return the times of day that are meant, rising, to the second."""
    first, last = (t.hour * 3600 + t.minute * 60 + t.second for t in (every.first, every.last))
    return [time(s // 3600, s // 60 % 60, s % 60) for s in range(first, last + 1, every.minutes * 60)]


def ends_of_day(recurrence: Recurrence, rule: Rule) -> tuple[time, time]:
    """Return the first and the last time that a completed rule may mean on a day."""
    if recurrence.every is not None:
        times = times_of(recurrence.every)
        return times[0], times[-1]
    first, last = (time(end(rule.hours), end(rule.minutes), end(rule.seconds)) for end in (min, max))
    return first, last


def week_start_matters(rule: Rule, days: Days) -> bool:
    """Return whether another first day of the week would give other times."""
    if rule.frequency is Frequency.WEEKLY:
        return len(days.weekdays) != 1 and (rule.interval > 1 or bool(rule.positions))
    return bool(days.weeks)


def counts_by_the_moon(rule: Rule) -> bool:
    """Return whether its periods are lunar months or years."""
    return rule.scale is Scale.VIETNAMESE and rule.frequency in _MADE_OF_MONTHS
