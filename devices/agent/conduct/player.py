"""The loop that makes the box sound: look, decide, write down, play. It needs only the disk and the clock."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from devices.agent.conduct.airtime import earlier, later
from devices.agent.conduct.conductor import Decision, decide
from devices.agent.conduct.missing import Memory, Moment
from devices.agent.conduct.playlists import Agenda, Shelf
from devices.agent.memory.ledger import Entry, Event, State
from devices.agent.memory.outbox import Outbox
from devices.agent.sound.output import Cue, Heard, Output
from devices.agent.timing.clock import Bell, Clock
from devices.messages import Outcome

log = logging.getLogger(__name__)

LONGEST_WAIT_S: Final = 10.0
"""Time runs on evenly and whatever changes rings the bell; so often it looks nevertheless, and it costs little."""


class Time(Clock, Protocol):
    """What the player asks of the time: see ``timekeeper.Timekeeper``."""

    stepped: timedelta

    @property
    def holding(self) -> bool:
        """While True a step is kept from the clock that sound is laid on."""
        ...

    @holding.setter
    def holding(self, holding: bool) -> None: ...

    @property
    def lag(self) -> timedelta:
        """By how much ``now`` is ahead of the clock that sound is laid on."""
        ...

    @property
    def trusted(self) -> bool:
        """Whether the time is good enough to play by."""
        ...

    def turn(self) -> float:
        """Look at the machine's clocks once; return the seconds within which to look again."""
        ...


class Player:
    """Plays the held playlist through an output and says what was heard."""

    def __init__(
        self,
        output: Output,
        *,
        shelf: Shelf,
        files: Callable[[], Mapping[str, Path]],
        outbox: Outbox,
        clock: Time,
        changed: Callable[[], None],
        distrust: Callable[[str], None] = lambda digest: None,
    ) -> None:
        self._output = output
        self._shelf = shelf
        self._files = files
        self._outbox = outbox
        self._clock = clock
        self._changed = changed
        self._distrust = distrust
        """Told of each rendition that could not be played: its file is checked, and fetched anew if it is damaged."""
        self._booted = self._trusted_at = clock.monotonic()
        self._trusted = clock.trusted
        self._stepped = clock.stepped
        self._broken: frozenset[str] = frozenset()
        self._memory = Memory()
        self._settled: _Seen | None = None
        self._next_turn = clock.now()
        self.turned: float | None = None
        """The monotonic moment of the last turn that came to its end; None before the first."""
        self.playing: str | None = None
        """Id of the slot that sounds, as of the last turn."""
        self.silent: str | None = None
        """Why nothing but emergencies would sound: ``clock``, ``expired``; None where it would. As of the last turn."""
        self.bell = Bell()
        """Rings when playlist, files or output have changed, the clock was set or its trust changed."""

    @property
    def broken(self) -> frozenset[str]:
        """Digests of renditions that turned out not to be playable."""
        return self._broken

    @property
    def output(self) -> str:
        """How the output calls itself."""
        return self._output.name

    async def run(self) -> None:
        """Keep what sounds equal to what should, until cancelled; then note how far a slot came.

        If this fails, what sounds goes on: the output does not need the loop.
        """
        try:
            while True:
                pause = await self.turn()
                self.turned = self._clock.monotonic()
                await self.bell.wait(self._clock, pause)
        except asyncio.CancelledError:
            await self._leave()
            raise

    async def turn(self) -> float:
        """Look once, act, and return the seconds until the next look."""
        self._clock.turn()
        await self._shelf.came_by(self._clock.now())
        now, lag, agenda = self._clock.now(), self._clock.lag, self._shelf.agenda
        self._note_trust(agenda, now)
        if agenda is None:
            return LONGEST_WAIT_S
        await self._refuse_broken(now)
        heard = {slot: later(each, lag) for slot, each in self._output.heard(now - lag).items()}
        seen = _Seen(agenda, dict(self._files()), self._broken, frozenset(heard), self._clock.stepped, self._trusted)
        if seen != self._settled or now >= self._next_turn:
            self._settled = None
            await self._look(seen, heard, now, lag)
            self._settled = seen
        return max(min((self._next_turn - now).total_seconds(), LONGEST_WAIT_S), 0.001)

    async def _look(self, seen: "_Seen", heard: Mapping[str, Heard], now: datetime, lag: timedelta) -> None:
        decision = decide(
            seen.agenda,
            self._outbox.ledger,
            heard,
            files={digest: path for digest, path in seen.files.items() if digest not in seen.broken},
            memory=self._memory,
            moment=self._moment(now, seen.stepped),
        )
        self._memory, self._next_turn = decision.memory, decision.next_turn
        self._stepped = seen.stepped
        if not await self._act(decision, seen, now - lag, lag):
            self._next_turn = now
        self._tell(decision.events)
        if seen.trusted and not self._outbox.unsaved and self._shelf.agenda is seen.agenda:
            await self._shelf.settle()
        playing = next((cue.slot.id for cue in decision.cues if cue.slot.id in heard and now < cue.end), None)
        if playing != self.playing:
            self.playing = playing
            self._changed()

    async def _act(self, decision: Decision, seen: "_Seen", now: datetime, lag: timedelta) -> bool:
        """Silence what may not sound, write down, let the rest begin: never a sound without its line.

        False, and nothing begins, if meanwhile another playlist came, or the time lost or won its trust: look again.
        The output has a time of its own, ``lag`` behind, that takes no step while anything is cued. A step that comes
        while the disk writes is the next look's.
        """
        cues = tuple(earlier(cue, lag) for cue in decision.cues)
        if cues:
            self._clock.holding = True
        if decision.entries or decision.events:
            ledger = self._outbox.ledger
            self._output.play([cue for cue in cues if _is_written(cue, ledger, decision.entries)], now)
            await self._outbox.commit(decision.events, decision.entries)
            if self._shelf.agenda is not seen.agenda or self._clock.trusted is not seen.trusted:
                return False
            now = self._clock.now() - self._clock.lag  # the disk took its time; a slot that is joined begins here
        self._output.play(cues, now)
        if not cues:
            self._clock.holding = False
        return True

    def _moment(self, now: datetime, stepped: timedelta) -> Moment:
        """Return the time of a look. What the clock said before it was set right does not count."""
        elapsed = self._clock.monotonic()
        return Moment(
            now=now,
            booted=now - timedelta(seconds=elapsed - self._booted),
            trusted=now - timedelta(seconds=elapsed - self._trusted_at) if self._trusted else None,
            moved=stepped - self._stepped,
        )

    def _note_trust(self, agenda: Agenda | None, now: datetime) -> None:
        trusted = self._clock.trusted
        if trusted and not self._trusted:
            self._trusted_at = self._clock.monotonic()
        self._trusted = trusted
        silent = None if trusted else "clock"
        if silent is None and agenda is not None and agenda.expires <= now:
            silent = "expired"
        if silent != self.silent:
            self.silent = silent
            self._changed()

    async def _refuse_broken(self, now: datetime) -> None:
        self._broken &= self._files().keys()  # what was taken away comes back whole
        broken = self._output.broken() - self._broken
        if not broken:
            return
        self._broken |= broken
        for digest in sorted(broken):
            self._distrust(digest)
        await self._outbox.commit(
            Event(outcome=Outcome.REFUSED, at=now, code="bad_rendition", rendition=digest, routine=False)
            for digest in sorted(broken)
        )
        self._changed()

    def _tell(self, events: tuple[Event, ...]) -> None:
        for event in events:
            log.info(
                "slot %s slot=%s%s%s%s%s",
                event.outcome,
                event.slot,
                "" if event.offset is None else f" offset={event.offset:.3f}",
                "" if event.late is None else f" late={event.late:.3f}",
                "" if event.heard is None else f" heard={event.heard:.3f}",
                "" if event.code is None else f" code={event.code}",
            )
        if events:
            self._changed()

    async def _leave(self) -> None:
        """Fade out, and keep what was heard of an unfinished slot: it may be joined again after a restart."""
        now = self._clock.now() - self._clock.lag
        heard = self._output.heard(now)
        self._output.play((), now)
        self._clock.holding = False
        entries: dict[str, Entry | None] = {
            slot: replace(entry, heard_s=entry.heard_s + heard[slot].lasted.total_seconds())
            for slot, entry in self._outbox.ledger.items()
            if not entry.final and slot in heard
        }
        for slot, entry in self._outbox.ledger.items():
            if entry.state is State.CUED and not entry.resumed and slot not in heard:
                entries[slot] = None  # nothing of it has sounded: it is as if it had never been cued
        if entries:
            await self._outbox.commit(entries=entries)


class _Seen(NamedTuple):
    """Everything but the time that a look depends on. While it is the same, only time changes the answer."""

    agenda: Agenda
    files: Mapping[str, Path]
    broken: frozenset[str]
    heard: frozenset[str]
    stepped: timedelta
    trusted: bool


def _is_written(cue: Cue, ledger: Mapping[str, Entry], entries: Mapping[str, Entry | None]) -> bool:
    """Return True if the ledger tells of the cue where it lies, so that it may sound before ``entries`` are written."""
    known, new = ledger.get(cue.slot.id), entries.get(cue.slot.id)
    if known is None or new is None or new.state is not State.CUED:
        return known is not None
    return known.shift_s == new.shift_s
