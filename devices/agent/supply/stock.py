"""What lies on the box's disk of renditions: what to fetch now, and what leaves for it. Pure: no clock, disk or log."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from devices.agent.supply.needs import Need
from devices.messages import RenditionReference

KEPT: Final = timedelta(days=30)
"""What no playlist names leaves after this at the latest: a sound of every month is not fetched twice."""
PROTECTED: Final = timedelta(hours=1)
"""What is heard within this leaves for an emergency only: should the line fall, it could not come back in time."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What lies on disk of one rendition, whole or in part."""

    size_bytes: int
    named: datetime
    """When a playlist last named it, to the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much renditions may take."""

    budget_bytes: int
    """All together, parts included."""
    spare_bytes: int
    """What of the disk is free and need not be kept free; less than 0 where too little is free."""
    full: bool = False
    """The disk has refused bytes: what no playlist names leaves, however much is said to be free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one look at the stock leads to."""

    drops: tuple[str, ...] = ()
    """Digests of what leaves now, before anything is fetched."""
    fetch: RenditionReference | None = None
    """What is to be fetched now; if something else is on its way, it is left half done."""
    next_turn: float | None = None
    """When (monotonic) the next falls due; None: none waits for its time."""
    homeless: tuple[str, ...] = ()
    """Digests of what is due and finds no room."""


def plan(
    wanted: Sequence[Need],
    pieces: Mapping[str, Piece],
    *,
    at_hand: Collection[str],
    due: Mapping[str, float],
    room: Room,
    now: datetime,
    moment: float,
) -> Plan:
    """Decide what leaves and what is fetched next.

    What no playlist names stays while there is room and leaves first, what was named longest ago before the rest. Then
    leaves, for something that is heard sooner, what is heard last; what is heard within ``PROTECTED`` only for an
    emergency. What finds no room waits, and what comes behind it may go before it.

    Args:
        wanted: as ``needs`` orders them.
        pieces: what lies on disk, by digest.
        at_hand: digests of what is there whole.
        due: when (monotonic) each that is not at hand may be fetched, by digest.
        room: what there is.
        now: aware UTC instant.
        moment: the same by the monotonic clock.
    """
    stock = _Stock(wanted, pieces, room, now)
    stock.shrink(full=room.full)
    fetch, homeless = None, []
    for place, need in enumerate(wanted):
        if need.digest not in at_hand and due[need.digest] <= moment:
            if stock.make_room(place):
                fetch = need.reference
                break
            homeless.append(need.digest)
    later = [due[need.digest] for need in wanted if need.digest not in at_hand and due[need.digest] > moment]
    return Plan(drops=tuple(stock.gone), fetch=fetch, next_turn=min(later, default=None), homeless=tuple(homeless))


class _Stock:
    """The pieces, while it is decided which of them leave."""

    def __init__(self, wanted: Sequence[Need], pieces: Mapping[str, Piece], room: Room, now: datetime) -> None:
        self._wanted = wanted
        self._sizes = {digest: piece.size_bytes for digest, piece in pieces.items()}
        self._budget = room.budget_bytes
        self._left = room.budget_bytes - sum(self._sizes.values())
        self._spare = room.spare_bytes
        self._now = now
        named = {need.digest for need in wanted}
        self._idle = sorted((piece.named, digest) for digest, piece in pieces.items() if digest not in named)
        self.gone: dict[str, None] = {}

    def shrink(self, *, full: bool) -> None:
        """Let go what is too old, and what is too much for the budget or for the disk.

        For want of free space nothing leaves that the playlist names: somebody else has filled the disk, and what is
        verified would have to be fetched again.
        """
        for named, digest in self._idle:
            if full or named + KEPT <= self._now or self._left < 0 or self._spare < 0:
                self._drop(digest)
        for digest in self._behind(0, emergency=False):
            if self._left >= 0:
                break
            self._drop(digest)

    def make_room(self, place: int) -> bool:
        """Let go no more than must leave for the need at ``place``; False, and nothing leaves, if it cannot fit."""
        need = self._wanted[place]
        coming = max(need.reference.size_bytes - self._sizes.get(need.digest, 0), 0)
        if not coming or need.reference.size_bytes > self._budget:
            return not coming
        lacking = coming - min(self._left, self._spare)
        leaving = []
        for digest in self._leavers(place):
            if lacking <= 0:
                break
            leaving.append(digest)
            lacking -= self._sizes[digest]
        if lacking > 0:
            return False
        for digest in leaving:
            self._drop(digest)
        return True

    def _leavers(self, place: int) -> Iterator[str]:
        """Yield what may leave for the need at ``place``, in the order in which it would."""
        yield from (digest for _, digest in self._idle if digest in self._sizes)
        need = self._wanted[place]
        if need.start is not None:  # what is only named is no better than anything else that is named
            yield from self._behind(place + 1, emergency=need.emergency)

    def _behind(self, place: int, *, emergency: bool) -> Iterator[str]:
        for need in reversed(self._wanted[place:]):
            soon = need.emergency or (need.start is not None and need.start <= self._now + PROTECTED)
            if need.digest in self._sizes and (emergency or not soon):
                yield need.digest

    def _drop(self, digest: str) -> None:
        size = self._sizes.pop(digest)
        self._left += size
        self._spare += size
        self.gone[digest] = None
