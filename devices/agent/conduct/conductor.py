"""What must sound now, and what has become of what should have sounded. Pure: no clock, no disk, no log."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Final

from devices.agent.conduct.airtime import (
    AHEAD,
    LONGEST_AGO,
    PROMPT,
    Claim,
    Share,
    at_hand,
    complete,
    forbidden,
    from_then,
    lie_of,
    may_begin,
    moved,
    placed,
    share,
    waits,
)
from devices.agent.conduct.closing import SETTLE, Sighting, cue_of, follow
from devices.agent.conduct.missing import Memory, Moment, is_overdue, why_missed
from devices.agent.conduct.playlists import Agenda, Refusal
from devices.agent.memory.ledger import Entry, Event, State
from devices.agent.sound.output import Cue, Heard
from devices.messages import Outcome
from schedules.lateness import Late
from schedules.levels import Level
from schedules.timeline import Slot

LOOK: Final = timedelta(seconds=10)
"""A slot that waits for its sounds is looked at this often: the place where it may begin late moves on."""
_FAR: Final = timedelta(days=1)
_TOUCH: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one look at the state leads to."""

    cues: tuple[Cue, ...]
    """What the output is to play, by start."""
    events: tuple[Event, ...]
    entries: Mapping[str, Entry | None]
    """Lines of the ledger to write before the cues are played; None drops a slot."""
    memory: Memory
    next_turn: datetime
    """When time alone changes the answer; later than now."""


def decide(
    agenda: Agenda,
    ledger: Mapping[str, Entry],
    heard: Mapping[str, Heard],
    *,
    files: Mapping[str, Path],
    memory: Memory,
    moment: Moment,
) -> Decision:
    """Compare what should sound with what does.

    Args:
        agenda: what the held playlist asks for.
        ledger: what has become of slots so far.
        heard: what the output has made of its cues, in the time of ``moment``.
        files: renditions that are on disk and can be decoded, by digest.
        memory: what the last look left.
        moment: the time.
    """
    return _Look(agenda, ledger, heard, files, memory, moment).decide()


class _Look:
    """One look: everything it is given, and the answer as it grows."""

    def __init__(
        self,
        agenda: Agenda,
        ledger: Mapping[str, Entry],
        heard: Mapping[str, Heard],
        files: Mapping[str, Path],
        memory: Memory,
        moment: Moment,
    ) -> None:
        self.agenda = agenda
        self.ledger = ledger
        self.heard = heard
        self.files = files
        self.memory = memory
        self.moment = moment
        self.now = moment.now
        self.entries: dict[str, Entry | None] = {}
        self.events: list[Event] = []
        self.kept: dict[str, str] = {}
        self.moments: list[datetime] = [agenda.expires, moment.now + _FAR]
        self.open: dict[str, Entry] = dict(self._opened())
        self.stepped = memory.stepped & self.open.keys() | (heard.keys() & self.open.keys() if moment.moved else set())
        is_new = memory.version != agenda.version
        late = {slot: entry for slot, entry in self.open.items() if entry.shift_s > 0 and slot not in self.stepped}
        self.rules = dict(forbidden(late, ledger, heard, agenda)) if is_new else {}

    def decide(self) -> Decision:
        """Return the answer."""
        shares = {each.slot.id: each for each in self._shares()}
        unwritten = self._unwritten()
        shares |= {each.slot.id: each for each in self._late(unwritten, shares)}
        for slot in shares.keys() - self.open.keys():
            shift = shares[slot].slot.start - self.agenda.slots[slot].start
            self.entries[slot] = Entry(state=State.CUED, ends=shares[slot].end, shift_s=shift.total_seconds())
        for slot, entry in self.open.items():
            self._follow(slot, entry, shares.get(slot))
        if self.moment.trusted is not None:
            self._judge(unwritten, shares)
        cues = self._cues(shares)
        self._look_again(cues, shares)
        return Decision(
            cues=cues,
            events=tuple(replace(event, playlist=self.agenda.version) for event in self.events),
            entries=self.entries,
            memory=self._remembered(unwritten),
            next_turn=min(moment for moment in self.moments if moment > self.now),
        )

    def _remembered(self, unwritten: tuple[Slot, ...]) -> Memory:
        before = {slot.id: self.memory.kept[slot.id] for slot in unwritten if slot.id in self.memory.kept}
        kept = {slot: code for slot, code in (before | self.kept).items() if self._is_unwritten(slot)}
        trusted = self.moment.trusted is not None
        return Memory(version=self.agenda.version, trusted=trusted, stepped=self.stepped, kept=kept)

    def _opened(self) -> Iterator[tuple[str, Entry]]:
        """Yield the open lines as a step of the clock leaves them: what sounds goes on, what was jumped over waits."""
        step = self.moment.moved
        for slot, entry in self.ledger.items():
            if entry.final:
                continue
            if step and slot in self.heard:
                yield slot, replace(entry, ends=entry.ends + step, shift_s=entry.shift_s + step.total_seconds())
            elif step > timedelta() and entry.state is State.CUED and not entry.resumed and slot in self.agenda.slots:
                self.entries[slot] = None  # nothing of it has sounded: it is as if it had never been cued
            else:
                yield slot, entry

    def _lie(self, slot: str) -> Slot | None:
        planned = self.agenda.slots.get(slot)
        return None if planned is None else lie_of(planned, self.open.get(slot))

    def _may_sound(self, slot: Slot) -> bool:
        return self.moment.trusted is not None or slot.level is Level.EMERGENCY

    # Who is given the air.

    def _shares(self) -> Iterator[Share]:
        def allowed(claim: Claim, begin: datetime, end: datetime) -> bool:
            if claim.late and end < claim.slot.end:
                return False  # it is to be heard whole
            on_its_way = claim.slot.id in self.open and begin == claim.slot.start
            return claim.begun or on_its_way or may_begin(claim.slot, self.files, max(begin, self.now))

        return share(self._claims(), expires=self.agenda.expires, allowed=allowed)

    def _claims(self) -> Iterator[Claim]:
        for id_, entry in self.open.items():
            slot, heard = self._lie(id_), self.heard.get(id_)
            if slot is None or id_ in self.rules:
                continue
            if heard is not None:
                if abs(heard.cue.slot.start - slot.start) < _TOUCH:
                    yield Claim(slot=slot, begin=heard.cue.begin, sounds=True, begun=True)
                continue
            was_early = entry.state is State.STARTED and self.now <= slot.start
            if self._may_sound(slot) and slot.start <= self.now + AHEAD and not was_early:
                begun, audible = entry.resumed or entry.state is State.STARTED, at_hand(slot, self.files, self.now)
                late = not begun and entry.shift_s != 0
                yield Claim(slot=slot, begin=slot.start, begun=begun, late=late, audible=audible)
        for slot in self._near():
            if self._may_sound(slot) and may_begin(slot, self.files, max(slot.start, self.now)):
                yield Claim(slot=slot, begin=slot.start)

    def _near(self) -> Iterator[Slot]:
        """Yield the slots without a line whose time is now, or soon."""
        for slot in from_then(self.agenda.timeline, self.now - LONGEST_AGO):
            if slot.start > self.now + AHEAD:
                self.moments.append(slot.start - AHEAD)
                return
            if slot.end > self.now and self._is_unwritten(slot.id):
                self.moments += [slot.start, slot.start + PROMPT, slot.end]
                yield slot

    def _is_unwritten(self, slot: str) -> bool:
        return self.entries.get(slot, self.ledger.get(slot)) is None

    def _cues(self, shares: Mapping[str, Share]) -> tuple[Cue, ...]:
        over = {slot for slot, entry in self.entries.items() if entry is None or entry.final}
        given = sorted((each for id_, each in shares.items() if id_ not in over), key=lambda each: each.begin)
        return tuple(cue_of(each, self.agenda, self.files, self.heard.get(each.slot.id)) for each in given)

    # What is begun late, and what is not any more.

    def _unwritten(self) -> tuple[Slot, ...]:
        """Return the slots whose start is over, or that another kept from it, and that no line tells of."""
        soon, history = self.now + AHEAD, self.agenda.history
        begun = takewhile(lambda slot: slot.start <= soon, from_then(self.agenda.timeline, history - LONGEST_AGO))
        return tuple(slot for slot in begun if slot.latest_end > history and self._is_unwritten(slot.id))

    def _late(self, unwritten: tuple[Slot, ...], shares: Mapping[str, Share]) -> Iterator[Share]:
        """Yield what begins late within ``AHEAD``; what waits longer is noted, what cannot any more is missed."""
        waiting = [
            slot
            for slot in unwritten
            if slot.id not in shares
            and self._may_sound(slot)
            and (waits(slot, self.now) or (may_begin(slot, self.files, self.now) and slot.if_late.action is Late.WHOLE))
        ]
        if not waiting:
            return
        lines = {**self.ledger, **self.open}
        lies = {slot.id: lie_of(slot, lines.get(slot.id)) for slot in self.agenda.timeline.slots}
        for slot, start in placed(waiting, lies, self.agenda, self.now):
            self.kept[slot.id] = self._why_kept(slot)
            if start is None and self.moment.trusted is not None and slot.start < self.now:
                self._miss(slot, self.kept.pop(slot.id))
            elif start is None or not complete(slot, self.files):
                self.moments += [self.now + LOOK, slot.start + _TOUCH]
            elif start <= self.now + AHEAD:
                late = moved(slot, start - slot.start)
                yield Share(slot=late, begin=late.start, end=late.end)
            else:
                self.moments.append(start - AHEAD)

    def _why_kept(self, slot: Slot) -> str:
        known = self.memory.kept.get(slot.id)
        return known or why_missed(slot, self.agenda, self.files, moment=self.moment, memory=self.memory)

    def _judge(self, unwritten: tuple[Slot, ...], shares: Mapping[str, Share]) -> None:
        """Say what was missed, and what is refused: until its start another playlist may still let it sound."""
        for slot in unwritten:
            if slot.id in shares or slot.id in self.kept or self.entries.get(slot.id) is not None:
                continue
            if is_overdue(slot, self.now):
                self._miss(slot, self._why_kept(slot))
        for slot, since in self.agenda.former:
            if slot.latest_end > self.agenda.history and self._is_unwritten(slot.id):
                then = replace(self.agenda, since=since, known=frozenset())
                self._miss(slot, why_missed(slot, then, self.files, moment=self.moment, memory=self.memory))
        for refusal in self._refused():
            event = Event(outcome=Outcome.REFUSED, at=self.now, slot=refusal.slot.id, code=refusal.code, routine=False)
            self.events.append(event)
            self.entries[refusal.slot.id] = Entry(state=State.REFUSED, ends=refusal.slot.end)

    def _refused(self) -> Iterator[Refusal]:
        for refusal in self.agenda.refused.values():
            if refusal.slot.start > self.now:
                self.moments.append(refusal.slot.start)
                return
            if self.agenda.history < refusal.slot.end and self._is_unwritten(refusal.slot.id):
                yield refusal

    def _miss(self, slot: Slot, code: str) -> None:
        routine = slot.level is Level.ROUTINE
        self.events.append(Event(outcome=Outcome.MISSED, at=self.now, slot=slot.id, code=code, routine=routine))
        self.entries[slot.id] = Entry(state=State.MISSED, ends=slot.end)

    # What has become of the open lines.

    def _follow(self, slot: str, entry: Entry, given: Share | None) -> None:
        lies = self._lie(slot)
        seen = Sighting(
            id=slot,
            entry=entry,
            agenda=self.agenda,
            lies=lies,
            share=given,
            heard=self.heard.get(slot),
            files=self.files,
            trusted=self.moment.trusted is not None,
            rule=self.rules.get(slot),
            now=self.now,
        )
        event, after = follow(seen)
        if event is not None:
            self.events.append(replace(event, routine=lies is not None and lies.level is Level.ROUTINE))
        if after != self.ledger.get(slot):
            self.entries[slot] = after
        if after is None:
            self.moments.append(self.now + _TOUCH)  # it may find another place

    def _look_again(self, cues: tuple[Cue, ...], shares: Mapping[str, Share]) -> None:
        for cue in cues:
            self.moments += [cue.slot.start, cue.slot.start + PROMPT, cue.begin, cue.end, cue.end + SETTLE]
        for slot, entry in self.open.items():
            lies = self._lie(slot)
            if slot not in shares and lies is not None:
                self.moments += [lies.start - AHEAD, lies.start + _TOUCH, lies.end]
            self.moments.append(entry.ends)
