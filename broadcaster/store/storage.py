"""The TinyDB half of ``tiny.py``: a storage over a checked file, and tables whose documents have our ids.

The stored state is a value: the dictionary of tables as TinyDB knows it, never changed in place. A writer
works on a draft that shares all unchanged documents with it, and the draft becomes the state once the file
is on disk. So readers never wait for a writer and see the old state until the new one is safe; and where a
write fails there is nothing to undo.
"""

import json
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tinydb.storages import Storage
from tinydb.table import Table

from broadcaster.store.checked import CheckedFile, Stamp
from broadcaster.store.lock import FileLock
from broadcaster.store.port import Damaged, Unwritable

FORM: Final = "loa-definitions"
VERSION: Final = 1
LONGEST_WAIT_SECONDS: Final = 10.0
"""How long a writer waits for others, in this process and elsewhere, before it gives up."""

Documents = Mapping[str, Mapping[str, Any]]
Tables = dict[str, dict[str, Any]]


class _Printer:
    """Tables as JSON, one line a document; it remembers the lines of documents that did not change.

    Encoding is nine tenths of a write of 1,000 documents, and all but one of them were encoded before.
    """

    def __init__(self) -> None:
        self._lines: dict[int, tuple[object, str]] = {}
        """By identity, with the document itself: while it is held, no other one can have its identity."""

    def print(self, tables: Tables) -> bytes:
        """Return the content of the file for ``tables``."""
        known, self._lines = self._lines, {}
        blocks = []
        for name, documents in tables.items():
            lines = ",\n".join(self._line(known, key, document) for key, document in documents.items())
            blocks.append(f"{_json(name)}: {{\n{lines}\n}}")
        return ("{" + ",\n".join(blocks) + "}").encode()

    def _line(self, known: dict[int, tuple[object, str]], key: str, document: object) -> str:
        entry = known.get(id(document)) or (document, f"{_json(key)}: {_json(document)}")
        self._lines[id(document)] = entry
        return entry[1]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


class CheckedStorage(Storage):
    """TinyDB's storage over a ``CheckedFile``.

    ``write`` only keeps the draft; the file is replaced once, at the end of ``writing``.
    """

    def __init__(self, directory: Path) -> None:
        self._file = CheckedFile(directory / "definitions.json", form=FORM, version=VERSION)
        self._lock = FileLock(directory / "definitions.lock")
        self._mutex = threading.Lock()
        self._printer = _Printer()
        self._writer: int | None = None
        self._draft: Tables = {}
        self._touched = False
        self._state: tuple[Stamp | None, Tables] = (None, {})

    def read(self) -> Tables:
        """Return the tables: the draft for the thread that is writing, the stored state for all others."""
        return self._draft if self.is_writing() else self._newest()

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        """Keep ``data`` as the draft. TinyDB calls this; only inside ``writing``."""
        if not self.is_writing():
            raise RuntimeError("a table was changed outside of writing()")
        self._draft = data
        self._touched = True

    def is_writing(self) -> bool:
        """Answer whether the calling thread is inside ``writing``."""
        return self._writer == threading.get_ident()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Store what the block writes, at its end; nothing if it raises. Inside another one, join it."""
        if self.is_writing():
            yield
            return
        with self._turn(), self._lock.taken(wait_seconds=LONGEST_WAIT_SECONDS):
            self._draft, self._touched = dict(self._newest()), False
            self._writer = threading.get_ident()
            try:
                yield
                if self._touched:
                    self._state = self._file.replace(self._printer.print(self._draft)), self._draft
            finally:
                self._writer, self._draft = None, {}

    def change_count(self) -> int:
        """Return the instant of the last replacement, which rises with each one."""
        return self._file.stamp().written_ns

    def damaged(self, wrong: str) -> Damaged:
        """Return the error for a whole file whose content is ``wrong``, as the end of a sentence."""
        return self._file.damaged(wrong)

    def close(self) -> None:
        """Release the lock file."""
        self._lock.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._mutex.acquire(timeout=LONGEST_WAIT_SECONDS):
            reason = f"another thread has been writing for {LONGEST_WAIT_SECONDS:g} s"
            raise Unwritable(f"{self._file.path} cannot be written: {reason}.", path=self._file.path, reason=reason)
        try:
            yield
        finally:
            self._mutex.release()

    def _newest(self) -> Tables:
        known, tables = self._state
        if self._file.stamp() != known:
            stamp, content = self._file.read()
            tables = json.loads(content) if content is not None else {}
            self._state = stamp, tables
        return tables


class RecordTable(Table):
    """A table whose documents are found by our own ids, and replaced rather than changed."""

    document_id_class = str  # type: ignore[assignment]  # TinyDB lets us choose; its annotation says int

    def documents(self) -> Documents:
        """Return the documents by id, in order of addition, without the copy that ``all`` makes of each."""
        return self._read_table()

    def replace(self, id: str, document: Mapping[str, Any]) -> None:
        """Put ``document`` in the place of the one with this id.

        ``Table.update`` would write into the document that readers are looking at.
        """

        def put(table: MutableMapping[Any, Mapping[str, Any]]) -> None:
            table[id] = document

        self._update_table(put)
