"""Published rules and their starts, as facts from elsewhere: the sources are named in each file of ``vectors``."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice, takewhile
from pathlib import Path
from typing import NamedTuple

import pytest
from dateutil.rrule import rrulestr  # type: ignore[import-untyped,unused-ignore]

from schedules.expansion import expand
from schedules.rrule import RecurrenceError, parse
from tests.schedules.examples import NEW_YORK

EVER = datetime(2150, 1, 1)


class Vector(NamedTuple):
    rule: str
    start: datetime
    times: list[datetime]
    """None where libical says that it cannot."""
    goes_on: bool

    @property
    def name(self) -> str:
        return f"{self.rule} {self.start:%Y%m%d}"


def read(name: str) -> list[Vector]:
    text = (Path(__file__).parent / "vectors" / name).read_text(encoding="utf-8")
    return [vector(*line.split(" ")) for line in text.splitlines() if not line.startswith("#")]


def vector(rule: str, begin: str, written: str) -> Vector:
    start = datetime.fromisoformat(begin)
    parts = written.split(",")
    goes_on = parts[-1] == "..."
    times = [t for part in parts[: len(parts) - goes_on] for t in stretch(part, start.time())]
    return Vector(rule, start, times, goes_on)


def stretch(part: str, clock: time) -> Iterator[datetime]:
    if part == "refused":
        return
    first, _, last = part.partition("-")
    if "T" in first:
        yield datetime.fromisoformat(first)
        return
    day, end = date.fromisoformat(first), date.fromisoformat(last or first)
    while day <= end:
        yield datetime.combine(day, clock)
        day += timedelta(days=1)


def ours(one: Vector, zone: tzinfo = UTC) -> list[datetime]:
    """Return one time more than the vector has, if there is one and the vector ends."""
    rule = parse(one.rule)
    last = EVER if rule.until is None else rule.until
    last = last.astimezone(zone).replace(tzinfo=None) if last.tzinfo else last
    times = takewhile(lambda t: t <= last, expand(rule, one.start, one.start, EVER))
    return list(islice(times, len(one.times) + (not one.goes_on)))


def by_dateutil(one: Vector) -> list[datetime] | None:
    floating = re.sub(r"(UNTIL=\w+)Z", r"\1", one.rule)
    try:
        return list(islice(rrulestr(floating, dtstart=one.start), len(one.times) + 1))
    except ValueError:
        return None


RFC_5545, LIBICAL, RFC_7529 = read("rfc5545.txt"), read("libical.txt"), read("rfc7529.txt")

AS_LIBICAL = {
    r"YEARLY;BYWEEKNO=[-\d,]+;(WKST=..;)?(UNTIL|COUNT)": "a week number alone means the weekday of the start",
    r"WEEKLY;BYDAY=.*BYSETPOS": "positions in the first week are counted from its first day",
}
"""Where dateutil departs from RFC 5545, and libical and we do not. Patterns of rules, and our meaning."""

AS_DATEUTIL = {
    r"YEARLY;BYMONTHDAY=29;COUNT|YEARLY;BYMONTHDAY=-29,-1": "a day of the month alone is one of every month",
    r"DAILY;BYMINUTE=1,2,3,4;INTERVAL=2": "a start has a time of day, also if that is midnight",
    r"BYMONTHDAY=30;BYWEEKNO=1;": "what several parts name is what all of them mean; libical says it cannot",
}
"""Where libical departs from RFC 5545, and dateutil and we do not."""

REFUSED = {r";$": "a semicolon ends no rule; libical forgives it, dateutil does not either"}


def meaning(table: dict[str, str], one: Vector) -> str | None:
    return next((meant for rule, meant in table.items() if re.search(rule, one.rule)), None)


@pytest.mark.parametrize("one", RFC_5545, ids=[one.name for one in RFC_5545])
def test_the_examples_of_rfc_5545(one: Vector) -> None:
    assert ours(one, NEW_YORK) == one.times


@pytest.mark.parametrize("one", LIBICAL, ids=[f"{i} {one.name}" for i, one in enumerate(LIBICAL)])
def test_we_agree_where_libical_and_dateutil_do_and_else_our_meaning_is_tabled(one: Vector) -> None:
    theirs = by_dateutil(one)
    if theirs == one.times:
        assert ours(one) == theirs
    elif meaning(REFUSED, one):
        with pytest.raises(RecurrenceError, match="not part of a recurrence rule"):
            parse(one.rule)
    elif meaning(AS_DATEUTIL, one):
        assert theirs is not None
        assert ours(one) == theirs
    else:
        assert meaning(AS_LIBICAL, one)
        assert ours(one) == one.times


def test_the_two_agree_on_most() -> None:
    agreed = [one for one in LIBICAL if by_dateutil(one) == one.times]
    assert (len(agreed), len(LIBICAL)) == (122, 141)


@pytest.mark.parametrize("one", RFC_7529, ids=[one.name for one in RFC_7529])
def test_other_calendars_and_skipping(one: Vector) -> None:
    here = one._replace(rule=one.rule.replace("CHINESE", "VIETNAMESE"))
    covered = [t for t in one.times if t.year <= 2100]  # our table ends with the lunar year 2100
    assert ours(here) == covered
