"""When a programme is heard: a recurrence in the commune's local time → instants."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from schedules.expansion import expand
from schedules.instants import require_aware
from schedules.rrule import RecurrenceError, parse

__all__ = ["HORIZON_YEARS", "MOST_EXCLUSIONS", "Recurrence", "RecurrenceError", "check", "starts"]

HORIZON_YEARS: Final = 10
"""How long after its start a recurrence may be silent. 29 February is at most eight years off (from 2096)."""

MOST_EXCLUSIONS: Final = 400
"""Times, and days, that may be left out: each day of a year, so that ``check`` ends soon whatever is sent."""

_YEARS: Final = range(1970, 3000)
_DAY: Final = timedelta(days=1)  # no zone ever moved its clocks by more (Pacific/Apia left out 2011-12-30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """Local times, without a zone: the zone is the commune's and is told to the functions below.

    All times are naive and to the second; fractions are dropped.
    """

    start: datetime
    """The first time; with a rule, the first that it may mean, and what the rule leaves open is as here."""
    rule: str | None = None
    """An RFC 5545 RRULE value such as ``FREQ=DAILY;BYHOUR=5,17``; None for once."""
    until: datetime | None = None
    """The last time that may be meant, inclusive like UNTIL in a rule; not beside UNTIL or COUNT."""
    excluded: tuple[datetime, ...] = ()
    """Times left out, as EXDATE; they count in COUNT."""
    excluded_days: tuple[date, ...] = ()
    """Days left out, whatever the hour."""


def starts(recurrence: Recurrence, after: datetime, before: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the instants in ``[after, before)``, UTC, strictly rising.

    Where clocks change, one rule holds for every time (RFC 5545 section 3.3.5):

    * A time that does not exist, because clocks go over it, is read with the offset before the change: 02:30
      becomes 03:30 summer time. Section 3.3.10 would leave it out, but a bulletin that is not heard, and
      nobody knows, is worse. If another occurrence has that instant, the two are one.
    * A time that exists twice is heard once, the first time.

    An occurrence is left out by its local time, and ended by its instant: it is heard if that is not after
    the instant of ``until``, whichever of the three forms of UNTIL said it.

    Args:
        recurrence: One that ``check`` accepts.
        after: Aware instant.
        before: Aware instant.
        zone: Where the commune's clocks are set.

    Raises:
        ValueError: An instant is naive. A caller's mistake.
        RecurrenceError: ``bad_rule`` or ``too_often``; it was not checked.
    """
    require_aware(after, before)
    last = _last(recurrence, zone)
    local_after = after.astimezone(zone).replace(tzinfo=None) - _DAY
    local_before = before.astimezone(zone).replace(tzinfo=None) + _DAY
    for instant in _instants(_local_times(recurrence, local_after, local_before), zone):
        if instant >= before or (last is not None and instant > last):
            return
        if instant >= after:
            yield instant


def check(recurrence: Recurrence, zone: ZoneInfo) -> None:
    """Do nothing if the recurrence can be followed. Takes bounded time, whatever is sent.

    Raises:
        RecurrenceError: ``bad_rule``, ``too_often``, ``bad_start``, ``too_many_exclusions``, or
            ``never_fires``: none within ``HORIZON_YEARS`` of the start. The sender's mistake.
        ValueError: A time of it is aware. A caller's mistake: translate it to local time first.
    """
    if any(t is not None and t.tzinfo for t in (recurrence.start, recurrence.until, *recurrence.excluded)):
        raise ValueError("the times of a recurrence are local; translate aware ones first")
    _refuse_out_of_bounds(recurrence)
    _refuse_two_ends(recurrence)
    begin = _instant(recurrence.start, zone) - _DAY
    if next(starts(recurrence, begin, begin + timedelta(days=366 * HORIZON_YEARS), zone), None) is None:
        raise RecurrenceError(
            "never_fires",
            f"The recurrence from {recurrence.start.isoformat()} is not heard once in {HORIZON_YEARS} years; "
            "look for a day that does not exist, an end before the start, or exclusions that leave nothing.",
            start=recurrence.start.isoformat(),
            rule=recurrence.rule,
            horizon_years=HORIZON_YEARS,
        )


def _refuse_out_of_bounds(recurrence: Recurrence) -> None:
    start, first, last = recurrence.start, _YEARS[0], _YEARS[-1]
    if start.year not in _YEARS:
        raise RecurrenceError(
            "bad_start",
            f"The start {start.isoformat()} is not in the years {first} to {last}; correct it.",
            start=start.isoformat(),
        )
    if max(len(recurrence.excluded), len(recurrence.excluded_days)) > MOST_EXCLUSIONS:
        raise RecurrenceError(
            "too_many_exclusions",
            f"More than {MOST_EXCLUSIONS} times or days are left out; send fewer, or a rarer rule.",
            most=MOST_EXCLUSIONS,
        )


def _refuse_two_ends(recurrence: Recurrence) -> None:
    if recurrence.rule is None or recurrence.until is None:
        return
    rule = parse(recurrence.rule)
    for part, value in (("COUNT", rule.count), ("UNTIL", rule.until)):
        if value is not None:
            raise RecurrenceError(
                "bad_rule",
                f"{part} in the rule and until beside it both say when it ends; keep one.",
                rule=recurrence.rule,
                part=part,
            )


def _local_times(recurrence: Recurrence, after: datetime, before: datetime) -> Iterator[datetime]:
    excluded, days = {t.replace(microsecond=0) for t in recurrence.excluded}, set(recurrence.excluded_days)
    if recurrence.rule is None:
        start = recurrence.start.replace(microsecond=0)
        times = iter((start,) if after <= start < before else ())
    else:
        times = expand(parse(recurrence.rule), recurrence.start, after, before)
    return (t for t in times if t not in excluded and t.date() not in days)


def _instants(times: Iterable[datetime], zone: ZoneInfo) -> Iterator[datetime]:
    """Translate rising local times to strictly rising instants.

    A time in a gap is moved beyond it, possibly past later times: it waits for its turn.
    """
    waiting: deque[datetime] = deque()
    for local in times:
        instant = _instant(local, zone)
        if instant.astimezone(zone).replace(tzinfo=None) != local:
            waiting.append(instant)
            continue
        while waiting and waiting[0] <= instant:
            if (moved := waiting.popleft()) < instant:
                yield moved
        yield instant
    yield from waiting


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    # fold=0 takes the offset before a change both in a gap and in a repeated hour (PEP 495).
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _last(recurrence: Recurrence, zone: ZoneInfo) -> datetime | None:
    until = recurrence.until
    if until is None and recurrence.rule is not None:
        until = parse(recurrence.rule).until
    if until is None or until.tzinfo is not None:
        return until
    # People write 9999 for "for ever"; an instant of that year may lie outside the calendar.
    return _instant(min(max(until, recurrence.start - _DAY), datetime(_YEARS.stop, 1, 1)), zone)
