"""What the box does with a slot that it could not begin on time: join, play it whole a little later, or skip it."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from devices import messages
from devices.agent.conduct.airtime import READY, upcoming
from devices.agent.conduct.playlists import Agenda, agenda_of
from devices.agent.memory.ledger import State
from devices.agent.sound.null import NullOutput
from devices.agent.sound.output import Heard
from devices.messages import Outcome
from schedules.lateness import JOIN, LONGEST_WAIT, IfLate, Late
from tests.devices.agent.conftest import playlist, rules, slot
from tests.devices.agent.paper import FILES, A, B, Box, agenda, second
from tests.devices.agent.test_clock_jumps import whole
from tests.fakes.clock import START

NOTHING: dict[str, Path] = {}
WHOLE = [(Outcome.STARTED, None), (Outcome.FINISHED, None)]


def back_at(plan: Agenda, seconds: float) -> Box:
    """Return a box that had no power until then, after it has lived through the plan."""
    box = Box(booted=second(seconds))
    box.run(plan, second(seconds), second(2000))
    return box


@pytest.mark.parametrize(
    ("said", "heard_as"),
    [
        ({}, JOIN),
        ({"if_late": "skip"}, IfLate(action=Late.SKIP)),
        ({"if_late": "skip", "within": 60.0}, IfLate(action=Late.SKIP)),
        ({"if_late": "whole", "within": 60.0}, IfLate(action=Late.WHOLE, within=timedelta(seconds=60))),
        ({"if_late": "whole", "within": 43_200.0}, IfLate(action=Late.WHOLE, within=LONGEST_WAIT)),
        ({"if_late": "whole", "within": 1e-9}, JOIN),
        ({"if_late": "whole"}, JOIN),
        ({"if_late": "tomorrow"}, JOIN),
    ],
)
def test_what_a_playlist_says_of_lateness_is_understood_or_heard_as_join(
    said: dict[str, object], heard_as: IfLate
) -> None:
    document = playlist(slot("one", second(10), (A, 5)).model_copy(update=said))
    assert agenda_of(document, since=START).slots["one"].if_late == heard_as


def test_after_a_power_cut_a_slot_that_wants_it_is_heard_whole_and_says_how_late() -> None:
    box = back_at(agenda(("one", 10, 60), if_late={"one": 300}), 200)
    assert box.told("one") == WHOLE
    assert box.said("one", Outcome.STARTED).late == 190 + READY.total_seconds()
    assert box.said("one", Outcome.STARTED).offset == 0
    assert box.heard_of("one") == timedelta(seconds=60)


def test_on_time_nothing_is_late() -> None:
    box = Box()
    box.run(agenda(("one", 10, 5), ("two", 20, 5), if_late={"one": 300, "two": "skip"}), START, second(60))
    assert box.told("one") == box.told("two") == WHOLE
    assert box.said("one", Outcome.STARTED).late is None
    assert box.said("one", Outcome.STARTED).at == second(10)


def test_what_is_too_late_to_be_played_whole_is_missed_with_what_kept_it() -> None:
    assert back_at(agenda(("one", 10, 60), if_late={"one": 300}), 311).told("one") == [(Outcome.MISSED, "off")]


def test_in_the_last_second_it_may_still_begin() -> None:
    box = back_at(agenda(("one", 10, 60), if_late={"one": 300}), 309.5)
    assert box.told("one") == WHOLE
    assert box.said("one", Outcome.STARTED).late == 300


def test_it_waits_for_air_and_two_that_wait_do_not_meet() -> None:
    plan = agenda(
        ("one", 10, 50), ("two", 70, 50), ("on", 200, 60), ("soon", 280, 40), if_late={"one": 600, "two": 600}
    )
    box = back_at(plan, 190)
    assert [box.told(id_) for id_ in ("one", "two", "on", "soon")] == [WHOLE] * 4
    assert box.said("on", Outcome.STARTED).at == second(200)
    assert box.said("one", Outcome.STARTED).at == second(320)
    assert box.said("two", Outcome.STARTED).at == second(370)


def test_a_hole_that_is_long_enough_is_used() -> None:
    box = back_at(agenda(("one", 10, 50), ("on", 100, 60), ("soon", 210, 40), if_late={"one": 600}), 90)
    assert box.said("one", Outcome.STARTED).at == second(160)


def test_without_a_free_place_it_is_missed_at_once() -> None:
    plan = agenda(("one", 10, 50), ("on", 100, 60), ("soon", 170, 60), if_late={"one": 120})
    box = Box(booted=second(90))
    box.look(plan, second(90))
    assert box.told("one") == [(Outcome.MISSED, "off")]


def test_a_restart_in_the_middle_goes_on_at_the_place_it_was_moved_to() -> None:
    plan = agenda(("one", 10, 60), if_late={"one": 300})
    box = Box(booted=second(100))
    box.run(plan, second(100), second(131))
    box = box.restart(second(140))
    box.run(plan, second(140), second(300))
    started = [event for event in box.events if event.outcome is Outcome.STARTED]
    assert [(event.offset, event.late) for event in started] == [(0, 91), (39, 91)]
    assert box.told("one")[-1] == (Outcome.FINISHED, None)
    assert [(piece.begin, piece.end) for piece in whole(box.pieces)] == [
        (second(101), second(131)),
        (second(140), second(161)),
    ]


def test_a_slot_that_is_not_to_be_heard_late_is_skipped_and_says_why() -> None:
    plan = agenda(("one", 10, 60), if_late={"one": "skip"})
    assert back_at(plan, 10.5).told("one") == WHOLE
    assert back_at(plan, 11).told("one") == [(Outcome.MISSED, "off")]
    late = Box()
    late.run(agenda(("one", 10, 60), if_late={"one": "skip"}, since=20), second(20), second(100))
    assert late.told("one") == [(Outcome.MISSED, "late")]


def test_a_skipped_slot_that_had_begun_is_joined_after_a_restart() -> None:
    plan, box = agenda(("one", 10, 60), if_late={"one": "skip"}), Box()
    box.run(plan, START, second(30))
    box = box.restart(second(40))
    box.run(plan, second(40), second(100))
    assert [event.offset for event in box.events if event.outcome is Outcome.STARTED] == [0, 30]
    assert box.told("one")[-1] == (Outcome.FINISHED, None)


def test_a_sound_that_comes_late_is_waited_for_and_named_where_it_does_not_come() -> None:
    plan = agenda(
        ("whole", 10, 20), ("skip", 40, 20), ("never", 70, 20), if_late={"whole": 300, "skip": "skip", "never": 60}
    )
    box = Box()
    box.run(plan, START, second(160), NOTHING)
    box.run(plan, second(160), second(400))
    assert box.told("whole") == WHOLE
    assert box.told("skip") == [(Outcome.MISSED, "no_rendition")]
    assert box.told("never") == [(Outcome.MISSED, "no_rendition")]


def test_a_playlist_that_comes_late_is_played_whole_and_says_so_where_it_cannot() -> None:
    plan = agenda(("one", 10, 20), ("two", 40, 20), if_late={"one": 300, "two": 20}, since=100)
    box = Box()
    box.run(plan, second(100), second(400))
    assert box.told("one") == WHOLE
    assert box.told("two") == [(Outcome.MISSED, "late")]


def test_what_kept_it_is_not_forgotten_when_a_playlist_comes() -> None:
    late: dict[str, str | float] = {"one": 100}
    box = Box(booted=second(20))
    box.run(agenda(("one", 10, 5), if_late=late), second(20), second(60), NOTHING)
    box.run(agenda(("one", 10, 5), if_late=late, version=2, since=60), second(60), second(300), NOTHING)
    assert box.told("one") == [(Outcome.MISSED, "off")]


def test_an_emergency_of_a_new_playlist_ends_what_was_moved() -> None:
    late: dict[str, str | float] = {"one": 300}
    box = Box(booted=second(100))
    box.run(agenda(("one", 10, 60), if_late=late), second(100), second(120))
    fire = agenda(("one", 10, 60), ("fire", 121, 20), if_late=late, emergencies=("fire",), version=2)
    box.run(fire, second(120), second(400))
    assert box.told("one") == [(Outcome.STARTED, None), (Outcome.INTERRUPTED, "superseded")]
    assert box.said("one", Outcome.INTERRUPTED).heard == 20
    assert box.said("fire", Outcome.STARTED).at == second(121)
    assert box.told("fire") == WHOLE


def test_what_has_not_begun_makes_room_for_a_new_playlist() -> None:
    late: dict[str, str | float] = {"one": 300}
    box = Box(booted=second(100))
    box.look(agenda(("one", 10, 60), if_late=late), second(100))
    assert box.ledger["one"].state is State.CUED
    box.run(agenda(("one", 10, 60), ("new", 130, 20), if_late=late, version=2), second(100.5), second(400))
    assert box.told("new") == WHOLE
    assert box.said("one", Outcome.STARTED).at == second(150)


@pytest.mark.parametrize("now_says", [{}, {"one": 60}, {"one": "skip"}])
def test_what_is_played_late_stops_at_once_where_a_new_playlist_does_not_want_it(
    now_says: dict[str, str | float],
) -> None:
    box = Box(booted=second(100))
    box.run(agenda(("one", 10, 60), if_late={"one": 300}), second(100), second(120))
    box.look(agenda(("one", 10, 60), if_late=now_says, version=2), second(120))
    assert box.told("one") == [(Outcome.STARTED, None), (Outcome.INTERRUPTED, "withdrawn")]
    assert box.output.heard(second(121)) == {}


def test_a_hold_that_comes_ends_what_was_moved_into_it() -> None:
    late: dict[str, str | float] = {"one": 300}
    box = Box(booted=second(100))
    box.run(agenda(("one", 10, 60), if_late=late), second(100), second(120))
    hold = messages.Hold(kind="funeral", start=second(110), end=second(1000))
    silent = agenda(("one", 10, 60), if_late=late, version=2, keep=rules(holds=[hold.model_dump()]))
    box.look(silent, second(120))
    assert box.told("one") == [(Outcome.STARTED, None), (Outcome.INTERRUPTED, "hold")]
    assert box.output.heard(second(121)) == {}


def test_it_waits_for_the_end_of_a_hold_and_never_begins_in_quiet_hours() -> None:
    hold = messages.Hold(kind="exam", start=second(90), end=second(150))
    keep = rules("05:04:00-06:00:00", holds=[hold.model_dump()])
    plan = agenda(
        ("one", 10, 30), ("two", 50, 70 - 30), ("far", 92 - 2, 0.5), if_late={"one": 1000, "two": 1000}, keep=keep
    )
    box = back_at(plan, 100)
    assert box.said("one", Outcome.STARTED).at == second(150)
    assert box.said("two", Outcome.STARTED).at == second(180)
    assert box.told("far") == [(Outcome.REFUSED, "hold")]
    narrow = rules("05:03:00-06:00:00", holds=[hold.model_dump()])
    tight = agenda(("one", 10, 80), if_late={"one": 1000}, keep=narrow)
    assert back_at(tight, 100).told("one") == [(Outcome.MISSED, "off")]


def test_what_is_moved_is_as_loud_as_the_hour_allows_where_it_lies() -> None:
    keep = rules(loudest=[{"start": "05:01:30", "end": "05:10:00", "volume": 40}])
    box = Box(booted=second(100))
    plan = agenda(("one", 10, 60), if_late={"one": 300}, keep=keep)
    box.run(plan, second(100), second(110))
    assert box.output.heard(second(110))["one"].cue.gain == 0.4


def test_the_amplifier_is_told_what_sounds_next() -> None:
    plan = agenda(
        ("late", 10, 5), ("no", 20, 5), ("one", 100, 5), ("fire", 200, 5), if_late={"late": 300}, emergencies=("fire",)
    )
    assert upcoming(plan, {}, FILES, START, trusted=True) == second(10)
    assert upcoming(plan, {}, FILES, second(12), trusted=True) == second(13)
    assert upcoming(plan, {}, FILES, second(101), trusted=True) == second(101)
    assert upcoming(plan, {}, FILES, START, trusted=False) == second(200)
    assert upcoming(plan, {}, NOTHING, START, trusted=True) is None
    box = Box()
    box.run(plan, START, second(30))
    assert upcoming(plan, box.ledger, FILES, second(30), trusted=True) == second(100)


def test_one_rendition_of_two_is_not_the_whole() -> None:
    two = playlist(slot("two", second(10), (A, 5), (B, 5)).model_copy(update={"if_late": "whole", "within": 100.0}))
    box = Box()
    box.run(agenda_of(two, since=START), START, second(40), {A: FILES[A]})
    box.run(agenda_of(two, since=START), second(40), second(100))
    assert box.told("two") == WHOLE
    assert box.heard_of("two") == timedelta(seconds=10)


@pytest.mark.parametrize("late", ["skip", 300, None])
def test_what_begins_after_the_playlist_expires_is_missed_for_that(late: str | float | None) -> None:
    box = Box()
    box.run(agenda(("one", 30, 5), if_late={} if late is None else {"one": late}, expires=20), START, second(60))
    assert box.told("one") == [(Outcome.MISSED, "expired")]
    assert box.said("one", Outcome.MISSED).at >= second(30)


def test_what_is_late_is_over_before_the_playlist_expires() -> None:
    late: dict[str, str | float] = {"one": 300}
    assert back_at(agenda(("one", 10, 60), if_late=late, expires=161), 100).told("one") == WHOLE
    assert back_at(agenda(("one", 10, 60), if_late=late, expires=159), 100).told("one") == [(Outcome.MISSED, "off")]


class Deaf(NullOutput):
    """A sound device that takes nothing."""

    def heard(self, now: datetime) -> dict[str, Heard]:
        return {}


@pytest.mark.parametrize(("late", "seconds"), [("skip", 11), (300, 70.5), (None, 70.5)])
def test_a_device_that_takes_nothing_is_named_as_the_reason(late: str | float | None, seconds: float) -> None:
    box = Box()
    box.output = Deaf()
    box.run(agenda(("one", 10, 60), if_late={} if late is None else {"one": late}), START, second(400))
    assert box.told("one") == [(Outcome.MISSED, "no_output")]
    assert box.said("one", Outcome.MISSED).at == second(seconds)


def test_a_receipt_is_routine_only_of_a_routine_slot() -> None:
    box = Box()
    keep = rules("05:00:30-05:01:00")
    box.run(agenda(("one", 10, 5), ("fire", 20, 5), ("no", 40, 5), emergencies=("fire",), keep=keep), START, second(60))
    assert {(event.slot, event.routine) for event in box.events} == {("one", True), ("fire", False), ("no", False)}
