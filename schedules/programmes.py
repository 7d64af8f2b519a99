"""What is to be heard, where and when; how far it has come; and its occurrences in a window."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final
from zoneinfo import ZoneInfo

from schedules.days import NO_DAY_TYPES, DayTypes
from schedules.instants import require_aware
from schedules.lateness import JOIN, IfLate
from schedules.levels import Level
from schedules.recurrence import Recurrence, starts
from schedules.zones import Targets

__all__ = [
    "LEAD",
    "Approval",
    "IfTaken",
    "Item",
    "Occurrence",
    "Programme",
    "ProgrammeState",
    "Yielding",
    "content_digest",
    "occurrences",
]

LEAD: Final = timedelta(seconds=10)
"""From the approval of a programme without a time to its first sound.

Every box must start it at one instant, so the slowest 4G link of a commune has to have the playlist and the
sound by then. A constant and not a setting: an occurrence is named by its start, and all must agree on it.
"""

_UNDER_WAY: Final = timedelta(hours=26)
"""How far ahead an occurrence has a say in what sounds now: within a local day, be it one of 25 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A sound in a programme."""

    sound: str
    """SHA-256 that names the original."""
    rendition: str | None = None
    """SHA-256 of the bytes that boxes play; None until they are prepared."""
    duration: timedelta | None = None
    """How long the rendition sounds; None until it is prepared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """An official's word that what ``digest`` covers may be heard."""

    by: str
    at: datetime
    digest: str
    """``content_digest`` of the programme as it was approved."""


class Yielding(StrEnum):
    """What becomes of an occurrence whose air is taken before it has begun."""

    MOVE = "move"
    """Heard whole, later."""
    TRIM = "trim"
    """Heard in what is left of its own time."""
    DROP = "drop"
    """Not heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IfTaken:
    """What a programme says may be done when its air is taken."""

    action: Yielding = Yielding.MOVE
    most_move: timedelta | None = None
    """How much later than meant it may start; None: as the station says. For ``move`` only."""


class ProgrammeState(StrEnum):
    """How far a programme has come."""

    PREPARING = "preparing"
    """A sound of it is not ready."""
    FAILED = "failed"
    """A sound of it cannot be made ready; ``failure`` says why."""
    PENDING = "pending"
    """Ready, and not approved as it now is."""
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """Items, targets, recurrence and level. A revision never changes; a change is a new revision."""

    id: str
    title: str
    level: Level
    items: tuple[Item, ...]
    targets: Targets
    recurrence: Recurrence | None
    """None: once, ``LEAD`` after it is approved."""
    tier: str | None = None
    """Whose it is, for example ``province``; None: the station's own tier."""
    if_taken: IfTaken = IfTaken()
    if_late: IfLate = JOIN
    reason: str | None = None
    """Why it is an emergency, in words, which is what lets it pass the local rules; None for other levels."""
    author: str
    created_at: datetime
    approval: Approval | None = None
    withdrawn_at: datetime | None = None
    failure: str | None = None
    """Code of what stopped its preparation."""
    revision: int = 1

    @property
    def is_ready(self) -> bool:
        """Whether there is something to hear and all of it is prepared."""
        return bool(self.items) and all(item.rendition and item.duration for item in self.items)

    @property
    def duration(self) -> timedelta:
        """The sum of its items, or what its recurrence allows; an item that is not prepared counts nothing."""
        sounds = sum((item.duration for item in self.items if item.duration), timedelta())
        longest = self.recurrence.duration if self.recurrence else None
        return sounds if longest is None else min(sounds, longest)

    @property
    def is_approved(self) -> bool:
        """Whether the approval covers what would be heard now; one given to other content counts nothing."""
        return self.approval is not None and self.approval.digest == content_digest(self)

    @property
    def state(self) -> ProgrammeState:
        """How far it has come; withdrawal is final, whatever came before."""
        if self.withdrawn_at is not None:
            return ProgrammeState.WITHDRAWN
        if self.failure is not None:
            return ProgrammeState.FAILED
        if not self.is_ready:
            return ProgrammeState.PREPARING
        return ProgrammeState.APPROVED if self.is_approved else ProgrammeState.PENDING


def content_digest(programme: Programme) -> str:
    """Return the SHA-256 of what will be heard, where, when and how urgently: what an approval covers.

    Title and author are not heard. The order of items counts; that of targets and exclusions means nothing,
    so it changes nothing. What a programme does not say has no part in it, so that approvals stay good when
    programmes learn to say more.
    """
    content: dict[str, object] = {
        "items": [(item.rendition, _microseconds(item.duration)) for item in programme.items],
        "targets": _targets_content(programme.targets),
        "recurrence": _recurrence_content(programme.recurrence),
        "level": int(programme.level),
    }
    if programme.tier is not None:
        content["tier"] = programme.tier
    if programme.if_taken != IfTaken():
        content["if_taken"] = [programme.if_taken.action, _microseconds(programme.if_taken.most_move)]
    if programme.if_late != JOIN:
        content["if_late"] = [programme.if_late.action, _microseconds(programme.if_late.within)]
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _microseconds(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // timedelta(microseconds=1)


def _targets_content(targets: Targets) -> dict[str, object]:
    later = ("tags", "excluded_tags")
    return {name: sorted(set(ids)) for name, ids in asdict(targets).items() if ids or name not in later}


def _recurrence_content(recurrence: Recurrence | None) -> dict[str, object] | None:
    if recurrence is None:
        return None

    def written(times: tuple[date, ...]) -> list[str]:
        return sorted({time.isoformat() for time in times})

    content: dict[str, object] = {
        "start": recurrence.start.isoformat(),
        "rule": recurrence.rule,
        "until": None if recurrence.until is None else recurrence.until.isoformat(),
        "excluded": written(recurrence.excluded),
        "excluded_days": written(recurrence.excluded_days),
    }
    every = recurrence.every
    later = {
        "every": [every.minutes, every.first.isoformat(), every.last.isoformat()] if every else None,
        "duration": _microseconds(recurrence.duration),
        "added": written(recurrence.added),
        "only_on": sorted(set(recurrence.only_on)),
        "not_on": sorted(set(recurrence.not_on)),
    }
    return content | {name: said for name, said in later.items() if said}


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One time that a programme asks for the air: ``[start, end)``. ``start`` is UTC, to the second."""

    programme: str
    revision: int
    title: str
    level: Level
    start: datetime
    duration: timedelta
    items: tuple[Item, ...]
    approved_at: datetime
    ends_by: datetime | None = None
    """When its programme was withdrawn: nothing of it sounds from then on, even if it was moved."""
    tier: str | None = None
    if_taken: IfTaken = IfTaken()
    if_late: IfLate = JOIN

    def __hash__(self) -> int:
        return hash((self.programme, self.start))

    @property
    def id(self) -> str:
        """``programme@start``, the name of the slot that it becomes."""
        return f"{self.programme}@{self.start:%Y%m%dT%H%M%SZ}"

    @property
    def end(self) -> datetime:
        """The first instant after it, if it starts on time."""
        return self.start + self.duration


def occurrences(
    programme: Programme, after: datetime, before: datetime, zone: ZoneInfo, days: DayTypes = NO_DAY_TYPES
) -> Iterator[Occurrence]:
    """Yield the occurrences that overlap ``[after, before)``, by start.

    One that began before ``after`` and still sounds is among them. Only a programme that is ready and
    approved as it is has any, and none that would have begun before the approval: who approves the five
    o'clock bulletin at three past five does not mean the middle of it.

    A withdrawn programme has those that began before it was withdrawn and of the day after, each as long as it was
    meant to be: what was heard or not heard because of them stays so, and arbitration drops them or cuts them off.

    Args:
        programme: Its recurrence has passed ``recurrence_check.check``.
        after: Aware instant.
        before: Aware instant; none starts at or after it.
        zone: Where the commune's clocks are set.
        days: The day types that its recurrence may name.

    Raises:
        ValueError: ``after`` or ``before`` is naive. A caller's mistake.
        RecurrenceError: ``bad_rule``; the recurrence was not checked before it was stored.
    """
    require_aware(after, before)
    approval, duration = programme.approval, programme.duration
    if approval is None or not (programme.is_ready and programme.is_approved):
        return
    withdrawn = programme.withdrawn_at
    limit = before if withdrawn is None else min(before, withdrawn + _UNDER_WAY)
    for start in _starts(programme.recurrence, approval, max(after - duration, approval.at), limit, zone, days):
        if start + duration > after:
            yield Occurrence(
                programme=programme.id,
                revision=programme.revision,
                title=programme.title,
                level=programme.level,
                start=start,
                duration=duration,
                items=programme.items,
                approved_at=approval.at,
                ends_by=withdrawn,
                tier=programme.tier,
                if_taken=programme.if_taken,
                if_late=programme.if_late,
            )


def _starts(
    recurrence: Recurrence | None,
    approval: Approval,
    after: datetime,
    before: datetime,
    zone: ZoneInfo,
    days: DayTypes,
) -> Iterator[datetime]:
    if recurrence is not None:
        return starts(recurrence, after, before, zone, days)
    second = timedelta(seconds=1)
    start = (approval.at.astimezone(UTC) + LEAD + second - timedelta(microseconds=1)).replace(microsecond=0)
    return iter((start,) if after <= start < before else ())
