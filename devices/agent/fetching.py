"""How a rendition's bytes are had: the port, and the one real way."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from devices.agent import web


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
