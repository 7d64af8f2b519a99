"""Local rules and holds as the API says them: hours as ``HH:MM``, weekdays as ISO numbers, durations in seconds."""

from datetime import datetime, time, timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from broadcaster.api.instants import Instant
from broadcaster.api.wording import Words
from schedules.rules import Hold, Hours, LocalRules, Loudest

_DAY_S: Final = 86_400

LocalTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""``HH:MM``, local."""
Seconds = Annotated[int, Field(gt=0, le=_DAY_S, description="Whole seconds, at most a day.")]


def _each_once(days: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(days)))


Weekdays = Annotated[
    tuple[Annotated[int, Field(ge=1, le=7)], ...],
    Field(max_length=50, description="ISO 8601: Monday is 1, Sunday is 7."),
    AfterValidator(_each_once),
]
"""By the calendar, each once."""


def from_iso(weekdays: tuple[int, ...]) -> frozenset[int]:
    """Return weekdays as the core counts them: Monday is 0."""
    return frozenset(day - 1 for day in weekdays)


def to_iso(weekdays: frozenset[int]) -> tuple[int, ...]:
    """Return weekdays as the API counts them: Monday is 1."""
    return tuple(sorted(day + 1 for day in weekdays))


class HoursBody(BaseModel):
    """A stretch of every day, over midnight where `end` is not after `start`; the same twice is the whole day."""

    model_config = ConfigDict(extra="forbid")

    start: LocalTime
    end: LocalTime

    def hours(self) -> Hours:
        """Return the hours as the core has them."""
        return Hours(start=time.fromisoformat(self.start), end=time.fromisoformat(self.end))


class LoudestBody(HoursBody):
    """The highest volume in these hours, in percent of full amplitude. Whoever wants silence sets quiet hours."""

    volume: Annotated[int, Field(ge=1, le=100)]


class RulesBody(BaseModel):
    """What a zone asks of itself and all below it; what is left out is not ruled. Only emergencies pass."""

    model_config = ConfigDict(extra="forbid")

    quiet: Annotated[tuple[HoursBody, ...], Field(max_length=24)] = ()
    weekdays: Annotated[Weekdays, Field(min_length=1)] | None = None
    """Days on which it may speak; absent: all."""
    longest_session: Seconds | None = None
    """A session is a run of bulletins with pauses of at most a minute."""
    most_a_day: Seconds | None = None
    sessions_a_day: Annotated[int, Field(ge=1, le=1000)] | None = None
    gap: Seconds | None = None
    """Shortest pause between two sessions."""
    loudest: Annotated[tuple[LoudestBody, ...], Field(max_length=24)] = ()

    def rules(self) -> LocalRules | None:
        """Return the rules as the core has them; None where nothing is said."""
        said = LocalRules(
            quiet=tuple(each.hours() for each in self.quiet),
            weekdays=None if self.weekdays is None else from_iso(self.weekdays),
            longest_session=_duration(self.longest_session),
            most_a_day=_duration(self.most_a_day),
            sessions_a_day=self.sessions_a_day,
            gap=_duration(self.gap),
            loudest=tuple(Loudest(hours=each.hours(), volume=each.volume) for each in self.loudest),
        )
        return None if said == LocalRules() else said


class HoldBody(BaseModel):
    """A zone, and all below it, is to be silent from `start` (absent: now) to `end`."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["exam", "funeral", "hospital", "other"]
    reason: Words
    start: Instant | None = None
    end: Instant


class HoldView(BaseModel):
    """Until when, and why, a zone and all below it is silent."""

    id: str
    kind: str
    reason: str
    start: datetime
    end: datetime
    by: str
    placed_at: datetime


def show_rules(rules: LocalRules | None) -> RulesBody | None:
    """Return the rules as the API tells them, which is as it takes them."""
    if rules is None:
        return None
    return RulesBody(
        quiet=tuple(_hours(each) for each in rules.quiet),
        weekdays=None if rules.weekdays is None else to_iso(rules.weekdays),
        longest_session=_seconds(rules.longest_session),
        most_a_day=_seconds(rules.most_a_day),
        sessions_a_day=rules.sessions_a_day,
        gap=_seconds(rules.gap),
        loudest=tuple(_loudest(each) for each in rules.loudest),
    )


def show_hold(hold: Hold) -> HoldView:
    """Return the hold as the API tells it."""
    return HoldView(
        id=hold.id,
        kind=hold.kind,
        reason=hold.reason,
        start=hold.start,
        end=hold.end,
        by=hold.by,
        placed_at=hold.placed_at,
    )


def _hours(hours: Hours) -> HoursBody:
    return HoursBody(start=f"{hours.start:%H:%M}", end=f"{hours.end:%H:%M}")


def _loudest(loudest: Loudest) -> LoudestBody:
    # Not validated: zones that were stored while 0 was taken are shown as they are.
    return LoudestBody.model_construct(**_hours(loudest.hours).model_dump(), volume=loudest.volume)


def _duration(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _seconds(duration: timedelta | None) -> int | None:
    return None if duration is None else int(duration.total_seconds())
