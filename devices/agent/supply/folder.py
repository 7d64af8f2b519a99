"""The folder of renditions: ``DIGEST.opus`` when whole, ``DIGEST.part`` while it comes. Blocking: for threads."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from devices.agent.files import sync_directory
from devices.agent.supply.stock import Piece
from devices.messages import RenditionReference

WHOLE: Final = ".opus"
PART: Final = ".part"
_ANY_AMOUNT: Final = 1 << 62
_DAY: Final = timedelta(days=1)


class BadRendition(Exception):
    """The bytes are not those that the playlist promised. They have been deleted."""


def free_bytes(directory: Path) -> int:
    """Return what is free on the disk of ``directory``; more than any disk has if it does not say."""
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return _ANY_AMOUNT


@dataclass(frozen=True, slots=True)
class Survey:
    """What one look at the folder saw."""

    pieces: dict[str, Piece]
    whole: dict[str, int]
    """Digest → bytes of the files that are called whole; some may be damaged."""
    free_bytes: int


class Folder:
    """Has no clock and no playlist. When a rendition was last named, its file's time says, over restarts."""

    def __init__(self, directory: Path, free: Callable[[Path], int]) -> None:
        self._directory = directory
        self._free = free

    def whole(self, digest: str) -> Path:
        """Return where a rendition lies that has been verified."""
        return self._directory / f"{digest}{WHOLE}"

    def part(self, digest: str) -> Path:
        """Return where a rendition lies while it comes."""
        return self._directory / f"{digest}{PART}"

    def survey(self) -> Survey:
        """Look at everything. What is not a rendition's is not ours and is passed over."""
        self._directory.mkdir(parents=True, exist_ok=True)
        pieces: dict[str, Piece] = {}
        whole: dict[str, int] = {}
        for path, status in self._entries():
            named = datetime.fromtimestamp(status.st_mtime, UTC)
            other = pieces.get(path.stem, Piece(0, named))
            pieces[path.stem] = Piece(other.size_bytes + status.st_size, max(other.named, named))
            if path.suffix == WHOLE:
                whole[path.stem] = status.st_size
        return Survey(pieces, whole, self._free(self._directory))

    def verify(self, reference: RenditionReference) -> bool:
        """Say whether a rendition's file holds what the playlist promised; one that holds something else is deleted."""
        path = self.whole(reference.digest)
        try:
            if _fits(path, reference):
                return True
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno != errno.EIO:  # too many open files, say: the file may be as good as ever
                return False
            # A card that cannot be read here: another place on it may be better.
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return False

    def settle(self, reference: RenditionReference, now: datetime) -> Path:
        """Verify what has come, and give it its name.

        Raises:
            BadRendition: the digest is wrong; nothing is left of it.
            OSError: the disk does not take it.
        """
        part, path = self.part(reference.digest), self.whole(reference.digest)
        if not _fits(part, reference):
            part.unlink()
            raise BadRendition(f"{reference.url} holds other bytes than the playlist promised")
        _date(part, now)
        part.rename(path)
        sync_directory(self._directory)
        return path

    def tidy(self, drops: Iterable[str], named: Collection[str], survey: Survey, now: datetime) -> list[OSError]:
        """Delete ``drops``, date what is ``named``; return what the disk refused. Neither is worth failing for."""
        errors: list[OSError] = []
        for digest in drops:
            for path in (self.whole(digest), self.part(digest)):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    errors.append(error)
        for digest in named:
            if digest in survey.whole and now - survey.pieces[digest].named >= _DAY:  # a card takes few writes
                with suppress(OSError):
                    _date(self.whole(digest), now)
        return errors

    def forget(self, digest: str) -> None:
        """Delete what has come of a rendition."""
        with suppress(OSError):
            self.part(digest).unlink(missing_ok=True)

    def _entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self._directory.iterdir():
            if path.suffix in (WHOLE, PART):
                with suppress(OSError):
                    yield path, path.stat()


def _fits(path: Path, reference: RenditionReference) -> bool:
    if path.stat().st_size != reference.size_bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == reference.digest


def _date(path: Path, now: datetime) -> None:
    os.utime(path, (now.timestamp(), now.timestamp()))
