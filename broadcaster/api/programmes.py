"""Programmes: what is heard, where and when; and how one is taken back."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, model_validator

from broadcaster.api.context import Context, House, Language, Now, SignedIn
from broadcaster.api.drafts import DraftBody, IfLateBody, IfTakenBody, Items, item, terms
from broadcaster.api.idempotency import KeyedRoute
from broadcaster.api.paging import AfterId, Limit, Page, page
from broadcaster.api.recurrences import RecurrenceBody, RecurrenceView, says, show_recurrence
from broadcaster.flow import announce, prepare, schedule
from broadcaster.flow.days import known_days
from broadcaster.store.port import Definitions
from schedules.days import DayTypes
from schedules.lateness import IfLate
from schedules.programmes import IfTaken, Programme, ProgrammeState, content_digest, occurrences
from schedules.recurrence_text import from_text, to_text

router = APIRouter(route_class=KeyedRoute, tags=["programmes"])

_LOOK_AHEAD = timedelta(days=400)


class NewProgramme(DraftBody):
    """A programme to submit."""

    items: Items
    recurrence: RecurrenceBody | None = None
    recurrence_text: Annotated[str, Field(max_length=20_000)] | None = None
    """The recurrence as iCalendar lines (RFC 5545), in place of `recurrence`."""

    @model_validator(mode="after")
    def _one_of_two(self) -> "NewProgramme":
        if (self.recurrence is None) == (self.recurrence_text is None):
            raise ValueError("give either recurrence or recurrence_text")
        return self

    def asked(self, zone: ZoneInfo) -> schedule.Draft:
        """Return what is asked for, but for its sounds.

        Raises:
            RecurrenceError: ``bad_text``.
        """
        if self.recurrence is not None:
            return self.draft(self.recurrence.recurrence(zone))
        return self.draft(from_text(self.recurrence_text or ""))


class ItemView(BaseModel):
    """A sound of a programme; `rendition` and `duration_s` are absent until it is ready."""

    sound: str
    rendition: str | None = None
    duration_s: float | None = None


class ProgrammeView(BaseModel):
    """A programme and how far it is. `recurrence` is absent for one that is heard as soon as it is ready."""

    id: str
    revision: int
    title: str
    level: str
    tier: str
    if_taken: IfTakenBody
    if_late: IfLateBody
    reason: str | None = None
    """Why it is an emergency."""
    state: ProgrammeState
    items: list[ItemView]
    zones: tuple[str, ...]
    clusters: tuple[str, ...]
    tags: tuple[str, ...]
    except_: Annotated[tuple[str, ...], Field(serialization_alias="except")]
    except_tags: tuple[str, ...]
    recurrence: RecurrenceView | None = None
    recurrence_text: str | None = None
    """The same as iCalendar lines (RFC 5545)."""
    says: str | None = None
    """The recurrence as a sentence, in the language that the request prefers."""
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


def next_start(
    programme: Programme, zone: ZoneInfo, definitions: Definitions, now: datetime, days: DayTypes | None = None
) -> datetime | None:
    """Return when the programme asks for the air next, None if that is not within the year."""
    asked = occurrences(programme, now, now + _LOOK_AHEAD, zone, days or known_days(definitions))
    return next((each.start for each in asked if each.start >= now and each.ends_by is None), None)


def show(
    programme: Programme, house: Context, language: str, now: datetime, days: DayTypes | None = None
) -> ProgrammeView:
    """Return the programme as the API tells it; ``days`` for whoever shows many."""
    definitions = house.store.definitions
    approval, recurrence = programme.approval, programme.recurrence
    return ProgrammeView(
        id=programme.id,
        revision=programme.revision,
        title=programme.title,
        level=programme.level.word,
        tier=programme.tier or house.settings.station.tier,
        if_taken=_show_if_taken(programme.if_taken),
        if_late=_show_if_late(programme.if_late),
        reason=programme.reason,
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
        tags=programme.targets.tags,
        except_=programme.targets.excluded,
        except_tags=programme.targets.excluded_tags,
        recurrence=show_recurrence(recurrence) if recurrence else None,
        recurrence_text=to_text(recurrence) if recurrence else None,
        says=says(recurrence, language, definitions) if recurrence else None,
        author=programme.author,
        created_at=programme.created_at,
        approved_by=approval.by if approval else None,
        approved_at=approval.at if approval else None,
        digest=content_digest(programme),
        withdrawn_at=programme.withdrawn_at,
        failure=programme.failure,
        next_start=next_start(programme, house.settings.station.zone, definitions, now, days),
    )


def _show_if_taken(if_taken: IfTaken) -> IfTakenBody:
    most = if_taken.most_move
    return IfTakenBody(action=if_taken.action, most_move=None if most is None else int(most.total_seconds()))


def _show_if_late(if_late: IfLate) -> IfLateBody:
    within = if_late.within
    return IfLateBody(action=if_late.action, within=None if within is None else int(within.total_seconds()))


def created(programme: Programme, house: Context, language: str, now: datetime, response: Response) -> ProgrammeView:
    """Return a new programme, with where to find it."""
    response.headers["Location"] = f"/api/v1/programmes/{programme.id}"
    return show(programme, house, language, now)


@router.get("/programmes", response_model_exclude_none=True)
def list_programmes(
    language: Language, house: House, _by: SignedIn, now: Now, after: AfterId = None, limit: Limit = 100
) -> Page[ProgrammeView]:
    """Return the programmes, in the order in which they were submitted; withdrawn ones too."""
    programmes: Sequence[Programme] = house.store.definitions.programmes.all()
    days = known_days(house.store.definitions)
    return page(
        programmes,
        id_of=lambda each: each.id,
        show=lambda each: show(each, house, language, now, days),
        after=after,
        limit=limit,
    )


@router.get("/programmes/{programme}", response_model_exclude_none=True)
def read_programme(programme: str, language: Language, house: House, _by: SignedIn, now: Now) -> ProgrammeView:
    """Return a programme."""
    return show(house.store.definitions.programmes.get(programme), house, language, now)


@router.post("/programmes", status_code=201, response_model_exclude_none=True)
def submit_programme(
    asked: NewProgramme, language: Language, house: House, by: SignedIn, now: Now, response: Response
) -> ProgrammeView:
    """Submit a programme that recurs by an RFC 5545 rule."""
    stored = announce.compose(
        tuple(item(each, house.settings) for each in asked.items),
        asked.asked(house.settings.station.zone),
        limits=prepare.limits(house.settings.sound),
        terms=terms(house.settings),
        by=by,
        store=house.store,
        now=now,
    )
    return created(stored, house, language, now, response)


@router.post("/programmes/{programme}/withdrawal", response_model_exclude_none=True)
def withdraw_programme(programme: str, language: Language, house: House, by: SignedIn, now: Now) -> ProgrammeView:
    """Take a programme back: what sounds of it stops within seconds, the rest never starts."""
    return show(schedule.withdraw(programme, by=by, store=house.store, now=now), house, language, now)
