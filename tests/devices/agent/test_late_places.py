"""Where the box puts what it plays late: the first place that is free and that no rule forbids, and no other."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from devices import messages
from devices.agent.conduct.airtime import PROMPT, READY, late_start, moved
from devices.agent.conduct.playlists import Agenda
from schedules.lateness import Late
from schedules.levels import Level
from schedules.refusals import refusals
from schedules.timeline import Slot
from tests.devices.agent.conftest import rules
from tests.devices.agent.paper import FILES, Piece, agenda, second
from tests.devices.agent.test_clock_jumps import Pole, whole
from tests.devices.agent.test_late import WHOLE

NOTHING: dict[str, Path] = {}

some_rules = st.none() | st.builds(
    rules,
    st.sampled_from(["", "05:00:30-05:01:30", "21:00:00-05:00:20", "05:03:00-06:00:00"]),
    longest_session=st.none() | st.integers(1, 120),
    most_a_day=st.none() | st.integers(1, 120),
    sessions_a_day=st.none() | st.integers(0, 3),
    gap=st.none() | st.integers(0, 200),
    holds=st.lists(
        st.tuples(st.integers(0, 200), st.integers(1, 60)).map(
            lambda drawn: {"kind": "exam", "start": second(drawn[0]), "end": second(sum(drawn))}
        ),
        max_size=1,
    ),
)
kinds = st.sampled_from([None, "skip", 30.0, 200.0])
nights = st.lists(st.tuples(st.integers(0, 90), st.integers(1, 40), kinds, st.integers(0, 5)), min_size=1, max_size=6)


def night(drawn: list[tuple[int, int, str | float | None, int]], keep: messages.Rules | None) -> Agenda:
    slots, at = [], 1.0
    for number, (gap, length, _, _) in enumerate(drawn):
        slots.append((f"s{number}", at + gap, float(length)))
        at += gap + length
    late = {f"s{number}": kind for number, (_, _, kind, _) in enumerate(drawn) if kind is not None}
    return agenda(
        *slots, if_late=late, emergencies=tuple(f"s{n}" for n, one in enumerate(drawn) if not one[3]), keep=keep
    )


def brute(slot_: Slot, others: list[Slot], plan: Agenda, now: datetime) -> Iterator[datetime]:
    """Yield the starts by the second at which a slot may be begun late, looked for everywhere."""
    within = slot_.if_late.within or timedelta()
    before = refusals([slot_, *others], plan.in_force, over_by=plan.since).keys() if plan.in_force else set()
    for number in range(int(within.total_seconds()) + 1):
        there = moved(slot_, timedelta(seconds=number))
        if there.start < max(now, min(now + READY, slot_.start + within)) or there.end > plan.expires:
            continue
        if any(each.start < there.end and there.start < each.end for each in others):
            continue
        if plan.in_force and not before >= refusals([there, *others], plan.in_force, over_by=plan.since).keys():
            continue
        yield there.start


@settings(max_examples=150, deadline=None)
@given(nights, some_rules, st.integers(0, 5), st.integers(0, 400))
def test_a_place_is_the_first_that_a_search_of_every_second_finds(
    drawn: list[tuple[int, int, str | float | None, int]], keep: messages.Rules | None, which: int, at: int
) -> None:
    which %= len(drawn)
    plan = night(
        [(gap, length, 200.0 if n == which else kind, level) for n, (gap, length, kind, level) in enumerate(drawn)],
        keep,
    )
    mine = plan.slots.get(f"s{which}")
    if mine is None:
        return  # the rules refuse it where it was planned
    others = [each for each in plan.timeline.slots if each is not mine]
    now = second(at) - READY
    found = late_start(mine, others, plan, now)
    whole_second = None if found is None or found.microsecond == 0 else found
    expected = next((start for start in brute(mine, others, plan, now) if start >= mine.start), None)
    if whole_second is not None:
        assert expected is None or whole_second <= expected < whole_second + timedelta(seconds=1)
    else:
        assert found == expected


def test_another_session_begins_after_the_pause_that_the_rules_ask_for() -> None:
    slots = (("one", 10.0, 20.0), ("on", 100.0, 10.0))
    plan = agenda(*slots, if_late={"one": 400}, keep=rules(longest_session=25, gap=70))
    assert late_start(plan.slots["one"], [plan.slots["on"]], plan, second(90)) == second(180)
    joined = agenda(*slots, if_late={"one": 400}, keep=rules(longest_session=35, gap=70))
    assert late_start(joined.slots["one"], [joined.slots["on"]], joined, second(90)) == second(110)


def test_a_slot_whose_absence_would_make_another_come_too_soon_is_not_moved() -> None:
    slots = (("before", 10.0, 10.0), ("one", 20.0, 80.0), ("after", 100.0, 10.0))
    plan = agenda(*slots, if_late={"one": 400}, keep=rules(gap=100))
    others = [plan.slots["before"], plan.slots["after"]]
    assert late_start(plan.slots["one"], others, plan, second(90)) is None
    free = agenda(*slots, if_late={"one": 400}, keep=rules(gap=80))
    assert late_start(free.slots["one"], others, free, second(90)) == second(110)


@settings(max_examples=200, deadline=None)
@given(nights, some_rules, st.lists(st.tuples(st.floats(0.1, 90), st.floats(0.1, 90), st.booleans()), max_size=5))
def test_whatever_is_late_sounds_where_it_may_and_every_slot_ends_once(
    drawn: list[tuple[int, int, str | float | None, int]],
    keep: messages.Rules | None,
    cuts: list[tuple[float, float, bool]],
) -> None:
    plan = night(drawn, keep)
    pole, at_hand = Pole(plan), set[str]()
    for on, off, files in cuts:
        pole.files = FILES if files else NOTHING
        pole.live(on)
        at_hand |= {id_ for id_, entry in pole.box.ledger.items() if not entry.final}
        pole.cut_power(off)
    pole.outlive()
    pieces = [*whole(pole.box.pieces)]
    lies = []
    for each in plan.timeline.slots:
        mine = [piece for piece in pieces if piece.slot == each.id]
        entry = pole.box.ledger[each.id]
        assert len(pole.box.finals(each.id)) == 1
        assert sum(piece.place == timedelta() for piece in mine) <= 1
        _lies_where_it_may(each, mine, timedelta(seconds=entry.shift_s), begun=each.id in at_hand)
        lies.append(moved(each, timedelta(seconds=entry.shift_s)))
        if each.level is Level.EMERGENCY and not cuts:
            assert pole.box.told(each.id) == WHOLE
    for earlier, later in pairwise(pieces):
        assert earlier.end <= later.begin
    if plan.in_force:
        assert refusals(lies, plan.in_force, over_by=plan.since) == {}


def _lies_where_it_may(slot_: Slot, mine: list[Piece], shift: timedelta, *, begun: bool) -> None:
    """What was at hand when the power failed may have begun: it is joined."""
    assert {piece.begin - piece.place for piece in mine} <= {slot_.start + shift}
    match slot_.if_late.action:
        case Late.WHOLE:
            assert timedelta() <= shift <= (slot_.if_late.within or timedelta())
            assert begun or not mine or mine[0].place == timedelta()
        case Late.SKIP:
            assert shift == timedelta()
            assert begun or not mine or mine[0].place < PROMPT
        case Late.JOIN:
            assert shift == timedelta()
