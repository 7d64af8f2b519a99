"""What has become of each slot, and what the box has to say about it. ``outbox.py`` stores these records."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from devices.messages import Outcome


class State(StrEnum):
    """How far a slot has come on this box."""

    CUED = "cued"
    """It is about to sound: on disk before the first sample, so that no power cut can make it sound twice."""
    STARTED = "started"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    MISSED = "missed"
    REFUSED = "refused"


FINAL: Final = frozenset({State.FINISHED, State.INTERRUPTED, State.MISSED, State.REFUSED})
"""A slot in one of these never sounds again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The ledger's line for one slot."""

    state: State
    ends: datetime
    heard_s: float = 0.0
    """Seconds that sounded before this process started, as far as that is known."""
    shift_s: float = 0.0
    """Seconds later than planned at which it sounds: it was begun late, or the clock was set while it sounded."""
    resumed: bool = False
    """Read from disk at start in a state that is not final: the box stopped while the slot was at hand."""

    @property
    def final(self) -> bool:
        """True if nothing more can happen to the slot."""
        return self.state in FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that the server must learn; becomes a ``messages.Receipt``."""

    outcome: Outcome
    at: datetime
    playlist: int | None = None
    slot: str | None = None
    code: str | None = None
    offset: float | None = None
    heard: float | None = None
    late: float | None = None
    routine: bool = True
    """Whether it may leave first when the box holds more than it can: not about an emergency or priority slot,
    nor a refusal."""
    rendition: str | None = None
