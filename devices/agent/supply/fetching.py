"""How a rendition's bytes are had: the port, the one real way, and what is made of what came."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from devices.agent.supply import web
from devices.agent.supply.folder import BadRendition, Folder
from devices.messages import RenditionReference


class Mended(BadRendition):
    """The bytes are wrong, and some came in an earlier try: a power cut may have spoilt those on this disk."""


class Fetch(Protocol):
    """Brings a file from the server that the box enrolled with."""

    async def __call__(
        self, server: str, path: str, part: Path, *, size_bytes: int, proceed: Callable[[], bool]
    ) -> bool:
        """Bring ``part`` to ``size_bytes``, from where it ends now; return False if ``proceed`` said stop.

        The content is not looked at: whoever uses the file checks length and digest.

        Raises:
            web.TooLong: the server sends more bytes than promised; ``part`` is removed.
            web.WebError: what has come so far stays in ``part`` for the next try.
            OSError: the disk does not take it.
        """
        ...


async def fetch(server: str, path: str, part: Path, *, size_bytes: int, proceed: Callable[[], bool]) -> bool:
    """Fetch over HTTP, in a thread. See ``Fetch``."""
    return await asyncio.to_thread(web.fetch, server, path, part, size_bytes=size_bytes, proceed=proceed)


async def obtain(
    fetch: Fetch,
    server: str,
    reference: RenditionReference,
    folder: Folder,
    *,
    proceed: Callable[[], bool],
    now: Callable[[], datetime],
) -> Path | None:
    """Return the checked file of a rendition, fetched if it is not here; None if ``proceed`` said stop.

    Raises:
        BadRendition: length or digest is wrong; nothing is left of it.
        web.WebError: it cannot be fetched now; what came is kept for the next try.
        OSError: the disk does not take it.
    """
    if await asyncio.to_thread(folder.verify, reference):
        return folder.whole(reference.digest)
    part = folder.part(reference.digest)
    resumed = await asyncio.to_thread(part.exists)
    try:
        if not await fetch(server, reference.url, part, size_bytes=reference.size_bytes, proceed=proceed):
            return None
        return await asyncio.to_thread(folder.settle, reference, now())
    except web.TooLong as error:
        raise BadRendition(str(error)) from error
    except BadRendition as error:
        if resumed:
            raise Mended(str(error)) from error
        raise
