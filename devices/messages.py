"""The documents on the wire, field by field. Both ends build and read them only through this file.

Instants are aware and sent in RFC 3339 UTC with microseconds; durations and offsets are seconds.
A field that is unknown is absent, never invented. Fields that a newer peer adds are kept, not refused;
a new *major* format is refused. ``docs/protocol.md`` tells the same, one table a document.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from devices.values import (
    MOST,
    Code,
    Count,
    Digest,
    Id,
    Instant,
    Level,
    Limit,
    Name,
    Percent,
    Seconds,
    TimeOfDay,
    Version,
    ZoneName,
)

FORMAT: Final = 1
PLAYLIST: Final = "loa-playlist"
STATUS: Final = "loa-status"
RECEIPTS: Final = "loa-receipts"
ACKNOWLEDGEMENT: Final = "loa-acknowledgement"

MOST_SLOTS: Final = 4096
MOST_HOURS: Final = 64
"""Stretches of a day in one list of the rules."""
MOST_HOLDS: Final = 256
MOST_RECEIPTS: Final = 100
"""Receipts in one message; a box with more sends several messages."""
MOST_DROPPED: Final = 256
"""Spans of receipts that left a full box, in one message."""


class Document(BaseModel):
    """What every signed document begins with."""

    model_config = ConfigDict(extra="allow", frozen=True)

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT

    def to_bytes(self) -> bytes:
        """Return the payload to sign: JSON without the fields that are unknown."""
        return self.model_dump_json(exclude_none=True).encode()


class Part(BaseModel):
    """A piece of a document."""

    model_config = ConfigDict(extra="allow", frozen=True)


class RenditionReference(Part):
    """A rendition that a box must hold before a slot needs it."""

    digest: Digest
    size_bytes: Annotated[int, Field(ge=1, le=512 * 1024 * 1024)]
    duration: Seconds
    url: Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$", max_length=200)]
    """A path on the server that the box enrolled with; never another host (``//host``), never upwards (``..``)."""


class SlotItem(Part):
    """One rendition in a slot, ``offset`` seconds after the slot's start, heard for at most ``duration``."""

    rendition: Digest
    offset: Seconds
    duration: Seconds


class Slot(Part):
    """An occurrence as it lies on the cluster's timeline: half-open, ``[start, start + duration)``."""

    id: Name
    title: Name
    level: Level
    start: Instant
    duration: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
    """The longest time it may sound; the box enforces it whatever the file holds."""
    items: Annotated[tuple[SlotItem, ...], Field(min_length=1, max_length=64)]
    cut: Code | None = None
    """Why it ends before its sounds do; absent where it does not."""
    if_late: Code | None = None
    """What a box does that did not begin it on time: ``skip``, ``whole``; absent, or an unknown word: join."""
    within: Annotated[float, Field(gt=0, le=43_200, allow_inf_nan=False)] | None = None
    """Seconds after its start within which it may still begin; for ``whole`` only."""


class Hours(Part):
    """A stretch of every local day, half-open; over midnight where ``end`` is not after ``start``."""

    start: TimeOfDay
    end: TimeOfDay


class Loudest(Hours):
    """The highest volume in some hours."""

    volume: Percent


class Hold(Part):
    """The cluster is silent in ``[start, end)``."""

    kind: Code
    """``exam``, ``funeral``, ``hospital`` or ``other``; who placed it and why is nobody's affair on the wire."""
    start: Instant
    end: Instant


class Rules(Part):
    """What the box keeps by itself, whatever the slots say; emergencies pass. What is absent binds nobody."""

    time_zone: ZoneName
    """Where the clocks of hours, weekdays and days are set."""
    quiet: Annotated[tuple[Hours, ...], Field(max_length=MOST_HOURS)] = ()
    """No slot may touch them."""
    weekdays: Annotated[tuple[Annotated[int, Field(ge=1, le=7)], ...], Field(max_length=7)] | None = None
    """Days of ISO 8601, Monday is 1, on which it may speak."""
    longest_session: Limit | None = None
    most_a_day: Limit | None = None
    sessions_a_day: Annotated[int, Field(ge=0, le=86_400)] | None = None
    gap: Limit | None = None
    """Shortest pause between two sessions."""
    loudest: Annotated[tuple[Loudest, ...], Field(max_length=MOST_HOURS)] = ()
    holds: Annotated[tuple[Hold, ...], Field(max_length=MOST_HOLDS)] = ()


class PlaylistContent(Part):
    """What is said from ``start`` to ``end``; clusters may share it."""

    start: Instant
    end: Instant
    volume: Percent
    renditions: Annotated[tuple[RenditionReference, ...], Field(max_length=MOST_SLOTS)]
    slots: Annotated[tuple[Slot, ...], Field(max_length=MOST_SLOTS)]
    """By start, never overlapping."""
    rules: Rules | None = None
    """Absent: none."""


class PlaylistHead(Document):
    """Whose playlist it is, and how long it may be played."""

    cluster: Id
    version: Version
    issued: Instant
    expires: Instant

    def before(self, content: bytes) -> bytes:
        """Return the payload of the playlist with this head; ``content`` is the JSON of a ``PlaylistContent``."""
        return self.to_bytes()[:-1] + b"," + content[1:]


class Playlist(PlaylistHead, PlaylistContent):
    """What one cluster says: server → boxes, retained, signed."""


class Status(Document):
    """How a box is: box → server, retained, signed by the box. ``online`` false is its last will."""

    box: Id
    cluster: Id
    at: Instant
    online: bool
    playlist: Version | None = None
    """The version held: verified and on disk."""
    renditions_missing: Count | None = None
    """Renditions of that playlist which are not yet on disk."""
    playing: Name | None = None
    """Id of the slot that sounds at ``at``."""
    volume: Percent | None = None
    slots_refused: Count | None = None
    """Slots of that playlist which may not sound by its own rules."""
    receipts_waiting: Count | None = None
    clock_source: Code | None = None
    """Where its time comes from: ``kernel``, ``server``, ``held`` (one of these, earlier), ``battery``, ``none``."""
    clock_doubt: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Seconds by which its time may be wrong; absent where nothing bounds it."""
    clock_offset: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Seconds by which its system clock is ahead of the server's time, or of its own until it has an answer."""
    session: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")] | None = None
    """That of the last beacon it has heard: made after the server's session began, whatever either clock says."""
    silent: Code | None = None
    """Why nothing but emergencies would sound now: ``clock`` (too much doubt), ``expired``, ``no_output``."""
    amplifier: Code | None = None
    """``on``, ``off``, or ``failed``: its command did not work; absent without one."""
    temperature_c: Annotated[float, Field(allow_inf_nan=False)] | None = None
    supply_v: Annotated[float, Field(allow_inf_nan=False)] | None = None
    signal_dbm: Annotated[float, Field(allow_inf_nan=False)] | None = None
    free_bytes: Count | None = None
    output: Name | None = None
    software: Name | None = None


class Outcome(StrEnum):
    """What a receipt says happened."""

    ACCEPTED = "accepted"
    """A playlist was verified and stored."""
    REFUSED = "refused"
    """A message or a sound was refused, or a slot by the local rules; ``code`` says why."""
    STARTED = "started"
    """A slot's first sample went to the output ``offset`` seconds into the slot."""
    FINISHED = "finished"
    """A slot sounded to its end."""
    INTERRUPTED = "interrupted"
    """A slot stopped before its end; ``code`` says why."""
    MISSED = "missed"
    """A slot passed without sounding; ``code`` says why."""


class Receipt(Part):
    """One thing that a box did. ``id`` is made on the box, so the same receipt twice is one receipt."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    sequence: Annotated[int, Field(ge=1, le=MOST)]
    """Counts this box's receipts from 1; what is left out is among ``Receipts.dropped``."""
    at: Instant
    outcome: Outcome
    playlist: Version | None = None
    slot: Name | None = None
    code: Code | None = None
    offset: Seconds | None = None
    """Seconds into the slot at which it began to sound; 0 is on time."""
    heard: Seconds | None = None
    """Seconds of the slot that went to the output."""
    late: Seconds | None = None
    """Seconds after its planned start at which a slot was begun that is heard whole, later; absent: on time."""
    rendition: Digest | None = None


class Dropped(Part):
    """Receipts from ``first`` to ``last`` that will never come: the box held more than it can."""

    first: Annotated[int, Field(ge=1, le=MOST)]
    last: Annotated[int, Field(ge=1, le=MOST)]
    chain: Digest
    """The chain's value after the last of them."""


class Receipts(Document):
    """Receipts that the server has not yet acknowledged: box → server, signed by the box."""

    box: Id
    cluster: Id
    oldest: Annotated[int, Field(ge=1, le=MOST)]
    """Lowest sequence that the box still holds; nothing below it will ever come."""
    receipts: Annotated[tuple[Receipt, ...], Field(min_length=1, max_length=MOST_RECEIPTS)]
    previous: Digest | None = None
    """The chain's value before the first of the receipts, see ``devices/chain.py``."""
    dropped: Annotated[tuple[Dropped, ...], Field(max_length=MOST_DROPPED)] | None = None
    """What is missing among the receipts that are not acknowledged; by sequence."""


class Acknowledgement(Document):
    """How far the server has stored a box's receipts: server → box, retained, signed by the playlist key.

    A PUBACK says that the *broker* has a receipt; while the server is down that is worth nothing.
    """

    box: Id
    through: Count
    """Every receipt with this sequence or a lower one is in the server's store."""
    at: Instant
