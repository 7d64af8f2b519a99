"""Clusters: the poles that programmes sound from, and the codes that let boxes serve them."""

import io
from datetime import datetime, timedelta
from typing import Annotated

import segno
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from broadcaster.api.context import Admin, House, Now, SignedIn
from broadcaster.api.idempotency import KeyedRoute
from broadcaster.api.paging import AfterId, Limit, Page, page
from broadcaster.api.wording import COMPOSED, Words
from broadcaster.flow import arrange, enrol
from devices.values import Id
from schedules.zones import Cluster, Location

router = APIRouter(route_class=KeyedRoute, tags=["clusters"])

Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50), COMPOSED]
Tags = Annotated[tuple[Tag, ...], Field(max_length=50)]
Volume = Annotated[int, Field(ge=0, le=100, description="Percent of full amplitude.")]


class Place(BaseModel):
    """WGS 84 degrees."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]


class NewCluster(BaseModel):
    """A cluster to add."""

    model_config = ConfigDict(extra="forbid")

    id: Id
    name: Words
    zone: Id
    location: Place | None = None
    volume: Volume = 80
    tags: Tags = ()


class ClusterChange(BaseModel):
    """What to change of a cluster; fields left out stay as they are, and only those told are looked at."""

    model_config = ConfigDict(extra="forbid")

    revision: int
    name: Words = ""
    zone: Id = ""
    location: Place | None = None
    volume: Volume = 80
    tags: Tags = ()


class ClusterView(BaseModel):
    """A cluster."""

    id: str
    name: str
    zone: str
    location: Place | None
    volume: int
    tags: tuple[str, ...]
    revision: int


class CodeView(BaseModel):
    """A one-time code. `qr` is an SVG picture of it."""

    code: str
    cluster: str
    expires_at: datetime
    qr: str


def show(cluster: Cluster) -> ClusterView:
    """Return the cluster as the API tells it."""
    return ClusterView(
        id=cluster.id,
        name=cluster.name,
        zone=cluster.zone,
        location=Place.model_validate(cluster.location) if cluster.location else None,
        volume=cluster.volume,
        tags=cluster.tags,
        revision=cluster.revision,
    )


def _location(place: Place | None) -> Location | None:
    return Location(latitude=place.latitude, longitude=place.longitude) if place else None


@router.get("/clusters")
def list_clusters(house: House, _by: SignedIn, after: AfterId = None, limit: Limit = 100) -> Page[ClusterView]:
    """Return the clusters, in the order in which they were added."""
    clusters = house.store.definitions.clusters.all()
    return page(clusters, id_of=lambda cluster: cluster.id, show=show, after=after, limit=limit)


@router.post("/clusters", status_code=201)
def add_cluster(asked: NewCluster, house: House, by: Admin, now: Now) -> ClusterView:
    """Add a cluster in a zone."""
    cluster = Cluster(**{**asked.model_dump(), "location": _location(asked.location)})
    return show(arrange.add_cluster(cluster, by=by, store=house.store, now=now))


@router.patch("/clusters/{cluster}")
def change_cluster(cluster: str, asked: ClusterChange, house: House, by: Admin, now: Now) -> ClusterView:
    """Change a cluster; one moved to another zone follows that zone's programmes from the next plan on."""
    changes = asked.model_dump(exclude_unset=True, exclude={"revision"})
    if "location" in changes:
        changes["location"] = _location(asked.location)
    return show(arrange.change_cluster(cluster, changes, revision=asked.revision, by=by, store=house.store, now=now))


@router.delete("/clusters/{cluster}", status_code=204)
def remove_cluster(cluster: str, house: House, by: Admin, now: Now) -> None:
    """Remove a cluster that no box serves."""
    arrange.remove_cluster(cluster, by=by, store=house.store, now=now)


@router.post("/clusters/{cluster}/enrolment", status_code=201)
def issue_code(cluster: str, house: House, by: Admin, now: Now, response: Response) -> CodeView:
    """Issue a one-time code for a box of this cluster; codes issued before lose their worth."""
    lasting = timedelta(minutes=house.settings.enrolment.minutes)
    code = enrol.issue_code(cluster, lasting=lasting, by=by, store=house.store, now=now)
    picture = io.BytesIO()
    segno.make(code.text, error="m").save(picture, kind="svg", scale=6, xmldecl=False)
    response.headers["Cache-Control"] = "no-store"
    return CodeView(code=code.text, cluster=code.cluster, expires_at=code.expires_at, qr=picture.getvalue().decode())
