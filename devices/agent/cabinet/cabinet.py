"""What is around the box in its cabinet: the amplifier, the sensors, and who watches over the box."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

from devices.agent.cabinet.amplifier import Amplifier, Sounding
from devices.agent.cabinet.sensors import Readings, Sensors
from devices.agent.cabinet.watchdog import Supervisor, Watchdog
from devices.agent.settings import Settings
from devices.agent.timing.clock import Clock


class Cabinet:
    """The loops of what is there; what is not there costs nothing and is unknown."""

    def __init__(
        self,
        settings: Settings,
        *,
        sounding: Sounding,
        turned: Callable[[], float | None],
        state: Callable[[], str],
        supervisor: Supervisor,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        """Bind it.

        Args:
            settings: of the box.
            sounding: what sounds and will.
            turned: the monotonic moment of the player's last turn; None before its first.
            state: how the box is, in one line.
            supervisor: who is told that the box lives.
            clock: of the box.
            changed: called when the amplifier is in another state.
        """
        delay = timedelta(milliseconds=settings.sound.delay_ms)
        self._amplifier = Amplifier(settings.amplifier, sounding=sounding, clock=clock, changed=changed, delay=delay)
        self._sensors = Sensors(settings.sensors, clock=clock)
        self._watchdog = Watchdog(supervisor, turned=turned, state=state, clock=clock)
        self._supervisor = supervisor

    @property
    def amplifier(self) -> str | None:
        """``on``, ``off`` or ``failed``; None without one."""
        return self._amplifier.state

    @property
    def readings(self) -> Readings:
        """What the sensors said last."""
        return self._sensors.readings

    def loops(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """Yield the loops to run, each with its name."""
        for name, part in (("amplifier", self._amplifier), ("sensors", self._sensors)):
            if part.there:
                yield name, part.run
        if self._supervisor.there:
            yield "watchdog", self._watchdog.run

    def ring(self) -> None:
        """What will sound may have changed."""
        self._amplifier.bell.ring()

    def leaving(self) -> None:
        """The box was told to end."""
        self._supervisor.tell(STOPPING="1")

    async def leave(self) -> None:
        """Nothing sounds any more: leave the amplifier off."""
        await self._amplifier.leave()
