"""``loa box run`` on a machine that was just switched on and has no battery: its system clock is off by ``LOA_OFF_S``
seconds, nothing disciplines it, and nothing that was known of it before is of use."""

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from devices.agent.run import Surroundings, run
from devices.agent.timing.clock import SystemClock
from devices.link import connect


class Machine(SystemClock):
    """Counts from now on, as after a power cut."""

    def __init__(self, off: timedelta) -> None:
        self._off = off
        self._boot = uuid4().hex
        self._switched_on = time.monotonic()

    @property
    def boot(self) -> str:
        return self._boot

    def synchronised(self) -> float | None:
        return None

    def now(self) -> datetime:
        return super().now() + self._off

    def monotonic(self) -> float:
        return super().monotonic() - self._switched_on


async def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("command", nargs=2)
    asked.add_argument("--dir", type=Path)
    asked.add_argument("--output")
    said = asked.parse_args()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    machine = Machine(timedelta(seconds=float(os.environ["LOA_OFF_S"])))
    await run(said.dir, said.output, surroundings=Surroundings(connect=connect, machine=machine), stop=stop)


if __name__ == "__main__":
    asyncio.run(main())
