"""A recurrence as text: content lines of RFC 5545, for exchange with calendars and for people to read and keep.

::

    DTSTART:20261123T050000
    DURATION:PT15M
    RRULE:FREQ=DAILY;UNTIL=20270531
    RDATE:20261224T190000,20261231T230000
    EXDATE:20261126T050000
    EXDATE;VALUE=DATE:20270216,20270217
    X-LOA-UNTIL:20270531T000000
    X-LOA-EVERY:PT15M/063000/081500
    X-LOA-ONLY-ON:exam-week
    X-LOA-NOT-ON:holiday

All but DTSTART may be absent. Times are local to the commune and to the second, so they bear neither Z nor TZID. What
the RFC has no name for is under X- names: the end that is told beside the rule, every so many minutes from … to …
(both included), and ids of day types, escaped as TEXT (section 3.3.11; besides, ``\\r`` is a carriage return).
"""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from schedules.recurrence import Every, Recurrence
from schedules.rrule import RecurrenceError

__all__ = ["from_text", "to_text"]

_ESCAPES: Final = {"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n", "\r": "\\r"}
_ESCAPED: Final = {"\\": "\\", ";": ";", ",": ",", "n": "\n", "N": "\n", "r": "\r"}
_DURATION: Final = re.compile(
    r"\+?P(?=.)(?:(?P<weeks>\d{1,6})W|(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?=.)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,6})M)?(?:(?P<seconds>\d{1,6})S)?)?)",
    re.ASCII,
)
_MOST_SHOWN: Final = 80  # characters of a line in a message


class _Unreadable(Exception):
    """One value is wrong; the message says what it should be."""


def to_text(recurrence: Recurrence) -> str:
    r"""Return the lines, separated by ``\n`` and not folded, always in the order above.

    ``from_text`` gives the same recurrence back, less the fractions of a second that it drops.

    Args:
        recurrence: One that ``recurrence_check.check`` accepts.
    """
    values = ((name, getattr(recurrence, field), write) for name, field, _, write in _LINES)
    return "\n".join(f"{name}:{write(value)}" for name, value, write in values if value not in (None, ()))


def from_text(text: str) -> Recurrence:
    r"""Return the recurrence that the lines say, in any order; it is for ``recurrence_check.check`` to accept it.

    Lines may end in ``\r\n`` and be folded (section 3.1), names may be of either case, RDATE and EXDATE may come
    several times, and times may bear VALUE=DATE-TIME.

    Raises:
        RecurrenceError: ``bad_text``; the sender's mistake. Field ``line`` is its number from 1, or None where a
            line is missing.
    """
    fields: dict[str, Any] = {}
    for number, line in _unfolded(text):
        name, colon, value = line.partition(":")
        if not colon or name.upper() not in _READERS:
            known = ", ".join(name for name, *_ in _LINES)
            raise _bad(number, line, f"is not one of {known}, each as NAME:VALUE; correct it or leave it out")
        field, read = _READERS[name.upper()]
        try:
            said = read(value)
        except _Unreadable as error:
            raise _bad(number, line, f"should be {error}; correct it") from None
        if field not in fields:
            fields[field] = said
        elif isinstance(said, list):
            fields[field] += said
        else:
            raise _bad(number, line, "says again what a line before it says; keep one of them")
    if "start" not in fields:
        missing = "There is no DTSTART, so nothing tells when it begins; add a line such as DTSTART:20261123T050000."
        raise RecurrenceError("bad_text", missing, line=None)
    fields.update({field: tuple(said) for field, said in fields.items() if isinstance(said, list)})
    return Recurrence(**fields)


def _unfolded(text: str) -> list[tuple[int, str]]:
    """Return the lines that are not empty, each with the number at which it begins."""
    lines: list[tuple[int, list[str]]] = []
    for number, piece in enumerate(re.split(r"\r?\n", text), 1):
        if lines and piece.startswith((" ", "\t")):
            lines[-1][1].append(piece[1:])
        elif piece:
            lines.append((number, [piece]))
    return [(number, "".join(pieces)) for number, pieces in lines]


def _bad(number: int, line: str, sentence: str) -> RecurrenceError:
    shown = line if len(line) <= _MOST_SHOWN else line[:_MOST_SHOWN] + "…"
    return RecurrenceError("bad_text", f"Line {number}, {shown!r}, {sentence}.", line=number)


def _compact(t: date | time) -> str:
    return t.isoformat().partition(".")[0].replace("-", "").replace(":", "")


def _time_of_day(value: str) -> time:
    try:
        if not re.fullmatch(r"\d{6}", value, re.ASCII):
            raise ValueError
        return time(int(value[:2]), int(value[2:4]), int(value[4:]))
    except ValueError:
        raise _Unreadable("times of day such as 063000") from None


def _day(value: str) -> date:
    try:
        if not re.fullmatch(r"\d{8}", value, re.ASCII):
            raise ValueError
        return date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        raise _Unreadable("days such as 20261123, separated by commas") from None


def _local(value: str) -> datetime:
    day, t, clock = value.partition("T")
    try:
        if not t:
            raise _Unreadable
        return datetime.combine(_day(day), _time_of_day(clock))
    except _Unreadable:
        raise _Unreadable("local times such as 20261123T050000, without Z or TZID") from None


def _written_duration(duration: timedelta) -> str:
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    clock = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if number)
    days = f"{duration.days}D" if duration.days or not clock else ""
    return f"P{days}T{clock}" if clock else f"P{days}"


def _duration(value: str) -> timedelta:
    found = _DURATION.fullmatch(value)
    if not found:
        raise _Unreadable("a duration such as PT15M, PT1H30M or P1D")
    return timedelta(**{unit: int(number) for unit, number in found.groupdict().items() if number})


def _written_every(every: Every) -> str:
    return f"{_written_duration(timedelta(minutes=every.minutes))}/{_compact(every.first)}/{_compact(every.last)}"


def _every(value: str) -> Every:
    parts = value.split("/")
    try:
        if len(parts) != 3:
            raise _Unreadable
        minutes, rest = divmod(_duration(parts[0]), timedelta(minutes=1))
        if rest:
            raise _Unreadable
        return Every(minutes=minutes, first=_time_of_day(parts[1]), last=_time_of_day(parts[2]))
    except _Unreadable:
        raise _Unreadable("minutes, first and last time such as PT15M/063000/081500") from None


def _written_ids(ids: Sequence[str]) -> str:
    return ",".join("".join(_ESCAPES.get(character, character) for character in type_id) for type_id in ids)


def _ids(value: str) -> tuple[str, ...]:
    if not re.fullmatch(r"(?:[^\\;]|\\[\\;,nNr])*", value):
        raise _Unreadable("ids separated by commas, with \\ before a comma, a semicolon or another \\ in them")
    escaped = re.findall(r"(?:\A|,)((?:[^\\,]|\\.)*)", value)
    return tuple(re.sub(r"\\(.)", lambda found: _ESCAPED[found[1]], type_id) for type_id in escaped)


def _written_list(values: Sequence[date]) -> str:
    return ",".join(map(_compact, values))


def _list_of(read: Callable[[str], date]) -> Callable[[str], list[date]]:
    return lambda value: [read(one) for one in value.split(",")]


_LINES: Final[tuple[tuple[str, str, Callable[[str], Any], Callable[[Any], str]], ...]] = (
    ("DTSTART", "start", _local, _compact),
    ("DURATION", "duration", _duration, _written_duration),
    ("RRULE", "rule", str, str),
    ("RDATE", "added", _list_of(_local), _written_list),
    ("EXDATE", "excluded", _list_of(_local), _written_list),
    ("EXDATE;VALUE=DATE", "excluded_days", _list_of(_day), _written_list),
    ("X-LOA-UNTIL", "until", _local, _compact),
    ("X-LOA-EVERY", "every", _every, _written_every),
    ("X-LOA-ONLY-ON", "only_on", _ids, _written_ids),
    ("X-LOA-NOT-ON", "not_on", _ids, _written_ids),
)
"""Name of a line, field of ``Recurrence``, and how its value is read (a list: such lines add up) and written."""

_READERS: Final = {name: (field, read) for name, field, read, _ in _LINES}
_READERS.update({f"{name};VALUE=DATE-TIME": _READERS[name] for name in ("DTSTART", "RDATE", "EXDATE")})
