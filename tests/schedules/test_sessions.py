"""Sessions and days in the words of officials, and what the box lets sound of slots that come together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedules.counting import broken_days, exceeds
from schedules.levels import Level
from schedules.refusals import refusals
from schedules.rules import InForce, LocalRules, Rule, combine, stops
from tests.schedules.ruling import (
    AZORES,
    BEIRUT,
    DAY,
    HOUR,
    MINUTE,
    SAIGON,
    SECOND,
    counting_rules,
    local,
    lone_rules,
    nights,
    says,
    zones,
)


@dataclass(frozen=True)
class Said:
    """A slot of the commune, by its hours."""

    id: str
    level: Level
    start: datetime
    end: datetime


def day(text: str, on: str = "2026-03-02", zone: ZoneInfo = SAIGON) -> list[Said]:
    """Return the slots of ``"05:00-05:15 !23:00-+00:30"``: ``!`` is an emergency, ``+`` the next day."""
    made, today = [], date.fromisoformat(on)
    for name in text.split():
        start, end = (local(f"{today + DAY * ('+' in at)}T{at.lstrip('!+')}", zone) for at in name.split("-"))
        level = Level.EMERGENCY if name.startswith("!") else Level.ROUTINE
        made.append(Said(name, level, start, end))
    return made


HANOI = says(longest_session=15 * MINUTE, sessions_a_day=2)
"""As decision 1246/2021 of Hà Nội has it for towns."""
COUNTED = [
    # A session may last 15 minutes, and there are two a day.
    (HANOI, "05:00-05:15 17:00-17:15", {}, "just as it should be"),
    (HANOI, "05:00-05:16", {"05:00-05:16": Rule.SESSION_TOO_LONG}, "a minute too long"),
    (HANOI, "05:00-05:10 05:10-05:16", {"05:10-05:16": Rule.SESSION_TOO_LONG}, "two bulletins are one session"),
    (HANOI, "05:00-05:07 05:08-05:15", {}, "a pause of exactly a minute is part of the session, which just fits"),
    (HANOI, "05:00-05:07 05:08-05:16", {"05:08-05:16": Rule.SESSION_TOO_LONG}, "and here it does not"),
    (HANOI, "05:00-05:07 05:08:01-05:16", {}, "a second more of a pause makes two sessions"),
    (HANOI, "05:00-05:05 06:00-06:05 17:00-17:05", {"17:00-17:05": Rule.TOO_MANY_SESSIONS}, "a third session"),
    (HANOI, "05:00-05:05 05:06-05:10 17:00-17:15", {}, "three bulletins in two sessions"),
    (HANOI, "05:00-05:20 06:00-06:15 17:00-17:15", {"05:00-05:20": Rule.SESSION_TOO_LONG}, "refused is not heard"),
    (HANOI, "05:00-05:10 05:10-05:20 05:21-05:25 17:00-17:15",
     {"05:10-05:20": Rule.SESSION_TOO_LONG, "17:00-17:15": Rule.TOO_MANY_SESSIONS}, "and a new one begins"),
    (HANOI, "05:00-05:15 17:00-17:15 !03:15-04:15 !19:00-19:30", {}, "emergencies are no sessions"),
    (HANOI, "05:00-05:10 !05:10-05:40 05:40-05:50 17:00-17:10", {"17:00-17:10": Rule.TOO_MANY_SESSIONS},
     "and do not join those before and after them"),
    (HANOI, "05:00-05:15 17:00-17:15 23:55-+00:05 +00:05:30-+00:10 +05:00-+05:15 +17:00-+17:15",
     {"23:55-+00:05": Rule.TOO_MANY_SESSIONS, "+17:00-+17:15": Rule.TOO_MANY_SESSIONS}, "a third before midnight"),
    (HANOI, "05:00-05:15 23:55-+00:05 +05:00-+05:15 +17:00-+17:15", {},
     "a slot over midnight is of the day on which it begins"),
    (HANOI, "23:50-+00:00 +00:00-+00:10", {}, "and no session goes on over midnight"),
    (says(sessions_a_day=0), "05:00-05:15 !06:00-07:00", {"05:00-05:15": Rule.TOO_MANY_SESSIONS}, "no sessions at all"),
    # 45 minutes a day.
    (says(most_a_day=45 * MINUTE), "05:00-05:30 17:00-17:15", {}, "45 minutes"),
    (says(most_a_day=45 * MINUTE), "05:00-05:30 17:00-17:16", {"17:00-17:16": Rule.DAY_FULL}, "46"),
    (says(most_a_day=45 * MINUTE), "05:00-05:30 17:00-17:16 18:00-18:15", {"17:00-17:16": Rule.DAY_FULL},
     "a shorter one still has room"),
    (says(most_a_day=45 * MINUTE), "05:00-05:30 23:50-+00:10 +00:10-+00:50", {"23:50-+00:10": Rule.DAY_FULL},
     "a slot counts whole, on the day on which it begins"),
    (says(most_a_day=45 * MINUTE), "05:00-05:30 23:59:59-+00:14:59 +00:15-+01:00", {}, "also in its last second"),
    (says(most_a_day=45 * MINUTE), "!05:00-06:00 07:00-07:45", {}, "emergencies take nobody's minutes"),
    # Half an hour between sessions.
    (says(gap=30 * MINUTE), "05:00-05:15 05:45-06:00", {}, "exactly half an hour"),
    (says(gap=30 * MINUTE), "05:00-05:15 05:44:59-06:00", {"05:44:59-06:00": Rule.TOO_SOON}, "a second less"),
    (says(gap=30 * MINUTE), "05:00-05:15 05:15-05:30 05:31-05:40", {}, "pauses within a session are none"),
    (says(gap=30 * MINUTE), "05:00-05:15 05:16:01-05:30", {"05:16:01-05:30": Rule.TOO_SOON}, "and then one is"),
    (says(gap=30 * MINUTE), "05:00-05:15 05:20-05:30 05:46-06:00", {"05:20-05:30": Rule.TOO_SOON}, "nobody heard it"),
    (says(gap=30 * MINUTE), "05:00-05:15 !05:20-05:50 06:00-06:15", {}, "nor do emergencies"),
    (says(gap=30 * MINUTE), "23:50-23:59 +00:10-+00:20", {}, "each day is counted by itself"),
    (says(gap=30 * SECOND), "05:00-05:15 05:15:10-05:20", {}, "a gap within a session binds none"),
    # With the rules of a slot alone.
    (says(quiet="21:00-05:00", sessions_a_day=1), "03:15-03:30 05:00-05:15", {"03:15-03:30": Rule.QUIET_HOURS},
     "what the night refuses takes no session"),
    (says(quiet="21:00-05:00", weekdays=frozenset()), "!03:15-03:30", {}, "an emergency passes everything"),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "slots", "refused", "words"), COUNTED)
def test_what_counts(rules: InForce, slots: str, refused: dict[str, Rule], words: str) -> None:
    found = refusals(Random(5).sample(day(slots), len(day(slots))), rules)
    assert {name: breach.rule for name, breach in found.items()} == refused, words


def intervals(text: str) -> list[tuple[datetime, datetime]]:
    return [(each.start, each.end) for each in day(text)]


def test_a_slot_that_bridges_two_sessions_makes_them_one() -> None:
    """Asked of a slot that comes last, though it lies between others."""
    two = "05:00-05:10 05:10-05:20 05:20-05:30"
    long = exceeds(intervals(two), 1, says(longest_session=29 * MINUTE))
    assert long is not None
    assert (long.rule, long.limit) == (Rule.SESSION_TOO_LONG, 29 * MINUTE)
    assert exceeds(intervals(two), 1, says(longest_session=30 * MINUTE)) is None
    assert exceeds(intervals(two), 1, says(sessions_a_day=1)) is None, "one session less, none more"
    assert exceeds(intervals(two), 1, says(gap=HOUR)) is None


def test_a_slot_before_others_is_too_soon_for_them() -> None:
    early = exceeds(intervals("05:00-05:10 05:30-05:40"), 0, says(gap=30 * MINUTE))
    assert early is not None
    assert (early.rule, early.limit) == (Rule.TOO_SOON, 30 * MINUTE)
    full = exceeds(intervals("05:00-05:10 17:00-17:10"), 0, says(sessions_a_day=1))
    assert full is not None
    assert (full.rule, full.limit) == (Rule.TOO_MANY_SESSIONS, 1)


def test_what_is_over_is_not_judged_and_counts() -> None:
    """It was heard under the rules of its time; new ones say what may follow."""
    strict = says(quiet="05:00-06:00", most_a_day=15 * MINUTE)
    slots = day("05:00-05:10 17:00-17:10 18:00-18:05")
    assert [*refusals(slots, strict)] == ["05:00-05:10"]
    assert [*refusals(slots, strict, over_by=local("2026-03-02T05:10"))] == ["17:00-17:10"]
    assert [*refusals(slots, strict, over_by=local("2026-03-02T05:09:59"))] == ["05:00-05:10"]


def test_a_day_is_counted_alike_whether_the_one_before_is_seen_or_not() -> None:
    """A playlist begins at midnight: the box cannot see what was said just before."""
    evening, today = day("23:50-23:59", "2026-03-01"), day("00:01-00:10 05:00-05:15 17:00-17:15")
    assert [*refusals(today, HANOI)] == [*refusals([*evening, *today], HANOI)] == ["17:00-17:15"]


def test_a_day_without_midnight_and_one_of_25_hours_are_days() -> None:
    once = says(zone=BEIRUT, sessions_a_day=1)
    beirut = day("23:00-23:10 +01:00-+01:10 +23:50-+23:59", "2026-03-28", once.zone)
    assert [*refusals(beirut, once)] == ["+23:50-+23:59"]
    # Azores, 25 October 2026: at 01:00 summer time the clocks go back to midnight, so midnight comes twice.
    azores = says(zone=AZORES, sessions_a_day=2)
    starts = [datetime(2026, 10, 24, 23, 59, tzinfo=UTC) + hour * HOUR for hour in (0, 1, 2, 25, 26)]
    slots = [Said(str(n), Level.ROUTINE, start, start + MINUTE) for n, start in enumerate(starts)]
    assert [each.start.astimezone(azores.zone).day for each in slots] == [24, 25, 25, 25, 26]
    assert [*refusals(slots, azores)] == ["3"]


class Watched(list[tuple[datetime, datetime]]):
    """Intervals that count how often one is looked at."""

    looks = 0

    def __getitem__(self, place: object) -> object:  # type: ignore[override]
        self.looks += 1
        return super().__getitem__(place)  # type: ignore[index]


def test_a_year_of_slots_costs_no_more_than_a_day() -> None:
    rules = says(longest_session=HOUR, most_a_day=10 * HOUR, sessions_a_day=20, gap=5 * MINUTE)
    looks = []
    for days in (3, 365):
        starts = (local("2026-01-01T05:00") + day * DAY + hour * HOUR for day in range(days) for hour in range(10))
        year = Watched((start, start + 10 * MINUTE) for start in starts)
        assert exceeds(year, 15, rules) is None
        looks.append(year.looks)
    assert looks[0] == looks[1]


# Whatever the rules and the slots


@st.composite
def weeks(draw: st.DrawFn) -> list[tuple[datetime, datetime]]:
    """Draw intervals of two days, many of them in one session."""
    at, made = draw(nights), []
    for _ in range(draw(st.integers(0, 12))):
        at += draw(st.sampled_from([0, 0, 30, 60, 61, 90, 600, 1800, 3600, 20_000])) * timedelta(seconds=1)
        made.append((at, at + draw(st.integers(1, 30)) * MINUTE))
        at = made[-1][1]
    return made


def sessions_of(whole: Sequence[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    found: list[tuple[datetime, datetime]] = []
    for start, end in whole:
        if found and start - found[-1][1] <= MINUTE:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def keep(whole: Sequence[tuple[datetime, datetime]], in_force: InForce) -> bool:
    """Say whether all of it keeps the rules, by their words."""
    rules, zone = in_force.rules, in_force.zone
    for today in {start.astimezone(zone).date() for start, _ in whole}:
        slots = [each for each in whole if each[0].astimezone(zone).date() == today]
        sessions = sessions_of(slots)
        spoken = sum((end - start for start, end in slots), timedelta())
        if (
            (rules.longest_session is not None and any(end - start > rules.longest_session for start, end in sessions))
            or (rules.most_a_day is not None and spoken > rules.most_a_day)
            or (rules.sessions_a_day is not None and len(sessions) > rules.sessions_a_day)
            or (rules.gap is not None and any(b[0] - a[1] < rules.gap for a, b in pairwise(sessions)))
        ):
            return False
    return True


@given(counting_rules, zones, weeks())
def test_all_keep_the_rules_exactly_if_each_does(
    rules: LocalRules, zone: ZoneInfo, whole: list[tuple[datetime, datetime]]
) -> None:
    in_force = InForce(zone=zone, rules=rules)
    assert all(exceeds(whole, i, in_force) is None for i in range(len(whole))) == keep(whole, in_force)
    assert (broken_days(whole, in_force) == frozenset()) == keep(whole, in_force)


@given(counting_rules, zones, weeks(), st.data())
def test_what_joins_others_that_keep_the_rules_is_alone_to_blame(
    rules: LocalRules, zone: ZoneInfo, whole: list[tuple[datetime, datetime]], data: st.DataObject
) -> None:
    """The one that came last is asked, and nobody else: this is how plans are made."""
    in_force, placed = InForce(zone=zone, rules=rules), []
    for one in data.draw(st.permutations(whole)):
        tried = sorted([*placed, one])
        if exceeds(tried, tried.index(one), in_force) is None:
            placed = tried
        assert keep(placed, in_force)


def said(whole: Sequence[tuple[datetime, datetime]], levels: Sequence[Level]) -> list[Said]:
    return [Said(str(n), level, *each) for n, (each, level) in enumerate(zip(whole, levels, strict=True))]


@given(counting_rules, lone_rules, zones, weeks(), st.data())
def test_the_box_lets_sound_what_keeps_the_rules_and_refuses_nothing_else(
    counting: LocalRules, lone: LocalRules, zone: ZoneInfo, whole: list[tuple[datetime, datetime]], data: st.DataObject
) -> None:
    in_force = InForce(zone=zone, rules=combine([counting, lone]))
    levels = data.draw(st.lists(st.sampled_from(Level), min_size=len(whole), max_size=len(whole)))
    slots = said(whole, levels)
    refused = refusals(slots, in_force)
    assert not any(each.level is Level.EMERGENCY for each in slots if each.id in refused)
    passed = [each for each in slots if each.id not in refused and each.level is not Level.EMERGENCY]
    assert keep([(each.start, each.end) for each in passed], in_force)
    assert all(stops(each.start, each.end, in_force) is None for each in passed)
    assert refusals(passed, in_force) == {}, "what was let through is let through again"
    for n, each in enumerate(passed):
        assert refusals(passed[: n + 1], in_force) == {}
        assert refusals([later for later in passed if later.end > each.start], in_force) == {}


def test_where_clocks_go_back_over_midnight_a_day_is_told_by_its_date() -> None:
    """Newfoundland turned them back at 00:01, to 23:01 of the day before, until 2011."""
    in_force = says(zone=ZoneInfo("America/St_Johns"), sessions_a_day=2)
    first = datetime(2010, 11, 7, 2, 0, tzinfo=UTC)
    slots = [(first + n * MINUTE, first + (n + 1) * MINUTE) for n in (0, 30, 59)]
    shown = [start.astimezone(in_force.zone).strftime("%d %H:%M") for start, _ in slots]
    assert shown == ["06 23:30", "07 00:00", "06 23:29"]
    assert broken_days(slots, in_force) == frozenset()
    assert all(exceeds(slots, i, in_force) is None for i in range(3))
