"""The child process of ``test_store_crash.py``: it writes 0, 1, 2 … and says each number that is stored."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from broadcaster.store.journal import SqliteJournal
from broadcaster.store.port import Unwritable
from broadcaster.store.records import Enrolment
from broadcaster.store.tiny import TinyDefinitions
from devices.messages import Outcome, Receipt, Receipts

NOW = datetime(2025, 3, 9, 22, tzinfo=UTC)
T = TypeVar("T")


class Opened(NamedTuple):
    """A store as these tests see it."""

    write: Callable[[int], object]
    held: Callable[[], int]
    """Return how many numbers are held, having checked that they are 0, 1, 2 … without a gap."""
    close: Callable[[], None]


def open_definitions(directory: Path) -> Opened:
    store = TinyDefinitions(directory)

    def held() -> int:
        numbers = [int(record.id) for record in store.enrolments.all()]
        assert numbers == list(range(len(numbers)))
        return len(numbers)

    def write(number: int) -> None:
        store.enrolments.add(Enrolment(id=str(number), cluster="c" * 500, expires_at=NOW))

    return Opened(write, held, store.close)


def open_journal(directory: Path) -> Opened:
    """Number n is a message with receipts 3n+1, 3n+2, 3n+3: all three or none."""
    journal = SqliteJournal(directory / "journal.db")

    def message(number: int) -> Receipts:
        receipts = tuple(
            Receipt(id=f"{sequence:032x}", sequence=sequence, at=NOW, outcome=Outcome.FINISHED)
            for sequence in range(3 * number + 1, 3 * number + 4)
        )
        return Receipts(box="b", cluster="c", oldest=1, receipts=receipts)

    def held() -> int:
        rows = journal.receipts(limit=100_000)
        assert [row[3].sequence for row in rows] == list(range(1, len(rows) + 1))
        if rows:
            assert journal.store_receipts(message(0), received_at=NOW).complete == len(rows)
        assert len(rows) % 3 == 0
        return len(rows) // 3

    def write(number: int) -> None:
        journal.store_receipts(message(number), received_at=NOW)

    return Opened(write, held, journal.close)


STORES = {"definitions": open_definitions, "journal": open_journal}


def say(line: str) -> None:
    """Print a line in one piece."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def stubborn(act: Callable[[], T], said: str) -> T:
    """Return what ``act`` gives, saying each time that the store refuses."""
    while True:
        try:
            return act()
        except Unwritable:
            say(f"refused {said}")


def main(store: str, directory: str, count: str) -> None:
    """Continue with ``count`` numbers, saying each one that is stored."""
    opened = stubborn(lambda: STORES[store](Path(directory)), "opening")
    first = opened.held()
    for number in range(first, first + int(count)):

        def act(number: int = number) -> None:
            assert opened.held() == number
            opened.write(number)

        stubborn(act, str(number))
        say(f"stored {number}")
    stubborn(opened.close, "closing")


if __name__ == "__main__":
    main(*sys.argv[1:])
