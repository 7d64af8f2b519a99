"""The time that the box plays by: the machine's monotonic clock, laid on what there is reason to believe."""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from devices.agent.settings import Time
from devices.agent.timing import reckoning
from devices.agent.timing.clock import Bell, Clock, Machine
from devices.agent.timing.clockfile import ClockFile, Written
from devices.agent.timing.reckoning import Belief, Line, Samples, Seen, Source, reckon, sample, steered

log = logging.getLogger(__name__)

LOOK_S: Final = 10.0
LOOK_HOLDING_S: Final = 1.0
"""How often the clocks are looked at, and how often while something sounds."""
WRITE_S: Final = 300.0
_READING_S: Final = 20e-6
_READINGS: Final = 3
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Estimate:
    """How good the time is."""

    source: Source
    doubt_s: float | None
    """None: nothing bounds it."""
    offset_s: float | None
    """By how much the system clock is ahead of the server's time, where that was measured, else of ours; None: of a
    time that is not known nothing can be ahead."""


@dataclass(frozen=True, slots=True)
class _State:
    """What ``now`` is made of, in one piece: the audio thread reads it while the event loop exchanges it."""

    line: Line
    lag: timedelta


class Timekeeper:
    """The ``Clock`` of the box. It takes no step that nobody notices, and it knows how wrong it may be.

    The best of these is believed: the system clock while the kernel says that it is synchronised; the server's time;
    what was known before of these two, also by an earlier process since the machine was switched on; the system clock
    as it was at the start, if ``settings`` say that a battery keeps it. A source that is two seconds or more behind the
    *floor* is not believed at all. The floor is the newest instant in a signed document, or the last that an
    earlier process wrote down. A document far ahead of all clocks (the server's was wrong when it was signed) raises it
    too: then the server's time, or else nothing, is believed until the clocks get there. A box that is silent and says
    so is better than one that can be made to play what has passed.

    With nothing to believe ``now`` runs on from the floor, and is not ``trusted``.
    """

    def __init__(self, machine: Machine, *, path: Path | None = None, settings: Time | None = None) -> None:
        """Read what was written down.

        Args:
            machine: its clocks.
            path: of ``clock.json``; None: nothing is written or read.
            settings: the installer's; None: the defaults.
        """
        self._machine = machine
        self._file = ClockFile(path) if path else None
        self._settings = settings or Time()
        self.changed: Callable[[], None] = lambda: None
        """Called after a step, and when ``trusted`` or the source has changed."""
        self.stepped = timedelta()
        """The sum of all steps since the start: how far ``now`` is from running on evenly."""
        self._bell = Bell()
        self._holding = False
        self._samples = Samples()
        self._floor = _BEGINNING
        self._held: Belief | None = None
        moment, wall = self._read()
        if self._file and (written := self._file.read()):
            self._floor = written.instant
            self._held = written.held(machine.boot, moment)
        start = Belief(source=Source.BATTERY, line=Line(moment, wall), doubt_s=reckoning.BATTERY_DOUBT_S)
        self._battery = start if self._settings.battery else None
        self._belief = self._reckon(moment, wall)
        self._state = _State(self._target(moment, Line(moment, self._floor)), timedelta())
        self._trusted = self._good(moment)
        self._write_at = moment
        self.sound: Clock = _Sound(self)
        """The clock that sound is laid on: ``now`` without the steps that came while ``holding``."""

    @property
    def holding(self) -> bool:
        """While True a step is kept from ``sound``. The player sets it as long as something sounds."""
        return self._holding

    @holding.setter
    def holding(self, holding: bool) -> None:
        if holding and not self._holding:
            self._bell.ring()
        elif self._state.lag and not holding:
            self._state = replace(self._state, lag=timedelta())
        self._holding = holding

    @property
    def lag(self) -> timedelta:
        """By how much ``now`` is ahead of ``sound``; zero while not ``holding``."""
        return self._state.lag

    @property
    def trusted(self) -> bool:
        """Whether the time was good enough to play by, when the clocks were last looked at."""
        return self._trusted

    @property
    def estimate(self) -> Estimate:
        """How good the time is now."""
        moment, wall = self._read()
        if self._belief is None:
            return Estimate(Source.NONE, None, None)
        reference = self._samples.belief
        right = reference.line.at(moment) if reference else self._state.line.at(moment)
        return Estimate(self._belief.source, self._belief.doubt(moment), (wall - right) / timedelta(seconds=1))

    def now(self) -> datetime:
        """Return the best estimate of the time. Any thread. It goes back by a step only."""
        return self._state.line.at(self._machine.monotonic())

    def sounding(self) -> datetime:
        """Return the time of ``sound``. Any thread."""
        state = self._state
        return state.line.at(self._machine.monotonic()) - state.lag

    def monotonic(self) -> float:
        """Return the machine's monotonic clock. Any thread."""
        return self._machine.monotonic()

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """See ``Clock.wait``."""
        await self._machine.wait(event, seconds)

    def saw(self, at: datetime) -> None:
        """Note the instant of a signed document: it is not earlier than that."""
        self._floor = max(self._floor, at)
        if self.now() < self._floor - (reckoning.SLACK if self._trusted else timedelta()):
            self.turn()

    def measured(self, sent: float, received: float, *, server_received: datetime, server_sent: datetime) -> bool:
        """Note an answer of the server; return whether it is the only one that counts: the first, or all is anew.

        Args:
            sent: ``monotonic`` when the request left.
            received: ``monotonic`` when the answer was here.
            server_received: when the server had the request, by its clock.
            server_sent: when the server signed the answer.
        """
        new = sample(sent, received, server_received=server_received, server_sent=server_sent)
        if new is None:
            return False
        self._samples = self._samples.plus(new)
        alone = self._samples.kept == (new,)
        if alone:  # the server may have taken back what it said
            self._held = None if self._held and self._held.source is Source.SERVER else self._held
        self._floor = max(self._floor, server_sent)
        self.turn()
        return alone

    @property
    def disciplined(self) -> bool:
        """Whether the kernel's clock is believed: then the server is asked rarely."""
        return self._belief is not None and self._belief.source is Source.KERNEL

    def turn(self) -> float:
        """Look at the machine's clocks once; return the seconds within which to look again. Event loop only."""
        moment, wall = self._read()
        before, self._belief = self._belief, self._reckon(moment, wall)
        target = self._target(moment, self._state.line)
        line, step_s = steered(self._state.line, target, moment, at_once=before is None)
        step = timedelta(seconds=step_s)
        self._state = _State(line, self._state.lag + step if self._holding else timedelta())
        trusted, self._trusted = self._trusted, self._good(moment)
        moved = self._source(before) is not self._source(self._belief)
        if moved:
            log.info("clock source=%s before=%s", self._source(self._belief), self._source(before))
        if step:
            self.stepped += step
            self._write_at = moment
            level = logging.WARNING if trusted else logging.INFO
            log.log(level, "clock stepped by_s=%.3f source=%s", step_s, self._source(self._belief))
        if trusted is not self._trusted:
            self._write_at = moment
            log.log(logging.INFO if self._trusted else logging.WARNING, "clock trusted=%s", self._trusted)
        if step or moved or trusted is not self._trusted:
            self._bell.ring()
            self.changed()
        return LOOK_HOLDING_S if self._holding else LOOK_S

    async def run(self) -> None:
        """Look and write down, until cancelled; then write down once more."""
        try:
            while True:
                pause_s = self.turn()
                if self._trusted and self._machine.monotonic() >= self._write_at:
                    self._write_at = self._machine.monotonic() + WRITE_S
                    await self._write()
                await self._bell.wait(self._machine, pause_s)
        except asyncio.CancelledError:
            if self._trusted:
                await self._write()
            raise

    def _read(self) -> tuple[float, datetime]:
        """Return what both clocks show at the same moment: read again if something came between."""
        best, found = math.inf, (0.0, _BEGINNING)
        for _ in range(_READINGS):
            before = self._machine.monotonic()
            wall = self._machine.now()
            after = self._machine.monotonic()
            if after - before < best:
                best, found = after - before, ((before + after) / 2, wall)
            if best <= _READING_S:
                break
        return found

    def _reckon(self, moment: float, wall: datetime) -> Belief | None:
        seen = Seen(
            moment=moment,
            wall=wall,
            kernel_s=self._machine.synchronised(),
            samples=self._samples,
            held=self._held,
            battery=self._battery,
            floor=self._floor,
        )
        belief = reckon(seen)
        if belief is not None and belief.source in (Source.KERNEL, Source.SERVER):
            self._held = belief
        return belief

    def _target(self, moment: float, line: Line) -> Line:
        if self._belief is not None:
            return self._belief.line
        return Line(moment, max(line.at(moment), self._floor))

    def _good(self, moment: float) -> bool:
        return self._belief is not None and self._belief.doubt(moment) <= self._settings.most_doubt_s

    @staticmethod
    def _source(belief: Belief | None) -> Source:
        return belief.source if belief else Source.NONE

    async def _write(self) -> None:
        if self._file is None or self._belief is None:
            return
        moment = self._machine.monotonic()
        written = Written(
            instant=self._state.line.at(moment),
            boot=self._machine.boot,
            monotonic=moment,
            rate=self._belief.line.rate,
            doubt=self._belief.doubt(moment),
            drift=self._belief.drift,
        )
        await self._file.write(written)


class _Sound:
    """The clock under the sound."""

    def __init__(self, keeper: Timekeeper) -> None:
        self._keeper = keeper
        self.monotonic = keeper.monotonic
        self.wait = keeper.wait

    def now(self) -> datetime:
        """Return the time, without the steps that sound must not notice."""
        return self._keeper.sounding()
