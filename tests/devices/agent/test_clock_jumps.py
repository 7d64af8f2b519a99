"""What sounds and what is said of it while the clock is set, is not trusted, and the power fails."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.agent.conduct.playlists import Agenda
from devices.agent.memory.ledger import State
from devices.messages import Outcome
from tests.devices.agent.paper import FILES, Box, Piece, agenda, second
from tests.fakes.clock import START


class Pole:
    """A box, the time that passes evenly, and what happens to it."""

    def __init__(self, plan: Agenda) -> None:
        self.plan = plan
        self.box = Box()
        self.passed = timedelta()
        self.files = FILES

    def live(self, seconds: float) -> None:
        begin = START + self.passed + self.box.ahead
        self.passed += timedelta(seconds=seconds)
        self.box.run(self.plan, begin, begin + timedelta(seconds=seconds), self.files)

    def cut_power(self, seconds: float, *, trusted: bool = True) -> None:
        self.passed += timedelta(seconds=seconds)
        self.box = self.box.restart(START + self.passed + self.box.ahead, trusted=trusted)

    def set_clock(self, seconds: float) -> None:
        self.box.set_clock(timedelta(seconds=seconds))

    def doubt(self) -> None:
        self.box.trusted = None

    def trust(self) -> None:
        if self.box.trusted is None:
            self.box.trusted = START + self.passed + self.box.ahead

    def outlive(self) -> None:
        """Live on until nothing of the plan is left."""
        self.trust()
        self.files = FILES
        end = max((slot.latest_end for slot in self.plan.timeline.slots), default=START) + timedelta(seconds=100)
        left = end - (START + self.passed + self.box.ahead)
        self.live(max(left.total_seconds(), 100.0))


def whole(pieces: list[Piece]) -> Iterator[Piece]:
    """Yield the pieces of all slots, those that follow each other without a break made one."""
    last: Piece | None = None
    for piece in sorted(pieces, key=lambda each: each.begin):
        if last is not None and last.slot == piece.slot and last.end == piece.begin:
            assert last.place + (last.end - last.begin) == piece.place, "it stutters"
            last = replace(last, end=piece.end)
            continue
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last


def test_what_sounds_when_the_clock_is_set_goes_on_untouched_and_is_told_once() -> None:
    for step in (600, -600, 0.2, -0.2):
        pole = Pole(agenda(("one", 10, 60)))
        pole.live(30)
        pole.set_clock(step)
        pole.live(60)
        pole.outlive()
        assert pole.box.told("one") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]
        assert [*whole(pole.box.pieces)] == [Piece("one", second(10), second(70), timedelta())]


def test_a_new_playlist_does_not_end_what_lies_late_because_the_clock_was_set() -> None:
    pole = Pole(agenda(("one", 10, 60)))
    pole.live(30)
    pole.set_clock(600)
    pole.live(1)
    pole.plan = agenda(("one", 10, 60), version=2)
    pole.live(60)
    assert pole.box.told("one") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]


def test_a_jump_forward_over_the_next_slot_makes_it_wait_for_what_sounds() -> None:
    plan = agenda(
        ("one", 10, 60),
        ("join", 100, 60),
        ("whole", 200, 20),
        ("skip", 230, 20),
        if_late={"whole": 300, "skip": "skip"},
    )
    pole = Pole(plan)
    pole.live(30)
    pole.set_clock(75)
    pole.outlive()
    assert pole.box.told("one") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]
    assert pole.box.said("join", Outcome.STARTED).offset == 45, "from 145 on the air is free"
    assert pole.box.told("whole")[-1] == pole.box.told("skip")[-1] == (Outcome.FINISHED, None)


def test_what_a_jump_passes_over_is_missed_or_begun_late_as_its_programme_says() -> None:
    slots = (("join", 10, 60), ("over", 80, 5), ("skip", 90, 100), ("whole", 200, 20), ("end", 230, 40))
    pole = Pole(agenda(*slots, if_late={"skip": "skip", "whole": 300}))
    pole.live(1)
    pole.set_clock(240)
    pole.outlive()
    assert pole.box.told("join") == pole.box.told("over") == pole.box.told("skip") == [(Outcome.MISSED, "clock")]
    assert pole.box.told("end") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]
    assert pole.box.said("end", Outcome.STARTED).offset == 11
    assert (pole.box.said("whole", Outcome.STARTED).offset, pole.box.said("whole", Outcome.STARTED).late) == (0, 70)


def test_after_a_jump_back_nothing_sounds_twice() -> None:
    pole = Pole(agenda(("one", 10, 20), ("two", 40, 20)))
    pole.live(35)
    pole.set_clock(-30)
    pole.outlive()
    assert pole.box.told("one") == pole.box.told("two") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]
    assert [piece.slot for piece in whole(pole.box.pieces)] == ["one", "two"]


@pytest.mark.parametrize("step", [-90, -16])
def test_what_was_begun_by_a_clock_that_went_ahead_is_not_begun_again_after_a_power_cut(step: int) -> None:
    pole = Pole(agenda(("one", 100, 60)))
    pole.set_clock(90)
    pole.live(20)
    pole.cut_power(5)
    pole.set_clock(step)
    pole.outlive()
    assert pole.box.told("one") == [(Outcome.STARTED, None), (Outcome.INTERRUPTED, "clock")]
    assert len([*whole(pole.box.pieces)]) == 1


def test_without_trust_nothing_is_begun_or_judged_but_emergencies() -> None:
    slots = (("passed", 10, 20), ("fire", 40, 20), ("join", 70, 60), ("whole", 65, 4), ("skip", 131, 5))
    pole = Pole(
        agenda(*sorted(slots, key=lambda each: each[1]), if_late={"whole": 600, "skip": "skip"}, emergencies=("fire",))
    )
    pole.doubt()
    pole.live(100)
    assert {event.slot for event in pole.box.events} == {"fire"}
    pole.trust()
    pole.outlive()
    assert pole.box.told("passed") == [(Outcome.MISSED, "clock")]
    assert pole.box.told("fire") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]
    assert pole.box.said("join", Outcome.STARTED).offset == 30
    assert pole.box.said("whole", Outcome.STARTED).offset == 0
    assert pole.box.told("skip") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]


def test_what_sounds_when_trust_is_lost_goes_on() -> None:
    pole = Pole(agenda(("one", 10, 60), ("two", 80, 10)))
    pole.live(30)
    pole.doubt()
    pole.live(70)
    assert pole.box.told("one") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]
    assert pole.box.told("two") == []
    pole.trust()
    pole.live(1)
    assert pole.box.told("two") == [(Outcome.MISSED, "clock")]


def test_a_box_that_does_not_know_the_time_at_boot_says_later_what_it_was_off_for() -> None:
    pole = Pole(agenda(("cut", 10, 20), ("off", 40, 10), ("on", 62, 3), ("after", 80, 10)))
    pole.live(20)
    pole.cut_power(40, trusted=False)
    pole.set_clock(-3600)
    pole.live(10)
    assert len(pole.box.events) == 1
    pole.set_clock(3600)
    pole.trust()
    pole.outlive()
    assert pole.box.told("cut")[1:] == [(Outcome.INTERRUPTED, "off")]
    assert pole.box.told("off") == [(Outcome.MISSED, "off")]
    assert pole.box.told("on") == [(Outcome.MISSED, "clock")]
    assert pole.box.told("after") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]


def test_an_emergency_takes_the_air_from_what_a_step_has_moved() -> None:
    pole = Pole(agenda(("one", 10, 60), ("fire", 100, 20), emergencies=("fire",)))
    pole.live(30)
    pole.set_clock(50)
    pole.outlive()
    assert pole.box.told("one") == [(Outcome.STARTED, None), (Outcome.INTERRUPTED, "superseded")]
    assert pole.box.said("fire", Outcome.STARTED).offset == 0
    assert pole.box.told("fire")[-1] == (Outcome.FINISHED, None)


kinds = st.sampled_from([None, None, "skip", 30.0, 200.0])
nights = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 40), kinds, st.integers(0, 5)), min_size=2, max_size=6)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("live"), st.floats(0.01, 10)),
        st.tuples(st.just("live"), st.floats(0.01, 60)),
        st.tuples(st.just("cut_power"), st.floats(0.01, 90)),
        st.tuples(st.just("set_clock"), st.floats(-60, 60)),
        st.tuples(st.just("set_clock"), st.floats(-2, 2)),
        st.tuples(st.sampled_from(["doubt", "trust", "lose", "fetch"]), st.none()),
    ),
    min_size=3,
    max_size=14,
)


def night(drawn: list[tuple[int, int, str | float | None, int]]) -> Agenda:
    slots, at = [], 1.0
    for number, (gap, length, _, _) in enumerate(drawn):
        slots.append((f"s{number}", at + gap, float(length)))
        at += gap + length
    late = {f"s{number}": kind for number, (_, _, kind, _) in enumerate(drawn) if kind is not None}
    emergencies = tuple(f"s{number}" for number, (_, _, _, level) in enumerate(drawn) if level == 0)
    return agenda(*slots, if_late=late, emergencies=emergencies)


def suffer(pole: Pole, script: list[tuple[str, float | None]]) -> None:
    for what, amount in script:
        if what in ("lose", "fetch"):
            pole.files = {} if what == "lose" else FILES
        elif amount is None:
            getattr(pole, what)()
        else:
            getattr(pole, what)(amount)
    pole.outlive()


@settings(max_examples=400, deadline=None)
@given(nights, acts)
def test_whatever_happens_every_slot_ends_once_and_nothing_sounds_twice_or_beside_another(
    drawn: list[tuple[int, int, str | float | None, int]], script: list[tuple[str, float | None]]
) -> None:
    plan = night(drawn)
    pole = Pole(plan)
    suffer(pole, script)
    heard = [*whole(pole.box.pieces)]
    for earlier, later in pairwise(heard):
        assert earlier.end <= later.begin, "two slots sound at once"
    back = sum(
        (
            timedelta(seconds=-amount)
            for what, amount in script
            if what == "set_clock" and amount is not None and amount < 0
        ),
        timedelta(),
    )
    cut = any(what == "cut_power" for what, _ in script)
    for slot in plan.timeline.slots:
        assert len(pole.box.finals(slot.id)) == 1
        assert pole.box.ledger[slot.id].final
        mine = [piece for piece in heard if piece.slot == slot.id]
        assert sum(piece.place == timedelta() for piece in mine) <= 1, "begun from its beginning twice"
        for piece in mine:
            assert piece.place >= timedelta()
            assert piece.place + (piece.end - piece.begin) <= slot.end - slot.start
        assert pole.box.heard_of(slot.id) <= slot.end - slot.start + (back if cut else timedelta())
        told = [event.heard for event in pole.box.events if event.slot == slot.id and event.heard is not None]
        assert sum(told) <= (slot.end - slot.start).total_seconds() + 1e-6
        if pole.box.ledger[slot.id].state in (State.MISSED, State.REFUSED):
            assert mine == []
