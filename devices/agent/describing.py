"""How the box is, in one look: what its status says. Nothing is invented; what is unknown is absent."""

import shutil
from typing import Final

from devices.agent.cache import Cache
from devices.agent.config import BoxConfig, software
from devices.agent.outbox import Outbox
from devices.agent.player import Player
from devices.agent.playlists import Shelf
from devices.agent.timekeeper import Timekeeper
from devices.messages import Status

_FREE_S: Final = 30.0


class Describing:
    """Reads every part of the box, changes none."""

    def __init__(
        self, config: BoxConfig, *, clock: Timekeeper, shelf: Shelf, cache: Cache, player: Player, outbox: Outbox
    ) -> None:
        self._config = config
        self._clock = clock
        self._shelf = shelf
        self._cache = cache
        self._player = player
        self._outbox = outbox
        self._software = software()
        self._free: int | None = None
        self._free_due = clock.monotonic()

    def status(self) -> Status:
        """Return the status as of now."""
        held = self._shelf.held
        return Status(
            box=self._config.pinned.box,
            cluster=self._config.pinned.cluster,
            at=self._clock.now(),
            online=True,
            playlist=held.playlist.version if held else None,
            renditions_missing=self._cache.missing if held else None,
            playing=self._player.playing,
            volume=held.playlist.volume if held else None,
            slots_refused=len(self._shelf.agenda.refused) if self._shelf.agenda else None,
            receipts_waiting=self._outbox.waiting,
            free_bytes=self._free_bytes(),
            output=self._player.output[:200],
            software=self._software,
        )

    def _free_bytes(self) -> int | None:
        """Return the free space in whole MiB, asked for at most twice a minute: every write is not a new status."""
        moment = self._clock.monotonic()
        if moment >= self._free_due:
            self._free_due = moment + _FREE_S
            try:
                self._free = shutil.disk_usage(self._config.layout.directory).free >> 20 << 20
            except OSError:
                self._free = None
        return self._free
