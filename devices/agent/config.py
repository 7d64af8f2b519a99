"""The directory of a box: what lies where, and the one place that reads its identity.

| file | content | written by |
| --- | --- | --- |
| ``box.json`` | the server's URL and ``devices.enrolment.BoxSettings`` | ``enrolment.py``, once |
| ``key.pem`` | the box's private key, for its owner's eyes only | ``enrolment.py``, once |
| ``playlist.jws`` | the held playlist, in the envelope it came in | ``playlists.py`` |
| ``former-playlist.jws`` | what was held before, until its slots were told of | ``conduct/playlists.py`` |
| ``renditions/`` | verified renditions by digest; ``*.part`` while they come | ``cache.py`` |
| ``outbox.db`` | receipts not yet acknowledged, and the ledger of slots | ``outbox.py`` |
| ``clock.json`` | what was last known of the time | ``clockfile.py`` |
| ``box.toml`` | what an installer sets; may be missing | enrolment, then a person |

The one process that runs the box holds a lock on the directory itself: no file is made for it, so a disk that is full
or read-only does not keep the box from starting.
"""

import logging
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from devices.enrolment import BoxSettings
from devices.envelope import EnvelopeError, PublicKey, SigningKey
from devices.link import Address
from devices.trust import Pinned

log = logging.getLogger(__name__)

_OTHERS: Final = 0o077


class BoxError(Exception):
    """The box cannot run or enrol as asked; the message says what to do. ``code`` is stable."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of a box lie."""

    directory: Path

    @property
    def identity(self) -> Path:
        """The server's URL and what it answered at enrolment."""
        return self.directory / "box.json"

    @property
    def key(self) -> Path:
        """The private key in PEM."""
        return self.directory / "key.pem"

    @property
    def playlist(self) -> Path:
        """The held playlist."""
        return self.directory / "playlist.jws"

    @property
    def renditions(self) -> Path:
        """The folder of renditions."""
        return self.directory / "renditions"

    @property
    def outbox(self) -> Path:
        """Receipts and ledger."""
        return self.directory / "outbox.db"

    @property
    def clock(self) -> Path:
        """What was last known of the time."""
        return self.directory / "clock.json"

    @property
    def settings(self) -> Path:
        """What an installer sets."""
        return self.directory / "box.toml"


class Identity(BaseModel):
    """The content of ``box.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    server: str
    settings: BoxSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxConfig:
    """An enrolled box: who it is, whom it trusts, whom it calls."""

    layout: Layout
    server: str
    broker: Address
    pinned: Pinned
    key: SigningKey = field(repr=False)


def load(directory: Path) -> BoxConfig:
    """Read the identity of the box in ``directory``.

    Raises:
        BoxError: ``not_enrolled``, ``broken_identity`` or ``broken_key``.
    """
    layout = Layout(directory)
    identity = _read_identity(layout.identity)
    settings = identity.settings
    try:
        keys = [PublicKey.from_jwk(jwk) for jwk in settings.playlist_keys]
    except EnvelopeError as error:
        raise BoxError("broken_identity", f"{layout.identity} names a key that is none: {error}") from error
    return BoxConfig(
        layout=layout,
        server=identity.server,
        broker=Address(host=settings.broker.host or host_of(identity.server), port=settings.broker.port),
        pinned=Pinned(box=settings.box, cluster=settings.cluster, playlist_keys={key.kid: key for key in keys}),
        key=_read_key(layout.key),
    )


def host_of(server: str) -> str:
    """Return the host in a server's URL.

    Raises:
        BoxError: ``bad_server``: not an http or https URL with a host.
    """
    try:
        parts = urlsplit(server)
        if parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0):
            return parts.hostname
    except ValueError:  # a port that is no number, a broken IPv6 address
        pass
    raise BoxError("bad_server", f"{server!r} is not the URL of a server; it looks like http://192.168.1.10:8000.")


def software() -> str:
    """Return the name and version of this software as it stands in statuses."""
    try:
        return f"loa {version('loa')}"
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "loa"


def _read_identity(path: Path) -> Identity:
    try:
        return Identity.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise BoxError(
            "not_enrolled",
            f"No box is enrolled in {path.parent}. Ask an admin for a code, then run: "
            f"loa box enrol --server URL --code CODE --dir {path.parent}",
        ) from error
    except (OSError, ValidationError) as error:
        raise BoxError(
            "broken_identity",
            f"{path} cannot be used: {error} Restore it, or enrol the box into a new directory.",
        ) from error


def _read_key(path: Path) -> SigningKey:
    """Read the key; a key that others may read is closed to them first: a box must not fall silent for it."""
    try:
        _close_to_others(path)
        return SigningKey.from_pem(path.read_bytes())
    except (OSError, EnvelopeError) as error:
        raise BoxError(
            "broken_key",
            f"{path} cannot be used: {error}. Restore it, or enrol the box into a new directory.",
        ) from error


def _close_to_others(path: Path) -> None:
    mode = path.stat().st_mode
    if not mode & _OTHERS:
        return
    try:
        path.chmod(mode & ~_OTHERS & 0o777)
    except OSError as error:  # a disk that is read-only
        log.warning("key is readable by others and cannot be closed path=%s error=%s", path, error)
    else:
        log.warning("key was readable by others and is closed now path=%s", path)
