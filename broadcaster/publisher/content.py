"""What a playlist says, made once for all clusters that say the same. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broadcaster.store.records import Rendition
from devices import messages
from devices.envelope import LONGEST_BYTES
from schedules.timeline import Slot, Timeline

_MEDIA: Final = "/api/v1/media/"
_LONGEST: Final = LONGEST_BYTES * 3 // 4 - 1024
"""Bytes of JSON that fit an envelope: base64url makes four of three, and what is not content wants some."""


class _Body(messages.Part):
    start: messages.Instant
    end: messages.Instant
    volume: int
    renditions: tuple[messages.RenditionReference, ...]
    slots: tuple[messages.Slot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A playlist apart from whose it is, its version, and the instants of issue and expiry.

    ``digest`` is the SHA-256 of it: equal content is never published twice.
    """

    start: datetime
    end: datetime
    volume: int
    renditions: tuple[messages.RenditionReference, ...]
    slots: tuple[messages.Slot, ...]
    digest: str


def content_of(timeline: Timeline, volume: int, renditions: Mapping[str, Rendition]) -> Content:
    """Return what a cluster with this timeline and volume (percent) is told.

    If it would be longer than a message may be, its end is brought forward to the start of the first slot that
    does not fit: a shorter horizon, told as such, never a truncated list.

    Args:
        timeline: of any of the clusters that share it.
        volume: percent of full amplitude.
        renditions: by digest; at least those that the timeline needs.
    """
    slots, end = timeline.slots, timeline.end
    while True:
        body = _body(timeline.start, end, volume, slots, renditions)
        text = body.model_dump_json(exclude_none=True).encode()
        if len(text) <= _LONGEST and len(slots) <= messages.MOST_SLOTS:
            break
        fitting = min(len(slots) - 1, messages.MOST_SLOTS, len(slots) * _LONGEST // len(text))
        slots, end = slots[:fitting], slots[fitting].start
    return Content(
        start=body.start,
        end=body.end,
        volume=volume,
        renditions=body.renditions,
        slots=body.slots,
        digest=hashlib.sha256(text).hexdigest(),
    )


def _body(
    start: datetime, end: datetime, volume: int, slots: tuple[Slot, ...], renditions: Mapping[str, Rendition]
) -> _Body:
    needed = sorted({item.rendition for slot in slots for item in slot.items})
    return _Body(
        start=start,
        end=end,
        volume=volume,
        renditions=tuple(_reference(digest, renditions[digest]) for digest in needed),
        slots=tuple(_slot(slot) for slot in slots),
    )


def _reference(digest: str, rendition: Rendition) -> messages.RenditionReference:
    return messages.RenditionReference(
        digest=digest,
        size_bytes=rendition.size_bytes,
        duration=rendition.duration.total_seconds(),
        url=_MEDIA + digest,
    )


def _slot(slot: Slot) -> messages.Slot:
    return messages.Slot(
        id=slot.id,
        title=slot.title,
        level=int(slot.level),
        start=slot.start,
        duration=(slot.end - slot.start).total_seconds(),
        items=tuple(
            messages.SlotItem(
                rendition=item.rendition,
                offset=item.offset.total_seconds(),
                duration=item.duration.total_seconds(),
            )
            for item in slot.items
        ),
        cut=slot.cut,
    )
