"""Years, months and weeks as the Gregorian and the Vietnamese lunar calendar name them.

A day is its number here, ``date.toordinal()``: 1 was a Monday. The lunar calendar reaches from
``lunar.FIRST_DAY`` to ``lunar.LAST_DAY``; beyond them it has no months.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

from schedules import lunar
from schedules.rrule import Frequency, Rule, Scale, Skip

__all__ = [
    "LAST",
    "DayTest",
    "Month",
    "day_tests",
    "days_of_month",
    "is_covered",
    "is_made_of_year_days",
    "month_of",
    "months_meant",
    "week",
    "year",
    "year_days_of",
]

LAST: Final = date.max.toordinal()
"""The last day that a ``date`` can be."""

DayTest = Callable[[int], bool]
"""Whether a rule means a day, by one part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A month of one calendar."""

    first: int
    """Its first day."""
    length: int
    """In days."""
    year: int
    number: int
    """1 to 12; a leap month has the number of the month that it follows."""
    leap: bool
    index: int
    """Months counted on from any fixed origin."""

    @property
    def last(self) -> int:
        """Its last day."""
        return self.first + self.length - 1


def is_covered(scale: Scale, day: int) -> bool:
    """Return whether the calendar has a name for the day."""
    return scale is Scale.GREGORIAN or lunar.is_covered(date.fromordinal(day))


def year(scale: Scale, day: int) -> int:
    """Return the year that the day lies in; of a day that the calendar does not cover, the nearest that it does."""
    if scale is Scale.GREGORIAN:
        return date.fromordinal(day).year
    return lunar.lunar_date(min(max(date.fromordinal(day), lunar.FIRST_DAY), lunar.LAST_DAY)).year


def month_of(scale: Scale, day: int) -> Month:
    """Return the month that the day lies in. ValueError if the calendar does not cover it: a caller's mistake."""
    for month in _months(scale, year(scale, day)):
        if month.first <= day <= month.last:
            return month
    raise ValueError(f"{date.fromordinal(day)} is outside the calendar {scale}")


@lru_cache(maxsize=1024)
def _months(scale: Scale, year: int) -> tuple[Month, ...]:
    return tuple((_gregorian if scale is Scale.GREGORIAN else _lunar)(year))


def _gregorian(year: int) -> Iterator[Month]:
    if not date.min.year <= year <= date.max.year:
        return
    for number in range(1, 13):
        first = date(year, number, 1).toordinal()
        end = LAST + 1 if (year, number) == (9999, 12) else date(year + number // 12, number % 12 + 1, 1).toordinal()
        yield Month(first=first, length=end - first, year=year, number=number, leap=False, index=year * 12 + number)


def _lunar(year: int) -> Iterator[Month]:
    if not lunar.lunar_date(lunar.FIRST_DAY).year <= year <= lunar.lunar_date(lunar.LAST_DAY).year:
        return
    first = lunar.solar_date(lunar.LunarDate(year=year, month=1, day=1)).toordinal()
    index = lunar.month_number(date.fromordinal(first))
    for number in range(1, 13):
        for leap in (False, True) if lunar.leap_month(year) == number else (False,):
            length = lunar.month_length(year, number, leap)
            yield Month(first=first, length=length, year=year, number=number, leap=leap, index=index)
            first, index = first + length, index + 1


def months_meant(rule: Rule, year: int) -> tuple[Month, ...]:
    """Return the months that BYMONTH means of a year, rising; all of them if there is no such part.

    SKIP stands another month in for a leap month that the year has not; 12L may be the first of the next year.
    """
    if not (rule.months or rule.leap_months):
        return _months(rule.scale, year)
    return _named_months(rule.scale, rule.skip, rule.months, rule.leap_months, year)


@lru_cache(maxsize=1024)
def _named_months(
    scale: Scale, skip: Skip, ordinary: frozenset[int], leap: frozenset[int], year: int
) -> tuple[Month, ...]:
    months = _months(scale, year)
    missing = leap - {month.number for month in months if month.leap}
    if skip is Skip.BACKWARD:
        ordinary |= missing
    if skip is Skip.FORWARD:
        ordinary |= {number + 1 for number in missing}
        if 13 in ordinary:
            months += _months(scale, year + 1)[:1]
    return tuple(
        month for month in months if month.number + 12 * (month.year - year) in (leap if month.leap else ordinary)
    )


def _resolved(positions: Iterable[int], length: int, skip: Skip) -> set[int]:
    """Return positions in a month or year of ``length`` days, counted from 1 or from −1, as counted from 1.

    One that is not there is left out, or by SKIP the next before it or after it, which lies outside (0, or
    ``length`` + 1) where it must.
    """
    found = set()
    for position in positions:
        forward = position if position > 0 else length + 1 + position
        if 1 <= forward <= length:
            found.add(forward)
        elif skip is Skip.BACKWARD:
            found.add(min(max(forward, 0), length))
        elif skip is Skip.FORWARD:
            found.add(min(max(forward, 1), length + 1))
    return found


def days_of_month(rule: Rule, month: Month) -> Sequence[int]:
    """Return the days that BYMONTHDAY means of a month, rising; all of them if there is no such part."""
    if not rule.month_days:
        return range(month.first, month.last + 1)
    positions = _resolved(rule.month_days, month.length, rule.skip)
    return [month.first - 1 + position for position in sorted(positions)]


def is_made_of_year_days(rule: Rule) -> bool:
    """Return whether SKIP may stand other days in for days of the year."""
    return bool(rule.year_days) and not rule.month_days and rule.skip is not Skip.OMIT


def year_days_of(rule: Rule, year: int) -> list[int]:
    """Return the days that BYYEARDAY, then BYMONTH, mean of a Gregorian year."""
    new_year, end = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
    days = (new_year - 1 + position for position in _resolved(rule.year_days, end - new_year + 1, rule.skip))
    months = rule.months or range(1, 13)
    return [day for day in days if 1 <= day <= LAST and date.fromordinal(day).month in months]


def day_tests(rule: Rule, start: int) -> Iterator[DayTest]:
    """Yield what a day must pass beside BYMONTH and BYMONTHDAY, the cheapest first.

    Args:
        rule: A rule that leaves nothing open.
        start: The day from which INTERVAL counts.
    """
    plain = {weekday for which, weekday in rule.weekdays if which == 0}
    if rule.interval > 1 and rule.frequency is Frequency.DAILY:
        yield lambda day: (day - start) % rule.interval == 0
    if rule.interval > 1 and rule.frequency is Frequency.WEEKLY:
        yield lambda day: (week(rule, day) - week(rule, start)) % rule.interval == 0
    if len(plain) < len(rule.weekdays):
        yield lambda day: not rule.weekdays.isdisjoint(_weekday_names(rule, day))
    elif plain:
        yield lambda day: (day - 1) % 7 in plain
    if rule.year_days and not is_made_of_year_days(rule):
        yield lambda day: not rule.year_days.isdisjoint(_both_ends(*_year_day(day)))
    if rule.week_numbers:
        yield lambda day: not rule.week_numbers.isdisjoint(_week_numbers(rule, day))


def week(rule: Rule, day: int) -> int:
    """Return the weeks counted on from a fixed origin, each from WKST."""
    return (day - 1 - rule.week_start) // 7


def _weekday_names(rule: Rule, day: int) -> tuple[tuple[int, int], ...]:
    """Return the names that BYDAY may call the day by: MO, 2MO, -3MO, numbered in the Gregorian month or year."""
    on, weekday = date.fromordinal(day), (day - 1) % 7
    if rule.frequency is Frequency.MONTHLY or rule.months:
        month = _months(Scale.GREGORIAN, on.year)[on.month - 1]
        position, length = on.day, month.length
    else:
        position, length = _year_day(day)
    return (0, weekday), ((position + 6) // 7, weekday), (-((length - position) // 7 + 1), weekday)


def _week_numbers(rule: Rule, day: int) -> tuple[int, int]:
    """Return the number of the day's week, from both ends of the year that most of that week lies in."""
    position, length = _year_day(min(day + 3 - (day - 1 - rule.week_start) % 7, LAST))
    return (position + 6) // 7, -((length - position) // 7 + 1)


def _year_day(day: int) -> tuple[int, int]:
    """Return the position of the day in its Gregorian year, from 1, and the length of that year."""
    months = _months(Scale.GREGORIAN, date.fromordinal(day).year)
    before = months[0].first - 1
    return day - before, months[-1].last - before


def _both_ends(position: int, length: int) -> tuple[int, int]:
    """Return a position counted from 1 at the beginning, and from −1 at the end."""
    return position, position - length - 1
