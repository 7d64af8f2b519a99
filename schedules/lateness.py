"""What becomes of an occurrence whose box could not begin it on time: a power cut, a clock, a sound that came late."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

__all__ = ["JOIN", "LONGEST_WAIT", "IfLate", "Late"]

LONGEST_WAIT: Final = timedelta(hours=12)
"""Longest time after its start at which an occurrence may still be begun: the next day's is another one."""


class Late(StrEnum):
    """What a box does with a slot that it did not begin at its start."""

    JOIN = "join"
    """Joins at the place that belongs to the instant, as a listener who switches on late."""
    WHOLE = "whole"
    """Plays it from its beginning, later, where the air is free and no rule forbids it."""
    SKIP = "skip"
    """Leaves it out: what is not heard from its start makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IfLate:
    """What a programme says may be done when a box could not begin it on time."""

    action: Late = Late.JOIN
    within: timedelta | None = None
    """How long after its start it may still begin, over zero and at most ``LONGEST_WAIT``; for ``whole`` only."""

    def __post_init__(self) -> None:
        if (self.action is Late.WHOLE) != (self.within is not None):
            raise ValueError("within belongs to whole, and to nothing else")
        if self.within is not None and not timedelta() < self.within <= LONGEST_WAIT:
            raise ValueError(f"within must be over zero and at most {LONGEST_WAIT}, not {self.within}")


JOIN: Final = IfLate()
"""What counts where a programme says nothing."""
