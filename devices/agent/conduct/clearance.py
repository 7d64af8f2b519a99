"""Whether a slot may be heard at another time than planned, and when first: free air, and the local rules. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from devices.agent.conduct.playlists import Agenda
from schedules.counting import exceeds
from schedules.levels import Level
from schedules.refusals import refusals
from schedules.rules import InForce, stops
from schedules.sessions import SESSION_PAUSE
from schedules.timeline import Slot
from schedules.wallclock import bounds

_DAY: Final = timedelta(days=1)
_NEAR: Final = timedelta(hours=36)
"""Rules that count look at one local day. What begins this far from a slot is of another."""
_LEAST: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lie:
    """What the rules look at of a slot: see ``schedules.refusals.Sounding``."""

    id: str
    level: Level
    start: datetime
    end: datetime


def clear_starts(
    slot: Slot, others: Sequence[Slot], agenda: Agenda, earliest: datetime, latest: datetime
) -> Iterator[datetime]:
    """Yield, in order, starts in ``[earliest, latest]`` at which a slot is clear of the others and of the rules.

    The first of them is the first instant of all: what stops a slot ends where another slot, a session, a pause,
    a hold, quiet hours or a local day do, and at no other instant.
    """
    length = slot.end - slot.start
    near = [each for each in others if earliest - _NEAR < each.end and each.start < latest + length + _NEAR]
    clear = _clearance(slot, near, agenda)
    for start in sorted({earliest, *_openings(length, near, agenda.in_force, earliest, latest)}):
        if earliest <= start <= latest and clear(replace(slot, start=start, end=start + length)):
            yield start


def _clearance(slot: Slot, others: Sequence[Slot], agenda: Agenda) -> Callable[[Slot], bool]:
    """Return what says of the slot, where it would lie, whether it is clear there."""
    in_force, lies = agenda.in_force, [(each.start, each.end) for each in _untangled(others)]
    judged = in_force is not None and slot.level is not Level.EMERGENCY
    known = _refused(slot, others, agenda).keys() if judged else set()

    def clear(there: Slot) -> bool:
        if any(each.start < there.end and there.start < each.end for each in others):
            return False
        if in_force is None or not judged:
            return True
        if stops(there.start, there.end, in_force) is not None:
            return False
        if not in_force.rules.counts:
            return True
        i = bisect_left(lies, (there.start, there.end))
        if not known and exceeds([*lies[:i], (there.start, there.end), *lies[i:]], i, in_force) is not None:
            return False  # it, or one behind it, would be refused: this costs less than to ask who
        return known >= _refused(there, others, agenda).keys()

    return clear


def breach_at(slot: Slot, others: Sequence[Slot], agenda: Agenda) -> str | None:
    """Return the rule that refuses a slot where it lies, or None."""
    if agenda.in_force is None or slot.level is Level.EMERGENCY:
        return None
    breach = stops(slot.start, slot.end, agenda.in_force)
    if breach is not None:
        return breach.rule.value
    near = [each for each in others if slot.start - _NEAR < each.end and each.start < slot.end + _NEAR]
    return _refused(slot, near, agenda).get(slot.id)


def _refused(slot: Slot, others: Iterable[Slot], agenda: Agenda) -> dict[str, str]:
    """Return what the rules refuse, with which rule, where ``slot`` lies as given."""
    if agenda.in_force is None or not agenda.in_force.rules.counts:
        return {}
    lies = _untangled([slot, *others])
    breaches = refusals(lies, agenda.in_force, over_by=agenda.since)
    return {id_: breach.rule.value for id_, breach in breaches.items()}


def _untangled(slots: Iterable[Slot]) -> Iterator[_Lie]:
    """Yield the slots as rules want them, by start and never overlapping: a moved one may lie across the plan."""
    last: datetime | None = None
    for slot in sorted(slots, key=lambda each: (each.start, each.id)):
        if slot.level is Level.EMERGENCY:
            continue
        start = slot.start if last is None else max(slot.start, last)
        if start < slot.end:
            last = slot.end
            yield _Lie(id=slot.id, level=slot.level, start=start, end=slot.end)


def _openings(
    length: timedelta, others: Iterable[Slot], in_force: InForce | None, earliest: datetime, latest: datetime
) -> Iterator[datetime]:
    """Yield where something may end that stops a slot of this length; some of it lies outside the time."""
    for each in others:
        yield each.end
    if in_force is None:
        return
    for hold in in_force.holds:
        yield hold.end
    day = (earliest - _DAY).astimezone(in_force.zone).date()
    while day <= latest.astimezone(in_force.zone).date() + _DAY:
        yield from bounds(day, in_force.zone)[:2]
        for hours in in_force.rules.quiet:
            yield from _instants(datetime.combine(day, hours.end), in_force)
        day += _DAY
    if in_force.rules.counts:
        for each in others:
            yield from _session_openings(length, each, in_force)


def _session_openings(length: timedelta, other: Slot, in_force: InForce) -> Iterator[datetime]:
    """Yield where a slot begins to be in another's session, or no more, or far enough from it."""
    yield other.end + SESSION_PAUSE + _LEAST
    yield other.start - SESSION_PAUSE - length
    if in_force.rules.gap is not None:
        yield other.end + in_force.rules.gap
    if in_force.rules.longest_session is not None:
        yield other.end - in_force.rules.longest_session


def _instants(shown: datetime, in_force: InForce) -> Iterator[datetime]:
    """Yield when clocks show this, twice where they are set back."""
    for fold in (0, 1):
        yield shown.replace(tzinfo=in_force.zone, fold=fold).astimezone(UTC)
