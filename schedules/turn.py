"""The air of one contest is given away once, with what is known at one instant."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from schedules.air import Air
from schedules.clashes import Said
from schedules.levels import Level, Policy
from schedules.programmes import LEAD, Occurrence, Yielding
from schedules.rules import Breach, InForce, Rule, breaks, stops
from schedules.verdicts import Outcome, Reason, Verdict

__all__ = ["SHORTEST", "Turn", "unheard"]

SHORTEST: Final = timedelta(seconds=10)
"""What is left of a trimmed occurrence must last at least this: chime and half a sentence tell nobody anything."""


@dataclass(slots=True, kw_only=True)
class Turn:
    """One giving of the air, with what is known at ``known_at``; occurrences come in the order of their rank."""

    policy: Policy
    rules: InForce
    said: Said
    known_at: datetime
    before: Mapping[Occurrence, Verdict]
    """What had become of occurrences until this fact was known."""
    air: Air

    def __post_init__(self) -> None:
        """Take the air of what is over, and count what goes on: the day is theirs before it is anybody else's."""
        for each, verdict in self.before.items():
            if verdict.start is None or verdict.end is None or verdict.start >= self.known_at:
                continue
            if verdict.end <= self.known_at:
                self.air.take(verdict.start, verdict.end, each, counts=_counts(each))
            elif _counts(each):
                self.air.count(verdict.start, _whole_end(each, verdict.start))

    def place(self, each: Occurrence) -> Verdict:
        """Return what becomes of ``each``."""
        now, before = self.known_at, self.before.get(each)
        if before is not None and before.start is not None and before.end is not None and before.start < now:
            return before if before.end <= now else self._goes_on(each, before, before.start)
        too_late = before is not None and each.start < now + LEAD
        if before is not None and before.start is None and too_late:
            return before
        if each.ends_by is not None and each.ends_by <= now:
            return unheard(each, Reason.WITHDRAWN)
        if before is None or before.start is None or not too_late:
            return self._asks(each, each.start, Reason.AS_ASKED, None)
        return self._asks(each, before.start, before.reason, before.by)

    def _asks(self, each: Occurrence, start: datetime, reason: Reason, by: str | None) -> Verdict:
        """Give it the air from ``start``, where ``reason`` and ``by`` brought it, or do what its programme says."""
        end = _whole_end(each, start)
        if each.level is not Level.EMERGENCY:
            stopped = stops(start, end, self.rules)
            if stopped is not None:
                return unheard(each, Reason.LOCAL_RULE, breach=stopped)
        taken = self.air.blocker(start, end)
        if taken is None:
            return self._fits(each, start, end, reason, by)
        reason, by = self._why(each, taken[2]), taken[2].id
        match each.if_taken.action:
            case Yielding.DROP:
                return unheard(each, reason, by)
            case Yielding.TRIM:
                return self._trimmed(each, start, reason, by)
            case Yielding.MOVE:
                return self._moved(each, start, reason, by)

    def _moved(self, each: Occurrence, start: datetime, reason: Reason, by: str) -> Verdict:
        most = each.if_taken.most_move
        latest = each.start + (self.policy.most_move if most is None else most)
        taken = self.air.blocker(start, start + each.duration)
        while taken is not None and taken[1] <= latest:
            start = taken[1]
            taken = self.air.blocker(start, start + each.duration)
        if taken is not None:
            return unheard(each, Reason.NO_ROOM, by)
        return self._fits(each, start, start + each.duration, reason, by)

    def _trimmed(self, each: Occurrence, start: datetime, reason: Reason, by: str) -> Verdict:
        taken = self.air.blocker(start, each.end)
        while taken is not None and taken[0] - start < SHORTEST:
            start = taken[1]
            taken = self.air.blocker(start, each.end) if start < each.end else None
        end = each.end if taken is None else taken[0]
        if end - start < SHORTEST:
            return unheard(each, Reason.NO_ROOM, by)
        return self._fits(each, start, end, reason, by)

    def _fits(self, each: Occurrence, start: datetime, end: datetime, reason: Reason, by: str | None) -> Verdict:
        """Take free air, unless a local rule forbids it."""
        if each.level is Level.EMERGENCY:
            return self._heard(each, start, end, reason, by, passes=breaks(start, end, self.rules))
        on_time = start == each.start and end == each.end
        breach = (None if on_time else stops(start, end, self.rules)) or self.air.exceeds(start, end)
        if breach is not None:
            return unheard(each, Reason.LOCAL_RULE if by is None else Reason.NO_ROOM, by, breach)
        return self._heard(each, start, end, reason, by)

    def _goes_on(self, each: Occurrence, before: Verdict, start: datetime) -> Verdict:
        """It has begun: it sounds to its end, or to where stronger air, a new rule, a hold or its withdrawal begins."""
        end = _whole_end(each, start)
        if _counts(each):
            self.air.uncount(start, end)
        reason, by, breach = (Reason.AS_ASKED, None, None) if start == each.start else (before.reason, before.by, None)
        taken = self.air.blocker(start, end)
        if taken is not None:
            end, reason, by = taken[0], self._why(each, taken[2]), taken[2].id
        stopped = None if each.level is Level.EMERGENCY else stops(max(start, self.known_at), end, self.rules)
        if stopped is not None:  # it was not when it began: the hold, or the rule, is new
            silent = self.known_at if stopped.hold is None else max(stopped.hold.start, self.known_at)
            end, reason, breach = silent, Reason.LOCAL_RULE, stopped
        if each.ends_by is not None and each.ends_by <= self.known_at:
            end, reason, breach = min(end, each.ends_by), Reason.WITHDRAWN, None
        if before.end is not None and end > before.end and _counts(each) and self.air.exceeds(start, end):
            end, reason, by = before.end, before.reason, before.by  # it gets no more back than the rules leave
        passes = () if _counts(each) else breaks(start, end, self.rules)
        return self._heard(each, start, end, reason, by, breach, passes)

    def _heard(
        self,
        each: Occurrence,
        start: datetime,
        end: datetime,
        reason: Reason,
        by: str | None,
        breach: Breach | None = None,
        passes: tuple[Rule, ...] = (),
    ) -> Verdict:
        self.air.take(start, end, each, counts=_counts(each))
        if end - start < each.duration:
            outcome = Outcome.TRIMMED
        else:
            outcome = Outcome.KEPT if start == each.start else Outcome.MOVED
        return Verdict(
            occurrence=each,
            outcome=outcome,
            reason=reason,
            start=start,
            end=end,
            by=by,
            breach=breach,
            passes=passes,
        )

    def _why(self, each: Occurrence, by: Occurrence) -> Reason:
        """Return why ``by`` has the air that ``each`` wants: an official said so, or it is stronger or was first."""
        pair = (each, by) if self.policy.is_above(each.tier) else (by, each)
        clash = each.level is by.level is Level.PRIORITY
        return Reason.DECIDED if clash and (pair[0].id, pair[1].id) in self.said else Reason.AIR_TAKEN


def _counts(each: Occurrence) -> bool:
    """Say whether sessions and minutes are made of it."""
    return each.level is not Level.EMERGENCY


def _whole_end(each: Occurrence, start: datetime) -> datetime:
    """Return where it ends that sounds from ``start`` if nothing cuts it; one that is trimmed keeps its own end."""
    late = start > each.start and each.if_taken.action is Yielding.TRIM
    return each.end if late else start + each.duration


def unheard(each: Occurrence, reason: Reason, by: str | None = None, breach: Breach | None = None) -> Verdict:
    """Return the verdict on one that is not heard."""
    return Verdict(occurrence=each, outcome=Outcome.DROPPED, reason=reason, start=None, end=None, by=by, breach=breach)
