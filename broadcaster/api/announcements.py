"""Announcements: the short form, words or a sound, where and when."""

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from broadcaster.api.context import House, Language, Now, SignedIn
from broadcaster.api.drafts import DraftBody, ItemBody, Items, item, terms
from broadcaster.api.idempotency import KeyedRoute
from broadcaster.api.instants import Instant
from broadcaster.api.programmes import ProgrammeView, created
from broadcaster.flow import announce, prepare
from devices.values import Digest

router = APIRouter(route_class=KeyedRoute, tags=["announcements"])


class RepeatBody(BaseModel):
    """How often it is heard."""

    model_config = ConfigDict(extra="forbid")

    every: Annotated[float, Field(gt=0, le=86_400, description="Seconds from one start to the next; whole minutes.")]
    times: Annotated[int, Field(ge=1, le=1000, description="How often in all.")]


class NewAnnouncement(DraftBody):
    """Give a `text`, a `sound`, or several `items`."""

    text: Annotated[str, Field(max_length=200_000)] | None = None
    sound: Digest | None = None
    items: Items | None = None
    at: Literal["now"] | Instant = "now"
    """`now`, or RFC 3339 with an offset."""
    repeat: RepeatBody | None = None

    @model_validator(mode="after")
    def _one_of_three(self) -> "NewAnnouncement":
        if sum(given is not None for given in (self.text, self.sound, self.items)) != 1:
            raise ValueError("give exactly one of text, sound and items")
        return self


@router.post("/announcements", status_code=201, response_model_exclude_none=True)
def announce_it(
    asked: NewAnnouncement, language: Language, house: House, by: SignedIn, now: Now, response: Response
) -> ProgrammeView:
    """Queue an announcement; it becomes a programme."""
    bodies = asked.items or (ItemBody(sound=asked.sound, text=asked.text),)
    repeat = asked.repeat
    announcement = announce.Announcement(
        draft=asked.draft(None),
        items=tuple(item(body, house.settings) for body in bodies),
        at=None if asked.at == "now" else asked.at,
        repeat=announce.Repeat(every=timedelta(seconds=repeat.every), times=repeat.times) if repeat else None,
    )
    stored = announce.announce(
        announcement,
        limits=prepare.limits(house.settings.sound),
        terms=terms(house.settings),
        by=by,
        store=house.store,
        now=now,
    )
    return created(stored, house, language, now, response)
