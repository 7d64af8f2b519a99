"""What becomes of occurrences that want the same air, and what the commune's official is asked."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schedules.levels import Side
from schedules.programmes import Occurrence
from schedules.rules import Breach, Rule

__all__ = ["Decision", "Outcome", "Question", "Reason", "Verdict"]


class Outcome(StrEnum):
    """What becomes of an occurrence."""

    KEPT = "kept"
    """Heard when it was meant to be."""
    MOVED = "moved"
    """Heard whole, later."""
    TRIMMED = "trimmed"
    """Heard in part."""
    DROPPED = "dropped"
    """Not heard."""
    UNDECIDED = "undecided"
    """The commune's official is asked; ``otherwise`` says what becomes of it if nobody answers."""


class Reason(StrEnum):
    """Why an occurrence ends as it does."""

    AS_ASKED = "as_asked"
    """Nothing stands in its way."""
    AIR_TAKEN = "air_taken"
    """Another occurrence, ``by``, has the air at its time."""
    NO_ROOM = "no_room"
    """``by`` has the air at its time, and none is free for it soon enough."""
    WITHDRAWN = "withdrawn"
    """Its programme was withdrawn before it could be heard to its end."""
    LOCAL_RULE = "local_rule"
    """A local rule stops it; ``breach`` says which."""
    AWAITS_DECISION = "awaits_decision"
    """It clashes with ``by``, one of them is from above, both are of priority: the official decides."""
    DECIDED = "decided"
    """The official put ``by`` first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An official's word on who goes first where two priority bulletins clash (Circular 39/2020/TT-BTTTT)."""

    above: str
    """Id of the occurrence from above, or of its programme: then for every clash of the two."""
    ours: str
    """Id of the occurrence, or programme, of the station's own tier."""
    first: Side
    by: str
    at: datetime
    earlier: tuple[tuple[datetime, Side], ...] = ()
    """What was said before, and when, oldest first: what has been heard by it stays as it was."""
    revision: int = 1

    @property
    def id(self) -> str:
        """Name of the clash, ``above+ours``."""
        return f"{self.above}+{self.ours}"

    @property
    def times(self) -> tuple[datetime, ...]:
        """When something was said, oldest first."""
        return (*(at for at, _ in self.earlier), self.at)

    def as_of(self, now: datetime) -> Side | None:
        """Return who went first by what had been said at ``now``, None before the first word."""
        said = [side for at, side in (*self.earlier, (self.at, self.first)) if at <= now]
        return said[-1] if said else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Two priority bulletins that clash, and nobody has said which goes first."""

    above: str
    """Id of the occurrence from above."""
    ours: str
    """Id of the occurrence of the station's own tier."""
    decide_by: datetime
    """From then on ``default`` stands."""
    default: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of one occurrence: when it sounds, ``[start, end)``, and why."""

    occurrence: Occurrence
    outcome: Outcome
    reason: Reason
    start: datetime | None
    """None when it is dropped, as is ``end``. Of an undecided one: as it will be if nobody answers."""
    end: datetime | None
    by: str | None = None
    """Id of the occurrence that took the air."""
    breach: Breach | None = None
    """Of ``local_rule``: which one, and what it says. Of ``no_room``: what forbids the time after ``by``, if a rule."""
    passes: tuple[Rule, ...] = ()
    """The local rules that it breaks and may, because it is an emergency."""
    questions: tuple[Question, ...] = ()
    """What the official is asked about it."""
    otherwise: "Verdict | None" = None
    """Of an undecided one: what stands if nobody answers. It sounds as ``start`` and ``end`` say, too."""

    @property
    def code(self) -> str:
        """The reason as one stable word: the name of the local rule that stops it, or of the reason."""
        return self.breach.rule.value if self.breach and self.reason is Reason.LOCAL_RULE else self.reason.value

    def as_of(self, now: datetime) -> "Verdict":
        """Return the verdict as it stands at ``now``: once no question can be answered any more, the default.

        When it sounds is the same before and after: a plan never changes because time passes.
        """
        if self.otherwise is None or any(now < question.decide_by for question in self.questions):
            return self
        return self.otherwise
