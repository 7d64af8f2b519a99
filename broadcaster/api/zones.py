"""Zones: the tree that programmes are targeted by, with the rules that bind it and the holds that silence it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from broadcaster.api.context import Admin, House, Now, SignedIn
from broadcaster.api.idempotency import KeyedRoute
from broadcaster.api.paging import AfterId, Limit, Page, page
from broadcaster.api.rules import HoldBody, HoldView, RulesBody, show_hold, show_rules
from broadcaster.api.wording import Words
from broadcaster.flow import arrange
from devices.values import Id
from schedules.zones import Zone

router = APIRouter(route_class=KeyedRoute, tags=["zones"])

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
    rules: RulesBody | None = None


class ZoneChange(BaseModel):
    """What to change of a zone; fields left out stay as they are, and only those told are looked at."""

    model_config = ConfigDict(extra="forbid")

    revision: int
    name: Words = ""
    kind: Words = ""
    parent: Id | None = None
    area: Area | None = None
    rules: RulesBody | None = None
    """All rules of the zone, in place of those before; null: none of its own."""


class ZoneView(BaseModel):
    """A zone. What zones above it rule and hold binds it too."""

    id: str
    name: str
    kind: str
    parent: str | None
    area: dict[str, Any] | None
    rules: RulesBody | None
    holds: list[HoldView]
    """Those that are not over, by start."""
    revision: int


def show(zone: Zone, now: datetime) -> ZoneView:
    """Return the zone as the API tells it."""
    return ZoneView(
        id=zone.id,
        name=zone.name,
        kind=zone.kind,
        parent=zone.parent,
        area=zone.area,
        rules=show_rules(zone.rules),
        holds=[show_hold(hold) for hold in zone.holds if hold.end > now and hold.lifted_at is None],
        revision=zone.revision,
    )


@router.get("/zones")
def list_zones(house: House, _by: SignedIn, now: Now, after: AfterId = None, limit: Limit = 100) -> Page[ZoneView]:
    """Return the zones, in the order in which they were added."""
    zones = house.store.definitions.zones.all()
    return page(zones, id_of=lambda zone: zone.id, show=lambda zone: show(zone, now), after=after, limit=limit)


@router.post("/zones", status_code=201)
def add_zone(asked: NewZone, house: House, by: Admin, now: Now) -> ZoneView:
    """Add a zone, under a parent or as a root."""
    zone = Zone(**{**asked.model_dump(), "rules": asked.rules.rules() if asked.rules else None})
    return show(arrange.add_zone(zone, by=by, store=house.store, now=now), now)


@router.patch("/zones/{zone}")
def change_zone(zone: str, asked: ZoneChange, house: House, by: Admin, now: Now) -> ZoneView:
    """Change a zone; its clusters follow it when its parent changes, and its rules bind from the next plan on."""
    changes = asked.model_dump(exclude_unset=True, exclude={"revision"})
    if "rules" in changes:
        changes["rules"] = asked.rules.rules() if asked.rules else None
    return show(arrange.change_zone(zone, changes, revision=asked.revision, by=by, store=house.store, now=now), now)


@router.delete("/zones/{zone}", status_code=204)
def remove_zone(zone: str, house: House, by: Admin, now: Now) -> None:
    """Remove a zone that nothing depends on."""
    arrange.remove_zone(zone, by=by, store=house.store, now=now)


@router.post("/zones/{zone}/holds", status_code=201)
def place_hold(zone: str, asked: HoldBody, house: House, by: SignedIn, now: Now) -> HoldView:
    """Hold a zone silent: an exam, a funeral, a hospital. Only emergencies pass; any official may, at any hour."""
    wanted = arrange.HoldAsked(kind=asked.kind, reason=asked.reason, start=asked.start, end=asked.end)
    return show_hold(arrange.place_hold(zone, wanted, by=by, store=house.store, now=now))


@router.delete("/zones/{zone}/holds/{hold}", status_code=204)
def lift_hold(zone: str, hold: str, house: House, by: SignedIn, now: Now) -> None:
    """End a hold now; one that has not begun is taken away."""
    arrange.lift_hold(zone, hold, by=by, store=house.store, now=now)
