"""The box keeps the local rules by itself: what it refuses, what it says of it, and what passes."""

import logging
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import messages
from devices.agent.conduct.playlists import Agenda, Shelf, agenda_of
from devices.agent.memory.ledger import State
from devices.messages import Outcome
from schedules.timeline import sounding_at
from tests.devices.agent.conftest import Site, playlist, rules, running, slot
from tests.devices.agent.paper import A, Box, second
from tests.fakes.clock import START

ALL_DAY = rules("00:00:00-00:00:00")


def plan(
    *slots: tuple[str, float, float],
    keep: messages.Rules | None,
    emergencies: Iterable[str] = (),
    version: int = 1,
    volume: int = 100,
) -> Agenda:
    """Return the agenda of slots, each an id, when it begins in seconds after 5 in the morning, and how long it is."""
    said = (slot(id_, second(at), (A, length), level=1 if id_ in emergencies else 3) for id_, at, length in slots)
    return agenda_of(playlist(*said, rules=keep, version=version, volume=volume), since=second(-60))


def held(start: float, end: float) -> messages.Rules:
    hold = messages.Hold(kind="funeral", start=second(start), end=second(end))
    return rules(holds=[hold.model_dump()])


def test_a_slot_in_quiet_hours_makes_no_sound_and_is_refused_when_it_should_begin() -> None:
    box, night = Box(), plan(("one", 10, 5), keep=rules("21:00:00-05:00:11"))
    box.run(night, START, second(9.9))
    assert (box.events, box.ledger) == ([], {})
    box.run(night, second(9.9), second(60))
    assert box.told("one") == [(Outcome.REFUSED, "quiet_hours")]
    assert (box.events[0].at, box.events[0].playlist) == (second(10), 1)
    assert box.ledger["one"].state is State.REFUSED


def test_what_lies_beside_the_quiet_hours_sounds() -> None:
    box = Box()
    box.run(plan(("before", 10, 5), ("after", 30, 5), keep=rules("05:00:15-05:00:30")), START, second(60))
    assert [box.told(id_)[-1] for id_ in ("before", "after")] == [(Outcome.FINISHED, None)] * 2


@pytest.mark.parametrize(
    ("keep", "code"),
    [
        (rules("05:00:00-06:00:00"), "quiet_hours"),
        (rules(weekdays=[1, 3, 4, 5, 6, 7]), "weekday"),
        (held(0, 3600), "hold"),
        (rules(longest_session=4.5), "session_too_long"),
        (rules(most_a_day=4), "day_full"),
        (rules(sessions_a_day=0), "too_many_sessions"),
    ],
)
def test_each_rule_refuses_by_its_name(keep: messages.Rules, code: str) -> None:
    """It is Tuesday."""
    box = Box()
    box.run(plan(("one", 10, 5), keep=keep), START, second(30))
    assert box.told("one") == [(Outcome.REFUSED, code)]


def test_one_that_follows_too_soon_is_refused_and_the_next_is_not() -> None:
    box = Box()
    three = plan(("first", 10, 5), ("soon", 100, 5), ("later", 200, 5), keep=rules(gap=120))
    box.run(three, START, second(300))
    assert [box.told(id_)[-1] for id_ in ("first", "soon", "later")] == [
        (Outcome.FINISHED, None),
        (Outcome.REFUSED, "too_soon"),
        (Outcome.FINISHED, None),
    ]


def test_an_emergency_sounds_through_every_rule() -> None:
    keep = rules("00:00:00-00:00:00", weekdays=[], sessions_a_day=0, holds=held(0, 3600).model_dump()["holds"])
    box, fire = Box(), plan(("fire", 10, 5), ("one", 20, 5), keep=keep, emergencies=["fire"])
    box.run(fire, START, second(60))
    assert box.told("fire") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]
    assert box.told("one") == [(Outcome.REFUSED, "hold")]


@pytest.mark.parametrize(("volume", "gain"), [(100, 0.4), (41, 0.4), (30, 0.3)])
def test_no_slot_is_louder_than_the_hour_allows_except_an_emergency(volume: int, gain: float) -> None:
    keep = rules(loudest=[{"start": "05:00:00", "end": "05:00:20", "volume": 40}])
    day = plan(("fire", 0, 5), ("one", 10, 5), ("two", 20, 5), keep=keep, emergencies=["fire"], volume=volume)
    played: dict[str, float] = {}
    box = Box()
    for tenth in range(300):
        box.look(day, second(tenth / 10))
        played |= {id_: heard.cue.gain for id_, heard in box.output.heard(second(tenth / 10)).items()}
    assert played == {"fire": volume / 100, "one": gain, "two": volume / 100}


def test_a_hold_that_comes_while_a_slot_sounds_cuts_it_at_once() -> None:
    box = Box()
    box.run(plan(("one", 10, 60), keep=None), START, second(15))
    hold = plan(("one", 10, 60), keep=held(14, 3600), version=2)
    box.look(hold, second(15))
    assert box.output.heard(second(15)) == {}
    box.run(hold, second(15), second(100))
    assert box.told("one") == [(Outcome.STARTED, None), (Outcome.INTERRUPTED, "hold")]
    assert (box.said("one", Outcome.INTERRUPTED).at, box.said("one", Outcome.INTERRUPTED).heard) == (second(15), 5)
    box.run(plan(("one", 10, 60), keep=None, version=3), second(30), second(100))
    assert len(box.told("one")) == 2, "once cut it stays cut"


def test_a_hold_that_comes_when_a_slot_is_cued_refuses_it_when_it_should_begin() -> None:
    box = Box()
    box.run(plan(("one", 10, 5), keep=None), START, second(9))
    assert box.ledger["one"].state is State.CUED
    box.run(plan(("one", 10, 5), keep=held(0, 3600), version=2), second(9), second(60))
    assert box.told("one") == [(Outcome.REFUSED, "hold")]


def test_a_hold_that_comes_with_the_power_is_kept_too() -> None:
    box = Box()
    box.run(plan(("one", 10, 60), keep=None), START, second(15))
    box = box.restart(second(20))
    box.run(plan(("one", 10, 60), keep=held(0, 3600), version=2), second(20), second(100))
    assert box.told("one") == [(Outcome.STARTED, None), (Outcome.INTERRUPTED, "hold")]


def test_a_hold_that_is_lifted_in_time_lets_the_slot_sound() -> None:
    box = Box()
    box.run(plan(("one", 10, 5), keep=held(0, 3600)), START, second(9))
    box.run(plan(("one", 10, 5), keep=None, version=2), second(9), second(60))
    assert box.told("one") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]


def test_a_hold_that_is_lifted_too_late_does_not() -> None:
    box = Box()
    box.run(plan(("one", 10, 60), keep=held(0, 3600)), START, second(11))
    box.run(plan(("one", 10, 60), keep=None, version=2), second(11), second(100))
    assert box.told("one") == [(Outcome.REFUSED, "hold")]


def test_what_ended_before_the_playlist_was_issued_is_not_refused() -> None:
    box = Box()
    box.run(plan(("old", -7200, 5), ("new", -1800, 5), keep=ALL_DAY), START, second(30))
    assert [event.slot for event in box.events] == ["new"]


def test_what_was_over_when_the_playlist_came_is_no_mistake_of_the_server() -> None:
    """Quiet hours that were set at six silence nothing that was heard at five."""
    made = plan(("heard", -600, 300), ("later", 10, 5), keep=ALL_DAY)
    assert [*made.refused] == ["later"]


def test_each_local_day_is_counted_by_itself() -> None:
    one_a_day = rules(sessions_a_day=1)
    assert [*plan(("night", -5 * 3600 - 30, 5), ("morning", 10, 5), keep=one_a_day).refused] == []
    assert [*plan(("night", -5 * 3600 + 30, 5), ("morning", 10, 5), keep=one_a_day).refused] == ["morning"]


@running
async def test_refused_slots_are_logged_once(site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf(tmp_path / "playlist.jws", site.pinned)
    good = playlist(slot("one", second(10), (A, 5)), renditions=(reference,), rules=rules(gap=60))
    bad = playlist(slot("one", second(10), (A, 5)), renditions=(reference,), rules=ALL_DAY, version=2)
    with caplog.at_level(logging.WARNING):
        await shelf.put(site.seal(good), START)
        assert caplog.messages == []
        for _ in range(3):
            await shelf.put(site.seal(bad), START)
    assert caplog.messages == ["slots refused by local rules version=2 slots=1 first=one code=quiet_hours"]


reference = messages.RenditionReference(digest=A, size_bytes=1, duration=5, url="/a")
lengths = st.integers(1, 40)
nights = st.lists(st.tuples(st.integers(0, 90), lengths), max_size=6)
some_rules = st.builds(
    rules,
    st.sampled_from(["", "05:00:30-05:01:30", "21:00:00-05:00:20"]),
    longest_session=st.none() | st.floats(1, 90),
    most_a_day=st.none() | st.floats(1, 120),
    sessions_a_day=st.none() | st.integers(0, 2),
    gap=st.none() | st.integers(0, 200),
    holds=st.lists(
        st.tuples(st.integers(0, 200), st.integers(1, 60)).map(
            lambda drawn: {"kind": "exam", "start": second(drawn[0]), "end": second(sum(drawn))}
        ),
        max_size=1,
    ),
)


@given(nights, some_rules, st.lists(st.tuples(st.floats(0.1, 60), st.floats(0.1, 60)), max_size=4))
def test_whenever_the_power_fails_what_the_rules_forbid_never_sounds_and_is_told_once(
    gaps: list[tuple[int, int]], keep: messages.Rules, cuts: list[tuple[float, float]]
) -> None:
    slots, at = [], 1.0
    for number, (gap, length) in enumerate(gaps):
        slots.append((f"s{number}", at + gap, float(length)))
        at += gap + length
    tonight, box, now = plan(*slots, keep=keep), Box(), START
    for on, off in cuts:
        box.run(tonight, now, now + timedelta(seconds=on))
        now += timedelta(seconds=on + off)
        box = box.restart(now)
    box.run(tonight, now, max(now, second(900)))
    for id_, start, _ in slots:
        told = [outcome for outcome, _ in box.told(id_)]
        if id_ in tonight.refused:
            assert told == [Outcome.REFUSED]
            assert sounding_at(tonight.timeline, second(start)) is None
        else:
            assert Outcome.REFUSED not in told
            assert told[-1] in (Outcome.FINISHED, Outcome.INTERRUPTED, Outcome.MISSED)
