"""What one cluster says: slots by start, and the questions that console, simulator and box ask of them."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from schedules.instants import require_aware
from schedules.lateness import JOIN, IfLate
from schedules.levels import Level
from schedules.programmes import Item, Occurrence
from schedules.verdicts import Verdict

__all__ = [
    "LONGEST",
    "Difference",
    "Slot",
    "SlotItem",
    "Timeline",
    "build",
    "cut_out",
    "difference",
    "item_at",
    "next_change",
    "slot_of",
    "sounding_at",
]


LONGEST: Final = "longest"
"""Why a slot is cut whose sounds last longer than its recurrence allows one occurrence: as its programme has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotItem:
    """A rendition in a slot: it sounds from ``slot.start + offset`` for ``duration``."""

    rendition: str
    """SHA-256 of the bytes to play."""
    offset: timedelta
    duration: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """An occurrence as it lies on a timeline: ``[start, end)``."""

    id: str
    """Id of the occurrence."""
    title: str
    level: Level
    start: datetime
    end: datetime
    items: tuple[SlotItem, ...]
    """By offset, without gaps or overlaps."""
    cut: str | None = None
    """Why it ends before its sounds do: the code of a verdict, or ``LONGEST``; None where it does not."""
    if_late: IfLate = JOIN
    """What a box does that could not begin it on time."""

    @property
    def latest_end(self) -> datetime:
        """From when on it sounds nowhere any more: its end, later where a box may begin it late and play it whole."""
        return self.end + (self.if_late.within or timedelta())


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What a cluster says in ``[start, end)``. A slot that reaches over either border is whole.

    One that is over by ``start`` is there while a box may still begin it late.

    Clusters that say the same share one.
    """

    start: datetime
    end: datetime
    slots: tuple[Slot, ...]
    """By start, never overlapping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What changes from an old timeline to a new one; slots are the same when their ids are."""

    added: tuple[Slot, ...] = ()
    removed: tuple[Slot, ...] = ()
    changed: tuple[tuple[Slot, Slot], ...] = ()
    """As it was, as it will be: another time, title, level or other items."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def build(verdicts: Iterable[Verdict], start: datetime, end: datetime) -> Timeline:
    """Return the timeline that the verdicts make, of what may sound at any time in ``[start, end)``.

    Args:
        verdicts: Those of one cluster, in any order; dropped ones make no slot.
        start: Aware instant.
        end: Aware instant, after ``start``.

    Raises:
        ValueError: An instant is naive, ``end`` is not after ``start``, or slots overlap. A caller's mistake.
    """
    slots = sorted((slot for slot in map(slot_of, verdicts) if slot is not None), key=_start)
    if any(later.start < earlier.end for earlier, later in pairwise(slots)):
        raise ValueError("slots overlap; they are not the verdicts of one arbitration")
    return cut_out(slots, start, end)


def cut_out(slots: Iterable[Slot], start: datetime, end: datetime) -> Timeline:
    """Return the timeline of those of ``slots``, by start and never overlapping, that may sound in ``[start, end)``.

    Raises:
        ValueError: An instant is naive or ``end`` is not after ``start``. A caller's mistake.
    """
    require_aware(start, end)
    if end <= start:
        raise ValueError(f"a timeline from {start} to {end} has no room")
    return Timeline(
        start=start, end=end, slots=tuple(each for each in slots if each.start < end and each.latest_end > start)
    )


def slot_of(verdict: Verdict) -> Slot | None:
    """Return the slot that a verdict makes, or None where nothing is heard.

    A trimmed slot holds the items that begin before its end, the last one cut there.
    """
    if verdict.start is None or verdict.end is None:
        return None
    occurrence, length = verdict.occurrence, verdict.end - verdict.start
    cut = _cut(verdict, length)
    return Slot(
        id=occurrence.id,
        title=occurrence.title,
        level=occurrence.level,
        start=verdict.start,
        end=verdict.end,
        items=tuple(_items(occurrence.items, length)),
        cut=cut,
        if_late=_if_late(occurrence, verdict.end, cut),
    )


def sounding_at(timeline: Timeline, t: datetime) -> Slot | None:
    """Return the slot that owns ``t``, or None where the cluster is silent.

    There is one such function. Whatever shows, simulates or plays a timeline asks it, so that none of them
    can disagree with the street.

    Args:
        timeline: Of one cluster.
        t: Aware instant. A slot owns its start and not its end.

    Raises:
        ValueError: ``t`` is naive. A caller's mistake.
    """
    require_aware(t)
    i = bisect_right(timeline.slots, t, key=_start)
    return timeline.slots[i - 1] if i and t < timeline.slots[i - 1].end else None


def next_change(timeline: Timeline, t: datetime) -> datetime | None:
    """Return the first instant after ``t`` at which a slot begins or ends, or None after the last.

    Passing from one item of a slot to the next is not a change.

    Raises:
        ValueError: ``t`` is naive. A caller's mistake.
    """
    sounding = sounding_at(timeline, t)
    if sounding is not None:
        return sounding.end
    i = bisect_right(timeline.slots, t, key=_start)
    return timeline.slots[i].start if i < len(timeline.slots) else None


def item_at(slot: Slot, t: datetime) -> tuple[SlotItem, timedelta] | None:
    """Return the item of ``slot`` that sounds at ``t`` and how far into it that is, or None outside the slot.

    Raises:
        ValueError: ``t`` is naive. A caller's mistake.
    """
    require_aware(t)
    into = t - slot.start
    i = bisect_right(slot.items, into, key=lambda item: item.offset)
    if not i or t >= slot.end or into >= slot.items[i - 1].offset + slot.items[i - 1].duration:
        return None
    return slot.items[i - 1], into - slot.items[i - 1].offset


def difference(old: Timeline, new: Timeline) -> Difference:
    """Return what changes on a cluster when ``new`` takes the place of ``old``, each part by start.

    Windows are not compared: between two that differ, slots come and go at the borders.
    """
    before, after = ({slot.id: slot for slot in timeline.slots} for timeline in (old, new))
    return Difference(
        added=tuple(slot for slot in new.slots if slot.id not in before),
        removed=tuple(slot for slot in old.slots if slot.id not in after),
        changed=tuple((before[slot.id], slot) for slot in new.slots if before.get(slot.id, slot) != slot),
    )


def _start(slot: Slot) -> datetime:
    return slot.start


def _cut(verdict: Verdict, length: timedelta) -> str | None:
    occurrence = verdict.occurrence
    if sum((item.duration for item in occurrence.items if item.duration), timedelta()) <= length:
        return None
    if length == occurrence.duration:
        return LONGEST
    return (verdict.otherwise or verdict).code


def _if_late(occurrence: Occurrence, end: datetime, cut: str | None) -> IfLate:
    """Return what its programme says of a slot until ``end``, as far as it still can.

    What is cut short cannot be played whole. What was withdrawn may be begun late only if it is over by then.
    """
    said = occurrence.if_late
    if said.within is None:
        return said
    if cut not in (None, LONGEST):
        return JOIN
    left = said.within if occurrence.ends_by is None else min(said.within, occurrence.ends_by - end)
    return replace(said, within=left) if left > timedelta() else JOIN


def _items(items: Iterable[Item], length: timedelta) -> Iterator[SlotItem]:
    offset = timedelta()
    for item in items:
        if item.rendition is None or item.duration is None:
            raise ValueError(f"the sound {item.sound} is not prepared and cannot be on a timeline")
        if offset >= length:
            return
        yield SlotItem(rendition=item.rendition, offset=offset, duration=min(item.duration, length - offset))
        offset += item.duration
