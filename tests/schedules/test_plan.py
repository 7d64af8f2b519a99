from datetime import datetime, timedelta
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.arbitration import Outcome
from schedules.levels import Level
from schedules.plan import Plan, plan
from schedules.programmes import Programme
from schedules.recurrence import Recurrence
from schedules.timeline import sounding_at
from schedules.zones import Cluster, Targets, ZoneTree
from tests.schedules.examples import DAY, HOUR, MINUTE, SAIGON, approved, clusters, item, programme, utc, zones

TREE = ZoneTree(zones("commune", "north < commune", "south < commune"))
CLUSTERS = clusters("school in north", "market in south", "port in commune")
START = utc("2026-03-02T00:00")


def at_local(hour: int, minute: int = 0, rule: str | None = "FREQ=DAILY") -> Recurrence:
    return Recurrence(start=datetime(2026, 3, 1, hour, minute), rule=rule)


def planned(*programmes: Programme, start: datetime = START, end: datetime = START + DAY) -> dict[str, Plan]:
    return plan(programmes, CLUSTERS, TREE, start=start, end=end, zone=SAIGON, most_move=30 * MINUTE)


def heard(plans: dict[str, Plan]) -> dict[str, list[str]]:
    return {
        cluster: [f"{slot.id.split('@')[0]} {slot.start:%H:%M}-{slot.end:%H:%M}" for slot in made.timeline.slots]
        for cluster, made in plans.items()
    }


def test_each_cluster_says_what_is_meant_for_it() -> None:
    everyone = approved(id="all", recurrence=at_local(17))
    north = approved(id="north", recurrence=at_local(18), targets=Targets(zones=("north",)))
    others = approved(
        id="others", recurrence=at_local(19), targets=Targets(zones=("commune",), excluded=("school", "port"))
    )
    plans = planned(everyone, north, others)
    assert heard(plans) == {
        "school": ["all 10:00-10:05", "north 11:00-11:05"],
        "market": ["all 10:00-10:05", "others 12:00-12:05"],
        "port": ["all 10:00-10:05"],
    }
    assert {name: made.timeline.cluster for name, made in plans.items()} == {name: name for name in plans}


def test_a_silent_cluster_has_a_plan_too() -> None:
    plans = planned(programme(id="pending"))
    assert heard(plans) == {"school": [], "market": [], "port": []}
    assert plans["port"].verdicts == ()
    assert (plans["port"].timeline.start, plans["port"].timeline.end) == (START, START + DAY)


def test_the_same_programme_may_be_kept_here_and_moved_there() -> None:
    routine = approved(id="a", recurrence=at_local(17))
    urgent = approved(id="x", level=Level.PRIORITY, recurrence=at_local(17), targets=Targets(clusters=("port",)))
    plans = planned(routine, urgent)
    assert heard(plans)["market"] == ["a 10:00-10:05"]
    assert heard(plans)["port"] == ["x 10:00-10:05", "a 10:05-10:10"]
    assert [verdict.outcome for verdict in plans["port"].verdicts] == [Outcome.MOVED, Outcome.KEPT]


def test_what_is_moved_into_the_window_is_heard_in_it() -> None:
    routine = approved(id="a", recurrence=at_local(7, 0))
    urgent = approved(id="x", level=Level.PRIORITY, recurrence=at_local(6, 58))
    window = planned(routine, urgent, start=utc("2026-03-02T00:05"), end=utc("2026-03-02T00:10"))
    assert heard(window)["port"] == ["a 00:03-00:08"]
    assert [verdict.occurrence.programme for verdict in window["port"].verdicts] == ["a"]


def test_what_begins_after_the_window_may_outrank_what_is_in_it() -> None:
    routine = approved(id="a", recurrence=at_local(17))
    urgent = approved(id="x", level=Level.PRIORITY, recurrence=at_local(17, 3))
    end = utc("2026-03-02T10:02")
    assert heard(planned(routine, urgent, end=end))["port"] == []
    assert planned(routine, urgent, end=end)["port"].verdicts[0].outcome is Outcome.MOVED


def test_a_target_that_is_gone_stops_nobody() -> None:
    old = approved(id="old", recurrence=at_local(17), targets=Targets(zones=("gone", "north"), excluded=("gone too",)))
    new = approved(id="new", recurrence=at_local(18))
    assert heard(planned(old, new)) == {
        "school": ["old 10:00-10:05", "new 11:00-11:05"],
        "market": ["new 11:00-11:05"],
        "port": ["new 11:00-11:05"],
    }


def test_windows_are_aware_and_not_empty() -> None:
    with pytest.raises(ValueError, match="naive"):
        planned(start=datetime(2026, 3, 2))
    with pytest.raises(ValueError, match="no room"):
        planned(end=START)


quarters = st.integers(0, 24 * 4 - 1)
schedule = st.lists(
    st.tuples(quarters, st.integers(1, 25), st.sampled_from(Level), st.sampled_from(("north", "commune"))), max_size=12
)


def programmes(asked: list[tuple[int, int, Level, str]]) -> list[Programme]:
    return [
        approved(
            id=f"p{number}",
            level=level,
            items=(item(minutes),),
            recurrence=at_local(*divmod(quarter * 15, 60)),
            targets=Targets(zones=(zone,)),
        )
        for number, (quarter, minutes, level, zone) in enumerate(asked)
    ]


@settings(max_examples=60, deadline=None)
@given(schedule, st.integers(0, 47), st.integers(1, 36), st.integers(0, 36 * 60))
def test_what_sounds_at_an_instant_does_not_depend_on_the_window(
    asked: list[tuple[int, int, Level, str]], first: int, hours: int, minute: int
) -> None:
    made, start = programmes(asked), START + first * HOUR
    t = start + timedelta(minutes=minute % (hours * 60), seconds=30)
    window, wide = planned(*made, start=start, end=start + hours * HOUR), planned(*made, end=START + 4 * DAY)
    for cluster in window:
        assert sounding_at(window[cluster].timeline, t) == sounding_at(wide[cluster].timeline, t)


def test_ten_thousand_clusters_cost_little_more_than_ten() -> None:
    asked = programmes([(n % 96, 10, Level.ROUTINE, "commune") for n in range(40)])

    def cost(count: int) -> float:
        many = [Cluster(id=f"c{n}", name="", zone="commune") for n in range(count)]
        began = process_time()
        plans = plan(asked, many, TREE, start=START, end=START + 7 * DAY, zone=SAIGON, most_move=HOUR)
        assert len(plans) == count
        return process_time() - began

    few, many = (min(cost(count) for _ in range(2)) for count in (10, 10_000))
    assert many < 100 * few, "a plan for each would be 1,000 times"
