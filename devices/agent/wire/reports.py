"""What goes to the broker: the box's status, and its receipts until the server has stored them."""

import math
import random
from collections.abc import Callable
from typing import Final

from devices import envelope, messages, topics
from devices.agent.memory.outbox import Outbox
from devices.agent.timing.clock import Bell, Clock, sleep
from devices.envelope import SigningKey
from devices.link import Session
from devices.messages import Receipts, Status
from devices.trust import Pinned

STATUS_S: Final = 900.0
"""A status is sent when it has changed, and at least this often; the broker watches the line (decision 12)."""
ROLL_CALL_S: Final = 20.0
"""Within this time a new session of the server is answered, each box at a moment of its own."""
RIDING: Final = (
    "at",
    "session",
    "clock_doubt",
    "clock_offset",
    "free_bytes",
    "temperature_c",
    "supply_v",
    "signal_dbm",
)
"""Figures that always change: they are told with the next status, and are no reason for one."""
CALM_S: Final = 0.25
"""How long a change waits to be told, so that what follows from it goes in the same message: a new playlist
changes the version held, the files missing and the receipts waiting, one after the other. Costs less 4G."""
PATIENCE_FIRST_S: Final = 30.0
PATIENCE_MOST_S: Final = 1800.0
"""How long an acknowledgement is waited for before receipts are sent again: at first, and at most."""


class Reports:
    """Sends over one session at a time; nothing of one session counts in the next."""

    def __init__(
        self, pinned: Pinned, key: SigningKey, *, outbox: Outbox, clock: Clock, describe: Callable[[], Status]
    ) -> None:
        self._pinned = pinned
        self._key = key
        self._outbox = outbox
        self._clock = clock
        self._describe = describe
        self._session: str | None = None
        self._call_due = math.inf
        self._again = False
        """Whether the server has come back: what it has not acknowledged may be lost."""
        self.status_bell = Bell()
        """Rings when the status may have changed."""
        self.receipts_bell = Bell()
        """Rings when there are receipts, or an acknowledgement came."""

    def ring(self) -> None:
        """Something happened on the box."""
        self.status_bell.ring()
        self.receipts_bell.ring()

    def called(self, session: str) -> None:
        """A new session of the server calls the roll: tell the status, though nothing has changed."""
        self._session = session
        self._call_due = self._clock.monotonic() + random.uniform(0.0, ROLL_CALL_S - CALM_S)  # noqa: S311 - no secret
        self._again = True
        self.ring()

    async def tell_status(self, session: Session) -> None:
        """Publish the status now, on change, when called and now and then, until the line falls (``LinkDown``)."""
        told: Status | None = None
        due_at = 0.0
        while True:
            status = self._describe().model_copy(update={"session": self._session})
            moment = self._clock.monotonic()
            if told is None or moment >= min(due_at, self._call_due) or _changed(told, status):
                self._call_due = math.inf
                await self.publish(session, status)
                told, due_at = status, moment + STATUS_S * random.uniform(0.9, 1.0)  # noqa: S311 - no secret
            await self.status_bell.wait(self._clock, min(due_at, self._call_due) - self._clock.monotonic())
            await sleep(self._clock, CALM_S)

    async def publish(self, session: Session, status: Status) -> None:
        """Publish one status, retained."""
        await session.publish(topics.status(self._pinned.box), self.seal(status), retain=True)

    def seal(self, status: Status) -> bytes:
        """Return a status as it goes over the wire; also what the last will is made of."""
        return envelope.seal(status.to_bytes(), messages.STATUS, self._key)

    async def send_receipts(self, session: Session) -> None:
        """Send receipts in order, each once; while they stay unacknowledged the first of them again, now and then.

        A server that is away must not cost a day's 4G: what follows the first message goes again when that one is
        acknowledged. Until the line falls (``LinkDown``).
        """
        sent = 0
        patience = PATIENCE_FIRST_S
        again_at = self._clock.monotonic() + patience
        probe: tuple[int, int] | None = None
        while True:
            moment = self._clock.monotonic()
            if probe is not None and self._outbox.oldest > probe[0]:
                sent, probe, patience = probe[1], None, PATIENCE_FIRST_S
            if self._outbox.last > sent and self._outbox.waiting:
                sent = await self._send(session, after=sent)
                again_at = moment + patience
                continue
            if not self._outbox.waiting:
                patience, self._again = PATIENCE_FIRST_S, False
                again_at = moment + patience
            elif moment >= again_at or self._again:
                patience = PATIENCE_FIRST_S if self._again else min(patience * 2, PATIENCE_MOST_S)
                self._again = False
                probe = self._outbox.oldest, await self._send(session, after=0)
                again_at = moment + patience
                continue
            await self.receipts_bell.wait(self._clock, again_at - moment)
            await sleep(self._clock, CALM_S)

    async def _send(self, session: Session, *, after: int) -> int:
        """Send the next batch and return its last sequence."""
        batch = await self._outbox.batch(after)
        if not batch.receipts:  # acknowledged a moment ago
            return self._outbox.last
        document = Receipts(
            box=self._pinned.box,
            cluster=self._pinned.cluster,
            oldest=batch.oldest,
            receipts=batch.receipts,
            previous=batch.previous,
            dropped=batch.dropped or None,
        )
        sealed = envelope.seal(document.to_bytes(), messages.RECEIPTS, self._key)
        await session.publish(topics.receipts(self._pinned.box), sealed)
        return batch.receipts[-1].sequence


def _changed(told: Status, status: Status) -> bool:
    return status.model_copy(update={name: getattr(told, name) for name in RIDING}) != told
