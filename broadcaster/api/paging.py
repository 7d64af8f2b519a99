"""Lists are paged: ``limit`` items after the one named by ``after``, and the name to go on from."""

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

T = TypeVar("T")
R = TypeVar("R")

Limit = Annotated[int, Query(ge=1, le=1000, description="Most items to return.")]
AfterId = Annotated[str | None, Query(max_length=100, description="`next` of the page before.")]
AfterRow = Annotated[int, Query(ge=0, le=2**53, description="`next` of the page before.")]


class Page(BaseModel, Generic[T]):
    """Some of a list. ``next`` is absent on the last page."""

    items: list[T]
    next: str | None = None


def page(
    records: Sequence[R], *, id_of: Callable[[R], str], show: Callable[[R], T], after: str | None, limit: int
) -> Page[T]:
    """Return up to ``limit`` of ``records`` after the one with the id ``after``; from the start if that is gone."""
    first = next((index + 1 for index, record in enumerate(records) if id_of(record) == after), 0) if after else 0
    shown = records[first : first + limit]
    more = first + limit < len(records)
    return Page(items=[show(record) for record in shown], next=id_of(shown[-1]) if more else None)
