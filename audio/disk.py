"""Writing so that it lasts, and saying clearly when the disk refuses."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audio.errors import SoundError

__all__ = ["make_folder", "sync_folder", "unwritable", "writing"]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a refusal of the disk inside the block into ``SoundError("library_unwritable")``."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error.errno or 0) from error


def unwritable(path: Path, number: int) -> SoundError:
    """Return the error for ``path`` and the ``errno`` that the system gave; it says what to do."""
    full = number in (errno.ENOSPC, errno.EDQUOT)
    advice = "Free some space on that disk." if full else "Give it a folder that the server may write to."
    reason = os.strerror(number)
    sentence = f"The sound library cannot write {path}: {reason}. {advice}"
    return SoundError("library_unwritable", sentence, path=str(path), reason=reason)


def make_folder(folder: Path) -> None:
    """Make ``folder`` and those above it, if they are missing, so that they survive a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with writing(folder):
        if folder.exists():
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Return when the names in ``folder`` are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
