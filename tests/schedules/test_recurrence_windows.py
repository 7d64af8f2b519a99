"""A recurrence with every part, in windows, against sets that are reckoned one by one; and what its age costs."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from time import process_time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.days import Days, DayType, DayTypes
from schedules.expansion import expand
from schedules.recurrence import Every, Recurrence, starts
from schedules.rrule import parse
from tests.schedules.examples import APIA, BERLIN, DAY, LORD_HOWE, MINUTE, NEW_YORK, SAIGON, SOAK, utc

WORKING = DayType(id="working", name="Ngày làm việc", weekdays=frozenset(range(5)), less=("holiday",))
HOLIDAY = DayType(id="holiday", name="Nghỉ lễ", days=(Days(first=date(2026, 3, 28), last=date(2026, 4, 6)),))
STATION = DayTypes((WORKING, HOLIDAY))
WITH_CLOCK = (
    "FREQ=MINUTELY;INTERVAL=7;BYHOUR=1,2,3",
    "FREQ=HOURLY;BYMINUTE=0,30",
    "FREQ=DAILY;BYHOUR=0,2,3;BYMINUTE=15,30",
)
WITHOUT_CLOCK = (
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO",
    "FREQ=MONTHLY;BYMONTHDAY=-1,8,29",
    "FREQ=DAILY;COUNT=100",
    "FREQ=DAILY;UNTIL=20260601T010000Z",
    "RSCALE=VIETNAMESE;FREQ=MONTHLY;BYMONTHDAY=1,15",
)
MIDDLES = ("2026-03-08", "2026-03-29", "2026-04-04", "2026-10-03", "2026-10-25", "2026-11-01")
near = st.builds(
    lambda middle, quarters: datetime.fromisoformat(middle) + quarters * timedelta(minutes=15),
    st.sampled_from(MIDDLES),
    st.integers(-300, 300),
)
few = st.lists(near, max_size=6).map(tuple)
ids = st.lists(st.sampled_from(("working", "holiday")), max_size=1).map(tuple)


def every(minutes: int, first: str, last: str) -> Every:
    return Every(minutes=minutes, first=time.fromisoformat(first), last=time.fromisoformat(last))


@st.composite
def recurrences(draw: st.DrawFn) -> Recurrence:
    """Recurrences of STATION with every part, dense around the days on which clocks are changed somewhere."""
    rule, cycle = draw(st.none() | st.sampled_from((*WITH_CLOCK, *WITHOUT_CLOCK))), None
    if rule not in WITH_CLOCK:
        clock = st.sampled_from(("00:00", "01:45", "02:30", "03:00", "23:59:59"))
        first, last = sorted((draw(clock), draw(clock)))
        cycle = draw(st.none() | st.builds(every, st.integers(1, 1440), st.just(first), st.just(last)))
    ended = rule is not None and ("UNTIL" in rule or "COUNT" in rule)
    return Recurrence(
        start=draw(near if rule is None else st.datetimes(datetime(2025, 12, 1), datetime(2026, 3, 1))),
        rule=rule,
        until=None if ended else draw(st.none() | near),
        every=cycle,
        duration=draw(st.none() | st.integers(1, 86_400).map(lambda seconds: timedelta(seconds=seconds))),
        added=draw(few),
        excluded=draw(few),
        excluded_days=tuple(t.date() for t in draw(few)),
        only_on=draw(ids),
        not_on=draw(ids),
    )


anywhere = st.sampled_from((SAIGON, BERLIN, NEW_YORK, LORD_HOWE, APIA))


@settings(max_examples=300 * SOAK, deadline=None)
@given(
    recurrence=recurrences(),
    zone=anywhere,
    middle=st.sampled_from(MIDDLES),
    quarters=st.lists(st.integers(-300, 300), min_size=3, max_size=3),
)
def test_adjacent_windows_are_their_union_whatever_the_clocks_do(
    recurrence: Recurrence, zone: ZoneInfo, middle: str, quarters: list[int]
) -> None:
    a, b, c = (utc(middle) + quarter * timedelta(minutes=15) for quarter in sorted(quarters))
    whole = list(starts(recurrence, a, c, zone, STATION))
    parts = [*starts(recurrence, a, b, zone, STATION), *starts(recurrence, b, c, zone, STATION)]
    assert parts == whole
    assert all(earlier < later for earlier, later in pairwise(whole))
    assert all(a <= t < c and t.tzinfo is UTC for t in whole)


def instants_one_by_one(recurrence: Recurrence, after: datetime, before: datetime, zone: ZoneInfo) -> set[datetime]:
    """What the docstrings of ``Recurrence`` and ``starts`` say, over sets, for a rule or none, ``until`` aside."""
    start, cycle, clock = recurrence.start.replace(microsecond=0), recurrence.every, None
    if cycle is not None:
        minutes = (datetime.combine(start, cycle.first) + MINUTE * cycle.minutes * i for i in range(1441))
        clock = sorted({t.time() for t in minutes if t <= datetime.combine(start, cycle.last)})
    if recurrence.rule is not None:
        window = (t.replace(tzinfo=None) + shift for t, shift in ((after, -2 * DAY), (before, 2 * DAY)))
        meant = set(expand(parse(recurrence.rule), start, *window, clock))
    else:
        meant = {t for t in (datetime.combine(start, each) for each in clock or [start.time()]) if t >= start}

    def is_heard(t: datetime) -> bool:
        day = t.date()
        return (
            t not in recurrence.excluded
            and day not in recurrence.excluded_days
            and (not recurrence.only_on or any(STATION.includes(each, day) for each in recurrence.only_on))
            and not any(STATION.includes(each, day) for each in recurrence.not_on)
        )

    def instants(times: Iterable[datetime]) -> set[datetime]:
        found = {t.replace(tzinfo=zone).astimezone(UTC) for t in times if is_heard(t)}
        return {t for t in found if after <= t < before}

    last = instant_of_end(recurrence, zone)
    return {t for t in instants(meant) if last is None or t <= last} | instants(recurrence.added)


def instant_of_end(recurrence: Recurrence, zone: ZoneInfo) -> datetime | None:
    end = recurrence.until or (parse(recurrence.rule).until if recurrence.rule else None)
    return end and (end if end.tzinfo else end.replace(tzinfo=zone).astimezone(UTC))


@settings(max_examples=300 * SOAK, deadline=None)
@given(recurrence=recurrences(), zone=anywhere, middle=st.sampled_from(MIDDLES))
def test_what_is_heard_is_the_rule_and_what_is_added_less_what_is_left_out(
    recurrence: Recurrence, zone: ZoneInfo, middle: str
) -> None:
    after, before = utc(middle) - 2 * DAY, utc(middle) + 2 * DAY
    found = list(starts(recurrence, after, before, zone, STATION))
    assert set(found) == instants_one_by_one(recurrence, after, before, zone)


@pytest.mark.parametrize(
    "parts",
    [
        {"rule": "FREQ=DAILY;BYHOUR=5,17", "not_on": ("holiday",), "excluded_days": (date(2040, 1, 3),)},
        {"rule": "FREQ=MINUTELY;INTERVAL=15"},
        {"rule": "FREQ=WEEKLY;BYDAY=MO,WE,FR;COUNT=20000", "every": every(15, "06:30", "08:15")},
        {"rule": "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1,2,3,4,5,-1"},
        {"rule": "RSCALE=VIETNAMESE;FREQ=MONTHLY;BYMONTHDAY=1,15,-1"},
    ],
)
def test_the_age_of_a_rule_costs_nothing(parts: dict[str, Any]) -> None:
    def cost(start: datetime) -> float:
        recurrence = Recurrence(start=start, **parts)
        began = process_time()
        for _ in range(3):
            assert list(starts(recurrence, utc("2040-01-01"), utc("2040-01-15"), SAIGON, STATION))
        return process_time() - began

    best = {start: cost(start) for start in (datetime(2039, 12, 31, 5), datetime(2030, 1, 1, 5))}
    for _ in range(30):  # in turns, so that whatever else the machine does hinders both
        for start, least in best.items():
            best[start] = min(least, cost(start))
    young, old = best.values()
    assert old <= 1.2 * young, "walking from the start would be hundreds of times"
