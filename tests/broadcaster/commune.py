"""The commune that the tests of the server speak to: Trần Đề, its officials, its poles, its boxes and sounds."""

import hashlib
import io
import math
import struct
import wave
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from audio.library import Library
from broadcaster.config import Settings
from broadcaster.store.records import Box, Official, Rendition, Role, Session, Sound, SoundState
from broadcaster.store.store import Store
from devices.envelope import SigningKey
from devices.messages import Outcome, Receipt, Receipts, Status
from schedules.zones import Cluster, Zone

NOW = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)
"""Five in the morning of Tuesday 3 March in Trần Đề."""

ZONES = (
    Zone(id="tran-de", name="Huyện Trần Đề", kind="huyện"),
    Zone(id="lich-hoi-thuong", name="Xã Lịch Hội Thượng", kind="xã", parent="tran-de"),
    Zone(id="dai-an-2", name="Xã Đại Ân 2", kind="xã", parent="tran-de"),
    Zone(id="nam-chanh", name="Ấp Nam Chánh", kind="ấp", parent="lich-hoi-thuong"),
    Zone(id="ngan-ro", name="Ấp Ngan Rô", kind="ấp", parent="dai-an-2"),
)
CLUSTERS = (
    Cluster(id="nam-chanh-1", name="Nhà văn hóa", zone="nam-chanh"),
    Cluster(id="nam-chanh-2", name="Chợ", zone="nam-chanh"),
    Cluster(id="ngan-ro-1", name="Chùa", zone="ngan-ro"),
)
ADMIN = Official(id="chu-tich", role=Role.ADMIN, password_hash="never verified", created_at=NOW)
OFFICIAL = Official(id="can-bo", role=Role.OFFICIAL, password_hash="never verified", created_at=NOW)


def settings(directory: Path, **sections: dict[str, object]) -> Settings:
    """Return the defaults with ``directory`` for data and the given sections changed."""
    defaults = Settings()
    asked: dict[str, dict[str, object]] = {"data": {"dir": directory}, **sections}
    told = {
        name: getattr(defaults, name).model_validate({**getattr(defaults, name).model_dump(), **changed})
        for name, changed in asked.items()
    }
    return defaults.model_copy(update=told)


def settle_commune(store: Store) -> None:
    """Add the zones, clusters and officials; each official's token is their name, signed in for a month."""
    definitions = store.definitions
    with definitions.transaction():
        for zone in ZONES:
            definitions.zones.add(zone)
        for cluster in CLUSTERS:
            definitions.clusters.add(cluster)
        for official in (ADMIN, OFFICIAL):
            definitions.officials.add(official)
            definitions.sessions.add(session(official.id, official.id, NOW + timedelta(days=30)))


def session(token: str, official: str, expires_at: datetime) -> Session:
    return Session(id=hashlib.sha256(token.encode()).hexdigest(), official=official, expires_at=expires_at)


def stay_signed_in(store: Store) -> None:
    """Let every session last a year longer."""
    sessions = store.definitions.sessions
    for each in sessions.all():
        sessions.change(each.id, lambda old: replace(old, expires_at=old.expires_at + timedelta(days=365)))


def ready_sound(store: Store, library: Library, name: str = "bulletin", *, seconds: float = 60) -> Sound:
    """Add a sound that is ready, with its rendition on the shelf."""
    content = f"the rendition of {name}".encode() * 40
    with library.receive(limit_bytes=10_000) as incoming:
        incoming.write(content)
        digest = library.keep(incoming, "renditions")
    return store.definitions.sounds.add(
        Sound(
            id=hashlib.sha256(name.encode()).hexdigest(),
            title=name,
            state=SoundState.READY,
            created_at=NOW,
            author=OFFICIAL.id,
            rendition=rendition(digest, size_bytes=len(content), seconds=seconds),
        )
    )


def rendition(digest: str, *, size_bytes: int = 1000, seconds: float = 60) -> Rendition:
    return Rendition(
        digest=digest,
        size_bytes=size_bytes,
        duration=timedelta(seconds=seconds),
        media_type="audio/ogg; codecs=opus",
        loudness_lufs=-16.0,
        peak_dbtp=-1.2,
    )


def waiting_sound(store: Store, name: str = "waiting") -> Sound:
    """Add a recording that nobody has prepared yet."""
    return store.definitions.sounds.add(
        Sound(
            id=hashlib.sha256(name.encode()).hexdigest(),
            title=name,
            state=SoundState.PREPARING,
            created_at=NOW,
            author=OFFICIAL.id,
            size_bytes=1000,
        )
    )


def enrolled(store: Store, cluster: str = "nam-chanh-1", box: str = "box-1") -> SigningKey:
    """Add a box and return its key."""
    key = SigningKey.generate()
    store.definitions.boxes.add(
        Box(id=box, cluster=cluster, public_key=key.public().to_jwk(), software=None, enrolled_at=NOW)
    )
    return key


def receipt(sequence: int, outcome: Outcome, *, at: datetime = NOW, **fields: object) -> Receipt:
    return Receipt.model_validate(
        {"id": f"{sequence:032x}", "sequence": sequence, "at": at, "outcome": outcome} | fields
    )


def receipts(*said: Receipt, box: str = "box-1", cluster: str = "nam-chanh-1", oldest: int = 1) -> Receipts:
    return Receipts(box=box, cluster=cluster, oldest=oldest, receipts=said)


def status(
    *,
    box: str = "box-1",
    cluster: str = "nam-chanh-1",
    at: datetime = NOW,
    online: bool = True,
    playlist: int | None = None,
    playing: str | None = None,
) -> Status:
    return Status(box=box, cluster=cluster, at=at, online=online, playlist=playlist, playing=playing)


def tone(seconds: float = 0.5, *, hertz: float = 440) -> bytes:
    """Return a WAV of a sine: a recording that ffmpeg reads."""
    rate = 8000
    samples = (int(9000 * math.sin(2 * math.pi * hertz * i / rate)) for i in range(int(rate * seconds)))
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return file.getvalue()
