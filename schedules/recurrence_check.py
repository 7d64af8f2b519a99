"""Whether a recurrence can be followed; if not, which part of it is wrong and what to do."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from schedules.days import NO_DAY_TYPES, DayTypes
from schedules.lunar import FIRST_DAY, LAST_DAY, is_covered
from schedules.recurrence import YEARS, Every, Recurrence, instant_of, starts
from schedules.rrule import Frequency, RecurrenceError, Rule, Scale, parse

__all__ = ["HORIZON_YEARS", "MOST_A_DAY", "MOST_EXCLUSIONS", "check"]

HORIZON_YEARS: Final = 20
"""How long after its start a recurrence may be silent. 29 February is at most eight years off (from 2096), a leap
month of the lunar calendar mostly less than twenty; whoever names one that is further off adds SKIP."""

MOST_EXCLUSIONS: Final = 400
"""Times, and days, that may be left out, and times that may be added: each day of a year, so that ``check``
ends soon whatever is sent."""

MOST_A_DAY: Final = 300
"""Times on one local day: every five minutes, day and night, and some more."""
_MINUTES: Final = 24 * 60  # of a day
_DAY: Final = timedelta(days=1)


def check(recurrence: Recurrence, zone: ZoneInfo, days: DayTypes = NO_DAY_TYPES) -> None:
    """Do nothing if the recurrence can be followed. Takes bounded time, whatever is sent.

    Raises:
        RecurrenceError: ``bad_rule``, ``too_often``, ``bad_start``, ``bad_every``, ``bad_duration``,
            ``too_many_exclusions``, ``unknown_day_type``, or ``never_fires``: none within ``HORIZON_YEARS`` of
            the start. The sender's mistake.
        ValueError: A time of it is aware. A caller's mistake: translate it to local time first.
    """
    every, times = recurrence.every, (recurrence.start, recurrence.until, *recurrence.added, *recurrence.excluded)
    if any(t is not None and t.tzinfo for t in (*times, *((every.first, every.last) if every else ()))):
        raise ValueError("the times of a recurrence are local; translate aware ones first")
    rule = None if recurrence.rule is None else parse(recurrence.rule)
    _refuse_out_of_bounds(recurrence)
    if rule is not None:
        _refuse_bad_rule(recurrence, rule)
    if every is not None:
        _refuse_bad_every(every, rule)
    _refuse_unknown_types(recurrence, days)
    _refuse_crowd(recurrence, _first(recurrence, zone, days), zone, days)


def _refuse_out_of_bounds(recurrence: Recurrence) -> None:
    for part, t in (("start", recurrence.start), *(("added", t) for t in recurrence.added)):
        if t.year not in YEARS:
            said = f"{part.capitalize()} {t.isoformat()} is not in the years {YEARS[0]} to {YEARS[-1]}; correct it."
            raise RecurrenceError("bad_start", said, start=t.isoformat(), part=part)
    for part in ("excluded", "excluded_days", "added"):
        if len(getattr(recurrence, part)) > MOST_EXCLUSIONS:
            said = f"More than {MOST_EXCLUSIONS} are in {part}; send fewer, with another rule or a day type."
            raise RecurrenceError("too_many_exclusions", said, most=MOST_EXCLUSIONS, part=part)
    duration = recurrence.duration
    if duration is not None and (not timedelta() < duration <= _DAY or duration.microseconds):
        said = f"The duration {duration} is not one second to one day, in whole seconds; correct it or leave it out."
        raise RecurrenceError("bad_duration", said, duration_seconds=duration.total_seconds())


def _refuse_bad_rule(recurrence: Recurrence, rule: Rule) -> None:
    if rule.is_too_often:
        part, said = "BYSECOND", "BYSECOND has several seconds of one minute; keep one of them."
        if rule.frequency is Frequency.SECONDLY:
            part, said = "FREQ", "FREQ=SECONDLY may fire every second; use MINUTELY or a rarer frequency."
        raise RecurrenceError("too_often", said, rule=recurrence.rule, part=part)
    for part, value in (("COUNT", rule.count), ("UNTIL", rule.until)):
        if value is not None and recurrence.until is not None:
            said = f"{part} in the rule and until beside it both say when it ends; keep one."
            raise RecurrenceError("bad_rule", said, rule=recurrence.rule, part=part)
    if rule.scale is Scale.VIETNAMESE and not is_covered(recurrence.start.date()):
        start = recurrence.start.isoformat()
        said = f"Start {start} is not in the lunar table, {FIRST_DAY} to {LAST_DAY}; correct it, or leave RSCALE out."
        raise RecurrenceError("bad_start", said, start=start, part="start")


def _refuse_bad_every(every: Every, rule: Rule | None) -> None:
    if every.minutes < 1:
        said = f"Every {every.minutes} minutes gives times less than a minute apart; say 1 to {_MINUTES} minutes."
        raise RecurrenceError("too_often", said, rule=None, part="minutes")
    if every.minutes > _MINUTES:
        raise _bad_every("minutes", f"Every {every.minutes} minutes is more than a day; say 1 to {_MINUTES} minutes.")
    if every.last < every.first:
        raise _bad_every("last", f"The last time, {every.last}, is before the first, {every.first}; exchange them.")
    if rule is not None and rule.frequency in (Frequency.HOURLY, Frequency.MINUTELY):
        said = f"FREQ={rule.frequency} and every both say how often in a day; use FREQ=DAILY, or leave every out."
        raise _bad_every("FREQ", said)
    clock = () if rule is None else (("BYHOUR", rule.hours), ("BYMINUTE", rule.minutes), ("BYSECOND", rule.seconds))
    for part, values in clock:
        if values:
            raise _bad_every(part, f"{part} and every both say the times of a day; leave one of them out.")


def _bad_every(part: str, sentence: str) -> RecurrenceError:
    return RecurrenceError("bad_every", sentence, part=part)


def _refuse_unknown_types(recurrence: Recurrence, days: DayTypes) -> None:
    for part in ("only_on", "not_on"):
        for type_id in getattr(recurrence, part):
            if type_id not in days:
                said = f"There is no day type {type_id!r}, which {part} names; choose one that exists or add it first."
                raise RecurrenceError("unknown_day_type", said, part=part, day_type=type_id)


def _first(recurrence: Recurrence, zone: ZoneInfo, days: DayTypes) -> datetime:
    begin = instant_of(min((recurrence.start, *recurrence.added)), zone) - _DAY
    end = instant_of(recurrence.start, zone) + timedelta(days=366 * HORIZON_YEARS)
    for first in starts(recurrence, begin, end, zone, days):
        return first
    raise RecurrenceError(
        "never_fires",
        f"The recurrence from {recurrence.start.isoformat()} is not heard once in {HORIZON_YEARS} years; look for "
        "a day that does not exist, an end before the start, or exclusions and day types that leave nothing.",
        start=recurrence.start.isoformat(),
        rule=recurrence.rule,
        horizon_years=HORIZON_YEARS,
    )


def _refuse_crowd(recurrence: Recurrence, first: datetime, zone: ZoneInfo, days: DayTypes) -> None:
    """Refuse what would fill the days of its first week: playlists, and ears, hold only so much."""
    week = islice(starts(recurrence, first, first + 7 * _DAY, zone, days), 7 * MOST_A_DAY + 1)
    if max(Counter(t.astimezone(zone).date() for t in week).values()) > MOST_A_DAY:
        said = f"It is heard more than {MOST_A_DAY} times on one day; use a longer interval or fewer hours."
        raise RecurrenceError("too_often", said, rule=recurrence.rule, part=None)
