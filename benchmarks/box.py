"""The box: in step with its neighbour, cheap by the thousand, flat over a day, and sparing with 4G."""

from collections.abc import Iterator

from benchmarks import crowd, days, together
from benchmarks.figures import Figure


def figures() -> Iterator[Figure]:
    """Yield the figures of two boxes side by side, of a box's days, and of a crowd."""
    yield from together.figures()
    yield from days.figures()
    yield from crowd.figures()
