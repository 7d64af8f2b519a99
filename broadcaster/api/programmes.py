"""Programmes: what is heard, where and when; and how one is taken back."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from broadcaster.api.context import Context, House, Now, SignedIn
from broadcaster.api.idempotency import KeyedRoute
from broadcaster.api.paging import AfterId, Limit, Page, page
from broadcaster.api.sounds import words
from broadcaster.api.zones import Words
from broadcaster.flow import announce, prepare, schedule
from devices.messages import Digest, Id
from schedules.levels import Level
from schedules.programmes import Programme, ProgrammeState, content_digest, occurrences
from schedules.recurrence import Recurrence
from schedules.zones import Targets

router = APIRouter(route_class=KeyedRoute, tags=["programmes"])

LevelName = Literal["emergency", "priority", "routine"]
Ids = Annotated[tuple[Id, ...], Field(max_length=1000)]
_LOOK_AHEAD = timedelta(days=400)


class ItemBody(BaseModel):
    """One thing to hear: a sound by its id, or a text."""

    model_config = ConfigDict(extra="forbid")

    sound: Digest | None = None
    text: Annotated[str, Field(max_length=200_000)] | None = None
    voice: Annotated[str, Field(max_length=50)] | None = None
    rate: Annotated[float, Field(ge=0.5, le=2.0)] | None = None

    @model_validator(mode="after")
    def _either(self) -> "ItemBody":
        if (self.sound is None) == (self.text is None):
            raise ValueError("give either a sound or a text")
        return self


Items = Annotated[tuple[ItemBody, ...], Field(min_length=1, max_length=32)]


class TargetsBody(BaseModel):
    """Where it is heard: zones with all below them, single clusters, less the exceptions (zones or clusters)."""

    model_config = ConfigDict(extra="forbid")

    zones: Ids = ()
    clusters: Ids = ()
    except_: Annotated[Ids, Field(alias="except")] = ()

    def targets(self) -> Targets:
        """Return the choice as the core has it."""
        return Targets(zones=self.zones, clusters=self.clusters, excluded=self.except_)


def _day_or_time(said: Any) -> Any:
    """Read a text with a time as one occurrence: midnight would pass for the whole day."""
    return datetime.fromisoformat(said) if isinstance(said, str) and len(said) > len("2026-12-24") else said


DayOrTime = Annotated[date | datetime, BeforeValidator(_day_or_time)]


class RecurrenceBody(BaseModel):
    """When it is heard, in the station's local time."""

    model_config = ConfigDict(extra="forbid")

    start: datetime
    """Local date and time of the first occurrence, without an offset (with one, it is converted)."""
    rule: Annotated[str, Field(max_length=1000)] | None = None
    """An RFC 5545 RRULE value; absent: once."""
    until: datetime | None = None
    except_: Annotated[tuple[DayOrTime, ...], Field(alias="except", max_length=1000)] = ()
    """Days (`2026-12-24`) or single occurrences (`2026-12-24T05:00:00`) that are left out."""

    def recurrence(self, house: Context) -> Recurrence:
        """Return the recurrence as the core has it."""
        zone = house.settings.station.zone

        def local(t: datetime) -> datetime:
            try:
                return t.astimezone(zone).replace(tzinfo=None) if t.tzinfo else t
            except OverflowError:  # the first or last hours of the calendar mean never or for ever, in any zone
                return t.replace(tzinfo=None)

        return Recurrence(
            start=local(self.start),
            rule=self.rule,
            until=local(self.until) if self.until else None,
            excluded=tuple(local(t) for t in self.except_ if isinstance(t, datetime)),
            excluded_days=tuple(day for day in self.except_ if not isinstance(day, datetime)),
        )


class NewProgramme(TargetsBody):
    """A programme to submit."""

    title: Words
    level: LevelName = "routine"
    items: Items
    recurrence: RecurrenceBody


class ItemView(BaseModel):
    """A sound of a programme; `rendition` and `duration_s` are absent until it is ready."""

    sound: str
    rendition: str | None = None
    duration_s: float | None = None


class RecurrenceView(BaseModel):
    """When it is heard, in the station's local time."""

    start: datetime
    rule: str | None = None
    until: datetime | None = None
    except_: Annotated[tuple[date | datetime, ...], Field(serialization_alias="except")] = ()


class ProgrammeView(BaseModel):
    """A programme and how far it is. `recurrence` is absent for one that is heard as soon as it is ready."""

    id: str
    revision: int
    title: str
    level: str
    state: ProgrammeState
    items: list[ItemView]
    zones: tuple[str, ...]
    clusters: tuple[str, ...]
    except_: Annotated[tuple[str, ...], Field(serialization_alias="except")]
    recurrence: RecurrenceView | None = None
    author: str
    created_at: datetime
    approved_by: str | None = None
    approved_at: datetime | None = None
    digest: str
    """What an approval covers: exactly what is heard, where and when."""
    withdrawn_at: datetime | None = None
    failure: str | None = None
    next_start: datetime | None = None
    """When it asks for the air next; the timeline tells whether it gets it."""


def show(programme: Programme, house: Context, now: datetime) -> ProgrammeView:
    """Return the programme as the API tells it."""
    coming = (
        each.start
        for each in occurrences(programme, now, now + _LOOK_AHEAD, house.settings.station.zone)
        if each.start >= now
    )
    approval, recurrence = programme.approval, programme.recurrence
    return ProgrammeView(
        id=programme.id,
        revision=programme.revision,
        title=programme.title,
        level=programme.level.word,
        state=programme.state,
        items=[
            ItemView(
                sound=item.sound,
                rendition=item.rendition,
                duration_s=item.duration.total_seconds() if item.duration else None,
            )
            for item in programme.items
        ],
        zones=programme.targets.zones,
        clusters=programme.targets.clusters,
        except_=programme.targets.excluded,
        recurrence=_show_recurrence(recurrence) if recurrence else None,
        author=programme.author,
        created_at=programme.created_at,
        approved_by=approval.by if approval else None,
        approved_at=approval.at if approval else None,
        digest=content_digest(programme),
        withdrawn_at=programme.withdrawn_at,
        failure=programme.failure,
        next_start=next(coming, None),
    )


def _show_recurrence(recurrence: Recurrence) -> RecurrenceView:
    left_out: tuple[date | datetime, ...] = (*recurrence.excluded_days, *recurrence.excluded)
    return RecurrenceView(start=recurrence.start, rule=recurrence.rule, until=recurrence.until, except_=left_out)


def item(body: ItemBody, house: Context) -> prepare.Words | str:
    """Return an item as the flow has it: words, or the id of a sound."""
    return body.sound if body.sound is not None else words(body.text or "", body.voice, body.rate, house)


def created(programme: Programme, house: Context, now: datetime, response: Response) -> ProgrammeView:
    """Return a new programme, with where to find it."""
    response.headers["Location"] = f"/api/v1/programmes/{programme.id}"
    return show(programme, house, now)


@router.get("/programmes", response_model_exclude_none=True)
def list_programmes(
    house: House, _by: SignedIn, now: Now, after: AfterId = None, limit: Limit = 100
) -> Page[ProgrammeView]:
    """Return the programmes, in the order in which they were submitted; withdrawn ones too."""
    programmes: Sequence[Programme] = house.store.definitions.programmes.all()
    return page(
        programmes, id_of=lambda each: each.id, show=lambda each: show(each, house, now), after=after, limit=limit
    )


@router.get("/programmes/{programme}", response_model_exclude_none=True)
def read_programme(programme: str, house: House, _by: SignedIn, now: Now) -> ProgrammeView:
    """Return a programme."""
    return show(house.store.definitions.programmes.get(programme), house, now)


@router.post("/programmes", status_code=201, response_model_exclude_none=True)
def submit_programme(asked: NewProgramme, house: House, by: SignedIn, now: Now, response: Response) -> ProgrammeView:
    """Submit a programme that recurs by an RFC 5545 rule."""
    stored = announce.compose(
        tuple(item(each, house) for each in asked.items),
        title=asked.title,
        level=Level.from_word(asked.level),
        targets=asked.targets(),
        recurrence=asked.recurrence.recurrence(house),
        limits=prepare.limits(house.settings.sound),
        zone=house.settings.station.zone,
        by=by,
        store=house.store,
        now=now,
    )
    return created(stored, house, now, response)


@router.post("/programmes/{programme}/withdrawal", response_model_exclude_none=True)
def withdraw_programme(programme: str, house: House, by: SignedIn, now: Now) -> ProgrammeView:
    """Take a programme back: what sounds of it stops within seconds, the rest never starts."""
    return show(schedule.withdraw(programme, by=by, store=house.store, now=now), house, now)
