from dataclasses import replace
from datetime import time

import pytest

from schedules.rules import Hold, Hours, InForce, LocalRules
from schedules.zones import Cluster, Places, Targets, ZoneError, ZoneTree
from tests.schedules.examples import DAY, MINUTE, NOON, SAIGON, clusters, zones

ZONES = zones("district", "north < district", "south < district", "hamlet < north", "elsewhere")
TREE = ZoneTree(ZONES)
CLUSTERS = [
    *clusters("school in hamlet", "market in north", "pagoda in south", "far in elsewhere"),
    Cluster(id="port", name="", zone="district", tags=("loud", "old")),
    Cluster(id="lost", name="", zone="gone", tags=("old",)),
]
PLACES = Places(ZONES, CLUSTERS)


def test_paths_lead_up_and_below_leads_down() -> None:
    assert TREE.path("hamlet") == ("hamlet", "north", "district")
    assert TREE.path("district") == ("district",)
    assert TREE.below("north") == {"north", "hamlet"}
    assert TREE.below("district") == {"district", "north", "south", "hamlet"}
    assert set(TREE) == TREE.below("district") | {"elsewhere"}


@pytest.mark.parametrize(
    ("targets", "reached"),
    [
        (Targets(), set()),
        (Targets(zones=("district",)), {"school", "market", "pagoda", "port"}),
        (Targets(zones=("north", "hamlet")), {"school", "market"}),
        (Targets(clusters=("pagoda", "far")), {"pagoda", "far"}),
        (Targets(zones=("hamlet",), clusters=("port",)), {"school", "port"}),
        (Targets(zones=("district",), excluded=("north",)), {"pagoda", "port"}),
        (Targets(zones=("district",), excluded=("market", "port")), {"school", "pagoda"}),
        (Targets(zones=("hamlet",), clusters=("school",), excluded=("district",)), set()),
        (Targets(tags=("loud",)), {"port"}),
        (Targets(tags=("old",), zones=("hamlet",)), {"port", "lost", "school"}),
        (Targets(zones=("district",), excluded_tags=("loud",)), {"school", "market", "pagoda"}),
        (Targets(tags=("old",), excluded=("lost",)), {"port"}),
        (Targets(clusters=("lost", "nobody"), zones=("nowhere",), tags=("new",)), {"lost"}),
    ],
)
def test_targets_reach_all_below_but_the_excluded(targets: Targets, reached: set[str]) -> None:
    assert PLACES.reached(targets) == reached


@pytest.mark.parametrize(
    ("targets", "code", "field"),
    [
        (Targets(zones=("nort",)), "unknown_zone", {"zone": "nort"}),
        (Targets(clusters=("north",)), "unknown_cluster", {"cluster": "north"}),
        (Targets(zones=("north",), excluded=("nobody",)), "unknown_cluster", {"cluster": "nobody"}),
        (Targets(tags=("new",)), "unknown_tag", {"tag": "new"}),
        (Targets(zones=("north",), excluded_tags=("new",)), "unknown_tag", {"tag": "new"}),
    ],
)
def test_unknown_targets_are_refused_or_passed_over(targets: Targets, code: str, field: dict[str, str]) -> None:
    with pytest.raises(ZoneError, match=next(iter(field.values()))) as caught:
        PLACES.refuse_unknown(targets)
    assert (caught.value.code, caught.value.fields) == (code, field)
    expected = {"school", "market"} if targets.zones == ("north",) else set()
    assert PLACES.reached(targets) == expected


@pytest.mark.parametrize("ask", [TREE.path, TREE.below])
def test_an_unknown_zone_is_refused(ask: object) -> None:
    with pytest.raises(ZoneError, match="no zone 'nowhere'"):
        ask("nowhere")  # type: ignore[operator]


def test_a_parent_must_exist() -> None:
    with pytest.raises(ZoneError, match="'hamlet' lies in 'gone'") as caught:
        ZoneTree(zones("hamlet < gone"))
    assert (caught.value.code, caught.value.fields) == ("unknown_parent", {"zone": "hamlet", "parent": "gone"})


@pytest.mark.parametrize(
    ("lines", "circle"),
    [
        (("a < a",), {"a"}),
        (("a < b", "b < a"), {"a", "b"}),
        (("root", "tail < a", "a < b", "b < c", "c < a"), {"a", "b", "c"}),
    ],
)
def test_a_circle_is_refused_and_named(lines: tuple[str, ...], circle: set[str]) -> None:
    with pytest.raises(ZoneError, match="in a circle") as caught:
        ZoneTree(zones(*lines))
    assert caught.value.code == "zone_cycle"
    assert set(caught.value.fields["zones"]) == circle


def test_two_zones_of_one_id_are_our_mistake() -> None:
    with pytest.raises(ValueError, match="two zones"):
        ZoneTree(zones("a", "a"))


def test_a_tree_as_deep_as_it_is_large_is_no_trouble() -> None:
    deep = ZoneTree(zones("0", *(f"{n} < {n - 1}" for n in range(1, 3000))))
    assert len(deep.below("0")) == len(deep.path("2999")) == 3000


def test_rules_bind_a_zone_and_all_below_it_and_a_lower_one_can_only_be_stricter() -> None:
    quiet, hold = (
        Hours(start=time(21), end=time(5)),
        Hold(id="h", kind="exam", reason="Thi", start=NOON, end=NOON + DAY, by="lan", placed_at=NOON),
    )
    above = LocalRules(quiet=(quiet,), most_a_day=30 * MINUTE)
    ruled = [
        replace(zone, rules=above)
        if zone.id == "district"
        else replace(zone, rules=LocalRules(most_a_day=45 * MINUTE, sessions_a_day=2), holds=(hold,))
        if zone.id == "north"
        else zone
        for zone in ZONES
    ]
    places = Places(ruled, CLUSTERS)
    both = LocalRules(quiet=(quiet,), most_a_day=30 * MINUTE, sessions_a_day=2)
    assert places.in_force("hamlet", SAIGON) == InForce(zone=SAIGON, rules=both, holds=(hold,))
    assert places.in_force("south", SAIGON) == InForce(zone=SAIGON, rules=above)
    assert places.in_force("elsewhere", SAIGON) == places.in_force("nowhere", SAIGON) == InForce(zone=SAIGON)
