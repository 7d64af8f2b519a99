import re
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.days import DayType, DayTypes
from schedules.recurrence import Every, Recurrence, RecurrenceError
from schedules.recurrence_check import check
from schedules.recurrence_text import from_text, to_text
from tests.schedules.examples import SAIGON, SOAK

WHOLE = Recurrence(
    start=datetime(2026, 11, 23, 5),
    rule="FREQ=WEEKLY;BYDAY=MO,FR",
    until=datetime(2027, 5, 31),
    every=Every(minutes=15, first=time(6, 30), last=time(8, 15)),
    duration=timedelta(minutes=15),
    added=(datetime(2026, 12, 31, 23, 59, 59), datetime(2026, 12, 24, 19)),
    excluded=(datetime(2026, 11, 26, 5),),
    excluded_days=(date(2027, 2, 16), date(2027, 2, 17)),
    only_on=("exam-week", "thứ bảy; làm bù"),
    not_on=("holiday",),
)
TEXT = r"""DTSTART:20261123T050000
DURATION:PT15M
RRULE:FREQ=WEEKLY;BYDAY=MO,FR
RDATE:20261231T235959,20261224T190000
EXDATE:20261126T050000
EXDATE;VALUE=DATE:20270216,20270217
X-LOA-UNTIL:20270531T000000
X-LOA-EVERY:PT15M/063000/081500
X-LOA-ONLY-ON:exam-week,thứ bảy\; làm bù
X-LOA-NOT-ON:holiday"""


def test_every_part_has_its_line_and_the_lines_their_order() -> None:
    assert to_text(WHOLE) == TEXT
    assert from_text(TEXT) == WHOLE


def test_what_is_not_said_has_no_line() -> None:
    once = Recurrence(start=datetime(1970, 1, 1))
    assert to_text(once) == "DTSTART:19700101T000000"
    assert from_text("DTSTART:19700101T000000") == once


@pytest.mark.parametrize(
    "other",
    [
        TEXT.replace("\n", "\r\n") + "\r\n",
        "\n".join(reversed(TEXT.split("\n"))),
        TEXT.replace("RRULE", "RR\n ULE").replace("05", "0\r\n\t5").replace("làm", "\n làm"),
        re.sub("(?m)^[^:]+", lambda name: name[0].lower(), TEXT),
        TEXT.replace("DTSTART:", "DTSTART;VALUE=DATE-TIME:").replace("EXDATE:", "EXDATE;VALUE=DATE-TIME:"),
        TEXT.replace("235959,", "235959\nRDATE;VALUE=DATE-TIME:").replace("0216,", "0216\n\nEXDATE;VALUE=DATE:"),
        TEXT.replace("PT15M\n", "PT900S\n").replace("PT15M/", "+P0DT0H15M/"),
    ],
)
def test_calendars_may_write_it_otherwise(other: str) -> None:
    assert other != TEXT
    assert from_text(other) == WHOLE


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT1S", 1),
        ("PT1M", 60),
        ("PT1H30M", 5400),
        ("PT23H59M59S", 86_399),
        ("PT1H1S", 3601),
        ("P1D", 86_400),
        ("P1DT1S", 86_401),
        ("P14D", 14 * 86_400),
        ("P0D", 0),
    ],
)
def test_durations_are_written_in_the_fewest_parts(text: str, seconds: int) -> None:
    lasting = Recurrence(start=datetime(2026, 11, 23, 5), duration=timedelta(seconds=seconds))
    assert from_text(f"DTSTART:20261123T050000\nDURATION:{text}") == lasting
    assert to_text(lasting).endswith(f"\nDURATION:{text}")


def test_weeks_are_read() -> None:
    assert from_text("DTSTART:20261123T050000\nDURATION:P2W").duration == timedelta(weeks=2)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("SUMMARY:Bản tin sáng", "'SUMMARY:Bản tin sáng', is not one of DTSTART, DURATION, .* leave it out"),
        ("BEGIN:VEVENT", "is not one of DTSTART"),
        ("Xin chào", "NAME:VALUE"),
        ("DTSTART;TZID=Asia/Ho_Chi_Minh:20261123T050000", "is not one of"),
        ("RDATE;VALUE=DATE:20261123", "is not one of"),
        ("DURATION;VALUE=DATE-TIME:PT15M", "is not one of"),
        ("DTSTART:20261124T050000", "says again what a line before it says; keep one"),
        ("RDATE:20261123T050000Z", "should be local times such as .* without Z or TZID; correct"),
        ("RDATE:20261123", "should be local times"),
        ("RDATE:20261131T050000", "should be local times"),
        ("RDATE:20261130T240000", "should be local times"),
        ("RDATE:٢٠٢٦١١٣٠T050000", "should be local times"),
        ("RDATE:", "should be local times"),
        ("EXDATE:20261130T050000,", "should be local times"),
        ("EXDATE;VALUE=DATE:20261130T050000", "should be days such as 20261123"),
        ("EXDATE;VALUE=DATE:20270229", "should be days"),
        ("DURATION:15", "should be a duration such as PT15M"),
        ("DURATION:P", "a duration"),
        ("DURATION:PT", "a duration"),
        ("DURATION:P1DT", "a duration"),
        ("DURATION:-PT15M", "a duration"),
        ("DURATION:PT1.5M", "a duration"),
        ("DURATION:P1W1D", "a duration"),
        ("DURATION:PT9999999S", "a duration"),
        ("X-LOA-UNTIL:20261123T050000Z", "without Z"),
        ("X-LOA-EVERY:PT15M", "minutes, first and last time such as PT15M/063000/081500"),
        ("X-LOA-EVERY:PT90S/063000/081500", "minutes, first"),
        ("X-LOA-EVERY:PT15M/0630/0815", "minutes, first"),
        ("X-LOA-EVERY:PT15M/063000/240000", "minutes, first"),
        ("X-LOA-ONLY-ON:exam;week", r"ids separated by commas, with \\ before"),
        ("X-LOA-NOT-ON:exam\\week", "ids separated by commas"),
        ("X-LOA-NOT-ON:exam\\", "ids separated by commas"),
        ("X-LOA-VOLUME:11", "is not one of"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str, said: str) -> None:
    with pytest.raises(RecurrenceError, match=said) as caught:
        from_text(f"DTSTART:20261123T0\r\n 50000\r\n{line}\r\nRRULE:FREQ=DAILY")
    assert str(caught.value).startswith(f"Line 3, {line!r},")
    assert (caught.value.code, caught.value.fields) == ("bad_text", {"line": 3})


def test_a_long_line_is_not_shown_whole() -> None:
    with pytest.raises(RecurrenceError) as caught:
        from_text("DTSTART:" + "9" * 100_000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["", "\r\n", "RRULE:FREQ=DAILY"])
def test_without_a_start_there_is_nothing(text: str) -> None:
    with pytest.raises(RecurrenceError, match=r"no DTSTART.* add a line such as DTSTART:") as caught:
        from_text(text)
    assert (caught.value.code, caught.value.fields) == ("bad_text", {"line": None})


def test_the_rule_is_for_check_to_judge() -> None:
    assert from_text("DTSTART:20261123T050000\nRRULE:FREQ=NEVER").rule == "FREQ=NEVER"


def test_fractions_of_a_second_are_dropped_as_where_it_is_heard() -> None:
    fraction = timedelta(microseconds=999_999)
    odd = replace(WHOLE, start=WHOLE.start + fraction, excluded=(WHOLE.excluded[0] + fraction,))
    assert from_text(to_text(odd)) == WHOLE


RULES = (
    "FREQ=DAILY",
    "freq=monthly;bymonthday=-1",
    "FREQ=WEEKLY;BYDAY=MO,FR;WKST=SU",
    "RSCALE=VIETNAMESE;FREQ=MONTHLY;BYMONTHDAY=1,15",
)
ENDED = ("FREQ=DAILY;COUNT=9", "FREQ=DAILY;UNTIL=20991231T165959Z")
WITH_CLOCK = ("FREQ=DAILY;BYHOUR=5,17", "FREQ=MINUTELY;INTERVAL=15")
to_the_second = st.datetimes(datetime(1970, 1, 1), datetime(2999, 12, 31)).map(lambda t: t.replace(microsecond=0))
soon = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)).map(lambda t: t.replace(microsecond=0))
of_day = st.times().map(lambda t: t.replace(microsecond=0))
cycles = st.builds(
    lambda minutes, ends: Every(minutes=minutes, first=min(ends), last=max(ends)),
    st.integers(1, 1440),
    st.tuples(of_day, of_day),
)
type_ids = st.text(max_size=6) | st.text(st.sampled_from('\\;,nNr\n\r\t a:"'), max_size=6)


@st.composite
def recurrences(draw: st.DrawFn) -> Recurrence:
    """Recurrences that may well be accepted, with any ids of day types."""
    rule = draw(st.none() | st.sampled_from((*RULES, *ENDED, *WITH_CLOCK)))
    return Recurrence(
        start=draw(soon if rule and "RSCALE" in rule else soon | to_the_second),
        rule=rule,
        until=None if rule in ENDED else draw(st.none() | to_the_second),
        every=None if rule in WITH_CLOCK else draw(st.none() | cycles),
        duration=draw(st.none() | st.integers(1, 86_400).map(lambda seconds: timedelta(seconds=seconds))),
        added=tuple(draw(st.lists(to_the_second, max_size=4))),
        excluded=tuple(draw(st.lists(st.datetimes().map(lambda t: t.replace(microsecond=0)), max_size=4))),
        excluded_days=tuple(draw(st.lists(st.dates(), max_size=4))),
        only_on=tuple(draw(st.lists(type_ids, max_size=3))),
        not_on=tuple(draw(st.lists(type_ids, max_size=3))),
    )


def is_accepted(recurrence: Recurrence) -> bool:
    named = {type_id: frozenset(range(7)) for type_id in recurrence.only_on}
    types = {type_id: frozenset[int]() for type_id in recurrence.not_on} | named
    station = DayTypes(DayType(id=type_id, name="", weekdays=days) for type_id, days in types.items())
    try:
        check(recurrence, SAIGON, station)
    except RecurrenceError:
        return False
    return True


@settings(max_examples=500 * SOAK, deadline=None)
@given(recurrence=recurrences())
def test_text_gives_back_the_same_recurrence_accepted_or_not(recurrence: Recurrence) -> None:
    text = to_text(recurrence)
    assert from_text(text) == recurrence
    assert from_text(text.replace("\n", "\r\n")) == recurrence
    assert is_accepted(from_text(text)) == is_accepted(recurrence)


def test_the_example_with_every_part_is_accepted() -> None:
    assert is_accepted(WHOLE)


@settings(max_examples=300 * SOAK, deadline=None)
@given(st.lists(st.sampled_from((*TEXT.split("\n"), "RDATE:", " ", "\r", "X:", "DURATION:P1W")) | st.text(max_size=9)))
def test_any_text_is_read_or_refused(lines: list[str]) -> None:
    try:
        read = from_text("\n".join(lines))
    except RecurrenceError as error:
        assert error.code == "bad_text"
    else:
        assert from_text(to_text(read)) == read
