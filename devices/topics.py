"""Where each document travels: MQTT topics as functions of ids, and back."""

import re
from typing import Final

ROOT: Final = "loa/1"
"""The leading part of every topic; its number is the major version of the wire."""

ID_PATTERN: Final = r"[a-z0-9]([a-z0-9-]{0,21}[a-z0-9])?"
"""An id of a zone, cluster or box: 1 to 23 of ``a-z 0-9 -``, no dash at an end.

23 is the longest client identifier that every MQTT 3.1.1 broker must take (MQTT-3.1.3-5); boxes use
their id as one. The pattern also keeps ``/ + #`` out of topics.
"""

_BOX_TOPIC = re.compile(rf"{ROOT}/boxes/(?P<box>{ID_PATTERN})/(?P<kind>status|receipts)")
_REQUEST_TOPIC = re.compile(rf"{ROOT}/boxes/(?P<box>{ID_PATTERN})/time-request")


def playlist(cluster: str) -> str:
    """Return the retained topic of a cluster's playlist (server → boxes)."""
    return f"{ROOT}/clusters/{cluster}/playlist"


def acknowledgement(box: str) -> str:
    """Return the retained topic that says which receipts the server has stored (server → box)."""
    return f"{ROOT}/boxes/{box}/acknowledgement"


def status(box: str) -> str:
    """Return the retained topic of a box's status, which is also its last will (box → server)."""
    return f"{ROOT}/boxes/{box}/status"


def receipts(box: str) -> str:
    """Return the topic on which a box reports what it did (box → server, not retained)."""
    return f"{ROOT}/boxes/{box}/receipts"


def time_request(box: str) -> str:
    """Return the topic on which a box asks for the time (box → server, not retained)."""
    return f"{ROOT}/boxes/{box}/time-request"


def time(box: str) -> str:
    """Return the topic on which the server answers (server → box, not retained)."""
    return f"{ROOT}/boxes/{box}/time"


def beacon() -> str:
    """Return the retained topic of the server's beacon (server → all)."""
    return f"{ROOT}/beacon"


def asker(topic: str) -> str | None:
    """Return the box of a topic on which it asks for the time, or None for any other topic."""
    found = _REQUEST_TOPIC.fullmatch(topic)
    return found["box"] if found else None


def sender(topic: str) -> tuple[str, str] | None:
    """Return ``(box, "status" | "receipts")`` of a topic on which a box reports, or None for any other."""
    found = _BOX_TOPIC.fullmatch(topic)
    return (found["box"], found["kind"]) if found else None
