from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.arbitration import Outcome, Reason, Verdict, arbitrate, rank
from schedules.levels import Level
from schedules.programmes import Occurrence
from tests.schedules.examples import DAY, HOUR, MINUTE, NOON, crowded, moves, occurrence


def told(*asked: Occurrence, most_move: int = 30) -> dict[str, str]:
    """Return what becomes of each, in one line: outcome, minutes from noon, and why."""
    lines = {}
    for verdict in arbitrate(asked, most_move=most_move * MINUTE):
        line = [verdict.outcome.value]
        if verdict.start is not None and verdict.end is not None:
            line.append(f"{(verdict.start - NOON) // MINUTE}-{(verdict.end - NOON) // MINUTE}")
        if verdict.reason is not None:
            line.append(f"{verdict.reason} by {verdict.by and verdict.by.split('@')[0]}")
        lines[verdict.occurrence.programme] = " ".join(line)
    return lines


def test_free_air_is_kept_and_neighbours_may_touch() -> None:
    assert told(occurrence("a", 0, 10), occurrence("b", 10, 5)) == {"a": "kept 0-10", "b": "kept 10-15"}


def test_the_stronger_level_is_served_first() -> None:
    assert told(occurrence("a", 0, 10), occurrence("b", 5, 10, Level.PRIORITY)) == {
        "a": "moved 15-25 air_taken by b",
        "b": "kept 5-15",
    }


def test_of_one_level_the_first_approved_is_served_first() -> None:
    early, late = occurrence("z", 5, 10, approved_at=NOON - 2 * DAY), occurrence("a", 0, 10)
    assert told(late, early) == {"a": "moved 15-25 air_taken by z", "z": "kept 5-15"}


def test_the_id_decides_between_equals() -> None:
    assert told(occurrence("b", 0, 10), occurrence("a", 0, 10)) == {
        "a": "kept 0-10",
        "b": "moved 10-20 air_taken by a",
    }


def test_it_is_moved_to_the_first_gap_that_holds_all_of_it() -> None:
    blocks = [occurrence("x", 0, 10, Level.PRIORITY), occurrence("y", 14, 6, Level.PRIORITY)]
    assert told(*blocks, occurrence("a", 5, 4))["a"] == "moved 10-14 air_taken by x"
    assert told(*blocks, occurrence("a", 5, 5))["a"] == "moved 20-25 air_taken by x"


def test_moved_too_far_is_dropped_with_what_took_its_air() -> None:
    block = occurrence("x", 0, 31, Level.EMERGENCY)
    assert told(block, occurrence("a", 1, 5))["a"] == "moved 31-36 air_taken by x"
    assert told(block, occurrence("a", 0, 5))["a"] == "dropped no_room by x"
    assert told(block, occurrence("a", 30, 5), most_move=0)["a"] == "dropped no_room by x"


def test_what_had_begun_when_the_blocker_was_approved_is_trimmed() -> None:
    urgent = occurrence("x", 6, 10, Level.EMERGENCY, approved_at=NOON + 5 * MINUTE)
    assert told(occurrence("a", 0, 10), urgent) == {"a": "trimmed 0-6 air_taken by x", "x": "kept 6-16"}


def test_what_begins_as_the_blocker_is_approved_is_moved() -> None:
    urgent = occurrence("x", 6, 10, Level.EMERGENCY, approved_at=NOON)
    assert told(occurrence("a", 0, 10), urgent)["a"] == "moved 16-26 air_taken by x"


def test_a_programme_that_overlaps_itself_waits_for_itself() -> None:
    first, second = occurrence("a", 0, 10), occurrence("a", 5, 10)
    verdicts = arbitrate([second, first], most_move=HOUR)
    assert [(verdict.outcome, verdict.start) for verdict in verdicts] == [
        (Outcome.KEPT, NOON),
        (Outcome.MOVED, NOON + 10 * MINUTE),
    ]


def test_nothing_of_a_withdrawn_programme_sounds_after_the_withdrawal_even_if_it_was_moved() -> None:
    block = occurrence("x", 0, 10, Level.PRIORITY)
    moved = occurrence("a", 5, 10)
    assert told(block, replace(moved, ends_by=NOON + 12 * MINUTE))["a"] == "trimmed 10-12 withdrawn by x"
    assert told(block, replace(moved, ends_by=NOON + 10 * MINUTE))["a"] == "dropped withdrawn by x"
    assert told(replace(moved, ends_by=NOON + HOUR))["a"] == "kept 5-15"


def test_air_that_a_withdrawal_sets_free_is_given_on() -> None:
    withdrawn = replace(occurrence("x", 0, 10, Level.PRIORITY), ends_by=NOON + 4 * MINUTE)
    assert told(withdrawn, occurrence("a", 4, 5))["a"] == "kept 4-9"


@pytest.mark.parametrize(
    ("asked", "most_move"),
    [
        ([occurrence("a", 0, 0)], HOUR),
        ([occurrence("a", 0, 1), occurrence("a", 0, 2)], HOUR),
        ([], -MINUTE),
    ],
)
def test_impossible_questions_are_our_mistake(asked: list[Occurrence], most_move: timedelta) -> None:
    with pytest.raises(ValueError, match="occurrence"):
        arbitrate(asked, most_move=most_move)


def sounding(verdicts: tuple[Verdict, ...]) -> list[Verdict]:
    return sorted((verdict for verdict in verdicts if verdict.start), key=lambda verdict: verdict.start or NOON)


@settings(max_examples=300, deadline=None)
@given(crowded, moves)
def test_no_two_sound_at_once_and_none_leaves_its_room(asked: list[Occurrence], most_move: timedelta) -> None:
    placed = sounding(arbitrate(asked, most_move=most_move))
    for earlier, later in pairwise(placed):
        assert earlier.end is not None and later.start is not None
        assert earlier.end <= later.start
    for verdict in placed:
        assert verdict.start is not None and verdict.end is not None
        assert verdict.occurrence.start <= verdict.start <= verdict.occurrence.start + most_move
        assert timedelta() < verdict.end - verdict.start <= verdict.occurrence.duration


@settings(max_examples=300, deadline=None)
@given(crowded, moves, st.randoms())
def test_the_order_of_the_input_changes_nothing(asked: list[Occurrence], most_move: timedelta, random: Random) -> None:
    shuffled = list(asked)
    random.shuffle(shuffled)
    assert arbitrate(shuffled, most_move=most_move) == arbitrate(asked, most_move=most_move)


@settings(max_examples=300, deadline=None)
@given(crowded, moves)
def test_each_gets_one_verdict_with_a_reason_and_yields_to_none_weaker(
    asked: list[Occurrence], most_move: timedelta
) -> None:
    verdicts = arbitrate(asked, most_move=most_move)
    known = {one.id: one for one in asked}
    assert sorted(verdict.occurrence.id for verdict in verdicts) == sorted(known)
    for verdict in verdicts:
        whole = verdict.start is not None and verdict.end == verdict.start + verdict.occurrence.duration
        on_time = verdict.start == verdict.occurrence.start
        assert (verdict.start is None) == (verdict.end is None) == (verdict.outcome is Outcome.DROPPED)
        assert (verdict.outcome is Outcome.KEPT) == (whole and on_time)
        assert (verdict.outcome is Outcome.MOVED) == (whole and not on_time)
        assert (verdict.reason is None) == (verdict.by is None) == (verdict.outcome is Outcome.KEPT)
        if verdict.by is not None:
            assert rank(known[verdict.by]) < rank(verdict.occurrence)
            assert not verdict.occurrence.level.outranks(known[verdict.by].level)


@settings(max_examples=200, deadline=None)
@given(crowded, moves)
def test_who_is_weaker_changes_nothing_for_the_stronger(asked: list[Occurrence], most_move: timedelta) -> None:
    strong = [one for one in asked if one.level is not Level.ROUTINE]
    alone = arbitrate(strong, most_move=most_move)
    among = arbitrate(asked, most_move=most_move)
    assert [verdict for verdict in among if verdict.occurrence.level is not Level.ROUTINE] == list(alone)


@settings(max_examples=200, deadline=None)
@given(crowded, moves)
def test_what_is_dropped_had_no_room(asked: list[Occurrence], most_move: timedelta) -> None:
    verdicts = arbitrate(asked, most_move=most_move)
    for verdict in verdicts:
        if verdict.reason is not Reason.NO_ROOM:
            continue
        stronger = [other for other in sounding(verdicts) if rank(other.occurrence) < rank(verdict.occurrence)]
        for minute in range(most_move // MINUTE + 1):  # everything lies on whole minutes
            start = verdict.occurrence.start + minute * MINUTE
            end = start + verdict.occurrence.duration
            assert any(other.start < end and other.end > start for other in stronger if other.start and other.end)


def test_cost_grows_hardly_faster_than_the_number_of_occurrences() -> None:
    def cost(count: int) -> float:
        asked = [occurrence(f"p{n}", n * 7 % count * 10, 12, Level(1 + n % 3)) for n in range(count)]
        began = process_time()
        arbitrate(asked, most_move=HOUR)
        return process_time() - began

    few, many = (min(cost(count) for _ in range(3)) for count in (500, 4000))
    assert many < 8 * few * 3, "comparing all with all would be 64 times"
