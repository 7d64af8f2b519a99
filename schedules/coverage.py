"""Who heard what: the arithmetic of the report, from what should have sounded and what boxes say did."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

__all__ = ["SLACK", "ClusterCoverage", "Heard", "Play", "Summary", "coverage", "outcome_of", "summarise"]

SLACK: Final = timedelta(milliseconds=300)
"""How much of a slot may be lost and it still counts as heard.

Every rendition begins with 300 ms of silence, so this much costs no word; it also absorbs the rounding of
seconds on the wire.
"""

_ENDED: Final = frozenset({"finished", "interrupted"})
_SILENT: Final = frozenset({"missed", "refused"})
_SOUNDED: Final = frozenset({"started", "finished", "interrupted"})


class Heard(StrEnum):
    """How much of a slot a cluster is known to have said."""

    HEARD = "heard"
    """All of it."""
    PARTLY = "partly"
    """It sounded; that all of it did is not proven."""
    MISSED = "missed"
    """A box says that it did not sound."""
    UNKNOWN = "unknown"
    """No box has said anything. Not the same as missed: receipts may still be on their way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What one receipt says of one slot on one cluster."""

    outcome: str
    """As the wire names it: ``started finished interrupted missed refused``; others tell nothing."""
    at: datetime
    offset: timedelta = timedelta()
    """How far into the slot this piece began; zero is on time."""
    heard: timedelta = timedelta()
    """How much of the slot went to the loudspeaker in this piece."""
    late: timedelta = timedelta()
    """How much later than planned the slot was begun that this is a piece of; zero is on time."""
    reason: str | None = None
    """Code of why it was missed, refused or interrupted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterCoverage:
    """What one cluster is known to have said of one slot."""

    cluster: str
    outcome: Heard
    heard: timedelta
    """The longest piece that is proven; zero where nothing is."""
    reason: str | None
    """Why it is not ``heard``, in the last word of a box on it; None where none gave a reason."""
    late: timedelta = timedelta()
    """How much later than planned the slot was begun, at most; zero: on time, or it did not sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How many clusters said a slot, or slots: one count for each outcome."""

    heard: int = 0
    partly: int = 0
    missed: int = 0
    unknown: int = 0

    @property
    def expected(self) -> int:
        """How many should have."""
        return self.heard + self.partly + self.missed + self.unknown


def outcome_of(slot_duration: timedelta, plays: Iterable[Play]) -> Heard:
    """Return how much of a slot a cluster is known to have said.

    * ``heard``: one piece that ended and lost no more than ``SLACK`` of the slot, be it begun later than planned;
      of a slot that was cut short, that is all that was left to hear.
    * ``partly``: it sounded, but no such piece is proven. One that started and never ended is of these: its
      first sample went out, the rest is not known. It becomes ``heard`` when its end is reported.
    * ``missed``: it did not sound, and a box says so; it may have refused it.
    * ``unknown``: nothing has come that tells.

    The order of receipts and receipts that come twice change nothing.
    """
    plays = tuple(plays)
    if any(play.outcome in _ENDED and _is_whole(play, slot_duration) for play in plays):
        return Heard.HEARD
    if any(play.outcome in _SOUNDED or play.heard > timedelta() for play in plays):
        return Heard.PARTLY
    return Heard.MISSED if any(play.outcome in _SILENT for play in plays) else Heard.UNKNOWN


def coverage(
    expected: Mapping[str, Sequence[str]],
    plays: Iterable[tuple[str, str, Play]],
    *,
    durations: Mapping[str, timedelta],
) -> dict[str, tuple[ClusterCoverage, ...]]:
    """Return, for each slot that should have sounded, what each of its clusters is known to have said.

    Args:
        expected: Slot id → the clusters that should say it.
        plays: (cluster, slot id, play) in any order. Those of slots or clusters that are not expected are
            passed over: a box may have followed a plan that has changed since.
        durations: Slot id → how long the slot is; one for each expected slot.

    Raises:
        KeyError: An expected slot has no duration. A caller's mistake.
    """
    told: defaultdict[tuple[str, str], list[Play]] = defaultdict(list)
    for cluster, slot, play in plays:
        told[slot, cluster].append(play)
    return {
        slot: tuple(_covered(cluster, durations[slot], told.get((slot, cluster), ())) for cluster in clusters)
        for slot, clusters in expected.items()
    }


def summarise(coverages: Iterable[ClusterCoverage]) -> Summary:
    """Return how many clusters heard, partly heard and missed, and of how many nothing is known."""
    counts = Counter(covered.outcome.value for covered in coverages)
    return Summary(**counts)


def _is_whole(play: Play, slot_duration: timedelta) -> bool:
    return play.offset <= SLACK and play.heard >= slot_duration - SLACK


def _covered(cluster: str, slot_duration: timedelta, plays: Sequence[Play]) -> ClusterCoverage:
    outcome = outcome_of(slot_duration, plays)
    reasons = [(play.at, play.reason) for play in plays if play.reason is not None]
    return ClusterCoverage(
        cluster=cluster,
        outcome=outcome,
        heard=max((play.heard for play in plays), default=timedelta()),
        reason=max(reasons)[1] if reasons and outcome is not Heard.HEARD else None,
        late=max((play.late for play in plays if play.outcome in _SOUNDED), default=timedelta()),
    )
