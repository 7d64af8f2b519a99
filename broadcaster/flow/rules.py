"""What local rules and holds let nobody hear is told to whoever asks for it, at once."""

from collections.abc import Iterable, Iterator
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
_INSTANT: Final = timedelta(seconds=1)
"""Whether its first second may be heard: how long it lasts is often not known yet, and no rule of this kind asks."""


class StoppedByRule(Refusal):
    """No time asked for may be heard anywhere.

    Fields: ``rule``, the ``Rule`` that stops the first time; ``first``, that time; ``why`` and ``why_vi``.
    """

    codes = frozenset({"stopped_by_rule"})


def refuse_stopped(times: Iterable[datetime], reached: Iterable[str], places: Places, zone: ZoneInfo) -> None:
    """Do nothing if at least one of ``times`` may be heard on at least one of the clusters ``reached``.

    Raises:
        StoppedByRule: ``stopped_by_rule``: a hold, quiet hours or the weekday stops every one. What depends on
            other programmes, such as the minutes of a day, is for the plan to tell.
    """
    looked_at = tuple(islice(times, _MOST_TIMES + 1))
    if not looked_at or len(looked_at) > _MOST_TIMES:
        return
    first: Breach | None = None
    for binding in _bindings(reached, places, zone):
        for start in looked_at:
            breach = stops(start, start + _INSTANT, binding)
            if breach is None:
                return
            first = first or breach
    if first is not None:
        raise _stopped(first, looked_at[0], zone)


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
        f"Nothing would be heard: the first time, {when}, is stopped because {why_stopped(breach, 'en', zone)}, "
        "and so are all others. Choose another time or other zones, or have the rule changed.",
        rule=breach.rule.value,
        first=when,
        why=why_stopped(breach, "en", zone),
        why_vi=why_stopped(breach, "vi", zone),
    )
