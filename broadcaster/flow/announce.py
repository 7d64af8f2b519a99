"""The short form: words or a sound, where, when, how often → a programme."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from audio.rendering import Limits
from broadcaster.errors import Refusal
from broadcaster.flow.prepare import Words, check_words, speak
from broadcaster.flow.schedule import Draft, Terms, refuse_unfit, submit
from broadcaster.store.records import Official
from broadcaster.store.store import Store
from schedules.programmes import LEAD, Programme
from schedules.recurrence import Recurrence

_WORKING_TIME: Final = timedelta(seconds=20)
"""What "now" allows for, beyond ``LEAD``, to speak a text when the first of several times must be known at once."""
_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """How often it is heard: ``times`` in all, their starts ``every`` apart."""

    every: timedelta
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What an official wants to be heard. Each item is words to be spoken, or the id of a sound."""

    draft: Draft
    """What, where and how urgent; its sounds and its recurrence are made here."""
    items: tuple[Words | str, ...]
    at: datetime | None
    """Aware instant of the first time; None: now, as soon as the sounds are ready."""
    repeat: Repeat | None = None


def announce(
    announcement: Announcement, *, limits: Limits, terms: Terms, by: Official, store: Store, now: datetime
) -> Programme:
    """Make a programme of an announcement and submit it.

    Raises:
        Refusal: ``bad_repeat``, and those of ``schedule.submit``.
        SoundError: ``empty_text``, ``text_too_long``, ``unknown_voice``.
        ZoneError, NotFound: a target or a sound that does not exist.
    """
    if announcement.at is not None and announcement.at < now:
        raise Refusal(
            "time_in_past",
            f"{announcement.at.astimezone(terms.zone):%Y-%m-%d %H:%M:%S} is over: it is "
            f"{now.astimezone(terms.zone):%Y-%m-%d %H:%M:%S}; choose a later time.",
            now=now.isoformat(),
        )
    draft = replace(announcement.draft, recurrence=_recurrence(announcement, terms.zone, now))
    return compose(announcement.items, draft, limits=limits, terms=terms, by=by, store=store, now=now)


def compose(
    items: Sequence[Words | str],
    draft: Draft,
    *,
    limits: Limits,
    terms: Terms,
    by: Official,
    store: Store,
    now: datetime,
) -> Programme:
    """Submit ``draft`` with these ``items``; words become sounds that wait to be spoken, unless anything is refused.

    Raises:
        As ``announce``, but not ``bad_repeat``, and RecurrenceError, DayTypeError.
    """
    refuse_unfit(draft, terms=terms, store=store, now=now)
    for item in items:
        if isinstance(item, str):
            store.definitions.sounds.get(item)
        else:
            check_words(item, limits)
    sounds = tuple(
        item if isinstance(item, str) else speak(item, title=draft.title, limits=limits, by=by, store=store, now=now).id
        for item in items
    )
    return submit(replace(draft, sounds=sounds), terms=terms, by=by, store=store, now=now)


def _recurrence(announcement: Announcement, zone: ZoneInfo, now: datetime) -> Recurrence | None:
    repeat = announcement.repeat
    if announcement.at is None and repeat is None:
        return None
    first = announcement.at or now + LEAD + _WORKING_TIME
    start = _whole_second(first).astimezone(zone).replace(tzinfo=None)
    if repeat is None or repeat.times == 1:
        return Recurrence(start=start)
    if repeat.every % _MINUTE or not _MINUTE <= repeat.every <= _DAY or not 1 <= repeat.times <= 1000:
        raise Refusal(
            "bad_repeat",
            "An announcement is repeated every 1 to 1440 whole minutes and 1 to 1000 times; "
            "for anything else make a programme with a recurrence.",
        )
    return Recurrence(start=start, rule=f"FREQ=MINUTELY;INTERVAL={repeat.every // _MINUTE};COUNT={repeat.times}")


def _whole_second(t: datetime) -> datetime:
    """Return the first whole second at or after ``t``: occurrences are named by the second."""
    return t if t.microsecond == 0 else t.replace(microsecond=0) + timedelta(seconds=1)
