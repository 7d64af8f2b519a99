"""A box on paper: what it would play and say, without a clock, a disk or a sound."""

from datetime import datetime, timedelta
from pathlib import Path

from devices.agent.conductor import decide
from devices.agent.ledger import Entry, Event
from devices.agent.null import NullOutput
from devices.agent.playlists import Agenda, agenda_of
from devices.messages import Outcome
from tests.devices.agent.conftest import playlist, slot
from tests.fakes.clock import START

A, B = "a" * 64, "b" * 64
FILES = {A: Path("a"), B: Path("b")}


def second(n: float) -> datetime:
    return START + timedelta(seconds=n)


class Box:
    """The player without its loop: a ledger, a silent output and everything that was ever said or sounded."""

    def __init__(self, *, booted: datetime = START) -> None:
        self.booted = booted
        self.output = NullOutput()
        self.ledger: dict[str, Entry] = {}
        self.events: list[Event] = []
        self.next_turn = booted

    def look(self, agenda: Agenda, now: datetime, files: dict[str, Path] | None = None) -> None:
        files = FILES if files is None else files
        heard = self.output.heard(now)
        decision = decide(agenda, self.ledger, heard, files=files, booted=self.booted, now=now)
        assert decision.next_turn > now
        self.events += decision.events
        for slot_, entry in decision.entries.items():
            if entry is None:
                del self.ledger[slot_]
            else:
                self.ledger[slot_] = entry
        self.output.play(decision.cues, now)
        for cue in decision.cues:
            assert self.ledger[cue.slot.id].final is False
            assert cue.end <= min(cue.slot.end, agenda.expires)
        self.next_turn = decision.next_turn

    def run(self, agenda: Agenda, begin: datetime, end: datetime) -> None:
        now = begin
        while now < end:
            self.look(agenda, now)
            now = min(self.next_turn, end)
        self.look(agenda, end)

    def restart(self, now: datetime) -> "Box":
        """What is left after a power cut: the ledger as it is read from disk, everything else gone."""
        other = Box(booted=now)
        other.events = self.events
        other.ledger = {
            id_: Entry(state=entry.state, ends=entry.ends, heard_s=entry.heard_s, resumed=not entry.final)
            for id_, entry in self.ledger.items()
        }
        return other

    def told(self, slot_: str) -> list[tuple[Outcome, str | None]]:
        return [(event.outcome, event.code) for event in self.events if event.slot == slot_]

    def said(self, slot_: str, outcome: Outcome) -> Event:
        (event,) = [event for event in self.events if event.slot == slot_ and event.outcome is outcome]
        return event


def agenda(*slots: tuple[str, float, float], expires: float = 86_400, version: int = 1, since: float = -60) -> Agenda:
    document = playlist(
        *(slot(id_, second(start), (A, length)) for id_, start, length in slots),
        expires=second(expires),
        version=version,
    )
    return agenda_of(document, since=second(since))
