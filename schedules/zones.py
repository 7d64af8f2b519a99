"""The zone tree, the clusters in it, and which of them a choice of zones reaches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from schedules.errors import DomainError

__all__ = ["Cluster", "Location", "Targets", "Zone", "ZoneError", "ZoneTree", "reach"]


class ZoneError(DomainError):
    """A zone or cluster is named that does not exist, or zones lie in a circle.

    ``unknown_zone`` has the field ``zone``; ``unknown_cluster`` has ``cluster``; ``unknown_parent`` has
    ``zone`` and ``parent``; ``zone_cycle`` has ``zones``, the circle in order.
    """

    codes = frozenset({"unknown_zone", "unknown_cluster", "unknown_parent", "zone_cycle"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A piece of the country: province, commune, hamlet … ``kind`` is a word for people.

    Tiers are data: a zone lies in its ``parent``, and how deep the tree goes is nobody's law.
    """

    id: str
    name: str
    kind: str
    parent: str | None = None
    area: dict[str, Any] | None = None
    """A GeoJSON geometry (RFC 7946), for maps only; who hears what follows from ``parent``."""
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a pole stands, in WGS 84 degrees; north and east are positive."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A pole with its loudspeakers: what is targeted, and what has a timeline."""

    id: str
    name: str
    zone: str
    location: Location | None = None
    volume: int = 80
    """Percent of full amplitude, 0 to 100."""
    tags: tuple[str, ...] = ()
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """A choice of clusters: some zones with all below them, some single clusters, without the excluded.

    ``excluded`` holds ids of zones (each with all below it) and of clusters. It wins over both others:
    who is told to stay silent stays silent.
    """

    zones: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


class ZoneTree:
    """The zones as they lie in each other; built once, never changed. There may be several roots.

    Raises:
        ZoneError: ``unknown_parent`` or ``zone_cycle``; bad definitions.
        ValueError: Two zones share an id. A caller's mistake: stores keep ids unique.
    """

    __slots__ = ("_children", "_parents")

    def __init__(self, zones: Iterable[Zone]) -> None:
        self._parents: dict[str, str | None] = {}
        self._children: dict[str, list[str]] = {}
        for zone in zones:
            if zone.id in self._parents:
                raise ValueError(f"two zones have the id {zone.id!r}")
            self._parents[zone.id] = zone.parent
            self._children[zone.id] = []
        self._adopt()
        self._refuse_cycles()

    def __contains__(self, zone_id: str) -> bool:
        return zone_id in self._parents

    def __iter__(self) -> Iterator[str]:
        return iter(self._parents)

    def __len__(self) -> int:
        return len(self._parents)

    def path(self, zone_id: str) -> tuple[str, ...]:
        """Return the zone, its parent, and so on up to its root.

        Raises:
            ZoneError: ``unknown_zone``.
        """
        self._require(zone_id)
        path = [zone_id]
        while (parent := self._parents[path[-1]]) is not None:
            path.append(parent)
        return tuple(path)

    def below(self, zone_id: str) -> frozenset[str]:
        """Return the zone and everything under it.

        Raises:
            ZoneError: ``unknown_zone``.
        """
        self._require(zone_id)
        found = [zone_id]
        for zone in found:  # grows while it is read: breadth first, without recursion
            found.extend(self._children[zone])
        return frozenset(found)

    def _require(self, zone_id: str) -> None:
        if zone_id not in self._parents:
            raise ZoneError(
                "unknown_zone",
                f"There is no zone {zone_id!r}; choose one that exists or add it first.",
                zone=zone_id,
            )

    def _adopt(self) -> None:
        for zone, parent in self._parents.items():
            if parent is None:
                continue
            if parent not in self._parents:
                raise ZoneError(
                    "unknown_parent",
                    f"Zone {zone!r} lies in {parent!r}, which does not exist; add the parent first.",
                    zone=zone,
                    parent=parent,
                )
            self._children[parent].append(zone)

    def _refuse_cycles(self) -> None:
        rooted: set[str] = set()
        for zone in self._parents:
            climbed: dict[str, None] = {}
            at: str | None = zone
            while at is not None and at not in rooted:
                if at in climbed:
                    raise _cycle([*climbed][[*climbed].index(at) :])
                climbed[at] = None
                at = self._parents[at]
            rooted.update(climbed)


def _cycle(zones: list[str]) -> ZoneError:
    circle = " in ".join(repr(zone) for zone in [*zones, zones[0]])
    return ZoneError(
        "zone_cycle", f"Zones lie in a circle: {circle}; give one of them a parent outside it.", zones=zones
    )


def reach(targets: Targets, tree: ZoneTree, clusters: Iterable[Cluster], *, missing_ok: bool = False) -> frozenset[str]:
    """Return the ids of the clusters that ``targets`` means.

    With ``missing_ok`` an id that no longer exists reaches nothing and silences nothing: for plans, where a
    zone taken out of one old programme must not stop all others.

    Raises:
        ZoneError: ``unknown_zone`` or ``unknown_cluster`` (also for an excluded id that is neither).
    """
    clusters = tuple(clusters)
    if not missing_ok:
        _refuse_unknown(targets, tree, frozenset(cluster.id for cluster in clusters))
    spoken, silent = _under(targets.zones, tree), _under(targets.excluded, tree)
    named, excluded = frozenset(targets.clusters), frozenset(targets.excluded)
    return frozenset(
        cluster.id
        for cluster in clusters
        if (cluster.zone in spoken or cluster.id in named) and cluster.zone not in silent and cluster.id not in excluded
    )


def _under(zone_ids: Iterable[str], tree: ZoneTree) -> frozenset[str]:
    return frozenset[str]().union(*(tree.below(zone) for zone in zone_ids if zone in tree))


def _refuse_unknown(targets: Targets, tree: ZoneTree, cluster_ids: frozenset[str]) -> None:
    for zone in targets.zones:
        tree.path(zone)
    for name in targets.clusters:
        if name not in cluster_ids:
            raise ZoneError("unknown_cluster", f"There is no cluster {name!r}; choose one that exists.", cluster=name)
    for name in targets.excluded:
        if name not in cluster_ids and name not in tree:
            raise ZoneError(
                "unknown_cluster",
                f"{name!r} is to stay silent, but is no zone or cluster; correct it or leave it out.",
                cluster=name,
            )
