"""The parts of the sentence that says when a recurrence is heard, and what a language must have a phrase for.

``describing`` decides which parts a recurrence needs and in which order they stand; a ``Language`` says each of
them. So the sentences of two languages never differ in what they tell.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Protocol

from schedules.rrule import Frequency, Skip

__all__ = ["FEW", "Days", "Language", "clock_time", "joined", "runs"]

FEW: Final = 5
"""Single dates that a sentence lists; more of them are counted."""
_LEAST_RUN: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """The days that a rule means: those that pass each part that is there. Numbers are in the order of telling.

    Negative numbers count from the end of the month or year, −1 is the last.
    """

    months: tuple[int, ...] = ()
    leap_months: tuple[int, ...] = ()
    """Lunar: those that follow the month of this number. Beside ``months``, not among them."""
    lunar: bool = False
    skip: Skip = Skip.OMIT
    """What is heard instead of a day, or a leap month, that is not there; OMIT: nothing."""
    month_days: tuple[int, ...] = ()
    year_days: tuple[int, ...] = ()
    weeks: tuple[int, ...] = ()
    weekdays: tuple[int, ...] = ()
    """Monday is 0. Never all seven: that is no condition."""
    numbered: tuple[tuple[int, int], ...] = ()
    """(which one, weekday); a day passes if ``weekdays`` or ``numbered`` have it."""
    numbered_in_year: bool = False
    """``numbered`` counts in the year, not in the month."""
    in_longer_periods: bool = False
    """``weekdays`` are told beside a number of months or years, each of which has several of each."""

    @property
    def may_lack(self) -> bool:
        """Whether there is a month, or else a year, without one of the numbered days."""
        if self.month_days:
            return max(map(abs, self.month_days)) > (29 if self.lunar else 28)
        return max(map(abs, self.year_days), default=0) > 365

    @property
    def in_months(self) -> bool:
        """Whether some months are named."""
        return bool(self.months or self.leap_months)


class Language(Protocol):
    """A phrase for each part. ``every`` says that nothing else tells how often: "on Mondays" is "every Monday".

    Phrases have no capital at their start, no comma and no stop at either end.
    """

    def times(self, times: Sequence[time]) -> str:
        """Return "at 5:00 and 17:00"."""

    def minutes_of_hours(self, hours: Sequence[int], minutes: Sequence[int], seconds: Sequence[int]) -> str:
        """Return "at minutes 0 and 30 of the hours 5–9"; all 24 or all 60 of them are "every"."""

    def stretch(self, minutes: int, first: time, last: time) -> str:
        """Return "every 15 minutes from 6:30 to 8:15"."""

    def weekdays(self, days: Days, *, every: bool) -> str:
        """Return "every Monday and on the first Tuesday of every month", or every day if none is named."""

    def month_days(self, days: Days, *, every: bool) -> str:
        """Return "on the 1st and 15th of every month"."""

    def year_days(self, days: Days, *, every: bool) -> str:
        """Return "on the 100th day of every year"."""

    def weeks(self, days: Days, *, every: bool) -> str:
        """Return "on Monday of week 20 every year"."""

    def months(self, days: Days) -> str:
        """Return "in June and July"."""

    def at_interval(self, clock: str, interval: int, unit: Frequency, on: str, *, lunar: bool) -> str:
        """Return "at 5:00 every 2 weeks on Mondays"; ``clock`` and ``on`` are phrases, or empty."""

    def minutes(self, minutes: Sequence[int]) -> str:
        """Return "at minutes 0 and 30"."""

    def hours(self, hours: Sequence[int]) -> str:
        """Return "in the hours 6 and 7"."""

    def only(self, phrase: str) -> str:
        """Return "only on Mondays"; ``phrase`` is one of the above with ``every`` false."""

    def positions(self, positions: Sequence[int], unit: Frequency, *, lunar: bool) -> str:
        """Return "only the last time in each month"."""

    def week_start(self, weekday: int) -> str:
        """Return "weeks beginning on Sunday"."""

    def once(self, clock: str, day: date) -> str:
        """Return "at 5:00 on 23 November 2026"."""

    def beginning(self, first: date | datetime) -> str:
        """Return "from 23 November 2026", with its hour if it has one."""

    def count(self, count: int) -> str:
        """Return "10 times"."""

    def until(self, last: date | datetime) -> str:
        """Return "until the end of 31 December 2026", or until an hour; an aware time is UTC."""

    def only_types(self, names: Sequence[str]) -> str:
        """Return "only on days of type “ngày làm việc”"."""

    def not_types(self, names: Sequence[str]) -> str:
        """Return "except on days of type “ngày lễ”"."""

    def added(self, times: Sequence[datetime]) -> str:
        """Return "also at 9:00 on 1 January 2027"; more than ``FEW`` are counted."""

    def excluded(self, times: Sequence[datetime]) -> str:
        """Return "except at 5:00 on 1 January 2027"; more than ``FEW`` are counted."""

    def excluded_days(self, runs: Sequence[tuple[date, date]]) -> str:
        """Return "except on 1 January 2027 and from 5 to 9 March"; more than ``FEW`` runs are counted as days."""

    def duration(self, duration: timedelta, *, each: bool) -> str:
        """Return "at most 15 minutes each"; ``each`` where it is heard more than once."""


def joined(words: Sequence[str], last: str) -> str:
    """Return "a, b and c"; ``last`` is the word between the last two."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def runs(numbers: Iterable[int], word: Callable[[int], str] = str) -> list[str]:
    """Return the words of rising positive numbers; from four in a row on they are one: 1, 2, 5–9."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    words: list[str] = []
    for run in found:
        words += [f"{word(run[0])}–{word(run[-1])}"] if len(run) >= _LEAST_RUN else map(word, run)
    return words


def clock_time(t: time) -> str:
    """Return "5:00", with seconds only if there are any."""
    return f"{t.hour}:{t:%M:%S}" if t.second else f"{t.hour}:{t:%M}"
