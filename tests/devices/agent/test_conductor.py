"""What sounds and what is said of it, over whole nights of any playlist: no clock, no disk, no sound."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.agent.conduct.airtime import AHEAD
from devices.agent.conduct.playlists import agenda_of
from devices.agent.memory.ledger import State
from devices.messages import Outcome
from tests.devices.agent.conftest import playlist, slot
from tests.devices.agent.paper import FILES, A, B, Box, agenda, second
from tests.fakes.clock import START

FINALS = {Outcome.FINISHED, Outcome.INTERRUPTED, Outcome.MISSED}


def test_a_slot_is_cued_before_it_starts_so_that_the_ledger_is_on_disk_first() -> None:
    box, one = Box(), agenda(("one", 10, 5))
    box.look(one, second(10) - AHEAD - timedelta(seconds=1))
    assert not box.ledger
    box.look(one, second(10) - AHEAD + timedelta(seconds=1))
    assert box.ledger["one"].state is State.CUED
    assert box.told("one") == []


def test_a_slot_heard_to_its_end_says_started_and_finished() -> None:
    box = Box()
    box.run(agenda(("one", 10, 5)), START, second(30))
    assert box.told("one") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]
    assert box.said("one", Outcome.STARTED).offset == 0
    assert box.said("one", Outcome.STARTED).at == second(10)
    assert box.said("one", Outcome.FINISHED).heard == 5
    assert box.said("one", Outcome.FINISHED).playlist == 1


def test_a_box_that_starts_late_joins_in_progress() -> None:
    box = Box(booted=second(12.5))
    box.run(agenda(("one", 10, 5)), second(12.5), second(30))
    assert box.said("one", Outcome.STARTED).offset == 2.5
    assert box.said("one", Outcome.FINISHED).heard == 2.5


def test_a_restart_in_the_middle_joins_again_and_ends_once() -> None:
    one, box = agenda(("one", 10, 5)), Box()
    box.run(one, START, second(12))
    box = box.restart(second(13))
    box.run(one, second(13), second(30))
    assert [event.offset for event in box.events if event.outcome is Outcome.STARTED] == [0, 3]
    assert box.told("one")[-1] == (Outcome.FINISHED, None)


def test_a_slot_that_finished_before_a_restart_is_not_played_again() -> None:
    one, box = agenda(("one", 10, 5)), Box()
    box.run(one, START, second(15.6))
    box = box.restart(second(15.7))
    box.run(one, second(15.7), second(30))
    assert box.told("one") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]


def test_a_box_that_comes_back_after_the_end_says_that_it_was_off() -> None:
    slots = agenda(("cut", 10, 5), ("slept", 20, 5))
    box = Box()
    box.run(slots, START, second(12))
    box = box.restart(second(60))
    box.run(slots, second(60), second(70))
    assert box.told("cut")[1:] == [(Outcome.INTERRUPTED, "off")]
    assert box.told("slept") == [(Outcome.MISSED, "off")]


def test_a_playlist_that_comes_after_a_slot_ended_says_that_it_was_late() -> None:
    box = Box()
    box.run(agenda(("one", 10, 5), since=20), second(20), second(30))
    assert box.told("one") == [(Outcome.MISSED, "late")]


def test_what_ended_before_the_playlist_was_issued_is_history() -> None:
    box = Box()
    box.run(agenda(("old", -7200, 5)), START, second(30))
    assert box.events == []


def test_a_slot_withdrawn_while_it_sounds_is_interrupted_and_never_comes_back() -> None:
    box, one = Box(), agenda(("one", 10, 60))
    box.run(one, START, second(15))
    box.run(agenda(version=2), second(15), second(20))
    assert box.told("one")[1:] == [(Outcome.INTERRUPTED, "withdrawn")]
    assert box.said("one", Outcome.INTERRUPTED).heard == 5
    box.run(one, second(20), second(100))
    assert len(box.told("one")) == 2


def test_a_slot_withdrawn_before_it_sounds_leaves_no_trace() -> None:
    box, one = Box(), agenda(("one", 10, 5))
    box.run(one, START, second(9))
    box.run(agenda(version=2), second(9), second(30))
    assert box.events == []
    assert box.ledger == {}


def test_a_slot_that_yields_while_it_sounds_is_superseded() -> None:
    box = Box()
    box.run(agenda(("routine", 10, 60)), START, second(20))
    box.run(agenda(("routine", 10, 9), ("urgent", 20, 10), version=2), second(20), second(100))
    assert box.told("routine")[1:] == [(Outcome.INTERRUPTED, "superseded")]
    assert box.told("urgent") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]


@pytest.mark.parametrize("late_s", [0.2, 5])
@pytest.mark.parametrize("reason", ["withdrawn", "air_taken"])
def test_a_slot_that_is_cut_where_it_sounds_is_interrupted_with_the_reason(reason: str, late_s: float) -> None:
    box, whole = Box(), agenda(("one", 10, 60))
    box.run(whole, START, second(20 + late_s))
    short = agenda(("one", 10, 10), version=2)
    (slot_,) = (replace(each, cut=reason) for each in short.timeline.slots)
    cut = replace(short, timeline=replace(short.timeline, slots=(slot_,)), slots={"one": slot_})
    box.run(cut, second(20 + late_s), second(100))
    assert box.told("one")[1:] == [(Outcome.INTERRUPTED, reason)]
    assert 10 <= (box.said("one", Outcome.INTERRUPTED).heard or 0) <= 10 + late_s


def test_an_expired_playlist_falls_silent() -> None:
    box = Box()
    box.run(agenda(("cut", 10, 60), ("after", 100, 5), expires=30), START, second(200))
    assert box.told("cut") == [(Outcome.STARTED, None), (Outcome.INTERRUPTED, "expired")]
    assert box.said("cut", Outcome.INTERRUPTED).heard == 20
    assert box.told("after") == [(Outcome.MISSED, "expired")]


def test_a_slot_without_its_rendition_is_missed_and_says_so() -> None:
    box, one = Box(), agenda(("one", 10, 5))
    for n in range(20):
        box.look(one, second(n), files={})
    assert box.told("one") == [(Outcome.MISSED, "no_rendition")]


def test_a_rendition_that_comes_late_is_joined_in_progress() -> None:
    box, one = Box(), agenda(("one", 10, 5))
    box.look(one, second(10), files={})
    box.look(one, second(12), files=FILES)
    box.run(one, second(12), second(30))
    assert box.said("one", Outcome.STARTED).offset == 2


def test_a_file_that_vanishes_while_it_sounds_is_heard_to_its_end() -> None:
    box, one = Box(), agenda(("one", 10, 5))
    box.run(one, START, second(12))
    box.run(one, second(12), second(30), files={})
    assert box.said("one", Outcome.FINISHED).heard == 5


def test_a_missing_item_does_not_stop_the_good_one_after_it() -> None:
    two = agenda_of(playlist(slot("two", second(10), (B, 5), (A, 5))), since=START)
    box = Box()
    for tenth in range(90, 220):
        box.look(two, second(tenth / 10), files={A: FILES[A]})
    assert box.said("two", Outcome.STARTED).offset == 5


def test_a_clock_that_jumps_over_a_slot_says_so() -> None:
    box, one = Box(), agenda(("one", 10, 5))
    box.look(one, second(1))
    box.look(one, second(100))
    assert box.told("one") == [(Outcome.MISSED, "clock")]


lengths = st.integers(1, 40)
nights = st.lists(st.tuples(st.integers(0, 30), lengths), max_size=6)


def night(gaps: list[tuple[int, int]]) -> list[tuple[str, float, float]]:
    slots, at = [], 1.0
    for number, (gap, length) in enumerate(gaps):
        slots.append((f"s{number}", at + gap, float(length)))
        at += gap + length
    return slots


@given(nights, st.lists(st.floats(0.001, 30), max_size=40))
def test_whatever_wakes_the_box_each_slot_is_heard_exactly_once_from_its_start(
    gaps: list[tuple[int, int]], wakes: list[float]
) -> None:
    slots = night(gaps)
    tonight, box, now, end = agenda(*slots), Box(), START, second(500)
    for pause in wakes:
        until = now + timedelta(seconds=pause)
        box.run(tonight, now, until)
        now = until
    box.run(tonight, now, max(end, now))
    for id_, start, length in slots:
        assert box.told(id_) == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]
        assert box.said(id_, Outcome.STARTED).at == second(start)
        assert box.said(id_, Outcome.FINISHED).heard == length


@given(nights, st.lists(st.tuples(st.floats(0.1, 60), st.floats(0.1, 60)), max_size=5))
def test_whenever_the_power_fails_each_slot_ends_in_exactly_one_final_receipt(
    gaps: list[tuple[int, int]], cuts: list[tuple[float, float]]
) -> None:
    slots = night(gaps)
    tonight, box, now = agenda(*slots), Box(), START
    for on, off in cuts:
        box.run(tonight, now, now + timedelta(seconds=on))
        now += timedelta(seconds=on + off)
        box = box.restart(now)
    box.run(tonight, now, max(now, second(400)) + timedelta(seconds=1))
    for id_, start, length in slots:
        finals = [outcome for outcome, _ in box.told(id_) if outcome in FINALS]
        assert len(finals) == 1
        for event in box.events:
            if event.slot == id_ and event.outcome is Outcome.STARTED:
                assert event.offset is not None
                assert event.at == second(start) + timedelta(seconds=event.offset)
                assert event.offset < length


@given(nights, st.floats(0, 300), st.sets(st.integers(0, 5)))
def test_nothing_sounds_once_it_is_withdrawn(gaps: list[tuple[int, int]], when: float, gone: set[int]) -> None:
    slots = night(gaps)
    left = [one for number, one in enumerate(slots) if number not in gone]
    box = Box()
    box.run(agenda(*slots), START, second(when))
    box.run(agenda(*left, version=2), second(when), second(500))
    for number in gone & set(range(len(slots))):
        id_, start, _ = slots[number]
        assert all(
            event.at <= second(when) for event in box.events if event.outcome is Outcome.STARTED and event.slot == id_
        )
        assert second(when) >= second(start) or box.told(id_) == []
    for id_, _, _ in left:
        assert [outcome for outcome, _ in box.told(id_)][-1] is Outcome.FINISHED
