from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedules.coverage import SLACK, ClusterCoverage, Heard, Play, Summary, coverage, outcome_of, summarise
from tests.schedules.examples import MINUTE, NOON

LENGTH = 5 * MINUTE


def play(
    outcome: str, offset: float = 0, heard: float = 0, reason: str | None = None, after: float = 0, late: float = 0
) -> Play:
    """Return what a receipt says; times in seconds, ``after`` noon."""
    return Play(
        outcome=outcome,
        at=NOON + timedelta(seconds=after),
        offset=timedelta(seconds=offset),
        heard=timedelta(seconds=heard),
        reason=reason,
        late=timedelta(seconds=late),
    )


@pytest.mark.parametrize(
    ("plays", "outcome"),
    [
        ([], Heard.UNKNOWN),
        ([play("accepted")], Heard.UNKNOWN),
        ([play("a word of a newer box")], Heard.UNKNOWN),
        ([play("started")], Heard.PARTLY),
        ([play("started"), play("finished", heard=300)], Heard.HEARD),
        ([play("finished", heard=300)], Heard.HEARD),
        ([play("finished", offset=0.3, heard=299.7)], Heard.HEARD),
        ([play("finished", offset=0.4, heard=299.6)], Heard.PARTLY),
        ([play("finished", offset=120, heard=180)], Heard.PARTLY),
        ([play("finished", heard=180)], Heard.PARTLY),
        ([play("interrupted", heard=300, reason="withdrawn")], Heard.HEARD),
        ([play("started"), play("interrupted", heard=60, reason="power_cut")], Heard.PARTLY),
        ([play("started", late=600)], Heard.PARTLY),
        ([play("started", late=600), play("finished", heard=300)], Heard.HEARD),
        ([play("started", late=600), play("interrupted", heard=60, reason="air_taken")], Heard.PARTLY),
        ([play("missed", reason="clock")], Heard.MISSED),
        ([play("missed", reason="no_sound")], Heard.MISSED),
        ([play("missed", heard=3)], Heard.PARTLY),
        ([play("refused", reason="quiet_hours")], Heard.MISSED),
        ([play("refused", reason="hold"), play("started")], Heard.PARTLY),
        ([play("refused", reason="hold"), play("finished", heard=300)], Heard.HEARD),
        ([play("missed"), play("finished", heard=300)], Heard.HEARD),
        ([play("started"), play("started", offset=90), play("finished", offset=90, heard=210)], Heard.PARTLY),
    ],
)
def test_outcomes(plays: list[Play], outcome: Heard) -> None:
    assert outcome_of(LENGTH, plays) is outcome


PLAYS = [
    ("market", "p@1", play("started")),
    ("market", "p@1", play("finished", heard=300, after=300)),
    ("school", "p@1", play("interrupted", heard=60, reason="power_cut", after=60)),
    ("school", "p@1", play("finished", offset=100, heard=200, reason="late", after=300)),
    ("port", "p@1", play("missed", reason="no_sound", after=300)),
    ("temple", "p@1", play("refused", reason="quiet_hours")),
    ("port", "gone@1", play("finished", heard=300)),
    ("stranger", "p@1", play("finished", heard=300)),
]
FOUND = coverage(
    {"p@1": ["market", "school", "port", "temple", "pagoda"], "q@1": ["port"]},
    PLAYS,
    durations={"p@1": LENGTH, "q@1": LENGTH},
)


def test_coverage_says_what_each_expected_cluster_is_known_to_have_said() -> None:
    def line(cluster: str, outcome: Heard, seconds: int, reason: str | None) -> ClusterCoverage:
        return ClusterCoverage(cluster=cluster, outcome=outcome, heard=timedelta(seconds=seconds), reason=reason)

    assert {
        "p@1": (
            line("market", Heard.HEARD, 300, None),
            line("school", Heard.PARTLY, 200, "late"),
            line("port", Heard.MISSED, 0, "no_sound"),
            line("temple", Heard.MISSED, 0, "quiet_hours"),
            line("pagoda", Heard.UNKNOWN, 0, None),
        ),
        "q@1": (line("port", Heard.UNKNOWN, 0, None),),
    } == FOUND


def test_how_late_it_was_begun_is_told_of_what_sounded() -> None:
    told = {
        "on time": [play("started"), play("finished", heard=300)],
        "late": [play("started", late=600), play("finished", heard=300, after=900)],
        "late, and off for a while": [
            play("started", late=600),
            play("interrupted", heard=60, reason="off", after=700),
            play("started", offset=90, late=600, after=800),
            play("finished", offset=90, heard=210, after=900),
        ],
        "never": [play("missed", reason="off", late=600)],
    }
    found = coverage(
        {"p@1": [*told]},
        [(cluster, "p@1", each) for cluster, plays in told.items() for each in plays],
        durations={"p@1": LENGTH},
    )
    assert [(each.outcome, each.late.total_seconds(), each.reason) for each in found["p@1"]] == [
        (Heard.HEARD, 0, None),
        (Heard.HEARD, 600, None),
        (Heard.PARTLY, 600, "off"),
        (Heard.MISSED, 0, "off"),
    ]


def test_a_summary_counts_every_expected_cluster_once() -> None:
    counted = summarise(covered for covers in FOUND.values() for covered in covers)
    assert counted == Summary(heard=1, partly=1, missed=2, unknown=2)
    assert counted.expected == 6
    assert summarise([]) == Summary()


def test_a_slot_without_a_length_is_our_mistake() -> None:
    with pytest.raises(KeyError):
        coverage({"p@1": ["market"]}, [], durations={})


plays = st.lists(
    st.builds(
        play,
        st.sampled_from(["started", "finished", "interrupted", "missed", "refused", "accepted"]),
        st.integers(0, 300),
        st.integers(0, 300),
        st.sampled_from([None, "power_cut", "no_sound"]),
        st.integers(0, 3),
        st.sampled_from((0, 600)),
    ),
    max_size=6,
)


@given(plays, st.randoms())
def test_order_and_repetition_of_receipts_change_nothing(received: list[Play], random: Random) -> None:
    again = received + [random.choice(received) for _ in received]
    random.shuffle(again)

    def found(told: list[Play]) -> object:
        return coverage({"s": ["c"]}, [("c", "s", one) for one in told], durations={"s": LENGTH})

    assert found(again) == found(received)


@given(plays)
def test_nothing_is_guessed(received: list[Play]) -> None:
    outcome = outcome_of(LENGTH, received)
    told = {one.outcome for one in received}
    if outcome is Heard.HEARD:
        assert told & {"finished", "interrupted"} and max(one.heard for one in received) >= LENGTH - SLACK
    if outcome is Heard.MISSED:
        assert told & {"missed", "refused"} and not told & {"started", "finished", "interrupted"}
    if not told - {"accepted"}:
        assert outcome in (Heard.UNKNOWN, Heard.PARTLY)
        assert (outcome is Heard.UNKNOWN) == all(one.heard == timedelta() for one in received)
