"""The key that signs playlists: made at the first start, kept in a file that only its owner can read."""

import os
from pathlib import Path

from broadcaster.errors import CannotStart
from devices.envelope import EnvelopeError, SigningKey


def playlist_key(directory: Path) -> SigningKey:
    """Return the playlist key kept in ``directory``; make it if there is none.

    Boxes pin its public half at enrolment. A lost file means enrolling every box again, so back it up.

    Raises:
        CannotStart: ``data_unwritable``: the file cannot be read, written, or is not a key.
    """
    path = directory / "playlist.pem"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create(path, SigningKey.generate().to_pem())
        return SigningKey.from_pem(path.read_bytes())
    except (OSError, EnvelopeError) as error:
        raise CannotStart(
            "data_unwritable",
            f"The signing key {path} cannot be used: {error}. "
            "Correct its owner and mode, or restore it from the backup.",
            path=str(path),
            reason=str(error),
        ) from error


def _create(path: Path, pem: bytes) -> None:
    """Write the whole key or nothing: a crash must not leave half a key under the name."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
