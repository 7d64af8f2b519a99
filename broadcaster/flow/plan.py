"""What every cluster will say: the facts of the store and a time, given to the core."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from broadcaster.config import Settings
from broadcaster.errors import Refusal
from broadcaster.store.port import Definitions
from schedules.plan import Plan, plan
from schedules.timeline import Slot, sounding_at
from schedules.zones import Targets, ZoneTree, reach

LONGEST_WINDOW = timedelta(days=31)
"""Longest time that one question about timelines may span."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """``[start, end)``, aware instants."""

    start: datetime
    end: datetime


def playlist_window(settings: Settings, now: datetime) -> Window:
    """Return what a playlist covers at ``now``: from last local midnight to the midnight after the horizon.

    It moves once a day, so that a playlist does not change, and cost 4G, because time passes.
    """
    zone = settings.station.zone
    today = now.astimezone(zone).date()
    return Window(
        start=_midnight(today, zone),
        end=_midnight(today + timedelta(days=settings.plan.horizon_days + 1), zone),
    )


def plans(
    definitions: Definitions, settings: Settings, window: Window, *, only: Collection[str] | None = None
) -> dict[str, Plan]:
    """Return the plan of every cluster, or of ``only`` some, in ``window``.

    Raises:
        Refusal: ``window_too_long``.
    """
    if window.end - window.start > LONGEST_WINDOW + timedelta(days=2):
        raise Refusal(
            "window_too_long",
            f"A timeline is shown for at most {LONGEST_WINDOW.days} days at a time; choose a shorter time.",
            days=LONGEST_WINDOW.days,
        )
    return plan(
        definitions.programmes.all(),
        [cluster for cluster in definitions.clusters.all() if only is None or cluster.id in only],
        ZoneTree(definitions.zones.all()),
        start=window.start,
        end=window.end,
        zone=settings.station.zone,
        most_move=timedelta(minutes=settings.plan.most_move_minutes),
    )


def reached(targets: Targets, definitions: Definitions) -> frozenset[str]:
    """Return the clusters that ``targets`` means.

    Raises:
        ZoneError: ``unknown_zone`` or ``unknown_cluster``.
    """
    return reach(targets, ZoneTree(definitions.zones.all()), definitions.clusters.all())


def airing(definitions: Definitions, settings: Settings, now: datetime) -> Mapping[str, Slot | None]:
    """Return what each cluster is to say at ``now``: the same question that its box asks."""
    window = Window(start=now - timedelta(seconds=1), end=now + timedelta(seconds=1))
    return {
        cluster: sounding_at(found.timeline, now) for cluster, found in plans(definitions, settings, window).items()
    }


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
