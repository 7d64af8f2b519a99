"""Where there are loudspeakers, and where they are held silent: the zones, and the clusters in them."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from broadcaster.errors import Refusal
from broadcaster.store.port import AlreadyExists, Collection, NotFound
from broadcaster.store.records import Official
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup
from schedules.programmes import Programme
from schedules.rules import Hold
from schedules.zones import Cluster, Zone, ZoneTree

LONGEST_HOLD: Final = timedelta(days=60)
"""An exam season. A zone that is silent for longer has rules, or no loudspeakers."""
MOST_HOLDS: Final = 50
"""Holds that a zone may have which are not over."""
_KEPT: Final = timedelta(days=32)
"""How long a hold that is over stays with its zone: reports of the last 31 days have to know why nothing was heard."""
_REPLAN = (Wakeup.PLAN,)


class HoldRefusal(Refusal):
    """A hold that cannot be. Fields of ``bad_hold``: ``days``, the most; of ``too_many_holds``: ``most``."""

    codes = frozenset({"bad_hold", "too_many_holds"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldAsked:
    """A zone is to be silent: ``kind`` is a word of ``Hold``; ``start`` None is now."""

    kind: str
    reason: str
    start: datetime | None
    end: datetime


def add_zone(zone: Zone, *, by: Official, store: Store, now: datetime) -> Zone:
    """Add a zone under an existing one, or as a root.

    Raises:
        ZoneError: ``unknown_parent``.
        AlreadyExists: the id is taken, by a zone or a cluster.
    """
    with store.transaction():
        _refuse_taken(zone.id, "clusters", store.definitions.clusters)
        added = store.definitions.zones.add(zone)
        ZoneTree(store.definitions.zones.all())
        store.record("zone.added", zone.id, by=by.id, at=now, name=zone.name, parent=zone.parent, wake=_REPLAN)
    return added


def change_zone(id: str, changes: dict[str, Any], *, revision: int, by: Official, store: Store, now: datetime) -> Zone:
    """Change a zone's name, kind, parent, area or rules; its clusters follow it to the new parent.

    Raises:
        NotFound, RevisionConflict: no such zone, or it changed since it was read.
        ZoneError: ``unknown_parent`` or ``zone_cycle``.
    """
    with store.transaction():
        change = _with(changes)
        changed = store.definitions.zones.change(
            id, lambda zone: _swept(_remembering(zone, change(zone), now), now), expected=revision
        )
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
        refuse_if_used(
            id,
            [zone.id for zone in definitions.zones.all() if zone.parent == id]
            + [cluster.id for cluster in definitions.clusters.all() if cluster.zone == id]
            + _programmes_for(id, definitions.programmes.all()),
        )
        store.record("zone.removed", id, by=by.id, at=now, wake=_REPLAN)


def place_hold(zone: str, asked: HoldAsked, *, by: Official, store: Store, now: datetime) -> Hold:
    """Hold a zone, and all below it, silent. It begins now at the earliest: what was heard was heard.

    Raises:
        NotFound: no such zone.
        HoldRefusal: ``bad_hold``: it ends before it begins, is over, or lasts too long; ``too_many_holds``.
    """
    start = now if asked.start is None else max(asked.start, now)
    if not start < asked.end <= start + LONGEST_HOLD:
        raise HoldRefusal(
            "bad_hold",
            f"A hold ends after it begins and after now, and at most {LONGEST_HOLD.days} days later; this one is "
            f"from {start.isoformat(timespec='seconds')} to {asked.end.isoformat(timespec='seconds')}. "
            "Give another end.",
            days=LONGEST_HOLD.days,
        )
    hold = Hold(
        id=secrets.token_hex(4),
        kind=asked.kind,
        reason=asked.reason,
        start=start,
        end=asked.end,
        by=by.id,
        placed_at=now,
    )
    with store.transaction():
        held = store.definitions.zones.change(zone, lambda old: _swept(replace(old, holds=(*old.holds, hold)), now))
        if sum(each.end > now and each.lifted_at is None for each in held.holds) > MOST_HOLDS:
            raise HoldRefusal(
                "too_many_holds",
                f"Zone {zone} has {MOST_HOLDS} holds that are not over; lift one of them first.",
                most=MOST_HOLDS,
            )
        store.record(
            "hold.placed",
            zone,
            by=by.id,
            at=now,
            hold=hold.id,
            hold_kind=hold.kind,
            reason=hold.reason,
            start=hold.start.isoformat(),
            end=hold.end.isoformat(),
            wake=_REPLAN,
        )
    return hold


def lift_hold(zone: str, hold: str, *, by: Official, store: Store, now: datetime) -> None:
    """End a hold now; one that has not begun never does.

    Raises:
        NotFound: no such zone, or it has no such hold that is not over.
    """

    def lifted(old: Zone) -> Zone:
        if not any(each.id == hold and each.end > now and each.lifted_at is None for each in old.holds):
            raise NotFound(f"Zone {zone} has no hold {hold!r} that is not over.", collection="holds", id=hold)
        lifted = tuple(replace(each, lifted_at=now) if each.id == hold else each for each in old.holds)
        return _swept(replace(old, holds=lifted), now)

    with store.transaction():
        store.definitions.zones.change(zone, lifted)
        store.record("hold.lifted", zone, by=by.id, at=now, hold=hold, wake=_REPLAN)


def add_cluster(cluster: Cluster, *, by: Official, store: Store, now: datetime) -> Cluster:
    """Add a cluster in an existing zone.

    Raises:
        ZoneError: ``unknown_zone``.
        AlreadyExists: the id is taken, by a cluster or a zone.
    """
    with store.transaction():
        _refuse_taken(cluster.id, "zones", store.definitions.zones)
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
        refuse_if_used(
            id,
            [box.id for box in definitions.boxes.all() if box.cluster == id and box.retired_at is None]
            + _programmes_for(id, definitions.programmes.all()),
        )
        store.record("cluster.removed", id, by=by.id, at=now, wake=_REPLAN)


def _remembering(before: Zone, after: Zone, now: datetime) -> Zone:
    """Return the zone as it is after a change, with the rules that it had: what was heard by them stays so."""
    if after.rules == before.rules:
        return after
    return replace(after, earlier_rules=(*before.earlier_rules, (now, before.rules)))


def _swept(zone: Zone, now: datetime) -> Zone:
    """Return the zone by start of its holds, without those, and the rules, that nobody asks about any more."""
    holds = sorted((hold for hold in zone.holds if hold.end > now - _KEPT), key=lambda hold: (hold.start, hold.id))
    earlier = tuple((until, rules) for until, rules in zone.earlier_rules if until > now - _KEPT)
    return replace(zone, holds=tuple(holds), earlier_rules=earlier)


def _refuse_taken(id: str, collection: str, records: Collection[Zone] | Collection[Cluster]) -> None:
    """Do nothing if no record of the other noun has the id: what targets except is named without its noun."""
    if records.find(id) is not None:
        raise AlreadyExists(
            f"{id!r} is the id of one of the {collection}, and zones and clusters share their ids; choose another one.",
            collection=collection,
            id=id,
        )


def _with(changes: dict[str, Any]) -> Callable[[Any], Any]:
    return lambda record: replace(record, **changes)


def _programmes_for(id: str, programmes: Iterable[Programme]) -> list[str]:
    return [
        programme.id
        for programme in programmes
        if programme.withdrawn_at is None and id in (*programme.targets.zones, *programme.targets.clusters)
    ]


def refuse_if_used(id: str, users: list[str]) -> None:
    """Do nothing if nothing uses what is to be removed.

    Raises:
        Refusal: ``in_use``, with the first of ``users``.
    """
    if users:
        named = ", ".join(users[:5]) + (" …" if len(users) > 5 else "")
        raise Refusal(
            "in_use",
            f"{id!r} is still in use by {named}; move, retire or withdraw these first.",
            id=id,
            users=users[:5],
        )
