"""Zones: the tree that programmes are targeted by."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from broadcaster.api.context import Admin, House, Now, SignedIn
from broadcaster.api.idempotency import KeyedRoute
from broadcaster.api.paging import AfterId, Limit, Page, page
from broadcaster.flow import arrange
from devices.messages import Id
from schedules.zones import Zone

router = APIRouter(route_class=KeyedRoute, tags=["zones"])

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


Degrees = Annotated[float, Field(allow_inf_nan=False)]
Position = Annotated[list[Degrees], Field(min_length=2, max_length=3)]
Rings = Annotated[list[Annotated[list[Position], Field(max_length=10_000)]], Field(max_length=1000)]


class Geometry(BaseModel):
    """A GeoJSON geometry (RFC 7946, section 3.1)."""

    model_config = ConfigDict(extra="forbid")


class Point(Geometry):
    """Longitude, latitude and, if told, height."""

    type: Literal["Point"]
    coordinates: Position


class Polygon(Geometry):
    """An outer ring and its holes."""

    type: Literal["Polygon"]
    coordinates: Rings


class MultiPolygon(Geometry):
    """Several polygons."""

    type: Literal["MultiPolygon"]
    coordinates: Annotated[list[Rings], Field(max_length=1000)]


Area = Annotated[Point | Polygon | MultiPolygon, Field(discriminator="type")]
"""For maps only; who hears what follows from the tree."""


class NewZone(BaseModel):
    """A zone to add."""

    model_config = ConfigDict(extra="forbid")

    id: Id
    name: Words
    kind: Words
    parent: Id | None = None
    area: Area | None = None


class ZoneChange(BaseModel):
    """What to change of a zone; fields left out stay as they are, and only those told are looked at."""

    model_config = ConfigDict(extra="forbid")

    revision: int
    name: Words = ""
    kind: Words = ""
    parent: Id | None = None
    area: Area | None = None


class ZoneView(BaseModel):
    """A zone."""

    id: str
    name: str
    kind: str
    parent: str | None
    area: dict[str, Any] | None
    revision: int


def show(zone: Zone) -> ZoneView:
    """Return the zone as the API tells it."""
    return ZoneView(
        id=zone.id, name=zone.name, kind=zone.kind, parent=zone.parent, area=zone.area, revision=zone.revision
    )


@router.get("/zones")
def list_zones(house: House, _by: SignedIn, after: AfterId = None, limit: Limit = 100) -> Page[ZoneView]:
    """Return the zones, in the order in which they were added."""
    zones = house.store.definitions.zones.all()
    return page(zones, id_of=lambda zone: zone.id, show=show, after=after, limit=limit)


@router.post("/zones", status_code=201)
def add_zone(asked: NewZone, house: House, by: Admin, now: Now) -> ZoneView:
    """Add a zone, under a parent or as a root."""
    return show(arrange.add_zone(Zone(**asked.model_dump()), by=by, store=house.store, now=now))


@router.patch("/zones/{zone}")
def change_zone(zone: str, asked: ZoneChange, house: House, by: Admin, now: Now) -> ZoneView:
    """Change a zone; its clusters follow it when its parent changes."""
    changes = asked.model_dump(exclude_unset=True, exclude={"revision"})
    return show(arrange.change_zone(zone, changes, revision=asked.revision, by=by, store=house.store, now=now))


@router.delete("/zones/{zone}", status_code=204)
def remove_zone(zone: str, house: House, by: Admin, now: Now) -> None:
    """Remove a zone that nothing depends on."""
    arrange.remove_zone(zone, by=by, store=house.store, now=now)
