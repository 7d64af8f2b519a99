"""The whole store as the flow uses it: definitions, journal, and a wake-up after each write that matters."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from broadcaster.store.port import Definitions, Journal
from broadcaster.store.records import Fact
from broadcaster.wakeups import Wakeup, Wakeups


class _Pending(threading.local):
    """Wake-ups of the transaction that this thread is in; None outside of one."""

    kinds: set[Wakeup] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where facts and definitions live, and who is told that there are new ones."""

    definitions: Definitions
    journal: Journal
    wakeups: Wakeups
    _pending: _Pending = field(default_factory=_Pending)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the writes to definitions inside one, and wake whoever waits for them when they can be seen.

        A loop that is woken before the end would look, see nothing and sleep again.
        """
        kinds: set[Wakeup] = set()
        self._pending.kinds = kinds
        try:
            with self.definitions.transaction():
                yield
        finally:
            self._pending.kinds = None
        self.wakeups.wake(*kinds)

    def record(
        self, kind: str, subject: str, *, by: str | None, at: datetime, wake: tuple[Wakeup, ...] = (), **body: Any
    ) -> Fact:
        """Append a fact and wake ``wake``, and whoever listens for news.

        Inside a transaction it is the last statement: the audit trail then never lacks a change that was
        made, and a change whose fact cannot be written is not made. What is None in ``body`` is left out.
        """
        told = {name: value for name, value in body.items() if value is not None}
        fact = self.journal.append(kind, subject, by=by, at=at, body=told)
        if self._pending.kinds is None:
            self.wakeups.wake(Wakeup.NEWS, *wake)
        else:
            self._pending.kinds |= {Wakeup.NEWS, *wake}
        return fact
