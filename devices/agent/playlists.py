"""The playlist that the box holds: on disk before it counts, and read back through the same gate."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from devices.agent.files import write_whole
from devices.messages import Playlist, RenditionReference
from devices.trust import Held, Pinned, Refused, accept_playlist
from schedules.levels import Level
from schedules.timeline import Slot, SlotItem, Timeline

log = logging.getLogger(__name__)

_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """What a held playlist asks of the box, in the words of the core."""

    version: int
    issued: datetime
    expires: datetime
    since: datetime
    """When the box came to hold it."""
    volume: int
    """Percent of full amplitude."""
    timeline: Timeline
    slots: Mapping[str, Slot]
    """The timeline's slots by id."""
    renditions: Mapping[str, RenditionReference]
    """By digest."""


def agenda_of(playlist: Playlist, *, since: datetime) -> Agenda:
    """Translate a verified playlist."""
    slots = tuple(
        Slot(
            id=slot.id,
            title=slot.title,
            level=Level(slot.level),
            start=slot.start,
            end=slot.start + timedelta(seconds=slot.duration),
            items=tuple(
                SlotItem(
                    rendition=item.rendition,
                    offset=timedelta(seconds=item.offset),
                    duration=timedelta(seconds=item.duration),
                )
                for item in slot.items
            ),
            cut=slot.cut,
        )
        for slot in playlist.slots
    )
    return Agenda(
        version=playlist.version,
        issued=playlist.issued,
        expires=playlist.expires,
        since=since,
        volume=playlist.volume,
        timeline=Timeline(cluster=playlist.cluster, start=playlist.start, end=playlist.end, slots=slots),
        slots={slot.id: slot for slot in slots},
        renditions={reference.digest: reference for reference in playlist.renditions},
    )


class Shelf:
    """Holds one playlist. The inbox writes it; conductor, cache and status read it."""

    def __init__(self, path: Path, pinned: Pinned) -> None:
        self._path = path
        self._pinned = pinned
        self.held: Held | None = None
        self.agenda: Agenda | None = None

    async def load(self) -> None:
        """Take up what was held before the restart.

        An expired playlist is held, too: it makes no sound, but nothing older may take its place.
        """
        try:
            raw = await asyncio.to_thread(self._path.read_bytes)
            held = accept_playlist(raw, self._pinned, held=None, now=_ALWAYS)
        except FileNotFoundError:
            return
        except (OSError, Refused) as error:
            log.error("held playlist cannot be read path=%s error=%s", self._path, error)
            return
        self._hold(held, datetime.fromtimestamp(self._path.stat().st_mtime, UTC))

    async def put(self, raw: bytes, now: datetime) -> bool:
        """Take a playlist from the network; True if it is new, False if it is the held one again.

        Raises:
            Refused: the gate does not let it in; what was held stays.
            OSError: the disk does not take it; what was held stays.
        """
        accepted = accept_playlist(raw, self._pinned, held=self.held, now=now)
        if accepted is self.held:
            return False
        await asyncio.to_thread(write_whole, self._path, raw)
        self._hold(accepted, now)
        return True

    def _hold(self, held: Held, since: datetime) -> None:
        self.agenda = agenda_of(held.playlist, since=since)
        self.held = held
