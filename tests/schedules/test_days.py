from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.days import MOST_SPANS, NO_DAY_TYPES, Days, DayType, DayTypeError, DayTypes, check_types
from schedules.recurrence import Every, Recurrence, starts
from schedules.recurrence_check import check
from tests.schedules.examples import SAIGON, SOAK

# Tết of 2026: Tuesday 17 February; the week off is worked back on Saturday 28 February.
TET = Days(first=date(2026, 2, 16), last=date(2026, 2, 20))
HOLIDAY = DayType(id="holiday", name="Nghỉ lễ", days=(TET, Days(first=date(2026, 4, 30), last=date(2026, 5, 1))))
WORKING = DayType(
    id="working",
    name="Ngày làm việc",
    days=(Days(first=date(2026, 2, 28), last=date(2026, 2, 28)),),
    weekdays=frozenset(range(5)),
    less=("holiday",),
)
OFF = DayType(id="off", name="Ngày nghỉ", weekdays=frozenset(range(7)), less=("working",))
EXAMS = DayType(id="exams", name="Kỳ thi", days=(Days(first=date(2026, 6, 11), last=date(2026, 6, 12)),))
STATION = DayTypes((OFF, WORKING, HOLIDAY, EXAMS))  # those that are taken away come last, on purpose


def kind(type_id: str, *less: str, weekdays: range = range(7), days: tuple[Days, ...] = ()) -> DayType:
    return DayType(id=type_id, name=type_id, weekdays=frozenset(weekdays), less=less, days=days)


@pytest.mark.parametrize(
    ("day", "types"),
    [
        (date(2026, 2, 13), {"working"}),
        (date(2026, 2, 14), {"off"}),  # a Saturday
        (date(2026, 2, 15), {"off"}),
        (date(2026, 2, 16), {"holiday", "off"}),  # Tết eve, a Monday
        (date(2026, 2, 20), {"holiday", "off"}),
        (date(2026, 2, 21), {"off"}),
        (date(2026, 2, 23), {"working"}),
        (date(2026, 2, 28), {"working"}),  # a Saturday that is worked
        (date(2026, 4, 29), {"working"}),
        (date(2026, 5, 1), {"holiday", "off"}),
    ],
)
def test_days_belong_to_what_the_calendar_on_the_wall_says(day: date, types: set[str]) -> None:
    assert {type_id for type_id in ("holiday", "working", "off") if STATION.includes(type_id, day)} == types


def heard(recurrence: Recurrence, first: date, last: date) -> list[str]:
    """Return the local times that are heard from one day to another, both included."""
    after, before = (datetime(day.year, day.month, day.day, tzinfo=SAIGON) for day in (first, last + timedelta(days=1)))
    check(recurrence, SAIGON, STATION)
    return [f"{t.astimezone(SAIGON):%d %H:%M}" for t in starts(recurrence, after, before, SAIGON, STATION)]


FIVE = datetime(2026, 2, 13, 5)


@pytest.mark.parametrize(
    ("recurrence", "first", "last", "times"),
    [
        # The bulletin of every morning is silent from Tết eve to the fourth day of Tết.
        (
            Recurrence(start=FIVE, rule="FREQ=DAILY", not_on=("holiday",)),
            date(2026, 2, 14),
            date(2026, 2, 22),
            ["14 05:00", "15 05:00", "21 05:00", "22 05:00"],
        ),
        # On working days, also on the Saturday on which Tết is worked back.
        (
            Recurrence(start=FIVE, rule="FREQ=DAILY", only_on=("working",)),
            date(2026, 2, 13),
            date(2026, 3, 2),
            ["13 05:00", "23 05:00", "24 05:00", "25 05:00", "26 05:00", "27 05:00", "28 05:00", "02 05:00"],
        ),
        # One of several types is enough, and one that keeps silent wins over them.
        (
            Recurrence(start=FIVE, rule="FREQ=DAILY", only_on=("holiday", "exams"), not_on=("off",)),
            date(2026, 2, 13),
            date(2026, 6, 30),
            ["11 05:00", "12 05:00"],
        ),
        # "Quiet, please" before the exams of each day, and only on those.
        (
            Recurrence(
                start=FIVE,
                rule="FREQ=DAILY",
                every=Every(minutes=15, first=FIVE.time().replace(hour=6, minute=30), last=FIVE.time().replace(hour=7)),
                only_on=("exams",),
            ),
            date(2026, 2, 13),
            date(2026, 6, 30),
            [f"{day} {t}" for day in (11, 12) for t in ("06:30", "06:45", "07:00")],
        ),
        # A time that a day type leaves out is counted; one that is added obeys day types, too.
        (
            Recurrence(start=FIVE, rule="FREQ=DAILY;COUNT=9", not_on=("holiday",)),
            date(2026, 2, 13),
            date(2026, 3, 31),
            ["13 05:00", "14 05:00", "15 05:00", "21 05:00"],
        ),
        (
            Recurrence(start=FIVE, added=(datetime(2026, 2, 16, 23, 45), datetime(2026, 2, 21)), not_on=("holiday",)),
            date(2026, 2, 13),
            date(2026, 2, 28),
            ["13 05:00", "21 00:00"],
        ),
        # From midnight to midnight: Tết is silent from the first minute of its eve, days off besides.
        (
            Recurrence(start=FIVE, rule="FREQ=DAILY;BYHOUR=0,23;BYMINUTE=0,59", not_on=("holiday", "off")),
            date(2026, 2, 13),
            date(2026, 2, 23),
            ["13 23:00", "13 23:59", "23 00:00", "23 00:59", "23 23:00", "23 23:59"],
        ),
        # The moon knows Tết without a day type.
        (
            Recurrence(start=FIVE, rule="RSCALE=VIETNAMESE;FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=1;BYHOUR=0;BYMINUTE=0"),
            date(2026, 2, 13),
            date(2026, 12, 31),
            ["17 00:00"],
        ),
    ],
)
def test_programmes_follow_the_types_of_days(recurrence: Recurrence, first: date, last: date, times: list[str]) -> None:
    assert heard(recurrence, first, last) == times


def test_a_day_that_is_named_belongs_whatever_is_taken_away() -> None:
    worked = DayTypes((HOLIDAY, kind("w", "holiday", weekdays=range(5), days=(Days(first=TET.first, last=TET.first),))))
    assert worked.includes("w", TET.first)
    assert not worked.includes("w", TET.first + timedelta(days=1))


def test_what_is_taken_from_what_is_taken_away_stays() -> None:
    chain = DayTypes((kind("a", "b"), kind("b", "c"), kind("c", weekdays=range(1))))
    assert [chain.includes(name, date(2026, 3, 2)) for name in "abc"] == [True, False, True]
    assert [chain.includes(name, date(2026, 3, 3)) for name in "abc"] == [False, True, False]


def test_no_day_belongs_to_a_type_that_does_not_exist() -> None:
    assert "holiday" in STATION
    assert "exam" not in STATION
    assert not STATION.includes("exam", TET.first)
    assert not NO_DAY_TYPES.includes("holiday", TET.first)
    assert DayTypes((kind("a", "gone"),)).includes("a", TET.first), "a type taken out must not silence others"


def test_types_that_do_not_exist_are_named() -> None:
    STATION.refuse_unknown(("holiday", "working"))
    with pytest.raises(DayTypeError, match="no day type 'exam'; choose") as caught:
        STATION.refuse_unknown(("holiday", "exam"))
    assert (caught.value.code, caught.value.fields) == ("unknown_day_type", {"day_type": "exam"})


def many(number: int) -> tuple[Days, ...]:
    return tuple(
        Days(first=TET.first + timedelta(days=2 * i), last=TET.first + timedelta(days=2 * i)) for i in range(number)
    )


@pytest.mark.parametrize(
    ("types", "code", "said", "fields"),
    [
        ((kind("a", "b"),), "unknown_day_type", "'a' is less 'b'.*add", {"day_type": "b", "named_by": "a"}),
        ((kind("a", "a"),), "day_type_cycle", "'a' less 'a'; take", {"day_types": ["a"]}),
        (
            (kind("x", "a"), kind("a", "y", "b"), kind("b", "c"), kind("c", "a"), kind("y")),
            "day_type_cycle",
            "'a' less 'b' less 'c' less 'a'",
            {"day_types": ["a", "b", "c"]},
        ),
        (
            (kind("a", days=(TET, Days(first=TET.last, last=TET.first))),),
            "bad_days",
            "from 2026-02-20 to 2026-02-16, which is before; exchange",
            {"day_type": "a"},
        ),
        ((kind("a", days=many(MOST_SPANS + 1)),), "bad_days", "more than 1000 spans", {"day_type": "a"}),
        ((kind("a", weekdays=range(8)),), "bad_days", "weekday 7; use 0 for Monday", {"day_type": "a"}),
    ],
)
def test_bad_types_are_refused(types: tuple[DayType, ...], code: str, said: str, fields: dict[str, object]) -> None:
    with pytest.raises(DayTypeError, match=said) as caught:
        check_types(types)
    assert (caught.value.code, caught.value.fields) == (code, fields)


def test_good_types_pass() -> None:
    check_types(())
    check_types((OFF, WORKING, HOLIDAY, kind("a", days=many(MOST_SPANS))))


def test_a_circle_is_never_followed() -> None:
    with pytest.raises(DayTypeError) as caught:
        DayTypes((kind("a", "b"), kind("b", "a")))
    assert caught.value.code == "day_type_cycle"


def test_two_types_with_one_id_are_a_callers_mistake() -> None:
    for build in (DayTypes, check_types):
        with pytest.raises(ValueError, match="two day types"):
            build((kind("a"), kind("a")))


days_near = st.integers(0, 40).map(lambda number: date(2026, 2, 1) + timedelta(days=number))
spans = st.builds(
    lambda first, more: Days(first=first, last=first + timedelta(days=more)), days_near, st.integers(-2, 9)
)


@st.composite
def stations(draw: st.DrawFn) -> list[DayType]:
    """Up to five types, each less some of those before it, in any order."""
    made: list[DayType] = []
    for name in "abcde"[: draw(st.integers(1, 5))]:
        less = draw(st.lists(st.sampled_from([type_.id for type_ in made]), unique=True)) if made else []
        weekdays = draw(st.frozensets(st.integers(0, 6)))
        days = tuple(draw(st.lists(spans, max_size=6)))
        made.append(DayType(id=name, name=name, days=days, weekdays=weekdays, less=tuple(less)))
    return draw(st.permutations(made))


def belongs(types: dict[str, DayType], type_id: str, day: date) -> bool:
    """The docstring of DayType, word for word."""
    type_ = types[type_id]
    held = any(days.first <= day <= days.last for days in type_.days)
    return held or (day.weekday() in type_.weekdays and not any(belongs(types, other, day) for other in type_.less))


@settings(max_examples=150 * SOAK, deadline=None)
@given(types=stations(), asked=st.lists(days_near, min_size=1, max_size=20))
def test_a_day_belongs_as_the_docstring_says(types: list[DayType], asked: list[date]) -> None:
    station, by_id = DayTypes(types), {type_.id: type_ for type_ in types}
    for day in asked:
        for type_id in by_id:
            assert station.includes(type_id, day) == belongs(by_id, type_id, day)


def test_more_days_than_are_remembered_are_answered_alike() -> None:
    weekend, monday = DayTypes((kind("weekend", weekdays=range(5, 7)),)), date(2026, 3, 2)
    answers = [weekend.includes("weekend", monday + timedelta(days=number)) for number in range(9000)]
    assert answers == [number % 7 >= 5 for number in range(9000)]
