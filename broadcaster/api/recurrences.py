"""Recurrences as the API says them: when something is heard, in the station's local time."""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from broadcaster.api.rules import LocalTime
from broadcaster.store.port import Definitions
from devices.values import Id
from schedules.recurrence import Every, Recurrence
from schedules.sentences.describing import describe

_MOST_TIMES: Final = 1000


def _day_or_time(said: Any) -> Any:
    """Read a text with a time as one occurrence: midnight would pass for the whole day."""
    return datetime.fromisoformat(said) if isinstance(said, str) and len(said) > len("2026-12-24") else said


DayOrTime = Annotated[date | datetime, BeforeValidator(_day_or_time)]
DayTypeIds = Annotated[tuple[Id, ...], Field(max_length=50)]


class EveryBody(BaseModel):
    """Several times on each day: `first`, and every `minutes` after it, up to `last`."""

    model_config = ConfigDict(extra="forbid")

    minutes: Annotated[int, Field(ge=0, le=100_000)]
    first: LocalTime
    last: LocalTime


class RecurrenceBody(BaseModel):
    """When it is heard, in the station's local time."""

    model_config = ConfigDict(extra="forbid")

    start: datetime
    """Local date and time of the first occurrence, without an offset (with one, it is converted)."""
    rule: Annotated[str, Field(max_length=1000)] | None = None
    """An RFC 5545 RRULE value; with `RSCALE=VIETNAMESE` in lunar months; absent: once."""
    until: datetime | None = None
    every: EveryBody | None = None
    """Several times a day, instead of the hour of `start`."""
    duration: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] | None = None
    """Seconds that one occurrence may sound; what its sounds exceed is cut."""
    added: Annotated[tuple[datetime, ...], Field(max_length=_MOST_TIMES)] = ()
    """Local times beside those of the rule."""
    except_: Annotated[tuple[DayOrTime, ...], Field(alias="except", max_length=_MOST_TIMES)] = ()
    """Days (`2026-12-24`) or single occurrences (`2026-12-24T05:00:00`) that are left out."""
    only_on: DayTypeIds = ()
    """Day types: heard on their days only."""
    not_on: DayTypeIds = ()
    """Day types on whose days it is not heard."""

    def recurrence(self, zone: ZoneInfo) -> Recurrence:
        """Return the recurrence as the core has it."""

        def local(t: datetime) -> datetime:
            try:
                return t.astimezone(zone).replace(tzinfo=None) if t.tzinfo else t
            except OverflowError:  # the first or last hours of the calendar mean never or for ever, in any zone
                return t.replace(tzinfo=None)

        return Recurrence(
            start=local(self.start),
            rule=self.rule,
            until=local(self.until) if self.until else None,
            every=_every(self.every),
            duration=None if self.duration is None else timedelta(seconds=self.duration),
            added=tuple(local(t) for t in self.added),
            excluded=tuple(local(t) for t in self.except_ if isinstance(t, datetime)),
            excluded_days=tuple(day for day in self.except_ if not isinstance(day, datetime)),
            only_on=self.only_on,
            not_on=self.not_on,
        )


class RecurrenceView(BaseModel):
    """When it is heard, in the station's local time. What was not asked for is absent."""

    start: datetime
    rule: str | None = None
    until: datetime | None = None
    every: EveryBody | None = None
    duration: float | None = None
    added: tuple[datetime, ...] | None = None
    except_: Annotated[tuple[date | datetime, ...], Field(serialization_alias="except")] = ()
    only_on: tuple[str, ...] | None = None
    not_on: tuple[str, ...] | None = None


def show_recurrence(recurrence: Recurrence) -> RecurrenceView:
    """Return the recurrence as the API tells it."""
    every = recurrence.every
    return RecurrenceView(
        start=recurrence.start,
        rule=recurrence.rule,
        until=recurrence.until,
        every=EveryBody(minutes=every.minutes, first=f"{every.first:%H:%M}", last=f"{every.last:%H:%M}")
        if every
        else None,
        duration=recurrence.duration.total_seconds() if recurrence.duration else None,
        added=recurrence.added or None,
        except_=(*recurrence.excluded_days, *recurrence.excluded),
        only_on=recurrence.only_on or None,
        not_on=recurrence.not_on or None,
    )


def says(recurrence: Recurrence, language: str, definitions: Definitions) -> str:
    """Return the recurrence as a sentence, with the names of the day types in it."""
    names = {each.id: each.name for each in definitions.day_types.all()}
    return describe(recurrence, language, names)


def _every(body: EveryBody | None) -> Every | None:
    if body is None:
        return None
    return Every(minutes=body.minutes, first=time.fromisoformat(body.first), last=time.fromisoformat(body.last))
