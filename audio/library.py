"""The library: originals and renditions on disk, each named by the SHA-256 of its bytes.

::

    originals/ab/abcdef…    renditions/01/012345…    incoming/…

A file under its digest is complete and lasts: it was written elsewhere, synced and renamed, and its folder
synced. Nothing ever changes it. What is half done lies in ``incoming`` under a lock that ends with its process,
so a sweep can tell work in progress from what a crash left behind.
"""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Final, Literal, get_args

from audio.disk import make_folder, sync_folder, writing
from audio.errors import SoundError

__all__ = ["Incoming", "Kind", "Library", "too_large"]

Kind = Literal["originals", "renditions"]

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Incoming:
    """Bytes on their way into the library, counted and hashed as they are written. For one thread at a time."""

    def __init__(self, file: FileIO, path: Path, limit_bytes: int) -> None:
        self.path = path
        self.size_bytes = 0
        self._file = file
        self._limit_bytes = limit_bytes
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """SHA-256, in lower-case hexadecimal, of what has been written so far."""
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Append ``chunk``, or none of it when that would pass the limit.

        Raises:
            SoundError: ``sound_too_large``; ``library_unwritable``.
        """
        if self.size_bytes + len(chunk) > self._limit_bytes:
            raise too_large(self._limit_bytes)
        with writing(self.path):
            rest = memoryview(chunk)
            while rest:
                rest = rest[self._file.write(rest) :]
        self._hash.update(chunk)
        self.size_bytes += len(chunk)

    def clear(self) -> None:
        """Forget what was written, to write anew."""
        with writing(self.path):
            self._file.seek(0)
            self._file.truncate()
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def sync(self) -> None:
        """Return when the bytes are on disk."""
        with writing(self.path):
            os.fsync(self._file.fileno())


class Library:
    """Originals and renditions under ``dir``. Safe from any thread and from several processes.

    Raises:
        SoundError: ``library_unwritable``, from the constructor and from everything that writes. The site's
            fault (no space, no right to write), never the sender's.
    """

    def __init__(self, dir: Path) -> None:
        self.dir = dir
        self._incoming = dir / "incoming"
        for name in (*get_args(Kind), self._incoming.name):
            make_folder(dir / name)

    @contextmanager
    def receive(self, *, limit_bytes: int) -> Iterator[Incoming]:
        """Give a file to write to. What has not been kept when the block ends is gone.

        Raises:
            SoundError: ``sound_too_large`` from ``write``; ``library_unwritable``.
        """
        with writing(self._incoming):
            descriptor, name = tempfile.mkstemp(dir=self._incoming)
        path = Path(name)
        with FileIO(descriptor, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield Incoming(file, path, limit_bytes)
            finally:
                path.unlink(missing_ok=True)

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Give a folder for intermediate files, on the library's disk; it is gone when the block ends."""
        with writing(self._incoming):
            room = Path(tempfile.mkdtemp(dir=self._incoming))
        lock = os.open(room, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield room
        finally:
            shutil.rmtree(room, ignore_errors=True)
            os.close(lock)

    def keep(self, incoming: Incoming, kind: Kind) -> str:
        """Put what was received on the shelf and return its digest. The same bytes again change nothing."""
        target = self.path(kind, incoming.digest)
        incoming.sync()
        make_folder(target.parent)
        with writing(target):
            if target.exists():
                os.utime(target)  # wanted again: ``sweep`` must spare it as it would a new one
            else:
                incoming.path.rename(target)
            sync_folder(target.parent)
        return incoming.digest

    def path(self, kind: Kind, digest: str) -> Path:
        """Return where the sound lies, or would lie.

        Raises:
            ValueError: ``digest`` is not one. The caller checks what comes from outside.
        """
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"Not a SHA-256 in lower-case hexadecimal: {digest!r}")
        return self.dir / kind / digest[:2] / digest

    def has(self, kind: Kind, digest: str) -> bool:
        """Return whether the sound is on the shelf."""
        return self.path(kind, digest).is_file()

    def size(self, kind: Kind, digest: str) -> int:
        """Return the sound's bytes, or raise ``FileNotFoundError``."""
        return self.path(kind, digest).stat().st_size

    def open(self, kind: Kind, digest: str) -> BufferedReader:
        """Return the sound, open for reading, or raise ``FileNotFoundError``."""
        return self.path(kind, digest).open("rb")

    def verify(self, kind: Kind, digest: str) -> bool:
        """Return whether the file is there and still holds the bytes that it is named after."""
        try:
            with self.open(kind, digest) as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == digest
        except FileNotFoundError:
            return False

    def sweep(self, keep: Collection[str], *, spare: timedelta = timedelta(hours=1)) -> int:
        """Remove the sounds whose digest is not in ``keep`` and what crashes left behind; return how many.

        Sounds younger than ``spare`` stay: the record that will name them may be on its way to the store.
        """
        newest = time.time() - spare.total_seconds()
        wanted = frozenset(keep)
        shelves = (path for kind in get_args(Kind) for path in (self.dir / kind).glob("??/*"))
        doomed = [path for path in shelves if path.name not in wanted and path.stat().st_mtime <= newest]
        with writing(self.dir):
            for path in doomed:
                path.unlink(missing_ok=True)
            return len(doomed) + sum(_remove_if_abandoned(path) for path in self._incoming.iterdir())


def too_large(limit_bytes: int) -> SoundError:
    """Return the error for a file beyond the limit."""
    sentence = f"The file is larger than the {limit_bytes} bytes allowed. Send a shorter or more compressed one."
    return SoundError("sound_too_large", sentence, limit_bytes=limit_bytes)


def _remove_if_abandoned(path: Path) -> bool:
    """Remove an intermediate file or folder, unless a living process holds its lock; return whether it went."""
    try:
        lock = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
