from dataclasses import replace
from datetime import datetime, time, timedelta
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.days import Days, DayType
from schedules.lateness import JOIN, IfLate, Late
from schedules.levels import Level, Policy, Side
from schedules.plan import Plan
from schedules.plans import Facts, Plans
from schedules.programmes import Programme
from schedules.recurrence import Recurrence
from schedules.rules import Hold, Hours, LocalRules
from schedules.timeline import sounding_at
from schedules.verdicts import Decision, Outcome
from schedules.zones import Cluster, Targets, Zone
from tests.schedules.examples import DAY, HOUR, MINUTE, SAIGON, SOAK, approved, clusters, item, programme, utc, zones

ZONES = tuple(zones("commune", "north < commune", "south < commune"))
CLUSTERS = tuple(clusters("school in north", "market in south", "port in commune"))
START = utc("2026-03-01T17:00")
"""Midnight of 2 March in the commune."""


def at_local(hour: int, minute: int = 0, rule: str | None = "FREQ=DAILY") -> Recurrence:
    return Recurrence(start=datetime(2026, 3, 1, hour, minute), rule=rule)


def facts(*programmes: Programme) -> Facts:
    return Facts(programmes=programmes, zones=ZONES, clusters=CLUSTERS)


def plans_of(facts: Facts, *, start: datetime = START, end: datetime = START + DAY) -> Plans:
    plans = Plans(start=start, end=end, zone=SAIGON, policy=Policy(most_move=30 * MINUTE))
    plans.update(facts)
    return plans


def planned(*programmes: Programme, start: datetime = START, end: datetime = START + DAY) -> Plans:
    return plans_of(facts(*programmes), start=start, end=end)


def heard(plans: Plans) -> dict[str, list[str]]:
    return {cluster: said(plans[cluster]) for cluster in plans}


def said(plan: Plan) -> list[str]:
    return [f"{slot.id.split('@')[0]} {slot.start:%H:%M}-{slot.end:%H:%M}" for slot in plan.timeline.slots]


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


def test_clusters_that_hear_the_same_share_one_plan() -> None:
    plans = planned(approved(id="a", recurrence=at_local(17), targets=Targets(clusters=("school", "port"))))
    assert plans["school"] is plans["port"]
    assert plans["school"] is not plans["market"]


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


def test_a_cluster_that_is_moved_follows_its_new_zone() -> None:
    north = approved(id="north", recurrence=at_local(17), targets=Targets(zones=("north",)))
    plans = planned(north)
    moved = tuple(replace(each, zone="north") if each.id == "market" else each for each in CLUSTERS)
    assert plans.update(replace(facts(north), clusters=moved)) == {"market"}
    assert heard(plans)["market"] == ["north 10:00-10:05"]


def test_a_tag_reaches_every_cluster_that_carries_it() -> None:
    tagged = tuple(replace(each, tags=("loud",)) if each.id != "port" else each for each in CLUSTERS)
    loud = approved(
        id="loud", recurrence=at_local(17), targets=Targets(tags=("loud",), zones=("commune",), excluded_tags=("new",))
    )
    tagged = (*tagged, Cluster(id="fresh", name="", zone="south", tags=("new",)))
    plans = plans_of(replace(facts(loud), clusters=tagged))
    assert {cluster for cluster in plans if said(plans[cluster])} == {"school", "market", "port"}


def test_rules_and_holds_come_down_the_tree() -> None:
    quiet = LocalRules(quiet=(Hours(start=time(21), end=time(4, 30)),))
    funeral = Hold(
        id="h", kind="funeral", reason="Tang lễ", start=START, end=START + DAY, by="lan", placed_at=START - DAY
    )
    ruled = tuple(
        replace(zone, rules=quiet)
        if zone.id == "commune"
        else replace(zone, holds=(funeral,))
        if zone.id == "north"
        else zone
        for zone in ZONES
    )
    mistake = approved(id="mistake", recurrence=at_local(3, 15))
    flood = approved(id="flood", recurrence=at_local(3, 20), level=Level.EMERGENCY, reason="Vỡ đê")
    plans = plans_of(replace(facts(mistake, flood, approved(id="a", recurrence=at_local(17))), zones=ruled))
    assert heard(plans) == {
        "school": ["flood 20:20-20:25"],
        "market": ["flood 20:20-20:25", "a 10:00-10:05"],
        "port": ["flood 20:20-20:25", "a 10:00-10:05"],
    }
    assert {verdict.code for verdict in plans["school"].verdicts} == {"hold", "as_asked"}
    assert plans["market"].rules is plans["port"].rules


def test_a_day_type_decides_on_which_days() -> None:
    exam = DayType(
        id="exam", name="Tuần thi", days=(Days(first=datetime(2026, 3, 2).date(), last=datetime(2026, 3, 3).date()),)
    )
    plain = approved(id="a", recurrence=replace(at_local(17), not_on=("exam",)))
    with_type = replace(facts(plain), day_types=(exam,))
    plans = plans_of(with_type, end=START + 3 * DAY)
    assert [slot.start.day for slot in plans["port"].timeline.slots] == [4]
    assert plans.update(facts(plain)) == {"school", "market", "port"}
    assert [slot.start.day for slot in plans["port"].timeline.slots] == [2, 3, 4]


def test_a_decision_changes_only_the_clusters_on_which_the_two_meet() -> None:
    above = approved(id="above", level=Level.PRIORITY, tier="province", recurrence=at_local(17))
    ours = approved(id="ours", level=Level.PRIORITY, recurrence=at_local(17, 3), targets=Targets(zones=("north",)))
    plans = planned(above, ours)
    assert heard(plans)["school"] == ["ours 10:03-10:08", "above 10:08-10:13"]
    decision = Decision(above="above", ours="ours", first=Side.ABOVE, by="minh", at=START - HOUR)
    assert plans.update(replace(facts(above, ours), decisions=(decision,))) == {"school"}
    assert heard(plans)["school"] == ["above 10:00-10:05", "ours 10:05-10:10"]


def test_windows_are_aware_and_not_empty() -> None:
    with pytest.raises(ValueError, match="naive"):
        planned(start=datetime(2026, 3, 2))
    with pytest.raises(ValueError, match="no room"):
        planned(end=START)


def test_a_part_of_a_plan_lies_within_it() -> None:
    plan = planned(approved(id="a", recurrence=at_local(17)))["port"]
    assert said(plan.within(utc("2026-03-02T10:04"), utc("2026-03-02T10:06"))) == ["a 10:00-10:05"]
    with pytest.raises(ValueError, match="not within"):
        plan.within(START, START + 2 * DAY)


# What holds whatever is asked.

quarters = st.integers(0, 24 * 4 - 1)
schedule = st.lists(
    st.tuples(
        quarters,
        st.integers(1, 25),
        st.sampled_from(Level),
        st.sampled_from(("north", "south", "commune")),
        st.sampled_from((None, "province")),
    ),
    max_size=12,
)
Schedule = list[tuple[int, int, Level, str, str | None]]
rules = st.sampled_from(
    (
        None,
        LocalRules(quiet=(Hours(start=time(22), end=time(5)),)),
        LocalRules(most_a_day=40 * MINUTE, sessions_a_day=3),
        LocalRules(longest_session=20 * MINUTE, gap=30 * MINUTE),
    )
)


LATE = (IfLate(action=Late.WHOLE, within=12 * HOUR), JOIN, IfLate(action=Late.WHOLE, within=20 * MINUTE))


def programmes(asked: Schedule) -> list[Programme]:
    return [
        approved(
            id=f"p{number}",
            level=level,
            items=(item(minutes),),
            recurrence=at_local(*divmod(quarter * 15, 60)),
            targets=Targets(zones=(zone,)),
            tier=tier,
            if_late=LATE[number % len(LATE)],
        )
        for number, (quarter, minutes, level, zone, tier) in enumerate(asked)
    ]


def ruled_zones(rules: LocalRules | None, where: str) -> tuple[Zone, ...]:
    return tuple(replace(zone, rules=rules) if zone.id == where else zone for zone in ZONES)


@settings(max_examples=60 * SOAK, deadline=None)
@given(schedule, st.integers(0, 47), st.integers(1, 36), st.integers(0, 36 * 60))
def test_what_sounds_at_an_instant_does_not_depend_on_the_window(
    asked: Schedule, first: int, hours: int, minute: int
) -> None:
    made, start = programmes(asked), START + first * HOUR
    t = start + timedelta(minutes=minute % (hours * 60), seconds=30)
    window, wide = planned(*made, start=start, end=start + hours * HOUR), planned(*made, end=START + 4 * DAY)
    for cluster in window:
        assert sounding_at(window[cluster].timeline, t) == sounding_at(wide[cluster].timeline, t)


steps = st.lists(
    st.tuples(
        st.sampled_from(("programmes", "rules", "clusters", "decisions")),
        schedule,
        rules,
        st.sampled_from(("north", "commune")),
        st.sampled_from(Side),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150 * SOAK, deadline=None)
@given(schedule, steps)
def test_plans_that_follow_changes_are_those_made_anew(
    asked: Schedule, steps: list[tuple[str, Schedule, LocalRules | None, str, Side]]
) -> None:
    present = facts(*programmes(asked))
    following = plans_of(present, end=START + 2 * DAY)
    for what, again, rule, where, side in steps:
        match what:
            case "programmes":
                kept = present.programmes[: len(present.programmes) // 2]
                added = [each for each in programmes(again) if each.id not in {one.id for one in kept}]
                present = replace(present, programmes=(*kept, *added))
            case "rules":
                present = replace(present, zones=ruled_zones(rule, where))
            case "clusters":
                moved = (*CLUSTERS[1:], replace(CLUSTERS[0], zone=where), Cluster(id="new", name="", zone="south"))
                present = replace(present, clusters=moved)
            case "decisions":
                said = Decision(above="p0", ours="p1", first=side, by="minh", at=START - DAY)
                present = replace(present, decisions=(said,))
        before = {cluster: following[cluster] for cluster in following}
        changed = following.update(present)
        anew = plans_of(present, end=START + 2 * DAY)
        assert list(following) == list(anew)
        for cluster in anew:
            assert following[cluster].timeline == anew[cluster].timeline
            assert following[cluster].verdicts == anew[cluster].verdicts
            assert following[cluster].rules == anew[cluster].rules
            if cluster not in changed:
                assert following[cluster] is before[cluster]


@settings(max_examples=100 * SOAK, deadline=None)
@given(schedule, schedule, rules)
def test_a_preview_tells_what_the_change_then_does(asked: Schedule, more: Schedule, rule: LocalRules | None) -> None:
    present = replace(facts(*programmes(asked)), zones=ruled_zones(rule, "commune"))
    plans = plans_of(present)
    before = {cluster: plans[cluster] for cluster in plans}
    for candidate in programmes(more)[:1]:
        candidate = replace(candidate, id="new")
        candidate = approved(candidate)
        effects = plans.preview(candidate)
        assert {cluster: plans[cluster] for cluster in plans} == before, "a preview changes nothing"
        plans.update(replace(present, programmes=(*present.programmes, candidate)))
        told = {cluster: effect for effect in effects for cluster in effect.clusters}
        for cluster in plans:
            was, now = set(before[cluster].timeline.slots), set(plans[cluster].timeline.slots)
            effect = told.get(cluster)
            if effect is None:
                assert was == now
                continue
            difference = effect.difference
            gone = {*difference.removed, *(old for old, _ in difference.changed)}
            came = {*difference.added, *(new for _, new in difference.changed)}
            assert (was - now, now - was) == (gone, came)
            own = [verdict for verdict in plans[cluster].verdicts if verdict.occurrence.programme == "new"]
            assert list(effect.verdicts) == own
            others = {old.occurrence: new for old, new in effect.displaced}
            for verdict in plans[cluster].verdicts:
                if verdict.occurrence in others:
                    assert others[verdict.occurrence] == verdict


def test_ten_thousand_clusters_cost_little_more_than_ten() -> None:
    asked = programmes([(n % 96, 10, Level.ROUTINE, "commune", None) for n in range(40)])

    def cost(count: int) -> float:
        many = [Cluster(id=f"c{n}", name="", zone="commune") for n in range(count)]
        began = process_time()
        plans = plans_of(replace(facts(*asked), clusters=many), end=START + 7 * DAY)
        assert len(plans) == count
        return process_time() - began

    few, many = (min(cost(count) for _ in range(2)) for count in (10, 10_000))
    assert many < 100 * few, "a plan for each would be 1,000 times"


def test_one_more_programme_for_one_hamlet_costs_the_same_among_many_clusters() -> None:
    asked = programmes([(n % 96, 10, Level.ROUTINE, "commune", None) for n in range(40)])
    new = approved(id="new", recurrence=at_local(12, 7), targets=Targets(zones=("north",)))

    def cost(count: int) -> float:
        many = [*CLUSTERS, *(Cluster(id=f"c{n}", name="", zone="south") for n in range(count))]
        plans = plans_of(replace(facts(*asked), clusters=many), end=START + 7 * DAY)
        more = replace(facts(*asked, new), clusters=many)
        less = replace(more, programmes=more.programmes[:-1])
        times = []
        for _ in range(7):
            plans.update(less)
            began = process_time()
            assert plans.update(more) == {"school"}
            times.append(process_time() - began)
        return min(times)

    few, many = cost(10), cost(10_000)
    assert many < 3 * few, "in proportion it would be 1,000 times"


def test_each_local_day_is_counted_alike_in_every_window() -> None:
    """Each day asks at midnight and at 23:00; neither may hang on what the day before got."""
    ruled = ruled_zones(LocalRules(sessions_a_day=1, gap=2 * HOUR), "commune")
    twice = replace(facts(approved(id="k", recurrence=at_local(23, rule="FREQ=DAILY;BYHOUR=0,23"))), zones=ruled)
    starts = [START + days * DAY for days in (1, 2, 3)]
    told = [said(plans_of(twice, start=start, end=START + 5 * DAY)["port"])[-2:] for start in starts]
    assert told[0] == told[1] == told[2]
