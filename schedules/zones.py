"""The zone tree, the clusters in it, and which of them a choice of zones reaches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from schedules.errors import DomainError
from schedules.rules import Hold, InForce, LocalRules, combine

__all__ = ["Cluster", "Location", "Places", "Targets", "Zone", "ZoneError", "ZoneTree"]


class ZoneError(DomainError):
    """A zone or cluster is named that does not exist, or zones lie in a circle.

    ``unknown_zone`` has the field ``zone``; ``unknown_cluster`` has ``cluster``; ``unknown_tag`` has ``tag``;
    ``unknown_parent`` has ``zone`` and ``parent``; ``zone_cycle`` has ``zones``, the circle in order.
    """

    codes = frozenset({"unknown_zone", "unknown_cluster", "unknown_tag", "unknown_parent", "zone_cycle"})


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
    rules: LocalRules | None = None
    """What binds it and all below it, beside what the zones above it say; None: nothing of its own."""
    holds: tuple[Hold, ...] = ()
    """When it and all below it is held silent; those that are over may be among them."""
    earlier_rules: tuple[tuple[datetime, LocalRules | None], ...] = ()
    """What ``rules`` was before, each until an instant, oldest first: what was heard by it stays as it was."""
    revision: int = 1

    def rules_before(self, t: datetime) -> LocalRules | None:
        """Return what ``rules`` was just before ``t``."""
        return next((before for until, before in self.earlier_rules if t <= until), self.rules)


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
    """A choice of clusters: zones with all below them, single clusters and tags, without the excluded.

    ``excluded`` holds ids of zones (each with all below it) and of clusters, ``excluded_tags`` tags. They win
    over all others: who is told to stay silent stays silent.
    """

    zones: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Every cluster that carries one of them, wherever it stands."""
    excluded: tuple[str, ...] = ()
    excluded_tags: tuple[str, ...] = ()


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


class Places:
    """Zones and clusters as they lie, looked up by what targets name; built once, never changed.

    A cluster whose zone does not exist lies nowhere: only its id and its tags reach it.
    """

    __slots__ = ("_by_tag", "_by_zone", "_zones", "clusters", "tree")

    def __init__(self, zones: Iterable[Zone], clusters: Iterable[Cluster]) -> None:
        self._zones = {zone.id: zone for zone in zones}
        self.tree = ZoneTree(self._zones.values())
        self.clusters: dict[str, Cluster] = {cluster.id: cluster for cluster in clusters}
        self._by_zone: dict[str, list[str]] = {}
        self._by_tag: dict[str, list[str]] = {}
        for cluster in self.clusters.values():
            self._by_zone.setdefault(cluster.zone, []).append(cluster.id)
            for tag in cluster.tags:
                self._by_tag.setdefault(tag, []).append(cluster.id)

    def reached(self, targets: Targets) -> frozenset[str]:
        """Return the ids of the clusters that ``targets`` means; cost grows with their number, not with all.

        An id or tag that does not exist reaches nothing and silences nothing: a zone taken out of one old
        programme must not stop all others. ``refuse_unknown`` is for programmes that come in.
        """
        reached = self._named(targets.zones, targets.clusters, targets.tags)
        return frozenset(reached - self._named(targets.excluded, targets.excluded, targets.excluded_tags))

    def in_force(self, zone: str, clocks: ZoneInfo) -> InForce:
        """Return what the clusters of ``zone`` must keep: its rules and holds and those of every zone above.

        A zone that does not exist has none.

        Args:
            zone: Id of a zone.
            clocks: Where the commune's clocks are set.
        """
        path = [self._zones[id] for id in self.tree.path(zone)] if zone in self.tree else []
        holds = sorted((hold for each in path for hold in each.holds), key=lambda hold: (hold.start, hold.id))
        changes = sorted({until for each in path for until, _ in each.earlier_rules})
        return InForce(
            zone=clocks,
            rules=combine(each.rules for each in path if each.rules),
            holds=tuple(holds),
            earlier=tuple((t, combine(rules for each in path if (rules := each.rules_before(t)))) for t in changes),
        )

    def refuse_unknown(self, targets: Targets) -> None:
        """Do nothing if all that ``targets`` names exists.

        Raises:
            ZoneError: ``unknown_zone``, ``unknown_cluster`` (also for an excluded id that is neither) or
                ``unknown_tag``.
        """
        for zone in targets.zones:
            self.tree.path(zone)
        for name in targets.clusters:
            if name not in self.clusters:
                raise ZoneError(
                    "unknown_cluster", f"There is no cluster {name!r}; choose one that exists.", cluster=name
                )
        for name in targets.excluded:
            if name not in self.clusters and name not in self.tree:
                raise ZoneError(
                    "unknown_cluster",
                    f"{name!r} is to stay silent, but is no zone or cluster; correct it or leave it out.",
                    cluster=name,
                )
        for tag in (*targets.tags, *targets.excluded_tags):
            if tag not in self._by_tag:
                raise ZoneError("unknown_tag", f"No cluster carries the tag {tag!r}; choose one that is used.", tag=tag)

    def _named(self, zones: Iterable[str], clusters: Iterable[str], tags: Iterable[str]) -> set[str]:
        named = {cluster for cluster in clusters if cluster in self.clusters}
        for zone in zones:
            if zone in self.tree:
                for below in self.tree.below(zone):
                    named.update(self._by_zone.get(below, ()))
        for tag in tags:
            named.update(self._by_tag.get(tag, ()))
        return named
