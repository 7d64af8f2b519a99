"""Which renditions the held playlist needs, in which order, and how long each waits for its try. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final

from devices.agent.conduct.playlists import Agenda
from devices.messages import RenditionReference
from schedules.levels import Level
from schedules.timeline import Slot

SPREAD_MOST_S: Final = 600.0
"""10,000 boxes that each fetch 5 MB (30 minutes of speech at 24 kbit/s) within this ask 17 times a second for
83 MB/s in all: what one line of 1 Gbit/s carries."""
SPREAD_SHARE: Final = 4
"""Of the time left a rendition waits at most one part in so many; the others are for a bad line."""
AT_ONCE_S: Final = 120.0
"""What is heard within this does not wait, and what waits has this left: at 64 kbit/s a minute of speech takes 25 s."""

RETRY_FIRST_S: Final = 1.0
RETRY_MOST_S: Final = 300.0
RETRY_NEAR_S: Final = 5.0
RETRY_SHARE: Final = 12
"""A pause is at most one part in so many of the time left, 5 s in the last minute: a dozen tries are always left. The
longer a slot sounds without its rendition, the longer the pauses grow again."""
WRONG_MOST_S: Final = 3600.0
"""Wrong bytes cost their length at each try: they are tried a dozen times in the first hour, then once an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A rendition that the held playlist names, and what for."""

    reference: RenditionReference
    start: datetime | None = None
    """Of the first slot not over that it sounds in, or of the first emergency; None: only refused slots name it."""
    emergency: bool = False

    @property
    def digest(self) -> str:
        """Of the rendition."""
        return self.reference.digest


def needs(agenda: Agenda, now: datetime) -> tuple[Need, ...]:
    """Return the agenda's renditions in the order in which they are fetched.

    First what emergencies need, then what other slots that are not over need, each by start, then what only refused
    slots name: another playlist may let them sound. What was heard, or missed, is not fetched any more.
    """
    emergencies: dict[str, datetime] = {}
    others: dict[str, datetime] = {}
    for slot in agenda.timeline.slots:
        starts = emergencies if slot.level is Level.EMERGENCY else others
        for digest in _still_heard(slot, now):
            starts.setdefault(digest, slot.start)
    refused = {digest: None for each in agenda.refused.values() for digest in _still_heard(each.slot, now)}
    named = agenda.renditions
    return (
        *(Need(reference=named[digest], start=start, emergency=True) for digest, start in emergencies.items()),
        *(Need(reference=named[digest], start=start) for digest, start in others.items() if digest not in emergencies),
        *(Need(reference=named[digest]) for digest in refused if digest not in emergencies and digest not in others),
    )


def pause_s(box: str, need: Need, failures: int, now: datetime, *, wrong: bool = False) -> float:
    """Return the seconds that a rendition waits for its first try or, after so many failures, for the next.

    Of the same box and rendition the same question has the same answer, after a restart, too. Over boxes the answers
    are spread evenly, so that those that hear of it at once do not come at once. Asked again while time
    passes, ``now`` + pause never comes earlier, unless the playlist needs the rendition sooner than it did.

    Args:
        box: its id.
        need: what waits.
        failures: tries in a row that failed.
        now: aware UTC instant.
        wrong: the last try brought wrong bytes.
    """
    left_s = None if need.start is None else (need.start - now).total_seconds()
    if not failures:
        return 0.0 if need.emergency else _spread_s(left_s) * _share(box, need.digest)
    doubled = RETRY_FIRST_S * 2.0 ** min(failures - 1, 30)
    most = WRONG_MOST_S if wrong else RETRY_NEAR_S if need.emergency else _retry_most_s(left_s)
    return min(doubled, most) * (0.5 + 0.5 * _share(box, f"{need.digest} {failures}"))


def _still_heard(slot: Slot, now: datetime) -> Iterator[str]:
    """Yield what of a slot may still be heard; one that may be played late as a whole is over that much later."""
    over = now - (slot.if_late.within or timedelta())
    for item in slot.items:
        if over < min(slot.start + item.offset + item.duration, slot.end):
            yield item.rendition


def _spread_s(left_s: float | None) -> float:
    return SPREAD_MOST_S if left_s is None else min(max(left_s - AT_ONCE_S, 0.0) / SPREAD_SHARE, SPREAD_MOST_S)


def _retry_most_s(left_s: float | None) -> float:
    return RETRY_MOST_S if left_s is None else min(max(abs(left_s) / RETRY_SHARE, RETRY_NEAR_S), RETRY_MOST_S)


def _share(box: str, of: str) -> float:
    """Return a number in [0, 1), spread evenly over boxes."""
    return int.from_bytes(blake2b(f"{box} {of}".encode(), digest_size=6).digest()) / 2**48
