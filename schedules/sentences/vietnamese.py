"""Vietnamese, as stations write their schedules.

Days of the lunar month are called by their names, mùng 1 to mùng 10 and rằm; but a single date in a named month
is written as laws write it: ngày 10 tháng 3 âm lịch.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

from schedules.rrule import Frequency, Skip
from schedules.sentences.language import FEW, Days, Language, clock_time, joined, runs

__all__ = ["VIETNAMESE"]

_WEEKDAYS: Final = ("thứ Hai", "thứ Ba", "thứ Tư", "thứ Năm", "thứ Sáu", "thứ Bảy", "Chủ nhật")
_MONDAY_TO_FRIDAY: Final = (0, 1, 2, 3, 4)
_ORDINALS: Final = ("", "nhất", "hai", "ba", "tư", "năm", "sáu", "bảy", "tám", "chín", "mười")
_FULL_MOON: Final = 15
_NOUNS_OF_DAYS: Final = ("ngày", "tuần", "dịp")
_UNITS: Final = {
    Frequency.YEARLY: "năm",
    Frequency.MONTHLY: "tháng",
    Frequency.WEEKLY: "tuần",
    Frequency.DAILY: "ngày",
    Frequency.HOURLY: "giờ",
    Frequency.MINUTELY: "phút",
    Frequency.SECONDLY: "giây",
}


class _Vietnamese(Language):
    def times(self, times: Sequence[time]) -> str:
        return _and([clock_time(t) for t in times])

    def minutes_of_hours(self, hours: Sequence[int], minutes: Sequence[int], seconds: Sequence[int]) -> str:
        words = [f"giây {_and(runs(seconds))}"] if any(seconds) else []
        words.append("mỗi phút" if len(minutes) == 60 else f"phút {_and(runs(minutes))}")
        words.append("mỗi giờ" if len(hours) == 24 else _several("giờ", runs(hours)))
        return " của ".join(words)

    def stretch(self, minutes: int, first: time, last: time) -> str:
        return f"cứ {minutes} phút một lần từ {clock_time(first)} đến {clock_time(last)}"

    def weekdays(self, days: Days, *, every: bool) -> str:
        weekly = [_plain_weekdays(days, every=every)] if days.weekdays or not days.numbered else []
        named = [_numbered(days, every=every)] if days.numbered else []
        return _and(weekly + named if every else named + weekly)

    def month_days(self, days: Days, *, every: bool) -> str:
        lunar = " âm lịch" if days.lunar else ""
        first = [day for day in days.month_days if day > 0]
        last = [f"ngày {_from_end(day)}" for day in days.month_days if day < 0]
        each = " mỗi" * every
        if days.in_months:
            counted = [_day_list(first, days)] if first else []
            said = f"{_and(counted + last)} {_months(days)}{lunar}" + " hằng năm" * every + _no_leap_month(days)
        else:
            counted = [_day_list(first, days) + lunar + " hằng tháng" * every] if first else []
            said = _and(counted + [f"{day}{each} tháng{lunar}" for day in last])
        return said + _skipped(days)

    def year_days(self, days: Days, *, every: bool) -> str:
        first = runs(day for day in days.year_days if day > 0)
        each = " mỗi" * every
        last = [f"ngày {_from_end(day)}{each} năm" for day in days.year_days if day < 0]
        counted = [f"ngày thứ {_and(first)} của{each} năm"] if first else []
        return _and(counted + last) + _skipped(days)

    def weeks(self, days: Days, *, every: bool) -> str:
        first = runs(week for week in days.weeks if week > 0)
        last = [f"tuần {_from_end(week)}{' mỗi' * every} năm" for week in days.weeks if week < 0]
        counted = [_several("tuần", first) + " hằng năm" * every] if first else []
        return f"{_weekday_list(days.weekdays) if days.weekdays else 'mọi ngày'} của {_and(counted + last)}"

    def months(self, days: Days) -> str:
        return f"trong {_months(days)}" + " âm lịch" * days.lunar + _no_leap_month(days)

    def at_interval(self, clock: str, interval: int, unit: Frequency, on: str, *, lunar: bool) -> str:
        often = f"cứ {interval} {_UNITS[unit]}{' âm lịch' * lunar} một lần" + (f" vào {on}" if on else "")
        return f"{clock}, {often}" if clock else often

    def minutes(self, minutes: Sequence[int]) -> str:
        return f"phút {_and(runs(minutes))}"

    def hours(self, hours: Sequence[int]) -> str:
        return f"trong {_several('giờ', runs(hours))}"

    def only(self, phrase: str) -> str:
        return f"chỉ {phrase}" if phrase.startswith("trong ") else f"chỉ vào {phrase}"

    def positions(self, positions: Sequence[int], unit: Frequency, *, lunar: bool) -> str:
        first = [f"lần {_ordinal(position)}" for position in positions if position > 0]
        last = [f"lần {_from_end(position, alone=' cùng')}" for position in positions if position < 0]
        return f"chỉ {_and(first + last)} trong mỗi {_UNITS[unit]}{' âm lịch' * lunar}"

    def week_start(self, weekday: int) -> str:
        return f"tuần tính từ {_WEEKDAYS[weekday]}"

    def once(self, clock: str, day: date) -> str:
        return f"{clock} ngày {_date(day)}"

    def beginning(self, first: date | datetime) -> str:
        return f"từ {_moment(first)}"

    def count(self, count: int) -> str:
        return f"{count} lần"

    def until(self, last: date | datetime) -> str:
        if not isinstance(last, datetime):
            return f"đến hết {_date(last)}"
        return f"đến {_moment(last)}" + " (giờ UTC)" * (last.tzinfo is not None)

    def only_types(self, names: Sequence[str]) -> str:
        return f"chỉ vào {joined([_day_type(name) for name in names], 'hoặc')}"

    def not_types(self, names: Sequence[str]) -> str:
        return f"trừ {_and([_day_type(name) for name in names])}"

    def added(self, times: Sequence[datetime]) -> str:
        return f"thêm {_moments(times)}"

    def excluded(self, times: Sequence[datetime]) -> str:
        return f"trừ {_moments(times)}"

    def excluded_days(self, runs: Sequence[tuple[date, date]]) -> str:
        if len(runs) > FEW:
            number = sum((last - first).days + 1 for first, last in runs)
            return f"trừ {number} ngày trong khoảng từ {_date(runs[0][0])} đến {_date(runs[-1][1])}"
        return "trừ " + _and(
            [f"ngày {_date(a)}" if a == b else f"các ngày từ {_date(a)} đến {_date(b)}" for a, b in runs]
        )

    def duration(self, duration: timedelta, *, each: bool) -> str:
        seconds = duration // timedelta(seconds=1)
        parts = ((seconds // 3600, "giờ"), (seconds // 60 % 60, "phút"), (seconds % 60, "giây"))
        return "mỗi lần " * each + "nhiều nhất " + " ".join(f"{number} {unit}" for number, unit in parts if number)


VIETNAMESE: Final[Language] = _Vietnamese()


def _and(words: Sequence[str]) -> str:
    return joined(words, "và")


def _several(noun: str, numbers: Sequence[str]) -> str:
    """Return "tuần 3", or "các tuần 3 và 9": the plural makes what stands before it belong to each."""
    many = len(numbers) > 1 or not numbers[0].isdigit()
    return f"{'các ' * many}{noun} {_and(numbers)}"


def _ordinal(position: int) -> str:
    if position == 1:
        return "đầu tiên"
    return f"thứ {_ORDINALS[position] if position < len(_ORDINALS) else position}"


def _from_end(position: int, alone: str = "") -> str:
    """Return what follows the noun: "cuối", "thứ hai từ cuối"; ``alone`` follows the former."""
    return f"cuối{alone}" if position == -1 else f"{_ordinal(-position)} từ cuối"


def _date(day: date) -> str:
    return f"{day.day:02}/{day.month:02}/{day.year}"


def _moment(t: date | datetime) -> str:
    return f"{clock_time(t.time())} ngày {_date(t)}" if isinstance(t, datetime) else _date(t)


def _moments(times: Sequence[datetime]) -> str:
    if len(times) > FEW:
        return f"{len(times)} lần trong khoảng từ {_date(times[0])} đến {_date(times[-1])}"
    return f"lúc {_and([_moment(t) for t in times])}"


def _weekday_list(weekdays: Sequence[int]) -> str:
    return _and([_WEEKDAYS[weekday] for weekday in weekdays])


def _day_type(name: str) -> str:
    """Return "ngày lễ" as it is, any other name as that of a type: "trừ Chủ nhật" says something else already."""
    first, *_ = name.casefold().split() or [""]
    return name if first in _NOUNS_OF_DAYS else f"ngày thuộc loại “{name}”"


def _plain_weekdays(days: Days, *, every: bool) -> str:
    months = f" {VIETNAMESE.months(days)}" if days.in_months else ""
    absent = [weekday for weekday in range(7) if weekday not in days.weekdays]
    all_days = "hằng ngày" if every else "mọi ngày"
    if not days.weekdays:
        return all_days + months
    if len(absent) == 1 and not days.numbered:
        other = _WEEKDAYS[absent[0]]
        return f"{all_days}{months}, trừ {other}" if every else f"các ngày{months} trừ {other}"
    in_a_row = days.weekdays == _MONDAY_TO_FRIDAY
    named = "từ thứ Hai đến thứ Sáu" if in_a_row else _weekday_list(days.weekdays)
    if every:
        return f"{named} hằng tuần{months}"
    several = in_a_row or days.in_longer_periods or bool(days.numbered)
    return f"{'các ngày ' * several}{named}{months}"


def _numbered(days: Days, *, every: bool) -> str:
    named = [
        f"{_WEEKDAYS[weekday]} {'lần ' * (abs(which) > 1)}{_ordinal(which) if which > 0 else _from_end(which, ' cùng')}"
        for which, weekday in days.numbered
    ]
    period = "mỗi " * every + ("năm" if days.numbered_in_year else "tháng")
    if days.in_months:
        period = _months(days) + " hằng năm" * every
    return f"{_and(named)} của {period}"


def _day_list(month_days: Sequence[int], days: Days) -> str:
    as_in_laws = len(month_days) == len(days.month_days) == 1 == len(days.months) + len(days.leap_months)
    if not days.lunar:
        return f"ngày {_and(runs(month_days))}"
    return _and([_lunar_day(day, as_in_laws=as_in_laws) for day in month_days])


def _lunar_day(day: int, *, as_in_laws: bool) -> str:
    if day == _FULL_MOON:
        return "rằm (15)"
    return f"mùng {day}" if day <= 10 and not as_in_laws else f"ngày {day}"


def _months(days: Days) -> str:
    ordinary, leap = runs(days.months), [f"tháng {month} nhuận" for month in days.leap_months]
    if not ordinary:
        return _and(leap)
    return ("các " if len(ordinary) > 1 or "–" in ordinary[0] else "") + f"tháng {_and(ordinary + leap)}"


def _no_leap_month(days: Days) -> str:
    if not days.leap_months or days.skip is Skip.OMIT:
        return ""
    following = {month: f"{month + 1}" if month < 12 else "1 năm sau" for month in days.leap_months}
    stand_in = [
        f"năm không nhuận tháng {month} thì tháng {month if days.skip is Skip.BACKWARD else following[month]}"
        for month in days.leap_months
    ]
    return f" ({'; '.join(stand_in)})"


def _skipped(days: Days) -> str:
    if not days.may_lack or days.skip is Skip.OMIT:
        return ""
    backward = days.skip is Skip.BACKWARD
    if days.lunar and min(days.month_days) > 0:
        return f" (tháng thiếu thì {'ngày 29' if backward else 'mùng 1 tháng sau'})"
    period = "tháng" if days.month_days else "năm"
    return f" ({period} không có ngày đó thì ngày gần nhất {'trước' if backward else 'sau'} đó)"
