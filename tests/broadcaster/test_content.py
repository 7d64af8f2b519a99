"""What a box is told: how late a slot may be, and all local rules that bind it, but not who placed a hold or why."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broadcaster.publisher.content import Content, content_of
from devices import messages
from devices.agent.conduct.playlists import in_force_of
from schedules.lateness import JOIN, LONGEST_WAIT, IfLate, Late
from schedules.levels import Level
from schedules.rules import Hold, Hours, InForce, LocalRules, Loudest, highest_volume
from schedules.timeline import Slot, SlotItem, Timeline
from tests.broadcaster.commune import rendition

MIDNIGHT = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
DAY = timedelta(days=1)
TIMELINE = Timeline(start=MIDNIGHT, end=MIDNIGHT + 7 * DAY, slots=())
DIGEST = "42ab" * 16
NIGHT = Hours(start=time(21), end=time(5))
EVERYTHING = LocalRules(
    quiet=(Hours(start=time(11, 30), end=time(13, 30)), NIGHT),
    weekdays=frozenset({0, 4, 6}),
    longest_session=timedelta(minutes=15),
    most_a_day=timedelta(minutes=45),
    sessions_a_day=2,
    gap=timedelta(minutes=30, microseconds=1),
    loudest=(Loudest(hours=NIGHT, volume=40),),
)


def hold(id_: str, start: float, end: float) -> Hold:
    """Return a hold, its times in days after the playlist's start."""
    return Hold(
        id=id_, kind="funeral", reason="Đám tang nhà ông Sáu", start=MIDNIGHT + start * DAY, end=MIDNIGHT + end * DAY,
        by="lan", placed_at=MIDNIGHT - DAY,
    )  # fmt: skip


def in_force(rules: LocalRules = EVERYTHING, *holds: Hold) -> InForce:
    return InForce(zone=ZoneInfo("Asia/Ho_Chi_Minh"), rules=rules, holds=holds)


def told(rules: InForce | None) -> Content:
    return content_of(TIMELINE, 80, {}, rules)


def test_what_the_box_reads_is_what_the_server_wrote() -> None:
    said = told(in_force(EVERYTHING, hold("h", 0.5, 2))).said.rules
    assert said is not None
    read = in_force_of(messages.Rules.model_validate_json(said.model_dump_json(exclude_none=True), strict=True))
    assert (read.zone, read.rules) == (ZoneInfo("Asia/Ho_Chi_Minh"), EVERYTHING)
    (kept,) = read.holds
    assert (kept.kind, kept.start, kept.end) == ("funeral", MIDNIGHT + 0.5 * DAY, MIDNIGHT + 2 * DAY)


@pytest.mark.parametrize(
    "part",
    [
        {"quiet": EVERYTHING.quiet},
        {"weekdays": frozenset()},
        {"weekdays": EVERYTHING.weekdays},
        {"longest_session": EVERYTHING.longest_session},
        {"most_a_day": EVERYTHING.most_a_day},
        {"sessions_a_day": 0},
        {"gap": EVERYTHING.gap},
        {"loudest": EVERYTHING.loudest},
    ],
    ids=str,
)
def test_one_rule_alone_is_told_too(part: dict[str, Any]) -> None:
    said = told(in_force(LocalRules(**part))).said.rules
    assert said is not None
    assert in_force_of(said).rules == LocalRules(**part)
    assert told(in_force(LocalRules(**part))).digest != told(None).digest


def test_a_hold_that_is_over_is_not_told_and_none_says_who_and_why() -> None:
    rules = told(
        in_force(LocalRules(), hold("old", -3, 0), hold("over midnight", -1, 0.1), hold("later", 3, 4))
    ).said.rules
    assert rules is not None
    assert [each.start for each in rules.holds] == [MIDNIGHT - DAY, MIDNIGHT + 3 * DAY]
    assert {"lan", "Sáu", "later"}.isdisjoint(rules.model_dump_json().replace('"', " ").split())
    assert set(rules.holds[0].model_dump()) == {"kind", "start", "end"}


def test_rules_that_say_nothing_are_left_out() -> None:
    for silent in (in_force(LocalRules()), in_force(LocalRules(), hold("old", -3, 0))):
        assert told(silent).said.rules is None
        assert told(silent).digest == told(None).digest == content_of(TIMELINE, 80, {}).digest


def test_more_than_a_message_takes_never_stops_the_publishing() -> None:
    many = tuple(Hours(start=time(n // 60, n % 60), end=time(n // 60, n % 60, 30)) for n in range(100))
    holds = [hold(str(n), n, n + 0.5) for n in range(300)]
    said = told(in_force(replace(EVERYTHING, quiet=many), *holds)).said.rules
    assert said is not None
    assert len(said.quiet) == messages.MOST_HOURS
    assert [each.start for each in said.holds] == [each.start for each in holds[: messages.MOST_HOLDS]]


def test_too_many_limits_of_loudness_are_told_by_the_hour_the_lowest_of_each() -> None:
    """The box alone sees to it: none of them may be lost."""
    many = tuple(
        Loudest(hours=Hours(start=time(n % 24, n % 60), end=time((n + 1) % 24, n % 60)), volume=20 + n)
        for n in range(70)
    )
    said = told(in_force(LocalRules(loudest=many))).said.rules
    assert said is not None
    assert len(said.loudest) <= messages.MOST_HOURS
    before, after = in_force(LocalRules(loudest=many)), in_force_of(said)
    for minute in range(0, 24 * 60, 7):
        start = MIDNIGHT + timedelta(minutes=minute)
        end = start + timedelta(minutes=3)
        assert highest_volume(start, end, after) <= highest_volume(start, end, before)


def late(said: IfLate) -> Content:
    """Return what is told of one slot of five minutes, a day after the playlist's start."""
    start, length = MIDNIGHT + DAY, timedelta(minutes=5)
    piece = SlotItem(rendition=DIGEST, offset=timedelta(), duration=length)
    slot = Slot(id="p@1", title="x", level=Level.ROUTINE, start=start, end=start + length, items=(piece,), if_late=said)
    return content_of(replace(TIMELINE, slots=(slot,)), 80, {DIGEST: rendition(DIGEST)})


@pytest.mark.parametrize(
    ("said", "word", "within"),
    [
        (IfLate(action=Late.SKIP), "skip", None),
        (IfLate(action=Late.WHOLE, within=timedelta(minutes=30)), "whole", 1800.0),
        (IfLate(action=Late.WHOLE, within=timedelta(seconds=1, microseconds=7)), "whole", 1.000007),
        (IfLate(action=Late.WHOLE, within=LONGEST_WAIT), "whole", 43_200.0),
    ],
)
def test_a_box_is_told_what_to_do_with_a_slot_that_is_late(said: IfLate, word: str, within: float | None) -> None:
    read = messages.PlaylistContent.model_validate_json(late(said).text, strict=True).slots[0]
    assert (read.if_late, read.within) == (word, within)
    assert late(said).digest != late(JOIN).digest


def test_nothing_is_said_of_what_is_joined_so_that_no_playlist_changes_for_it() -> None:
    assert b"late" not in late(JOIN).text
    assert b"within" not in late(JOIN).text
