"""How urgent a programme is, and who yields to whom."""

from enum import IntEnum
from typing import Self

from schedules.errors import DomainError

__all__ = ["Level", "LevelError"]


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
