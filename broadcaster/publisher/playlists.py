"""From plans to signed playlists: a new version of a cluster's playlist exactly when what it says has changed."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

from broadcaster.config import Settings
from broadcaster.flow.plan import Window, plans, playlist_window
from broadcaster.store.records import Publication, Rendition
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup
from devices import messages
from devices.envelope import LONGEST_BYTES, SigningKey, seal
from schedules.timeline import Slot, Timeline
from schedules.zones import Cluster

log = logging.getLogger(__name__)

_LOOK_AGAIN_S: Final = 30.0
_AT_ONCE: Final = 20
_MEDIA: Final = "/api/v1/media/"
_LONGEST_PAYLOAD: Final = LONGEST_BYTES * 3 // 4 - 1024
"""Bytes of JSON that fit an envelope: base64url makes four of three, and the header wants some."""
_PLAUSIBLE: Final = 2**40
"""A higher version was never counted up to, it is a lie: a box must not use up the numbers of its cluster."""

Renditions = Mapping[str, Rendition]
"""By digest."""


def content(cluster: Cluster, timeline: Timeline, renditions: Renditions) -> dict[str, Any]:
    """Return what a playlist says, apart from its version and the instants of issue and expiry.

    If it would be longer than a message may be, its end is brought forward to the start of the first slot that does not
    fit: a shorter horizon, told as such, never a truncated list.
    """
    slots = list(timeline.slots)
    end = timeline.end
    while True:
        said = _content(cluster, replace(timeline, end=end), slots, renditions)
        length = len(json.dumps(said, ensure_ascii=False).encode())
        if length <= _LONGEST_PAYLOAD and len(slots) <= messages.MOST_SLOTS:
            return said
        fitting = min(len(slots) - 1, messages.MOST_SLOTS, len(slots) * _LONGEST_PAYLOAD // length)
        end = slots[fitting].start
        slots = slots[:fitting]


def _content(cluster: Cluster, timeline: Timeline, slots: Iterable[Slot], renditions: Renditions) -> dict[str, Any]:
    slots = tuple(slots)
    needed = sorted({item.rendition for slot in slots for item in slot.items})
    return {
        "cluster": cluster.id,
        "start": timeline.start.isoformat(),
        "end": timeline.end.isoformat(),
        "volume": cluster.volume,
        "renditions": [_reference(digest, renditions[digest]) for digest in needed],
        "slots": [_slot(slot) for slot in slots],
    }


def _reference(digest: str, rendition: Rendition) -> dict[str, Any]:
    return {
        "digest": digest,
        "size_bytes": rendition.size_bytes,
        "duration": rendition.duration.total_seconds(),
        "url": _MEDIA + digest,
    }


def _slot(slot: Slot) -> dict[str, Any]:
    return {
        "id": slot.id,
        "title": slot.title,
        "level": int(slot.level),
        "start": slot.start.isoformat(),
        "duration": (slot.end - slot.start).total_seconds(),
        "items": [
            {
                "rendition": item.rendition,
                "offset": item.offset.total_seconds(),
                "duration": item.duration.total_seconds(),
            }
            for item in slot.items
        ],
        **({"cut": slot.cut} if slot.cut else {}),
    }


def digest(said: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a playlist's content: equal content is never published twice."""
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def issue(
    said: Mapping[str, Any],
    *,
    after: Publication | None,
    held: int,
    valid: timedelta,
    key: SigningKey,
    now: datetime,
) -> Publication:
    """Sign a playlist under the next version.

    Args:
        said: from ``content``.
        after: the cluster's last publication, if any.
        held: highest version that a box of the cluster says it holds. It is above ours only if the store is
            an old copy; versions then go on from the box's, or it would refuse them all.
        valid: how long after ``now`` a box may play it.
        key: the playlist key.
        now: aware UTC.
    """
    version = max(after.version if after else 0, held) + 1
    playlist = messages.Playlist.model_validate({**said, "version": version, "issued": now, "expires": now + valid})
    return Publication(
        cluster=playlist.cluster,
        version=version,
        content=digest(said),
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
            if last is None or last.content != digest(said) or ahead > last.version:
                yield issue(said, after=last, held=ahead, valid=valid, key=self.key, now=now)

    def _wanted(self, now: datetime) -> Iterable[tuple[str, dict[str, Any]]]:
        definitions = self.store.definitions
        window: Window = playlist_window(self.settings, now)
        renditions = {
            sound.rendition.digest: sound.rendition for sound in definitions.sounds.all() if sound.rendition is not None
        }
        found = plans(definitions, self.settings, window)
        for cluster in definitions.clusters.all():
            if cluster.id in found:
                yield cluster.id, content(cluster, found[cluster.id].timeline, renditions)


def _held(statuses: Iterable[tuple[datetime, messages.Status]]) -> dict[str, int]:
    held: dict[str, int] = {}
    for _, status in statuses:
        version = status.playlist or 0
        if version <= _PLAUSIBLE:
            held[status.cluster] = max(held.get(status.cluster, 0), version)
    return held
