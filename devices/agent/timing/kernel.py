"""What the kernel says of its own clock: whether something disciplines it, and how far it may be off. Linux only.

``adjtimex`` with no modes only reads, which anyone may. A kernel calls its clock synchronised after a time daemon has
told it so (chrony does only with ``rtcsync``), and no longer when its own bound, which grows by 500 ppm, passes 16 s.
"""

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Final

_TIME_ERROR: Final = 5
_STA_UNSYNC: Final = 0x40


class _Timex(ctypes.Structure):
    """The head of ``struct timex``; what follows is not read, but written."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


@cache
def _adjtimex() -> Callable[..., int] | None:
    """Return the C library's function, or None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        function: Callable[..., int] = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    return function


def doubt() -> float | None:
    """Return the seconds by which the system clock may be off at most, or None: nothing disciplines it."""
    ask = _adjtimex()
    if ask is None:
        return None
    timex = _Timex()
    state = ask(ctypes.byref(timex))
    if state < 0 or state == _TIME_ERROR or timex.status & _STA_UNSYNC:
        return None
    return float(timex.maxerror) / 1e6
