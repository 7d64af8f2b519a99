"""What every cluster will say: the facts of the store and a time, given to the core."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from threading import Lock
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from broadcaster.config import Settings
from broadcaster.errors import Refusal
from broadcaster.store.port import Definitions
from schedules.days import DayType
from schedules.plan import Effect, Plan
from schedules.plans import Facts, Plans
from schedules.programmes import Programme
from schedules.timeline import Slot, sounding_at
from schedules.verdicts import Decision
from schedules.zones import Cluster, Places, Targets, Zone

R = TypeVar("R", covariant=True)

LONGEST_WINDOW = timedelta(days=31)
"""Longest time that one question about timelines may span."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """``[start, end)``, aware instants."""

    start: datetime
    end: datetime


class Records(Protocol[R]):
    """What can be read through."""

    def all(self) -> Sequence[R]:
        """Return every record; the same sequence while nothing has changed."""
        ...


class Planned(Protocol):
    """The definitions that plans are made of."""

    @property
    def programmes(self) -> Records[Programme]:
        """Who asks for the air."""
        ...

    @property
    def zones(self) -> Records[Zone]:
        """With their rules and holds."""
        ...

    @property
    def clusters(self) -> Records[Cluster]:
        """Who is planned for."""
        ...

    @property
    def day_types(self) -> Records[DayType]:
        """What recurrences name."""
        ...

    @property
    def decisions(self) -> Records[Decision]:
        """What officials said on clashes."""
        ...


class Board:
    """The plans of the time that playlists cover, kept equal to the store: whoever asks, asks the same plans.

    Safe from any thread. A question costs what has changed since the last one; the first of a local day, and
    one about another time, costs a whole plan.
    """

    def __init__(self, definitions: Planned, settings: Settings) -> None:
        self._definitions = definitions
        self._settings = settings
        self._lock = Lock()
        self._plans: Plans | None = None
        self._changed: set[str] = set()

    def changes(self, now: datetime) -> dict[str, Plan]:
        """Return the plans that are new or changed since the last call: for the one that publishes them."""
        with self._lock:
            plans = self._current(now)
            changed, self._changed = self._changed, set()
            return {cluster: plans[cluster] for cluster in changed if cluster in plans}

    def plans(self, now: datetime, *, only: Collection[str] | None = None) -> dict[str, Plan]:
        """Return the plan of every cluster, or of ``only`` some, for the time that playlists cover at ``now``."""
        with self._lock:
            return _some(self._current(now), only)

    def within(self, window: Window, now: datetime, *, only: Collection[str] | None = None) -> dict[str, Plan]:
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
        with self._lock:
            plans = self._current(now)
            if plans.start <= window.start and window.end <= plans.end:
                found = _some(plans, only)
                parts = {id(plan): plan.within(window.start, window.end) for plan in found.values()}
                return {cluster: parts[id(plan)] for cluster, plan in found.items()}
        other = self._fresh(window)
        other.update(self._facts(only))
        return _some(other, only)

    def airing(self, now: datetime) -> Mapping[str, Slot | None]:
        """Return what each cluster is to say at ``now``: the same question that its box asks."""
        return {cluster: sounding_at(plan.timeline, now) for cluster, plan in self.plans(now).items()}

    def preview(self, programme: Programme, now: datetime) -> tuple[Effect, ...]:
        """Return what ``programme``, approved as if, would change within the time that playlists cover."""
        with self._lock:
            return self._current(now).preview(programme)

    def _current(self, now: datetime) -> Plans:
        window = playlist_window(self._settings, now)
        if self._plans is None or (self._plans.start, self._plans.end) != (window.start, window.end):
            self._plans = self._fresh(window)
        try:
            self._changed |= self._plans.update(self._facts())
        except BaseException:
            self._plans = None  # half of a change may have been taken: it is computed anew
            raise
        return self._plans

    def _fresh(self, window: Window) -> Plans:
        settings = self._settings
        return Plans(start=window.start, end=window.end, zone=settings.station.zone, policy=settings.policy)

    def _facts(self, only: Collection[str] | None = None) -> Facts:
        definitions = self._definitions
        clusters = definitions.clusters.all()
        return Facts(
            programmes=definitions.programmes.all(),
            zones=definitions.zones.all(),
            clusters=clusters if only is None else [cluster for cluster in clusters if cluster.id in only],
            day_types=definitions.day_types.all(),
            decisions=definitions.decisions.all(),
        )


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


def alike(plans: Mapping[str, Plan]) -> list[tuple[Plan, list[str]]]:
    """Return each plan once, with the clusters that share it."""
    found: dict[int, tuple[Plan, list[str]]] = {}
    for cluster, plan in plans.items():
        found.setdefault(id(plan), (plan, []))[1].append(cluster)
    return list(found.values())


def reached(targets: Targets, definitions: Definitions) -> frozenset[str]:
    """Return the clusters that ``targets`` means.

    Raises:
        ZoneError: ``unknown_zone``, ``unknown_cluster`` or ``unknown_tag``.
    """
    places = Places(definitions.zones.all(), definitions.clusters.all())
    places.refuse_unknown(targets)
    return places.reached(targets)


def _some(plans: Plans, only: Collection[str] | None) -> dict[str, Plan]:
    wanted = None if only is None else frozenset(only)
    return {cluster: plans[cluster] for cluster in plans if wanted is None or cluster in wanted}


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
