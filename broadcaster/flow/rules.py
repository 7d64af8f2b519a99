"""What local rules and holds let nobody hear is told to whoever asks for it, at once."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from broadcaster.errors import Refusal
from schedules.rules import Breach, InForce, stops
from schedules.sentences.explaining import why_stopped
from schedules.zones import Places

_MOST_TIMES: Final = 2000
"""Times that are looked at: twice an hour for the longest horizon. A wish for more is accepted, and planned by rule."""
_MOST_TIMES_AFTER_A_HOLD: Final = 200
"""A zone may have many holds."""
_INSTANT: Final = timedelta(seconds=1)
"""Whether its first second may be heard: how long it lasts is often not known yet, and no rule of this kind asks."""


class StoppedByRule(Refusal):
    """No time asked for may be heard anywhere.

    Fields: ``rule``, the ``Rule`` that stops the first time; ``first``, that time; ``why`` and ``why_vi``.
    """

    codes = frozenset({"stopped_by_rule"})


def refuse_stopped(
    times: Iterable[datetime],
    reached: Iterable[str],
    places: Places,
    zone: ZoneInfo,
    *,
    later: Callable[[datetime], Iterable[datetime]],
) -> None:
    """Do nothing if at least one of ``times`` may be heard on at least one of the clusters ``reached``.

    Rules stay, but holds end: those of ``later``, which gives the times after an instant, are looked at as well.

    Raises:
        StoppedByRule: ``stopped_by_rule``: a hold, quiet hours or the weekday stops every one. What depends on
            other programmes, such as the minutes of a day, is for the plan to tell.
    """
    looked_at = tuple(islice(times, _MOST_TIMES + 1))
    if not looked_at or len(looked_at) > _MOST_TIMES:
        return
    first: Breach | None = None
    for binding in _bindings(reached, places, zone):
        breach = _first_breach(looked_at, binding)
        if breach is None or _outlives_holds(binding, later):
            return
        first = first or breach
    if first is not None:
        raise _stopped(first, looked_at[0], zone)


def _outlives_holds(binding: InForce, later: Callable[[datetime], Iterable[datetime]]) -> bool:
    """Return whether something may be heard once a hold is over; too many times to look at count as heard."""
    for end in sorted({hold.end for hold in binding.holds}, reverse=True):
        times = tuple(islice(later(end), _MOST_TIMES_AFTER_A_HOLD + 1))
        if len(times) > _MOST_TIMES_AFTER_A_HOLD or (times and _first_breach(times, binding) is None):
            return True
    return False


def _first_breach(times: Iterable[datetime], binding: InForce) -> Breach | None:
    """Return what stops the first of ``times``, if every one is stopped."""
    first: Breach | None = None
    for start in times:
        breach = stops(start, start + _INSTANT, binding)
        if breach is None:
            return None
        first = first or breach
    return first


def _bindings(reached: Iterable[str], places: Places, zone: ZoneInfo) -> Iterator[InForce]:
    """Yield what binds the clusters: each combination once, however many clusters have it."""
    known: set[InForce] = set()
    for zone_id in sorted({places.clusters[cluster].zone for cluster in reached}):
        found = places.in_force(zone_id, zone).as_of(None)
        if found not in known:
            known.add(found)
            yield found


def _stopped(breach: Breach, first: datetime, zone: ZoneInfo) -> StoppedByRule:
    when = f"{first.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    return StoppedByRule(
        "stopped_by_rule",
        f"Nothing would be heard soon: the first time, {when}, is stopped because "
        f"{why_stopped(breach, 'en', zone)}, and so are those near it. Choose another time or other zones, or have the "
        "rule changed.",
        rule=breach.rule.value,
        first=when,
        why=why_stopped(breach, "en", zone),
        why_vi=why_stopped(breach, "vi", zone),
    )
