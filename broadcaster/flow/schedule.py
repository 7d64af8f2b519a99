"""What is to be heard, where and when: programmes come in, become ready with their sounds, and are withdrawn."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from broadcaster.errors import Refusal
from broadcaster.flow.approve import approved
from broadcaster.store.port import Definitions
from broadcaster.store.records import Official, SoundState
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup
from schedules.levels import Level
from schedules.programmes import Item, Programme, ProgrammeState
from schedules.recurrence import HORIZON_YEARS, Recurrence, check, starts
from schedules.zones import Targets, ZoneTree, reach

_LONGEST: Final = timedelta(days=1)
"""What a slot on the wire may last; one longer would keep every playlist that holds it from being signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A programme as it is asked for."""

    title: str
    level: Level
    sounds: tuple[str, ...]
    """Ids of the sounds, in the order in which they are heard."""
    targets: Targets
    recurrence: Recurrence | None
    """None: once, as soon as its sounds are ready."""


def submit(draft: Draft, *, zone: ZoneInfo, by: Official, store: Store, now: datetime) -> Programme:
    """Store a programme; if its sounds are ready it is approved by its author at once, else when they are.

    Raises:
        Refusal: ``no_items``, ``no_targets``, ``time_in_past``.
        ZoneError, RecurrenceError: a target or a rule that cannot be.
        NotFound: there is no such sound.

    A sound that was refused does not raise: the programme is stored as ``failed``, with its code.
    """
    if not draft.sounds:
        raise Refusal("no_items", "There is nothing to hear; give a text or a sound.")
    refuse_unfit(draft.targets, draft.recurrence, zone=zone, store=store, now=now)
    definitions = store.definitions
    programme = Programme(
        id=secrets.token_hex(6),
        title=draft.title,
        level=draft.level,
        items=tuple(Item(sound=definitions.sounds.get(sound).id) for sound in draft.sounds),
        targets=draft.targets,
        recurrence=draft.recurrence,
        author=by.id,
        created_at=now,
    )
    with store.transaction():
        stored = definitions.programmes.add(_settled(programme, definitions, now=now, zone=zone))
        store.record(
            "programme.submitted",
            programme.id,
            by=by.id,
            at=now,
            title=programme.title,
            level=int(programme.level),
            state=stored.state.value,
            wake=(Wakeup.PLAN,),
        )
    return stored


def refuse_unfit(
    targets: Targets, recurrence: Recurrence | None, *, zone: ZoneInfo, store: Store, now: datetime
) -> None:
    """Do nothing if a programme could be heard there and then; for callers that store something else before it.

    Raises:
        Refusal: ``no_targets``, ``time_in_past``.
        ZoneError, RecurrenceError: a target or a rule that cannot be.
    """
    _check_targets(targets, store.definitions)
    if recurrence is not None:
        check(recurrence, zone)
        _refuse_past(recurrence, zone, now)


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
    if known.duration > _LONGEST:
        return replace(known, failure="programme_too_long")
    if known.recurrence is not None and not _fires_after(known.recurrence, now, zone):
        return replace(known, failure="too_late")
    return approved(known, by=programme.author, now=now)


def _check_targets(targets: Targets, definitions: Definitions) -> None:
    reached = reach(targets, ZoneTree(definitions.zones.all()), definitions.clusters.all())
    if not reached:
        raise Refusal(
            "no_targets",
            "The chosen zones and clusters, less the exceptions, reach no loudspeaker; choose others.",
        )


def _refuse_past(recurrence: Recurrence, zone: ZoneInfo, now: datetime) -> None:
    if not _fires_after(recurrence, now, zone):
        raise Refusal(
            "time_in_past",
            f"The last time asked for is over: it is {now.astimezone(zone):%Y-%m-%d %H:%M:%S}; choose a later one.",
            now=now.isoformat(),
        )


def _fires_after(recurrence: Recurrence, now: datetime, zone: ZoneInfo) -> bool:
    horizon = now + timedelta(days=366 * HORIZON_YEARS)
    return next(starts(recurrence, now, horizon, zone), None) is not None
