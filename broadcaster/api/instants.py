"""Instants as the API takes them: with an offset, and within the years that a calendar can compute with."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime

_YEARS: Final = range(1970, 3000)
"""Those of recurrences; near the ends of the calendar the next offset or day would not exist."""


def _within(t: datetime) -> datetime:
    if t.year not in _YEARS:
        raise ValueError(f"give an instant of the years {_YEARS[0]} to {_YEARS[-1]}")
    return t


Instant = Annotated[AwareDatetime, AfterValidator(_within)]
"""RFC 3339."""
