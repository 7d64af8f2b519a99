"""What is to be heard, where and when: programmes come in, become ready with their sounds, and are withdrawn."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Final
from zoneinfo import ZoneInfo

from broadcaster.errors import Refusal
from broadcaster.flow.approve import approved
from broadcaster.flow.days import known_days
from broadcaster.flow.rules import refuse_stopped
from broadcaster.store.port import Definitions
from broadcaster.store.records import Official, SoundState
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup
from schedules.days import DayTypes
from schedules.lateness import JOIN, IfLate
from schedules.levels import Level, Policy
from schedules.programmes import LEAD, IfTaken, Item, Programme, ProgrammeState
from schedules.recurrence import Recurrence, starts
from schedules.recurrence_check import HORIZON_YEARS, check
from schedules.zones import Places, Targets

LONGEST: Final = timedelta(days=1)
"""What a slot on the wire may last; one longer would keep every playlist that holds it from being signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A programme as it is asked for."""

    title: str
    level: Level
    sounds: tuple[str, ...] = ()
    """Ids of the sounds, in the order in which they are heard."""
    targets: Targets
    recurrence: Recurrence | None
    """None: once, as soon as its sounds are ready."""
    tier: str | None = None
    """Whose it is; None: the station's own tier."""
    if_taken: IfTaken = field(default_factory=IfTaken)
    if_late: IfLate = JOIN
    reason: str | None = None
    """Why it is an emergency; of no other level is it kept."""


class DraftRefusal(Refusal):
    """Something is missing or not known here. Fields of ``unknown_tier``: ``tier``, and ``known``, those there are."""

    codes = frozenset({"reason_required", "unknown_tier"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the station settles for all programmes."""

    zone: ZoneInfo
    """Where its clocks are set."""
    policy: Policy = field(default_factory=Policy)
    ahead: timedelta = timedelta(days=8)
    """How far ahead a wish is held against the local rules: as far as playlists reach."""


def submit(draft: Draft, *, terms: Terms, by: Official, store: Store, now: datetime) -> Programme:
    """Store a programme; if its sounds are ready it is approved by its author at once, else when they are.

    Raises:
        Refusal: ``no_items``, and those of ``refuse_unfit``.
        ZoneError, RecurrenceError, DayTypeError: a target, a rule or a day type that cannot be.
        NotFound: there is no such sound.

    A sound that was refused does not raise: the programme is stored as ``failed``, with its code.
    """
    if not draft.sounds:
        raise Refusal("no_items", "There is nothing to hear; give a text or a sound.")
    refuse_unfit(draft, terms=terms, store=store, now=now)
    definitions = store.definitions
    items = tuple(Item(sound=definitions.sounds.get(sound).id) for sound in draft.sounds)
    programme = programme_of(draft, items, id=secrets.token_hex(6), terms=terms, by=by, now=now)
    with store.transaction():
        stored = definitions.programmes.add(_settled(programme, definitions, now=now, zone=terms.zone))
        store.record(
            "programme.submitted",
            programme.id,
            by=by.id,
            at=now,
            title=programme.title,
            level=int(programme.level),
            tier=programme.tier,
            reason=programme.reason,
            state=stored.state.value,
            wake=(Wakeup.PLAN,),
        )
    return stored


def programme_of(
    draft: Draft, items: tuple[Item, ...], *, id: str, terms: Terms, by: Official, now: datetime
) -> Programme:
    """Return the programme that a draft asks for, not settled yet."""
    return Programme(
        id=id,
        title=draft.title,
        level=draft.level,
        items=items,
        targets=draft.targets,
        recurrence=draft.recurrence,
        tier=None if draft.tier == terms.policy.own else draft.tier,
        if_taken=draft.if_taken,
        if_late=draft.if_late,
        reason=draft.reason if draft.level is Level.EMERGENCY else None,
        author=by.id,
        created_at=now,
    )


def refuse_unfit(draft: Draft, *, terms: Terms, store: Store, now: datetime) -> None:
    """Do nothing if a programme could be heard there and then; for callers that store something else before it.

    Raises:
        Refusal: ``stopped_by_rule``, and those of ``refuse_wrong``.
        ZoneError, RecurrenceError, DayTypeError: a target, a rule or a day type that cannot be.
    """
    places, days = _known(store.definitions)
    _refuse_wrong(draft, places, days, terms, now)
    if draft.level is not Level.EMERGENCY:
        recurrence = draft.recurrence
        times = iter((now + LEAD,)) if recurrence is None else _coming(recurrence, terms, days, now)
        refuse_stopped(
            times,
            places.reached(draft.targets),
            places,
            terms.zone,
            later=lambda held: () if recurrence is None else _coming(recurrence, terms, days, max(held, now)),
        )


def refuse_wrong(draft: Draft, *, terms: Terms, definitions: Definitions, now: datetime) -> None:
    """Do nothing if a programme makes sense, be it stopped by every local rule: for previews, which tell that.

    Raises:
        Refusal: ``no_targets``, ``time_in_past``, ``reason_required``, ``unknown_tier``.
        ZoneError, RecurrenceError, DayTypeError: a target, a rule or a day type that cannot be.
    """
    _refuse_wrong(draft, *_known(definitions), terms, now)


def settle(sound: str, *, zone: ZoneInfo, store: Store, now: datetime) -> None:
    """Bring every programme that waits for ``sound`` as far as it can come now. Within a transaction."""
    for programme in store.definitions.programmes.all():
        waits = programme.state is ProgrammeState.PREPARING
        if waits and any(item.sound == sound for item in programme.items):
            settled = store.definitions.programmes.change(
                programme.id, lambda old: _settled(old, store.definitions, now=now, zone=zone)
            )
            if settled.state is not ProgrammeState.PREPARING:
                store.record(
                    f"programme.{settled.state.value}",
                    programme.id,
                    by=programme.author if settled.approval else None,
                    at=now,
                    code=settled.failure,
                    wake=(Wakeup.PLAN,),
                )


def withdraw(id: str, *, by: Official, store: Store, now: datetime) -> Programme:
    """Take a programme back: what sounds of it stops, the rest never starts.

    Raises:
        NotFound: no such programme.
        Refusal: ``already_withdrawn``.
    """
    programmes = store.definitions.programmes
    with store.transaction():
        if programmes.get(id).withdrawn_at is not None:
            raise Refusal("already_withdrawn", f"Programme {id} was withdrawn before; nothing is left to do.", id=id)
        withdrawn = programmes.change(id, lambda old: replace(old, withdrawn_at=now))
        store.record("programme.withdrawn", id, by=by.id, at=now, title=withdrawn.title, wake=(Wakeup.PLAN,))
    return withdrawn


def _settled(programme: Programme, definitions: Definitions, *, now: datetime, zone: ZoneInfo) -> Programme:
    """Return ``programme`` with what is known of its sounds, approved by its author if that is everything."""
    sounds = [definitions.sounds.get(item.sound) for item in programme.items]
    for sound in sounds:
        if sound.state is SoundState.REFUSED and sound.refusal is not None:
            return replace(programme, failure=sound.refusal["code"])
    items = tuple(
        replace(item, rendition=sound.rendition.digest, duration=sound.rendition.duration) if sound.rendition else item
        for item, sound in zip(programme.items, sounds, strict=True)
    )
    known = replace(programme, items=items)
    if not known.is_ready:
        return programme
    if known.duration > LONGEST:
        return replace(known, failure="programme_too_long")
    days = known_days(definitions)
    if known.recurrence is not None and not _fires_after(known.recurrence, now, zone, days):
        return replace(known, failure="too_late")
    return approved(known, by=programme.author, now=now)


def _known(definitions: Definitions) -> tuple[Places, DayTypes]:
    return Places(definitions.zones.all(), definitions.clusters.all()), known_days(definitions)


def _refuse_wrong(draft: Draft, places: Places, days: DayTypes, terms: Terms, now: datetime) -> None:
    _refuse_unknown_tier(draft, terms.policy)
    places.refuse_unknown(draft.targets)
    if not places.reached(draft.targets):
        raise Refusal(
            "no_targets",
            "The chosen zones, clusters and tags, less the exceptions, reach no loudspeaker; choose others.",
        )
    if draft.recurrence is not None:
        check(draft.recurrence, terms.zone, days)
        _refuse_past(draft.recurrence, terms.zone, days, now)
    if draft.level is Level.EMERGENCY and not (draft.reason or "").strip():
        raise DraftRefusal(
            "reason_required", "An emergency passes the local rules, so its reason is recorded; say why it is one."
        )


def _refuse_unknown_tier(draft: Draft, policy: Policy) -> None:
    if draft.tier is not None and draft.tier not in policy.tiers:
        raise DraftRefusal(
            "unknown_tier",
            f"There is no tier {draft.tier!r} here; send one of {', '.join(policy.tiers)}, or none for our own.",
            tier=draft.tier,
            known=", ".join(policy.tiers),
        )


def _refuse_past(recurrence: Recurrence, zone: ZoneInfo, days: DayTypes, now: datetime) -> None:
    if not _fires_after(recurrence, now, zone, days):
        raise Refusal(
            "time_in_past",
            f"The last time asked for is over: it is {now.astimezone(zone):%Y-%m-%d %H:%M:%S}; choose a later one.",
            now=now.isoformat(),
        )


def _fires_after(recurrence: Recurrence, now: datetime, zone: ZoneInfo, days: DayTypes) -> bool:
    return next(_after(recurrence, now, zone, days), None) is not None


def _coming(recurrence: Recurrence, terms: Terms, days: DayTypes, since: datetime) -> Iterator[datetime]:
    """Yield the times that playlists will hold soon after ``since``; the next one if that is later."""
    times = _after(recurrence, since, terms.zone, days)
    yield from islice(times, 1)
    yield from takewhile(lambda start: start < since + terms.ahead, times)


def _after(recurrence: Recurrence, now: datetime, zone: ZoneInfo, days: DayTypes) -> Iterator[datetime]:
    return starts(recurrence, now, now + timedelta(days=366 * HORIZON_YEARS), zone, days)
