"""The timeline: what sounds when and why; and what sounds now. The same functions that the boxes ask."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from pydantic import BaseModel

from broadcaster.api.context import Context, House, Language, Now, SignedIn
from broadcaster.api.instants import Instant
from broadcaster.errors import Refusal
from broadcaster.flow import plan
from devices.registry import Health, health
from schedules.levels import Level, Side
from schedules.plan import Plan
from schedules.rules import InForce, highest_volume
from schedules.sentences.explaining import explain
from schedules.timeline import Slot
from schedules.verdicts import Outcome, Verdict
from schedules.zones import Targets

router = APIRouter(tags=["timeline"])

_DEFAULT = timedelta(days=1)


class SlotView(BaseModel):
    """What is heard in `[start, end)`."""

    id: str
    programme: str
    title: str
    level: int
    start: datetime
    end: datetime
    volume: int | None = None
    """Percent of full amplitude, in timelines and previews; absent where it is the cluster's own volume."""
    latest_end: datetime | None = None
    """Until when it may sound on boxes that could not begin it on time and play it whole; absent: until `end`."""


class QuestionView(BaseModel):
    """Two priority bulletins that clash: `POST /decisions` says which goes first, before `decide_by`."""

    above: str
    ours: str
    decide_by: datetime
    default: Side
    """Which goes first if nobody says."""


class VerdictView(BaseModel):
    """What became of an occurrence that is not heard as it was meant to be, or that passes a local rule."""

    occurrence: str
    title: str
    wanted: datetime
    outcome: str
    code: str
    """Why, as a stable word."""
    sentence: str
    """Why, for people."""
    start: datetime | None = None
    end: datetime | None = None
    by: str | None = None
    passes: list[str] = []
    """The local rules that it may break, because it is an emergency."""
    questions: list[QuestionView] = []


class ClusterTimeline(BaseModel):
    """One cluster's slots by start, and what did not come as meant."""

    cluster: str
    slots: list[SlotView]
    changes: list[VerdictView]


class TimelineView(BaseModel):
    """The timelines of the clusters asked for."""

    start: datetime
    end: datetime
    clusters: list[ClusterTimeline]


class AiringView(BaseModel):
    """What a cluster should be saying, and what its box says of itself. Absent is unknown."""

    cluster: str
    slot: SlotView | None = None
    box: str | None = None
    health: Health | None = None
    playing: str | None = None
    reported_at: datetime | None = None


class NowView(BaseModel):
    """What sounds at `at`."""

    at: datetime
    clusters: list[AiringView]


def show_slot(slot: Slot, volume: int | None = None) -> SlotView:
    """Return a slot as the API tells it, with its ``volume`` where a local rule lowers it."""
    return SlotView(
        id=slot.id,
        programme=slot.id.partition("@")[0],
        title=slot.title,
        level=int(slot.level),
        start=slot.start,
        end=slot.end,
        volume=volume,
        latest_end=slot.latest_end if slot.latest_end > slot.end else None,
    )


def lowered(slot: Slot, volume: int, in_force: InForce) -> int | None:
    """Return how loud, in percent, a cluster of that ``volume`` says the slot; None: as loud as all else."""
    if slot.level is Level.EMERGENCY:
        return None
    highest = highest_volume(slot.start, slot.end, in_force)
    return highest if highest < volume else None


def asked_window(begin: datetime | None, end: datetime | None, now: datetime) -> plan.Window:
    """Return the window that is asked for; a day from now where nothing is said.

    Raises:
        Refusal: ``bad_window``: it ends before it begins.
    """
    start = begin or now
    window = plan.Window(start=start, end=end or start + _DEFAULT)
    if window.end <= window.start:
        raise Refusal("bad_window", "The time asked for ends before it begins; give a later 'to'.")
    return window


From = Annotated[Instant | None, Query(alias="from", description="RFC 3339; default: now.")]
To = Annotated[Instant | None, Query(description="RFC 3339; default: a day after `from`.")]


@router.get("/timeline", response_model_exclude_none=True)
def timeline(
    house: House,
    _by: SignedIn,
    language: Language,
    now: Now,
    zone: str | None = None,
    cluster: str | None = None,
    begin: From = None,
    to: To = None,
) -> TimelineView:
    """Return what sounds when, for a zone with all below it, for one cluster, or for all."""
    window = asked_window(begin, to, now)
    found = house.board.within(window, now, only=_chosen(house, zone, cluster))
    volumes = {each.id: each.volume for each in house.store.definitions.clusters.all()}
    shown = show_plans(found, volumes, language, house.settings.station.zone, now)
    return TimelineView(start=window.start, end=window.end, clusters=shown)


@router.get("/airing", response_model_exclude_none=True)
def airing(house: House, _by: SignedIn, now: Now) -> NowView:
    """Return what sounds now: by plan, and as the boxes report it."""
    boxes = {box.cluster: box for box in house.store.definitions.boxes.all() if box.retired_at is None}
    statuses = house.store.journal.statuses()
    shown = []
    for cluster, slot in house.board.airing(now).items():
        box = boxes.get(cluster)
        last = statuses.get(box.id) if box else None
        shown.append(
            AiringView(
                cluster=cluster,
                slot=show_slot(slot) if slot else None,
                box=box.id if box else None,
                health=health(last, now, line_since=house.line_since()) if box else None,
                playing=last[1].playing if last else None,
                reported_at=last[1].at if last else None,
            )
        )
    return NowView(at=now, clusters=shown)


def _chosen(house: Context, zone: str | None, cluster: str | None) -> frozenset[str] | None:
    if zone is None and cluster is None:
        return None
    targets = Targets(zones=(zone,) if zone else (), clusters=(cluster,) if cluster else ())
    return plan.reached(targets, house.store.definitions)


def show_plans(
    plans: Mapping[str, Plan], volumes: Mapping[str, int], language: str, zone: ZoneInfo, now: datetime
) -> list[ClusterTimeline]:
    """Return what the clusters say as the API tells it, in the order in which they are given.

    Args:
        plans: By cluster.
        volumes: Each cluster's own, in percent.
        language: ``vi`` or ``en``, of the sentences.
        zone: Whose local times they tell.
        now: When it is asked.
    """
    shown: dict[str, ClusterTimeline] = {}
    for found, clusters in plan.alike(plans):
        titles = {each.occurrence.programme: each.occurrence.title for each in found.verdicts}
        said = [each.as_of(now) for each in found.verdicts]
        changes = [
            _show_verdict(each, language, zone, titles)
            for each in said
            if each.outcome is not Outcome.KEPT or each.passes
        ]
        own = {cluster: volumes.get(cluster, 0) for cluster in clusters}  # 0: it was removed meanwhile
        by_volume = {
            volume: ClusterTimeline(
                cluster="",
                slots=[show_slot(slot, lowered(slot, volume, found.rules)) for slot in found.timeline.slots],
                changes=changes,
            )
            for volume in set(own.values())
        }
        shown.update(
            (cluster, by_volume[volume].model_copy(update={"cluster": cluster})) for cluster, volume in own.items()
        )
    return [shown[cluster] for cluster in plans]


def _show_verdict(verdict: Verdict, language: str, zone: ZoneInfo, titles: Mapping[str, str]) -> VerdictView:
    return VerdictView(
        occurrence=verdict.occurrence.id,
        title=verdict.occurrence.title,
        wanted=verdict.occurrence.start,
        outcome=verdict.outcome.value,
        code=verdict.code,
        sentence=explain(verdict, language, zone, titles),
        start=verdict.start,
        end=verdict.end,
        by=verdict.by,
        passes=[rule.value for rule in verdict.passes],
        questions=[
            QuestionView(above=each.above, ours=each.ours, decide_by=each.decide_by, default=each.default)
            for each in verdict.questions
        ],
    )
