"""Day types: named sets of dates, such as public holidays, working days or an exam week."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from schedules.errors import DomainError

__all__ = ["MOST_SPANS", "NO_DAY_TYPES", "DayType", "DayTypeError", "DayTypes", "Days", "check_types"]

MOST_SPANS: Final = 1000
"""Spans of days in one type: the public holidays of a hundred years, each on its own."""

_MOST_REMEMBERED: Final = 4000  # days: more than a check of a recurrence looks at, in about a megabyte


class DayTypeError(DomainError):
    """Day types that cannot be, or one that is not there.

    ``unknown_day_type``: fields ``day_type`` and, if another type names it, ``named_by``.
    ``day_type_cycle``: types are less each other in a circle; field ``day_types``, the circle in order.
    ``bad_days``: a span that ends before it begins, too many of them, or no weekday; field ``day_type``.
    """

    codes = frozenset({"unknown_day_type", "day_type_cycle", "bad_days"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Some days on end, both included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True, kw_only=True)
class DayType:
    """A set of dates with a name. A date belongs to it

    * if ``days`` hold it, whatever else is said (a Saturday that is worked), or
    * if its weekday is one of ``weekdays`` and it belongs to none of the day types ``less``.
    """

    id: str
    name: str
    days: tuple[Days, ...] = ()
    weekdays: frozenset[int] = frozenset()
    """Monday is 0."""
    less: tuple[str, ...] = ()
    """Ids of other day types."""
    revision: int = 1


class DayTypes:
    """The day types of a station, by id; built once, never changed.

    A ``less`` that names no type takes nothing away: ``check_types`` is for types that come in.

    Raises:
        DayTypeError: ``day_type_cycle``; bad definitions.
        ValueError: Two types share an id. A caller's mistake: stores keep ids unique.
    """

    __slots__ = ("_remembered", "_spans", "_types")

    def __init__(self, types: Iterable[DayType]) -> None:
        self._types = _by_id(types)
        self._spans = [(type_, _Spans(type_.days)) for type_ in _least_first(self._types)]
        self._remembered: dict[date, frozenset[str]] = {}

    def __contains__(self, type_id: str) -> bool:
        return type_id in self._types

    def includes(self, type_id: str, day: date) -> bool:
        """Return whether ``day`` belongs to the type; to one that does not exist belongs none."""
        held = self._remembered.get(day)
        if held is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            held = self._remembered[day] = self._types_of(day)
        return type_id in held

    def refuse_unknown(self, type_ids: Iterable[str]) -> None:
        """Do nothing if all these types exist.

        Raises:
            DayTypeError: ``unknown_day_type``.
        """
        for type_id in type_ids:
            if type_id not in self._types:
                raise DayTypeError(
                    "unknown_day_type",
                    f"There is no day type {type_id!r}; choose one that exists or add it first.",
                    day_type=type_id,
                )

    def _types_of(self, day: date) -> frozenset[str]:
        held: set[str] = set()
        weekday = day.weekday()
        for type_, spans in self._spans:  # a type comes after those that it is less: they are decided
            if day in spans or (weekday in type_.weekdays and held.isdisjoint(type_.less)):
                held.add(type_.id)
        return frozenset(held)


def check_types(types: Iterable[DayType]) -> None:
    """Do nothing if these, all the types that a station is to have, can be followed.

    Raises:
        DayTypeError: ``bad_days``, ``unknown_day_type`` or ``day_type_cycle``. The sender's mistake.
        ValueError: Two types share an id. A caller's mistake.
    """
    by_id = _by_id(types)
    for type_ in by_id.values():
        _refuse_bad_days(type_)
        for other in type_.less:
            if other not in by_id:
                raise DayTypeError(
                    "unknown_day_type",
                    f"Day type {type_.id!r} is less {other!r}, which does not exist; add that one first.",
                    day_type=other,
                    named_by=type_.id,
                )
    _least_first(by_id)


class _Spans:
    """Some days, merged so that one look tells whether a day is among them."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, spans: Iterable[Days]) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted((days.first.toordinal(), days.last.toordinal()) for days in spans):
            if self._lasts and first <= self._lasts[-1] + 1:
                self._lasts[-1] = max(self._lasts[-1], last)
            else:
                self._firsts.append(first)
                self._lasts.append(last)

    def __contains__(self, day: date) -> bool:
        at = bisect_right(self._firsts, day.toordinal()) - 1
        return at >= 0 and day.toordinal() <= self._lasts[at]


def _by_id(types: Iterable[DayType]) -> dict[str, DayType]:
    by_id: dict[str, DayType] = {}
    for type_ in types:
        if type_.id in by_id:
            raise ValueError(f"two day types have the id {type_.id!r}")
        by_id[type_.id] = type_
    return by_id


def _least_first(types: Mapping[str, DayType]) -> list[DayType]:
    """Return the types in an order in which each comes after those that it is less."""
    ordered: dict[str, DayType] = {}
    waiting = dict(types)
    while waiting:
        ready = [type_ for type_ in waiting.values() if not any(other in waiting for other in type_.less)]
        if not ready:
            raise _cycle(waiting)
        for type_ in ready:
            ordered[type_.id] = waiting.pop(type_.id)
    return list(ordered.values())


def _cycle(waiting: Mapping[str, DayType]) -> DayTypeError:
    at = next(iter(waiting))
    walked: dict[str, None] = {}
    while at not in walked:
        walked[at] = None
        at = next(other for other in waiting[at].less if other in waiting)
    circle = [*walked][[*walked].index(at) :]
    said = " less ".join(repr(type_id) for type_id in [*circle, circle[0]])
    return DayTypeError(
        "day_type_cycle",
        f"Day types take each other away in a circle: {said}; take one of them out of the other's less.",
        day_types=circle,
    )


def _refuse_bad_days(type_: DayType) -> None:
    if len(type_.days) > MOST_SPANS:
        raise _bad(type_, f"has more than {MOST_SPANS} spans of days; join those that meet, or part it in two types")
    for days in type_.days:
        if days.last < days.first:
            raise _bad(type_, f"has days from {days.first} to {days.last}, which is before; exchange them")
    if strange := sorted(type_.weekdays - frozenset(range(7))):
        raise _bad(type_, f"has the weekday {strange[0]}; use 0 for Monday to 6 for Sunday")


def _bad(type_: DayType, sentence: str) -> DayTypeError:
    return DayTypeError("bad_days", f"Day type {type_.id!r} {sentence}.", day_type=type_.id)


NO_DAY_TYPES: Final = DayTypes(())
