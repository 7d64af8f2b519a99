from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.recurrence import HORIZON_YEARS, MOST_EXCLUSIONS, Recurrence, RecurrenceError, check, starts
from tests.schedules.examples import APIA, BERLIN, DAY, HOUR, LORD_HOWE, NEW_YORK, SAIGON, utc


def written(recurrence: Recurrence, after: str, before: str, zone: ZoneInfo) -> list[str]:
    return [f"{t:%d %H:%M}" for t in starts(recurrence, utc(after), utc(before), zone)]


def at(start: str, rule: str | None = None, **more: object) -> Recurrence:
    return Recurrence(start=datetime.fromisoformat(start), rule=rule, **more)  # type: ignore[arg-type]


def test_local_time_becomes_utc() -> None:
    assert written(at("2026-03-02T05:00"), "2026-03-01", "2026-03-03", SAIGON) == ["01 22:00"]


def test_a_window_has_its_first_instant_and_not_its_last() -> None:
    daily = at("2026-03-02T05:00", "FREQ=DAILY")
    assert written(daily, "2026-03-01T22:00", "2026-03-03T22:00", SAIGON) == ["01 22:00", "02 22:00"]
    assert written(daily, "2026-03-01T22:00:01", "2026-03-02T22:00", SAIGON) == []


@pytest.mark.parametrize(
    ("zone", "recurrence", "day", "instants"),
    [
        # Clocks go from 02:00 to 03:00 on 29 March, from 03:00 to 02:00 on 25 October.
        (BERLIN, at("2026-03-28T02:30", "FREQ=DAILY"), "2026-03-29", ["29 01:30"]),
        (BERLIN, at("2026-03-28T06:30", "FREQ=DAILY"), "2026-03-29", ["29 04:30"]),
        (BERLIN, at("2026-03-29T02:30"), "2026-03-29", ["29 01:30"]),
        (BERLIN, at("2026-10-25T02:30"), "2026-10-25", ["25 00:30"]),
        (BERLIN, at("2026-10-01T03:00", "FREQ=DAILY"), "2026-10-25", ["25 02:00"]),
        # 02:30 is moved to 03:30, past 03:10; the 03:30 of the rule itself is the same instant.
        (
            BERLIN,
            at("2026-03-29T00:00", "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=10,30"),
            "2026-03-29",
            ["29 01:10", "29 01:30"],
        ),
        (
            BERLIN,
            at("2026-03-29T00:00", "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=30,45;BYSETPOS=2,3"),
            "2026-03-29",
            ["29 01:30", "29 01:45"],
        ),
        # Clocks go from 02:00 to 03:00 on 8 March, from 02:00 to 01:00 on 1 November.
        (NEW_YORK, at("2026-03-08T02:30"), "2026-03-08", ["08 07:30"]),
        (NEW_YORK, at("2026-11-01T01:30"), "2026-11-01", ["01 05:30"]),
        (NEW_YORK, at("2026-11-01T02:00"), "2026-11-01", ["01 07:00"]),
        # Half an hour: from 02:00 to 02:30 on 4 October (15:30 UTC the day before), back on 5 April (15:00 UTC).
        (LORD_HOWE, at("2026-10-04T02:15"), "2026-10-03", ["03 15:45"]),
        (LORD_HOWE, at("2026-10-04T02:30"), "2026-10-03", ["03 15:30"]),
        (
            LORD_HOWE,
            at("2026-10-04T02:15", "FREQ=DAILY;BYMINUTE=15,30,40"),
            "2026-10-03",
            ["03 15:30", "03 15:40", "03 15:45"],
        ),
        (LORD_HOWE, at("2026-04-05T01:45"), "2026-04-04", ["04 14:45"]),
        # The whole of 30 December 2011 was left out.
        (APIA, at("2011-12-30T05:00"), "2011-12-30", ["30 15:00"]),
    ],
)
def test_where_clocks_change(zone: ZoneInfo, recurrence: Recurrence, day: str, instants: list[str]) -> None:
    assert written(recurrence, day, (utc(day) + DAY).isoformat()[:19], zone) == instants


def test_a_window_may_begin_or_end_where_clocks_change() -> None:
    # 02:30 is heard at 03:30, in a window from 03:15 on; and, in autumn, before a window's end at the second 02:10.
    assert written(at("2026-03-29T02:30"), "2026-03-29T01:15", "2026-03-29T02:00", BERLIN) == ["29 01:30"]
    assert written(at("2026-10-25T02:30"), "2026-10-25T00:00", "2026-10-25T01:10", BERLIN) == ["25 00:30"]


def test_an_hourly_rule_over_both_changes_of_the_clock() -> None:
    hourly = at("2026-01-01T00:00", "FREQ=HOURLY")
    spring = list(starts(hourly, utc("2026-03-28T23:00"), utc("2026-03-29T05:00"), BERLIN))
    assert [t.hour for t in spring] == [23, 0, 1, 2, 3, 4]  # 02:00 and 03:00 are one instant
    autumn = list(starts(hourly, utc("2026-10-24T22:00"), utc("2026-10-25T04:00"), BERLIN))
    assert [t.hour for t in autumn] == [22, 23, 0, 2, 3]  # the repeated hour is heard the first time only


@pytest.mark.parametrize(
    ("rule", "until"),
    [
        ("FREQ=DAILY;UNTIL=20260304T050000", None),
        ("FREQ=DAILY;UNTIL=20260303T220000Z", None),
        ("FREQ=DAILY;UNTIL=20260304", None),
        ("FREQ=DAILY", datetime(2026, 3, 4, 5)),
        ("FREQ=DAILY;COUNT=3", None),
    ],
)
def test_the_last_time_is_included(rule: str, until: datetime | None) -> None:
    ended = at("2026-03-02T05:00", rule, until=until)
    assert written(ended, "2026-03-01", "2026-04-01", SAIGON) == ["01 22:00", "02 22:00", "03 22:00"]


@pytest.mark.parametrize("until", ["99991231T235959", "99991231T235959Z", "99991231"])
def test_the_year_9999_is_for_ever(until: str) -> None:
    ended = at("2026-03-02T05:00", f"FREQ=DAILY;UNTIL={until}")
    check(ended, NEW_YORK)
    assert len(written(ended, "2026-03-03", "2026-03-08", NEW_YORK)) == 5


def test_times_and_days_are_left_out_by_local_time() -> None:
    twice = at(
        "2026-03-02T05:00",
        "FREQ=DAILY;BYHOUR=5,17;COUNT=6",
        excluded=(datetime(2026, 3, 2, 17),),
        excluded_days=(date(2026, 3, 3),),
    )
    assert written(twice, "2026-03-01", "2026-04-01", SAIGON) == ["01 22:00", "03 22:00", "04 10:00"]


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MINUTELY;INTERVAL=2;BYMINUTE=1",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=6",
        "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
        "FREQ=DAILY;UNTIL=20260301",
        "FREQ=DAILY;UNTIL=00010101",
        "FREQ=YEARLY;INTERVAL=20;BYMONTH=1",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6",
    ],
)
def test_what_never_fires_is_refused_soon(rule: str) -> None:
    began = process_time()
    with pytest.raises(RecurrenceError, match=f"not heard once in {HORIZON_YEARS} years; look for") as caught:
        check(at("2026-03-02T05:00", rule), SAIGON)
    assert (caught.value.code, caught.value.fields["rule"]) == ("never_fires", rule)
    assert process_time() - began < 1, "measured: under 10 ms; dateutil takes seconds"


def test_exclusions_that_leave_nothing_never_fire() -> None:
    once = datetime(2026, 3, 2, 5)
    for nothing in (
        Recurrence(start=once, excluded=(once,)),
        Recurrence(start=once, until=once - HOUR),
        Recurrence(start=once, rule="FREQ=DAILY;COUNT=1", excluded_days=(once.date(),)),
    ):
        with pytest.raises(RecurrenceError) as caught:
            check(nothing, SAIGON)
        assert caught.value.code == "never_fires"


@pytest.mark.parametrize(
    ("recurrence", "code", "said"),
    [
        (at("2026-03-02T05:00", "FREQ=SECONDLY"), "too_often", "every second"),
        (at("2026-03-02T05:00", "FREQ=DAILY;BYSECOND=0,1"), "too_often", "keep one"),
        (at("2026-03-02T05:00", "DAILY"), "bad_rule", "NAME=VALUE"),
        (at("2026-03-02T05:00", "FREQ=DAILY;COUNT=2", until=datetime(2027, 1, 1)), "bad_rule", "COUNT .* keep one"),
        (at("2026-03-02T05:00", "FREQ=DAILY;UNTIL=20270101", until=datetime(2027, 1, 1)), "bad_rule", "UNTIL"),
        (at("0026-03-02T05:00"), "bad_start", "1970 to 2999"),
        (at("9999-03-02T05:00"), "bad_start", "1970 to 2999"),
        (
            at("2026-03-02T05:00", "FREQ=DAILY", excluded_days=(date(2026, 4, 1),) * (MOST_EXCLUSIONS + 1)),
            "too_many_exclusions",
            "More than 400",
        ),
    ],
)
def test_bad_recurrences_are_refused(recurrence: Recurrence, code: str, said: str) -> None:
    with pytest.raises(RecurrenceError, match=said) as caught:
        check(recurrence, SAIGON)
    assert caught.value.code == code


def test_good_recurrences_pass_even_if_they_are_rare() -> None:
    for rule in (None, "FREQ=DAILY", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "FREQ=MINUTELY;COUNT=1"):
        check(at("2096-03-01T05:00", rule), SAIGON)


def test_fractions_of_a_second_are_dropped() -> None:
    odd = datetime(2026, 3, 2, 5, 0, 0, 999_999)
    for recurrence in (Recurrence(start=odd), Recurrence(start=odd, rule="FREQ=DAILY;COUNT=1")):
        check(recurrence, SAIGON)
        assert list(starts(recurrence, utc("2026-03-01"), utc("2026-03-09"), SAIGON)) == [utc("2026-03-01T22:00")]


def test_aware_and_naive_are_never_mixed() -> None:
    daily = at("2026-03-02T05:00", "FREQ=DAILY")
    with pytest.raises(ValueError, match="naive"):
        next(starts(daily, datetime(2026, 3, 2), utc("2026-03-03"), SAIGON))
    with pytest.raises(ValueError, match="are local"):
        check(Recurrence(start=utc("2026-03-02")), SAIGON)


RULES: Sequence[str | None] = (
    None,
    "FREQ=MINUTELY;INTERVAL=7;BYHOUR=1,2,3",
    "FREQ=HOURLY;BYMINUTE=0,30",
    "FREQ=DAILY;BYHOUR=0,2,3;BYMINUTE=15,30",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO",
    "FREQ=MONTHLY;BYMONTHDAY=-1,8,29",
    "FREQ=DAILY;COUNT=100",
    "FREQ=DAILY;UNTIL=20260601T010000Z",
)


@settings(max_examples=150, deadline=None)
@given(
    rule=st.sampled_from(RULES),
    zone=st.sampled_from((SAIGON, BERLIN, NEW_YORK, LORD_HOWE, APIA)),
    start=st.datetimes(datetime(2025, 12, 1), datetime(2026, 3, 1)),
    middle=st.sampled_from(("2026-03-08", "2026-03-29", "2026-04-04", "2026-10-03", "2026-10-25", "2026-11-01")),
    quarters=st.lists(st.integers(-300, 300), min_size=3, max_size=3),
)
def test_adjacent_windows_are_their_union_whatever_the_clocks_do(
    rule: str | None, zone: ZoneInfo, start: datetime, middle: str, quarters: list[int]
) -> None:
    recurrence = Recurrence(start=start, rule=rule)
    a, b, c = (utc(middle) + quarter * timedelta(minutes=15) for quarter in sorted(quarters))
    whole = list(starts(recurrence, a, c, zone))
    assert list(starts(recurrence, a, b, zone)) + list(starts(recurrence, b, c, zone)) == whole
    assert all(earlier < later for earlier, later in pairwise(whole))
    assert all(a <= t < c and t.tzinfo is UTC for t in whole)


def test_the_age_of_a_rule_costs_nothing() -> None:
    def cost(years: int) -> float:
        recurrence = Recurrence(start=datetime(2040 - years, 1, 1, 5), rule="FREQ=MINUTELY;INTERVAL=15")
        began = process_time()
        assert len(list(starts(recurrence, utc("2040-01-01"), utc("2040-01-15"), SAIGON))) == 14 * 96
        return process_time() - began

    young, old = (min(cost(years) for _ in range(5)) for years in (1, 60))
    assert old < 3 * young, "walking from the start would be about 60 times"
