"""From plans to signed playlists: a new version of a cluster's playlist exactly when what it says has changed."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from broadcaster.config import Settings
from broadcaster.flow.plan import Board
from broadcaster.publisher.content import Content, content_of
from broadcaster.store.records import Publication
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup
from devices import messages
from devices.agent.timing.clock import Clock, SystemClock
from devices.envelope import SigningKey, seal
from schedules.plan import Plan

log = logging.getLogger(__name__)

_LOOK_AGAIN_S: Final = 30.0
_AT_ONCE: Final = 20
_PLAUSIBLE: Final = 2**40
"""A higher version was never counted up to, it is a lie: a box must not use up the numbers of its cluster."""


def issue(
    cluster: str, content: Content, *, version: int, valid: timedelta, key: SigningKey, now: datetime
) -> Publication:
    """Sign a playlist.

    Args:
        cluster: whose it is.
        content: what it says.
        version: above that of the cluster's last publication, and above any that a box of it says it holds: if
            the store is an old copy, versions go on from the box's, or it would refuse them all.
        valid: how long after ``now`` a box may play it.
        key: the playlist key.
        now: aware UTC.
    """
    head = messages.PlaylistHead(cluster=cluster, version=version, issued=now, expires=now + valid)
    return Publication(
        cluster=cluster,
        version=version,
        content=content.digest,
        issued_at=now,
        envelope=seal(head.before(content.text), messages.PLAYLIST, key),
    )


@dataclass(frozen=True, slots=True)
class _Last:
    """What of a cluster's last publication has to be known to make the next one."""

    version: int
    content: str


class Planner:
    """The loop that keeps every cluster's publication equal to its plan. Nobody else makes publications.

    Args:
        planned: Called after each turn.
        clock: Whose time the playlists bear; None: this machine's.
    """

    def __init__(
        self,
        *,
        store: Store,
        board: Board,
        settings: Settings,
        key: SigningKey,
        planned: Callable[[], None],
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._store = store
        self._board = board
        self._valid = timedelta(days=settings.plan.valid_days)
        self._key = key
        self._planned = planned
        self._last: dict[str, _Last] | None = None
        """By cluster; None: the journal has to be read, and every plan looked at."""
        self._looked_at: datetime | None = None
        self._again: dict[str, datetime] = {}
        """When a playlist has to be made again because it did not reach as far as the plan, by cluster."""

    async def run(self) -> None:
        """Plan at each wake-up and now and then, until cancelled."""
        with self._store.wakeups.listen(Wakeup.PLAN) as listener:
            while True:
                await asyncio.to_thread(self.turn, self._clock.now())
                self._planned()
                await listener.wait(_LOOK_AGAIN_S)

    def turn(self, now: datetime) -> int:
        """Plan, sign what changed, store it; return how many publications are new.

        They are stored, and can be sent, some at a time: while the first are on their way the next are signed.
        What it costs follows from what has changed, but for a look at every box's status now and then.
        """
        last, plans = self._last, self._board.changes(now)
        self._last = None  # if this turn fails, the next looks at everything
        if last is None:
            last = {id: _Last(each.version, each.content) for id, each in self._store.journal.publications().items()}
            plans = self._board.plans(now)
        elif due := {cluster for cluster, at in self._again.items() if at <= now}:
            self._again = {cluster: at for cluster, at in self._again.items() if cluster not in due}
            plans = {**self._board.plans(now, only=due), **plans}
        issued = self._issued(plans, last, now)
        count = 0
        while batch := list(islice(issued, _AT_ONCE)):
            self._store.journal.store_publications(batch)
            self._store.wakeups.wake(Wakeup.PUBLISH)
            count += len(batch)
            for each in batch:
                last[each.cluster] = _Last(each.version, each.content)
                log.info("playlist issued cluster=%s version=%d", each.cluster, each.version)
        if count:
            self._store.wakeups.wake(Wakeup.REPORT, Wakeup.NEWS)
        self._last = last
        return count

    def _issued(self, plans: Mapping[str, Plan], last: Mapping[str, _Last], now: datetime) -> Iterator[Publication]:
        """Yield a publication for each cluster whose last one differs from the plan, or would be refused."""
        ahead = self._ahead(last, now)
        if ahead:
            plans = {**self._board.plans(now, only=ahead), **plans}
        for cluster, content in self._contents(plans, now):
            if content.said.end < plans[cluster].end:
                self._again[cluster] = now + (content.said.end - now) / 2
            else:
                self._again.pop(cluster, None)
            present, held = last.get(cluster), ahead.get(cluster, 0)
            if present is None or present.content != content.digest or held > present.version:
                version = max(present.version if present else 0, held) + 1
                yield issue(cluster, content, version=version, valid=self._valid, key=self._key, now=now)

    def _ahead(self, last: Mapping[str, _Last], now: datetime) -> dict[str, int]:
        """Return the clusters whose boxes hold a higher version than ours, looked up now and then."""
        if self._looked_at is not None and timedelta() <= now - self._looked_at < timedelta(seconds=_LOOK_AGAIN_S):
            return {}
        self._looked_at = now
        held = _held(self._store.journal.statuses().values())
        return {id: version for id, version in held.items() if id not in last or version > last[id].version}

    def _contents(self, plans: Mapping[str, Plan], now: datetime) -> Iterator[tuple[str, Content]]:
        """Yield what each cluster is to be told; made once for those that share a plan and a volume."""
        if not plans:
            return
        definitions = self._store.definitions
        renditions = {
            sound.rendition.digest: sound.rendition for sound in definitions.sounds.all() if sound.rendition is not None
        }
        made: dict[tuple[int, int], Content] = {}
        for id_, plan in plans.items():
            cluster = definitions.clusters.find(id_)
            if cluster is None:
                continue
            shared = (id(plan), cluster.volume)
            if shared not in made:
                made[shared] = content_of(plan.timeline, cluster.volume, renditions, plan.rules, now=now)
            yield id_, made[shared]


def _held(statuses: Iterable[tuple[datetime, messages.Status]]) -> dict[str, int]:
    held: dict[str, int] = {}
    for _, status in statuses:
        version = status.playlist or 0
        if version <= _PLAUSIBLE:
            held[status.cluster] = max(held.get(status.cluster, 0), version)
    return held
