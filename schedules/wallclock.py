"""What the clocks on the wall show meanwhile: local days and times of day, also where clocks are changed."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

__all__ = ["Piece", "bounds", "pieces"]

Piece: TypeAlias = tuple[date, time, time | None]
"""A stretch of one local day: from a time of day to another, or, with None, to the end of the day."""

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_MIDNIGHT: Final = time()


def pieces(start: datetime, end: datetime, zone: ZoneInfo) -> list[Piece]:
    """Return what the clocks show in ``[start, end)``, day by day, in the order in which they show it.

    An hour that comes twice is there twice, one that is left out is not there. Assumed is what no zone has ever
    broken: clocks that are changed twice within a day do not end as they began.

    Args:
        start: Aware instant.
        end: Aware instant, after ``start``.
        zone: Where the clocks hang.
    """
    found: list[Piece] = []
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    while start < end:
        stop = end if end - start <= _DAY else start + _DAY
        begin, until = start.astimezone(zone), stop.astimezone(zone)
        if begin.utcoffset() != until.utcoffset():
            stop = _change(start, stop, zone)
            until = begin.replace(tzinfo=None) + (stop - start)  # what they show just before they are changed
        first, last = begin.date(), until.date()
        if first == last:
            found.append((first, begin.time(), until.time()))
        else:
            found.append((first, begin.time(), None))
            if until.time() != _MIDNIGHT:
                found.append((last, _MIDNIGHT, until.time()))
        start = stop
    return found


@lru_cache(maxsize=4096)
def bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime, bool]:
    """Return two UTC instants between which a local day lies, and whether nothing else lies between them.

    Something else does where clocks are changed around midnight, which then comes twice or never.
    """
    begins, ends = (
        [datetime.combine(each, _MIDNIGHT, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
        for each in (day, day + _DAY)
    )
    return min(begins), max(ends), begins[0] == begins[1] and ends[0] == ends[1]


def _change(start: datetime, end: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant after ``start`` with another offset from UTC, which ``end`` has.

    Clocks are changed on whole seconds (RFC 8536, section 3.2: transition times are integers).
    """
    before = start.astimezone(zone).utcoffset()
    unchanged, changed = start.replace(microsecond=0), end.replace(microsecond=0)
    while changed - unchanged > _SECOND:
        middle = unchanged + (changed - unchanged) // _SECOND // 2 * _SECOND
        if middle.astimezone(zone).utcoffset() == before:
            unchanged = middle
        else:
            changed = middle
    return changed
