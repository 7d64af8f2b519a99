"""Local rules in the words of officials, and what must hold of them whatever the rules and the slots."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedules.rules import Hours, InForce, LocalRules, Loudest, Rule, breaks, combine, highest_volume, stops
from tests.schedules.ruling import (
    BEIRUT,
    BERLIN,
    HOUR,
    MINUTE,
    hold,
    hours,
    local,
    lone_rules,
    nights,
    says,
    zones,
)

NIGHT = says(quiet="21:00-05:00")
NOON_REST = says(quiet="11:30-13:30")
ALWAYS = says(quiet="00:00-00:00")
LAST_SECOND = says(quiet="23:59:59-00:00")
WORKDAYS = says(weekdays=frozenset(range(5)))
FUNERAL = says(holds=(hold("2026-03-31T22:00", "2026-04-01T10:00"),))
LEAP = says(holds=(hold("2028-02-29T00:00", "2028-03-01T00:00"),))

STOPPED = [
    # Nights: quiet from 9 in the evening until 5 in the morning.
    (NIGHT, "2026-03-02T03:15", 15, Rule.QUIET_HOURS, "the relay at a quarter past three"),
    (NIGHT, "2026-03-02T04:45", 15, Rule.QUIET_HOURS, "it begins before five"),
    (NIGHT, "2026-03-02T04:59:59", 15, Rule.QUIET_HOURS, "a second too early is too early"),
    (NIGHT, "2026-03-02T05:00", 15, None, "at five sharp"),
    (NIGHT, "2026-03-02T20:45", 15, None, "it ends as the night begins"),
    (NIGHT, "2026-03-02T20:45:01", 15, Rule.QUIET_HOURS, "its last second is in the night"),
    (NIGHT, "2026-03-02T21:00", 1, Rule.QUIET_HOURS, "at nine the night has begun"),
    (NIGHT, "2026-03-02T23:59", 1, Rule.QUIET_HOURS, "the last minute of the day"),
    (NIGHT, "2026-03-02T23:50", 20, Rule.QUIET_HOURS, "over midnight"),
    (NIGHT, "2026-03-02T05:00", 16 * 60, None, "all day long, from five to nine"),
    (NIGHT, "2026-03-02T05:00", 25 * 60, Rule.QUIET_HOURS, "a whole day and more"),
    # Rest at noon.
    (NOON_REST, "2026-03-02T11:00", 30, None, "it ends as the rest begins"),
    (NOON_REST, "2026-03-02T11:15", 30, Rule.QUIET_HOURS, "it lasts into the rest"),
    (NOON_REST, "2026-03-02T12:00", 10, Rule.QUIET_HOURS, "in the middle of it"),
    (NOON_REST, "2026-03-02T11:00", 180, Rule.QUIET_HOURS, "around all of it"),
    (NOON_REST, "2026-03-02T13:30", 10, None, "it begins as the rest ends"),
    (NOON_REST, "2026-03-02T23:00", 12 * 60, None, "through the night, until the next morning"),
    (NOON_REST, "2026-03-02T23:00", 13 * 60, Rule.QUIET_HOURS, "through the night, into the next noon"),
    (NOON_REST, "2026-03-02T13:30", 22 * 60, None, "from the end of one rest to the start of the next"),
    (NOON_REST, "2026-03-02T13:30", 22 * 60 + 1, Rule.QUIET_HOURS, "a minute into the next rest"),
    # The same hour twice means the whole day; the last second of a day is a second.
    (ALWAYS, "2026-03-02T12:00", 1, Rule.QUIET_HOURS, "quiet all day"),
    (ALWAYS, "2026-03-02T00:00", 1, Rule.QUIET_HOURS, "from midnight on"),
    (LAST_SECOND, "2026-03-02T23:59:58", 1 / 60, None, "it ends before the last second of the day"),
    (LAST_SECOND, "2026-03-02T23:59:59", 1 / 60, Rule.QUIET_HOURS, "it is the last second of the day"),
    (LAST_SECOND, "2026-03-03T00:00", 60, None, "from midnight on"),
    # Monday to Friday; 6 March 2026 is a Friday.
    (WORKDAYS, "2026-03-06T17:00", 15, None, "on Friday afternoon"),
    (WORKDAYS, "2026-03-07T17:00", 15, Rule.WEEKDAY, "on Saturday"),
    (WORKDAYS, "2026-03-08T23:59:59", 1, Rule.WEEKDAY, "the last second of Sunday"),
    (WORKDAYS, "2026-03-09T00:00", 15, None, "from the first second of Monday"),
    (WORKDAYS, "2026-03-06T23:50", 10, None, "until the last second of Friday"),
    (WORKDAYS, "2026-03-06T23:50", 11, Rule.WEEKDAY, "a minute into Saturday"),
    (WORKDAYS, "2026-03-06T12:00", 3 * 24 * 60, Rule.WEEKDAY, "all weekend long"),
    (says(weekdays=frozenset()), "2026-03-06T17:00", 15, Rule.WEEKDAY, "no day at all"),
    # A funeral from the evening of the 31st to the next morning; a leap day.
    (FUNERAL, "2026-03-31T21:45", 15, None, "it ends as the funeral begins"),
    (FUNERAL, "2026-03-31T21:45", 15.1, Rule.HOLD, "seconds into it"),
    (FUNERAL, "2026-03-31T23:59:59", 1, Rule.HOLD, "over the end of the month"),
    (FUNERAL, "2026-04-01T09:59:59", 1, Rule.HOLD, "its last second"),
    (FUNERAL, "2026-04-01T10:00", 15, None, "it is over"),
    (LEAP, "2028-02-28T23:45", 15, None, "the day before the 29th"),
    (LEAP, "2028-02-29T05:00", 15, Rule.HOLD, "on the 29th of February"),
    (LEAP, "2028-03-01T00:00", 15, None, "the day after"),
    # Nothing is said.
    (says(), "2026-03-02T03:15", 15, None, "no rule at all"),
    (
        says(loudest=(Loudest(hours=hours("00:00-06:00"), volume=0),)),
        "2026-03-02T03:15",
        1,
        None,
        "loudness stops none",
    ),
]


@pytest.mark.parametrize(("rules", "start", "minutes", "rule", "words"), STOPPED)
def test_what_stops_a_slot_by_itself(rules: InForce, start: str, minutes: float, rule: Rule | None, words: str) -> None:
    begin = local(start)
    breach = stops(begin, begin + minutes * MINUTE, rules)
    assert (breach.rule if breach else None) is rule, words


BERLIN_NIGHT = says(zone=BERLIN, quiet="02:00-03:00")
CLOCK_CHANGES = [
    # 25 October 2026: from 03:00 summer time (01:00 UTC) the clocks go back to 02:00.
    (BERLIN_NIGHT, "2026-10-24T23:30", 30, None, "until two in summer time"),
    (BERLIN_NIGHT, "2026-10-25T00:00", 1, Rule.QUIET_HOURS, "the first time that it is two"),
    (BERLIN_NIGHT, "2026-10-25T00:59", 1, Rule.QUIET_HOURS, "the last minute before the clocks are set back"),
    (BERLIN_NIGHT, "2026-10-25T01:00", 1, Rule.QUIET_HOURS, "the second time that it is two"),
    (BERLIN_NIGHT, "2026-10-25T01:59:59", 1, Rule.QUIET_HOURS, "the last second of the second time"),
    (BERLIN_NIGHT, "2026-10-25T02:00", 60, None, "from three in winter time"),
    (says(zone=BERLIN, quiet="02:15-02:20"), "2026-10-25T00:30", 30, None, "past the first, before the second"),
    (says(zone=BERLIN, quiet="02:15-02:20"), "2026-10-25T00:30", 50, Rule.QUIET_HOURS, "into the second"),
    (says(zone=BERLIN, quiet="02:50-02:55"), "2026-10-25T00:56", 8, None, "short, over the moment of the change"),
    (says(zone=BERLIN, quiet="03:00-04:00"), "2026-10-25T00:50", 60, None, "three comes only once"),
    # 29 March 2026: at 02:00 (01:00 UTC) the clocks go on to 03:00; no clock ever shows 02:30.
    (BERLIN_NIGHT, "2026-03-29T00:30", 60, None, "over an hour that there is not"),
    (says(zone=BERLIN, quiet="01:59:59-03:00"), "2026-03-29T00:59:59", 1, Rule.QUIET_HOURS, "the second before it"),
    (says(zone=BERLIN, quiet="02:30-03:00:01"), "2026-03-29T01:00", 1, Rule.QUIET_HOURS, "three is in it"),
    (says(zone=BERLIN, quiet="02:30-03:00:01"), "2026-03-29T01:00:01", 1, None, "a second later is not"),
    # Days that are not 24 hours long, and a weekday at their ends.
    (says(zone=BERLIN, quiet="23:00-00:00"), "2026-10-24T22:00", 24 * 60, None, "a Sunday of 25 hours, up to eleven"),
    (says(zone=BERLIN, quiet="23:00-00:00"), "2026-10-24T22:00", 24 * 60 + 1, Rule.QUIET_HOURS, "and a minute"),
    (says(zone=BERLIN, weekdays=frozenset({6})), "2026-10-24T22:00", 25 * 60, None, "all of that Sunday"),
    (says(zone=BERLIN, weekdays=frozenset({6})), "2026-10-24T22:00", 25 * 60 + 1, Rule.WEEKDAY, "into the Monday"),
    (says(zone=BERLIN, weekdays=frozenset({6})), "2026-03-28T23:00", 23 * 60, None, "a Sunday of 23 hours"),
    (says(zone=BERLIN, weekdays=frozenset({6})), "2026-03-28T23:00", 23 * 60 + 1, Rule.WEEKDAY, "and a minute"),
    # Half an hour, south of the equator; and a midnight that there is not (Beirut, 29 March 2026).
    (says(zone=ZoneInfo("Australia/Lord_Howe"), quiet="01:40-01:45"), "2026-04-04T14:30", 6, None, "before the first"),
    (
        says(zone=ZoneInfo("Australia/Lord_Howe"), quiet="01:40-01:45"),
        "2026-04-04T15:00",
        15,
        Rule.QUIET_HOURS,
        "again",
    ),
    (says(zone=BEIRUT, quiet="00:00-01:00"), "2026-03-28T21:30", 60, None, "no midnight hour"),
    (says(zone=BEIRUT, weekdays=frozenset({6})), "2026-03-28T22:00", 1, None, "Sunday begins at one"),
]


@pytest.mark.parametrize(("rules", "start", "minutes", "rule", "words"), CLOCK_CHANGES)
def test_hours_are_what_the_clocks_show_also_when_they_are_changed(
    rules: InForce, start: str, minutes: float, rule: Rule | None, words: str
) -> None:
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    breach = stops(begin, begin + minutes * MINUTE, rules)
    assert (breach.rule if breach else None) is rule, words


def test_a_breach_says_what_the_rule_says_and_the_hold_comes_first() -> None:
    funeral = hold("2026-03-07T00:00", "2026-03-07T12:00")
    every = says(holds=(funeral,), quiet="00:00-05:00 21:00-23:00", weekdays=frozenset(range(5)))
    start = local("2026-03-07T03:15")
    first = stops(start, start + 15 * MINUTE, every)
    assert first is not None
    assert (first.rule, first.hold) == (Rule.HOLD, funeral)
    assert breaks(start, start + 15 * MINUTE, every) == (Rule.HOLD, Rule.WEEKDAY, Rule.QUIET_HOURS)
    quiet = stops(start, start + MINUTE, replace(every, holds=(), rules=replace(every.rules, weekdays=None)))
    assert quiet is not None
    assert quiet.hours == hours("00:00-05:00")
    assert breaks(local("2026-03-09T12:00"), local("2026-03-09T12:15"), every) == ()


@pytest.mark.parametrize("ask", [stops, breaks, highest_volume])
def test_a_naive_instant_is_our_mistake(ask: object) -> None:
    with pytest.raises(ValueError, match="naive"):
        ask(datetime(2026, 3, 2), datetime(2026, 3, 3), NIGHT)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("slot", "volume"),
    [
        ("2026-03-02T05:00", 60),
        ("2026-03-02T05:59:59", 60),
        ("2026-03-02T06:00", 100),
        ("2026-03-02T19:55", 40),
        ("2026-03-02T19:50", 100),
        ("2026-03-02T23:55", 20),
    ],
)
def test_the_lowest_limit_of_the_hours_that_it_touches_is_the_highest_volume(slot: str, volume: int) -> None:
    limits = [("05:00-06:00", 60), ("20:00-22:00", 40), ("22:00-05:00", 20), ("20:00-23:00", 70)]
    rules = says(loudest=tuple(Loudest(hours=hours(at), volume=percent) for at, percent in limits))
    assert highest_volume(local(slot), local(slot) + 10 * MINUTE, rules) == volume
    assert highest_volume(local(slot), local(slot) + 10 * MINUTE, says()) == 100


# Of many zones, one


def test_a_lower_zone_can_only_be_stricter() -> None:
    province = LocalRules(quiet=(hours("22:00-05:00"),), longest_session=HOUR, gap=10 * MINUTE, sessions_a_day=3)
    commune = LocalRules(
        quiet=(hours("11:30-13:30"), hours("22:00-05:00")),
        weekdays=frozenset({0, 1, 2, 3, 4}),
        longest_session=2 * HOUR,
        most_a_day=HOUR,
        gap=5 * MINUTE,
        loudest=(Loudest(hours=hours("20:00-22:00"), volume=50),),
    )
    hamlet = LocalRules(
        weekdays=frozenset({4, 5}), sessions_a_day=4, loudest=(Loudest(hours=hours("05:00-06:00"), volume=30),)
    )
    assert combine([province, commune, hamlet]) == LocalRules(
        quiet=(hours("11:30-13:30"), hours("22:00-05:00")),
        weekdays=frozenset({4}),
        longest_session=HOUR,
        most_a_day=HOUR,
        sessions_a_day=3,
        gap=10 * MINUTE,
        loudest=(
            Loudest(hours=hours("05:00-06:00"), volume=30),
            Loudest(hours=hours("20:00-22:00"), volume=50),
        ),
    )
    assert combine([]) == LocalRules()


@pytest.mark.parametrize(
    ("rules", "counts"),
    [
        (LocalRules(), False),
        (LocalRules(quiet=(hours("21:00-05:00"),), weekdays=frozenset({1})), False),
        (LocalRules(longest_session=HOUR), True),
        (LocalRules(most_a_day=timedelta()), True),
        (LocalRules(sessions_a_day=0), True),
        (LocalRules(gap=HOUR), True),
    ],
)
def test_rules_count_where_a_slot_is_not_judged_alone(rules: LocalRules, counts: bool) -> None:
    assert rules.counts is counts


# Whatever the rules and the slots

lone_slots = st.tuples(nights, st.integers(0, 30 * 60), st.integers(1, 26 * 60)).map(
    lambda drawn: (drawn[0] + drawn[1] * MINUTE, drawn[0] + (drawn[1] + drawn[2]) * MINUTE)
)


def shown(start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return what the clocks show at each minute of a slot."""
    return [(start + n * MINUTE).astimezone(zone) for n in range((end - start) // MINUTE)]


def within(t: time, each: Hours) -> bool:
    return each.start <= t < each.end if each.start < each.end else t >= each.start or t < each.end


@given(lone_rules, zones, lone_slots)
def test_stopped_is_what_a_clock_reader_would_stop_minute_by_minute(
    rules: LocalRules, zone: ZoneInfo, slot: tuple[datetime, datetime]
) -> None:
    in_force, clocks = InForce(zone=zone, rules=rules), shown(*slot, zone)
    times = {clock.time() for clock in clocks}
    quiet = any(within(t, each) for t in times for each in rules.quiet)
    silent = rules.weekdays is not None and not {clock.weekday() for clock in clocks} <= rules.weekdays
    assert breaks(*slot, in_force) == (Rule.WEEKDAY,) * silent + (Rule.QUIET_HOURS,) * quiet
    assert (stops(*slot, in_force) is None) == (not quiet and not silent)
    touched = [each.volume for each in rules.loudest if any(within(t, each.hours) for t in times)]
    assert highest_volume(*slot, in_force) == min(touched, default=100)


@given(st.lists(lone_rules, max_size=3), zones, lone_slots, st.randoms())
def test_together_they_stop_what_any_of_them_stops(
    rules: list[LocalRules], zone: ZoneInfo, slot: tuple[datetime, datetime], random: Random
) -> None:
    together = InForce(zone=zone, rules=combine(rules))
    alone = [InForce(zone=zone, rules=each) for each in rules]
    assert (stops(*slot, together) is None) == all(stops(*slot, each) is None for each in alone)
    assert highest_volume(*slot, together) == min((highest_volume(*slot, each) for each in alone), default=100)
    assert combine(random.sample(rules, len(rules))) == together.rules
    assert combine([together.rules, *rules]) == together.rules
