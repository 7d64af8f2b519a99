"""How the box is, in one look: what its status says. Nothing is invented; what is unknown is absent."""

import shutil
from typing import Final

from devices.agent.cabinet.cabinet import Cabinet
from devices.agent.conduct.player import Player
from devices.agent.conduct.playlists import Shelf
from devices.agent.config import BoxConfig, software
from devices.agent.memory.outbox import Outbox
from devices.agent.supply.cache import Cache
from devices.agent.timing.timekeeper import Timekeeper
from devices.messages import Status

_FREE_S: Final = 5.0
_IN_ONE_LINE: Final = {
    "playlist", "renditions_missing", "playing", "receipts_waiting", "clock_source", "silent", "amplifier", "output"
}  # fmt: skip


class Describing:
    """Reads every part of the box, changes none."""

    def __init__(
        self,
        config: BoxConfig,
        *,
        clock: Timekeeper,
        shelf: Shelf,
        cache: Cache,
        player: Player,
        cabinet: Cabinet,
        outbox: Outbox,
    ) -> None:
        self._config = config
        self._clock = clock
        self._shelf = shelf
        self._cache = cache
        self._player = player
        self._cabinet = cabinet
        self._outbox = outbox
        self._software = software()
        self._free: int | None = None
        self._free_due = clock.monotonic()

    def status(self) -> Status:
        """Return the status as of now."""
        held, time = self._shelf.held, self._clock.estimate
        return Status(
            box=self._config.pinned.box,
            cluster=self._config.pinned.cluster,
            at=self._clock.now(),
            online=True,
            playlist=held.version if held else None,
            renditions_missing=self._cache.missing if held else None,
            playing=self._player.playing,
            volume=held.volume if held else None,
            slots_refused=len(self._shelf.agenda.refused) if self._shelf.agenda else None,
            receipts_waiting=self._outbox.waiting,
            clock_source=time.source.value,
            clock_doubt=None if time.doubt_s is None else float(f"{time.doubt_s:.2g}"),
            clock_offset=None if time.offset_s is None else round(time.offset_s, 4),
            silent=self._player.silent,
            amplifier=self._cabinet.amplifier,
            temperature_c=self._cabinet.readings.temperature_c,
            supply_v=self._cabinet.readings.supply_v,
            signal_dbm=self._cabinet.readings.signal_dbm,
            free_bytes=self._free_bytes(),
            output=self._player.output[:200],
            software=self._software,
        )

    def line(self) -> str:
        """Return the status in one line, for whoever stands before the box."""
        said = self.status().model_dump(mode="json", include=_IN_ONE_LINE, exclude_none=True)
        return " ".join(f"{name}={value}" for name, value in said.items())

    def _free_bytes(self) -> int | None:
        """Return the free space in whole MiB, asked for now and then."""
        moment = self._clock.monotonic()
        if moment >= self._free_due:
            self._free_due = moment + _FREE_S
            try:
                self._free = shutil.disk_usage(self._config.layout.directory).free >> 20 << 20
            except OSError:
                self._free = None
        return self._free
