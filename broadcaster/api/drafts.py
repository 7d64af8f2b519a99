"""What officials ask to be heard, where and how urgently: what announcements and programmes have in common."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from broadcaster.api.clusters import Tag
from broadcaster.api.sounds import words
from broadcaster.api.wording import COMPOSED, Words
from broadcaster.config import Settings
from broadcaster.flow import prepare, schedule
from devices.values import Digest, Id
from schedules.lateness import LONGEST_WAIT, IfLate, Late
from schedules.levels import Level
from schedules.programmes import IfTaken, Yielding
from schedules.recurrence import Recurrence
from schedules.zones import Targets

LevelName = Literal["emergency", "priority", "routine"]
Ids = Annotated[tuple[Id, ...], Field(max_length=1000)]
TagNames = Annotated[tuple[Tag, ...], Field(max_length=100)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), COMPOSED]


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


class IfTakenBody(BaseModel):
    """What may be done when its air is taken before it has begun: moved (by default), trimmed, or dropped."""

    model_config = ConfigDict(extra="forbid")

    action: Yielding = Yielding.MOVE
    most_move: Annotated[int, Field(ge=0, le=14_400)] | None = None
    """Seconds that it may start later than meant; absent: as the station says. For `move` only."""

    @model_validator(mode="after")
    def _move_only(self) -> "IfTakenBody":
        if self.most_move is not None and self.action is not Yielding.MOVE:
            raise ValueError("most_move is for the action move only")
        return self

    def if_taken(self) -> IfTaken:
        """Return it as the core has it."""
        return IfTaken(
            action=self.action, most_move=None if self.most_move is None else timedelta(seconds=self.most_move)
        )


class IfLateBody(BaseModel):
    """What a box does that could not begin it on time: joins it (by default), plays it whole later, or skips it."""

    model_config = ConfigDict(extra="forbid")

    action: Late = Late.JOIN
    within: Annotated[int, Field(ge=1, le=LONGEST_WAIT // timedelta(seconds=1))] | None = None
    """Seconds after its start within which it may still begin. For `whole`, and required there."""

    @model_validator(mode="after")
    def _whole_only(self) -> "IfLateBody":
        if self.action is Late.WHOLE and self.within is None:
            raise ValueError("the action whole needs within, the seconds after its start at which it may still begin")
        if self.action is not Late.WHOLE and self.within is not None:
            raise ValueError("within is for the action whole only")
        return self

    def if_late(self) -> IfLate:
        """Return it as the core has it."""
        return IfLate(action=self.action, within=None if self.within is None else timedelta(seconds=self.within))


class DraftBody(BaseModel):
    """Where it is heard: zones with all below them, clusters and tags, less the exceptions; and how urgent it is."""

    model_config = ConfigDict(extra="forbid")

    title: Words
    zones: Ids = ()
    clusters: Ids = ()
    tags: TagNames = ()
    except_: Annotated[Ids, Field(alias="except")] = ()
    """Zones, with all below them, or clusters."""
    except_tags: TagNames = ()
    level: LevelName = "routine"
    tier: Annotated[str, Field(max_length=40)] | None = None
    """Whose it is, one of the setting `plan.tiers`; absent: the station's own."""
    if_taken: IfTakenBody = IfTakenBody()
    if_late: IfLateBody = IfLateBody()
    reason: Reason | None = None
    """Why it is an emergency; required for that level, and on record."""

    def draft(self, recurrence: Recurrence | None) -> schedule.Draft:
        """Return what is asked for as the flow has it; its sounds are still to come."""
        return schedule.Draft(
            title=self.title,
            level=Level.from_word(self.level),
            targets=self.targets(),
            recurrence=recurrence,
            tier=self.tier,
            if_taken=self.if_taken.if_taken(),
            if_late=self.if_late.if_late(),
            reason=self.reason,
        )

    def targets(self) -> Targets:
        """Return the choice of clusters as the core has it."""
        return Targets(
            zones=self.zones,
            clusters=self.clusters,
            tags=self.tags,
            excluded=self.except_,
            excluded_tags=self.except_tags,
        )


def item(body: ItemBody, settings: Settings) -> prepare.Words | str:
    """Return an item as the flow has it: words, or the id of a sound."""
    return body.sound if body.sound is not None else words(body.text or "", body.voice, body.rate, settings.sound)


def terms(settings: Settings) -> schedule.Terms:
    """Return what the settings say of every programme."""
    return schedule.Terms(
        zone=settings.station.zone,
        policy=settings.policy,
        ahead=timedelta(days=settings.plan.horizon_days + 1),
    )
