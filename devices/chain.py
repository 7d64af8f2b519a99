"""The chain over a box's receipts: each value stands for one receipt and all before it. Both ends compute it.

A box's log is kept where people come by and cards wear out. Where a receipt was taken out, changed or put in, or an
old copy of the file was put back, the value that the server has verified no longer fits.
The line that is hashed is told field by field in ``docs/protocol.md``, so that any language can write it.
"""

from datetime import UTC
from hashlib import sha256
from typing import Final

from devices.messages import Receipt

START: Final = "0" * 64
"""The value before the first receipt, and before the first one behind a break."""
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n"})


def link(previous: str, receipt: Receipt) -> str:
    """Return the chain's value after ``receipt``: SHA-256, in hexadecimal, over ``previous`` and its line."""
    return sha256(f"{previous}\n{line(receipt)}".encode()).hexdigest()


def line(receipt: Receipt) -> str:
    """Return what is hashed of a receipt: ten fields with tabs between them, an absent one empty.

    The sequence is not among them: a box that lost its file counts on behind what the server has.
    """
    fields = (
        receipt.id,
        receipt.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        receipt.outcome.value,
        "" if receipt.playlist is None else str(receipt.playlist),
        (receipt.slot or "").translate(_ESCAPES),
        receipt.code or "",
        _seconds(receipt.offset),
        _seconds(receipt.heard),
        _seconds(receipt.late),
        receipt.rendition or "",
    )
    return "\t".join(fields)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value + 0.0:.6f}"  # + 0.0: minus nothing is nothing
