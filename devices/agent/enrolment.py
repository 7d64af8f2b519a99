"""How a box takes its place: a key pair made here, a one-time code, and the server's answer on disk."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from devices.agent.config import BoxError, Identity, Layout, host_of, software
from devices.agent.files import write_whole
from devices.agent.supply import web
from devices.enrolment import BoxSettings, EnrolmentRequest
from devices.envelope import SigningKey

_ROOM_BYTES: Final = 8192
"""More than key and identity take."""
_HEADERS: Final = {"Content-Type": "application/json", "Accept": "application/json, application/problem+json"}


def enrol(server: str, code: str, directory: Path) -> BoxSettings:
    """Enrol a new box in ``directory`` and return its place. On failure nothing is left behind.

    Args:
        server: base URL, ``http://host:port``.
        code: the one-time code that an admin was given for this cluster.
        directory: created if missing; must not hold a box yet.

    Raises:
        BoxError: ``already_enrolled``, ``bad_server``, ``bad_code``, ``no_answer``, ``bad_answer``,
            ``directory`` (it cannot be written), or the code of the server's refusal.
    """
    layout = Layout(directory)
    host_of(server)
    if layout.identity.exists() or layout.key.exists():
        raise BoxError(
            "already_enrolled",
            f"A box is enrolled in {directory} already. Choose another directory for a new one.",
        )
    key = SigningKey.generate()
    created = _prepare(directory)
    try:
        settings = _ask(server.rstrip("/"), code.strip(), key)
        identity = Identity(server=server.rstrip("/"), settings=settings)
        write_whole(layout.key, key.to_pem(), mode=0o600)
        write_whole(layout.identity, identity.model_dump_json(indent=2, exclude_none=True).encode())
    except OSError as error:
        _clean(layout, created)
        raise BoxError("directory", f"The box cannot be stored in {directory}: {error}.") from error
    except BoxError:
        _clean(layout, created)
        raise
    return settings


def _prepare(directory: Path) -> bool:
    """Make the directory, with room in it, before the code is spent: a code counts once. True if it was not there."""
    created = not directory.exists()
    probe = directory / ".probe"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_whole(probe, bytes(_ROOM_BYTES))
        probe.unlink()
    except OSError as error:
        if created:
            with suppress(OSError):
                directory.rmdir()
        raise BoxError("directory", f"{directory} cannot be written: {error}.") from error
    return created


def _clean(layout: Layout, created: bool) -> None:
    layout.identity.unlink(missing_ok=True)
    layout.key.unlink(missing_ok=True)
    if created:
        layout.directory.rmdir()


def _ask(server: str, code: str, key: SigningKey) -> BoxSettings:
    try:
        request = EnrolmentRequest(code=code, public_key=key.public().to_jwk(), software=software())
    except ValidationError as error:
        raise BoxError("bad_code", "The code must have 4 to 64 characters.") from error
    try:
        status, answer = web.post(server, "/api/v1/boxes", request.model_dump_json().encode(), _HEADERS)
    except web.WebError as error:
        raise BoxError("no_answer", f"{error}. Is the server running?") from error
    if status != 201:
        raise _refusal(server, status, answer)
    try:
        return BoxSettings.model_validate_json(answer)
    except ValidationError as error:
        raise BoxError("bad_answer", f"{server} is no Loa server of this version: {error}") from error


def _refusal(server: str, status: int, body: bytes) -> BoxError:
    """Return the server's problem (RFC 9457) in its own words."""
    try:
        problem = json.loads(body)
        return BoxError(str(problem.get("code", "refused")), str(problem.get("detail") or problem["title"]))
    except (ValueError, KeyError, AttributeError):
        return BoxError("bad_answer", f"{server} answered {status} and gave no reason. Is it a Loa server?")
