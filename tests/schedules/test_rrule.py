from datetime import UTC, datetime

import pytest

from schedules.rrule import Frequency, RecurrenceError, Scale, Skip, parse


def test_every_part_of_the_grammar_is_read() -> None:
    rule = parse("FREQ=YEARLY;INTERVAL=2;COUNT=9;WKST=SU;BYMONTH=1,12;BYYEARDAY=-1,+5;BYMONTHDAY=31,-2;BYDAY=MO,-1FR")
    assert (rule.frequency, rule.interval, rule.count, rule.week_start) == (Frequency.YEARLY, 2, 9, 6)
    assert (rule.months, rule.year_days, rule.month_days) == ({1, 12}, {-1, 5}, {31, -2})
    assert rule.weekdays == {(0, 0), (-1, 4)}
    rule = parse("FREQ=YEARLY;BYWEEKNO=53;BYDAY=SU;BYHOUR=0,23;BYMINUTE=59;BYSECOND=30;BYSETPOS=-1")
    assert (rule.week_numbers, rule.weekdays, rule.positions) == ({53}, {(0, 6)}, {-1})
    assert (rule.hours, rule.minutes, rule.seconds) == ({0, 23}, {59}, {30})


def test_a_rule_may_be_of_another_calendar() -> None:
    rule = parse("RSCALE=VIETNAMESE;FREQ=YEARLY;SKIP=BACKWARD;BYMONTH=5,5L,12,1L;BYMONTHDAY=-30")
    assert (rule.scale, rule.skip) == (Scale.VIETNAMESE, Skip.BACKWARD)
    assert (rule.months, rule.leap_months, rule.month_days) == ({5, 12}, {1, 5}, {-30})
    plain = parse("FREQ=DAILY")
    assert parse("RSCALE=GREGORIAN;FREQ=DAILY") == plain
    assert (plain.scale, plain.skip) == (Scale.GREGORIAN, Skip.OMIT)


def test_letters_may_be_of_either_case() -> None:
    assert parse("freq=daily;byday=mo;until=20270101t000000z") == parse("FREQ=DAILY;BYDAY=MO;UNTIL=20270101T000000Z")


@pytest.mark.parametrize(
    ("written", "until"),
    [
        ("20271231T220000", datetime(2027, 12, 31, 22)),
        ("20271231T220000Z", datetime(2027, 12, 31, 22, tzinfo=UTC)),
        ("20271231", datetime(2027, 12, 31, 23, 59, 59)),
    ],
)
def test_until_has_three_forms(written: str, until: datetime) -> None:
    assert parse(f"FREQ=DAILY;UNTIL={written}").until == until


@pytest.mark.parametrize(
    ("text", "part", "said"),
    [
        ("", None, "one line"),
        ("FREQ=DAILY\nFREQ=WEEKLY", None, "one line"),
        ("FREQ=DAILY; COUNT=2", None, "without spaces"),
        ("RRULE:FREQ=DAILY", None, "without RRULE:"),
        ("DTSTART:20260101T000000", None, "DTSTART"),
        ("FREQ=DAILY;BYHOUR=" + "5," * 400 + "5", None, "512"),
        ("FREQ=DAILY;DTSTART=20260101T000000", "DTSTART", "not part"),
        ("FREQ=DAILY;BYEASTER=1", "BYEASTER", "not part"),
        ("FREQ=DAILY;", "", "not part"),
        ("BYHOUR=5", "FREQ", "says no FREQ"),
        ("FREQ=FORTNIGHTLY", "FREQ", "one of YEARLY"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ", "twice"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL", "from 1"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL", "from 1"),
        ("FREQ=DAILY;COUNT=two", "COUNT", "whole number"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR", "from 0 to 23"),
        ("FREQ=DAILY;BYHOUR=5,,6", "BYHOUR", "separated by commas"),
        ("FREQ=DAILY;BYHOUR=-1", "BYHOUR", "from 0 to 23"),
        ("FREQ=DAILY;BYHOUR=٥", None, "one line"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY", "from 1 to 31"),
        ("FREQ=MONTHLY;BYMONTHDAY=-32", "BYMONTHDAY", "from 1 to 31"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY", "days such as"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY", "days such as"),
        ("FREQ=DAILY;WKST=1", "WKST", "one of MO"),
        ("FREQ=DAILY;UNTIL=20260230", "UNTIL", "20271231"),
        ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL", "20271231"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "COUNT", "keep one"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY", "no meaning with FREQ=WEEKLY"),
        ("FREQ=MONTHLY;BYYEARDAY=1", "BYYEARDAY", "no meaning"),
        ("FREQ=DAILY;BYWEEKNO=1", "BYWEEKNO", "no meaning"),
        ("FREQ=WEEKLY;BYDAY=1MO", "BYDAY", "use plain MO"),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", "BYDAY", "use plain MO"),
        ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS", "another BY part"),
        ("FREQ=MINUTELY;BYSECOND=0,60", "BYSECOND", "60 is a leap second"),
        ("FREQ=SECONDLY;BYWEEKNO=1", "BYWEEKNO", "no meaning with FREQ=SECONDLY"),
        ("FREQ=MONTHLY;BYMONTH=13", "BYMONTH", "from 1 to 12"),
        ("FREQ=MONTHLY;BYMONTH=L", "BYMONTH", "5L for the leap month"),
        ("FREQ=MONTHLY;BYMONTH=5L", "BYMONTH", "needs RSCALE=VIETNAMESE"),
        ("RSCALE=CHINESE;FREQ=MONTHLY", "RSCALE", "one of GREGORIAN, VIETNAMESE"),
        ("FREQ=MONTHLY;SKIP=FORWARD", "SKIP", "add RSCALE"),
        ("RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=UP", "SKIP", "one of OMIT, BACKWARD, FORWARD"),
        ("RSCALE=VIETNAMESE;FREQ=MONTHLY;BYMONTHDAY=-31", "BYMONTHDAY", "at most 30 days"),
        ("RSCALE=VIETNAMESE;FREQ=MONTHLY;BYDAY=1MO", "BYDAY", "use plain MO"),
        ("RSCALE=VIETNAMESE;FREQ=YEARLY;BYWEEKNO=1", "BYWEEKNO", "no meaning with RSCALE=VIETNAMESE"),
        ("RSCALE=VIETNAMESE;FREQ=YEARLY;BYYEARDAY=1", "BYYEARDAY", "no meaning with RSCALE=VIETNAMESE"),
    ],
)
def test_a_bad_rule_is_refused_with_its_part(text: str, part: str | None, said: str) -> None:
    with pytest.raises(RecurrenceError, match=said) as caught:
        parse(text)
    assert caught.value.code == "bad_rule"
    assert caught.value.fields["part"] == part


@pytest.mark.parametrize(
    ("text", "too_often"),
    [
        ("FREQ=SECONDLY", True),
        ("freq=secondly;INTERVAL=90", True),
        ("FREQ=DAILY;BYSECOND=0,30", True),
        ("FREQ=DAILY;BYSECOND=30,30", False),
        ("FREQ=MINUTELY", False),
    ],
)
def test_less_than_a_minute_apart_is_grammar_but_too_often(text: str, too_often: bool) -> None:
    assert parse(text).is_too_often is too_often
