"""Which publications have to go out now: what is signed, compared with what boxes say they hold. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broadcaster.store.records import Publication

_FIRST_PAUSE: Final = timedelta(seconds=10)
_LONGEST_PAUSE: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What this session has sent to a cluster last, and how often that version."""

    version: int
    at: datetime
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the box of a cluster says: its version (0: none), and whether it is on the line."""

    version: int
    online: bool


def due(
    publications: Mapping[str, Publication], held: Mapping[str, Held], sent: Mapping[str, Sent], now: datetime
) -> list[Publication]:
    """Return the publications to send now.

    A cluster whose box holds the version is done, whatever the broker may have forgotten. One that does not
    is sent to: at once if this session has not sent it this version, and again, ever more rarely, while its box is
    on the line and still reports another one (the broker lost the retained message, or the box's disk).
    """
    return [
        publication for cluster, publication in publications.items() if _is_due(cluster, publication, held, sent, now)
    ]


def _is_due(
    cluster: str, publication: Publication, held: Mapping[str, Held], sent: Mapping[str, Sent], now: datetime
) -> bool:
    box, last = held.get(cluster), sent.get(cluster)
    if box is not None and box.version == publication.version:
        return False
    if last is None or last.version != publication.version:
        return True
    if box is None or not box.online:
        return False
    pause: timedelta = min(_FIRST_PAUSE * (1 << min(last.times - 1, 16)), _LONGEST_PAUSE)
    return not timedelta() <= now - last.at < pause  # a clock that was set back must not silence it
