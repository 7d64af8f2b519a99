"""What an attacker's workshop has: documents of every kind, and envelopes put together by hand."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from devices import envelope, messages, times
from devices.envelope import PublicKey, SigningKey
from devices.trust import (
    Pinned,
    Refused,
    accept_acknowledgement,
    accept_beacon,
    accept_from_box,
    accept_playlist,
    accept_time,
)

NOW = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)
SERVER, BOX, MALLORY = SigningKey.generate(), SigningKey.generate(), SigningKey.generate()
PINNED = Pinned(box="box-1", cluster="nam-chanh-1", playlist_keys={SERVER.kid: SERVER.public()})
DIGEST, OTHER_DIGEST = "ab" * 32, "cd" * 32

Json = dict[str, Any]


def b64(content: bytes) -> bytes:
    return urlsafe_b64encode(content).rstrip(b"=")


def unb64(part: bytes) -> bytes:
    return urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def payload_of(raw: bytes) -> Json:
    return dict(json.loads(unb64(raw.split(b".")[1])))


def raw_key(key: SigningKey) -> Ed25519PrivateKey:
    """Return the key for signing what our own ``seal`` would not."""
    found = load_pem_private_key(key.to_pem(), None)
    assert isinstance(found, Ed25519PrivateKey)
    return found


def sign(header: bytes | Json, payload: bytes, key: SigningKey) -> bytes:
    """Sign any header over any payload."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = b64(head) + b"." + b64(payload)
    return signed + b"." + b64(raw_key(key).sign(signed))


def playlist(**changes: Any) -> Json:
    """Return a playlist of one slot, with changes."""
    return {
        "format": 1,
        "cluster": "nam-chanh-1",
        "version": 7,
        "issued": "2026-03-02T21:00:00.000000Z",
        "expires": "2026-03-09T21:00:00.000000Z",
        "start": "2026-03-01T17:00:00.000000Z",
        "end": "2026-03-09T17:00:00.000000Z",
        "volume": 80,
        "renditions": [rendition()],
        "slots": [slot()],
        "rules": rules(),
        **changes,
    }


def rendition(**changes: Any) -> Json:
    return {"digest": DIGEST, "size_bytes": 4096, "duration": 5.0, "url": f"/api/v1/media/{DIGEST}", **changes}


def slot(**changes: Any) -> Json:
    return {
        "id": "bulletin@20260302T220000Z",
        "title": "Bản tin",
        "level": 3,
        "start": "2026-03-02T22:00:00.000000Z",
        "duration": 5.0,
        "items": [{"rendition": DIGEST, "offset": 0.0, "duration": 5.0}],
        **changes,
    }


def rules(**changes: Any) -> Json:
    hours = {"start": "21:00:00", "end": "05:00:00"}
    return {
        "time_zone": "Asia/Ho_Chi_Minh",
        "quiet": [hours],
        "weekdays": [1, 2, 3, 4, 5],
        "longest_session": 900.0,
        "most_a_day": 2700.0,
        "sessions_a_day": 2,
        "gap": 1800.0,
        "loudest": [{**hours, "volume": 40}],
        "holds": [{"kind": "exam", "start": "2026-06-25T00:00:00Z", "end": "2026-06-28T00:00:00Z"}],
        **changes,
    }


def acknowledgement(**changes: Any) -> Json:
    return {"format": 1, "box": "box-1", "through": 3, "at": "2026-03-02T22:00:00Z", **changes}


def status(**changes: Any) -> Json:
    place = {"box": "box-1", "cluster": "nam-chanh-1", "at": "2026-03-02T22:00:00Z"}
    return {"format": 1, **place, "online": True, "playlist": 7, **changes}


def receipts(**changes: Any) -> Json:
    receipt = {"id": "0" * 32, "sequence": 4, "at": "2026-03-02T22:00:00Z", "outcome": "started", "offset": 0.0}
    return {"format": 1, "box": "box-1", "cluster": "nam-chanh-1", "oldest": 4, "receipts": [receipt], **changes}


def time_request(**changes: Any) -> Json:
    return {"format": 1, "box": "box-1", "nonce": "ab" * 16, **changes}


def time(**changes: Any) -> Json:
    instants = {"received": "2026-03-02T22:00:00.001Z", "sent": "2026-03-02T22:00:00.002Z"}
    return {**time_request(), **instants, **changes}


def beacon(**changes: Any) -> Json:
    return {"format": 1, "at": "2026-03-02T22:00:00Z", "session": "cd" * 8, **changes}


@dataclass(frozen=True)
class Door:
    """A kind of document: how it looks, whose signature counts, and what lets it in."""

    typ: str
    document: Callable[..., Json]
    key: SigningKey
    accept: Callable[[bytes], messages.Document]

    @property
    def header(self) -> Json:
        return {"alg": "Ed25519", "typ": self.typ, "kid": self.key.kid}

    def seal(self, document: Json | None = None, *, key: SigningKey | None = None, typ: str | None = None) -> bytes:
        content = json.dumps(self.document() if document is None else document).encode()
        return envelope.seal(content, typ or self.typ, key or self.key)


def _take_playlist(raw: bytes) -> messages.Playlist:
    accepted = accept_playlist(raw, PINNED, held=None, now=NOW)
    assert accepted is not None
    return accepted.playlist


def _take_acknowledgement(raw: bytes) -> messages.Acknowledgement:
    return accept_acknowledgement(raw, PINNED)


def _take_status(raw: bytes) -> messages.Status:
    return accept_from_box(raw, messages.STATUS, messages.Status, box="box-1", key=BOX.public())


def _take_receipts(raw: bytes) -> messages.Receipts:
    return accept_from_box(raw, messages.RECEIPTS, messages.Receipts, box="box-1", key=BOX.public())


def _take_request(raw: bytes) -> times.TimeRequest:
    return accept_from_box(raw, times.TIME_REQUEST, times.TimeRequest, box="box-1", key=BOX.public())


DOORS = (
    Door(messages.PLAYLIST, playlist, SERVER, _take_playlist),
    Door(messages.ACKNOWLEDGEMENT, acknowledgement, SERVER, _take_acknowledgement),
    Door(messages.STATUS, status, BOX, _take_status),
    Door(messages.RECEIPTS, receipts, BOX, _take_receipts),
    Door(times.TIME_REQUEST, time_request, BOX, _take_request),
    Door(times.TIME, time, SERVER, lambda raw: accept_time(raw, PINNED)),
    Door(times.BEACON, beacon, SERVER, lambda raw: accept_beacon(raw, PINNED, newest=None)),
)
PLAYLISTS = DOORS[0]


def public_bytes(key: PublicKey) -> bytes:
    return unb64(key.to_jwk()["x"].encode())


every_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.typ)
"""Run a test on every kind of document."""


def code_of(door: Door, raw: bytes) -> str:
    """Return the code with which ``raw`` is refused."""
    with pytest.raises(Refused) as caught:
        door.accept(raw)
    assert len(str(caught.value)) > 20
    return caught.value.code
