"""What one cluster will say, what became of everything that asked for its air, and what one programme changes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from schedules.contests import Contest
from schedules.rules import InForce
from schedules.timeline import Difference, Timeline, cut_out, difference
from schedules.verdicts import Verdict

__all__ = ["MARGIN", "Effect", "Plan", "concerns", "effect_of"]

MARGIN: Final = timedelta(days=2)
"""How far outside the window occurrences are looked at.

An occurrence before the window may be moved into it, and one after it may outrank one inside. What a cluster
says at an instant is the same in every window that holds it, provided that no chain of occurrences that could
touch each other is that long: bulletins, or moves of bulletins, over two midnights on end, without a quiet hour.
"""


class Plan:
    """The plan of one cluster for ``[start, end)``, or of several that are to say the same."""

    __slots__ = ("__weakref__", "_timeline", "_verdicts", "contests", "end", "rules", "start")

    def __init__(self, contests: tuple[Contest, ...], rules: InForce, start: datetime, end: datetime) -> None:
        self.contests = contests
        self.rules = rules
        """What its clusters must keep."""
        self.start = start
        self.end = end
        self._timeline: Timeline | None = None
        self._verdicts: tuple[Verdict, ...] | None = None

    @property
    def timeline(self) -> Timeline:
        """What sounds, by start."""
        if self._timeline is None:
            slots = (slot for contest in self.contests for slot in contest.slots)
            self._timeline = cut_out(slots, self.start, self.end)
        return self._timeline

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Those on the occurrences that ask for the window or sound in it, by the start that they asked for."""
        if self._verdicts is None:
            every = (verdict for contest in self.contests for verdict in contest.verdicts)
            self._verdicts = concerns(every, self.start, self.end)
        return self._verdicts

    def within(self, start: datetime, end: datetime) -> "Plan":
        """Return the part of the plan in ``[start, end)``.

        Raises:
            ValueError: That is not within the plan's own window. A caller's mistake.
        """
        if not self.start <= start < end <= self.end:
            raise ValueError(f"{start} to {end} is not within the plan of {self.start} to {self.end}")
        return Plan(self.contests, self.rules, start, end)


def concerns(verdicts: Iterable[Verdict], start: datetime, end: datetime) -> tuple[Verdict, ...]:
    """Return those of ``verdicts`` whose occurrence asks for ``[start, end)`` or sounds in it."""
    return tuple(verdict for verdict in verdicts if _concerns(verdict, start, end))


def _concerns(verdict: Verdict, start: datetime, end: datetime) -> bool:
    asked = verdict.occurrence.start < end and verdict.occurrence.end > start
    return asked or (
        verdict.start is not None and verdict.end is not None and verdict.start < end and verdict.end > start
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one programme would do to some clusters, the same on each."""

    clusters: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    """On its own occurrences, by the start that they ask for."""
    difference: Difference
    """What would sound, against what will as things are."""
    displaced: tuple[tuple[Verdict, Verdict], ...]
    """Occurrences of others: what becomes of them as things are, and what would."""


def effect_of(
    id: str,
    clusters: Iterable[str],
    *,
    gone: Iterable[Contest],
    came: Iterable[Contest],
    start: datetime,
    end: datetime,
) -> Effect:
    """Return what programme ``id`` does in ``[start, end)`` where the contests ``came`` take the place of ``gone``."""
    before, after = (
        concerns((verdict for contest in contests for verdict in contest.verdicts), start, end)
        for contests in (gone, came)
    )
    was = {verdict.occurrence: verdict for verdict in before}
    return Effect(
        clusters=tuple(clusters),
        verdicts=tuple(verdict for verdict in after if verdict.occurrence.programme == id),
        difference=difference(
            *(
                cut_out((slot for contest in contests for slot in contest.slots), start, end)
                for contests in (gone, came)
            )
        ),
        displaced=tuple(
            (was[verdict.occurrence], verdict)
            for verdict in after
            if verdict.occurrence.programme != id and was.get(verdict.occurrence, verdict) != verdict
        ),
    )
