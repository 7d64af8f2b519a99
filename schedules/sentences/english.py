"""English, with the 24-hour clock and dates written out, so that 3/4 is never read two ways."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

from schedules.rrule import Frequency, Skip
from schedules.sentences.language import FEW, Days, Language, clock_time, joined, runs

__all__ = ["ENGLISH"]

_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONDAY_TO_FRIDAY: Final = (0, 1, 2, 3, 4)
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_ORDINALS: Final = (
    *("", "first", "second", "third", "fourth", "fifth"),
    *("sixth", "seventh", "eighth", "ninth", "tenth"),
)
_UNITS: Final = {
    Frequency.YEARLY: "year",
    Frequency.MONTHLY: "month",
    Frequency.WEEKLY: "week",
    Frequency.DAILY: "day",
    Frequency.HOURLY: "hour",
    Frequency.MINUTELY: "minute",
    Frequency.SECONDLY: "second",
}


class _English(Language):
    def times(self, times: Sequence[time]) -> str:
        return f"at {_and([clock_time(t) for t in times])}"

    def minutes_of_hours(self, hours: Sequence[int], minutes: Sequence[int], seconds: Sequence[int]) -> str:
        words = [f"at {_several('second', runs(seconds))}"] if any(seconds) else []
        words.append("every minute" if len(minutes) == 60 else "at " * (not words) + _several("minute", runs(minutes)))
        words.append("every hour" if len(hours) == 24 else f"the {_several('hour', runs(hours))}")
        return " of ".join(words)

    def stretch(self, minutes: int, first: time, last: time) -> str:
        return f"every {_counted(minutes, 'minute')} from {clock_time(first)} to {clock_time(last)}"

    def weekdays(self, days: Days, *, every: bool) -> str:
        weekly = [_plain_weekdays(days, every=every)] if days.weekdays or not days.numbered else []
        named = [_numbered(days, every=every)] if days.numbered else []
        return _and(weekly + named)

    def month_days(self, days: Days, *, every: bool) -> str:
        counted = _places(days.month_days, "day")
        if not days.in_months:
            period = f"of {'every' if every else 'the'} {'lunar ' * days.lunar}month"
            return f"on {counted} {period}" + _skipped(days)
        if len(days.month_days) == 1 and days.month_days[0] > 0 and len(days.months) == 1 and not days.lunar:
            said = f"on {days.month_days[0]} {_months(days)}"
        else:
            said = f"on {counted} of {_months(days)}"
        return said + " every year" * every + _no_leap_month(days) + _skipped(days)

    def year_days(self, days: Days, *, every: bool) -> str:
        counted = _places(days.year_days, "day", named=True)
        return f"on {counted} of {'every' if every else 'the'} year" + _skipped(days)

    def weeks(self, days: Days, *, every: bool) -> str:
        first = runs(week for week in days.weeks if week > 0)
        last = [f"the {_from_end(week)} week" for week in days.weeks if week < 0]
        weeks = _and(([_several("week", first)] if first else []) + last)
        on = f"on {_weekday_list(days.weekdays)}" if days.weekdays else "on every day"
        return f"{on} of {weeks} of {'every' if every else 'the'} year"

    def months(self, days: Days) -> str:
        return f"in {_months(days)}" + _no_leap_month(days)

    def at_interval(self, clock: str, interval: int, unit: Frequency, on: str, *, lunar: bool) -> str:
        clock += "," * clock.startswith("every")
        return " ".join(filter(None, (clock, f"every {_counted(interval, 'lunar ' * lunar + _UNITS[unit])}", on)))

    def minutes(self, minutes: Sequence[int]) -> str:
        return f"at {_several('minute', runs(minutes))}"

    def hours(self, hours: Sequence[int]) -> str:
        return f"in the {_several('hour', runs(hours))}"

    def only(self, phrase: str) -> str:
        return f"only {phrase}"

    def positions(self, positions: Sequence[int], unit: Frequency, *, lunar: bool) -> str:
        first = [f"the {_ordinal(position)}" for position in positions if position > 0]
        last = [f"the {_from_end(position)}" for position in positions if position < 0]
        return f"only {_and(first + last)} time in each {'lunar ' * lunar}{_UNITS[unit]}"

    def week_start(self, weekday: int) -> str:
        return f"weeks beginning on {_WEEKDAYS[weekday]}"

    def once(self, clock: str, day: date) -> str:
        return f"{clock} on {_date(day)}"

    def beginning(self, first: date | datetime) -> str:
        return f"from {_moment(first)}"

    def count(self, count: int) -> str:
        return "once" if count == 1 else f"{count} times"

    def until(self, last: date | datetime) -> str:
        if not isinstance(last, datetime):
            return f"until the end of {_date(last)}"
        return f"until {_moment(last)}" + " (UTC)" * (last.tzinfo is not None)

    def only_types(self, names: Sequence[str]) -> str:
        return f"only on days of type {joined([f'“{name}”' for name in names], 'or')}"

    def not_types(self, names: Sequence[str]) -> str:
        return f"except on days of type {_and([f'“{name}”' for name in names])}"

    def added(self, times: Sequence[datetime]) -> str:
        return f"also {_moments(times)}"

    def excluded(self, times: Sequence[datetime]) -> str:
        return f"except {_moments(times)}"

    def excluded_days(self, runs: Sequence[tuple[date, date]]) -> str:
        if len(runs) > FEW:
            number = sum((last - first).days + 1 for first, last in runs)
            return f"except on {number} days between {_date(runs[0][0])} and {_date(runs[-1][1])}"
        return "except " + _and([f"on {_date(a)}" if a == b else f"from {_date(a)} to {_date(b)}" for a, b in runs])

    def duration(self, duration: timedelta, *, each: bool) -> str:
        seconds = duration // timedelta(seconds=1)
        parts = ((seconds // 3600, "hour"), (seconds // 60 % 60, "minute"), (seconds % 60, "second"))
        return "at most " + " ".join(_counted(number, unit) for number, unit in parts if number) + " each" * each


ENGLISH: Final[Language] = _English()


def _and(words: Sequence[str]) -> str:
    return joined(words, "and")


def _several(noun: str, numbers: Sequence[str]) -> str:
    many = len(numbers) > 1 or not numbers[0].isdigit()
    return f"{noun}{'s' * many} {_and(numbers)}"


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}{'s' * (number != 1)}"


def _ordinal(position: int) -> str:
    return _ORDINALS[position] if position < len(_ORDINALS) else _th(position)


def _th(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _from_end(position: int) -> str:
    return "last" if position == -1 else f"{_ordinal(-position)} last"


def _places(positions: Sequence[int], noun: str, *, named: bool = False) -> str:
    """Return "the 1st and 15th and the last day"; the noun follows the former too if it is ``named``."""
    first = runs((position for position in positions if position > 0), _th)
    last = [f"the {_from_end(position)} {noun}" for position in positions if position < 0]
    counted = [f"the {_and(first)}{f' {noun}' * named}"] if first else []
    return _and(counted + last)


def _date(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _moment(t: date | datetime) -> str:
    return f"{clock_time(t.time())} on {_date(t)}" if isinstance(t, datetime) else _date(t)


def _moments(times: Sequence[datetime]) -> str:
    if len(times) > FEW:
        return f"{len(times)} times between {_date(times[0])} and {_date(times[-1])}"
    return f"at {_and([_moment(t) for t in times])}"


def _weekday_list(weekdays: Sequence[int], ending: str = "") -> str:
    return _and([_WEEKDAYS[weekday] + ending for weekday in weekdays])


def _plain_weekdays(days: Days, *, every: bool) -> str:
    months = f" {ENGLISH.months(days)}" if days.in_months else ""
    absent = [weekday for weekday in range(7) if weekday not in days.weekdays]
    if not days.weekdays:
        return "on " * (not every) + f"every day{months}"
    if len(absent) == 1 and not days.numbered:
        other = _WEEKDAYS[absent[0]]
        return f"every day{months} except {other}" if every else f"on days{months} other than {other}"
    if days.weekdays == _MONDAY_TO_FRIDAY:
        return "on days " * (not every) + f"from Monday to Friday{months}"
    if every:
        return f"every {_weekday_list(days.weekdays)}{months}"
    return f"on {_weekday_list(days.weekdays, 's')}{months}"


def _numbered(days: Days, *, every: bool) -> str:
    named = [
        f"the {_ordinal(which) if which > 0 else _from_end(which)} {_WEEKDAYS[weekday]}"
        for which, weekday in days.numbered
    ]
    if days.in_months:
        return f"on {_and(named)} of {_months(days)}" + " every year" * every
    return f"on {_and(named)} of {'every' if every else 'the'} {'year' if days.numbered_in_year else 'month'}"


def _months(days: Days) -> str:
    if not days.lunar:
        return _and([_MONTHS[month - 1] for month in days.months])
    ordinary, leap = runs(days.months), [str(month) for month in days.leap_months]
    return _and(
        [_several(noun, numbers) for noun, numbers in (("lunar month", ordinary), ("leap month", leap)) if numbers]
    )


def _no_leap_month(days: Days) -> str:
    if not days.leap_months or days.skip is Skip.OMIT:
        return ""
    following = {month: f"{month + 1}" if month < 12 else "1 of the next" for month in days.leap_months}
    stand_in = [
        f"in years without a leap month {month}, month {month if days.skip is Skip.BACKWARD else following[month]}"
        for month in days.leap_months
    ]
    return f" ({'; '.join(stand_in)})"


def _skipped(days: Days) -> str:
    if not days.may_lack or days.skip is Skip.OMIT:
        return ""
    backward = days.skip is Skip.BACKWARD
    if days.lunar and min(days.month_days) > 0:
        return f" (in short months on {'the 29th' if backward else 'the 1st of the next'})"
    period = "month" if days.month_days else "year"
    return f" (in a {period} without that day on the nearest day {'before' if backward else 'after'} it)"
