import pytest

from schedules.zones import Targets, ZoneError, ZoneTree, reach
from tests.schedules.examples import clusters, zones

TREE = ZoneTree(zones("district", "north < district", "south < district", "hamlet < north", "elsewhere"))
CLUSTERS = clusters("school in hamlet", "market in north", "pagoda in south", "port in district", "far in elsewhere")


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
    ],
)
def test_targets_reach_all_below_but_the_excluded(targets: Targets, reached: set[str]) -> None:
    assert reach(targets, TREE, CLUSTERS) == reached


@pytest.mark.parametrize(
    ("targets", "code", "field"),
    [
        (Targets(zones=("nort",)), "unknown_zone", {"zone": "nort"}),
        (Targets(clusters=("north",)), "unknown_cluster", {"cluster": "north"}),
        (Targets(zones=("north",), excluded=("nobody",)), "unknown_cluster", {"cluster": "nobody"}),
    ],
)
def test_unknown_targets_are_refused_or_passed_over(targets: Targets, code: str, field: dict[str, str]) -> None:
    with pytest.raises(ZoneError, match=next(iter(field.values()))) as caught:
        reach(targets, TREE, CLUSTERS)
    assert (caught.value.code, caught.value.fields) == (code, field)
    expected = {"school", "market"} if targets.zones == ("north",) else set()
    assert reach(targets, TREE, CLUSTERS, missing_ok=True) == expected


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
