"""The data directory: fit to be written, and served by one server at a time."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broadcaster.errors import CannotStart


def usable(directory: Path) -> Path:
    """Return ``directory``, made if it is not there, after a look at whether it can be written.

    Raises:
        CannotStart: ``data_unwritable``.
    """
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        if not os.access(directory, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "no permission to write")
    except OSError as error:
        raise CannotStart(
            "data_unwritable",
            f"The data directory {directory} cannot be used: {error.strerror}; correct its owner and mode, "
            "or choose another data.dir (LOA_DATA__DIR).",
            path=str(directory),
            setting="data.dir",
        ) from error
    return directory


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Make sure that one server runs on ``directory``; the kernel gives the lock back however it ends.

    Raises:
        CannotStart: ``data_in_use``.
    """
    with (directory / "server.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotStart(
                "data_in_use",
                f"A server already runs on {directory}; stop it, or choose another data.dir (LOA_DATA__DIR).",
                path=str(directory),
                setting="data.dir",
            ) from error
        yield
