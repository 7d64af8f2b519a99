"""What is fetched first, and when: emergencies at once, the rest in good time and not all boxes together."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.agent.conduct.playlists import Agenda, agenda_of
from devices.agent.supply.needs import (
    AT_ONCE_S,
    RETRY_MOST_S,
    RETRY_NEAR_S,
    SPREAD_MOST_S,
    WRONG_MOST_S,
    Need,
    needs,
    pause_s,
)
from schedules.lateness import IfLate, Late
from schedules.levels import Level
from tests.devices.agent.conftest import playlist, reference, rules, slot
from tests.fakes.clock import START

NAMED = tuple(reference(bytes([n]), 1) for n in range(8))
A, B, C = (each.digest for each in NAMED[:3])

failures = st.integers(0, 40)
moments = st.floats(-7200, 7200)
any_need = st.builds(
    lambda left, emergency: Need(reference=NAMED[0], start=after(left), emergency=emergency), moments, st.booleans()
)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def asked_in(left_s: float | None, *, emergency: bool = False) -> Need:
    return Need(reference=NAMED[0], start=None if left_s is None else after(left_s), emergency=emergency)


@st.composite
def agendas(draw: st.DrawFn) -> Agenda:
    """A timeline of minutes, some over at ``START``, some emergencies, that need any of ``NAMED``."""
    minutes = draw(st.lists(st.integers(-10, 10), unique=True, max_size=8))
    slots = (
        slot(
            f"at {minute}",
            START + timedelta(minutes=minute),
            *((digest, 1.0) for digest in draw(st.lists(st.sampled_from([each.digest for each in NAMED]), min_size=1))),
            level=draw(st.sampled_from([1, 2, 3])),
        )
        for minute in sorted(minutes)
    )
    return agenda_of(playlist(*slots, renditions=NAMED), since=START)


@given(agendas())
def test_emergencies_come_first_then_what_is_heard_soonest_and_nothing_that_is_over(agenda: Agenda) -> None:
    order = needs(agenda, START)
    still = {
        item.rendition
        for each in agenda.timeline.slots
        for item in each.items
        if each.start + item.offset + item.duration > START
    }
    assert sorted(need.digest for need in order) == sorted(still), "what is over costs nothing any more"
    ranks = [(not need.emergency, need.start is None, need.start or START) for need in order]
    assert ranks == sorted(ranks)
    for need in order:
        slots = [
            each
            for each in agenda.timeline.slots
            for item in each.items
            if item.rendition == need.digest and each.start + item.offset + item.duration > START
        ]
        urgent = [each for each in slots if each.level is Level.EMERGENCY]
        assert need.emergency == bool(urgent)
        assert need.start == min((each.start for each in urgent or slots), default=None)


def test_what_is_refused_comes_last_and_what_is_over_never() -> None:
    agenda = agenda_of(
        playlist(
            slot("over", after(-60), (A, 1)),
            slot("at night", after(60), (B, 1)),
            slot("flood", after(120), (C, 1), level=1),
            renditions=NAMED[:4],
            rules=rules("21:00:00-06:00:00"),
        ),
        since=START,
    )
    assert [(need.digest, need.start) for need in needs(agenda, START)] == [
        (C, after(120)),
        (B, None),
    ]


def test_what_may_be_played_late_as_a_whole_is_needed_until_then() -> None:
    agenda = agenda_of(playlist(slot("over", after(-60), (A, 1)), renditions=NAMED[:1]), since=START)
    (over,) = agenda.timeline.slots
    late = replace(over, if_late=IfLate(action=Late.WHOLE, within=timedelta(minutes=10)))
    waiting = replace(agenda, timeline=replace(agenda.timeline, slots=(late,)))
    assert needs(waiting, START)[0].start == after(-60)
    assert needs(waiting, after(600)) == ()


@pytest.mark.parametrize("left_s", [-3600.0, 0.0, 60.0, AT_ONCE_S])
def test_what_is_heard_soon_is_fetched_at_once(left_s: float) -> None:
    assert pause_s("box-1", asked_in(left_s), 0, START) == 0


def test_what_an_emergency_needs_is_fetched_at_once() -> None:
    assert pause_s("box-1", asked_in(86_400, emergency=True), 0, START) == 0


@given(left_s=st.floats(AT_ONCE_S, 10 * 86_400), box=st.text())
def test_no_wait_puts_a_slot_in_danger(left_s: float, box: str) -> None:
    pause = pause_s(box, asked_in(left_s), 0, START)
    assert 0 <= pause <= SPREAD_MOST_S
    assert left_s - pause >= max(AT_ONCE_S - 1e-6, left_s * 0.75)


@given(one=any_need, sooner_s=st.floats(0, 7200))
def test_a_rendition_that_is_needed_sooner_never_waits_longer_for_its_first_try(one: Need, sooner_s: float) -> None:
    assert one.start is not None
    sooner = replace(one, start=one.start - timedelta(seconds=sooner_s))
    assert pause_s("box-1", sooner, 0, START) <= pause_s("box-1", one, 0, START) + 1e-6


@given(one=any_need, failures=failures, wrong=st.booleans(), passed_s=st.floats(0, 3600))
def test_while_time_passes_no_try_comes_nearer(one: Need, failures: int, wrong: bool, passed_s: float) -> None:
    first = pause_s("box-1", one, failures, START, wrong=wrong)
    again = passed_s + pause_s("box-1", one, failures, after(passed_s), wrong=wrong)
    assert again >= first - 1e-3


def test_ten_thousand_boxes_come_evenly_over_ten_minutes() -> None:
    minutes = Counter(int(pause_s(f"box-{n}", asked_in(86_400), 0, START) // 60) for n in range(10_000))
    assert sorted(minutes) == list(range(10))
    assert max(minutes.values()) < 1_150
    assert min(minutes.values()) > 850


def test_the_same_boxes_come_in_another_order_for_another_rendition() -> None:
    other = Need(reference=NAMED[1], start=after(86_400))
    firsts = [
        {n for n in range(1000) if pause_s(f"box-{n}", need, 0, START) < SPREAD_MOST_S / 10}
        for need in (asked_in(86_400), other)
    ]
    assert len(firsts[0] & firsts[1]) < 40


def test_pauses_between_tries_double_up_to_five_minutes() -> None:
    pauses = [pause_s("box-1", asked_in(None), tries, START) for tries in range(1, 20)]
    assert 0.5 <= pauses[0] <= 1
    assert all(min(2.0**n, RETRY_MOST_S) / 2 <= pause <= min(2.0**n, RETRY_MOST_S) for n, pause in enumerate(pauses))


@given(left_s=st.floats(-60, 60), failures=st.integers(1, 40))
def test_pauses_are_short_near_a_slot(left_s: float, failures: int) -> None:
    assert pause_s("box-1", asked_in(left_s), failures, START) <= RETRY_NEAR_S


@given(left_s=st.floats(0, 86_400), failures=st.integers(1, 40))
def test_a_dozen_tries_are_always_left(left_s: float, failures: int) -> None:
    assert pause_s("box-1", asked_in(left_s), failures, START) <= max(left_s / 12, RETRY_NEAR_S)


def test_wrong_bytes_are_not_asked_for_every_few_seconds_however_near_the_slot_is() -> None:
    assert pause_s("box-1", asked_in(60), 40, START, wrong=True) >= WRONG_MOST_S / 2
