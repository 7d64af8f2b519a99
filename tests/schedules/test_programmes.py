from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.lateness import JOIN, IfLate, Late
from schedules.levels import Level
from schedules.programmes import LEAD, Approval, Item, Programme, ProgrammeState, content_digest, occurrences
from schedules.recurrence import Recurrence
from schedules.zones import Targets
from tests.schedules.examples import DAY, HOUR, MINUTE, NOON, SAIGON, SOAK, approved, item, programme, utc

DAILY = Recurrence(start=datetime(2026, 3, 1, 5), rule="FREQ=DAILY")


def ids(made: Programme, after: datetime, before: datetime) -> list[str]:
    return [occurrence.id for occurrence in occurrences(made, after, before, SAIGON)]


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (programme(items=(Item(sound="a" * 64),)), ProgrammeState.PREPARING),
        (programme(items=(item(), Item(sound="a" * 64, rendition="b" * 64))), ProgrammeState.PREPARING),
        (programme(items=(Item(sound="a" * 64, rendition="b" * 64, duration=timedelta()),)), ProgrammeState.PREPARING),
        (programme(items=()), ProgrammeState.PREPARING),
        (programme(items=(Item(sound="a" * 64),), failure="not_audio"), ProgrammeState.FAILED),
        (programme(), ProgrammeState.PENDING),
        (approved(), ProgrammeState.APPROVED),
        (approved(withdrawn_at=NOON), ProgrammeState.WITHDRAWN),
        (programme(withdrawn_at=NOON, failure="not_audio"), ProgrammeState.WITHDRAWN),
    ],
)
def test_states(made: Programme, state: ProgrammeState) -> None:
    assert made.state is state


def test_duration_is_the_sum_of_what_is_prepared() -> None:
    assert programme(items=(item(2), Item(sound="a" * 64), item(3))).duration == 5 * MINUTE


@pytest.mark.parametrize(
    "change",
    [
        {"items": (item(name="b"),)},
        {"items": (item(6),)},
        {"items": (item(), item())},
        {"targets": Targets(zones=("district",))},
        {"targets": Targets(zones=("commune",), excluded=("school",))},
        {"targets": Targets(clusters=("commune",))},
        {"level": Level.PRIORITY},
        {"if_late": IfLate(action=Late.SKIP)},
        {"if_late": IfLate(action=Late.WHOLE, within=30 * MINUTE)},
        {"recurrence": None},
        {"recurrence": Recurrence(start=datetime(2026, 3, 2, 3))},
        {"recurrence": Recurrence(start=datetime(2026, 3, 2, 5), rule="FREQ=DAILY")},
        {"recurrence": Recurrence(start=datetime(2026, 3, 2, 5), until=datetime(2026, 3, 3))},
        {"recurrence": Recurrence(start=datetime(2026, 3, 2, 5), excluded=(datetime(2026, 3, 3),))},
        {"recurrence": Recurrence(start=datetime(2026, 3, 2, 5), excluded_days=(date(2026, 3, 3),))},
    ],
)
def test_an_approval_is_void_when_what_is_heard_changes(change: dict[str, Any]) -> None:
    changed = replace(approved(), **change)
    assert changed.state is ProgrammeState.PENDING
    assert ids(changed, NOON - 30 * DAY, NOON + 30 * DAY) == []


@pytest.mark.parametrize(
    "change",
    [{"title": "Bản tin tối"}, {"author": "hoa"}, {"revision": 2}, {"created_at": NOON}],
)
def test_an_approval_holds_when_only_the_label_changes(change: dict[str, Any]) -> None:
    assert replace(approved(), **change).state is ProgrammeState.APPROVED


def test_what_a_programme_does_not_say_has_no_part_in_its_digest() -> None:
    known = "49ea7c9003ab5a166050358d600fb5d2853e53e48c916a31f9f7a6c5e98d0de8"
    assert content_digest(programme()) == content_digest(programme(if_late=JOIN)) == known, "old approvals stay good"


def test_how_long_it_may_wait_is_content() -> None:
    waits = [programme(if_late=IfLate(action=Late.WHOLE, within=minutes * MINUTE)) for minutes in (5, 6, 720)]
    assert len({content_digest(each) for each in (*waits, programme())}) == 4


def test_the_order_of_targets_is_not_content_and_that_of_items_is() -> None:
    one, other = item(name="a"), item(name="b")
    assert content_digest(programme(targets=Targets(zones=("x", "y")))) == content_digest(
        programme(targets=Targets(zones=("y", "x")))
    )
    assert content_digest(programme(items=(one, other))) != content_digest(programme(items=(other, one)))


def test_occurrences_are_named_by_their_start_and_carry_what_is_played() -> None:
    (found,) = occurrences(approved(recurrence=DAILY), utc("2026-03-02T20:00"), utc("2026-03-03T20:00"), SAIGON)
    assert found.id == "p@20260302T220000Z"
    assert (found.start, found.end, found.items) == (utc("2026-03-02T22:00"), utc("2026-03-02T22:05"), (item(),))
    assert (found.revision, found.title, found.level, found.approved_at) == (1, "Bản tin sáng", 3, NOON - 20 * DAY)


def test_occurrences_carry_what_becomes_of_them_if_they_are_late() -> None:
    whole = IfLate(action=Late.WHOLE, within=HOUR)
    found = occurrences(approved(recurrence=DAILY, if_late=whole), NOON, NOON + 3 * DAY, SAIGON)
    assert [each.if_late for each in found] == [whole] * 3


def test_an_occurrence_belongs_to_every_window_that_it_sounds_in() -> None:
    made, start = approved(recurrence=DAILY), utc("2026-03-02T22:00")
    for after, before, sounds in (
        (start, start + MINUTE, True),
        (start + 4 * MINUTE, start + HOUR, True),
        (start + 5 * MINUTE, start + HOUR, False),
        (start - HOUR, start, False),
    ):
        assert bool(ids(made, after, before)) is sounds, (after, before)


def test_midnight_cuts_nothing() -> None:
    late = approved(recurrence=Recurrence(start=datetime(2026, 3, 1, 23, 58), rule="FREQ=DAILY"))
    (found,) = occurrences(late, utc("2026-03-01T17:00"), utc("2026-03-02T00:00"), SAIGON)  # from local midnight on
    assert (found.start, found.end) == (utc("2026-03-01T16:58"), utc("2026-03-01T17:03"))


def test_nothing_that_would_have_begun_before_its_approval_is_heard() -> None:
    made = approved(recurrence=DAILY, at=utc("2026-03-02T22:03"))
    assert ids(made, utc("2026-03-01T00:00"), utc("2026-03-04T00:00")) == ["p@20260303T220000Z"]
    made = approved(recurrence=DAILY, at=utc("2026-03-02T22:00"))
    assert ids(made, utc("2026-03-01T00:00"), utc("2026-03-03T00:00")) == ["p@20260302T220000Z"]


@pytest.mark.parametrize(
    ("approved_at", "start"),
    [(NOON, NOON + LEAD), (NOON + timedelta(microseconds=1), NOON + LEAD + timedelta(seconds=1))],
)
def test_without_a_time_it_is_heard_a_lead_after_its_approval(approved_at: datetime, start: datetime) -> None:
    found = list(occurrences(approved(recurrence=None, at=approved_at), NOON - DAY, NOON + DAY, SAIGON))
    assert [occurrence.start for occurrence in found] == [start]
    assert found[0].start.tzinfo is UTC


def test_without_a_time_it_is_heard_once() -> None:
    now = approved(recurrence=None, at=NOON)
    assert ids(now, NOON + LEAD, NOON + HOUR) == ids(now, NOON + LEAD + MINUTE, NOON + HOUR) != []
    assert ids(now, NOON + LEAD + 5 * MINUTE, NOON + DAY) == ids(now, NOON, NOON + LEAD) == []


def test_withdrawal_tells_when_to_end_and_takes_back_what_would_come() -> None:
    withdrawn_at = utc("2026-03-02T22:02")
    made = approved(recurrence=DAILY, withdrawn_at=withdrawn_at)
    before, cut, after = occurrences(made, utc("2026-03-01T20:00"), utc("2026-03-09T00:00"), SAIGON)
    assert (before.start, before.duration) == (utc("2026-03-01T22:00"), 5 * MINUTE)
    assert (cut.start, cut.duration, cut.ends_by) == (utc("2026-03-02T22:00"), 5 * MINUTE, withdrawn_at)
    assert (after.start, after.ends_by) == (cut.start + DAY, withdrawn_at), "told to be withdrawn, for a day"


def test_what_was_to_begin_within_a_day_is_told_as_withdrawn() -> None:
    start = utc("2026-03-01T22:00")
    day = 26 * HOUR
    assert len(ids(approved(withdrawn_at=start - day + MINUTE), NOON - 9 * DAY, NOON + DAY)) == 1
    assert ids(approved(withdrawn_at=start - day), NOON - 9 * DAY, NOON + DAY) == []


def test_withdrawing_what_nobody_approved_makes_nothing_sound() -> None:
    assert ids(programme(withdrawn_at=NOON + 9 * DAY), NOON - 9 * DAY, NOON + DAY) == []


def test_an_approval_of_other_content_makes_nothing_sound() -> None:
    forged = programme(approval=Approval(by="minh", at=NOON - 20 * DAY, digest="0" * 64))
    assert (forged.state, ids(forged, NOON - 9 * DAY, NOON + DAY)) == (ProgrammeState.PENDING, [])


def test_windows_are_aware() -> None:
    with pytest.raises(ValueError, match="naive"):
        next(occurrences(approved(), datetime(2026, 3, 2), NOON, SAIGON))


@settings(max_examples=100 * SOAK, deadline=None)
@given(
    rule=st.sampled_from(["FREQ=DAILY", "FREQ=HOURLY", "FREQ=MINUTELY;INTERVAL=20", "FREQ=WEEKLY;BYDAY=MO,TU"]),
    minutes=st.integers(1, 90),
    withdrawn=st.none() | st.integers(-48, 48),
    hours=st.lists(st.integers(-60, 60), min_size=3, max_size=3),
)
def test_adjacent_windows_hold_what_their_union_holds(
    rule: str, minutes: int, withdrawn: int | None, hours: list[int]
) -> None:
    made = approved(
        items=(item(minutes),),
        recurrence=Recurrence(start=datetime(2026, 3, 1, 23, 30), rule=rule),
        withdrawn_at=None if withdrawn is None else NOON + timedelta(hours=withdrawn, minutes=7),
    )
    a, b, c = (NOON + timedelta(hours=hour) for hour in sorted(hours))
    whole = list(occurrences(made, a, c, SAIGON))
    # One that sounds across the border belongs to both sides.
    parts = {found.id: found for window in ((a, b), (b, c)) for found in occurrences(made, *window, SAIGON)}
    assert list(parts.values()) == whole
    assert all(found.start < c and found.end > a and found.duration > timedelta() for found in whole)
    assert all(found.ends_by == made.withdrawn_at for found in whole)
    assert all(found.ends_by is None or found.start < found.ends_by + 26 * HOUR for found in whole)
