"""Which receipts leave a box that holds too many, and what is remembered of them. Pure."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from devices.messages import MOST_DROPPED


class Span(NamedTuple):
    """Receipts that left, from ``first`` to ``last``; ``chain`` is the chain's value after the last of them."""

    first: int
    last: int
    chain: str


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans by sequence, those that touch as one."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.first <= found[-1].last + 1:
            found[-1] = Span(found[-1].first, *max(found[-1][1:], span[1:]))
        else:
            found.append(span)
    return found


def leaving(held: Sequence[tuple[int, bool]], spans: Iterable[Span], surplus: int) -> set[int]:
    """Return at least ``surplus`` sequences of receipts that leave: the oldest routine ones, then the oldest others.

    Where that would leave more holes than can be told in one message, the narrowest strips between two
    holes leave as well.

    Args:
        held: sequence and whether it is routine, by sequence.
        spans: what left before.
        surplus: how many are too many.
    """
    by_worth = sorted(held, key=lambda one: (not one[1], one[0]))
    gone = {sequence for sequence, _ in by_worth[:surplus]}
    holes = merged([*spans, *(Span(each, each, "") for each in gone)])
    while len(holes) > MOST_DROPPED:
        _, at = min((right.first - left.last, at) for at, (left, right) in enumerate(pairwise(holes)))
        between = range(holes[at].last + 1, holes[at + 1].first)
        gone.update(between)
        holes[at : at + 2] = [Span(holes[at].first, holes[at + 1].last, "")]
    return gone
