"""What has become of a slot that was cued, and why: one look at one open line of the ledger. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from devices.agent.conduct.airtime import PROMPT, Share, complete
from devices.agent.conduct.playlists import Agenda
from devices.agent.memory.ledger import Entry, Event, State
from devices.agent.sound.output import Cue, Heard
from devices.messages import Outcome
from schedules.lateness import Late
from schedules.timeline import Slot

SETTLE: Final = timedelta(milliseconds=500)
"""After its end a slot is judged this much later, when the slowest output has made its last sample."""
TOLERANCE: Final = timedelta(milliseconds=500)
"""A slot of which no more than this was not heard counts as heard to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Everything that is known of one slot with an open line, at one instant."""

    id: str
    entry: Entry
    agenda: Agenda
    lies: Slot | None
    """As it lies now; None: the playlist lets it sound no more."""
    share: Share | None
    """What it is given of the air."""
    heard: Heard | None
    files: Mapping[str, Path]
    trusted: bool
    rule: str | None
    """The rule by which it may not go on where it lies."""
    now: datetime


def follow(seen: Sighting) -> tuple[Event | None, Entry | None]:
    """Return what is to be said of the slot, and its line as it is from now on; None leaves no trace of it."""
    if seen.heard is not None:
        return _follow_heard(seen, seen.heard)
    if not seen.trusted and not seen.share:
        return None, (seen.entry if seen.entry.resumed or seen.entry.state is State.STARTED else None)
    if seen.share is not None:
        return _follow_silent(seen, seen.lies or seen.share.slot, seen.share)
    return _drop(seen)


def started(heard: Heard, entry: Entry) -> Event:
    """Return the word that a slot began to sound."""
    slot = heard.cue.slot
    late = entry.shift_s if slot.if_late.action is Late.WHOLE and entry.shift_s > 0 else None
    offset = _seconds(heard.began - slot.start)
    return Event(outcome=Outcome.STARTED, at=heard.began, slot=slot.id, offset=offset, late=late)


def _follow_heard(seen: Sighting, heard: Heard) -> tuple[Event | None, Entry | None]:
    """It sounds, or did until now."""
    total = seen.entry.heard_s + _seconds(heard.lasted)
    ended = replace(seen.entry, state=State.INTERRUPTED)
    share = seen.share
    if share is None or (share.end <= seen.now and share.end < heard.cue.end):
        cut = _why_cut(seen)
        return Event(outcome=Outcome.INTERRUPTED, at=seen.now, slot=seen.id, code=cut, heard=total), ended
    if seen.now < share.end + SETTLE:
        entry = replace(seen.entry, ends=share.end, state=State.STARTED, resumed=False)
        is_new = seen.entry.state is State.CUED or seen.entry.resumed
        return (started(heard, seen.entry) if is_new else None), entry
    code = _why_not_whole(heard, seen.files, seen.agenda)
    if code is not None:
        return Event(outcome=Outcome.INTERRUPTED, at=seen.now, slot=seen.id, code=code, heard=total), ended
    finished = Event(outcome=Outcome.FINISHED, at=share.end, slot=seen.id, heard=total)
    return finished, replace(ended, state=State.FINISHED)


def _follow_silent(seen: Sighting, slot: Slot, share: Share) -> tuple[Event | None, Entry | None]:
    """It is cued, and nothing of it has gone out in this process."""
    entry = replace(seen.entry, ends=share.end)
    if seen.now >= share.end + SETTLE:
        return _close(seen, entry)
    may_be_late = slot.if_late.action is not Late.SKIP or entry.state is State.STARTED or entry.resumed
    if not may_be_late and seen.now >= slot.start + PROMPT:
        return _close(seen, entry)
    return None, entry


def _drop(seen: Sighting) -> tuple[Event | None, Entry | None]:
    """It has no air. One that never began leaves no trace: it may come back."""
    entry, now = seen.entry, seen.now
    if not entry.resumed and entry.state is State.CUED:
        return None, None
    if seen.lies is not None and seen.rule is None:
        if now >= seen.lies.end:
            return _close(seen, entry)
        if now < seen.agenda.expires and not (entry.state is State.STARTED and now <= seen.lies.start):
            return None, entry  # another has the air
    elif now >= entry.ends:
        return _close(seen, entry)
    if entry.state is State.CUED:
        return None, None
    code = _why_cut(seen)
    event = Event(outcome=Outcome.INTERRUPTED, at=now, slot=seen.id, code=code, heard=entry.heard_s)
    return event, replace(entry, state=State.INTERRUPTED)


def _close(seen: Sighting, entry: Entry) -> tuple[Event, Entry]:
    """Its time is over and nothing of it was heard in this process."""
    code = "off" if entry.resumed else "no_output"
    if not entry.resumed and seen.lies is not None and not complete(seen.lies, seen.files):
        code = "no_rendition"
    if entry.state is State.STARTED:
        event = Event(outcome=Outcome.INTERRUPTED, at=seen.now, slot=seen.id, code=code, heard=entry.heard_s)
        return event, replace(entry, state=State.INTERRUPTED)
    event = Event(outcome=Outcome.MISSED, at=seen.now, slot=seen.id, code=code)
    return event, replace(entry, state=State.MISSED)


def _why_cut(seen: Sighting) -> str:
    agenda, slot = seen.agenda, seen.lies
    if agenda.expires <= seen.now:
        return "expired"
    if seen.id in agenda.refused:
        return agenda.refused[seen.id].code
    if seen.rule is not None:
        return seen.rule
    if slot is None:
        return "withdrawn"
    if seen.heard is None and seen.now <= slot.start:
        return "clock"  # it was begun by a clock that went ahead
    if seen.now < slot.end or seen.share is None or seen.share.end < slot.end:
        return "superseded"
    return slot.cut or "superseded"


def _why_not_whole(heard: Heard, files: Mapping[str, Path], agenda: Agenda) -> str | None:
    """Return why a slot did not sound from where it began to the end of its sounds, or None if it did."""
    cue = heard.cue
    if cue.end < cue.slot.end:
        return "expired" if agenda.expires <= cue.end else "superseded"
    if heard.lasted + TOLERANCE >= _due(heard):
        return cue.slot.cut
    return "no_output" if complete(cue.slot, files) else "no_rendition"


def _due(heard: Heard) -> timedelta:
    """Return how long the slot should have sounded from where it began."""
    spans = ((max(begin, heard.began), end) for _, begin, end in heard.cue.spans())
    return sum((end - begin for begin, end in spans if begin < end), timedelta())


def cue_of(share: Share, agenda: Agenda, files: Mapping[str, Path], heard: Heard | None) -> Cue:
    """Return what the output is told of a share of the air, with the files that are at hand.

    A file that already sounds stays: the output has it open, whatever has become of its name.
    """
    there = {**heard.cue.files, **files} if heard is not None else files
    needed = {item.rendition for item in share.slot.items}
    at_hand = {digest: there[digest] for digest in needed if digest in there}
    return Cue(slot=share.slot, begin=share.begin, end=share.end, files=at_hand, gain=agenda.gain(share.slot))


def _seconds(duration: timedelta) -> float:
    return max(duration.total_seconds(), 0.0)
