"""From plans to signed playlists: a new version of a cluster's playlist exactly when what it says has changed."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from broadcaster.config import Settings
from broadcaster.flow.plan import plans, playlist_window
from broadcaster.publisher.content import Content, content_of
from broadcaster.store.records import Publication
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup
from devices import messages
from devices.envelope import SigningKey, seal

log = logging.getLogger(__name__)

_LOOK_AGAIN_S: Final = 30.0
_AT_ONCE: Final = 20
_PLAUSIBLE: Final = 2**40
"""A higher version was never counted up to, it is a lie: a box must not use up the numbers of its cluster."""


def issue(
    cluster: str,
    content: Content,
    *,
    after: Publication | None,
    held: int,
    valid: timedelta,
    key: SigningKey,
    now: datetime,
) -> Publication:
    """Sign a playlist under the next version.

    Args:
        cluster: whose it is.
        content: what it says.
        after: the cluster's last publication, if any.
        held: highest version that a box of the cluster says it holds. It is above ours only if the store is
            an old copy; versions then go on from the box's, or it would refuse them all.
        valid: how long after ``now`` a box may play it.
        key: the playlist key.
        now: aware UTC.
    """
    version = max(after.version if after else 0, held) + 1
    playlist = messages.Playlist(
        cluster=cluster,
        version=version,
        issued=now,
        expires=now + valid,
        start=content.start,
        end=content.end,
        volume=content.volume,
        renditions=content.renditions,
        slots=content.slots,
    )
    return Publication(
        cluster=cluster,
        version=version,
        content=content.digest,
        issued_at=now,
        envelope=seal(playlist.to_bytes(), messages.PLAYLIST, key),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """The loop that keeps every cluster's publication equal to its plan."""

    store: Store
    settings: Settings
    key: SigningKey
    planned: Callable[[], None]
    """Called after each turn."""

    async def run(self) -> None:
        """Plan at each wake-up and now and then, until cancelled."""
        with self.store.wakeups.listen(Wakeup.PLAN) as listener:
            while True:
                await asyncio.to_thread(self.turn, datetime.now(UTC))
                self.planned()
                await listener.wait(_LOOK_AGAIN_S)

    def turn(self, now: datetime) -> int:
        """Plan, sign what changed, store it; return how many publications are new.

        They are stored, and can be sent, some at a time: while the first are on their way the next are signed.
        """
        issued = self._issued(now)
        count = 0
        while batch := list(islice(issued, _AT_ONCE)):
            self.store.journal.store_publications(batch)
            self.store.wakeups.wake(Wakeup.PUBLISH)
            count += len(batch)
            for each in batch:
                log.info("playlist issued cluster=%s version=%d", each.cluster, each.version)
        if count:
            self.store.wakeups.wake(Wakeup.REPORT, Wakeup.NEWS)
        return count

    def _issued(self, now: datetime) -> Iterator[Publication]:
        """Yield a publication for each cluster whose last one differs from the plan, or would be refused."""
        present = self.store.journal.publications()
        held = _held(self.store.journal.statuses().values())
        valid = timedelta(days=self.settings.plan.valid_days)
        for cluster, said in self._wanted(now):
            last, ahead = present.get(cluster), held.get(cluster, 0)
            if last is None or last.content != said.digest or ahead > last.version:
                yield issue(cluster, said, after=last, held=ahead, valid=valid, key=self.key, now=now)

    def _wanted(self, now: datetime) -> Iterator[tuple[str, Content]]:
        """Yield what each cluster is to be told; made once for those whose plan is the same object."""
        definitions = self.store.definitions
        renditions = {
            sound.rendition.digest: sound.rendition for sound in definitions.sounds.all() if sound.rendition is not None
        }
        found = plans(definitions, self.settings, playlist_window(self.settings, now))
        made: dict[tuple[int, int], Content] = {}
        for cluster in definitions.clusters.all():
            if cluster.id in found:
                timeline = found[cluster.id].timeline
                shared = (id(timeline.slots), cluster.volume)
                if shared not in made:
                    made[shared] = content_of(timeline, cluster.volume, renditions)
                yield cluster.id, made[shared]


def _held(statuses: Iterable[tuple[datetime, messages.Status]]) -> dict[str, int]:
    held: dict[str, int] = {}
    for _, status in statuses:
        version = status.playlist or 0
        if version <= _PLAUSIBLE:
            held[status.cluster] = max(held.get(status.cluster, 0), version)
    return held
