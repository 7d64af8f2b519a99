"""Sessions: runs of slots with hardly a pause between them, and what of them a local day holds."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from schedules.wallclock import bounds

__all__ = ["SESSION_PAUSE", "Interval", "begins_session", "pauses", "same_day", "session_exceeds"]

SESSION_PAUSE: Final = timedelta(minutes=1)
"""Slots with no longer pause between them are one session."""

Interval: TypeAlias = tuple[datetime, datetime]
"""From an aware UTC instant to a later one, half-open. A sequence of them is by start, without overlaps."""


def session_exceeds(intervals: Sequence[Interval], i: int, longest: timedelta) -> bool:
    """Say whether the session that ``i`` is part of lasts longer than ``longest``, its pauses counted.

    It looks no further than it has to.
    """
    first = last = i
    while intervals[last][1] - intervals[first][0] <= longest:
        if not begins_session(intervals, first):
            first -= 1
        elif last + 1 < len(intervals) and not begins_session(intervals, last + 1):
            last += 1
        else:
            return False
    return True


def begins_session(intervals: Sequence[Interval], i: int) -> bool:
    """Say whether ``i`` is the first of its session."""
    return i == 0 or intervals[i][0] - intervals[i - 1][1] > SESSION_PAUSE


def pauses(intervals: Sequence[Interval], i: int) -> Iterator[timedelta]:
    """Yield the pauses before and after ``i``: its presence makes no others."""
    if i > 0:
        yield intervals[i][0] - intervals[i - 1][1]
    if i + 1 < len(intervals):
        yield intervals[i + 1][0] - intervals[i][1]


def same_day(intervals: Sequence[Interval], i: int, zone: ZoneInfo) -> list[int]:
    """Return the places of the intervals that start on the local day on which ``i`` starts."""
    day = intervals[i][0].astimezone(zone).date()
    begin, end, alone = bounds(day, zone)
    first = last = i
    while first > 0 and intervals[first - 1][0] >= begin:
        first -= 1
    while last + 1 < len(intervals) and intervals[last + 1][0] < end:
        last += 1
    near = range(first, last + 1)
    return [k for k in near if alone or intervals[k][0].astimezone(zone).date() == day]
