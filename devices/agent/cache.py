"""Renditions on disk, ahead of their slots: soonest first, resumed by range, checked before they count."""

import asyncio
import hashlib
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from devices.agent import web
from devices.agent.clock import Bell, Clock
from devices.agent.files import sync_directory
from devices.agent.loops import backoff
from devices.agent.playlists import Agenda
from devices.messages import RenditionReference

log = logging.getLogger(__name__)

RETRY_FIRST_S: Final = 1.0
RETRY_MOST_S: Final = 300.0
KEPT_S: Final = 3600.0
"""A rendition that no playlist names stays this long: the next version may name it again."""
_LOOK_S: Final = 60.0


class BadRendition(Exception):
    """The bytes are not those that the playlist promised. They have been deleted."""


@dataclass(slots=True)
class _Trial:
    """How often a rendition could not be had, and when it is asked for again (monotonic)."""

    failures: int = 0
    due: float = 0.0


class Cache:
    """Writes ``renditions/``; everyone else reads through ``files``."""

    def __init__(
        self,
        directory: Path,
        server: str,
        *,
        agenda: Callable[[], Agenda | None],
        clock: Clock,
        changed: Callable[[], None],
        rejected: Callable[[str], Awaitable[None]],
    ) -> None:
        self._directory = directory
        self._server = server
        self._agenda = agenda
        self._clock = clock
        self._changed = changed
        self._rejected = rejected
        self._files: dict[str, Path] = {}
        self._trials: dict[str, _Trial] = {}
        self._unnamed: dict[Path, float] = {}
        self._sweep_due = clock.monotonic() + _LOOK_S
        self._reported: set[str] = set()
        self._closing = threading.Event()
        self.bell = Bell()
        """Rings when the playlist has changed."""

    @property
    def files(self) -> Mapping[str, Path]:
        """Verified renditions by digest: what may sound."""
        return self._files

    @property
    def missing(self) -> int:
        """How many renditions of the held playlist are not here yet."""
        agenda = self._agenda()
        return sum(digest not in self._files for digest in agenda.renditions) if agenda else 0

    async def run(self) -> None:
        """Keep fetching what is missing and dropping what nobody names, until cancelled."""
        await asyncio.to_thread(self._directory.mkdir, parents=True, exist_ok=True)
        try:
            while True:
                pause = await self._turn()
                await self.bell.wait(self._clock, pause)
        finally:
            self._closing.set()  # a transfer ends at its next chunk; its thread needs nothing of ours

    async def _turn(self) -> float:
        """Have one rendition more and return the seconds until the next try."""
        agenda = self._agenda()
        if agenda is None:
            return _LOOK_S
        moment = self._clock.monotonic()
        waits = [_LOOK_S]
        for reference in needed(agenda, self._clock.now()):
            if reference.digest in self._files:
                continue
            due = self._trials.setdefault(reference.digest, _Trial()).due
            if due <= moment:
                await self._obtain(reference, agenda)
                return 0.0
            waits.append(due - moment)
        if moment >= self._sweep_due:
            self._sweep_due = moment + _LOOK_S
            for digest in await asyncio.to_thread(self._sweep, agenda, moment):
                self._files.pop(digest, None)
        return min(waits)

    async def _obtain(self, reference: RenditionReference, agenda: Agenda) -> None:
        def proceed() -> bool:
            # A new playlist may need another rendition sooner; this one resumes where it was left.
            return self._agenda() is agenda and not self._closing.is_set()

        digest = reference.digest
        try:
            path = await asyncio.to_thread(obtain, self._server, reference, self._directory, proceed)
        except BadRendition as error:
            self._later(digest, error)
            if digest not in self._reported:
                self._reported.add(digest)
                await self._rejected(digest)
        except (web.WebError, OSError) as error:
            self._later(digest, error)
        else:
            if path is not None:
                self._trials.pop(digest, None)
                self._reported.discard(digest)
                self._files[digest] = path
                self._changed()
                log.info("rendition ready digest=%.12s bytes=%d", digest, reference.size_bytes)

    def _later(self, digest: str, error: Exception) -> None:
        trial = self._trials.setdefault(digest, _Trial())
        pause = backoff(trial.failures, first_s=RETRY_FIRST_S, most_s=RETRY_MOST_S)
        trial.failures += 1
        trial.due = self._clock.monotonic() + pause
        level = logging.WARNING if trial.failures == 1 else logging.DEBUG
        log.log(level, "rendition not fetched digest=%.12s retry_s=%.1f error=%s", digest, pause, error)

    def _sweep(self, agenda: Agenda, moment: float) -> list[str]:
        """Delete what has been unnamed for ``KEPT_S``; return the digests. In a thread, between fetches."""
        dropped = []
        present = [path for path in self._directory.iterdir() if _digest_of(path) not in agenda.renditions]
        self._unnamed = {path: self._unnamed.get(path, moment) for path in present}
        for path, since in list(self._unnamed.items()):
            if moment - since >= KEPT_S:
                path.unlink(missing_ok=True)
                dropped.append(_digest_of(path))
                log.info("rendition dropped digest=%.12s", dropped[-1])
        return dropped


def needed(agenda: Agenda, now: datetime) -> list[RenditionReference]:
    """Return the agenda's renditions, the one that is to be heard soonest first. Pure."""
    order: dict[str, None] = {}
    for slot in agenda.timeline.slots:
        if slot.end > now:
            order.update(dict.fromkeys(item.rendition for item in slot.items))
    order.update(dict.fromkeys(agenda.renditions))
    return [agenda.renditions[digest] for digest in order]


def obtain(server: str, reference: RenditionReference, directory: Path, proceed: Callable[[], bool]) -> Path | None:
    """Return the checked file of a rendition, fetched if need be; None if ``proceed`` said stop. Blocking.

    A file that is here already is checked again, once a start: a worn card may have changed it.

    Raises:
        BadRendition: length or digest is wrong; nothing is left of it.
        web.WebError: it cannot be fetched now; what came is kept for the next try.
        OSError: the disk does not take it.
    """
    path = directory / f"{reference.digest}.opus"
    part = path.with_suffix(".part")
    if path.exists():
        if _fits(path, reference):
            return path
        path.unlink()
        log.warning("rendition on disk was damaged digest=%.12s", reference.digest)
    try:
        if not web.fetch(server, reference.url, part, size_bytes=reference.size_bytes, proceed=proceed):
            return None
    except web.TooLong as error:
        raise BadRendition(str(error)) from error
    if not _fits(part, reference):
        part.unlink()
        raise BadRendition(f"{reference.url} holds other bytes than the playlist promised")
    part.rename(path)
    sync_directory(directory)
    return path


def _fits(path: Path, reference: RenditionReference) -> bool:
    if path.stat().st_size != reference.size_bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == reference.digest


def _digest_of(path: Path) -> str:
    return path.name.partition(".")[0]
