from datetime import date, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.expansion import expand
from schedules.lunar import LAST_DAY, LunarDate, leap_month, lunar_date, month_length, solar_date
from schedules.rrule import parse
from tests.schedules.examples import SOAK

EVER = datetime(2400, 1, 1)
START = datetime(2025, 1, 1, 5, 30)


def first(count: int, rule: str, start: datetime = START) -> list[str]:
    return [f"{t.date()}" for t in islice(expand(parse(rule), start, start, EVER), count)]


# Dates as printed calendars of Vietnam have them: Tết, the feasts, and the year 2025 with two sixth months.
@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=1", ["2025-01-29", "2026-02-17", "2027-02-06"]),
        ("FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=10", ["2025-04-07", "2026-04-26", "2027-04-16"]),
        ("FREQ=YEARLY;BYMONTH=8;BYMONTHDAY=15", ["2025-10-06", "2026-09-25", "2027-09-15"]),
        ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=-1", ["2025-01-28", "2026-02-16", "2027-02-05"]),
        ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=30", ["2033-01-30"]),
        ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=30;SKIP=BACKWARD", ["2025-01-28", "2026-02-16", "2027-02-05"]),
        ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=30;SKIP=FORWARD", ["2025-01-29", "2026-02-17", "2027-02-06"]),
        ("FREQ=MONTHLY;BYMONTH=6,7;BYMONTHDAY=1,15", ["2025-06-25", "2025-07-09", "2025-08-23", "2025-09-06"]),
        ("FREQ=MONTHLY;BYMONTH=6,6L;BYMONTHDAY=1", ["2025-06-25", "2025-07-25", "2026-07-14"]),
        ("FREQ=YEARLY;BYMONTH=6L;BYMONTHDAY=1", ["2025-07-25", "2036-07-23"]),
        ("FREQ=YEARLY;BYMONTH=6L;BYMONTHDAY=1;SKIP=BACKWARD", ["2025-07-25", "2026-07-14", "2027-07-04"]),
        ("FREQ=YEARLY;BYMONTH=6L;BYMONTHDAY=1;SKIP=FORWARD", ["2025-07-25", "2026-08-13", "2027-08-02"]),
        ("FREQ=YEARLY;BYMONTH=12L;BYMONTHDAY=1;SKIP=FORWARD", ["2025-01-29", "2026-02-17", "2027-02-06"]),
        ("FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=1;INTERVAL=2", ["2026-02-17", "2028-01-26"]),
        ("FREQ=YEARLY;BYMONTH=1;BYDAY=SU;BYSETPOS=1", ["2025-02-02", "2026-02-22", "2027-02-07"]),
        ("FREQ=DAILY;BYMONTH=1;BYMONTHDAY=1,2", ["2025-01-29", "2025-01-30", "2026-02-17"]),
        ("FREQ=WEEKLY;BYMONTH=7;BYDAY=SU", ["2025-08-24", "2025-08-31", "2025-09-07", "2025-09-14", "2025-09-21"]),
    ],
)
def test_lunar_days(rule: str, days: list[str]) -> None:
    assert first(len(days), f"RSCALE=VIETNAMESE;{rule}") == days


@pytest.mark.parametrize(
    ("start", "rule", "days"),
    [
        ("2025-04-07", "FREQ=YEARLY", ["2025-04-07", "2026-04-26"]),  # 10th of month 3
        ("2025-08-08", "FREQ=YEARLY", ["2025-08-08", "2036-08-06"]),  # full moon of the second sixth month
        ("2025-08-08", "FREQ=YEARLY;SKIP=BACKWARD", ["2025-08-08", "2026-07-28"]),
        ("2025-06-25", "FREQ=MONTHLY", ["2025-06-25", "2025-07-25", "2025-08-23"]),  # a leap month is a month
        ("2025-06-25", "FREQ=MONTHLY;INTERVAL=2", ["2025-06-25", "2025-08-23"]),
        ("2101-01-27", "FREQ=DAILY", ["2101-01-27", "2101-01-28"]),
        ("2101-02-27", "FREQ=DAILY", []),
    ],
)
def test_what_a_lunar_rule_leaves_open_is_the_lunar_day_of_the_start(start: str, rule: str, days: list[str]) -> None:
    assert first(len(days) or 1, f"RSCALE=VIETNAMESE;{rule}", datetime.fromisoformat(start)) == days


def test_a_rule_that_outlives_the_table_ends_with_it() -> None:
    begin = datetime(2099, 1, 1)
    times = expand(parse("RSCALE=VIETNAMESE;FREQ=MONTHLY;BYMONTHDAY=-1"), begin, begin, EVER)
    assert [t.date() for t in times][-1] == LAST_DAY


def test_skipping_does_nothing_where_days_are_chosen_among_those_that_are() -> None:
    rule = "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYHOUR=5"
    assert first(2, f"RSCALE=GREGORIAN;SKIP=FORWARD;{rule}") == first(2, rule) == ["2028-02-29", "2032-02-29"]


def test_two_names_of_one_day_are_one_time() -> None:
    rule = "RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=FORWARD;BYMONTHDAY=1,29,30,31;BYMONTH=2,3"
    assert first(5, rule) == [f"2025-{day}" for day in ("02-01", "03-01", "03-29", "03-30", "03-31")]


def ordinary_or_leap(month: int, leap: bool) -> str:
    return f"{month}L" if leap else f"{month}"


def joined(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=3, unique=True).map(",".join)


months = joined(st.builds(ordinary_or_leap, st.integers(1, 12), st.booleans()))
month_days = joined((st.integers(1, 30) | st.integers(-30, -1)).map(str))
local_times = st.datetimes(datetime(1950, 1, 1), datetime(2095, 1, 1)).map(lambda t: t.replace(microsecond=0))


def name(on: LunarDate) -> str:
    return ordinary_or_leap(on.month, on.leap)


@settings(max_examples=60 * SOAK, deadline=None)
@given(st.sampled_from(("YEARLY", "MONTHLY", "DAILY")), months, month_days, local_times)
def test_every_day_of_a_lunar_rule_bears_a_name_that_it_says(
    frequency: str, named: str, numbered: str, start: datetime
) -> None:
    rule = f"RSCALE=VIETNAMESE;FREQ={frequency};BYMONTH={named};BYMONTHDAY={numbered}"
    expected = []
    for later in range(800):
        day = start + timedelta(days=later)
        on = lunar_date(day.date())
        names = {f"{on.day}", f"{on.day - 1 - month_length(on.year, on.month, on.leap)}"}
        if name(on) in named.split(",") and names & set(numbered.split(",")):
            expected.append(day)
    assert list(expand(parse(rule), start, start, start + timedelta(days=800))) == expected


def standing_in(year: int, month: str, day: int, skip: str) -> date:
    """Return the day that RFC 7529 means by the rule and the year, step by step: the month, then the day."""
    number, leap = int(month.rstrip("L")), month.endswith("L")
    if leap and leap_month(year) != number:
        leap = False
        year, number = (year + number // 12, number % 12 + 1) if skip == "FORWARD" else (year, number)
    length = month_length(year, number, leap)
    if day <= length:
        return solar_date(LunarDate(year, number, day, leap))
    return solar_date(LunarDate(year, number, length, leap)) + timedelta(days=skip == "FORWARD")


@settings(max_examples=60 * SOAK, deadline=None)
@given(months, st.integers(1, 30), st.sampled_from(("BACKWARD", "FORWARD")), st.integers(1905, 2080))
def test_what_is_skipped_has_a_day_that_stands_for_it(named: str, day: int, skip: str, year: int) -> None:
    rule = f"RSCALE=VIETNAMESE;FREQ=YEARLY;SKIP={skip};BYMONTH={named};BYMONTHDAY={day}"
    start, end = datetime(year, 5, 1), datetime(year + 8, 5, 1)
    standing = {standing_in(y, month, day, skip) for y in range(year - 1, year + 10) for month in named.split(",")}
    expected = sorted(on for on in standing if start.date() <= on < end.date())
    assert [t.date() for t in expand(parse(rule), start, start, end)] == expected


@st.composite
def rules(draw: st.DrawFn) -> str:
    scale = draw(st.sampled_from(("GREGORIAN", "VIETNAMESE")))
    optional = {
        "INTERVAL": st.integers(1, 5).map(str),
        "COUNT": st.integers(1, 40).map(str),
        "BYMONTH": months if scale == "VIETNAMESE" else joined(st.integers(1, 12).map(str)),
        "BYMONTHDAY": month_days,
        "BYDAY": joined(st.sampled_from(("MO", "TU", "WE"))),
        "BYHOUR": joined(st.integers(0, 23).map(str)),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(optional)), max_size=4, unique=True))
    parts = [f"{part}={draw(optional[part])}" for part in chosen]
    if set(chosen) - {"INTERVAL", "COUNT"} and draw(st.booleans()):
        parts.append(f"BYSETPOS={draw(st.integers(-4, -1) | st.integers(1, 4))}")
    frequency = draw(st.sampled_from(("YEARLY", "MONTHLY")))
    return ";".join([f"RSCALE={scale};FREQ={frequency};SKIP={draw(st.sampled_from(skips))}", *parts])


skips = ("OMIT", "BACKWARD", "FORWARD")


@settings(max_examples=150 * SOAK, deadline=None)
@given(rules(), local_times, st.lists(st.integers(0, 24 * 500), min_size=3, max_size=3))
def test_adjacent_windows_are_their_union(rule: str, start: datetime, hours: list[int]) -> None:
    parsed = parse(rule)
    a, b, c = (start + timedelta(hours=hour - 24) for hour in sorted(hours))
    whole = list(expand(parsed, start, a, c))
    assert [*expand(parsed, start, a, b), *expand(parsed, start, b, c)] == whole
    assert all(earlier < later for earlier, later in pairwise(whole))
