"""The grammar of RFC 5545 section 3.3.10: the text of a rule → a ``Rule``, or what is wrong with it."""

import re
from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from schedules.errors import DomainError

__all__ = ["Frequency", "RecurrenceError", "Rule", "parse"]


class RecurrenceError(DomainError):
    """A recurrence that cannot be followed.

    ``bad_rule``: not the grammar, or a part that has no place here; fields ``rule`` and ``part``.
    ``too_often``: two times less than a minute apart; fields ``rule`` and ``part``.
    ``bad_start``: ``start`` is outside the calendar that we compute with; field ``start``.
    ``too_many_exclusions``: field ``most``.
    ``never_fires``: no time at all within the horizon; fields ``start``, ``rule`` and ``horizon_years``.
    """

    codes = frozenset({"bad_rule", "too_often", "bad_start", "too_many_exclusions", "never_fires"})


class Frequency(StrEnum):
    """What a rule counts in. RFC 5545 has SECONDLY as well; loudspeakers do not."""

    YEARLY = "YEARLY"
    MONTHLY = "MONTHLY"
    WEEKLY = "WEEKLY"
    DAILY = "DAILY"
    HOURLY = "HOURLY"
    MINUTELY = "MINUTELY"


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
    months: frozenset[int] = frozenset()
    week_numbers: frozenset[int] = frozenset()
    year_days: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    weekdays: frozenset[tuple[int, int]] = frozenset()
    """(which one in the month or year, or 0 for each of them; weekday)."""
    hours: frozenset[int] = frozenset()
    minutes: frozenset[int] = frozenset()
    seconds: frozenset[int] = frozenset()
    positions: frozenset[int] = frozenset()


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
}


class _Unreadable(Exception):
    """One part is wrong; the message says what it should be."""


@lru_cache(maxsize=1024)
def parse(text: str) -> Rule:
    """Return the rule that ``text`` is, for example ``FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=5,17``.

    Letters may be of either case. UNTIL may be local, UTC (with Z), or a date, which means the whole of that
    day: the RFC binds its form to that of DTSTART, but people and calendars send all three.

    Raises:
        RecurrenceError: ``bad_rule`` or ``too_often``; the sender's mistake.
    """
    parts = _split(text)
    fields: dict[str, Any] = {}
    for part, value in parts.items():
        field, read = _PARTS[part]
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
        if part == "FREQ" and value == "SECONDLY":
            raise _too_often(text, part, "FREQ=SECONDLY fires every second; use MINUTELY or a rarer frequency.")
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
    if len(rule.seconds) > 1:
        raise _too_often(text, "BYSECOND", "BYSECOND has several seconds of one minute; keep one of them.")
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


def _bad(text: str, part: str | None, sentence: str) -> RecurrenceError:
    return RecurrenceError("bad_rule", sentence, rule=text, part=part)


def _too_often(text: str, part: str, sentence: str) -> RecurrenceError:
    return RecurrenceError("too_often", sentence, rule=text, part=part)


def _frequency(value: str) -> Frequency:
    if value not in Frequency.__members__:
        raise _Unreadable(f"one of {', '.join(Frequency)}")
    return Frequency(value)


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


def _numbers(least: int, most: int, *, from_end: bool = False) -> Callable[[str], frozenset[int]]:
    sign = "[+-]?" if from_end else ""
    described = f"whole numbers from {least} to {most}, separated by commas" + (
        ", or negative ones to count from the end" if from_end else ""
    )

    def read(value: str) -> frozenset[int]:
        if not re.fullmatch(rf"{sign}\d{{1,3}}(,{sign}\d{{1,3}})*", value):
            raise _Unreadable(described)
        numbers = frozenset(map(int, value.split(",")))
        if not all(least <= abs(number) <= most for number in numbers):
            raise _Unreadable(described)
        return numbers

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


_PARTS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "FREQ": ("frequency", _frequency),
    "INTERVAL": ("interval", _number(1, 100_000)),
    "COUNT": ("count", _number(1, 100_000)),
    "UNTIL": ("until", _until),
    "WKST": ("week_start", _weekday),
    "BYMONTH": ("months", _numbers(1, 12)),
    "BYWEEKNO": ("week_numbers", _numbers(1, 53, from_end=True)),
    "BYYEARDAY": ("year_days", _numbers(1, 366, from_end=True)),
    "BYMONTHDAY": ("month_days", _numbers(1, 31, from_end=True)),
    "BYDAY": ("weekdays", _weekdays),
    "BYHOUR": ("hours", _numbers(0, 23)),
    "BYMINUTE": ("minutes", _numbers(0, 59)),
    "BYSECOND": ("seconds", _numbers(0, 59)),
    "BYSETPOS": ("positions", _numbers(1, 366, from_end=True)),
}
