"""Who says that it may be heard: an approval over the digest of exactly what, where and when.

An official's own programme counts as approved by its author, once everything that will be heard is known.
"""

from dataclasses import replace
from datetime import datetime

from schedules.programmes import Approval, Programme, content_digest


def approved(programme: Programme, *, by: str, now: datetime) -> Programme:
    """Return ``programme`` with an approval that covers it as it is.

    Raises:
        ValueError: it is not ready, so nobody knows yet what would be heard. A caller's mistake.
    """
    if not programme.is_ready:
        raise ValueError(f"programme {programme.id} is not ready to be approved")
    return replace(programme, approval=Approval(by=by, at=now, digest=content_digest(programme)))
