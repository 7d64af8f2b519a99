"""What a box refuses by itself: the slots of a playlist that break the local rules in it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from schedules.counting import exceeds
from schedules.levels import Level
from schedules.rules import Breach, InForce, stops
from schedules.sessions import Interval

__all__ = ["Sounding", "refusals"]


class Sounding(Protocol):
    """What the box walks over: a slot, or anything with these fields."""

    @property
    def id(self) -> str:
        """Names it."""
        ...

    @property
    def level(self) -> Level:
        """How urgent it is."""
        ...

    @property
    def start(self) -> datetime:
        """Aware UTC instant."""
        ...

    @property
    def end(self) -> datetime:
        """Aware UTC instant, after ``start``."""
        ...


def refusals(slots: Iterable[Sounding], in_force: InForce, *, over_by: datetime | None = None) -> dict[str, Breach]:
    """Return the slots that may not sound, by id, each with what stops it.

    Emergencies pass, and count for nobody. The others are taken by start: one must keep the rules of
    ``rules.stops``, and those of ``counting.exceeds`` with what was let through before it. What is refused does not
    count. Of slots that all keep the rules nothing is refused.

    Args:
        slots: Of one cluster, in any order, never overlapping.
        in_force: What the cluster must keep.
        over_by: What ended by then was heard under the rules of its time: it is not refused, and counts. None: all
            are judged.
    """
    refused: dict[str, Breach] = {}
    passed: list[Interval] = []
    counts = in_force.rules.counts
    for slot in sorted(slots, key=lambda one: (one.start, one.id)):
        if slot.level is Level.EMERGENCY:
            continue
        is_over = over_by is not None and slot.end <= over_by
        breach = None if is_over else stops(slot.start, slot.end, in_force)
        if breach is None and counts:
            passed.append((slot.start, slot.end))
            breach = None if is_over else exceeds(passed, len(passed) - 1, in_force)
            if breach is not None:
                passed.pop()
        if breach is not None:
            refused[slot.id] = breach
    return refused
