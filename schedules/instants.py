"""Instants are aware. The one check of it, at the entrance of every function that takes one."""

from datetime import datetime

__all__ = ["require_aware"]


def require_aware(*instants: datetime) -> None:
    """Do nothing if every instant knows its offset from UTC.

    Raises:
        ValueError: One is naive. A caller's mistake, never bad data.
    """
    for instant in instants:
        if instant.utcoffset() is None:
            raise ValueError(f"{instant!r} is naive; an instant needs its offset from UTC")
