"""The server over HTTP: one request, or one file resumed where it broke off. Blocking; call it in a thread.

The standard library does it: another client cost 6 MB of the box's 80, and this one follows no redirects,
so a sound can come from the enrolled server only.
"""

import http.client
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

SILENCE_S: Final = 15.0
"""Longest wait for the next bytes before a transfer counts as broken."""
CHUNK_BYTES: Final = 64 * 1024
_LONGEST_ANSWER: Final = 256 * 1024


class WebError(Exception):
    """The server did not give what was asked for: no line, or another status."""


class TooLong(WebError):
    """The server sends more bytes than the playlist promised."""


class _TooShort(WebError):
    """The server's file ends where ours does, or before."""


def post(server: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Send ``body`` and return status and answer.

    Raises:
        WebError: nobody answers there.
    """
    connection = _connection(server)
    try:
        connection.request("POST", _path(server, path), body, dict(headers))
        with connection.getresponse() as answer:
            return answer.status, answer.read(_LONGEST_ANSWER)
    except (OSError, http.client.HTTPException) as error:
        raise WebError(f"{server} does not answer: {_reason(error)}") from error
    finally:
        connection.close()


def fetch(server: str, path: str, part: Path, *, size_bytes: int, proceed: Callable[[], bool]) -> bool:
    """Bring ``part`` to ``size_bytes``, from where it ends now; return False if ``proceed`` said stop.

    The content is not looked at: whoever uses the file checks length and digest.

    Raises:
        TooLong: ``part`` is removed.
        WebError: what has come so far stays in ``part`` for the next try, unless the server has nothing to add to it.
        OSError: the disk does not take it.
    """
    have = part.stat().st_size if part.exists() else 0
    if have > size_bytes:
        part.unlink()
        have = 0
    if have == size_bytes:
        return True
    connection = _connection(server)
    try:
        with _ask(connection, _path(server, path), have) as answer:
            if _whole(answer, path, have):
                have = 0
            with part.open("r+b" if have else "wb") as file:
                file.seek(have)
                file.truncate()
                return _copy(answer, file.fileno(), size_bytes - have, proceed)
    except (TooLong, _TooShort):
        part.unlink(missing_ok=True)
        raise
    finally:
        connection.close()


def _ask(connection: http.client.HTTPConnection, path: str, have: int) -> http.client.HTTPResponse:
    try:
        connection.request("GET", path, headers={"Range": f"bytes={have}-"} if have else {})
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise WebError(f"the server does not answer: {_reason(error)}") from error


def _whole(answer: http.client.HTTPResponse, path: str, have: int) -> bool:
    """Say whether the answer begins with the first byte: a server without ranges gives all of it.

    Raises:
        WebError: it is no answer to what was asked.
    """
    if answer.status == 416:
        raise _TooShort(f"the server has no more than {have} bytes of {path}")
    if answer.status == 206 and answer.getheader("Content-Range", "").startswith(f"bytes {have}-"):
        return False
    if answer.status != 200:
        raise WebError(f"the server answered {answer.status} for {path}")
    return True


def _copy(answer: http.client.HTTPResponse, file: int, missing: int, proceed: Callable[[], bool]) -> bool:
    while proceed():
        try:
            chunk = answer.read1(CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise WebError(f"the line fell: {_reason(error)}") from error
        if len(chunk) > missing:
            raise TooLong("the server sends more bytes than the playlist promised")
        missing -= _write(file, chunk)
        if not chunk:
            if missing:
                raise WebError(f"the line fell {missing} bytes before the end")
            os.fsync(file)
            return True
    return False


def _write(file: int, chunk: bytes) -> int:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(file, rest) :]
    return len(chunk)


def _connection(server: str) -> http.client.HTTPConnection:
    parts = urlsplit(server)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=SILENCE_S)


def _path(server: str, path: str) -> str:
    return urlsplit(server).path.rstrip("/") + path


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
