"""What the server may say of a box from its last status: facts with their age, never a guess."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from devices.messages import Status

SILENCE: Final = timedelta(seconds=95)
"""A box reports every 30 s. After three reports that did not come it counts as offline, before the 100 s in
which EN 54-16 clause 8.1.3 wants a fault to be shown."""


class Health(StrEnum):
    """Whether a box can be counted on."""

    ONLINE = "online"
    """It reported within ``SILENCE``."""
    OFFLINE = "offline"
    """It said goodbye, the broker said it for it, or nothing has come for longer than ``SILENCE``."""
    UNKNOWN = "unknown"
    """It has never reported."""


def health(last: tuple[datetime, Status] | None, now: datetime) -> Health:
    """Return how a box is, from its last status and when that came (aware instants of the server's clock)."""
    if last is None:
        return Health.UNKNOWN
    received_at, status = last
    return Health.ONLINE if status.online and now - received_at <= SILENCE else Health.OFFLINE
