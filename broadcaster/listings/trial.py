"""A programme that is tried: the plans as they would be with it, and whether it would be heard at all."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from broadcaster.api.drafts import item, terms
from broadcaster.api.programmes import NewProgramme, next_start
from broadcaster.api.recurrences import says
from broadcaster.config import Settings
from broadcaster.flow import prepare, preview
from broadcaster.flow.plan import Board, Window, playlist_window
from broadcaster.listings.sheet import paragraph
from broadcaster.listings.words import Tongue
from broadcaster.store.port import Definitions
from broadcaster.store.records import Official, Role
from schedules.programmes import Programme
from schedules.verdicts import Outcome
from schedules.zones import Places


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What becomes of the times at which a tried programme asks for air, counted on each cluster."""

    outcomes: Counter[Outcome]
    until: datetime
    """How far was looked."""
    reaches: bool
    """Whether it is meant for any of these clusters."""

    @property
    def all_stopped(self) -> bool:
        """Whether it asks for air and gets none."""
        return bool(self.outcomes) and set(self.outcomes) == {Outcome.DROPPED}

    def told(self, tongue: Tongue) -> list[str]:
        """Return it in words."""
        if not self.reaches:
            return paragraph(tongue.say("not reached"))
        end = tongue.moment(self.until)
        if not self.outcomes:
            return paragraph(tongue.say("not yet", end=end))
        lines = paragraph(tongue.say("sum", end=end, counts=tongue.counted(self.outcomes)))
        return lines + (paragraph(tongue.say("all stopped")) if self.all_stopped else [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A programme as it would be if it were submitted now and ready at once."""

    programme: Programme
    estimated: bool
    """Whether a sound of it is not prepared yet."""
    board: Board
    """The plans as they would be with it."""
    definitions: Definitions
    """As they are, without it."""
    settings: Settings
    now: datetime

    def introduced(self, tongue: Tongue) -> list[str]:
        """Return what is tried, its recurrence as a sentence, and when it asks for air next."""
        recurrence = self.programme.recurrence
        facts = {"title": self.programme.title, "length": tongue.length(self.programme.duration)}
        told = paragraph(tongue.say("tried, estimated" if self.estimated else "tried", **facts))
        if recurrence is not None:
            told += paragraph(tongue.say("says", says=says(recurrence, tongue.language, self.definitions)))
        first = next_start(self.programme, self.settings.station.zone, self.definitions, self.now)
        return told if first is None else told + paragraph(tongue.say("first", first=tongue.moment(first)))

    def heard(self, window: Window, only: Collection[str] | None) -> Heard:
        """Return what becomes of it on ``only`` these clusters, in ``window`` and as far as playlists reach."""
        definitions, now = self.definitions, self.now
        places = Places(definitions.zones.all(), definitions.clusters.all())
        reached = places.reached(self.programme.targets)
        verdicts = {
            (cluster, verdict.occurrence): verdict.as_of(now).outcome
            for plans in (self.board.plans(now, only=only), self.board.within(window, now, only=only))
            for cluster, plan in plans.items()
            for verdict in plan.verdicts
            if verdict.occurrence.programme == self.programme.id
        }
        return Heard(
            outcomes=Counter(verdicts.values()),
            until=max(window.end, playlist_window(self.settings, now).end),
            reaches=bool(reached if only is None else reached & frozenset(only)),
        )


def trial(asked: NewProgramme, settings: Settings, definitions: Definitions, now: datetime) -> Trial:
    """Return the programme that is asked for, among those that are there.

    Raises:
        Refusal, SoundError, ZoneError, RecurrenceError, DayTypeError, NotFound: as ``preview.wish``.
    """
    wish = preview.wish(
        tuple(item(each, settings) for each in asked.items),
        asked.asked(settings.station.zone),
        limits=prepare.limits(settings.sound),
        terms=terms(settings),
        by=Official(id=preview.PREVIEWED, role=Role.OFFICIAL, password_hash="", created_at=now),
        definitions=definitions,
        now=now,
    )
    return Trial(
        programme=wish.programme,
        estimated=wish.estimated,
        board=Board(_OneMore(definitions, wish.programme), settings),
        definitions=definitions,
        settings=settings,
        now=now,
    )


class _OneMore:
    """The definitions that a board reads, with one programme more than is stored."""

    def __init__(self, definitions: Definitions, programme: Programme) -> None:
        self.zones = definitions.zones
        self.clusters = definitions.clusters
        self.day_types = definitions.day_types
        self.decisions = definitions.decisions
        self.programmes = _Programmes((*definitions.programmes.all(), programme))


@dataclass(frozen=True, slots=True)
class _Programmes:
    records: Sequence[Programme]

    def all(self) -> Sequence[Programme]:
        return self.records
