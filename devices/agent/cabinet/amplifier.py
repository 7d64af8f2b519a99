"""The loop that keeps the amplifier as it should be. The sound never waits for it."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from devices.agent import settings
from devices.agent.cabinet import commands
from devices.agent.cabinet.commands import CommandError, Run
from devices.agent.cabinet.switching import Past, Span, decide
from devices.agent.loops import backoff
from devices.agent.timing.clock import Bell, Clock

log = logging.getLogger(__name__)

LONGEST_WAIT_S: Final = 2.0
"""It looks again at least this often: the clock that sounds are laid on may be corrected while it sleeps."""
RETRY_FIRST_S: Final = 0.5
RETRY_MOST_S: Final = 30.0

Sounding: TypeAlias = Callable[[datetime], tuple[datetime, datetime] | None]
"""Answers when something verified sounds next, as ``switching.sounding`` does."""


class Amplifier:
    """Switches by the commands of ``box.toml``; without them it does nothing and its state is None."""

    def __init__(
        self,
        asked: settings.Amplifier,
        *,
        sounding: Sounding,
        clock: Clock,
        changed: Callable[[], None],
        delay: timedelta = timedelta(),
        run: Run = commands.run,
    ) -> None:
        """Bind it.

        Args:
            asked: what ``box.toml`` says.
            sounding: what sounds and will.
            clock: of the box.
            changed: called when ``state`` is another.
            delay: by which the sound comes later than ``sounding`` says.
            run: runs a command.
        """
        self._asked = asked
        self._sounding = sounding
        self._clock = clock
        self._changed = changed
        self._delay = delay
        self._run = run
        self._past = Past()
        self._tried: bool | None = None
        self._failures = 0
        self._again_at = 0.0
        self.state: str | None = None
        """``on``, ``off``, ``failed``; None before the first command and without one."""
        self.bell = Bell()
        """Rings when what will sound may have changed."""

    @property
    def there(self) -> bool:
        """Whether there is one to switch; without one, ``run`` has nothing to do."""
        return self._asked.on is not None and self._asked.off is not None

    async def run(self) -> None:
        """Keep it as it should be until cancelled. A crash may have left it on: the first look switches, too."""
        self._tried = None
        while True:
            pause = await self.turn(self._clock.now(), self._clock.monotonic())
            await self.bell.wait(self._clock, pause)

    async def turn(self, now: datetime, moment: float) -> float:
        """Look once, switch if need be, and return the seconds until the next look."""
        shift = moment + self._delay.total_seconds()
        found = self._sounding(now)
        spans = [] if found is None else [_span(found, now, shift)]
        wish = decide(spans, self._past, before_s=self._asked.before_s, after_s=self._asked.after_s, moment=moment)
        self._past = wish.past
        if wish.on is not self._tried or (self.state == "failed" and moment >= self._again_at):
            await self._switch(wish.on)
            return 0.0  # the command took its time: look again
        again_at = self._again_at if self.state == "failed" else wish.next_look
        return max(min(again_at, wish.next_look, moment + LONGEST_WAIT_S) - moment, 0.001)

    async def leave(self) -> None:
        """Switch it off for good: the box ends. It takes at most as long as a command may."""
        if self.there:
            await self._switch(False)

    async def _switch(self, on: bool) -> None:
        command = self._asked.on if on else self._asked.off
        assert command is not None
        repeated, self._tried = on is self._tried, on
        try:
            await self._run(command)
        except CommandError as error:
            self._failures = self._failures + 1 if repeated else 1
            level = logging.ERROR if self.state != "failed" else logging.DEBUG
            log.log(level, "amplifier not switched on=%s error=%s", on, error)
            pause = backoff(self._failures - 1, first_s=RETRY_FIRST_S, most_s=RETRY_MOST_S)
            self._again_at = self._clock.monotonic() + pause
            self._become("failed")
        else:
            log.info("amplifier %s", "on" if on else "off")
            self._become("on" if on else "off")

    def _become(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self._changed()


def _span(found: tuple[datetime, datetime], now: datetime, moment: float) -> Span:
    """Return instants as moments, where ``now`` is ``moment``."""
    begin, end = found
    return (begin - now).total_seconds() + moment, (end - now).total_seconds() + moment
