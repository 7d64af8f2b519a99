"""Whether some slots together keep the local rules that count: sessions, minutes and pauses."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from schedules.rules import InForce
from schedules.sessions import SESSION_PAUSE, Interval
from schedules.wallclock import bounds

__all__ = ["keeps"]


def keeps(intervals: Sequence[Interval], in_force: InForce) -> bool:
    """Say whether every one of ``intervals`` passes ``rules.exceeds``, at the cost of one look at each.

    Args:
        intervals: Aware UTC instants, by start; they may touch and never overlap. Emergencies are not among them.
        in_force: What the cluster must keep.
    """
    rules = in_force.rules
    minutes, sessions = timedelta(), 0
    begun = ended = day_ends = datetime.min.replace(tzinfo=UTC)
    day: date | None = None
    for start, end in intervals:
        if start >= day_ends:
            today = start.astimezone(in_force.zone).date()
            if today != day:
                day, minutes, sessions = today, timedelta(), 0
            _, day_ends, alone = bounds(today, in_force.zone)
            day_ends = day_ends if alone else start
        if start - ended > SESSION_PAUSE:
            if rules.gap is not None and start - ended < rules.gap:
                return False
            begun, sessions = start, sessions + 1
        ended, minutes = end, minutes + (end - start)
        if (
            (rules.longest_session is not None and ended - begun > rules.longest_session)
            or (rules.most_a_day is not None and minutes > rules.most_a_day)
            or (rules.sessions_a_day is not None and sessions > rules.sessions_a_day)
        ):
            return False
    return True
