"""What a benchmark says: a figure, its limit, and whether it holds."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value. ``limit`` is the highest that is good; None: told, not judged."""

    figure: str
    value: float
    unit: str
    limit: float | None

    @property
    def ok(self) -> bool:
        """Whether the value keeps its limit."""
        return self.limit is None or self.value <= self.limit

    def line(self) -> str:
        """Return the figure as one line of JSON."""
        return json.dumps({**asdict(self), "value": round(self.value, 4), "ok": self.ok})

    def row(self) -> str:
        """Return the figure as a row of a table."""
        limit = "" if self.limit is None else f"≤ {self.limit:g}"
        return f"{self.figure:<62} {self.value:>10.3f} {self.unit:<4} {limit:<8} {'ok' if self.ok else 'FALLS SHORT'}"
