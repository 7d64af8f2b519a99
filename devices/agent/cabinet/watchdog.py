"""The line to systemd (sd_notify(3)): that the box is ready, how it is, and that it still lives.

The protocol is one datagram of ``KEY=value`` lines to the socket named in the environment.
"""

import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import Final, Self

from devices.agent.timing.clock import Clock, sleep

log = logging.getLogger(__name__)

EVERY_S: Final = 10.0
"""How often the state is told where nobody asks for a sign of life."""
_SOON_S: Final = 0.02
MOST_SILENT_S: Final = 20.0
"""The player takes a turn every 2 s; one that took none for this long hangs. A commit on a slow card may take seconds,
and SQLite waits up to 5 s for another process that reads the file."""


class Supervisor:
    """Who started the box and watches over it; without one nothing is told to anybody."""

    def __init__(self, address: str = "", *, watchdog_s: float | None = None) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address  # @: Linux's abstract sockets
        self.watchdog_s = watchdog_s
        """Seconds after which it restarts a box that gave no sign of life; None: never."""
        self._failing = False

    @property
    def there(self) -> bool:
        """Whether there is one."""
        return bool(self._address)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Return the supervisor that the environment names; one that watches another process does not watch us."""
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        said = environment.get("WATCHDOG_USEC", "")
        usec = int(said) if ours and said.isdecimal() else 0
        return cls(environment.get("NOTIFY_SOCKET", ""), watchdog_s=usec / 1e6 if usec else None)

    def tell(self, **state: str) -> None:
        """Send the state, such as ``READY="1"``. It waits for nobody, and nobody there is no failure of the box."""
        if not self._address:
            return
        message = "\n".join(f"{key}={' '.join(value.split())}" for key, value in state.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.setblocking(False)
                line.sendto(message.encode(), self._address)
        except OSError as error:
            log.log(logging.DEBUG if self._failing else logging.WARNING, "supervisor not reached error=%s", error)
            self._failing = True
        else:
            self._failing = False


class Watchdog:
    """Tells the supervisor once that the box is ready, and then that it lives for as long as it does."""

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        turned: Callable[[], float | None],
        state: Callable[[], str],
        clock: Clock,
    ) -> None:
        """Bind it.

        Args:
            supervisor: who is told.
            turned: the monotonic moment of the player's last turn; None before its first.
            state: one line for ``systemctl status``.
            clock: of the box.
        """
        self._supervisor = supervisor
        self._turned = turned
        self._state = state
        self._clock = clock
        self._hangs = False

    async def run(self) -> None:
        """Say when the box is ready, then give signs of life until cancelled.

        If the event loop hangs there is none: that is the point.
        """
        while self._turned() is None:
            await sleep(self._clock, _SOON_S)
        self._supervisor.tell(READY="1", STATUS=self._state())
        every_s = min(self._supervisor.watchdog_s / 2, EVERY_S) if self._supervisor.watchdog_s else EVERY_S
        while True:
            self.look(self._clock.monotonic())
            await sleep(self._clock, every_s)

    def look(self, moment: float) -> None:
        """Give a sign of life if the player gave one."""
        turned = self._turned()
        hangs = turned is not None and moment - turned > MOST_SILENT_S
        if hangs and not self._hangs:
            log.error("the player hangs seconds=%.0f", moment - (turned or moment))
        self._hangs = hangs
        if hangs:
            self._supervisor.tell(STATUS="the player hangs")
        else:
            self._supervisor.tell(WATCHDOG="1", STATUS=self._state())
