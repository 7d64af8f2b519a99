"""The documents by which boxes learn what time it is, and that the server lives. As in ``messages.py``."""

from typing import Annotated, Final

from pydantic import StringConstraints

from devices.messages import Document
from devices.values import Id, Instant

TIME_REQUEST: Final = "loa-time-request"
TIME: Final = "loa-time"
BEACON: Final = "loa-beacon"


class TimeRequest(Document):
    """A box asks what time it is: box → server, signed by the box, not retained."""

    box: Id
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    """Random; the answer repeats it, so that an old answer is good for nothing."""


class Time(Document):
    """The answer: server → box, signed by the playlist key, not retained."""

    box: Id
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    received: Instant
    """When the server had the request, by its clock."""
    sent: Instant
    """When the server signed the answer. What lies between is not the line's."""


class Beacon(Document):
    """The server lives, and it is at least this late: server → all, retained, signed by the playlist key."""

    at: Instant
    session: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    """Made anew with each session of the server with the broker. A box that sees a new one tells its status."""
