"""APScheduler: it wakes loops at instants that are derived from the store, and does nothing else.

Jobs are never stored: at each start, and after each plan, they are made from what the store says. A job that
comes late or not at all (a wall clock set back delays one by as much) costs little: every loop also looks by itself.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger

from broadcaster.config import Settings
from broadcaster.flow.decide import ask, open_clashes
from broadcaster.flow.plan import Board
from broadcaster.flow.report import SlotReport, close, next_close
from broadcaster.flow.sign_in import audit_officials
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup

log = logging.getLogger(__name__)

_ROLL: Final = "roll the horizon"
_CLOSE: Final = "close occurrences"
_LOOK_AGAIN_S: Final = 60.0


class Timers:
    """Rolls the horizon at local midnight and closes occurrences after they end."""

    def __init__(self, settings: Settings, store: Store, board: Board) -> None:
        self._grace = timedelta(seconds=settings.report.grace_s)
        self._store = store
        self._board = board
        self._scheduler = AsyncIOScheduler(timezone=settings.station.zone, job_defaults={"misfire_grace_time": None})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the scheduler for the length of a block."""
        self._scheduler.start()
        self._scheduler.add_job(
            self._store.wakeups.wake, CronTrigger(hour=0, minute=0, second=1), (Wakeup.PLAN,), id=_ROLL
        )
        try:
            yield
        finally:
            self._scheduler.shutdown(wait=False)

    async def run(self) -> None:
        """Ask about clashes, close what is over, set the timer for what ends next, wait; until cancelled."""
        with self._store.wakeups.listen(Wakeup.REPORT) as listener:
            while True:
                closed, following = await asyncio.to_thread(self._turn, datetime.now(UTC))
                for each in closed:
                    summary = each.summary
                    log.info(
                        "occurrence closed slot=%s heard=%d partly=%d missed=%d unknown=%d",
                        each.slot.id, summary.heard, summary.partly, summary.missed, summary.unknown,
                    )  # fmt: skip
                self._set(following)
                await listener.wait(_LOOK_AGAIN_S)

    def _turn(self, now: datetime) -> tuple[list[SlotReport], datetime | None]:
        audit_officials(store=self._store, now=now)
        ask(open_clashes(self._board.plans(now), now), store=self._store, now=now)
        closed = close(grace=self._grace, board=self._board, store=self._store, now=now)
        return closed, next_close(grace=self._grace, board=self._board, now=now)

    def _set(self, at: datetime | None) -> None:
        if at is None:
            if self._scheduler.get_job(_CLOSE):
                self._scheduler.remove_job(_CLOSE)
            return
        self._scheduler.add_job(
            self._store.wakeups.wake, DateTrigger(at), (Wakeup.REPORT,), id=_CLOSE, replace_existing=True
        )
