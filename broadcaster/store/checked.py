"""A JSON file that is whole or refused: a checksum inside, replaced by rename, its former state beside it.

On disk, for ``name``:

* ``name`` — one line with format, version and the SHA-256 of the content, the content, a closing brace:
  together one JSON document, so that any tool can read it. At every instant there is a whole one.
* ``name.1`` — the state before the last replacement: the copy to go back to.
* ``name.new``, ``name.1.new`` — leftovers of a writer that was killed; the next one takes their place.

The caller serialises writers; readers need no lock. ``rename`` onto the file is what makes a state
the present one, and it is done only after the bytes have reached the disk.
"""

import hashlib
import json
import os
import shlex
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from broadcaster.store.files import open_private, sync_directory, unwritable
from broadcaster.store.port import Damaged, StoreError

_END: Final = b"\n}\n"


class Stamp(NamedTuple):
    """What ``stat`` tells of one state of the file; no two states have the same."""

    inode: int
    written_ns: int
    """Time of modification. Each writer makes it higher than the one before, whatever the clock says:
    the kernel's own steps of 4 ms would let two quick writes look the same."""
    size_bytes: int


NO_FILE: Final = Stamp(0, 0, 0)


class CheckedFile:
    """One such file. ``form`` and ``version`` say what its content is; others are refused as foreign."""

    def __init__(self, path: Path, *, form: str, version: int) -> None:
        self.path = path
        self.copy = path.with_name(path.name + ".1")
        self._form = form
        self._version = version

    def stamp(self) -> Stamp:
        """Return the stamp of the present state, ``NO_FILE`` if nothing was ever stored."""
        try:
            return _stamp(self.path.stat())
        except FileNotFoundError:
            return NO_FILE
        except OSError as error:
            raise self._unreadable(error) from error

    def read(self) -> tuple[Stamp, bytes | None]:
        """Return the present state: its stamp and content, None if nothing was ever stored.

        Raises:
            Damaged: the file is torn, foreign, of another version, or gone while its copy is there.
            StoreError: it cannot be read; the system's reason is in the message.
        """
        try:
            with self.path.open("rb") as file:
                stamp = _stamp(os.fstat(file.fileno()))
                data = file.read()
        except FileNotFoundError:
            if self.copy.exists():
                raise self.damaged("is missing") from None
            return NO_FILE, None
        except OSError as error:
            raise self._unreadable(error) from error
        content, wrong = self._unseal(data)
        if content is None:
            raise self.damaged(wrong)
        return stamp, content

    def replace(self, content: bytes) -> Stamp:
        """Make ``content`` (JSON) the present state and return its stamp; the former state becomes the copy.

        Raises:
            Unwritable: no room, no right, a failing disk; the former state is still the present one.
        """
        new = self.path.with_name(self.path.name + ".new")
        former = self.stamp()
        try:
            stamp = self._write(new, self._seal(content), written_ns=max(time.time_ns(), former.written_ns + 1))
            if former != NO_FILE:
                self._keep_copy()
            new.replace(self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            with suppress(OSError):
                self._take_back(new, former)
            raise unwritable(self.path, error) from error
        return stamp

    def _take_back(self, new: Path, former: Stamp) -> None:
        """Undo what a replacement that failed has done, be it all but the fsync of the directory."""
        new.unlink(missing_ok=True)
        if self.stamp() == former:
            return
        if former == NO_FILE:
            self.path.unlink()
        else:
            self.copy.replace(self.path)

    @staticmethod
    def _write(new: Path, data: bytes, *, written_ns: int) -> Stamp:
        with open(new, "wb", opener=open_private) as file:
            file.write(data)
            file.flush()
            os.utime(file.fileno(), ns=(written_ns, written_ns))
            os.fsync(file.fileno())
            return _stamp(os.fstat(file.fileno()))

    def _keep_copy(self) -> None:
        """Give the present state its second name. A link, so that the first one never goes away."""
        link = self.copy.with_name(self.copy.name + ".new")
        # Also needed when the copy is this very file (a writer was killed before its last rename):
        # rename between two names of one file does nothing and leaves both.
        link.unlink(missing_ok=True)
        os.link(self.path, link)
        link.replace(self.copy)

    def _seal(self, content: bytes) -> bytes:
        digest = hashlib.sha256(content).hexdigest()
        header = {"format": self._form, "version": self._version, "sha256": digest, "content": None}
        return json.dumps(header).removesuffix("null}").encode() + b"\n" + content + _END

    def _unseal(self, data: bytes) -> tuple[bytes | None, str]:
        """Return the content, or None and what is wrong with the file, as the end of a sentence."""
        first_line, _, rest = data.partition(b"\n")
        try:
            header = json.loads(first_line + b"null}")
        except (ValueError, RecursionError):
            return None, "is torn, or is not a file of Loa: its first line is not the header that Loa writes"
        if not isinstance(header, dict) or header.get("format") != self._form:
            return None, f"is not a file of Loa: its header does not name the format {self._form}"
        if header.get("version") != self._version:
            return None, f"has version {header.get('version')}, and this Loa reads version {self._version}"
        content = rest.removesuffix(_END)
        if data != self._seal(content):
            return None, "is torn or was changed by hand: its content does not fit its checksum"
        return content, ""

    def _unreadable(self, error: OSError) -> StoreError:
        reason = error.strerror or str(error)
        return StoreError(f"{self.path} cannot be read: {reason}.", path=self.path, reason=reason)

    def damaged(self, wrong: str) -> Damaged:
        """Return the error that says what is ``wrong`` (the end of a sentence), and offers a whole copy."""
        sentence = f"{self.path} {wrong}. Nothing was changed."
        try:
            whole = self._unseal(self.copy.read_bytes())[0] is not None
        except OSError:
            whole = False
        if not whole:
            return Damaged(f"{sentence} There is no good copy beside it: restore it from a backup.", path=self.path)
        command = f"cp {shlex.quote(str(self.copy))} {shlex.quote(str(self.path))}"
        return Damaged(
            f"{sentence} {self.copy} holds the state before the last change; "
            f"to go back to it, stop the server and run: {command}",
            path=self.path,
            copy=self.copy,
        )


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_ino, status.st_mtime_ns, status.st_size)
