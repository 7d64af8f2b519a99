"""Which days are holidays, working days, exam days: the day types that recurrences name."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from broadcaster.flow.arrange import refuse_if_used
from broadcaster.store.port import Definitions
from broadcaster.store.records import Official
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup
from schedules.days import DayType, DayTypes, check_types

_REPLAN: Final = (Wakeup.PLAN,)


def known_days(definitions: Definitions) -> DayTypes:
    """Return the day types of the station, to be asked about days."""
    return DayTypes(definitions.day_types.all())


def add_day_type(day_type: DayType, *, by: Official, store: Store, now: datetime) -> DayType:
    """Add a day type.

    Raises:
        DayTypeError: ``bad_days``, ``unknown_day_type``, ``day_type_cycle``.
        AlreadyExists: the id is taken.
    """
    with store.transaction():
        added = store.definitions.day_types.add(day_type)
        check_types(store.definitions.day_types.all())
        store.record("day_type.added", day_type.id, by=by.id, at=now, name=day_type.name, wake=_REPLAN)
    return added


def change_day_type(
    id: str, changes: dict[str, Any], *, revision: int, by: Official, store: Store, now: datetime
) -> DayType:
    """Change a day type's name, days, weekdays or ``less``; programmes that name it follow it from the next plan on.

    Raises:
        NotFound, RevisionConflict: no such day type, or it changed since it was read.
        DayTypeError: ``bad_days``, ``unknown_day_type``, ``day_type_cycle``.
    """
    with store.transaction():
        changed = store.definitions.day_types.change(id, lambda old: replace(old, **changes), expected=revision)
        check_types(store.definitions.day_types.all())
        store.record("day_type.changed", id, by=by.id, at=now, changes=sorted(changes), wake=_REPLAN)
    return changed


def remove_day_type(id: str, *, by: Official, store: Store, now: datetime) -> None:
    """Remove a day type that no other type and no programme that still counts names.

    Raises:
        NotFound: no such day type.
        Refusal: ``in_use``.
    """
    definitions = store.definitions
    with store.transaction():
        definitions.day_types.remove(id)
        refuse_if_used(
            id,
            [other.id for other in definitions.day_types.all() if id in other.less]
            + [
                programme.id
                for programme in definitions.programmes.all()
                if programme.withdrawn_at is None and (recurrence := programme.recurrence) is not None
                if id in (*recurrence.only_on, *recurrence.not_on)
            ],
        )
        store.record("day_type.removed", id, by=by.id, at=now, wake=_REPLAN)
