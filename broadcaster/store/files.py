"""How the store treats the file system: private files, names that outlive a power cut, its errors as ours."""

import os
from pathlib import Path

from broadcaster.store.port import Unwritable


def open_private(path: str, flags: int) -> int:
    """Return a descriptor of a file that only its owner may read: an ``opener`` for ``open``.

    Root writes in the name of the directory's owner: after ``sudo loa official add`` the server,
    which runs as somebody else, must still be able to read its own data.
    """
    descriptor = os.open(path, flags, 0o600)
    if os.geteuid() == 0:
        owner = Path(path).parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def sync_directory(directory: Path) -> None:
    """Bring the names in ``directory`` to the disk; without it a power cut may undo a rename."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritable(path: Path, error: OSError) -> Unwritable:
    """Return the domain error for what the operating system said about ``path``."""
    reason = error.strerror or str(error)
    return Unwritable(
        f"{path} cannot be written: {reason}. Nothing was changed; make room or give this user "
        f"the right to write in {path.parent}, then try again.",
        path=path,
        reason=reason,
    )
