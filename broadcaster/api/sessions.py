"""Sessions: an official signs in, and asks who they are."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from broadcaster.api.context import House, Now, SignedIn
from broadcaster.api.idempotency import KeyedRoute
from broadcaster.flow import sign_in
from broadcaster.store.records import Role

router = APIRouter(route_class=KeyedRoute, tags=["sessions"])


class Credentials(BaseModel):
    """Name and password of an official."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=100)]
    password: Annotated[str, Field(max_length=1000)]


class SessionView(BaseModel):
    """A bearer token and how long it is good for."""

    token: str
    expires_at: datetime
    name: str
    role: Role


class Me(BaseModel):
    """The official who asks, and at which station."""

    name: str
    role: Role
    station: str


@router.post("/sessions", status_code=201)
def open_session(asked: Credentials, house: House, now: Now, response: Response) -> SessionView:
    """Sign in; send the token as `Authorization: Bearer …` from then on."""
    lasting = timedelta(hours=house.settings.session.hours)
    ticket = sign_in.sign_in(asked.name, asked.password, lasting=lasting, store=house.store, now=now)
    response.headers["Cache-Control"] = "no-store"
    return SessionView(
        token=ticket.token, expires_at=ticket.expires_at, name=ticket.official.id, role=ticket.official.role
    )


@router.get("/me")
def me(house: House, by: SignedIn) -> Me:
    """Return who is signed in."""
    return Me(name=by.id, role=by.role, station=house.settings.station.name)
