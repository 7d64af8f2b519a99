"""Previews: what a programme would sound like, where, and what it would push aside, before anything is stored."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from pydantic import BaseModel

from broadcaster.api.context import House, Language, Now, SignedIn
from broadcaster.api.drafts import item, terms
from broadcaster.api.programmes import NewProgramme, next_start
from broadcaster.api.recurrences import says
from broadcaster.api.timeline import SlotView, lowered, show_slot
from broadcaster.flow import prepare, preview
from broadcaster.flow.plan import playlist_window
from schedules.plan import Effect
from schedules.sentences.explaining import explain
from schedules.timeline import Slot
from schedules.verdicts import Verdict
from schedules.zones import Places

router = APIRouter(tags=["programmes"])

T = TypeVar("T")
V = TypeVar("V")

_MOST: Final = 200
"""Entries of each list of a group; its counts are whole. An answer stays short whatever recurs every minute."""


class OutcomeView(BaseModel):
    """What would become of one occurrence, and why."""

    occurrence: str
    title: str
    outcome: str
    code: str
    """The reason as a stable word: of `schedules.verdicts`, or the local rule that stops it."""
    sentence: str
    wanted: datetime
    start: datetime | None = None
    end: datetime | None = None
    rule: str | None = None
    """The local rule that stops it, or forbids the time that it would be moved to."""


class ChangedSlot(BaseModel):
    """A slot as it is and as it would be."""

    before: SlotView
    after: SlotView


class Displaced(BaseModel):
    """An occurrence of another programme: what becomes of it as things are, and what would."""

    before: OutcomeView
    after: OutcomeView


class Counts(BaseModel):
    """How much there is of what; on each cluster of a group, or on all clusters together."""

    occurrences: int
    outcomes: dict[str, int]
    added: int
    removed: int
    changed: int
    displaced: int


class GroupView(BaseModel):
    """Clusters on which it would do the same. Lists hold at most 200 entries, the first; `counts` counts all.

    Where a local rule lowers the volume, slots tell that of the loudest of the clusters.
    """

    clusters: list[str]
    counts: Counts
    occurrences: list[OutcomeView]
    added: list[SlotView]
    removed: list[SlotView]
    changed: list[ChangedSlot]
    displaced: list[Displaced]


class Summary(Counts):
    """All clusters together: one occurrence on ten clusters counts ten."""

    clusters: int
    silent: int
    """Clusters that are reached and would hear nothing of it in this time."""


class PreviewView(BaseModel):
    """What a programme would do in `[start, end)`, the time that playlists cover. Nothing is stored."""

    says: str
    """The recurrence as a sentence."""
    duration_s: float
    estimated: bool
    """Whether a sound is not prepared yet, so that it may last longer or shorter."""
    start: datetime
    end: datetime
    next_start: datetime | None = None
    """When it asks for the air first, be it after `end`."""
    summary: Summary
    groups: list[GroupView]


@dataclass(frozen=True, slots=True)
class _Teller:
    """Who tells verdicts: in one language, at one place."""

    language: str
    zone: ZoneInfo
    titles: Mapping[str, str]
    places: Places

    def tell(self, said: Verdict) -> OutcomeView:
        return OutcomeView(
            occurrence=said.occurrence.id,
            title=said.occurrence.title,
            outcome=said.outcome.value,
            code=said.code,
            sentence=explain(said, self.language, self.zone, self.titles),
            wanted=said.occurrence.start,
            start=said.start,
            end=said.end,
            rule=said.breach.rule.value if said.breach else None,
        )

    def group(self, effect: Effect) -> GroupView:
        changes, show = effect.difference, self._shower(effect.clusters)
        return GroupView(
            clusters=list(effect.clusters),
            counts=_counts([effect], lambda _: 1),
            occurrences=_first(effect.verdicts, self.tell),
            added=_first(changes.added, show),
            removed=_first(changes.removed, show),
            changed=_first(changes.changed, lambda each: ChangedSlot(before=show(each[0]), after=show(each[1]))),
            displaced=_first(
                effect.displaced, lambda each: Displaced(before=self.tell(each[0]), after=self.tell(each[1]))
            ),
        )

    def _shower(self, clusters: Iterable[str]) -> Callable[[Slot], SlotView]:
        """Return what shows a slot of clusters under the same rules, as loud as the loudest of them says it."""
        known = [self.places.clusters[each] for each in clusters if each in self.places.clusters]
        if not known:  # they were removed meanwhile
            return show_slot
        loudest = max(known, key=lambda cluster: cluster.volume)
        in_force = self.places.in_force(loudest.zone, self.zone)
        return lambda slot: show_slot(slot, lowered(slot, loudest.volume, in_force))


@router.post("/programmes/preview", response_model_exclude_none=True)
def preview_programme(asked: NewProgramme, language: Language, house: House, by: SignedIn, now: Now) -> PreviewView:
    """Show what `POST /programmes` with the same body would do: when it sounds, what stops it, what it displaces."""
    settled = terms(house.settings)
    wish = preview.wish(
        tuple(item(each, house.settings) for each in asked.items),
        asked.asked(settled.zone),
        limits=prepare.limits(house.settings.sound),
        terms=settled,
        by=by,
        definitions=house.store.definitions,
        now=now,
    )
    effects = [_as_of(now, effect) for effect in house.board.preview(wish.programme, now)]
    definitions, window = house.store.definitions, playlist_window(house.settings, now)
    titles = {each.id: each.title for each in (*definitions.programmes.all(), wish.programme)}
    teller = _Teller(language, settled.zone, titles, Places(definitions.zones.all(), definitions.clusters.all()))
    recurrence = wish.programme.recurrence
    return PreviewView(
        says=says(recurrence, language, definitions) if recurrence else "",
        duration_s=wish.programme.duration.total_seconds(),
        estimated=wish.estimated,
        start=window.start,
        end=window.end,
        next_start=next_start(wish.programme, settled.zone, definitions, now),
        summary=_summary(effects),
        groups=[teller.group(effect) for effect in effects],
    )


def _as_of(now: datetime, effect: Effect) -> Effect:
    return replace(
        effect,
        verdicts=tuple(verdict.as_of(now) for verdict in effect.verdicts),
        displaced=tuple((before.as_of(now), after.as_of(now)) for before, after in effect.displaced),
    )


def _summary(effects: Iterable[Effect]) -> Summary:
    asked = [effect for effect in effects if effect.verdicts]
    counts = _counts(effects, lambda effect: len(effect.clusters))
    silent = sum(len(each.clusters) for each in asked if all(verdict.start is None for verdict in each.verdicts))
    return Summary(clusters=sum(len(each.clusters) for each in asked), silent=silent, **counts.model_dump())


def _counts(effects: Iterable[Effect], weight: Callable[[Effect], int]) -> Counts:
    outcomes: Counter[str] = Counter()
    added = removed = changed = displaced = 0
    for effect in effects:
        times = weight(effect)
        for verdict in effect.verdicts:
            outcomes[verdict.outcome.value] += times
        added += times * len(effect.difference.added)
        removed += times * len(effect.difference.removed)
        changed += times * len(effect.difference.changed)
        displaced += times * len(effect.displaced)
    return Counts(
        occurrences=outcomes.total(),
        outcomes=dict(sorted(outcomes.items())),
        added=added,
        removed=removed,
        changed=changed,
        displaced=displaced,
    )


def _first(entries: tuple[T, ...], show: Callable[[T], V]) -> list[V]:
    return [show(each) for each in entries[:_MOST]]
