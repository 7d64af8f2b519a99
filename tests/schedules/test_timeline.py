from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.arbitration import arbitrate
from schedules.levels import Level, Policy
from schedules.programmes import Item, Occurrence
from schedules.timeline import Timeline, build, difference, item_at, next_change, sounding_at
from tests.schedules.examples import DAY, HOUR, MINUTE, NOON, SOAK, crowded, item, moves, occurrence


def timeline(*asked: Occurrence, start: datetime = NOON, end: datetime = NOON + HOUR) -> Timeline:
    return build(arbitrate(asked, policy=Policy(most_move=30 * MINUTE)), start, end)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


TWO = timeline(occurrence("a", 5, 10), occurrence("b", 15, 5), occurrence("c", 30, 5))


@pytest.mark.parametrize(
    ("minutes", "name"),
    [(0, None), (4.99, None), (5, "a"), (14.99, "a"), (15, "b"), (20, None), (30, "c"), (35, None), (99, None)],
)
def test_a_slot_owns_its_start_and_not_its_end(minutes: float, name: str | None) -> None:
    slot = sounding_at(TWO, at(minutes))
    assert (slot and slot.title) == name


@pytest.mark.parametrize(
    ("minutes", "change"), [(0, 5), (5, 15), (10, 15), (15, 20), (20, 30), (29.99, 30), (30, 35), (35, None)]
)
def test_the_next_change_comes_after_now(minutes: float, change: float | None) -> None:
    assert next_change(TWO, at(minutes)) == (None if change is None else at(change))


def test_slots_that_reach_over_the_border_are_whole() -> None:
    cut = timeline(
        occurrence("before", -10, 10), occurrence("in", -5, 10), occurrence("out", 55, 10), occurrence("after", 65, 5)
    )
    assert [(slot.title, slot.start, slot.end) for slot in cut.slots] == [
        ("in", at(0), at(10)),  # moved into the window by the one before it
        ("out", at(55), at(65)),
    ]


def test_a_trimmed_slot_holds_what_sounds_of_its_items() -> None:
    long = replace(occurrence("a", 0, 9), items=(item(4, "a"), item(3, "b"), item(2, "c")))
    urgent = occurrence("x", 6, 10, Level.EMERGENCY, approved_at=at(5))
    slot = timeline(long, urgent).slots[0]
    assert slot.end == at(6)
    assert [(piece.rendition[0], piece.offset, piece.duration) for piece in slot.items] == [
        ("A", timedelta(), 4 * MINUTE),
        ("B", 4 * MINUTE, 2 * MINUTE),
    ]


def test_items_begin_at_the_slot_wherever_it_was_moved() -> None:
    moved = timeline(occurrence("a", 0, 10, Level.PRIORITY), occurrence("b", 5, 4)).slots[1]
    assert (moved.start, moved.items[0].offset) == (at(10), timedelta())


def test_the_item_at_an_instant_and_how_far_into_it() -> None:
    slot = timeline(replace(occurrence("a", 0, 7), items=(item(4, "a"), item(3, "b")))).slots[0]
    assert item_at(slot, at(0)) == (slot.items[0], timedelta())
    assert item_at(slot, at(3.5)) == (slot.items[0], 3.5 * MINUTE)
    assert item_at(slot, at(4)) == (slot.items[1], timedelta())
    assert item_at(slot, at(6.5)) == (slot.items[1], 2.5 * MINUTE)
    assert item_at(slot, at(7)) is None
    assert item_at(slot, at(-1)) is None


def test_the_difference_of_two_timelines() -> None:
    old = timeline(occurrence("a", 0, 5), occurrence("b", 10, 5), occurrence("c", 20, 5))
    new = timeline(occurrence("a", 0, 5), occurrence("b", 10, 6), occurrence("d", 20, 5))
    change = difference(old, new)
    assert [slot.title for slot in change.added] == ["d"]
    assert [slot.title for slot in change.removed] == ["c"]
    assert [(was.title, was.end, will_be.end) for was, will_be in change.changed] == [("b", at(15), at(16))]
    assert change
    assert not difference(old, old)


def test_naive_instants_are_our_mistake() -> None:
    naive = datetime(2026, 3, 2, 12)
    for ask in (
        lambda: sounding_at(TWO, naive),
        lambda: next_change(TWO, naive),
        lambda: item_at(TWO.slots[0], naive),
        lambda: build((), naive, NOON),
    ):
        with pytest.raises(ValueError, match="naive"):
            ask()


def test_a_slot_that_ends_before_its_sounds_says_why() -> None:
    whole = occurrence("a", 0, 5)
    assert timeline(whole).slots[0].cut is None
    moved = timeline(whole, occurrence("b", 0, 5, approved_at=NOON - HOUR)).slots[1]
    assert (moved.start, moved.cut) == (at(5), None)
    withdrawn = replace(whole, ends_by=at(2))
    short = replace(whole, duration=2 * MINUTE)
    assert timeline(short).slots[0].cut == "longest"
    assert timeline(withdrawn).slots[0].cut == "withdrawn"
    urgent = occurrence("b", 2, 5, level=Level.PRIORITY, approved_at=at(1))
    assert [slot.cut for slot in timeline(whole, urgent).slots] == ["air_taken", None]


def test_what_cannot_be_a_timeline_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="no room"):
        timeline(end=NOON)
    two = [arbitrate([occurrence(name, 0, 5)], policy=Policy(most_move=HOUR))[0] for name in "ab"]
    with pytest.raises(ValueError, match="overlap"):
        build(two, NOON, NOON + HOUR)
    unprepared = replace(occurrence("a", 0, 5), items=(Item(sound="a" * 64),))
    with pytest.raises(ValueError, match="not prepared"):
        timeline(unprepared)


@settings(max_examples=150 * SOAK, deadline=None)
@given(crowded, moves)
def test_walking_the_changes_meets_every_slot_once(asked: list[Occurrence], most_move: timedelta) -> None:
    made = build(arbitrate(asked, policy=Policy(most_move=most_move)), NOON - DAY, NOON + DAY)
    assert all(earlier.end <= later.start for earlier, later in pairwise(made.slots))
    met, t = [], next_change(made, NOON - DAY)
    while t is not None:
        if (slot := sounding_at(made, t)) is not None:
            met.append(slot)
        t = next_change(made, t)
    assert tuple(met) == made.slots


@settings(max_examples=150 * SOAK, deadline=None)
@given(crowded, moves, st.integers(0, 80), st.integers(0, 80), st.integers(-5, 90))
def test_the_same_sounds_in_every_window(
    asked: list[Occurrence], most_move: timedelta, first: int, length: int, minute: int
) -> None:
    verdicts = arbitrate(asked, policy=Policy(most_move=most_move))
    start, end, t = at(first), at(first + length + 1), at(minute)
    whole, window = build(verdicts, NOON - DAY, NOON + DAY), build(verdicts, start, end)
    assert window.slots == tuple(slot for slot in whole.slots if slot.start < end and slot.latest_end > start)
    if start <= t < end:
        assert sounding_at(window, t) == sounding_at(whole, t)
        for slot in window.slots:
            assert (item_at(slot, t) is not None) == (slot.start <= t < slot.end)
