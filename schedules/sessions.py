"""Sessions: runs of slots with hardly a pause between them, on one local day."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from schedules.wallclock import bounds

__all__ = ["SESSION_PAUSE", "Interval", "same_day", "sessions"]

SESSION_PAUSE: Final = timedelta(minutes=1)
"""Slots with no longer pause between them are one session."""

Interval: TypeAlias = tuple[datetime, datetime]
"""From an aware UTC instant to a later one, half-open. A sequence of them is by start, without overlaps."""


def sessions(intervals: Sequence[Interval]) -> list[Interval]:
    """Return the sessions that the intervals of one day make, from the start of the first to the end of the last."""
    made: list[Interval] = []
    for start, end in intervals:
        if made and start - made[-1][1] <= SESSION_PAUSE:
            made[-1] = made[-1][0], end
        else:
            made.append((start, end))
    return made


def same_day(intervals: Sequence[Interval], i: int, zone: ZoneInfo) -> list[Interval]:
    """Return the intervals that start on the local day on which ``i`` starts."""
    day = intervals[i][0].astimezone(zone).date()
    begin, end, alone = bounds(day, zone)
    first = last = i
    while first > 0 and intervals[first - 1][0] >= begin:
        first -= 1
    while last + 1 < len(intervals) and intervals[last + 1][0] < end:
        last += 1
    near = intervals[first : last + 1]
    return list(near) if alone else [each for each in near if each[0].astimezone(zone).date() == day]
