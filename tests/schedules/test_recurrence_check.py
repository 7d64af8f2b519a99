from datetime import date, datetime, time, timedelta
from time import process_time

import pytest

from schedules.days import Days, DayType, DayTypes
from schedules.recurrence import Every, Recurrence, RecurrenceError
from schedules.recurrence_check import HORIZON_YEARS, MOST_A_DAY, MOST_EXCLUSIONS, check
from tests.schedules.examples import DAY, HOUR, MINUTE, SAIGON


def every(minutes: int, first: str, last: str) -> Every:
    return Every(minutes=minutes, first=time.fromisoformat(first), last=time.fromisoformat(last))


def at(start: str, rule: str | None = None, **more: object) -> Recurrence:
    return Recurrence(start=datetime.fromisoformat(start), rule=rule, **more)  # type: ignore[arg-type]


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
        "FREQ=YEARLY;INTERVAL=40;BYMONTH=1",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6",
    ],
)
def test_what_never_fires_is_refused_soon(rule: str) -> None:
    began = process_time()
    with pytest.raises(RecurrenceError, match=f"not heard once in {HORIZON_YEARS} years; look for") as caught:
        check(at("2026-03-02T05:00", rule), SAIGON)
    assert (caught.value.code, caught.value.fields["rule"]) == ("never_fires", rule)
    assert process_time() - began < 1, "measured: under 10 ms; dateutil takes seconds"


WEEKDAYS = DayType(id="weekdays", name="Thứ hai đến thứ sáu", weekdays=frozenset(range(5)))
PAST = DayType(id="past", name="Kỳ thi 2025", days=(Days(first=date(2025, 6, 1), last=date(2025, 6, 9)),))
STATION = DayTypes((WEEKDAYS, PAST))
ALL_DAY = every(1, "00:00", "23:59")
MANY = f"BYHOUR={','.join(map(str, range(24)))};BYMINUTE={','.join(map(str, range(60)))}"


@pytest.mark.parametrize(
    "recurrence",
    [
        at("2026-03-02T05:00", excluded=(datetime(2026, 3, 2, 5),)),
        at("2026-03-02T05:00", until=datetime(2026, 3, 2, 4)),
        at("2026-03-02T05:00", "FREQ=DAILY;COUNT=1", excluded_days=(date(2026, 3, 2),)),
        at("2026-03-02T05:00", excluded=(datetime(2026, 3, 2, 5),), added=(datetime(2026, 3, 2, 5),)),
        at("2026-03-02T05:00", every=every(10, "04:00", "04:59:59")),
        at("2026-03-02T05:00", not_on=("weekdays",)),
        at("2026-03-02T05:00", "FREQ=MINUTELY", only_on=("past",)),
        at("2026-03-02T05:00", "FREQ=DAILY", every=ALL_DAY, only_on=("past",)),
        at("2026-03-02T05:00", "FREQ=DAILY;COUNT=100000", every=ALL_DAY, only_on=("past",)),
        at("2026-03-02T05:00", "FREQ=MINUTELY;COUNT=100000;BYDAY=SA,SU", only_on=("weekdays",)),
        at("2026-03-02T05:00", "FREQ=DAILY;BYDAY=SA", every=ALL_DAY, only_on=("weekdays",)),
        at("2026-03-02T05:00", f"FREQ=YEARLY;BYDAY=SA,SU;{MANY};BYSETPOS=-1,366", only_on=("weekdays",)),
        at("2026-03-02T05:00", f"FREQ=WEEKLY;BYDAY=SA,SU;{MANY};BYSETPOS=1,2", only_on=("weekdays",)),
        at("2026-03-02T05:00", "RSCALE=VIETNAMESE;FREQ=YEARLY;BYMONTH=12L;BYMONTHDAY=1"),  # there is none
        at("2100-12-30T05:00", "RSCALE=VIETNAMESE;FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=1;INTERVAL=2"),  # the table ends
    ],
)
def test_what_leaves_nothing_never_fires_and_is_refused_soon(recurrence: Recurrence) -> None:
    began = process_time()
    with pytest.raises(RecurrenceError, match="exclusions and day types that leave nothing") as caught:
        check(recurrence, SAIGON, STATION)
    assert caught.value.code == "never_fires"
    assert process_time() - began < 1, "measured: under 50 ms"


@pytest.mark.parametrize(
    ("recurrence", "code", "said"),
    [
        (at("2026-03-02T05:00", "FREQ=SECONDLY"), "too_often", "every second; use MINUTELY"),
        (at("2026-03-02T05:00", "FREQ=DAILY;BYSECOND=0,1"), "too_often", "keep one"),
        (at("2026-03-02T05:00", "DAILY"), "bad_rule", "NAME=VALUE"),
        (at("2026-03-02T05:00", "FREQ=DAILY;COUNT=2", until=datetime(2027, 1, 1)), "bad_rule", "COUNT .* keep one"),
        (at("2026-03-02T05:00", "FREQ=DAILY;UNTIL=20270101", until=datetime(2027, 1, 1)), "bad_rule", "UNTIL"),
        (at("2026-03-02T05:00", every=every(0, "05:00", "06:00")), "too_often", "Every 0 minutes .* say 1 to 1440"),
        (at("2026-03-02T05:00", every=every(1441, "05:00", "06:00")), "bad_every", "more than a day; say 1 to 1440"),
        (at("2026-03-02T05:00", every=every(9, "05:00", "04:59:59")), "bad_every", "04:59:59, is before .* exchange"),
        (at("2026-03-02T05:00", "FREQ=HOURLY", every=every(9, "05:00", "06:00")), "bad_every", "use FREQ=DAILY"),
        (at("2026-03-02T05:00", "FREQ=DAILY;BYHOUR=5", every=every(9, "05:00", "06:00")), "bad_every", "BYHOUR and"),
        (at("2026-03-02T05:00", "FREQ=DAILY;BYSECOND=5", every=every(9, "05:00", "06:00")), "bad_every", "BYSECOND"),
        (at("2026-03-02T05:00", duration=timedelta()), "bad_duration", "0:00:00 is not one second to one day"),
        (at("2026-03-02T05:00", duration=DAY + timedelta(seconds=1)), "bad_duration", "correct it or leave it out"),
        (at("2026-03-02T05:00", duration=timedelta(seconds=1.5)), "bad_duration", "whole seconds"),
        (at("2026-03-02T05:00", only_on=("exam",)), "unknown_day_type", "'exam', which only_on names; choose"),
        (at("2026-03-02T05:00", not_on=("holiday",)), "unknown_day_type", "which not_on names"),
        (at("2101-03-02T05:00", "RSCALE=VIETNAMESE;FREQ=MONTHLY;BYMONTHDAY=1"), "bad_start", "lunar table, .* RSCALE"),
        (at("2026-03-02T05:00", added=(datetime(1, 1, 1),)), "bad_start", "Added 0001-01-01T00:00:00 is not in"),
        (
            at("2026-03-02T05:00", added=tuple(datetime(2026, 4, 1) + MINUTE * i for i in range(MOST_EXCLUSIONS + 1))),
            "too_many_exclusions",
            "More than 400 are in added",
        ),
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


@pytest.mark.parametrize(
    ("recurrence", "fields"),
    [
        (at("2026-03-02T05:00", "FREQ=SECONDLY"), {"rule": "FREQ=SECONDLY", "part": "FREQ"}),
        (at("2026-03-02T05:00", every=every(0, "05:00", "06:00")), {"rule": None, "part": "minutes"}),
        (at("2026-03-02T05:00", every=every(1441, "05:00", "06:00")), {"part": "minutes"}),
        (at("2026-03-02T05:00", every=every(9, "05:00", "04:00")), {"part": "last"}),
        (at("2026-03-02T05:00", "FREQ=MINUTELY", every=every(9, "05:00", "06:00")), {"part": "FREQ"}),
        (at("2026-03-02T05:00", "FREQ=DAILY;BYMINUTE=5", every=every(9, "05:00", "06:00")), {"part": "BYMINUTE"}),
        (at("2026-03-02T05:00", duration=-HOUR), {"duration_seconds": -3600}),
        (at("2026-03-02T05:00", not_on=("weekdays", "tet")), {"part": "not_on", "day_type": "tet"}),
        (at("1969-03-02T05:00"), {"start": "1969-03-02T05:00:00", "part": "start"}),
        (at("2026-03-02T05:00", added=(datetime(1969, 1, 1),)), {"start": "1969-01-01T00:00:00", "part": "added"}),
    ],
)
def test_a_refusal_names_the_part(recurrence: Recurrence, fields: dict[str, object]) -> None:
    with pytest.raises(RecurrenceError) as caught:
        check(recurrence, SAIGON, STATION)
    assert caught.value.fields == fields


def test_good_recurrences_pass_even_if_they_are_rare() -> None:
    for rule in (None, "FREQ=DAILY", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "FREQ=MINUTELY;COUNT=1"):
        check(at("2096-03-01T05:00", rule), SAIGON)


@pytest.mark.parametrize(
    "recurrence",
    [
        at("2026-03-02T05:00", duration=DAY),
        at("2026-03-02T05:00", duration=timedelta(seconds=1), only_on=("past", "weekdays")),
        at("2026-03-02T05:00", "FREQ=DAILY;COUNT=3", every=every(1440, "05:00", "05:00")),
        at("2026-03-02T05:00", "FREQ=MONTHLY;COUNT=3", added=(datetime(2990, 1, 1), datetime(1970, 1, 1))),
        at("2026-03-02T05:00", "RSCALE=VIETNAMESE;FREQ=YEARLY;BYMONTH=4L,5L;BYMONTHDAY=1"),
        at("2026-03-02T05:00", excluded=(datetime(2026, 3, 2, 5),), added=(datetime(2020, 2, 29),)),
    ],
)
def test_good_recurrences_pass_with_all_their_parts(recurrence: Recurrence) -> None:
    check(recurrence, SAIGON, STATION)


def test_no_day_is_crowded() -> None:
    check(at("2026-03-02T00:00", "FREQ=MINUTELY;INTERVAL=5"), SAIGON)
    for crowded in (
        at("2026-03-02T05:00", "FREQ=MINUTELY"),
        at("2026-03-02T05:00", "FREQ=DAILY", every=every(4, "00:00", "23:59")),
    ):
        with pytest.raises(RecurrenceError, match=f"more than {MOST_A_DAY} times on one day; use a longer") as caught:
            check(crowded, SAIGON)
        assert caught.value.code == "too_often"
