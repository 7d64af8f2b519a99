"""How urgent a programme is, whose it is, and who yields to whom."""

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import Self

from schedules.errors import DomainError

__all__ = ["Level", "LevelError", "Policy", "Side"]


class LevelError(DomainError):
    """A word that names no level. Fields: ``level``, the word, and ``known``, the words that do."""

    codes = frozenset({"unknown_level"})


class Level(IntEnum):
    """The three levels of bulletin of Circular 39/2020/TT-BTTTT; the lower number is the stronger.

    The numbers are those of the de-facto provincial interfaces, so they are safe on the wire. Compare
    levels through ``outranks``: ``<`` on the numbers reads the wrong way round.
    """

    EMERGENCY = 1
    """*Khẩn cấp*: disaster, fire, epidemic; on air at once."""
    PRIORITY = 2
    """*Ưu tiên*: inserted before what is routine."""
    ROUTINE = 3
    """*Thông thường*: the commune chooses the time."""

    @property
    def word(self) -> str:
        """The level as the API says it: ``emergency``, ``priority`` or ``routine``."""
        return self.name.lower()

    @classmethod
    def from_word(cls, word: str) -> Self:
        """Return the level that the API calls ``word``.

        Raises:
            LevelError: ``unknown_level``; the sender's mistake.
        """
        for level in cls:
            if level.word == word:
                return level
        known = [level.word for level in cls]
        raise LevelError(
            "unknown_level",
            f"{word!r} is not a level; send one of {', '.join(known)}.",
            level=word,
            known=known,
        )

    def outranks(self, other: "Level") -> bool:
        """Say whether this level takes the air from ``other``; no level outranks itself."""
        return self < other


class Side(StrEnum):
    """One of the two whose priority bulletins clash."""

    OURS = "ours"
    """The station's own tier."""
    ABOVE = "above"
    """A tier above it."""

    @property
    def other(self) -> "Side":
        """The other of the two."""
        return Side.ABOVE if self is Side.OURS else Side.OURS


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who goes first, and what happens to who does not, as far as the station settles it once for all."""

    tiers: tuple[str, ...] = ("central", "province", "commune")
    """Strongest first. Data, not code: tiers come and go."""
    own: str = "commune"
    """The station's own tier, one of ``tiers``."""
    undecided: Side = Side.OURS
    """Who goes first where a priority bulletin from above meets one of our own and nobody decides."""
    decide_before: timedelta = timedelta(hours=1)
    """How long before the earlier of the two starts the official has to have decided."""
    most_move: timedelta = timedelta(minutes=15)
    """How much later than meant an occurrence may start whose programme does not say."""

    def place(self, tier: str | None) -> int:
        """Return the place of a tier, 0 for the strongest; None is our own, one that is not known comes last."""
        name = self.own if tier is None else tier
        return self.tiers.index(name) if name in self.tiers else len(self.tiers)

    def is_above(self, tier: str | None) -> bool:
        """Say whether ``tier`` stands above the station's own."""
        return self.place(tier) < self.place(self.own)
