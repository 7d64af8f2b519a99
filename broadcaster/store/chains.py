"""How far a box's receipts are complete, and whether they are the ones that it wrote. Pure; no store, no log.

A box says with each message which value its chain had before the first receipt in it (``devices/chain.py``). The
journal follows the chain over what it has stored, and compares. Receipts come twice, late, or behind a gap that
is filled later: none of that is a break.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import chain as together
from typing import Final, NamedTuple

from devices.chain import link
from devices.messages import Dropped, Receipt, Receipts

BROKEN: Final = "receipts.chain_broken"
"""Kind of the fact, about the box; its body says from which ``sequence`` on nothing vouches for what was before."""


class Stored(NamedTuple):
    """What became of a message of receipts."""

    new: Sequence[Receipt]
    complete: int
    """How far the box's receipts are complete: the number to acknowledge."""
    broken: int | None = None
    """Sequence at which the chain was found broken by this message; a fact tells it, too."""


class Verified(NamedTuple):
    """How far a box's chain was followed, and its value there."""

    through: int
    chain: str


class Spans:
    """What left a full box, by sequence."""

    def __init__(self, dropped: Iterable[Dropped] | None) -> None:
        self._spans = sorted(dropped or (), key=lambda span: span.first)
        self._firsts = [span.first for span in self._spans]

    def over(self, sequence: int) -> Dropped | None:
        """Return the span with ``sequence`` in it, or None."""
        at = bisect_right(self._firsts, sequence) - 1
        return self._spans[at] if at >= 0 and self._spans[at].last >= sequence else None


def complete_through(through: int, spans: Spans, stored: Iterable[int]) -> int:
    """Return the highest ``n`` up to which each sequence above ``through`` is stored or was dropped.

    Args:
        through: up to which all is complete.
        spans: what will never come.
        stored: sequences above ``through``, rising.
    """
    for sequence in together(stored, (None,)):
        while span := spans.over(through + 1):
            through = span.last
        if sequence is None or sequence > through + 1:
            break
        through = max(through, sequence)
    return through


def verify(
    verified: Verified | None, message: Receipts, stored: Callable[[int], Iterable[Receipt]]
) -> tuple[Verified | None, int | None]:
    """Follow a box's chain over ``message``; return how far it is verified now, and where it was found broken.

    Args:
        verified: before; None: this box never told a value. The first one is taken as it is.
        message: stored already, and at least one receipt in it was new.
        stored: the box's stored receipts with a sequence above a number, rising.
    """
    if message.previous is None:  # an older box
        return verified, None
    receipts = sorted(message.receipts, key=lambda receipt: receipt.sequence)
    first, spans = receipts[0].sequence, Spans(message.dropped)
    claimed = Verified(first - 1, message.previous)
    before = claimed if verified is None else _follow(verified, spans, stored(verified.through), limit=first - 1)
    broken = None
    if before.through > claimed.through:  # partly known already
        claimed = _follow(claimed, spans, receipts, limit=before.through)
    if before.through == claimed.through:
        broken = first if before.chain != claimed.chain else None
    elif before.through < claimed.through:
        if message.oldest <= before.through + 1:
            return before, None  # what lies between may still come
        broken = before.through + 1
    else:
        return before, None  # all of it known
    return _follow(claimed, spans, stored(claimed.through)), broken


def _follow(start: Verified, spans: Spans, receipts: Iterable[Receipt], *, limit: int | None = None) -> Verified:
    through, value = start
    for receipt in together(receipts, (None,)):
        while (limit is None or through < limit) and (span := spans.over(through + 1)):
            through, value = span.last, span.chain
        if receipt is None or receipt.sequence > through + 1 or (limit is not None and through >= limit):
            break
        if receipt.sequence == through + 1:
            through, value = receipt.sequence, link(value, receipt)
    return Verified(through, value)
