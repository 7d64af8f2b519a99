"""What must sound now, and what has become of what should have sounded. Pure: no clock, no disk, no log.

Which slot sounds is asked of ``schedules.timeline`` only, the same function that the console's preview uses.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from devices.agent.ledger import Entry, Event, State
from devices.agent.output import Cue, Heard
from devices.agent.playlists import Agenda, Refusal
from devices.messages import Outcome
from schedules.timeline import Slot, next_change, sounding_at

AHEAD: Final = timedelta(seconds=3)
"""A slot is cued this long before it sounds: time to write the ledger and to decode."""
BEHIND: Final = timedelta(seconds=1)
"""A slot stays cued this long after its end: an output may lag by up to 0.25 s."""
SETTLE: Final = timedelta(milliseconds=500)
"""After its end a slot is judged this much later, when the slowest output has made its last sample."""
TOLERANCE: Final = timedelta(milliseconds=500)
"""A slot of which no more than this was not heard counts as heard to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one look at the state leads to."""

    cues: tuple[Cue, ...]
    """What the output is to play, by start."""
    events: tuple[Event, ...]
    entries: Mapping[str, Entry | None]
    """Lines of the ledger to write before the cues are played; None drops a slot."""
    next_turn: datetime
    """When time alone changes the answer; later than now."""


def decide(
    agenda: Agenda,
    ledger: Mapping[str, Entry],
    heard: Mapping[str, Heard],
    *,
    files: Mapping[str, Path],
    booted: datetime,
    now: datetime,
) -> Decision:
    """Compare what should sound with what does.

    Args:
        agenda: what the held playlist asks for.
        ledger: what has become of slots so far.
        heard: what the output has made of its cues.
        files: renditions that are on disk and can be decoded, by digest.
        booted: when this process began to play.
        now: aware UTC instant.
    """
    cues = tuple(_cues(agenda, ledger, files, now))
    cued = {cue.slot.id: cue for cue in cues}
    entries: dict[str, Entry | None] = {
        slot: Entry(state=State.CUED, ends=cue.end) for slot, cue in cued.items() if slot not in ledger
    }
    events: list[Event] = []
    for slot, entry in ledger.items():
        if not entry.final:
            event, after = _follow(slot, entry, agenda, cued.get(slot), heard.get(slot), files, now)
            if event is not None:
                events.append(event)
            if after != entry:
                entries[slot] = after
    for slot_ in _passed(agenda, ledger, now):
        events.append(
            Event(outcome=Outcome.MISSED, at=now, slot=slot_.id, code=_why_missed(slot_, agenda, files, booted))
        )
        entries[slot_.id] = Entry(state=State.MISSED, ends=slot_.end)
    for refusal in _refused(agenda, ledger, now):
        events.append(Event(outcome=Outcome.REFUSED, at=now, slot=refusal.slot.id, code=refusal.code))
        entries[refusal.slot.id] = Entry(state=State.REFUSED, ends=refusal.slot.end)
    over = {slot for slot, entry in entries.items() if entry is not None and entry.final}
    return Decision(
        cues=tuple(cue for cue in cues if cue.slot.id not in over),
        events=tuple(replace(event, playlist=agenda.version) for event in events),
        entries=entries,
        next_turn=_next_turn(agenda, cues, now),
    )


def _cues(agenda: Agenda, ledger: Mapping[str, Entry], files: Mapping[str, Path], now: datetime) -> Iterator[Cue]:
    for slot in _sounding(agenda, now - BEHIND, min(now + AHEAD, agenda.expires)):
        entry = ledger.get(slot.id)
        end = min(slot.end, agenda.expires)
        if entry.final if entry is not None else end <= now:
            continue
        needed = {item.rendition for item in slot.items}
        at_hand = {digest: files[digest] for digest in needed if digest in files}
        cue = Cue(slot=slot, begin=slot.start, end=end, files=at_hand, gain=agenda.gain(slot))
        if entry is not None or any(item.rendition in files and until > now for item, _, until in cue.spans()):
            yield cue


def _sounding(agenda: Agenda, begin: datetime, end: datetime) -> Iterator[Slot]:
    t: datetime | None = begin
    while t is not None and t < end:
        slot = sounding_at(agenda.timeline, t)
        if slot is not None:
            yield slot
        t = next_change(agenda.timeline, t)


def _follow(
    slot: str,
    entry: Entry,
    agenda: Agenda,
    cue: Cue | None,
    heard: Heard | None,
    files: Mapping[str, Path],
    now: datetime,
) -> tuple[Event | None, Entry | None]:
    """Return what is to be said of an open entry, and the entry as it is from now on."""
    ends = heard.cue.end if heard is not None else entry.ends
    if cue is not None:
        ends = cue.end
    if now >= ends + SETTLE or (cue is None and now >= ends):
        return _close(slot, entry, agenda, heard, files, now)
    if cue is None and now < ends:
        return _cut(slot, entry, agenda, heard, now)
    if heard is not None and (entry.state is State.CUED or entry.resumed):
        offset = _seconds(heard.began - heard.cue.slot.start)
        started = Event(outcome=Outcome.STARTED, at=heard.began, slot=slot, offset=offset)
        return started, replace(entry, state=State.STARTED, ends=ends, resumed=False)
    return None, replace(entry, ends=ends)


def _close(
    slot: str, entry: Entry, agenda: Agenda, heard: Heard | None, files: Mapping[str, Path], now: datetime
) -> tuple[Event, Entry]:
    """The slot's time is over: it was heard to its end, in part, or not at all."""
    if heard is not None:
        total = _seconds(heard.lasted) + entry.heard_s
        code = _why_not_whole(heard, files)
        if code is None:
            event = Event(outcome=Outcome.FINISHED, at=heard.cue.end, slot=slot, heard=total)
            return event, replace(entry, state=State.FINISHED)
        event = Event(outcome=Outcome.INTERRUPTED, at=now, slot=slot, code=code, heard=total)
        return event, replace(entry, state=State.INTERRUPTED)
    if entry.state is State.STARTED:
        event = Event(outcome=Outcome.INTERRUPTED, at=now, slot=slot, code="off", heard=entry.heard_s)
        return event, replace(entry, state=State.INTERRUPTED)
    planned = agenda.slots.get(slot)
    code = "off" if entry.resumed else "no_output"
    if not entry.resumed and planned is not None and not _complete(planned, files):
        code = "no_rendition"
    return Event(outcome=Outcome.MISSED, at=now, slot=slot, code=code), replace(entry, state=State.MISSED)


def _cut(
    slot: str, entry: Entry, agenda: Agenda, heard: Heard | None, now: datetime
) -> tuple[Event | None, Entry | None]:
    """The slot may sound no more, before its end. One that never began leaves no trace: it may come back."""
    if heard is None and entry.state is State.CUED:
        return None, None
    code = "expired" if agenda.expires <= now else _why_cut(slot, agenda)
    total = entry.heard_s + (_seconds(heard.lasted) if heard is not None else 0.0)
    event = Event(outcome=Outcome.INTERRUPTED, at=now, slot=slot, code=code, heard=total)
    return event, replace(entry, state=State.INTERRUPTED)


def _why_cut(slot: str, agenda: Agenda) -> str:
    if slot in agenda.refused:
        return agenda.refused[slot].code
    planned = agenda.slots.get(slot)
    return "withdrawn" if planned is None else planned.cut or "superseded"


def _passed(agenda: Agenda, ledger: Mapping[str, Entry], now: datetime) -> Iterator[Slot]:
    """Slots that passed without a line in the ledger, unless they ended before the playlist was issued."""
    for slot in agenda.timeline.slots:
        if slot.start > now:
            break
        if agenda.issued < slot.end <= now and slot.id not in ledger:
            yield slot


def _refused(agenda: Agenda, ledger: Mapping[str, Entry], now: datetime) -> Iterator[Refusal]:
    """Slots that should have begun by now and may not, unless they ended before the playlist was issued.

    Until its start a slot has no line: a playlist with other rules may still let it sound.
    """
    for refusal in agenda.refused.values():
        if refusal.slot.start > now:
            break
        if agenda.issued < refusal.slot.end and refusal.slot.id not in ledger:
            yield refusal


def _why_missed(slot: Slot, agenda: Agenda, files: Mapping[str, Path], booted: datetime) -> str:
    if slot.end <= agenda.since:
        return "late"
    if slot.end <= booted:
        return "off"
    if slot.start >= agenda.expires:
        return "expired"
    return "clock" if _complete(slot, files) else "no_rendition"


def _next_turn(agenda: Agenda, cues: tuple[Cue, ...], now: datetime) -> datetime:
    moments = [now + AHEAD, agenda.expires]
    for cue in cues:
        moments += [cue.slot.start, cue.end, cue.end + SETTLE]
    moments += [refusal.slot.start for refusal in agenda.refused.values()]
    if (soon := next_change(agenda.timeline, now)) is not None:
        moments.append(soon)
    if (later := next_change(agenda.timeline, now + AHEAD)) is not None:
        moments.append(later - AHEAD)
    return min(moment for moment in moments if moment > now)


def _why_not_whole(heard: Heard, files: Mapping[str, Path]) -> str | None:
    """Return why a slot did not sound from where it began to the end of its sounds, or None if it did."""
    cue = heard.cue
    if cue.end < cue.slot.end:
        return "expired"
    if heard.lasted + TOLERANCE >= _due(heard):
        return cue.slot.cut
    return "no_output" if _complete(cue.slot, files) else "no_rendition"


def _due(heard: Heard) -> timedelta:
    """Return how long the slot should have sounded from where it began."""
    spans = ((max(begin, heard.began), end) for _, begin, end in heard.cue.spans())
    return sum((end - begin for begin, end in spans if begin < end), timedelta())


def _complete(slot: Slot, files: Mapping[str, Path]) -> bool:
    return all(item.rendition in files for item in slot.items)


def _seconds(duration: timedelta) -> float:
    return max(duration.total_seconds(), 0.0)
