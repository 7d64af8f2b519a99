from datetime import date, datetime, time, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from schedules.recurrence import Every, Recurrence
from schedules.recurrence_check import check
from schedules.sentences.describing import describe
from tests.schedules.examples import SAIGON

MONDAY = "2026-11-23T05:00"
NAMES = {
    "working": "ngày làm việc",
    "holiday": "ngày lễ",
    "exams": "tuần thi",
    "sundays": "Chủ nhật",
    "new year": "Dịp Tết",
}


def from_monday(rule: str | None = None, start: str = MONDAY, **more: object) -> Recurrence:
    """Return a recurrence from Monday, 23 November 2026, 5:00: the 15th of the tenth lunar month."""
    return Recurrence(start=datetime.fromisoformat(start), rule=rule, **more)  # type: ignore[arg-type]


QUARTERS = Every(minutes=15, first=time(6, 30), last=time(8, 15))

RECURRENCES = [
    (from_monday(), "5:00 ngày 23/11/2026", "at 5:00 on 23 November 2026"),
    (
        from_monday(start="2026-11-23T05:30:15.5", duration=timedelta(minutes=15)),
        "5:30:15 ngày 23/11/2026, nhiều nhất 15 phút",
        "at 5:30:15 on 23 November 2026, at most 15 minutes",
    ),
    (
        from_monday(every=QUARTERS),
        "cứ 15 phút một lần từ 6:30 đến 8:15 ngày 23/11/2026",
        "every 15 minutes from 6:30 to 8:15 on 23 November 2026",
    ),
    (
        from_monday(every=QUARTERS, start="2026-11-23T07:10", until=datetime(2026, 11, 23, 8)),
        "cứ 15 phút một lần từ 7:15 đến 8:00 ngày 23/11/2026",
        "every 15 minutes from 7:15 to 8:00 on 23 November 2026",
    ),
    (
        from_monday("FREQ=DAILY", every=QUARTERS, duration=timedelta(minutes=15)),
        "cứ 15 phút một lần từ 6:30 đến 8:15 hằng ngày, mỗi lần nhiều nhất 15 phút",
        "every 15 minutes from 6:30 to 8:15 every day, at most 15 minutes each",
    ),
    (
        from_monday("FREQ=DAILY;INTERVAL=2", every=QUARTERS),
        "cứ 15 phút một lần từ 6:30 đến 8:15, cứ 2 ngày một lần, từ 23/11/2026",
        "every 15 minutes from 6:30 to 8:15, every 2 days, from 23 November 2026",
    ),
    (
        from_monday("FREQ=WEEKLY", every=Every(minutes=60, first=time(6), last=time(7))),
        "6:00 và 7:00 thứ Hai hằng tuần",
        "at 6:00 and 7:00 every Monday",
    ),
    (
        from_monday("FREQ=DAILY", until=datetime(2026, 12, 31, 23, 59, 59), duration=timedelta(seconds=3690)),
        "5:00 hằng ngày, đến hết 31/12/2026, mỗi lần nhiều nhất 1 giờ 1 phút 30 giây",
        "at 5:00 every day, until the end of 31 December 2026, at most 1 hour 1 minute 30 seconds each",
    ),
    (
        from_monday("FREQ=DAILY", only_on=("working", "exams"), not_on=("holiday",)),
        "5:00 hằng ngày, chỉ vào ngày làm việc hoặc tuần thi, trừ ngày lễ",
        "at 5:00 every day, only on days of type “ngày làm việc” or “tuần thi”, except on days of type “ngày lễ”",
    ),
    (
        from_monday("FREQ=DAILY", not_on=("holiday", "unnamed")),
        "5:00 hằng ngày, trừ ngày lễ và ngày thuộc loại “unnamed”",
        "at 5:00 every day, except on days of type “ngày lễ” and “unnamed”",
    ),
    (
        from_monday("FREQ=WEEKLY", only_on=("sundays",), not_on=("new year",)),
        "5:00 thứ Hai hằng tuần, chỉ vào ngày thuộc loại “Chủ nhật”, trừ Dịp Tết",
        "at 5:00 every Monday, only on days of type “Chủ nhật”, except on days of type “Dịp Tết”",
    ),
    (
        from_monday(added=(datetime(2026, 11, 24, 17), datetime(2026, 11, 23, 17))),
        "5:00 ngày 23/11/2026, thêm lúc 17:00 ngày 23/11/2026 và 17:00 ngày 24/11/2026",
        "at 5:00 on 23 November 2026, also at 17:00 on 23 November 2026 and 17:00 on 24 November 2026",
    ),
    (
        from_monday("FREQ=DAILY", excluded=(datetime(2026, 11, 24, 5),), excluded_days=(date(2027, 3, 1),)),
        "5:00 hằng ngày, trừ lúc 5:00 ngày 24/11/2026, trừ ngày 01/03/2027",
        "at 5:00 every day, except at 5:00 on 24 November 2026, except on 1 March 2027",
    ),
    (
        from_monday("FREQ=DAILY", excluded_days=(*(date(2027, 2, day) for day in range(5, 12)), date(2027, 9, 2))),
        "5:00 hằng ngày, trừ các ngày từ 05/02/2027 đến 11/02/2027 và ngày 02/09/2027",
        "at 5:00 every day, except from 5 February 2027 to 11 February 2027 and on 2 September 2027",
    ),
    (
        from_monday("FREQ=DAILY", excluded_days=tuple(date(2027, month, 1) for month in range(1, 13))),
        "5:00 hằng ngày, trừ 12 ngày trong khoảng từ 01/01/2027 đến 01/12/2027",
        "at 5:00 every day, except on 12 days between 1 January 2027 and 1 December 2027",
    ),
    (
        from_monday("FREQ=DAILY", added=tuple(datetime(2027, month, 1, 9) for month in range(1, 7))),
        "5:00 hằng ngày, thêm 6 lần trong khoảng từ 01/01/2027 đến 01/06/2027",
        "at 5:00 every day, also 6 times between 1 January 2027 and 1 June 2027",
    ),
]
BLOCKS = (Path(__file__).parent / "sentences.txt").read_text(encoding="utf-8").split("\n\n")
RULES = [tuple(block.splitlines()) for block in BLOCKS if not block.startswith("#")]
SENTENCES = [*((from_monday(rule), vi, en) for rule, vi, en in RULES), *RECURRENCES]


@pytest.mark.parametrize(("recurrence", "vi", "en"), SENTENCES, ids=[vi for _, vi, _ in SENTENCES])
def test_an_official_reads_when_it_is_heard(recurrence: Recurrence, vi: str, en: str) -> None:
    if not (recurrence.only_on or recurrence.not_on):
        check(recurrence, SAIGON)  # nothing here that could not be stored
    assert describe(recurrence, "vi", NAMES) == vi
    assert describe(recurrence, "en", NAMES) == en


@pytest.mark.parametrize("language", ["fr", "", "VI"])
def test_another_language_is_refused(language: str) -> None:
    with pytest.raises(ValueError, match="vi, en"):
        describe(from_monday(), language)


@pytest.mark.parametrize(
    "alike",
    [
        ("FREQ=WEEKLY", "FREQ=DAILY;BYDAY=MO", "FREQ=YEARLY;BYDAY=MO", "FREQ=HOURLY;BYHOUR=5;BYDAY=MO"),
        ("FREQ=DAILY", "FREQ=HOURLY;BYHOUR=5", "FREQ=MINUTELY;BYHOUR=5;BYMINUTE=0", "RSCALE=VIETNAMESE;FREQ=DAILY"),
        ("FREQ=MONTHLY;BYMONTH=11", "FREQ=YEARLY", "FREQ=DAILY;BYMONTH=11;BYMONTHDAY=23"),
        ("FREQ=MONTHLY;BYMONTHDAY=1;BYDAY=MO", "FREQ=MONTHLY;BYMONTHDAY=1;BYDAY=MO,1MO;WKST=SU"),
    ],
)
def test_what_means_the_same_is_told_alike(alike: tuple[str, ...]) -> None:
    for language in ("vi", "en"):
        assert len({describe(from_monday(rule), language) for rule in alike}) == 1


@pytest.mark.parametrize(
    "twins",
    [
        ("FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR,SA", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR,SA,1SU", "FREQ=DAILY"),
        ("FREQ=MONTHLY;BYDAY=1MO,1TU", "FREQ=MONTHLY;BYDAY=MO,1TU", "FREQ=MONTHLY;BYDAY=1MO,TU"),
        ("FREQ=MONTHLY;BYDAY=2MO", "FREQ=YEARLY;BYDAY=2MO", "FREQ=MONTHLY;BYDAY=-2MO", "FREQ=YEARLY;BYDAY=-2MO"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1", "FREQ=YEARLY;BYDAY=MO;BYSETPOS=1", "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-1"),
        ("FREQ=MONTHLY;INTERVAL=2;BYDAY=MO,1TU", "FREQ=MONTHLY;INTERVAL=2;BYDAY=1MO,1TU"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU"),
        ("FREQ=WEEKLY;BYDAY=MO,SU;BYSETPOS=1", "FREQ=WEEKLY;BYDAY=MO,SU;BYSETPOS=1;WKST=SU"),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO", "FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO;WKST=SU", "FREQ=YEARLY;BYWEEKNO=-1"),
        ("FREQ=DAILY;INTERVAL=2;BYDAY=MO", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "FREQ=MONTHLY;INTERVAL=2;BYDAY=MO"),
        ("FREQ=HOURLY;INTERVAL=2", "FREQ=HOURLY;INTERVAL=2;BYMINUTE=0,30", "FREQ=HOURLY;INTERVAL=2;BYMINUTE=30"),
        ("FREQ=MINUTELY;INTERVAL=7;BYMINUTE=0", "FREQ=MINUTELY;INTERVAL=7;BYHOUR=0", "FREQ=MINUTELY;INTERVAL=7"),
        ("FREQ=DAILY;BYHOUR=5;BYMINUTE=17", "FREQ=DAILY;BYHOUR=17;BYMINUTE=5", "FREQ=DAILY;BYHOUR=5,17"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=15,-1", "FREQ=YEARLY;BYMONTH=2,4;BYMONTHDAY=15,-1"),
        ("FREQ=MONTHLY;BYMONTHDAY=31", *(f"RSCALE=GREGORIAN;FREQ=MONTHLY;BYMONTHDAY=31;SKIP={skip}"
                                         for skip in ("BACKWARD", "FORWARD"))),
        ("FREQ=YEARLY;BYYEARDAY=366", "RSCALE=GREGORIAN;FREQ=YEARLY;BYYEARDAY=366;SKIP=BACKWARD"),
        *(
            [f"RSCALE=VIETNAMESE;FREQ=YEARLY;BYMONTH={month};BYMONTHDAY=1{skip}" for month in months
             for skip in ("", ";SKIP=BACKWARD", ";SKIP=FORWARD")]
            for months in (("5L", "5,5L,6L"), ("12L", "12,12L"))
        ),
        ("FREQ=MONTHLY;BYMONTHDAY=1", "RSCALE=VIETNAMESE;FREQ=MONTHLY;BYMONTHDAY=1"),
        ("FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=-1", "RSCALE=VIETNAMESE;FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=-1"),
        ("FREQ=MONTHLY;INTERVAL=2;BYDAY=SU", "RSCALE=VIETNAMESE;FREQ=MONTHLY;INTERVAL=2;BYDAY=SU"),
        ("FREQ=MONTHLY;BYDAY=SU;BYSETPOS=1", "RSCALE=VIETNAMESE;FREQ=MONTHLY;BYDAY=SU;BYSETPOS=1"),
        ("FREQ=DAILY;UNTIL=20261231T150000", "FREQ=DAILY;UNTIL=20261231T150000Z", "FREQ=DAILY;UNTIL=20261231T040000"),
        ("FREQ=DAILY", "FREQ=DAILY;COUNT=1", "FREQ=DAILY;COUNT=11"),
    ],
)  # fmt: skip
def test_what_differs_is_told_apart(twins: tuple[str, ...]) -> None:
    for language in ("vi", "en"):
        assert len({describe(from_monday(rule), language) for rule in twins}) == len(twins)


def test_everything_beside_the_rule_is_told_apart() -> None:
    plain = from_monday("FREQ=DAILY;BYHOUR=5,17")
    afternoon = datetime(2026, 12, 1, 17)
    others: list[dict[str, Any]] = [
        {"until": afternoon},
        {"until": afternoon.replace(hour=12)},
        {"duration": timedelta(minutes=1)},
        {"duration": timedelta(hours=1)},
        {"added": (afternoon.replace(hour=12),)},
        {"excluded": (afternoon,)},
        {"excluded_days": (afternoon.date(),)},
        {"only_on": ("holiday",)},
        {"not_on": ("holiday",)},
        {"not_on": ("working",)},
    ]
    told = [from_monday(plain.rule, **other) for other in others]
    for language in ("vi", "en"):
        assert len({describe(one, language, NAMES) for one in (plain, *told)}) == len(others) + 1


def test_no_two_sentences_of_the_table_are_the_same_for_other_times() -> None:
    for (one, *said), (other, *also_said) in combinations(SENTENCES, 2):
        if said[0] == also_said[0]:
            assert said[1] == also_said[1]
            assert one.rule != other.rule
