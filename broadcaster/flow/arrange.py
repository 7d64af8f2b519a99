"""Where there are loudspeakers: the zones, and the clusters in them."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from broadcaster.errors import Refusal
from broadcaster.store.records import Official
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup
from schedules.programmes import Programme
from schedules.zones import Cluster, Zone, ZoneTree

_REPLAN = (Wakeup.PLAN,)


def add_zone(zone: Zone, *, by: Official, store: Store, now: datetime) -> Zone:
    """Add a zone under an existing one, or as a root.

    Raises:
        ZoneError: ``unknown_parent``.
        AlreadyExists: the id is taken.
    """
    with store.transaction():
        added = store.definitions.zones.add(zone)
        ZoneTree(store.definitions.zones.all())
        store.record("zone.added", zone.id, by=by.id, at=now, name=zone.name, parent=zone.parent, wake=_REPLAN)
    return added


def change_zone(id: str, changes: dict[str, Any], *, revision: int, by: Official, store: Store, now: datetime) -> Zone:
    """Change a zone's name, kind, parent or area; its clusters follow it to the new parent.

    Raises:
        NotFound, RevisionConflict: no such zone, or it changed since it was read.
        ZoneError: ``unknown_parent`` or ``zone_cycle``.
    """
    with store.transaction():
        changed = store.definitions.zones.change(id, _with(changes), expected=revision)
        ZoneTree(store.definitions.zones.all())
        store.record("zone.changed", id, by=by.id, at=now, changes=sorted(changes), wake=_REPLAN)
    return changed


def remove_zone(id: str, *, by: Official, store: Store, now: datetime) -> None:
    """Remove a zone that nothing lies in and no programme that still counts is for.

    Raises:
        NotFound: no such zone.
        Refusal: ``in_use``.
    """
    definitions = store.definitions
    with store.transaction():
        definitions.zones.remove(id)
        _refuse_if_used(
            id,
            [zone.id for zone in definitions.zones.all() if zone.parent == id]
            + [cluster.id for cluster in definitions.clusters.all() if cluster.zone == id]
            + _programmes_for(id, definitions.programmes.all()),
        )
        store.record("zone.removed", id, by=by.id, at=now, wake=_REPLAN)


def add_cluster(cluster: Cluster, *, by: Official, store: Store, now: datetime) -> Cluster:
    """Add a cluster in an existing zone.

    Raises:
        ZoneError: ``unknown_zone``.
        AlreadyExists: the id is taken.
    """
    with store.transaction():
        added = store.definitions.clusters.add(cluster)
        ZoneTree(store.definitions.zones.all()).path(cluster.zone)
        store.record("cluster.added", cluster.id, by=by.id, at=now, name=cluster.name, zone=cluster.zone, wake=_REPLAN)
    return added


def change_cluster(
    id: str, changes: dict[str, Any], *, revision: int, by: Official, store: Store, now: datetime
) -> Cluster:
    """Change a cluster's name, zone, location, volume or tags.

    Raises:
        NotFound, RevisionConflict: no such cluster, or it changed since it was read.
        ZoneError: ``unknown_zone``.
    """
    with store.transaction():
        changed = store.definitions.clusters.change(id, _with(changes), expected=revision)
        ZoneTree(store.definitions.zones.all()).path(changed.zone)
        store.record("cluster.changed", id, by=by.id, at=now, changes=sorted(changes), wake=_REPLAN)
    return changed


def remove_cluster(id: str, *, by: Official, store: Store, now: datetime) -> None:
    """Remove a cluster that no box serves and no programme that still counts names.

    Raises:
        NotFound: no such cluster.
        Refusal: ``in_use``.
    """
    definitions = store.definitions
    with store.transaction():
        definitions.clusters.remove(id)
        _refuse_if_used(
            id,
            [box.id for box in definitions.boxes.all() if box.cluster == id and box.retired_at is None]
            + _programmes_for(id, definitions.programmes.all()),
        )
        store.record("cluster.removed", id, by=by.id, at=now, wake=_REPLAN)


def _with(changes: dict[str, Any]) -> Callable[[Any], Any]:
    return lambda record: replace(record, **changes)


def _programmes_for(id: str, programmes: Iterable[Programme]) -> list[str]:
    return [
        programme.id
        for programme in programmes
        if programme.withdrawn_at is None and id in (*programme.targets.zones, *programme.targets.clusters)
    ]


def _refuse_if_used(id: str, users: list[str]) -> None:
    if users:
        named = ", ".join(users[:5]) + (" …" if len(users) > 5 else "")
        raise Refusal(
            "in_use",
            f"{id!r} is still in use by {named}; move, retire or withdraw these first.",
            id=id,
            users=users[:5],
        )
