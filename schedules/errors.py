"""The world's mistakes, as the core reports them: bad input, never a bug of ours."""

from typing import Any, ClassVar

__all__ = ["DomainError"]


class DomainError(Exception):
    """Something that was asked for cannot be; the asker can put it right.

    The message is an English sentence: what happened, to which thing, what was expected, what to do.
    Interfaces translate by ``code`` and ``fields``, never by reading the sentence.

    Attributes:
        codes: Every code that this class may carry, for documentation and its test.
        code: Stable name of what went wrong.
        fields: The facts in the sentence, by name; JSON-ready.
    """

    codes: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, code: str, sentence: str, **fields: Any) -> None:
        if code not in self.codes:
            raise ValueError(f"{type(self).__name__} has no code {code!r}")
        super().__init__(sentence)
        self.code = code
        self.fields: dict[str, Any] = fields
