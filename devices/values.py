"""The kinds of values that documents on the wire are made of, each with its bounds."""

from datetime import UTC, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer, StringConstraints

from devices.topics import ID_PATTERN

LONGEST_LIMIT_S: Final = 31 * 86_400
"""Seconds in a rule that counts, at most."""
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9000
MOST: Final = 2**53
"""Largest whole number on the wire: the largest that every JSON reader takes exactly, and 64 bits hold."""


def _in_utc(t: datetime) -> datetime:
    # Around the ends of the calendar neither UTC nor the end of a slot can be told: nobody may send such an instant.
    if not _FIRST_YEAR <= t.year <= _LAST_YEAR:
        raise ValueError(f"the year must be from {_FIRST_YEAR} to {_LAST_YEAR}")
    return t.astimezone(UTC)


def _write_instant(t: datetime) -> str:
    return t.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # a folder of the tz database is an OSError
        raise ValueError("the time zone is not known here") from error
    return name


Instant = Annotated[
    AwareDatetime,
    AfterValidator(_in_utc),
    PlainSerializer(_write_instant, when_used="json"),
]
Id = Annotated[str, StringConstraints(pattern=rf"^{ID_PATTERN}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of the bytes, in lower-case hexadecimal."""
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]
Version = Annotated[int, Field(ge=1, le=MOST)]
Count = Annotated[int, Field(ge=0, le=MOST)]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$")]
"""What the clocks on the wall show, ``HH:MM:SS``."""
ZoneName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$", max_length=64),
    AfterValidator(_known_zone),
]
"""A time zone of the IANA database that this end knows."""
Percent = Annotated[int, Field(ge=0, le=100)]
"""Of full amplitude."""
Limit = Annotated[float, Field(ge=0, le=LONGEST_LIMIT_S, allow_inf_nan=False)]
"""Seconds that a rule allows, or asks for."""
Level = Annotated[int, Field(ge=1, le=3)]
"""1 emergency, 2 priority, 3 routine, as the provincial interfaces code them."""
