"""A box on paper: what it would play and say, without a clock, a disk or a sound."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from devices.agent.conduct.airtime import earlier, later
from devices.agent.conduct.conductor import decide
from devices.agent.conduct.missing import Memory, Moment
from devices.agent.conduct.playlists import Agenda, agenda_of
from devices.agent.memory.ledger import Entry, Event
from devices.agent.sound.null import NullOutput
from devices.agent.sound.output import Cue
from devices.messages import Outcome, Rules
from schedules.lateness import JOIN
from schedules.levels import Level
from tests.devices.agent.conftest import playlist, slot
from tests.fakes.clock import START

A, B = "a" * 64, "b" * 64
FILES = {A: Path("a"), B: Path("b")}
FINALS = {Outcome.FINISHED, Outcome.INTERRUPTED, Outcome.MISSED, Outcome.REFUSED}


def second(n: float) -> datetime:
    return START + timedelta(seconds=n)


@dataclass(frozen=True)
class Piece:
    """What was heard without a break, in the time that passes evenly whatever the clock shows."""

    slot: str
    begin: datetime
    end: datetime
    place: timedelta
    """Into the slot at its beginning."""


class Box:
    """The player without its loop: a ledger, a silent output and everything that was ever said or sounded."""

    def __init__(self, *, booted: datetime = START, trusted: bool = True) -> None:
        self.booted = booted
        self.trusted = booted if trusted else None
        self.output = NullOutput()
        self.ledger: dict[str, Entry] = {}
        self.memory = Memory()
        self.events: list[Event] = []
        self.pieces: list[Piece] = []
        self.next_turn = booted
        self.ahead = timedelta()
        """By how much its clock is ahead of the time that passes evenly."""
        self._moved = timedelta()
        self._lag = timedelta()
        self._holding = False
        self._played = booted

    def look(self, agenda: Agenda, now: datetime, files: dict[str, Path] | None = None) -> None:
        heard = {slot_: later(each, self._lag) for slot_, each in self.output.heard(now - self._lag).items()}
        self._note(now)
        decision = decide(
            agenda,
            self.ledger,
            heard,
            files=FILES if files is None else files,
            memory=self.memory,
            moment=Moment(now=now, booted=self.booted, trusted=self.trusted, moved=self._moved),
        )
        assert decision.next_turn > now
        self._moved, self.memory, self.next_turn = timedelta(), decision.memory, decision.next_turn
        self.events += decision.events
        for slot_, entry in decision.entries.items():
            if entry is None:
                self.ledger.pop(slot_, None)
            else:
                self.ledger[slot_] = entry
        for cue in decision.cues:
            assert self.ledger[cue.slot.id].final is False
            assert cue.slot.start == agenda.slots[cue.slot.id].start + timedelta(
                seconds=self.ledger[cue.slot.id].shift_s
            )
            assert cue.slot.start <= cue.begin < cue.end <= min(cue.slot.end, agenda.expires)
        self._keep_emergencies_first(agenda, decision.cues, now, FILES if files is None else files)
        self.output.play([earlier(cue, self._lag) for cue in decision.cues], now - self._lag)
        self._holding = bool(decision.cues)
        self._lag = self._lag if self._holding else timedelta()

    def _keep_emergencies_first(
        self, agenda: Agenda, cues: tuple[Cue, ...], now: datetime, files: Mapping[str, Path]
    ) -> None:
        """Where an emergency is due that a box may join, and is not over, an emergency sounds."""
        for slot_ in agenda.timeline.slots:
            entry = self.ledger.get(slot_.id)
            if slot_.level is not Level.EMERGENCY or slot_.if_late != JOIN or not slot_.start <= now < slot_.end:
                continue
            if entry is None or entry.final or entry.shift_s or now == slot_.start:
                continue
            if files:
                on_air = [cue.slot.level for cue in cues if cue.begin <= now < cue.end]
                assert on_air == [Level.EMERGENCY]

    def run(self, agenda: Agenda, begin: datetime, end: datetime, files: dict[str, Path] | None = None) -> None:
        now = begin
        while now < end:
            self.look(agenda, now, files)
            now = min(self.next_turn, end)
        self.look(agenda, end, files)

    def set_clock(self, by: timedelta) -> None:
        """The clock is set; whatever the box counted by it is counted by the new one."""
        self._note(self._played + self.ahead)
        self.ahead += by
        self._moved += by
        self._lag += by if self._holding else timedelta()
        self.booted += by
        self.trusted = None if self.trusted is None else self.trusted + by

    def restart(self, now: datetime, *, trusted: bool = True) -> "Box":
        """What is left after a power cut: the ledger as it is read from disk, everything else gone."""
        other = Box(booted=now, trusted=trusted)
        other.events, other.pieces, other.ahead = self.events, self.pieces, self.ahead
        other.ledger = {id_: replace(entry, resumed=not entry.final) for id_, entry in self.ledger.items()}
        other._played = now - self.ahead
        return other

    def _note(self, now: datetime) -> None:
        """Write down what went out since the last look."""
        sound = now - self._lag
        since, self._played = self._played, now - self.ahead
        length = self._played - since
        for slot_, each in self.output.heard(sound).items():
            begin, end = max(each.began, sound - length), min(sound, each.cue.end)
            if begin < end:
                evenly = self._played - sound
                self.pieces.append(Piece(slot_, begin + evenly, end + evenly, begin - each.cue.slot.start))

    def heard_of(self, slot_: str) -> timedelta:
        return sum((piece.end - piece.begin for piece in self.pieces if piece.slot == slot_), timedelta())

    def finals(self, slot_: str) -> list[Outcome]:
        return [event.outcome for event in self.events if event.slot == slot_ and event.outcome in FINALS]

    def told(self, slot_: str) -> list[tuple[Outcome, str | None]]:
        return [(event.outcome, event.code) for event in self.events if event.slot == slot_]

    def said(self, slot_: str, outcome: Outcome) -> Event:
        (event,) = [event for event in self.events if event.slot == slot_ and event.outcome is outcome]
        return event


def agenda(
    *slots: tuple[str, float, float],
    expires: float = 86_400,
    version: int = 1,
    since: float = -60,
    if_late: dict[str, str | float] | None = None,
    emergencies: tuple[str, ...] = (),
    keep: Rules | None = None,
) -> Agenda:
    """Return what slots ask for, each an id, when it begins in seconds after ``START``, and how long it is.

    Args:
        slots: of the rendition ``A``.
        expires: seconds after ``START``.
        version: of the playlist.
        since: when the box came to hold it, seconds after ``START``.
        if_late: slot → ``"skip"``, or the seconds within which it may be played whole.
        emergencies: which of the slots are.
        keep: the local rules.
    """
    said = []
    for id_, start, length in slots:
        late = (if_late or {}).get(id_)
        update = {"if_late": None} if late is None else {"if_late": "skip"}
        if isinstance(late, int | float):
            update = {"if_late": "whole", "within": late}
        level = 1 if id_ in emergencies else 3
        said.append(slot(id_, second(start), (A, length), level=level).model_copy(update=update))
    document = playlist(*said, expires=second(expires), version=version, rules=keep)
    return agenda_of(document, since=second(since))
