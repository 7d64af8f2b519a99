"""What the store keeps beside the core's own zones, clusters and programmes."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

__all__ = [
    "Box",
    "Enrolment",
    "Fact",
    "Official",
    "Publication",
    "Rendition",
    "Role",
    "Session",
    "Sound",
    "SoundState",
]


class Role(StrEnum):
    """What an official may do. An admin may do all that an official may."""

    OFFICIAL = "official"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Official:
    """A person who may speak to the commune. ``id`` is the name that they sign in with."""

    id: str
    role: Role
    password_hash: str = field(repr=False)
    created_at: datetime
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in official. ``id`` is the SHA-256 of the bearer token; the token itself is never stored."""

    id: str
    official: str
    expires_at: datetime
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A one-time code that lets one box take a cluster's place. ``id`` is the SHA-256 of the code."""

    id: str
    cluster: str
    expires_at: datetime
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """The enrolled hardware that serves a cluster. ``retired_at`` is set when another box took its place."""

    id: str
    cluster: str
    public_key: dict[str, str]
    software: str | None
    enrolled_at: datetime
    retired_at: datetime | None = None
    revision: int = 1


class SoundState(StrEnum):
    """How far a sound is on its way to a box."""

    PREPARING = "preparing"
    READY = "ready"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """A sound made ready for a box. ``digest`` is its SHA-256; loudness in LUFS, peak in dBTP."""

    digest: str
    size_bytes: int
    duration: timedelta
    media_type: str
    loudness_lufs: float
    peak_dbtp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """An original: a recording named by the SHA-256 of its bytes, words by that of text, voice and rate."""

    id: str
    title: str
    state: SoundState
    created_at: datetime
    author: str
    speech: dict[str, Any] | None = None
    """``{"text", "voice", "rate"}`` for words, None for a recording."""
    size_bytes: int | None = None
    rendition: Rendition | None = None
    refusal: dict[str, Any] | None = None
    """``{"code", "fields"}`` of the domain error that stopped it."""
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened. Facts are appended and never change; ``sequence`` rises by one."""

    sequence: int
    at: datetime
    kind: str
    """Dotted noun and verb, such as ``programme.approved``."""
    subject: str
    """Id of what it happened to."""
    by: str | None
    """The official who caused it; None for the system."""
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The last playlist signed for a cluster: a cache of the plan, and the memory of its version."""

    cluster: str
    version: int
    content: str
    """SHA-256 of what the playlist says apart from version and instants of issue and expiry."""
    issued_at: datetime
    envelope: bytes = field(repr=False)
