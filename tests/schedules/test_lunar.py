import csv
import math
from bisect import bisect_right
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import ephem
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedules.lunar import (
    FIRST_DAY,
    LAST_DAY,
    LunarDate,
    is_covered,
    leap_month,
    lunar_date,
    month_length,
    month_number,
    solar_date,
)

ONE_DAY = timedelta(days=1)
YEARS = range(1900, 2101)

days = st.dates(FIRST_DAY, LAST_DAY)


class Month(NamedTuple):
    year: int
    number: int
    leap: bool


class PublishedYear(NamedTuple):
    year: int
    tet: date
    leap_month: int | None
    lengths: tuple[int, ...]

    def months(self) -> Iterator[Month]:
        for number in range(1, 13):
            yield Month(self.year, number, leap=False)
            if number == self.leap_month:
                yield Month(self.year, number, leap=True)


@cache
def published() -> tuple[PublishedYear, ...]:
    with (Path(__file__).parent / "lunar_years.csv").open(encoding="utf-8") as lines:
        return tuple(
            PublishedYear(
                year=int(row["year"]),
                tet=date.fromisoformat(row["tet"]),
                leap_month=int(row["leap_month"]) if row["leap_month"] else None,
                lengths=tuple(int(length) for length in row["month_lengths"].split()),
            )
            for row in csv.DictReader(line for line in lines if not line.startswith("#"))
        )


def first_days() -> dict[Month, date]:
    """Return each month of our table with its first day."""
    return {month: solar_date(LunarDate(*month[:2], 1, month.leap)) for year in published() for month in year.months()}


def test_the_published_years_are_all_there() -> None:
    assert [year.year for year in published()] == list(YEARS)


@pytest.mark.parametrize("year", published(), ids=lambda year: str(year.year))
def test_the_table_is_the_published_one(year: PublishedYear) -> None:
    assert solar_date(LunarDate(year.year, 1, 1)) == year.tet
    assert leap_month(year.year) == year.leap_month
    assert tuple(month_length(*month) for month in year.months()) == year.lengths


def test_each_year_ends_on_the_eve_of_the_next() -> None:
    for year, following in pairwise(published()):
        assert year.tet + timedelta(days=sum(year.lengths)) == following.tet
    last = published()[-1]
    assert last.tet + timedelta(days=sum(last.lengths)) == LAST_DAY + ONE_DAY


@pytest.mark.parametrize(
    ("tet", "in_china"),
    [
        (date(1968, 1, 29), date(1968, 1, 30)),
        (date(1969, 2, 16), date(1969, 2, 17)),
        (date(1985, 1, 21), date(1985, 2, 20)),
        (date(2007, 2, 17), date(2007, 2, 18)),
        (date(2030, 2, 2), date(2030, 2, 3)),
        (date(2053, 2, 18), date(2053, 2, 19)),
    ],
)
def test_tet_is_not_always_that_of_china(tet: date, in_china: date) -> None:
    assert lunar_date(tet) == LunarDate(tet.year, 1, 1)
    assert lunar_date(in_china) != LunarDate(tet.year, 1, 1)


@pytest.mark.parametrize(
    ("day", "lunar"),
    [
        # Giỗ Tổ Hùng Vương, a public holiday since 2007
        (date(2007, 4, 26), LunarDate(2007, 3, 10)),
        (date(2024, 4, 18), LunarDate(2024, 3, 10)),
        (date(2025, 4, 7), LunarDate(2025, 3, 10)),
        (date(2026, 4, 26), LunarDate(2026, 3, 10)),
        # Tết, and its eve, which is a 30th or a 29th
        (date(2024, 2, 10), LunarDate(2024, 1, 1)),
        (date(2025, 1, 29), LunarDate(2025, 1, 1)),
        (date(2026, 2, 17), LunarDate(2026, 1, 1)),
        (date(2024, 2, 9), LunarDate(2023, 12, 30)),
        (date(2026, 2, 16), LunarDate(2025, 12, 29)),
        # Rằm tháng Bảy (Vu Lan); that of 2025 comes after leap month 6
        (date(2023, 8, 30), LunarDate(2023, 7, 15)),
        (date(2024, 8, 18), LunarDate(2024, 7, 15)),
        (date(2025, 9, 6), LunarDate(2025, 7, 15)),
        # Tết Trung thu
        (date(2023, 9, 29), LunarDate(2023, 8, 15)),
        (date(2024, 9, 17), LunarDate(2024, 8, 15)),
        (date(2025, 10, 6), LunarDate(2025, 8, 15)),
        # The days around a leap month; the first and the last of the table
        (date(2023, 3, 21), LunarDate(2023, 2, 30)),
        (date(2023, 3, 22), LunarDate(2023, 2, 1, leap=True)),
        (date(2023, 4, 20), LunarDate(2023, 3, 1)),
        (date(1900, 1, 31), LunarDate(1900, 1, 1)),
        (date(2101, 1, 28), LunarDate(2100, 12, 29)),
    ],
)
def test_known_days(day: date, lunar: LunarDate) -> None:
    assert lunar_date(day) == lunar
    assert solar_date(lunar) == day


@pytest.mark.parametrize(
    ("year", "month"),
    [(1968, 7), (1985, 2), (2004, 2), (2006, 7), (2012, 4), (2017, 6), (2020, 4), (2023, 2), (2025, 6), (2033, 11)],
)
def test_a_leap_month_follows_the_month_of_its_number(year: int, month: int) -> None:
    assert leap_month(year) == month
    doubled = solar_date(LunarDate(year, month, 1, leap=True))
    assert lunar_date(doubled - ONE_DAY) == LunarDate(year, month, month_length(year, month))


def test_a_year_has_twelve_months_or_thirteen() -> None:
    for year, following in pairwise(published()):
        months = month_number(following.tet) - month_number(year.tet)
        assert months == (12 if leap_month(year.year) is None else 13)


@given(days)
def test_the_two_ways_are_inverse(day: date) -> None:
    lunar = lunar_date(day)
    assert solar_date(lunar) == day
    assert 1 <= lunar.day <= month_length(lunar.year, lunar.month, lunar.leap)


@given(days.filter(lambda day: day < LAST_DAY))
def test_the_day_after_is_the_next_day_or_the_first_of_the_next_month(day: date) -> None:
    here, there = lunar_date(day), lunar_date(day + ONE_DAY)
    if here.day < month_length(here.year, here.month, here.leap):
        assert there == LunarDate(here.year, here.month, here.day + 1, here.leap)
        assert month_number(day + ONE_DAY) == month_number(day)
    else:
        assert there.day == 1
        assert month_number(day + ONE_DAY) == month_number(day) + 1
        doubled = not here.leap and leap_month(here.year) == here.month
        assert (there.month, there.leap) == ((here.month, True) if doubled else (here.month % 12 + 1, False))
        assert there.year == here.year + (there.month == 1)


def test_month_numbers_rise_by_one_from_one_first_day_to_the_next() -> None:
    starts = sorted(first_days().values())
    origin = month_number(FIRST_DAY)
    assert [month_number(start) - origin for start in starts] == list(range(len(starts)))
    assert [month_number(start - ONE_DAY) - origin for start in starts[1:]] == list(range(len(starts) - 1))


@pytest.mark.parametrize(
    "lunar",
    [
        LunarDate(2024, 12, 30),  # a month of 29 days
        LunarDate(2024, 1, 0),
        LunarDate(2023, 2, 31),
        LunarDate(2024, 3, 1, leap=True),  # a year without a leap month
        LunarDate(2025, 5, 1, leap=True),  # the leap month of 2025 follows month 6
        LunarDate(2024, 13, 1),
        LunarDate(2024, 0, 1),
        LunarDate(1899, 12, 1),
        LunarDate(2101, 1, 1),
    ],
)
def test_a_day_that_does_not_exist_is_refused(lunar: LunarDate) -> None:
    with pytest.raises(ValueError, match=r"the lunar table has no|does not exist"):
        solar_date(lunar)


def test_outside_the_table_nothing_is_known() -> None:
    assert is_covered(FIRST_DAY) and is_covered(LAST_DAY)
    for day in (FIRST_DAY - ONE_DAY, LAST_DAY + ONE_DAY, date.min, date.max):
        assert not is_covered(day)
        for ask in (lunar_date, month_number):
            with pytest.raises(ValueError, match="the lunar table covers 1900-01-31 to 2101-01-28, not"):
                ask(day)
    for year in (1899, 2101):
        with pytest.raises(ValueError, match=f"the lunar table has no month 1 in {year}"):
            leap_month(year)
    with pytest.raises(ValueError, match="the lunar table has no leap month 3 in 2024"):
        month_length(2024, 3, leap=True)


def test_a_moment_counts_as_its_day() -> None:
    assert lunar_date(datetime(2026, 2, 17, 23, 59)) == LunarDate(2026, 1, 1)


# The same calendar from the sky: new moons and major solar terms by ephem, days by the meridian of the time.

SYNODIC_MONTH = 29.530588  # days
TROPICAL_YEAR = 365.2422  # days
WINTER_SOLSTICE = 270  # degrees of solar longitude
BEIJING = (116 + 23 / 60) / 15  # hours of mean solar time east of Greenwich


def longitude(body: ephem.Body, instant: float) -> float:
    """Return the apparent geocentric ecliptic longitude of ``body``, in radians; ``instant`` is an ephem.Date."""
    body.compute(instant, epoch=instant)
    return float(ephem.Ecliptic(ephem.Equatorial(body.g_ra, body.g_dec, epoch=instant), epoch=instant).lon)


def turn(angle: float) -> float:
    """Return ``angle`` as a part of a turn, −0.5 to 0.5."""
    return (angle / math.tau + 0.5) % 1 - 0.5


def new_moon(near: float) -> float:
    sun, moon = ephem.Sun(), ephem.Moon()
    while abs(part := turn(longitude(moon, near) - longitude(sun, near))) > 1e-8:
        near -= part * SYNODIC_MONTH
    return near


def solar_term(degrees: int, near: float) -> float:
    sun = ephem.Sun()
    while abs(part := turn(longitude(sun, near) - math.radians(degrees))) > 1e-9:
        near -= part * TROPICAL_YEAR
    return near


def day_of(instant: float) -> date:
    """Return the day of an instant by the official meridian of its time."""
    utc = ephem.Date(instant).datetime()
    in_china = utc + timedelta(hours=8)
    hours = BEIJING if in_china.year < 1929 else 8 if in_china.year < 1968 else 7
    return (utc + timedelta(hours=hours)).date()


@pytest.fixture(scope="session")
def sky() -> dict[Month, date]:
    """Each month with its first day, by the rules of the calendar."""
    moons: list[date] = []
    instant = float(ephem.Date("1899/11/3"))
    while instant < ephem.Date("2102/1/20"):
        instant = new_moon(instant)
        moons.append(day_of(instant))
        instant += SYNODIC_MONTH
    terms: list[tuple[int, date]] = []
    instant = float(ephem.Date("1899/11/22"))
    for i in range(8, 12 * 203):
        degrees = i * 30 % 360
        instant = solar_term(degrees, instant)
        terms.append((degrees, day_of(instant)))
        instant += TROPICAL_YEAR / 12
    with_term = {bisect_right(moons, day) - 1 for _, day in terms}
    elevenths = [bisect_right(moons, day) - 1 for degrees, day in terms if degrees == WINTER_SOLSTICE]
    found: dict[Month, date] = {}
    for first, last in pairwise(elevenths):
        year, number, leap_is_due = moons[first].year, 11, last - first == 13
        for i in range(first, last):
            leap = leap_is_due and i not in with_term
            leap_is_due = leap_is_due and not leap
            if i > first and not leap:
                year, number = (year, number + 1) if number < 12 else (year + 1, 1)
            found[Month(year, number, leap)] = moons[i]
    return {month: day for month, day in found.items() if month.year in YEARS}


def test_the_table_is_what_the_sky_says(sky: dict[Month, date]) -> None:
    """One rule for each meridian gives every month but the two that the module's docstring names."""
    ours = first_days()
    assert sky.keys() == ours.keys()
    assert {month: (ours[month], sky[month]) for month in ours if ours[month] != sky[month]} == {
        Month(1925, 1, leap=False): (date(1925, 1, 25), date(1925, 1, 24)),
        Month(2054, 4, leap=False): (date(2054, 5, 7), date(2054, 5, 8)),
    }
