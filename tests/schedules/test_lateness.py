"""What a box may do that could not begin a slot on time: as the programme says, and no more than still makes sense."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from schedules.arbitration import arbitrate
from schedules.lateness import JOIN, LONGEST_WAIT, IfLate, Late
from schedules.levels import Level, Policy
from schedules.programmes import IfTaken, Occurrence, Yielding
from schedules.timeline import Slot, build
from tests.schedules.examples import DAY, HOUR, MINUTE, NOON, SOAK, crowded, item, minutes, occurrence

HALF_HOUR = IfLate(action=Late.WHOLE, within=30 * MINUTE)
SKIP = IfLate(action=Late.SKIP)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def slots(*asked: Occurrence, start: datetime = NOON - DAY, end: datetime = NOON + DAY) -> tuple[Slot, ...]:
    return build(arbitrate(asked, policy=Policy(most_move=HOUR)), start, end).slots


def told(*asked: Occurrence) -> list[tuple[str, IfLate]]:
    return [(slot.title, slot.if_late) for slot in slots(*asked)]


@pytest.mark.parametrize(
    "said",
    [
        {"action": Late.WHOLE},
        {"action": Late.WHOLE, "within": timedelta()},
        {"action": Late.WHOLE, "within": LONGEST_WAIT + timedelta(microseconds=1)},
        {"action": Late.JOIN, "within": MINUTE},
        {"action": Late.SKIP, "within": MINUTE},
    ],
)
def test_only_what_is_played_whole_waits_and_not_for_ever(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="within"):
        IfLate(**said)


@pytest.mark.parametrize("said", [JOIN, SKIP, HALF_HOUR, IfLate(action=Late.WHOLE, within=LONGEST_WAIT)])
def test_a_slot_says_what_its_programme_says(said: IfLate) -> None:
    assert told(occurrence("a", 0, 5, if_late=said), occurrence("b", 5, 5)) == [("a", said), ("b", JOIN)]


def test_a_slot_that_was_moved_may_be_late_from_there() -> None:
    _, moved = slots(occurrence("x", 0, 10, Level.PRIORITY), occurrence("a", 5, 5, if_late=HALF_HOUR))
    assert (moved.start, moved.if_late, moved.latest_end) == (at(10), HALF_HOUR, at(45))


@pytest.mark.parametrize(("said", "ends"), [(JOIN, 5), (SKIP, 5), (HALF_HOUR, 35)])
def test_a_slot_is_over_when_no_box_may_sound_it_any_more(said: IfLate, ends: int) -> None:
    (slot,) = slots(occurrence("a", 0, 5, if_late=said))
    assert (slot.end, slot.latest_end) == (at(5), at(ends))


@pytest.mark.parametrize("taken", [IfTaken(action=Yielding.TRIM), IfTaken()])
def test_what_is_cut_short_is_not_played_whole(taken: IfTaken) -> None:
    urgent = occurrence("x", 3, 5, Level.EMERGENCY, approved_at=at(2))
    assert told(occurrence("a", 0, 5, if_late=HALF_HOUR, if_taken=taken), urgent) == [("a", JOIN), ("x", JOIN)]
    assert told(occurrence("a", 0, 5, if_late=SKIP, if_taken=taken), urgent)[0] == ("a", SKIP)


def test_what_its_recurrence_makes_shorter_is_whole_as_that() -> None:
    (slot,) = slots(occurrence("a", 0, 5, items=(item(9),), if_late=HALF_HOUR))
    assert (slot.cut, slot.if_late) == ("longest", HALF_HOUR)


@pytest.mark.parametrize(
    ("withdrawn", "end", "may"),
    [
        (2, 2, JOIN),
        (5, 5, JOIN),
        (5.5, 5, IfLate(action=Late.WHOLE, within=MINUTE / 2)),
        (20, 5, IfLate(action=Late.WHOLE, within=15 * MINUTE)),
        (34, 5, IfLate(action=Late.WHOLE, within=29 * MINUTE)),
        (36, 5, HALF_HOUR),
    ],
)
def test_nothing_of_what_was_withdrawn_sounds_from_then_on(withdrawn: float, end: float, may: IfLate) -> None:
    """A box that comes back after the withdrawal finds that the time in which it might have begun is over."""
    (slot,) = slots(occurrence("a", 0, 5, if_late=HALF_HOUR, ends_by=at(withdrawn)))
    assert (slot.end, slot.if_late) == (at(end), may)
    assert slot.latest_end <= at(withdrawn)


def test_a_slot_is_in_every_window_in_which_a_box_may_sound_it() -> None:
    asked = occurrence("a", 0, 5, if_late=HALF_HOUR)
    for start, end, there in ((10, 20, True), (34.9, 99, True), (35, 99, False), (-60, 0, False), (-60, 0.1, True)):
        assert bool(slots(asked, start=at(start), end=at(end))) is there, (start, end)


@settings(max_examples=150 * SOAK, deadline=None)
@given(crowded, minutes)
def test_a_withdrawal_never_ends_a_slot_before_it_was_made(asked: list[Occurrence], now: datetime) -> None:
    """So whoever closes what is over finds each slot in the time since the last look: ``flow.report.close``."""
    before = {slot.id: slot for slot in slots(*asked)}
    for i, each in enumerate(asked):
        slot = before.get(each.id)
        if each.ends_by is None and slot is not None and slot.start < now < slot.latest_end:
            after = slots(*asked[:i], replace(each, ends_by=now), *asked[i + 1 :])
            assert [again.latest_end >= now for again in after if again.id == each.id] == [True]
