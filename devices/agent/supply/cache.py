"""Renditions on disk, ahead of their slots: fetched in their order, resumed by range, checked before they count.

``needs.py`` and ``stock.py`` say what and when, ``folder.py`` knows the disk; here is the loop that does it.
"""

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Final

from devices.agent.conduct.playlists import Agenda
from devices.agent.settings import Storage
from devices.agent.supply import web
from devices.agent.supply.fetching import Fetch, obtain
from devices.agent.supply.folder import BadRendition, Folder, Survey, free_bytes
from devices.agent.supply.needs import needs
from devices.agent.supply.stock import Room, plan
from devices.agent.supply.trials import Trials
from devices.agent.timing.clock import Bell, Clock
from devices.messages import RenditionReference

log = logging.getLogger(__name__)

LOOK_S: Final = 300.0
"""While something is missing, the loop looks again at least this often: the wall clock or the disk may have changed."""
_STEP_S: Final = 1.0
_DAY_S: Final = 86_400.0
_MB: Final = 1_000_000
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


@dataclass(slots=True)
class _Transfer:
    """The one that is on its way."""

    reference: RenditionReference
    wanted: bool = True


class Cache:
    """Writes ``renditions/``; everyone else reads through ``files``."""

    def __init__(
        self,
        directory: Path,
        server: str,
        *,
        box: str,
        storage: Storage,
        agenda: Callable[[], Agenda | None],
        clock: Clock,
        fetch: Fetch,
        changed: Callable[[], None],
        rejected: Callable[[str], Awaitable[None]],
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._folder = Folder(directory, free)
        self._server = server
        self._budget_bytes = storage.budget_mb * _MB
        self._keep_free_bytes = storage.keep_free_mb * _MB
        self._agenda = agenda
        self._clock = clock
        self._fetch = fetch
        self._changed = changed
        self._rejected = rejected
        self._files: dict[str, Path] = {}
        self._doubted: set[str] | None = None  # on disk, to be checked; None: the disk has not been looked at
        self._checks: list[RenditionReference] = []
        self._trials = Trials(box)
        self._transfer: _Transfer | None = None
        self._task: asyncio.Task[None] | None = None
        self._seen: Agenda | None = None
        self._look_due = -inf
        self._offset_s = 0.0
        self._full = False
        self._stuck = False
        self.bell = Bell()
        """Rings when the playlist has changed, or the time."""

    @property
    def files(self) -> Mapping[str, Path]:
        """Verified renditions by digest: what may sound."""
        return self._files

    @property
    def missing(self) -> int:
        """How many renditions that the held playlist still needs are not here, or not yet verified."""
        agenda = self._agenda()
        return sum(need.digest not in self._files for need in needs(agenda, self._clock.now())) if agenda else 0

    def distrust(self, digest: str) -> None:
        """Check a verified rendition again, because it could not be played, and fetch it anew if it is damaged.

        Until its check fails it stays in ``files``; it comes back there when it is whole again.
        """
        if self._doubted is not None and digest in self._files:
            self._doubted.add(digest)
            self._look_soon()

    async def run(self) -> None:
        """Keep fetching what is missing and dropping what finds no room, until cancelled."""
        try:
            while True:
                pause = await self._turn()
                await self.bell.wait(self._clock, pause)
        finally:
            await self._stop()

    async def _stop(self) -> None:
        if self._transfer is not None:
            self._transfer.wanted = False  # a thread ends at its next chunk; it needs nothing of ours
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._transfer = self._task = None
        self._look_due = -inf

    async def _turn(self) -> float:
        """Look if there is reason to, check one file, and return the seconds until the next turn."""
        if self._task is not None and self._task.done():
            ended, self._task, self._transfer = self._task, None, None
            self._look_due = -inf
            ended.result()  # a mistake that nobody foresaw is the loop's
        agenda = self._agenda()
        if agenda is None:
            return _DAY_S
        now, moment = self._clock.now(), self._clock.monotonic()
        if self._stepped(now, moment) or agenda is not self._seen or moment >= self._look_due:
            await self._look(agenda, now, moment)
        if self._checks:
            await self._check(self._checks.pop())
            return 0.0
        return self._look_due - moment

    def _stepped(self, now: datetime, moment: float) -> bool:
        """Say whether the time was set since this was asked last: a slot may be nearer than it seemed."""
        before, self._offset_s = self._offset_s, now.timestamp() - moment
        return abs(self._offset_s - before) > _STEP_S

    async def _look(self, agenda: Agenda, now: datetime, moment: float) -> None:
        """Compare what should be here with what is, and begin to close the gap."""
        known = [*self._files]
        survey = await asyncio.to_thread(self._folder.survey)
        doubted = self._compare(known, survey, agenda)
        wanted = needs(agenda, now)
        at_hand = self._files.keys() | doubted
        self._trials.schedule(wanted, at_hand, now, moment)
        spare = survey.free_bytes - self._keep_free_bytes
        decision = plan(
            wanted,
            survey.pieces,
            at_hand=at_hand,
            due=self._trials.due,
            room=Room(budget_bytes=self._budget_bytes, spare_bytes=spare, full=self._full),
            now=now,
            moment=moment,
        )
        await self._tidy(decision.drops, agenda, survey, now)
        self._trials.found_no_room(decision.homeless, self._budget_bytes)
        self._send_for(decision.fetch)
        self._checks = [need.reference for need in reversed(wanted) if need.digest in doubted]
        self._seen = agenda
        again = moment + (LOOK_S if self._trials else _DAY_S)
        self._look_due = again if decision.next_turn is None else min(decision.next_turn, again)

    def _compare(self, known: Sequence[str], survey: Survey, agenda: Agenda) -> set[str]:
        """Take note of files that came, went or changed their length; return what is to be checked."""
        if self._doubted is None:  # a worn card may have changed what was verified before the start
            self._doubted = survey.whole.keys() - self._files.keys()
        for digest in known:
            reference = agenda.renditions.get(digest)
            if digest not in survey.whole:
                self._lose(digest)
            elif reference is not None and survey.whole[digest] != reference.size_bytes:
                self._doubted.add(digest)
        self._doubted &= survey.whole.keys()
        return self._doubted

    async def _tidy(self, drops: Sequence[str], agenda: Agenda, survey: Survey, now: datetime) -> None:
        for digest in drops:
            self._lose(digest)
            log.info("rendition dropped digest=%.12s named=%s", digest, digest in agenda.renditions)
        if self._doubted is not None:
            self._doubted.difference_update(drops)
        errors = await asyncio.to_thread(self._folder.tidy, drops, agenda.renditions, survey, now)
        if errors:
            log.log(logging.DEBUG if self._stuck else logging.WARNING, "rendition not deleted error=%s", errors[0])
        self._stuck = bool(errors)

    def _send_for(self, reference: RenditionReference | None) -> None:
        """Let this be the one that is on its way; another breaks off at its next chunk, and goes on some other time."""
        if self._transfer is not None:
            self._transfer.wanted = self._transfer.reference == reference
        elif reference is not None:
            self._transfer = _Transfer(reference)
            self._task = asyncio.create_task(self._bring(self._transfer), name=f"rendition {reference.digest:.12}")
            self._task.add_done_callback(lambda _: self.bell.ring())

    async def _bring(self, transfer: _Transfer) -> None:
        digest = transfer.reference.digest
        try:
            path = await obtain(
                self._fetch,
                self._server,
                transfer.reference,
                self._folder,
                proceed=lambda: transfer.wanted,
                now=self._clock.now,
            )
        except BadRendition as error:
            if self._failed(digest, error, wrong=True):
                await self._rejected(digest)
        except (web.WebError, OSError) as error:
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                await self._fill(digest)
            self._failed(digest, error)
        else:
            if path is not None:
                self._trials.ended(digest)
                self._arrive(transfer.reference, path)
                self._empty()

    def _failed(self, digest: str, error: Exception, *, wrong: bool = False) -> bool:
        return self._trials.failed(digest, error, self._clock.now(), self._clock.monotonic(), wrong=wrong)

    async def _fill(self, digest: str) -> None:
        """Give back what is half here: before anything sounds the disk must take a line of the ledger."""
        await asyncio.to_thread(self._folder.forget, digest)
        if not self._full:
            self._full = True
            log.error("disk is full: what no playlist names is dropped, and what is missing waits")

    def _empty(self) -> None:
        if self._full:
            self._full = False
            log.info("disk takes renditions again")

    async def _check(self, reference: RenditionReference) -> None:
        digest = reference.digest
        fits = await asyncio.to_thread(self._folder.verify, reference)
        if self._doubted is not None:
            self._doubted.discard(digest)
        if not fits:
            log.warning("rendition on disk is damaged or gone digest=%.12s", digest)
            self._lose(digest)
            self._look_soon()
        elif digest in self._files:
            log.error("rendition is as the playlist promised, yet it was distrusted digest=%.12s", digest)
        else:
            self._arrive(reference, self._folder.whole(digest))

    def _arrive(self, reference: RenditionReference, path: Path) -> None:
        self._files[reference.digest] = path
        self._changed()
        log.info("rendition ready digest=%.12s bytes=%d", reference.digest, reference.size_bytes)

    def _lose(self, digest: str) -> None:
        if self._files.pop(digest, None) is not None:
            self._changed()

    def _look_soon(self) -> None:
        self._look_due = -inf
        self.bell.ring()
