"""The line to the broker: kept up whenever it can be. Nothing waits for it, least of all the player."""

import asyncio
import logging
from contextlib import suppress
from typing import Final

from devices import topics
from devices.agent.loops import backoff
from devices.agent.timing.clock import Clock, sleep
from devices.agent.wire.asking import Asking
from devices.agent.wire.inbox import Inbox
from devices.agent.wire.reports import Reports
from devices.link import Address, Connect, LinkDown, Session, Will
from devices.messages import Status
from devices.trust import Pinned

log = logging.getLogger(__name__)

RETRY_FIRST_S: Final = 0.5
RETRY_MOST_S: Final = 60.0
STEADY_S: Final = 30.0
"""A session that held this long was a good one: the next try is a quick one again."""
KEEPALIVE_S: Final = 60
"""The box's heartbeat: after one and a half times this without a byte the broker publishes the will, 90 s; EN 54-16
clause 8.1.3 gives 100 s to show a fault."""
_GOODBYE_S: Final = 2.0


class Line:
    """Keeps one session at a time open and lets inbox and reports use it."""

    def __init__(
        self,
        address: Address,
        pinned: Pinned,
        *,
        connect: Connect,
        inbox: Inbox,
        reports: Reports,
        asking: Asking,
        clock: Clock,
    ) -> None:
        self._address = address
        self._pinned = pinned
        self._connect = connect
        self._inbox = inbox
        self._reports = reports
        self._asking = asking
        self._clock = clock
        self._failures = 0

    async def run(self) -> None:
        """Connect, serve, connect again, until cancelled; then say goodbye."""
        while True:
            began = self._clock.monotonic()
            reason: BaseException | None = None
            try:
                await self._serve()
            except* LinkDown as down:
                reason = down
            while isinstance(reason, BaseExceptionGroup):  # the line fell for several waits at once: one will do
                reason = reason.exceptions[0]
            if self._clock.monotonic() - began >= STEADY_S:
                self._failures = 0
            pause = backoff(self._failures, first_s=RETRY_FIRST_S, most_s=RETRY_MOST_S)
            level = logging.WARNING if self._failures == 0 else logging.DEBUG
            log.log(level, "line down broker=%s:%d reason=%s", self._address.host, self._address.port, reason)
            self._failures += 1
            await sleep(self._clock, pause)

    async def _serve(self) -> None:
        will = Will(topic=topics.status(self._pinned.box), payload=self._reports.seal(self._offline()))
        async with self._connect(
            self._address, client_id=self._pinned.box, will=will, keepalive_s=KEEPALIVE_S
        ) as session:
            await session.subscribe(*self._inbox.topics)
            log.info("line up broker=%s:%d", self._address.host, self._address.port)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._inbox.read(session), name="inbox")
                    tasks.create_task(self._inbox.tell(), name="accepted")
                    tasks.create_task(self._reports.tell_status(session), name="status")
                    tasks.create_task(self._reports.send_receipts(session), name="receipts")
                    tasks.create_task(self._asking.run(session), name="asking")
            except asyncio.CancelledError:
                await self._say_goodbye(session)
                raise

    async def _say_goodbye(self, session: Session) -> None:
        with suppress(LinkDown, TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await self._reports.publish(session, self._offline())

    def _offline(self) -> Status:
        return Status(box=self._pinned.box, cluster=self._pinned.cluster, at=self._clock.now(), online=False)
