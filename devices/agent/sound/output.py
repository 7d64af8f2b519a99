"""The port behind which sound is made: what an output is told, what it tells, and which ones there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from schedules.timeline import Slot, SlotItem


class OutputError(Exception):
    """There is no such output here, or it failed. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """A slot that is to sound, with the files of its items that are at hand."""

    slot: Slot
    """As it lies now: one that is heard later than planned has its start and end moved."""
    begin: datetime
    """When it may sound, not before ``slot.start``: later where another slot still has the air. It is joined then, at
    the place that belongs to that instant."""
    end: datetime
    """Never later than ``slot.end``."""
    files: Mapping[str, Path]
    gain: float
    """Factor to amplitude, 0 to 1."""

    def spans(self) -> tuple[tuple[SlotItem, datetime, datetime], ...]:
        """Return the items with the instants of their first sample and of their end, those over by ``begin`` left out.

        What lies before ``begin`` of an item that reaches over it is not heard.
        """
        spans = ((item, self.slot.start + item.offset) for item in self.slot.items)
        return tuple(
            (item, begin, min(begin + item.duration, self.end))
            for item, begin in spans
            if begin < self.end and begin + item.duration > self.begin
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What of a cued slot has gone out so far."""

    cue: Cue
    began: datetime
    """Instant of the first sample that went out."""
    lasted: timedelta
    """How long it sounded, gaps not counted."""


class Output(Protocol):
    """Makes cued slots sound at their instants.

    The contract, the same for every output:

    * A slot is heard from ``max(start, the moment it is cued and decoded)``, at the place in it that
      belongs to that instant, until the cue's end; items whose file is not at hand are silent.
    * ``play`` never waits and replaces what was cued: what is cued no more is faded out and closed; what
      is cued again goes on untouched.
    * ``heard`` answers for every slot of the cues that are played, once they have begun.
    * Several slots may be cued at once; they do not overlap.
    """

    @property
    def name(self) -> str:
        """How the output calls itself in statuses."""
        ...

    def play(self, cues: Sequence[Cue], now: datetime) -> None:
        """From ``now`` on, make exactly these cues sound."""
        ...

    def heard(self, now: datetime) -> Mapping[str, Heard]:
        """Return what has been heard by ``now`` of the cued slots, by slot id."""
        ...

    def broken(self) -> frozenset[str]:
        """Return the digests of cued renditions that cannot be decoded."""
        ...

    async def run(self) -> None:
        """Make sound until cancelled; may be called again after it failed.

        Raises:
            OutputError: the device is gone.
        """
        ...
