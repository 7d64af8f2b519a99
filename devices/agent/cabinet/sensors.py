"""What the cabinet feels: the last readings of the commands of ``box.toml``. What cannot be read is unknown."""

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from devices.agent import settings
from devices.agent.cabinet import commands
from devices.agent.cabinet.commands import CommandError, Run
from devices.agent.timing.clock import Clock, sleep

log = logging.getLogger(__name__)

STEPS: Final = {"temperature_c": 0.5, "supply_v": 0.1, "signal_dbm": 1.0}
"""What is told is rounded to this: finer is noise, and a status that changes with each reading costs 4G."""
_MOST: Final = 1e6
"""No cabinet has as much of anything: such a number is none."""
_NUMBER: Final = re.compile(r"[-+]?(?:nan\b|inf(?:inity)?\b|(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """The cabinet as of the last round; None is unknown."""

    temperature_c: float | None = None
    supply_v: float | None = None
    signal_dbm: float | None = None


class Sensors:
    """Reads every sensor that has a command, over and over."""

    def __init__(self, asked: settings.Sensors, *, clock: Clock, run: Run = commands.run) -> None:
        pairs = (("temperature_c", asked.temperature), ("supply_v", asked.supply), ("signal_dbm", asked.signal))
        self._commands = {name: command for name, command in pairs if command is not None}
        self._every_s = asked.every_s
        self._clock = clock
        self._run = run
        self._failing: set[str] = set()
        self.readings = Readings()
        """What is known now."""

    @property
    def there(self) -> bool:
        """Whether there is anything to read."""
        return bool(self._commands)

    async def run(self) -> None:
        """Read for ever, until cancelled."""
        while True:
            for name, command in self._commands.items():
                self.readings = replace(self.readings, **{name: await self._read(name, command)})
            await sleep(self._clock, self._every_s)

    async def _read(self, name: str, command: Sequence[str]) -> float | None:
        try:
            value = reading(await self._run(command), STEPS[name])
        except CommandError as error:
            self._note(name, str(error))
            return None
        self._note(name, None if value is not None else f"{command[0]} printed no number")
        return value

    def _note(self, name: str, wrong: str | None) -> None:
        if wrong is not None:
            log.log(logging.DEBUG if name in self._failing else logging.WARNING, "sensor %s unknown: %s", name, wrong)
            self._failing.add(name)
        elif name in self._failing:
            log.info("sensor %s known again", name)
            self._failing.remove(name)


def reading(said: str, step: float) -> float | None:
    """Return the first number in ``said``, rounded to ``step``; None if there is none that a sensor may say."""
    found = _NUMBER.search(said)
    value = float(found[0]) if found else math.nan
    if not abs(value) <= _MOST:  # written so that NaN is refused, too
        return None
    return round(round(value / step) * step, 6) + 0.0  # + 0.0: no minus before a zero
