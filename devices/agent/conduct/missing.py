"""Why a slot without a line in the ledger did not sound, and when that is certain. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from devices.agent.conduct.airtime import PROMPT, complete, waits
from devices.agent.conduct.playlists import Agenda
from schedules.lateness import Late
from schedules.timeline import Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The time of one look, by the clock as it is now."""

    now: datetime
    """Aware UTC instant."""
    booted: datetime
    """When this process began to play."""
    trusted: datetime | None
    """Since when the time has been good enough to play by, without a break; None: it is not."""
    moved: timedelta = timedelta()
    """By how much the clock was set since the last look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What one look leaves to the next; a restart may lose it."""

    version: int = 0
    """Of the playlist that was looked at."""
    trusted: bool = False
    """Whether the time was good enough to play by."""
    stepped: frozenset[str] = frozenset()
    """Open slots that lie where they lie because the clock was set while they sounded."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Slot that may still begin late → what kept it from its start."""


def is_overdue(slot: Slot, now: datetime) -> bool:
    """Return True if a slot that has not begun may begin no more, as far as its programme goes."""
    match slot.if_late.action:
        case Late.WHOLE:
            return slot.start < now and not waits(slot, now)
        case Late.SKIP:
            return now >= slot.start + PROMPT
        case _:
            return now >= slot.end


def why_missed(slot: Slot, agenda: Agenda, files: Collection[str], *, moment: Moment, memory: Memory) -> str:
    """Return what kept a slot without a line from sounding.

    Asked is what kept it from its start; of one that may be joined, what kept it to its end.

    Args:
        slot: As planned.
        agenda: What the held playlist asks for.
        files: Digests of the renditions that are at hand.
        moment: The time.
        memory: What the last look left.
    """
    kept_at = slot.end if slot.if_late.action is Late.JOIN else slot.start
    if memory.trusted and moment.now - moment.moved < slot.start < agenda.expires:
        return "clock"  # jumped over, or kept away by what was moved
    came_late = slot.id not in agenda.known and kept_at <= agenda.since
    if kept_at <= moment.booted:
        return "late" if came_late and agenda.since <= moment.booted else "off"
    if came_late:
        return "late"
    if moment.trusted is None or kept_at <= moment.trusted:
        return "clock"
    if slot.start >= agenda.expires:
        return "expired"
    waited = slot.if_late.action is Late.WHOLE and slot.start < moment.now
    return "no_rendition" if waited or not complete(slot, files) else "clock"
