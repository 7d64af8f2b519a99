"""Day types: named sets of dates that recurrences are heard on, or not: holidays, working days, exam weeks."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from broadcaster.api.context import Admin, House, Now, SignedIn
from broadcaster.api.idempotency import KeyedRoute
from broadcaster.api.paging import AfterId, Limit, Page, page
from broadcaster.api.rules import Weekdays, from_iso, to_iso
from broadcaster.api.wording import Words
from broadcaster.flow import days
from devices.values import Id
from schedules.days import Days, DayType

router = APIRouter(route_class=KeyedRoute, tags=["day types"])


class DaysBody(BaseModel):
    """Some days on end, both included; `last` may be left out for one day."""

    model_config = ConfigDict(extra="forbid")

    first: date
    last: date | None = None


Spans = Annotated[tuple[DaysBody, ...], Field(max_length=5000)]
Types = Annotated[tuple[Id, ...], Field(max_length=50)]


class NewDayType(BaseModel):
    """A day type to add: `days`, and the `weekdays` that belong to none of the types in `less`."""

    model_config = ConfigDict(extra="forbid")

    id: Id
    name: Words
    days: Spans = ()
    weekdays: Weekdays = ()
    less: Types = ()


class DayTypeChange(BaseModel):
    """What to change of a day type; fields left out stay as they are, and only those told are looked at."""

    model_config = ConfigDict(extra="forbid")

    revision: int
    name: Words = ""
    days: Spans = ()
    weekdays: Weekdays = ()
    less: Types = ()


class SpanView(BaseModel):
    """Some days on end, both included."""

    first: date
    last: date


class DayTypeView(BaseModel):
    """A day type."""

    id: str
    name: str
    days: list[SpanView]
    weekdays: tuple[int, ...]
    less: tuple[str, ...]
    revision: int


def show(day_type: DayType) -> DayTypeView:
    """Return the day type as the API tells it."""
    return DayTypeView(
        id=day_type.id,
        name=day_type.name,
        days=[SpanView(first=span.first, last=span.last) for span in day_type.days],
        weekdays=to_iso(day_type.weekdays),
        less=day_type.less,
        revision=day_type.revision,
    )


def _spans(bodies: tuple[DaysBody, ...]) -> tuple[Days, ...]:
    return tuple(Days(first=body.first, last=body.last or body.first) for body in bodies)


@router.get("/day-types")
def list_day_types(house: House, _by: SignedIn, after: AfterId = None, limit: Limit = 100) -> Page[DayTypeView]:
    """Return the day types, in the order in which they were added."""
    types = house.store.definitions.day_types.all()
    return page(types, id_of=lambda each: each.id, show=show, after=after, limit=limit)


@router.post("/day-types", status_code=201)
def add_day_type(asked: NewDayType, house: House, by: Admin, now: Now) -> DayTypeView:
    """Add a day type."""
    day_type = DayType(
        id=asked.id,
        name=asked.name,
        days=_spans(asked.days),
        weekdays=from_iso(asked.weekdays),
        less=asked.less,
    )
    return show(days.add_day_type(day_type, by=by, store=house.store, now=now))


@router.patch("/day-types/{day_type}")
def change_day_type(day_type: str, asked: DayTypeChange, house: House, by: Admin, now: Now) -> DayTypeView:
    """Change a day type; programmes that name it follow it from the next plan on."""
    changes = asked.model_dump(exclude_unset=True, exclude={"revision"})
    if "days" in changes:
        changes["days"] = _spans(asked.days)
    if "weekdays" in changes:
        changes["weekdays"] = from_iso(asked.weekdays)
    revision = asked.revision
    return show(days.change_day_type(day_type, changes, revision=revision, by=by, store=house.store, now=now))


@router.delete("/day-types/{day_type}", status_code=204)
def remove_day_type(day_type: str, house: House, by: Admin, now: Now) -> None:
    """Remove a day type that no other type and no programme names."""
    days.remove_day_type(day_type, by=by, store=house.store, now=now)
