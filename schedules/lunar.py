"""The Vietnamese lunar calendar, from Tết of 1900 to the end of the lunar year 2100.

A month begins on the day of the new moon. The winter solstice lies in month 11; where thirteen new moons come from
one month 11 to the next, the first month without a major solar term is a leap month and bears the number of the one
before it. Days change at midnight of the official meridian: 105° East (UTC+7) from 1 January 1968 (decision 121/CP
of 8 August 1967), which is why Tết of 1968, 1969, 1985, 2007, 2030 and 2053 is not that of China. Before, the table
printed for Vietnam is that of China: 120° East (UTC+8) from 1929, mean solar time of Beijing until 1928. The South
kept 120° until 1975 (Tết of 1968 on 30 January); it is not in the table.

The table is what is printed (Hồ Ngọc Đức, *Âm lịch Việt Nam*, 2004), also in two places where the sky says otherwise:
Tết of 1925 on 25 January (the new moon was on the 24th) and month 4 of 2054 from 7 May (new moon 14 seconds into
the 8th). See ``docs/decisions/0007-lunar-dates-from-a-table.md``.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from typing import Final

__all__ = [
    "FIRST_DAY",
    "LAST_DAY",
    "LunarDate",
    "is_covered",
    "leap_month",
    "lunar_date",
    "month_length",
    "month_number",
    "solar_date",
]


@dataclass(frozen=True, slots=True)
class LunarDate:
    """A day by the moon. Like ``date`` it may be written without names: ``LunarDate(2026, 1, 1)`` is Tết of 2026."""

    year: int
    """The common year in which this lunar year begins; its last weeks lie in the next."""
    month: int
    """1 to 12."""
    day: int
    """1 to 30."""
    leap: bool = False
    """Whether it lies in the leap month (*tháng nhuận*) that follows the month of this number."""


_TABLE: Final = """
1900 0131tdttdtddTddtd 0219tdttdtdtdddt 0208dtdttdtdtddd 0129tdtdtTdttddtd 0216ddtdttdttddt
1905 0204ddtddttdtdtd 0125tdtdDtdtdtdtd 0213tdtdtddtdtdt 0202dttddtdtddtd 0122tdTtdtdtdddtd
1910 0210tdttdtdtdddt 0130dtdttdTtddtdd 0218dtdttdttddtd 0206ddtdttdttdtd 0126ddtdtDtdttdtd
1915 0214dtddtdtdtdtt 0203ddtdtddtdtdt 0123dtTdtddtddtdt 0211dttdtdtddtdd 0201tdttdttDdtddd
1920 0220tdttdttdtddd 0208dtdttdttdtdd 0128dtddtTdttdtdd 0216tddtdtdttdtd 0205tddtddtdtdtd
1925 0125ttdtDdtddtdtd 0213ttdtdtddtddt 0202dttdtdtdtddd 0123tdTtdttdtdddd 0210tdttdttdtddd
1930 0130tddttdTtdtddt 0217ddtdtdttdtdt 0206dddtdtdttdtd 0126tddtdDtdtdttd 0214tdtddtdtddtd
1935 0204ttdtdtddtddt 0124dttDttddtdddt 0211dttdttdtdddt 0131ddttdttDtddtd 0219ddttdttdtdtd
1940 0208ddtdtdttdtdt 0127ddtddtDttdtdt 0215dtddtdtdtdtd 0205tdtdtddtdtdt 0125dtdtDtdtddtdd
1945 0213ttdttdtdddtd 0202dttdttdtddtd 0122ddTtdttdtdtdd 0210dtdtdttdtdtd 0129dtddtdtTdtdtd
1950 0217tddtddttdtdt 0206dtddtdtdtdtd 0127tdtdtDtddtdtd 0214tdttddtddtdt 0203dtdttdtddtdd
1955 0124tdtDttdtdtddd 0212tdtdttdtdtdd 0131dtdtdttdTdtdt 0218dddtdttdtdtd 0208tddtdtdtdtdt
1960 0128dtdtddTdtdtdt 0215dtdtdtddtdtd 0205tdttdtddtddt 0125dtdtTdtdtdddt 0213dtdttdtdtddd
1965 0202tdtdttdttddt 0121dddTdttdttddt 0209ddtddttdtdtt 0129ddtddtdTdtdtt 0216ddtdtddtdtdt
1970 0206dttdtddtddtd 0127tdttdTdtdddtd 0215tdttdtdtddtd 0203dtdttdttddtd 0123ddtdTtdttdtdd
1975 0211dtddttdttdtd 0131ddtdtdtdTtdtd 0218dtddtdtdtdtt 0207dtddtdtddtdt 0128tdtdtdDtddtdt
1980 0216dttdtdtddtdd 0205tdttdttddtdd 0125dtdtTdttdtddd 0213dtdttdttdtdd 0202dtdtdtdttdtd
1985 0121dtDdtdtdttdtd 0209tddtddtdttdt 0129dtdtddtDdtdtt 0217dtdtdtddtddt 0206dttdttddtddd
1990 0127tdttdTtdtdddd 0215tdttdttdtddd 0204tddttdttdtdd 0123tddTdtdttdtdt 0210dddtdtdttdtd
1995 0131tddtdtdtDtdtd 0219tdtdtddtdtdt 0207dtdtdtdtddtd 0128dttdtTddtddtd 0216dttdttdtdddt
2000 0205ddttdttdtddt 0124ddtdTdttdtdtd 0212ddtdtdttdtdt 0201ddtddtdttdtd 0122tdTddtdtdtdtd
2005 0209tdtdtddtdtdt 0129dtdttddTddtdt 0217dtdttdtdddtd 0207dttdttdtdtdd 0126dtdtdTtdtdtdd
2010 0214dtdtdttdtdtd 0203dtddtdttdtdt 0123dtddTdtdtdtdt 0210dtdtddtdtdtd 0131tdtdtdtddTdtd
2015 0219tdttdtdddtdt 0208dtdttdtddtdd 0128tdtdttDtdtddd 0216tdtdttdttddd 0205tddtdttdttdd
2020 0125tdddTdttdttdd 0212tddtdtdtdtdt 0201dtdtddtdtdtd 0122tdTtddtddtdtd 0210tdttdtddtddt
2025 0129dtdttdTdtdddt 0217dtdttdttdddt 0206ddtdttdttddt 0126dddtdTtdttddt 0213ddtdtdtdttdt
2030 0202ddtddtdtdtdt 0123tdtDdtddtdtdt 0211tdtdtddtddtd 0131tdttdtdtdddTd 0219tdttdttdddtd
2035 0208dtdttdttddtd 0128ddtdttDttdtdd 0215dtddttdttdtd 0204dtddtdtdttdt 0124ddtddTdtdttdt
2040 0212dtddtdtddtdt 0201tdtdtdtdddtd 0122tdTtdtdtddtdd 0210tdttdttddtdd 0130dtdttdtTdtddd
2045 0217dtdttdttdtdd 0206dtdtdtdttdtd 0126dtddtDtdttdtd 0214tddtddtdttdt 0202dtdtddtdtddt
2050 0123tdtDtdtddtddt 0211tdtdttddtddd 0201tdttdttdTdddt 0218ddttdttdtddd 0208tdtdtdttdtdd
2055 0128tddtdtDttdtdt 0215ddtddtdttdtd 0204tdtddtdtdtdt 0124dtdtDtddtdtdt 0212dtdtdtdtddtd
2060 0202tdtdttdtdddt 0121ddtTdttdtdddt 0209ddttdttdtdtd 0129ddtdtdtTdtdtd 0217ddtdtdttdtdt
2065 0205ddtddttdtdtd 0126tdtddTdtdtdtd 0214tdtdtddtdtdt 0203dtdttddtddtd 0123tdtdTtdtdddtd
2070 0211tdtdttdtdtdd 0131dtdtdttdTdtdd 0219dtdtdttdttdd 0207dtddtdttdttd 0127dtddtdTdtdtdt
2075 0215dtdtddtdtdtd 0205tdtdtdtddtdt 0124dtdtTdtddtddt 0212dtdttdtdtddd 0202tdtdttdtdtdd
2080 0122dtdTdtttdtddd 0209tddtdttdttdd 0129tddtdtdTdttdd 0217tddtdtdtdtdt 0206dtdtddtdtdtd
2085 0126ttdtdDtdtddtd 0214ttdtdtddtddt 0203dtdttdtdtddd 0124tdtdTttdtdddt 0210ddtdtttdtddt
2090 0130dddtdttdTtdtd 0218ddtdtdtdttdt 0207ddtddtdtdttd 0127tdtddtDdtdtdt 0215tdtdtddtddtd
2095 0205ttdtdtdtdddt 0125dtdtTdttdddtd 0212dtdtttdtddtd 0201ddtdtttdtdtd 0121ddTdtdttdtdtd
2100 0209dtddtdtdttdt
"""
"""Five lunar years a row, from the year the row begins with. Each is the month and day of Tết, then a letter a month:
``d`` (*tháng đủ*) has 30 days, ``t`` (*tháng thiếu*) has 29, and a capital is the leap month after the one before."""

_Month = tuple[int, int, bool]


def _months_of(table: str) -> tuple[tuple[_Month, ...], tuple[int, ...]]:
    """Return the months as (year, number, leap), and the ordinals of their first days and of the day after all."""
    months: list[_Month] = []
    starts: list[int] = []
    start = 0
    for row in table.split("\n")[1:-1]:
        first_year, *years = row.split()
        for year, words in enumerate(years, int(first_year)):
            start = date(year, int(words[:2]), int(words[2:4])).toordinal()
            month = 0
            for letter in words[4:]:
                leap = letter.isupper()
                month += not leap
                months.append((year, month, leap))
                starts.append(start)
                start += 30 if letter in "dD" else 29
    return tuple(months), (*starts, start)


_MONTHS, _STARTS = _months_of(_TABLE)
_NUMBERS: Final = {month: number for number, month in enumerate(_MONTHS)}
_LEAP_MONTHS: Final = {year: month for year, month, leap in _MONTHS if leap}

FIRST_DAY: Final = date.fromordinal(_STARTS[0])
"""Tết of 1900."""
LAST_DAY: Final = date.fromordinal(_STARTS[-1] - 1)
"""The last day of month 12 of 2100."""


def is_covered(day: date) -> bool:
    """Say whether the table knows the lunar date of ``day``."""
    return _STARTS[0] <= day.toordinal() < _STARTS[-1]


def lunar_date(day: date) -> LunarDate:
    """Return ``day`` by the moon.

    Raises:
        ValueError: ``day`` is not covered. A caller's mistake: ask ``is_covered``.
    """
    number = month_number(day)
    year, month, leap = _MONTHS[number]
    return LunarDate(year, month, day.toordinal() - _STARTS[number] + 1, leap)


def solar_date(lunar: LunarDate) -> date:
    """Return the day that ``lunar`` is.

    Raises:
        ValueError: There is no such day: its month has 29 days, or its year no such leap month, or the table does
            not reach it. A caller's mistake: ask ``leap_month`` and ``month_length``.
    """
    number = _number(lunar.year, lunar.month, lunar.leap)
    length = _STARTS[number + 1] - _STARTS[number]
    if not 1 <= lunar.day <= length:
        raise ValueError(f"{lunar} does not exist: its month has {length} days")
    return date.fromordinal(_STARTS[number] + lunar.day - 1)


def leap_month(year: int) -> int | None:
    """Return the number of the month that a leap month follows in ``year``, or None if it has twelve months.

    Raises:
        ValueError: The table does not have this year. A caller's mistake.
    """
    _number(year, 1, leap=False)
    return _LEAP_MONTHS.get(year)


def month_length(year: int, month: int, leap: bool = False) -> int:
    """Return the days of a month, 29 or 30.

    Raises:
        ValueError: There is no such month. A caller's mistake: ask ``leap_month``.
    """
    number = _number(year, month, leap)
    return _STARTS[number + 1] - _STARTS[number]


def month_number(day: date) -> int:
    """Return how many lunar months, leap ones among them, begin after month 1 of 1900 and up to ``day``.

    Raises:
        ValueError: ``day`` is not covered. A caller's mistake: ask ``is_covered``.
    """
    if not is_covered(day):
        raise ValueError(f"the lunar table covers {FIRST_DAY} to {LAST_DAY}, not {day}")
    return bisect_right(_STARTS, day.toordinal()) - 1


def _number(year: int, month: int, leap: bool) -> int:
    try:
        return _NUMBERS[year, month, leap]
    except KeyError:
        name = f"leap month {month}" if leap else f"month {month}"
        raise ValueError(f"the lunar table has no {name} in {year}") from None
