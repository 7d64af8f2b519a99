"""The air of one cluster while it is given away: what is taken, by whom, and what the local rules leave."""

from bisect import bisect_right, insort
from collections.abc import Collection
from datetime import date, datetime

from schedules.counting import exceeds
from schedules.programmes import Occurrence
from schedules.rules import Breach, InForce

__all__ = ["Air", "Taken"]

Taken = tuple[datetime, datetime, Occurrence]
"""Half-open ``[start, end)`` and who sounds in it."""


class Air:
    """Half-open intervals that never overlap, by start.

    Args:
        rules: What the cluster must keep.
        counting: The local days on which the rules that count are to be kept while the air is given away.
    """

    def __init__(self, rules: InForce, *, counting: Collection[date] = ()) -> None:
        self._rules = rules
        self._counting = counting
        self._starts: list[datetime] = []
        self._taken: list[Taken] = []
        self.spoken: list[tuple[datetime, datetime]] = []
        """What is taken, but by emergencies: what sessions and minutes are made of."""

    def blocker(self, start: datetime, end: datetime) -> Taken | None:
        """Return the first interval that overlaps ``[start, end)``, or None."""
        i = bisect_right(self._starts, start)
        if i and self._taken[i - 1][1] > start:
            return self._taken[i - 1]
        return self._taken[i] if i < len(self._taken) and self._taken[i][0] < end else None

    def exceeds(self, start: datetime, end: datetime) -> Breach | None:
        """Return the counting rule that something in ``[start, end)``, which is free, would break; or None."""
        if not self._counting or start.astimezone(self._rules.zone).date() not in self._counting:
            return None
        i = bisect_right(self.spoken, (start, end))
        self.spoken.insert(i, (start, end))
        exceeded = exceeds(self.spoken, i, self._rules)
        del self.spoken[i]
        return exceeded

    def take(self, start: datetime, end: datetime, occurrence: Occurrence, *, counts: bool) -> None:
        """Take ``[start, end)``, which is free; ``counts`` says whether sessions and minutes are made of it."""
        i = bisect_right(self._starts, start)
        self._starts.insert(i, start)
        self._taken.insert(i, (start, end, occurrence))
        if counts:
            self.count(start, end)

    def count(self, start: datetime, end: datetime) -> None:
        """Count ``[start, end)`` in sessions and minutes, without taking it."""
        insort(self.spoken, (start, end))

    def uncount(self, start: datetime, end: datetime) -> None:
        """Take back a ``count``."""
        self.spoken.remove((start, end))
