"""What time it is, from what was seen: whatever the oscillator and the line do, the truth lies within the doubt."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.agent.timing.reckoning import (
    DRIFT,
    SLACK,
    SLEW,
    STEP_S,
    Belief,
    Line,
    Sample,
    Samples,
    Seen,
    Source,
    reckon,
    sample,
    steered,
)
from tests.fakes.clock import START

S = timedelta(seconds=1)


def seconds(of: timedelta) -> float:
    return of / S


class Crystal:
    """An oscillator: what the monotonic clock shows when so many true seconds have passed."""

    def __init__(self, ppm: float) -> None:
        self._pace = 1 + ppm * 1e-6

    def shows(self, true_s: float) -> float:
        return 1000 + true_s * self._pace

    def ask(self, true_s: float, there_s: float, back_s: float, work_s: float = 0.0) -> Sample:
        """Ask the server; the request is under way for ``there_s``, the answer for ``back_s``."""
        answer = sample(
            self.shows(true_s),
            self.shows(true_s + there_s + work_s + back_s),
            server_received=START + timedelta(seconds=true_s + there_s),
            server_sent=START + timedelta(seconds=true_s + there_s + work_s),
        )
        assert answer is not None
        return answer


ways = st.floats(1e-4, 2.0)
crystals = st.floats(-95, 95).map(Crystal)
pauses = st.lists(st.tuples(st.floats(0.5, 4000), ways, ways, st.floats(0, 0.1)), min_size=1, max_size=40)


@given(crystals, pauses)
def test_the_truth_always_lies_within_the_doubt(
    crystal: Crystal, asked: list[tuple[float, float, float, float]]
) -> None:
    samples, true_s = Samples(), 0.0
    for pause, there, back, work in asked:
        true_s += pause
        samples = samples.plus(crystal.ask(true_s, there, back, work))
        true_s += there + work + back
        assert len(samples.kept) <= 16
        belief = samples.belief
        assert belief is not None
        for later in (0, 60, 86_400):
            moment = crystal.shows(true_s + later)
            error = seconds(belief.line.at(moment) - START) - (true_s + later)
            assert abs(error) <= belief.doubt(moment) + 1e-4, later


@pytest.mark.parametrize("ppm", [-50, 50, 90])
def test_a_crystal_that_runs_fast_stays_within_a_millisecond_on_a_local_line(ppm: float) -> None:
    crystal, samples = Crystal(ppm), Samples()
    true_s, worst = 0.0, 0.0
    asking = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256] + [300] * 60
    for place, pause in enumerate(asking):
        true_s += pause
        belief = samples.belief
        if belief is not None:
            error = seconds(belief.line.at(crystal.shows(true_s)) - START) - true_s
            worst = max(worst, abs(error))
        uneven = 0.0002 if place % 2 else -0.0002
        samples = samples.plus(crystal.ask(true_s, 0.0006 + uneven, 0.0006 - uneven))
    assert worst <= 0.001
    assert samples.belief is not None
    assert samples.belief.drift < DRIFT / 5, "what is learned makes doubt grow slower"


def test_the_best_answer_counts_until_a_better_one_comes() -> None:
    crystal = Crystal(0)
    quick, slow = crystal.ask(0, 0.001, 0.001), crystal.ask(1, 0.1, 1.5)
    samples = Samples().plus(quick).plus(slow)
    assert samples.belief is not None
    assert samples.belief.line.since == quick.moment
    hours_later = crystal.ask(100_000, 0.05, 0.05)
    samples = samples.plus(hours_later)
    assert samples.belief is not None
    assert samples.belief.line.since == hours_later.moment


def test_a_server_whose_clock_was_set_is_believed_anew() -> None:
    crystal = Crystal(0)
    samples = Samples().plus(crystal.ask(0, 0.001, 0.001)).plus(crystal.ask(100, 0.001, 0.001))
    honest = crystal.ask(200, 0.001, 0.001)
    set_forward = Sample(honest.moment, honest.instant + timedelta(hours=1), honest.half_s)
    assert samples.plus(set_forward).kept == (set_forward,)


def test_an_answer_whose_times_cannot_be_is_none() -> None:
    assert sample(10, 11, server_received=START, server_sent=START + 5 * S) is None, "it worked longer than it took"
    assert sample(10, 11, server_received=START, server_sent=START - S) is None, "it left before it came"
    instant = sample(10, 10, server_received=START, server_sent=START)
    assert instant == Sample(10, START, 0.0)


def seen(**changes: object) -> Seen:
    known = {"moment": 100.0, "wall": START, "kernel_s": None, "floor": START - timedelta(days=1), **changes}
    return Seen(**known)  # type: ignore[arg-type]


def belief(source: Source, at: float = 0.0, doubt_s: float = 0.1, since: float = 100.0) -> Belief:
    return Belief(source=source, line=Line(since, START + timedelta(seconds=at)), doubt_s=doubt_s)


ANSWER = Samples((Sample(100.0, START + 5 * S, 0.01),))
HELD = belief(Source.SERVER, at=7)
BATTERY = belief(Source.BATTERY, at=9, doubt_s=5)


@pytest.mark.parametrize(
    ("known", "source", "at"),
    [
        ({"kernel_s": 0.02, "samples": ANSWER, "held": HELD, "battery": BATTERY}, Source.KERNEL, 0),
        ({"samples": ANSWER, "held": HELD, "battery": BATTERY}, Source.SERVER, 5),
        ({"held": HELD, "battery": BATTERY}, Source.HELD, 7),
        ({"battery": BATTERY}, Source.BATTERY, 9),
        ({"kernel_s": 0.0, "floor": START + 2 * S}, Source.KERNEL, 0),  # two clocks may differ by so much
        ({"kernel_s": 0.0, "floor": START + 3 * S, "samples": ANSWER}, Source.SERVER, 5),
        ({"kernel_s": 0.0, "floor": START + 8 * S, "samples": ANSWER, "held": HELD}, Source.HELD, 7),
        ({"samples": ANSWER, "moment": 100.0 + 7200}, Source.HELD, 5 + 7200),
    ],
)
def test_the_best_source_that_does_not_contradict_the_floor_is_believed(
    known: dict[str, object], source: Source, at: float
) -> None:
    looked = seen(**known)
    found = reckon(looked)
    assert found is not None
    assert (found.source, found.line.at(looked.moment)) == (source, START + timedelta(seconds=at))


def test_an_undisciplined_system_clock_is_nothing_to_believe() -> None:
    assert reckon(seen()) is None
    everything = seen(kernel_s=0.0, samples=ANSWER, held=HELD, battery=BATTERY, floor=START + timedelta(days=365))
    assert reckon(everything) is None, "a document from next year: nothing is right"


def test_of_two_that_were_known_the_less_doubtful_is_held() -> None:
    old = belief(Source.KERNEL, at=3, doubt_s=0.5, since=-50_000.0)
    found = reckon(seen(held=old, samples=ANSWER, moment=20_000.0))
    assert found is not None
    assert found.line.instant == START + 5 * S


@given(st.floats(-0.2, 0.2), st.floats(0.9999, 1.0001), st.lists(st.floats(0, 30), min_size=1, max_size=20))
def test_small_errors_are_made_good_without_going_back_or_over(error: float, rate: float, looks: list[float]) -> None:
    target = Line(0.0, START, rate)
    line, step = steered(Line(0.0, START - timedelta(seconds=error), 1.0), target, 0.0)
    assert (step != 0) == (abs(error) > STEP_S + 1e-9) or abs(abs(error) - STEP_S) < 1e-6
    before, moment = line.at(0.0), 0.0
    off = abs(seconds(target.at(0.0) - before))
    for pause in looks:
        for part in (0.3, 0.7):
            moment += pause * part
            assert line.at(moment) >= before
            run = seconds(line.at(moment) - before)
            assert run <= pause * part * (rate + SLEW) + 2e-6
            before = line.at(moment)
            still = abs(seconds(target.at(moment) - before))
            assert still <= off + 3e-6, "every moment is nearer than the one before"
            off = still
        line, step = steered(line, target, moment)
        assert step == 0
    rest = line.at(moment + 110 + abs(error) / SLEW)
    assert abs(seconds(target.at(moment + 110 + abs(error) / SLEW) - rest)) <= 5e-5


def test_an_error_of_a_second_is_a_step() -> None:
    line, step = steered(Line(0.0, START), Line(0.0, START + S), 10.0)
    assert (line.at(10.0), step) == (START + 11 * S, 1.0)
    line, step = steered(line, Line(0.0, START), 10.0)
    assert (line.at(10.0), step) == (START + 10 * S, -1.0)


def test_doubt_grows_by_a_third_of_a_second_an_hour() -> None:
    known = belief(Source.HELD, doubt_s=0.01)
    assert known.doubt(100 + 3600) == pytest.approx(0.37)
    assert not math.isinf(known.doubt(1e9))
    assert SLACK == 2 * S
