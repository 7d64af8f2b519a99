"""What the server has signed, and when: what every sound is held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from devices import messages
from tests.simulation import slots


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A publication, and when it was signed."""

    cluster: str
    version: int
    at: datetime
    playlist: messages.Playlist
    envelope: bytes

    @cached_property
    def slots(self) -> tuple[tuple[datetime, datetime], ...]:
        """Start and end of every slot, by start."""
        return tuple((slot.start, slots.end_of(slot)) for slot in self.playlist.slots)

    @cached_property
    def forbidden(self) -> frozenset[str]:
        """Ids of the slots that its own rules stop: a mistake of the server."""
        laid = {slot.id: slots.laid(slot) for slot in self.playlist.slots}
        return frozenset(id_ for id_, slot in laid.items() if slots.forbidden(self.playlist, slot) is not None)

    @cached_property
    def _by_id(self) -> Mapping[str, messages.Slot]:
        return {slot.id: slot for slot in self.playlist.slots}

    def slot(self, id_: str) -> messages.Slot | None:
        return self._by_id.get(id_)
