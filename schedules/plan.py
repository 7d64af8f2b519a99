"""From programmes and clusters to what each cluster will say: the whole core in one call."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from schedules.arbitration import Verdict, arbitrate
from schedules.instants import require_aware
from schedules.programmes import Occurrence, Programme, occurrences
from schedules.timeline import Timeline, build
from schedules.zones import Cluster, Targets, ZoneTree, reach

__all__ = ["MARGIN", "Plan", "plan"]

MARGIN: Final = timedelta(days=1)
"""How far outside the window occurrences are looked at.

An occurrence before the window may be moved into it, and one after it may outrank one inside. What a cluster
says at an instant is the same in every window that holds it, provided that no chain of occurrences that could
touch each other is a day long; a day of talk without a pause breaks other things first.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one cluster will say, and what became of everything that asked for its air."""

    timeline: Timeline
    verdicts: tuple[Verdict, ...]
    """Of the occurrences that ask for the window or sound in it, by the start that they asked for."""


def plan(
    programmes: Iterable[Programme],
    clusters: Iterable[Cluster],
    tree: ZoneTree,
    *,
    start: datetime,
    end: datetime,
    zone: ZoneInfo,
    most_move: timedelta,
) -> dict[str, Plan]:
    """Return the plan of every cluster for ``[start, end)``, silent ones too.

    Each programme is expanded once, and clusters that are to hear the same programmes share one arbitration:
    cost grows with the number of different plans, not of clusters. A target that no longer exists reaches
    nothing; it does not stop the others.

    Args:
        programmes: In any state; those that are not approved, or are withdrawn, ask for no air.
        clusters: All that want a plan.
        tree: The zones that they lie in.
        start: Aware instant.
        end: Aware instant, after ``start``.
        zone: Where the commune's clocks are set.
        most_move: How much later than meant an occurrence may start.

    Raises:
        ValueError: An instant is naive or the window empty. A caller's mistake.
        RecurrenceError: A recurrence was stored without ``recurrence.check``.
    """
    require_aware(start, end)
    clusters = tuple(clusters)
    wanted = _wanted(programmes, clusters, tree, start=start, end=end, zone=zone)
    plans: dict[str, Plan] = {}
    for numbers, cluster_ids in _alike(clusters, [reached for _, reached in wanted]).items():
        asked = [occurrence for number in numbers for occurrence in wanted[number][0]]
        shared = _plan(asked, start, end, most_move)
        for cluster_id in cluster_ids:
            plans[cluster_id] = replace(shared, timeline=replace(shared.timeline, cluster=cluster_id))
    return plans


def _wanted(
    programmes: Iterable[Programme],
    clusters: tuple[Cluster, ...],
    tree: ZoneTree,
    *,
    start: datetime,
    end: datetime,
    zone: ZoneInfo,
) -> list[tuple[tuple[Occurrence, ...], frozenset[str]]]:
    """Return the occurrences of each programme that has any, with the clusters that are to hear them."""
    reached: dict[Targets, frozenset[str]] = {}
    wanted = []
    for programme in programmes:
        times = tuple(occurrences(programme, start - MARGIN, end + MARGIN, zone))
        if not times:
            continue
        if programme.targets not in reached:
            reached[programme.targets] = reach(programme.targets, tree, clusters, missing_ok=True)
        wanted.append((times, reached[programme.targets]))
    return wanted


def _alike(clusters: Iterable[Cluster], reached: Iterable[frozenset[str]]) -> dict[tuple[int, ...], list[str]]:
    """Return the clusters by what they are to hear: the places in ``reached`` of the sets that hold them."""
    hearing: dict[str, list[int]] = {cluster.id: [] for cluster in clusters}
    for number, cluster_ids in enumerate(reached):
        for cluster_id in cluster_ids:
            hearing[cluster_id].append(number)
    alike: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
    for cluster_id, numbers in hearing.items():
        alike[tuple(numbers)].append(cluster_id)
    return alike


def _plan(asked: Iterable[Occurrence], start: datetime, end: datetime, most_move: timedelta) -> Plan:
    verdicts = arbitrate(asked, most_move=most_move)
    return Plan(
        timeline=build("", verdicts, start, end),
        verdicts=tuple(verdict for verdict in verdicts if _concerns(verdict, start, end)),
    )


def _concerns(verdict: Verdict, start: datetime, end: datetime) -> bool:
    asked = verdict.occurrence.start < end and verdict.occurrence.end > start
    return asked or (
        verdict.start is not None and verdict.end is not None and verdict.start < end and verdict.end > start
    )
