"""The amplifier: on only around what verified sounds, whatever the plan does and however its command fails."""

import asyncio
import logging
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from devices.agent import settings
from devices.agent.cabinet.amplifier import LONGEST_WAIT_S, Amplifier
from devices.agent.cabinet.commands import CommandError
from devices.agent.cabinet.switching import Past, Span, decide, sounding
from devices.agent.conduct.playlists import Agenda
from tests.devices.agent.conftest import running
from tests.devices.agent.paper import FILES, Box, agenda, second
from tests.fakes.clock import START, HandClock

BEFORE, AFTER = 2.0, 5.0
LOOK, SECOND = timedelta(milliseconds=1), timedelta(seconds=1)


# What should be


def switched(plans: Sequence[tuple[float, Sequence[Span]]], until: float) -> list[tuple[float, float]]:
    """Return when the amplifier is on, if ``plans`` (each with the moment when it comes) follow one another."""
    past, on_since, found = Past(), None, []
    comes = [moment for moment, _ in plans[1:]]
    now, spans = plans[0]
    while now < until:
        wish = decide(spans, past, before_s=BEFORE, after_s=AFTER, moment=now)
        past = wish.past
        if wish.on and on_since is None:
            on_since = now
        if not wish.on and on_since is not None:
            found.append((on_since, now))
            on_since = None
        assert wish.next_look > now
        now = min(wish.next_look, *(moment for moment in comes if moment > now), math.inf, until)
        spans = [spans for moment, spans in plans if moment <= now][-1]
    return [*found, (on_since, until)] if on_since is not None else found


@pytest.mark.parametrize(
    ("plans", "on"),
    [
        ([(0, [(10, 20)])], [(8, 25)]),
        ([(9, [(10, 20)])], [(9, 25)]),
        ([(15, [(10, 20)])], [(15, 25)]),
        ([(0, [])], []),
        ([(0, [(10, 20), (26, 30)])], [(8, 35)]),
        ([(0, [(10, 20), (27, 30)])], [(8, 35)]),
        ([(0, [(10, 20), (28, 30)])], [(8, 25), (26, 35)]),
        ([(0, []), (50, [(50, 60)])], [(50, 65)]),
        ([(0, [(10, 20)]), (9, [])], [(8, 9)]),
        ([(0, [(10, 20)]), (13, [])], [(8, 18)]),
        ([(0, [(10, 20)]), (13, [(10, 15)])], [(8, 20)]),
        ([(0, [(10, 20)]), (13, []), (14, [(14, 16)])], [(8, 21)]),
        ([(0, [(10, 20)]), (20.1, [])], [(8, 25)]),
    ],
    ids=[
        "around a slot",
        "a slot that is near at the start",
        "a restart in the middle",
        "nothing",
        "on through a short pause",
        "on through a pause just as long as both together",
        "off in a longer one",
        "an emergency without any notice",
        "withdrawn before it began",
        "cut in the middle",
        "made shorter",
        "cut for an emergency",
        "over and forgotten",
    ],
)
def test_when_it_is_on(plans: list[tuple[float, list[Span]]], on: list[tuple[float, float]]) -> None:
    assert switched(plans, 100) == on


spans = st.lists(
    st.tuples(st.integers(0, 120), st.integers(1, 20)).map(lambda drawn: (drawn[0], drawn[0] + drawn[1])), max_size=5
)
days = st.lists(st.tuples(st.integers(0, 120), spans), min_size=1, max_size=6, unique_by=lambda each: each[0]).map(
    sorted
)


@given(days)
def test_it_is_on_only_around_what_sounds_and_always_while_it_does(day: list[tuple[float, list[Span]]]) -> None:
    on = switched(day, 200)
    for tenth in range(int(day[0][0]) * 4, 800):
        moment = tenth / 4 + 0.125
        held = [spans for comes, spans in day if comes <= moment][-1]
        is_on = any(begin <= moment < end for begin, end in on)
        soon = any(begin - BEFORE <= moment < end for begin, end in held)
        lately = any(
            max(begin, comes) < min(end, until) and min(end, until) + AFTER > moment > max(begin, comes)
            for (comes, spans), until in zip(day, [*[comes for comes, _ in day[1:]], math.inf], strict=True)
            for begin, end in spans
        )
        assert is_on == (soon or lately), moment


# With the plan of a box


class Commune(Box):
    """A box on paper with an amplifier, each with its own looks."""

    next_switch = START

    def __init__(self) -> None:
        super().__init__()
        self.past = Past()
        self.on: list[tuple[datetime, datetime]] = []
        self._on_since: datetime | None = None

    def live(self, plan: Agenda, begin: datetime, end: datetime, files: dict[str, Path] | None = None) -> None:
        """Let time pass; a new playlist wakes both."""
        self.next_turn = self.next_switch = now = begin
        while now < end:
            if now >= self.next_turn:
                self.look(plan, now, files)
            if now >= self.next_switch:
                self.switch(plan, now, FILES if files is None else files)
            now = min(self.next_turn, self.next_switch, end)
        self.look(plan, end, files)

    def switch(self, plan: Agenda, now: datetime, files: dict[str, Path]) -> None:
        found = sounding(plan, self.ledger, files, now, trusted=True)
        spans = [] if found is None else [((found[0] - START) / SECOND, (found[1] - START) / SECOND)]
        wish = decide(spans, self.past, before_s=BEFORE, after_s=AFTER, moment=(now - START) / SECOND)
        self.past = wish.past
        self.next_switch = min(second(min(wish.next_look, 1e6)), now + timedelta(seconds=LONGEST_WAIT_S))
        self._note_amplifier(wish.on, now)

    def _note_amplifier(self, on: bool, now: datetime) -> None:
        if on and self._on_since is None:
            self._on_since = now
        if not on and self._on_since is not None:
            self.on.append((self._on_since, now))
            self._on_since = None


plans = st.lists(
    st.tuples(st.integers(0, 12), st.integers(1, 15), st.sampled_from(["join", "skip", 30.0]), st.booleans()),
    max_size=5,
)


@settings_of_hypothesis(max_examples=150)
@given(plans, plans, st.integers(1, 60), st.booleans())
def test_whatever_the_plan_it_is_on_only_around_what_a_box_really_sounds(
    first: list[tuple[int, int, str | float, bool]],
    second_: list[tuple[int, int, str | float, bool]],
    at: int,
    at_hand: bool,
) -> None:
    """The playlist is replaced while it plays; the sounds may never come."""
    box = Commune()
    files = FILES if at_hand else {}
    box.live(_agenda(first, 1), START, second(at), files)
    box.live(_agenda(second_, 2), second(at), second(200), files)
    assert box._on_since is None, "in the end it is off"
    margin = timedelta(milliseconds=1)
    for begin, end in box.on:
        around = [
            piece
            for piece in box.pieces
            if piece.begin - timedelta(seconds=BEFORE) - margin <= end and begin <= piece.end + timedelta(seconds=AFTER)
        ]
        withdrawn = begin <= second(at) <= end + margin and end - begin <= timedelta(seconds=BEFORE) + margin
        assert around or withdrawn
        if around:
            last = max(piece.end for piece in around) + timedelta(seconds=AFTER)
            assert end <= last + LOOK or abs(end - second(at)) <= LOOK, "the next one was withdrawn"
    for piece in box.pieces:
        assert any(begin <= piece.begin + margin and piece.end <= end + margin for begin, end in box.on), piece
    assert at_hand or box.on == []


def _agenda(drawn: list[tuple[int, int, str | float, bool]], version: int) -> Agenda:
    slots: list[tuple[str, float, float]] = []
    late: dict[str, str | float] = {}
    emergencies, t = [], 0
    for number, (gap, length, if_late, emergency) in enumerate(drawn):
        t += gap
        slots.append((f"s{number}", float(t), float(length)))
        if if_late != "join":
            late[f"s{number}"] = if_late
        if emergency:
            emergencies.append(f"s{number}")
        t += length
    return agenda(*slots, version=version, if_late=late, emergencies=tuple(emergencies))


# What is done for it


class Relay:
    """Notes when it was switched; may fail or take its time."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.done: list[tuple[float, str]] = []
        self.broken: set[str] = set()
        self.takes_s = 0.0

    async def __call__(self, command: Sequence[str]) -> str:
        self.done.append((self.clock.monotonic(), command[0]))
        if self.takes_s:
            await self.clock.wait(asyncio.Event(), self.takes_s)
        if command[0] in self.broken:
            raise CommandError(f"{command[0]} ended with status 1")
        return ""


class Street:
    """An amplifier, what it is to sound, and its relay."""

    def __init__(self, clock: HandClock, *, delay: timedelta = timedelta()) -> None:
        self.clock = clock
        self.relay = Relay(clock)
        self.plan: list[tuple[datetime, datetime]] = []
        self.states: list[str | None] = []
        asked = settings.Amplifier.model_validate({"on": ["on"], "off": ["off"], "before_s": BEFORE, "after_s": AFTER})
        self.amplifier = Amplifier(
            asked,
            sounding=lambda now: next((span for span in self.plan if span[1] > now), None),
            clock=clock,
            changed=lambda: self.states.append(self.amplifier.state),
            delay=delay,
            run=self.relay,
        )

    def is_to_sound(self, *spans: tuple[float, float]) -> None:
        now = self.clock.now()
        self.plan = [(now + timedelta(seconds=begin), now + timedelta(seconds=end)) for begin, end in spans]
        self.amplifier.bell.ring()

    async def live(self, seconds: float) -> None:
        task = asyncio.create_task(self.amplifier.run())
        try:
            await self.go_on(seconds)
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def go_on(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            for _ in range(6):
                await asyncio.sleep(0)
            self.clock.turn(0.1)


@running
async def test_it_is_off_at_the_start_on_around_the_slot_and_off_at_the_end(clock: HandClock) -> None:
    street = Street(clock)
    street.is_to_sound((10, 20))
    await street.live(22)
    await street.amplifier.leave()
    assert [(round(at, 1), word) for at, word in street.relay.done] == [(0.0, "off"), (8.0, "on"), (22.0, "off")]
    assert street.states == ["off", "on", "off"]


@running
async def test_an_emergency_without_notice_switches_at_once_and_does_not_wait_for_a_slow_relay(
    clock: HandClock,
) -> None:
    street = Street(clock)
    task = asyncio.create_task(street.amplifier.run())
    await street.go_on(31)
    street.is_to_sound((0, 5))
    await street.go_on(0.1)
    assert street.relay.done[-1] == (pytest.approx(31.0), "on")
    task.cancel()


@running
async def test_the_sound_that_comes_later_than_planned_keeps_it_on(clock: HandClock) -> None:
    street = Street(clock, delay=timedelta(seconds=1))
    street.is_to_sound((10, 20))
    await street.live(40)
    assert [round(at, 1) for at, _ in street.relay.done] == [0.0, 9.0, 26.0]


@running
async def test_a_clock_that_is_set_switches_nothing_by_itself(clock: HandClock) -> None:
    street = Street(clock)
    street.is_to_sound((3600, 3610))
    task = asyncio.create_task(street.amplifier.run())
    await street.go_on(5)
    clock.jump(3620)
    await street.go_on(20)
    assert [word for _, word in street.relay.done] == ["off"]
    task.cancel()


@running
async def test_a_command_that_fails_is_told_and_tried_again_while_it_should_be_on(
    clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    street = Street(clock)
    street.relay.broken = {"on"}
    street.is_to_sound((10, 90))
    task = asyncio.create_task(street.amplifier.run())
    with caplog.at_level(logging.INFO):
        await street.go_on(40)
        tries = [at for at, word in street.relay.done if word == "on"]
        assert 5 <= len(tries) <= 12, "with growing pauses"
        assert tries[0] == pytest.approx(8.0)
        assert street.amplifier.state == "failed"
        street.relay.broken = set()
        await street.go_on(31)
    assert street.states == ["off", "failed", "on"]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "amplifier not switched on=True error=on ended with status 1"
    ]
    task.cancel()


@running
async def test_after_a_failure_the_next_slot_is_tried_at_once(clock: HandClock) -> None:
    street = Street(clock)
    street.relay.broken = {"off"}
    street.is_to_sound((50, 60))
    await street.live(49)
    assert (pytest.approx(48.0), "on") in street.relay.done
    assert street.amplifier.state == "on"


@running
async def test_one_that_is_not_there_is_never_switched_and_has_no_state(clock: HandClock) -> None:
    relay = Relay(clock)
    amplifier = Amplifier(settings.Amplifier(), sounding=lambda _: None, clock=clock, changed=lambda: None, run=relay)
    await amplifier.leave()
    assert (amplifier.there, amplifier.state, relay.done) == (False, None, [])


@running
async def test_real_commands_switch_a_real_file(tmp_path: Path, clock: HandClock) -> None:
    relay = tmp_path / "relay"
    asked = settings.Amplifier.model_validate({"on": ["touch", str(relay)], "off": ["rm", "-f", str(relay)]})
    there = [(START, START + timedelta(seconds=5))]
    amplifier = Amplifier(asked, sounding=lambda _: there[0] if there else None, clock=clock, changed=lambda: None)
    await amplifier.turn(clock.now(), clock.monotonic())
    assert (relay.exists(), amplifier.state) == (True, "on")
    there.clear()
    clock.turn(20)
    await amplifier.turn(clock.now(), clock.monotonic())
    await amplifier.turn(clock.now(), clock.monotonic())
    assert (relay.exists(), amplifier.state) == (False, "off")
