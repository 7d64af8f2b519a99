"""The trust gate: the one door through which bytes from the network may become something that sounds.

Pure: bytes, what is pinned and held, and a time come in; a verified document goes out, or a refusal.
Storing what was accepted is the caller's next step, playing it the one after.

Order of the checks, each before anything behind it is looked at:

1. length, three base64url parts, header exactly ours, right ``typ``   (``devices/envelope.py``)
2. the key is pinned for this role
3. the signature
4. the payload is a document of our major format, every field in its bounds
5. it is meant for this cluster (or this box)
6. slots in order, none overlapping, every rendition named
7. its version is not lower than the one held, and not another document under the same version
8. it has not expired

A beacon goes through 1 to 4 and then 7, by its instant. An answer with the time goes through 1 to 5; whether it was
asked for is looked at where it was asked (``agent/asking.py``): one that comes late is no attack.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

from pydantic import ValidationError

from devices import envelope, messages, times
from devices.envelope import EnvelopeError, PublicKey

Report = TypeVar("Report", messages.Status, messages.Receipts, times.TimeRequest)
Model = TypeVar("Model", bound=messages.Document)

_SET_BACK: Final = timedelta(seconds=2)
"""A server's clock that is corrected by less makes no old beacon of a new one."""
_ROUNDING_S: Final = 1e-6
"""Seconds on the wire are binary fractions of what were microseconds."""


class Refused(Exception):
    """The bytes may not be acted on.

    Attributes:
        code: stable word for the check that failed, as it stands in the receipt.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """What a box learned at enrolment and trusts since: its place, and the keys that may speak to it."""

    box: str
    cluster: str
    playlist_keys: Mapping[str, PublicKey]
    """By ``kid``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is remembered of the playlist that a box holds, once it was translated and stored."""

    version: int
    issued: datetime
    expires: datetime
    volume: int
    """Percent of full amplitude."""
    digest: str
    """SHA-256 of the envelope that it came in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A playlist that has passed the gate, in the envelope that it came in."""

    playlist: messages.Playlist
    raw: bytes = field(repr=False)

    @property
    def held(self) -> Held:
        """Return what is to be remembered of it."""
        said = self.playlist
        digest = hashlib.sha256(self.raw).hexdigest()
        return Held(version=said.version, issued=said.issued, expires=said.expires, volume=said.volume, digest=digest)


def accept_playlist(raw: bytes, pinned: Pinned, *, held: Held | None, now: datetime) -> Accepted | None:
    """Return the playlist in ``raw``, verified, or None if ``raw`` is the held document again.

    Raises:
        Refused: with the code of the first check that failed: ``too_long malformed bad_header wrong_type
            unknown_key bad_signature bad_format wrong_cluster bad_slots rolled_back version_reused expired``.
    """
    if held is not None and hashlib.sha256(raw).hexdigest() == held.digest:
        return None
    playlist = _read(raw, messages.PLAYLIST, messages.Playlist, pinned.playlist_keys)
    if playlist.cluster != pinned.cluster:
        raise Refused("wrong_cluster", f"The playlist is for {playlist.cluster}, this box serves {pinned.cluster}.")
    _check_slots(playlist)
    if held is not None and playlist.version < held.version:
        raise Refused("rolled_back", f"Version {playlist.version} came after version {held.version}.")
    if held is not None and playlist.version == held.version:
        raise Refused("version_reused", f"Another document came under the held version {playlist.version}.")
    if playlist.expires <= now:
        raise Refused("expired", f"The playlist expired at {playlist.expires.isoformat()}.")
    return Accepted(playlist=playlist, raw=raw)


def accept_acknowledgement(raw: bytes, pinned: Pinned) -> messages.Acknowledgement:
    """Return the server's word on which receipts it has stored.

    Raises:
        Refused: as above, or ``wrong_box``.
    """
    document = _read(raw, messages.ACKNOWLEDGEMENT, messages.Acknowledgement, pinned.playlist_keys)
    if document.box != pinned.box:
        raise Refused("wrong_box", f"The acknowledgement is for {document.box}, this is {pinned.box}.")
    return document


def accept_time(raw: bytes, pinned: Pinned) -> times.Time:
    """Return the server's answer to a box that asked for the time.

    Raises:
        Refused: as above, or ``wrong_box``.
    """
    document = _read(raw, times.TIME, times.Time, pinned.playlist_keys)
    if document.box != pinned.box:
        raise Refused("wrong_box", f"The time is told to {document.box}, this is {pinned.box}.")
    return document


def accept_beacon(raw: bytes, pinned: Pinned, *, newest: datetime | None) -> times.Beacon:
    """Return the server's beacon; ``newest`` is the instant of the newest that was accepted.

    Raises:
        Refused: as above, or ``rolled_back``: an old one again, which could make every box speak at will.
    """
    document = _read(raw, times.BEACON, times.Beacon, pinned.playlist_keys)
    if newest is not None and document.at < newest - _SET_BACK:
        raise Refused("rolled_back", f"A beacon of {document.at.isoformat()} came after {newest.isoformat()}.")
    return document


def accept_from_box(raw: bytes, typ: str, model: type[Report], *, box: str, key: PublicKey) -> Report:
    """Return a box's status, receipts or question; ``box`` is the one whose topic it came on.

    Raises:
        Refused: as above, or ``wrong_box``: one box speaks for another.
    """
    document = _read(raw, typ, model, {key.kid: key})
    if document.box != box:
        raise Refused("wrong_box", f"A message on the topic of {box} speaks for {document.box}.")
    return document


def _read(raw: bytes, typ: str, model: type[Model], keys: Mapping[str, PublicKey]) -> Model:
    try:
        key = keys.get(envelope.signer(raw, typ))
        if key is None:
            raise Refused("unknown_key", "The message is signed by a key that this end does not trust.")
        return model.model_validate_json(envelope.unseal(raw, typ, key), strict=True)
    except EnvelopeError as error:
        raise Refused(error.code, str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refused("bad_format", f"The signed document is not of format 1: {where}: {first['msg']}") from error


def _check_slots(playlist: messages.Playlist) -> None:
    known = {rendition.digest for rendition in playlist.renditions}
    end: datetime | None = None
    names: set[str] = set()
    for slot in playlist.slots:
        if end is not None and slot.start < end:
            raise Refused("bad_slots", f"Slot {slot.id} begins before the one ahead of it ends.")
        if slot.id in names:
            raise Refused("bad_slots", f"Two slots are called {slot.id}; the ledger could not tell them apart.")
        _check_items(slot, known)
        names.add(slot.id)
        end = slot.start + timedelta(seconds=slot.duration)


def _check_items(slot: messages.Slot, known: set[str]) -> None:
    free = 0.0
    for item in slot.items:
        if item.rendition not in known:
            raise Refused("bad_slots", f"Slot {slot.id} needs a rendition that the playlist does not name.")
        if item.offset < free - _ROUNDING_S or item.offset + item.duration > slot.duration + _ROUNDING_S:
            raise Refused("bad_slots", f"Slot {slot.id} has items that overlap, or lie outside it.")
        free = item.offset + item.duration
