"""What the server may say of a box from its last status: facts with their age, never a guess."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from devices.messages import Status

SILENCE: Final = timedelta(minutes=25)
"""A box reports every 15 minutes if nothing changes. That the line is up meanwhile the broker watches (decision 12)."""
ROLL_CALL: Final = timedelta(seconds=95)
"""How long boxes have to answer a new session of the server: less than the 100 s in which EN 54-16 clause 8.1.3 wants a
fault to be shown. They answer within 20 s; who comes back after the broker was down needs up to a minute to dial."""

Last = tuple[datetime, Status]
"""A status, and when it came as a sign of life, by the server's clock."""


class Health(StrEnum):
    """Whether a box can be counted on."""

    ONLINE = "online"
    """It has reported, in this session of the server if there was time for it, and the broker has its line."""
    OFFLINE = "offline"
    """It said goodbye, the broker said it for it, or it has not answered."""
    UNKNOWN = "unknown"
    """It has never reported, or the server itself has no line to the broker."""


def health(last: Last | None, now: datetime, *, line_since: datetime | None) -> Health:
    """Return how a box is, from its last status.

    Args:
        last: what is kept of it, see ``kept``; None: nothing.
        now: by the server's clock, as all instants here.
        line_since: when the server's session with the broker began; None: it has none.
    """
    if last is None or line_since is None:
        return Health.UNKNOWN
    received_at, status = last
    line_since = min(line_since, now)  # the server's clock was set back: nobody is to blame for it
    unanswered = received_at < line_since and now - line_since > ROLL_CALL
    gone = not status.online or unanswered or now - received_at > SILENCE
    return Health.OFFLINE if gone else Health.ONLINE


def kept(new: Status, last: Last | None, *, retained: bool, session: str | None, now: datetime) -> Last | None:
    """Return what to keep of a box after a message that bears its signature, or None: the message is an old one.

    Whoever holds the broker has every status that ever passed it. None of them may make a dead box look alive:

    * An online status counts if it is newer, by the box's own clock, than the one that is kept. A box whose clock
      was set back is not heard by this, until it answers a new ``session`` of the server: nobody can have made that
      answer before. That it has answered is kept with whatever it says later in that session.
    * A copy that the broker held is content, no sign of life.
    * A goodbye counts always, and its instant never: the last will was sealed when the line came up. An old one that is
      sent again makes a false alarm at most, until the box reports next; so would cutting its line.
    """
    if last is None:
        return (min(now, new.at) if retained else now), new
    received_at, before = last
    if not new.online:
        gone = new.model_copy(update={"at": max(new.at, before.at), "session": before.session})
        return (received_at if retained else now), gone
    answers = session is not None and new.session == session != before.session
    if before.session == session:
        new = new.model_copy(update={"session": session})
    if new == before:
        return last
    if new.at <= before.at and not answers:
        return None
    return (received_at if retained else now), new
