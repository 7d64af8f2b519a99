"""Where slots lie on the air of one box: as planned, or later where one was begun late. Pure.

The plan never overlaps itself. What was begun late, and what sounds while the clock is set, may lie across it.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from devices.agent.conduct.clearance import breach_at, clear_starts
from devices.agent.conduct.playlists import Agenda
from devices.agent.memory.ledger import Entry, State
from devices.agent.sound.output import Cue, Heard
from schedules.lateness import Late
from schedules.levels import Level
from schedules.timeline import LONGEST, Slot, Timeline

AHEAD: Final = timedelta(seconds=3)
"""A slot is cued this long before it sounds: time to write the ledger and to decode."""
READY: Final = timedelta(seconds=1)
"""What is begun late begins this much after it was decided: its first syllable must not wait for the disk."""
LONGEST_AGO: Final = timedelta(hours=36)
"""What began longer ago is over: a slot lasts a day at most, and is begun 12 hours late at most."""
PROMPT: Final = timedelta(seconds=1)
"""How late a slot may begin that is not to be heard late: an output may take 0.5 s to decode and to fill its buffers,
and nobody who listens misses a word in the lead-in of a chime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A slot that asks for the air."""

    slot: Slot
    """As it lies now."""
    begin: datetime
    sounds: bool = False
    """It is in the output already."""
    begun: bool = False
    """It has begun, maybe before a restart: it is joined, whatever its programme says of lateness."""
    late: bool = False
    """It was moved, and has not begun."""
    audible: bool = True
    """A file of it is at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What of the air a claim is given: ``[begin, end)``."""

    slot: Slot
    begin: datetime
    end: datetime


def moved(slot: Slot, by: timedelta) -> Slot:
    """Return the slot as it lies ``by`` later."""
    return replace(slot, start=slot.start + by, end=slot.end + by) if by else slot


def earlier(cue: Cue, lag: timedelta) -> Cue:
    """Return the cue in the time of an output whose clock is ``lag`` behind."""
    if not lag:
        return cue
    return replace(cue, slot=moved(cue.slot, -lag), begin=cue.begin - lag, end=cue.end - lag)


def later(heard: Heard, lag: timedelta) -> Heard:
    """Return in the box's time what an output said whose clock is ``lag`` behind."""
    return replace(heard, cue=earlier(heard.cue, -lag), began=heard.began + lag) if lag else heard


def lie_of(slot: Slot, entry: Entry | None) -> Slot:
    """Return the slot as its line in the ledger says that it lies.

    One that was cut (by a hold, a withdrawal, a stronger one) ends when it was to end, however late it began: from
    then on the air is another's, or nobody's.
    """
    if entry is None:
        return slot
    lain = moved(slot, timedelta(seconds=entry.shift_s))
    if slot.cut in (None, LONGEST) or lain.end <= slot.end:
        return lain
    return replace(lain, end=max(slot.end, lain.start))


def at_hand(slot: Slot, files: Collection[str], after: datetime) -> bool:
    """Return True if there is a file of an item that sounds after ``after``."""
    return any(item.rendition in files and slot.start + item.offset + item.duration > after for item in slot.items)


def complete(slot: Slot, files: Collection[str]) -> bool:
    """Return True if every sound of the slot is on disk."""
    return all(item.rendition in files for item in slot.items)


def may_begin(slot: Slot, files: Collection[str], at: datetime) -> bool:
    """Return True if a slot that has not begun may begin at ``at`` where it lies, as far as its programme goes."""
    match slot.if_late.action:
        case Late.WHOLE:
            return at <= slot.start and complete(slot, files)
        case Late.SKIP:
            return at < slot.start + PROMPT and slot.items[0].rendition in files
        case _:
            return at < slot.end and at_hand(slot, files, at)


def share(
    claims: Iterable[Claim],
    *,
    expires: datetime,
    allowed: Callable[[Claim, datetime, datetime], bool],
) -> Iterator[Share]:
    """Yield what each claim is given of the air; claims that are given nothing are left out.

    Emergencies come first. Then what sounds keeps the air, what has begun comes before what has not, and what lies as
    planned before what was moved. What sounds is cut where an emergency begins; what does not, begins after it.

    Args:
        claims: In any order.
        expires: Nothing sounds from then on.
        allowed: Says whether a claim that does not sound may be given the air from one instant to another.
    """
    taken: list[tuple[datetime, datetime]] = []
    for claim in sorted(sorted(claims, key=lambda each: (each.slot.start, each.slot.id)), key=_rank):
        begin = claim.begin
        for first, last in taken:
            if first <= begin < last:
                begin = last
        end = min([claim.slot.end, expires, *(first for first, _ in taken if first >= begin)])
        if begin >= end or (begin != claim.begin if claim.sounds else not allowed(claim, begin, end)):
            continue
        taken = sorted([*taken, (begin, end)])
        yield Share(slot=claim.slot, begin=begin, end=end)


def _rank(claim: Claim) -> tuple[bool, ...]:
    emergency = claim.slot.level is Level.EMERGENCY
    return not claim.audible, not emergency, not claim.sounds, not claim.begun, claim.late


def late_start(slot: Slot, others: Iterable[Slot], agenda: Agenda, now: datetime) -> datetime | None:
    """Return when a slot may begin late and be heard whole, or None if nothing is left of the time for it.

    It overlaps no other slot, is over before the playlist expires, and its local rules refuse neither it nor any
    other slot because of it.

    Args:
        slot: As planned; its programme says for how long.
        others: The other slots of the timeline as they lie.
        agenda: Whose rules they are.
        now: Aware UTC instant.
    """
    within = slot.if_late.within or timedelta()
    latest = min(slot.start + within, agenda.expires - (slot.end - slot.start))
    earliest = max(min(now + READY, latest), now, slot.start)
    return next(clear_starts(slot, tuple(others), agenda, earliest, latest), None)


def placed(
    waiting: Iterable[Slot], lies: Mapping[str, Slot], agenda: Agenda, now: datetime
) -> Iterator[tuple[Slot, datetime | None]]:
    """Yield each slot that waits for a free place, by planned start, with that place or None; none takes another's."""
    lying = dict(lies)
    for slot in waiting:
        start = late_start(slot, (each for each in lying.values() if each.id != slot.id), agenda, now)
        if start is not None:
            lying[slot.id] = moved(slot, start - slot.start)
        yield slot, start


def forbidden(
    late: Mapping[str, Entry], ledger: Mapping[str, Entry], heard: Collection[str], agenda: Agenda
) -> Iterator[tuple[str, str]]:
    """Yield what was begun late, or is about to be, and may not go on where it lies by a new playlist, with the reason.

    What has not begun makes room for every slot of the playlist.

    Args:
        late: The open lines of slots that lie later than planned.
        ledger: What has become of slots so far.
        heard: The slots that sound.
        agenda: What the new playlist asks for.
    """
    for id_, entry in late.items():
        planned = agenda.slots.get(id_)
        if planned is None:
            continue
        slot = lie_of(planned, entry)
        others = tuple(lie_of(each, ledger.get(each.id)) for each in agenda.timeline.slots if each.id != id_)
        has_begun = id_ in heard or entry.resumed or entry.state is State.STARTED
        # A slot that is joined may lie a little off since the clock was set, before a restart that forgot of it.
        most = max(planned.if_late.within or timedelta(), PROMPT)
        if slot.start > planned.start + most:
            yield id_, "withdrawn"
        elif planned.if_late.action is not Late.WHOLE:
            continue
        elif not has_begun and any(each.start < slot.end and slot.start < each.end for each in others):
            yield id_, "superseded"
        elif (rule := breach_at(slot, others, agenda)) is not None:
            yield id_, rule


def upcoming(
    agenda: Agenda, ledger: Mapping[str, Entry], files: Mapping[str, Path], now: datetime, *, trusted: bool
) -> datetime | None:
    """Return when the next slot begins to sound whose files are at hand: ``now`` if one is due, None if there is none.

    Args:
        agenda: What the held playlist asks for.
        ledger: What has become of slots so far.
        files: Renditions that are on disk and can be decoded, by digest.
        now: Aware UTC instant.
        trusted: Whether the time is good enough for more than emergencies.
    """
    soonest: datetime | None = None
    waiting = []
    for planned in from_then(agenda.timeline, now - LONGEST_AGO):
        if soonest is not None and planned.start >= soonest:
            break
        entry = ledger.get(planned.id)
        if (entry is not None and entry.final) or not (trusted or planned.level is Level.EMERGENCY):
            continue
        slot = lie_of(planned, entry)
        begins = max(slot.start, now)
        if entry is None and waits(slot, now) and complete(slot, files):
            waiting.append(slot)
            continue
        may = may_begin(slot, files, begins) if entry is None else at_hand(slot, files, begins)
        if may and begins < min(slot.end, agenda.expires) and (soonest is None or begins < soonest):
            soonest = begins
    if waiting and soonest != now:
        lies = {each.id: lie_of(each, ledger.get(each.id)) for each in agenda.timeline.slots}
        starts = [start for _, start in placed(waiting, lies, agenda, now) if start is not None]
        soonest = min([*starts, *([] if soonest is None else [soonest])], default=None)
    return soonest


def waits(slot: Slot, now: datetime) -> bool:
    """Return True if a slot that has not begun may do so late, and its start is over."""
    return slot.if_late.action is Late.WHOLE and slot.start < now <= slot.start + (slot.if_late.within or timedelta())


def from_then(timeline: Timeline, t: datetime) -> Iterator[Slot]:
    """Yield the slots that begin at ``t`` or later, by start."""
    for i in range(bisect_left(timeline.slots, t, key=lambda slot: slot.start), len(timeline.slots)):
        yield timeline.slots[i]
