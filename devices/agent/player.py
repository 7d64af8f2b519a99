"""The loop that makes the box sound: look, decide, write down, play. It needs only the disk and the clock."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from devices.agent.clock import Bell, Clock
from devices.agent.conductor import Decision, decide
from devices.agent.ledger import Entry, Event
from devices.agent.outbox import Outbox
from devices.agent.output import Output
from devices.agent.playlists import Shelf
from devices.messages import Outcome

log = logging.getLogger(__name__)

LONGEST_WAIT_S: Final = 2.0
"""The wall clock may be set while the loop sleeps, so it looks again at least this often."""


class Player:
    """Plays the held playlist through an output and says what was heard."""

    def __init__(
        self,
        output: Output,
        *,
        shelf: Shelf,
        files: Callable[[], Mapping[str, Path]],
        outbox: Outbox,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._output = output
        self._shelf = shelf
        self._files = files
        self._outbox = outbox
        self._clock = clock
        self._changed = changed
        self._booted = clock.now()
        self._broken: frozenset[str] = frozenset()
        self.playing: str | None = None
        """Id of the slot that sounds, as of the last turn."""
        self.bell = Bell()
        """Rings when playlist, files or output have changed."""

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
                pause = await self.turn(self._clock.now())
                await self.bell.wait(self._clock, pause)
        except asyncio.CancelledError:
            await self._leave(self._clock.now())
            raise

    async def turn(self, now: datetime) -> float:
        """Look once, act, and return the seconds until the next look."""
        agenda = self._shelf.agenda
        if agenda is None:
            return LONGEST_WAIT_S
        await self._refuse_broken(now)
        heard = self._output.heard(now)
        files = {digest: path for digest, path in self._files().items() if digest not in self._broken}
        decision = decide(agenda, self._outbox.ledger, heard, files=files, booted=self._booted, now=now)
        await self._act(decision, now)
        self._tell(decision.events)
        playing = next((cue.slot.id for cue in decision.cues if cue.slot.id in heard and now < cue.end), None)
        if playing != self.playing:
            self.playing = playing
            self._changed()
        return max(min((decision.next_turn - now).total_seconds(), LONGEST_WAIT_S), 0.001)

    async def _act(self, decision: Decision, now: datetime) -> None:
        """Silence what may not sound, write down, let the rest begin: never a sound without its line."""
        if decision.entries or decision.events:
            known = self._outbox.ledger
            self._output.play([cue for cue in decision.cues if cue.slot.id in known], now)
            await self._outbox.commit(decision.events, decision.entries)
            now = self._clock.now()  # the disk took its time; a slot that is joined late begins here
        self._output.play(decision.cues, now)

    async def _refuse_broken(self, now: datetime) -> None:
        broken = self._output.broken() - self._broken
        self._broken |= broken
        events = [
            Event(outcome=Outcome.REFUSED, at=now, code="bad_rendition", rendition=digest) for digest in sorted(broken)
        ]
        if events:
            await self._outbox.commit(events)
            self._changed()

    def _tell(self, events: tuple[Event, ...]) -> None:
        for event in events:
            log.info(
                "slot %s slot=%s%s%s%s",
                event.outcome,
                event.slot,
                "" if event.offset is None else f" offset={event.offset:.3f}",
                "" if event.heard is None else f" heard={event.heard:.3f}",
                "" if event.code is None else f" code={event.code}",
            )
        if events:
            self._changed()

    async def _leave(self, now: datetime) -> None:
        """Fade out, and keep what was heard of an unfinished slot: it may be joined again after a restart."""
        heard = self._output.heard(now)
        self._output.play((), now)
        entries: dict[str, Entry | None] = {
            slot: replace(entry, heard_s=entry.heard_s + heard[slot].lasted.total_seconds())
            for slot, entry in self._outbox.ledger.items()
            if not entry.final and slot in heard
        }
        if entries:
            await self._outbox.commit(entries=entries)
