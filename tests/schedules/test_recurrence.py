from dataclasses import replace
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from schedules.days import NO_DAY_TYPES, DayTypes
from schedules.recurrence import Every, Recurrence, starts
from schedules.recurrence_check import check
from tests.schedules.examples import APIA, BERLIN, DAY, LORD_HOWE, NEW_YORK, SAIGON, utc


def written(recurrence: Recurrence, after: str, before: str, zone: ZoneInfo) -> list[str]:
    return [f"{t:%d %H:%M}" for t in starts(recurrence, utc(after), utc(before), zone)]


def heard(recurrence: Recurrence, first: str, last: str, days: DayTypes = NO_DAY_TYPES) -> list[str]:
    """Return what is heard in Vietnam from the first local day to the last, both included, as local times."""
    after, before = (datetime.fromisoformat(day).replace(tzinfo=SAIGON) for day in (first, last))
    found = starts(recurrence, after, before + DAY, SAIGON, days)
    return [t.astimezone(SAIGON).isoformat(" ")[5:19].removesuffix(":00") for t in found]


def every(minutes: int, first: str, last: str) -> Every:
    return Every(minutes=minutes, first=time.fromisoformat(first), last=time.fromisoformat(last))


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
        (LORD_HOWE, at("2026-10-01T05:00", added=(datetime(2026, 10, 4, 2, 15),)), "2026-10-03", ["03 15:45"]),
        # The whole of 30 December 2011 was left out: what it meant is heard on the 31st, which has the same times.
        (APIA, at("2011-12-30T05:00"), "2011-12-30", ["30 15:00"]),
        (APIA, at("2011-12-28T05:00", "FREQ=DAILY"), "2011-12-30", ["30 15:00"]),
        (APIA, at("2011-12-28T05:00", "FREQ=DAILY", excluded_days=(date(2011, 12, 30),)), "2011-12-30", ["30 15:00"]),
        (APIA, at("2011-12-28T05:00", "FREQ=DAILY", excluded_days=(date(2011, 12, 31),)), "2011-12-30", ["30 15:00"]),
        # Every so many minutes is so many on the clock on the wall; two of one instant are one.
        (
            BERLIN,
            at("2026-03-01T00:00", "FREQ=WEEKLY", every=every(15, "01:45", "03:15")),
            "2026-03-29",
            ["29 00:45", "29 01:00", "29 01:15", "29 01:30", "29 01:45"],
        ),
        (
            BERLIN,
            at("2026-10-25T00:00", every=every(30, "02:00", "03:00")),
            "2026-10-25",
            ["25 00:00", "25 00:30", "25 02:00"],
        ),
        # An added time that does not exist is one with what is there already; what is left out is not.
        (
            BERLIN,
            at("2026-03-28T03:30", "FREQ=DAILY", added=(datetime(2026, 3, 29, 2, 30),)),
            "2026-03-29",
            ["29 01:30"],
        ),
        (
            BERLIN,
            at(
                "2026-03-28T03:30",
                "FREQ=DAILY",
                added=(datetime(2026, 3, 29, 2, 30),),
                excluded=(datetime(2026, 3, 29, 3, 30),),
            ),
            "2026-03-29",
            ["29 01:30"],
        ),
        # Vietnam has changed no clock since 13 June 1975, when Saigon went from 00:00 to 23:00 the day before.
        (SAIGON, at("1975-06-12T23:30"), "1975-06-12", ["12 15:30"]),
        (SAIGON, at("1975-06-13T00:00"), "1975-06-12", ["12 17:00"]),
    ],
)
def test_where_clocks_change(zone: ZoneInfo, recurrence: Recurrence, day: str, instants: list[str]) -> None:
    assert written(recurrence, day, (utc(day) + DAY).isoformat()[:19], zone) == instants


def test_five_in_the_morning_is_ten_in_the_evening_in_greenwich_since_1975() -> None:
    daily = at("1975-06-13T05:00", "FREQ=DAILY")
    assert {t.time() for t in starts(daily, utc("1975-06-12T20:00"), utc("2037-01-01"), SAIGON)} == {time(22)}


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
    ("recurrence", "first", "last", "times"),
    [
        # The last second of a day belongs to it, and midnight to the day that begins.
        (at("2026-03-02T23:59:59", "FREQ=DAILY"), "2026-03-02", "2026-03-03", ["03-02 23:59:59", "03-03 23:59:59"]),
        (at("2026-03-02T00:00", "FREQ=DAILY"), "2026-03-02", "2026-03-03", ["03-02 00:00", "03-03 00:00"]),
        (
            at("2026-03-02T00:00", every=every(1439, "00:00", "23:59:59"), excluded_days=(date(2026, 3, 1),)),
            "2026-03-01",
            "2026-03-03",
            ["03-02 00:00", "03-02 23:59"],
        ),
        (at("2026-03-02T00:00", every=every(1440, "00:00", "23:59:59")), "2026-03-02", "2026-03-03", ["03-02 00:00"]),
        (
            at("2026-03-02T00:00", every=every(1, "23:58:59", "23:59:59")),
            "2026-03-02",
            "2026-03-03",
            ["03-02 23:58:59", "03-02 23:59:59"],
        ),
        (
            at("2026-03-02T00:00", "FREQ=HOURLY;INTERVAL=12", excluded_days=(date(2026, 3, 3),)),
            "2026-03-02",
            "2026-03-04",
            ["03-02 00:00", "03-02 12:00", "03-04 00:00", "03-04 12:00"],
        ),
        # Ends of months, and a day that is there every fourth year.
        (
            at("2026-01-31T05:00", "FREQ=MONTHLY", added=(datetime(2026, 2, 28, 5),)),
            "2026-01-01",
            "2026-04-30",
            ["01-31 05:00", "02-28 05:00", "03-31 05:00"],
        ),
        (
            at("2027-12-31T23:59:59", "FREQ=MONTHLY;BYMONTHDAY=-1"),
            "2027-12-31",
            "2028-03-01",
            ["12-31 23:59:59", "01-31 23:59:59", "02-29 23:59:59"],
        ),
        (at("2024-02-29T05:00", "FREQ=YEARLY"), "2025-01-01", "2028-12-31", ["02-29 05:00"]),
        (at("2026-03-02T05:00", "FREQ=DAILY;UNTIL=20280229"), "2028-02-29", "2028-03-01", ["02-29 05:00"]),
        # Every so many minutes: the day comes from the rule, COUNT counts times, none is before the start.
        (
            at("2026-03-02T06:15", "FREQ=WEEKLY;BYDAY=MO,FR;COUNT=5", every=every(30, "06:00", "07:00")),
            "2026-03-01",
            "2026-03-31",
            ["03-02 06:30", "03-02 07:00", "03-06 06:00", "03-06 06:30", "03-06 07:00"],
        ),
        (
            at("2026-03-02T06:15", every=every(30, "06:00", "07:10")),
            "2026-03-01",
            "2026-03-31",
            ["03-02 06:30", "03-02 07:00"],
        ),
        # The eve of Tết of the Snake, the Horse, and the Goat: one lunar day, not one date.
        (
            at("2025-01-01T23:45", "RSCALE=VIETNAMESE;FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=-1"),
            "2025-01-01",
            "2027-12-31",
            ["01-28 23:45", "02-16 23:45", "02-05 23:45"],
        ),
    ],
)
def test_midnight_ends_of_months_and_every_so_many_minutes(
    recurrence: Recurrence, first: str, last: str, times: list[str]
) -> None:
    check(recurrence, SAIGON)
    assert heard(recurrence, first, last) == times


@pytest.mark.parametrize("end", [{"until": datetime(2026, 3, 3)}, {"rule": "FREQ=DAILY;UNTIL=20260302T235959"}])
def test_added_times_know_no_end_and_exclusions_win_over_them(end: dict[str, object]) -> None:
    late, late_too, early = datetime(2026, 9, 2, 19), datetime(2026, 9, 3, 19), datetime(2026, 2, 1, 5)
    ended = at("2026-03-02T05:00", **{"rule": "FREQ=DAILY", **end}, added=(late_too, late, early, late))  # type: ignore[arg-type]
    assert heard(ended, "2026-01-01", "2027-01-01") == ["02-01 05:00", "03-02 05:00", "09-02 19:00", "09-03 19:00"]
    assert heard(replace(ended, excluded=(late,)), "2026-03-03", "2027-01-01") == ["09-03 19:00"]
    assert heard(replace(ended, excluded_days=(late.date(),)), "2026-03-03", "2027-01-01") == ["09-03 19:00"]


def test_added_times_are_not_counted() -> None:
    added = (datetime(2026, 3, 2, 5), datetime(2026, 3, 2, 12), datetime(2026, 3, 9, 12))
    counted = at("2026-03-02T05:00", "FREQ=DAILY;COUNT=2", added=added)
    assert heard(counted, "2026-03-01", "2026-03-31") == ["03-02 05:00", "03-02 12:00", "03-03 05:00", "03-09 12:00"]


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
    with pytest.raises(ValueError, match="are local"):
        check(at("2026-03-02T05:00", added=(utc("2026-03-02"),)), SAIGON)
