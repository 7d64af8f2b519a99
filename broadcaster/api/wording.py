"""What people type, in one form: “chợ” is one word, whichever keyboard wrote it."""

from typing import Annotated, Any, Final
from unicodedata import normalize

from pydantic import BeforeValidator, StringConstraints


def _composed(said: Any) -> Any:
    return normalize("NFC", said) if isinstance(said, str) else said


COMPOSED: Final = BeforeValidator(_composed)
"""Unicode normalization form C (UAX 15): some keyboards send a letter and its marks apart, and equal words differ."""

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), COMPOSED]
"""A name, a title, a reason: composed, and without blanks around it."""
