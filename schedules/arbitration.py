"""One arbiter for one cluster: occurrences that want the same air, and what becomes of each."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from schedules.levels import Level
from schedules.programmes import Occurrence

__all__ = ["Outcome", "Reason", "Verdict", "arbitrate", "rank"]


class Outcome(StrEnum):
    """What becomes of an occurrence."""

    KEPT = "kept"
    """Heard when it was meant to be."""
    MOVED = "moved"
    """Heard whole, later."""
    TRIMMED = "trimmed"
    """Heard from its start or a later one, not to its end."""
    DROPPED = "dropped"
    """Not heard."""


class Reason(StrEnum):
    """Why an occurrence is not kept."""

    AIR_TAKEN = "air_taken"
    """Another occurrence, ``by``, has the air at its time."""
    NO_ROOM = "no_room"
    """``by`` has the air at its time, and none is free for all of it soon enough."""
    WITHDRAWN = "withdrawn"
    """Its programme was withdrawn before it could be heard to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of one occurrence: when it sounds, ``[start, end)``, and if not as meant, why."""

    occurrence: Occurrence
    outcome: Outcome
    start: datetime | None
    """None when it is dropped, as is ``end``."""
    end: datetime | None
    reason: Reason | None = None
    """None when it is kept."""
    by: str | None = None
    """Id of the occurrence that took the air."""


def rank(occurrence: Occurrence) -> tuple[Level, datetime, str]:
    """Return the key by which occurrences get the air, lowest first.

    The stronger level (Circular 39/2020/TT-BTTTT), then the one approved first; the id comes last, so that
    the result never depends on the order of the input.
    """
    return occurrence.level, occurrence.approved_at, occurrence.id


def arbitrate(occurrences: Iterable[Occurrence], *, most_move: timedelta) -> tuple[Verdict, ...]:
    """Give the air of one cluster to those that ask for it, and return one verdict each, by start and programme.

    They are served in the order of ``rank``, so none yields to one of a lower level. One whose air is free is
    kept. One that had begun before what takes its air was approved is trimmed there: it cannot be un-said.
    Any other is moved to the first free air that is long enough, or dropped where that is more than
    ``most_move`` after its start.

    Args:
        occurrences: Each once, each longer than zero; in any order.
        most_move: How much later than meant an occurrence may start; zero or more.

    Raises:
        ValueError: One comes twice, a duration or ``most_move`` is too short. A caller's mistake.
    """
    ranked = sorted(occurrences, key=rank)
    if most_move < timedelta() or any(occurrence.duration <= timedelta() for occurrence in ranked):
        raise ValueError("an occurrence lasts longer than zero, and may be moved by zero or more")
    if len({(occurrence.programme, occurrence.start) for occurrence in ranked}) != len(ranked):
        raise ValueError("an occurrence came twice")
    air = _Air()
    verdicts = [_place(occurrence, air, most_move) for occurrence in ranked]
    return tuple(sorted(verdicts, key=lambda verdict: (verdict.occurrence.start, verdict.occurrence.programme)))


class _Air:
    """What is taken so far: half-open intervals that never overlap, by start, each with its occurrence."""

    def __init__(self) -> None:
        self._starts: list[datetime] = []
        self._taken: list[tuple[datetime, datetime, Occurrence]] = []

    def blocker(self, start: datetime, end: datetime) -> tuple[datetime, datetime, Occurrence] | None:
        """Return the first interval that overlaps ``[start, end)``, or None."""
        i = bisect_right(self._starts, start)
        if i and self._taken[i - 1][1] > start:
            return self._taken[i - 1]
        return self._taken[i] if i < len(self._taken) and self._taken[i][0] < end else None

    def take(self, start: datetime, end: datetime, occurrence: Occurrence) -> None:
        """Take ``[start, end)``, which is free."""
        i = bisect_right(self._starts, start)
        self._starts.insert(i, start)
        self._taken.insert(i, (start, end, occurrence))


def _place(occurrence: Occurrence, air: _Air, most_move: timedelta) -> Verdict:
    start, end = occurrence.start, occurrence.end
    taken = air.blocker(start, end)
    if taken is None:
        return _heard(occurrence, air, start, end)
    first, _, blocker = taken
    if first > start and blocker.approved_at > start:
        return _heard(occurrence, air, start, first, Reason.AIR_TAKEN, blocker.id)
    while taken is not None and taken[1] - occurrence.start <= most_move:
        start, end = taken[1], taken[1] + occurrence.duration
        taken = air.blocker(start, end)
    if taken is not None:
        return _unheard(occurrence, Reason.NO_ROOM, blocker.id)
    return _heard(occurrence, air, start, end, Reason.AIR_TAKEN, blocker.id)


def _heard(
    occurrence: Occurrence,
    air: _Air,
    start: datetime,
    end: datetime,
    reason: Reason | None = None,
    by: str | None = None,
) -> Verdict:
    """Take the air, except what lies after the programme's withdrawal."""
    if occurrence.ends_by is not None and end > occurrence.ends_by:
        if start >= occurrence.ends_by:
            return _unheard(occurrence, Reason.WITHDRAWN, by)
        end, reason = occurrence.ends_by, Reason.WITHDRAWN
    air.take(start, end, occurrence)
    if end - start < occurrence.duration:
        outcome = Outcome.TRIMMED
    else:
        outcome = Outcome.KEPT if start == occurrence.start else Outcome.MOVED
    return Verdict(occurrence=occurrence, outcome=outcome, start=start, end=end, reason=reason, by=by)


def _unheard(occurrence: Occurrence, reason: Reason, by: str | None) -> Verdict:
    return Verdict(occurrence=occurrence, outcome=Outcome.DROPPED, start=None, end=None, reason=reason, by=by)
