"""Whether the amplifier should be on. Pure: no clock, no command, no log."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from devices.agent.conduct.airtime import LONGEST_AGO, from_then, lie_of, upcoming
from devices.agent.conduct.playlists import Agenda
from devices.agent.memory.ledger import Entry
from schedules.timeline import Slot

Span: TypeAlias = tuple[float, float]
"""The moments between which something verified sounds, in seconds of the monotonic clock, so that a clock that is set
switches nothing. It owns its beginning, not its end."""


@dataclass(frozen=True, slots=True)
class Past:
    """What the last look leaves for the next."""

    spans: tuple[Span, ...] = ()
    """What was to sound, as of the last look."""
    sounded: float = -math.inf
    """When anything sounded last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one look leads to."""

    on: bool
    past: Past
    next_look: float
    """When time alone changes the answer, later than the moment of the look; infinite if it does not."""


def decide(spans: Sequence[Span], past: Past, *, before_s: float, after_s: float, moment: float) -> Wish:
    """Return whether the amplifier should be on at ``moment``.

    It is on from ``before_s`` before a sound until ``after_s`` after it, so it stays on between two that are closer
    than both together. What is withdrawn before it began leaves nothing behind; what is cut, only ``after_s``.

    Args:
        spans: what sounds now, and what will, as far as it is known; in any order.
        past: of the look before; ``Past()`` at the first.
        before_s: at least 0.
        after_s: at least 0.
        moment: now.
    """
    heard = [min(end, moment) for begin, end in past.spans if begin < moment]
    heard += [moment for begin, end in spans if begin < moment < end]
    sounded = max([past.sounded, *heard])
    on = moment < sounded + after_s or any(begin - before_s <= moment < end for begin, end in spans)
    changes = [sounded + after_s, *(each for begin, end in spans for each in (begin - before_s, end))]
    return Wish(
        on=on,
        past=Past(tuple(span for span in spans if span[1] > moment), sounded),
        next_look=min((each for each in changes if each > moment), default=math.inf),
    )


def sounding(
    agenda: Agenda, ledger: Mapping[str, Entry], files: Mapping[str, Path], now: datetime, *, trusted: bool
) -> tuple[datetime, datetime] | None:
    """Return when something verified sounds next: from ``now`` if it does already, and None if nothing will.

    The end is that of the sound at hand; of one that has not begun it is not known, and the playlist's is given.

    Args:
        agenda: what the held playlist asks for.
        ledger: what has become of slots so far.
        files: renditions that are on disk and can be decoded, by digest.
        now: aware UTC instant.
        trusted: whether the time is good enough for more than emergencies.
    """
    begin = upcoming(agenda, ledger, files, now, trusted=trusted)
    if begin is None:
        return None
    ends = [agenda.expires]
    if begin <= now:
        for planned in from_then(agenda.timeline, now - LONGEST_AGO):
            if planned.start > now:
                break
            entry = ledger.get(planned.id)
            if entry is not None and not entry.final:
                ends.append(_end(lie_of(planned, entry), files))
    return begin, min(end for end in ends if end > now)


def _end(slot: Slot, files: Collection[str]) -> datetime:
    """Return when the last sound of a slot ends whose file is at hand."""
    ends = (slot.start + item.offset + item.duration for item in slot.items if item.rendition in files)
    return min(max(ends, default=slot.start), slot.end)
