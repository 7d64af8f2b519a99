"""A lock between processes, which the kernel frees when its holder dies."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broadcaster.store.files import open_private, unwritable
from broadcaster.store.port import Unwritable

_LOOK_AGAIN_SECONDS: Final = 0.005


class FileLock:
    """An exclusive lock on a file of its own, which is created where it is missing and never removed.

    Each instance excludes every other one, in this process or another. It is not for two threads that
    share an instance: the second would believe that it holds what the first took.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = open(path, "ab", opener=open_private)  # noqa: SIM115 - open as long as this lives
        except OSError as error:
            raise unwritable(path, error) from error

    def try_take(self) -> bool:
        """Take the lock if it is free, and answer whether it was."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise unwritable(self.path, error) from error
        return True

    @contextmanager
    def taken(self, *, wait_seconds: float) -> Iterator[None]:
        """Hold the lock for the block; ``Unwritable`` if others keep it for longer than ``wait_seconds``."""
        deadline = time.monotonic() + wait_seconds
        while not self.try_take():
            if time.monotonic() >= deadline:
                reason = f"another process has held the lock for {wait_seconds:g} s"
                raise Unwritable(f"{self.path} cannot be taken: {reason}.", path=self.path, reason=reason)
            time.sleep(_LOOK_AGAIN_SECONDS)  # flock has no time limit of its own
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release the lock and the file."""
        self._file.close()
