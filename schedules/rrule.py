"""The grammar of RFC 5545 section 3.3.10, with RSCALE and SKIP of RFC 7529: the text of a rule → a ``Rule``, or what
is wrong with it."""

import re
from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from schedules.errors import DomainError

__all__ = ["Frequency", "RecurrenceError", "Rule", "Scale", "Skip", "parse"]


class RecurrenceError(DomainError):
    """A recurrence that cannot be followed.

    ``bad_rule``: not the grammar, or a part that has no place here; fields ``rule`` and ``part``.
    ``too_often``: two times less than a minute apart; fields ``rule`` and ``part``.
    ``bad_start``: a time is outside the calendar that we compute with; fields ``start`` and ``part``.
    ``bad_every``: times of the day that are none, or that the rule says too; field ``part``.
    ``bad_duration``: field ``duration_seconds``.
    ``bad_text``: not the text form of a recurrence; field ``line``, its number, or None.
    ``too_many_exclusions``: fields ``most`` and ``part``.
    ``unknown_day_type``: fields ``part`` and ``day_type``.
    ``never_fires``: no time at all within the horizon; fields ``start``, ``rule`` and ``horizon_years``.
    """

    codes = frozenset({
        "bad_rule", "too_often", "bad_start", "bad_every", "bad_duration", "bad_text", "too_many_exclusions",
        "unknown_day_type", "never_fires",
    })  # fmt: skip


class Frequency(StrEnum):
    """What a rule counts in."""

    YEARLY = "YEARLY"
    MONTHLY = "MONTHLY"
    WEEKLY = "WEEKLY"
    DAILY = "DAILY"
    HOURLY = "HOURLY"
    MINUTELY = "MINUTELY"
    SECONDLY = "SECONDLY"


class Scale(StrEnum):
    """The calendar that years, months and days of the month are of (RSCALE)."""

    GREGORIAN = "GREGORIAN"
    VIETNAMESE = "VIETNAMESE"
    """Lunar. RFC 7529 takes its names from CLDR, which has none for this calendar; CHINESE is another in some years."""


class Skip(StrEnum):
    """What stands for a day or a leap month that is not there, where FREQ is MONTHLY or YEARLY (SKIP)."""

    OMIT = "OMIT"
    BACKWARD = "BACKWARD"
    FORWARD = "FORWARD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A parsed rule; each field is one part of it, and empty means that the part is absent.

    Negative numbers count from the end: ``month_days`` −1 is the last day of the month.
    """

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    """Naive local, or aware where the text says UTC; inclusive."""
    week_start: int = 0
    """Monday is 0, also in ``weekdays``."""
    scale: Scale = Scale.GREGORIAN
    skip: Skip = Skip.OMIT
    months: frozenset[int] = frozenset()
    """Ordinary months."""
    leap_months: frozenset[int] = frozenset()
    """Numbers of the months that leap months follow and are called by: 5 for ``5L``. Part of BYMONTH."""
    week_numbers: frozenset[int] = frozenset()
    year_days: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    weekdays: frozenset[tuple[int, int]] = frozenset()
    """(which one in the month or year, or 0 for each of them; weekday)."""
    hours: frozenset[int] = frozenset()
    minutes: frozenset[int] = frozenset()
    seconds: frozenset[int] = frozenset()
    positions: frozenset[int] = frozenset()

    @property
    def is_too_often(self) -> bool:
        """Whether starts may be less than a minute apart: FREQ=SECONDLY, or several seconds of a minute."""
        return self.frequency is Frequency.SECONDLY or len(self.seconds) > 1


MOST_CHARACTERS: Final = 512
_WEEKDAYS: Final = {name: number for number, name in enumerate(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))}
_DAYS_AND_TIMES: Final = frozenset(
    {"BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND"}
)
# "N/A" in the table of section 3.3.10, which dateutil and others pass over in silence.
_OUT_OF_PLACE: Final = {
    Frequency.YEARLY: frozenset[str](),
    Frequency.MONTHLY: frozenset({"BYWEEKNO", "BYYEARDAY"}),
    Frequency.WEEKLY: frozenset({"BYWEEKNO", "BYYEARDAY", "BYMONTHDAY"}),
    Frequency.DAILY: frozenset({"BYWEEKNO", "BYYEARDAY"}),
    Frequency.HOURLY: frozenset({"BYWEEKNO"}),
    Frequency.MINUTELY: frozenset({"BYWEEKNO"}),
    Frequency.SECONDLY: frozenset({"BYWEEKNO"}),
}
_LONGEST_LUNAR_MONTH: Final = 30


class _Unreadable(Exception):
    """One part is wrong; the message says what it should be."""


@lru_cache(maxsize=4096)
def parse(text: str) -> Rule:
    """Return the rule that ``text`` is, for example ``FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=5,17``.

    Letters may be of either case. UNTIL may be local, UTC (with Z), or a date, which means the whole of that
    day: the RFC binds its form to that of DTSTART, but people and calendars send all three. A rule that is
    too often for loudspeakers is grammar all the same: see ``Rule.is_too_often``.

    Raises:
        RecurrenceError: ``bad_rule``; the sender's mistake.
    """
    parts = _split(text)
    fields: dict[str, Any] = {}
    for part, value in parts.items():
        for field, read in _PARTS[part].items():
            try:
                fields[field] = read(value)
            except _Unreadable as error:
                raise _bad(text, part, f"{part}={value} is not {error}; correct it.") from None
    rule = Rule(**fields)
    _refuse_contradictions(text, rule, parts.keys())
    return rule


def _split(text: str) -> dict[str, str]:
    if not text or len(text) > MOST_CHARACTERS or not text.isascii() or re.search(r"[\s:]", text):
        raise _bad(
            text[:MOST_CHARACTERS],
            None,
            f"A rule is one line of at most {MOST_CHARACTERS} characters such as FREQ=DAILY;BYHOUR=5,17, "
            "without spaces and without RRULE:, DTSTART or EXDATE; send those as start and excluded.",
        )
    parts: dict[str, str] = {}
    for pair in text.upper().split(";"):
        part, equals, value = pair.partition("=")
        if not equals or part not in _PARTS:
            known = ", ".join(_PARTS)
            raise _bad(text, part, f"{pair!r} is not part of a recurrence rule; use {known}, each as NAME=VALUE.")
        if part in parts:
            raise _bad(text, part, f"{part} is there twice; keep one, with its values separated by commas.")
        parts[part] = value
    if "FREQ" not in parts:
        raise _bad(text, "FREQ", f"The rule says no FREQ; add one of {', '.join(Frequency)}.")
    return parts


def _refuse_contradictions(text: str, rule: Rule, parts: Set[str]) -> None:
    if rule.count is not None and rule.until is not None:
        raise _bad(text, "COUNT", "COUNT and UNTIL both say when the rule ends; keep one.")
    for part in sorted(_OUT_OF_PLACE[rule.frequency] & parts):
        raise _bad(text, part, f"{part} has no meaning with FREQ={rule.frequency}; leave it out or change FREQ.")
    if any(which for which, _ in rule.weekdays) and (
        rule.frequency not in (Frequency.YEARLY, Frequency.MONTHLY) or rule.week_numbers
    ):
        raise _bad(
            text,
            "BYDAY",
            "A numbered day such as 1MO needs FREQ=MONTHLY, or YEARLY without BYWEEKNO; use plain MO.",
        )
    if rule.positions and not _DAYS_AND_TIMES & parts:
        raise _bad(text, "BYSETPOS", "BYSETPOS chooses among the times of another BY part; add one or leave it out.")
    if "SKIP" in parts and "RSCALE" not in parts:
        raise _bad(text, "SKIP", "SKIP needs a calendar beside it; add RSCALE=GREGORIAN or RSCALE=VIETNAMESE.")
    if rule.scale is Scale.VIETNAMESE:
        _refuse_what_is_not_lunar(text, rule, parts)
    elif rule.leap_months:
        raise _bad(text, "BYMONTH", "A leap month such as 5L needs RSCALE=VIETNAMESE; add it, or use a plain month.")


def _refuse_what_is_not_lunar(text: str, rule: Rule, parts: Set[str]) -> None:
    for part in sorted({"BYWEEKNO", "BYYEARDAY"} & parts):
        raise _bad(text, part, f"{part} has no meaning with RSCALE=VIETNAMESE; use BYMONTH and BYMONTHDAY.")
    if any(which for which, _ in rule.weekdays):
        raise _bad(text, "BYDAY", "A numbered day such as 1MO has no meaning with RSCALE=VIETNAMESE; use plain MO.")
    if any(abs(day) > _LONGEST_LUNAR_MONTH for day in rule.month_days):
        raise _bad(
            text, "BYMONTHDAY", f"A lunar month has at most {_LONGEST_LUNAR_MONTH} days; use 1 to 30 or −1 to −30."
        )


def _bad(text: str, part: str | None, sentence: str) -> RecurrenceError:
    return RecurrenceError("bad_rule", sentence, rule=text, part=part)


def _one_of(names: type[StrEnum]) -> Callable[[str], StrEnum]:
    def read(value: str) -> StrEnum:
        if value not in names.__members__:
            raise _Unreadable(f"one of {', '.join(names)}")
        return names(value)

    return read


def _weekday(value: str) -> int:
    if value not in _WEEKDAYS:
        raise _Unreadable(f"one of {', '.join(_WEEKDAYS)}")
    return _WEEKDAYS[value]


def _until(value: str) -> datetime:
    forms = {8: "%Y%m%d", 15: "%Y%m%dT%H%M%S", 16: "%Y%m%dT%H%M%S%z"}
    try:
        if not re.fullmatch(r"\d{8}(T\d{6}Z?)?", value):
            raise ValueError
        until = datetime.strptime(value, forms[len(value)])
    except ValueError:
        raise _Unreadable("20271231T235959 (local), 20271231T165959Z (UTC), 20271231 (all that day)") from None
    return datetime.combine(until, time(23, 59, 59)) if len(value) == 8 else until


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"\d{1,6}", value) or not least <= int(value) <= most:
            raise _Unreadable(f"a whole number from {least} to {most}")
        return int(value)

    return read


def _numbers(least: int, most: int, *, from_end: bool = False, note: str = "") -> Callable[[str], frozenset[int]]:
    sign = "[+-]?" if from_end else ""
    described = f"whole numbers from {least} to {most}, separated by commas" + (
        ", or negative ones to count from the end" if from_end else note
    )

    def read(value: str) -> frozenset[int]:
        if not re.fullmatch(rf"{sign}\d{{1,3}}(,{sign}\d{{1,3}})*", value):
            raise _Unreadable(described)
        numbers = frozenset(map(int, value.split(",")))
        if not all(least <= abs(number) <= most for number in numbers):
            raise _Unreadable(described)
        return numbers

    return read


def _months(*, leap: bool) -> Callable[[str], frozenset[int]]:
    def read(value: str) -> frozenset[int]:
        months = value.split(",")
        if not all(re.fullmatch(r"0?[1-9]L?|1[0-2]L?", month) for month in months):
            raise _Unreadable("whole numbers from 1 to 12, separated by commas, or 5L for the leap month after the 5th")
        return frozenset(int(month.rstrip("L")) for month in months if month.endswith("L") is leap)

    return read


def _weekdays(value: str) -> frozenset[tuple[int, int]]:
    found = set()
    for day in value.split(","):
        match = re.fullmatch(r"([+-]?\d{1,2})?([A-Z]{2})", day)
        which = int(match[1] or 0) if match else 0
        if not match or match[2] not in _WEEKDAYS or abs(which) > 53 or (match[1] and which == 0):
            raise _Unreadable("days such as MO,FR, or 1MO and -1FR for the first Monday and the last Friday")
        found.add((which, _WEEKDAYS[match[2]]))
    return frozenset(found)


_PARTS: Final[dict[str, dict[str, Callable[[str], Any]]]] = {
    "FREQ": {"frequency": _one_of(Frequency)},
    "INTERVAL": {"interval": _number(1, 100_000)},
    "COUNT": {"count": _number(1, 100_000)},
    "UNTIL": {"until": _until},
    "WKST": {"week_start": _weekday},
    "RSCALE": {"scale": _one_of(Scale)},
    "SKIP": {"skip": _one_of(Skip)},
    "BYMONTH": {"months": _months(leap=False), "leap_months": _months(leap=True)},
    "BYWEEKNO": {"week_numbers": _numbers(1, 53, from_end=True)},
    "BYYEARDAY": {"year_days": _numbers(1, 366, from_end=True)},
    "BYMONTHDAY": {"month_days": _numbers(1, 31, from_end=True)},
    "BYDAY": {"weekdays": _weekdays},
    "BYHOUR": {"hours": _numbers(0, 23)},
    "BYMINUTE": {"minutes": _numbers(0, 59)},
    "BYSECOND": {"seconds": _numbers(0, 59, note="; 60 is a leap second, which no clock here shows")},
    "BYSETPOS": {"positions": _numbers(1, 366, from_end=True)},
}
"""Part → the fields of ``Rule`` that it fills, and how each reads the value."""
