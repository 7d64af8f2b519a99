"""The local rules that count: sessions, minutes and pauses, of which each slot has a part."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from schedules.rules import Breach, InForce, Rule
from schedules.sessions import SESSION_PAUSE, Interval, begins_session, pauses, same_day, session_exceeds
from schedules.wallclock import bounds

__all__ = ["broken_days", "exceeds"]


def exceeds(
    intervals: Sequence[Interval], i: int, in_force: InForce, *, since: datetime | None = None
) -> Breach | None:
    """Return which counting rule is broken because interval ``i`` is among ``intervals``, or None.

    Every interval passes if and only if no day is broken. It costs no more than the slots of one local
    day, and of one session that is as long as it may be, however many intervals there are.

    Args:
        intervals: Aware instants, by start; they may touch and never overlap. Emergencies are not among them.
        i: Which of them is asked about.
        in_force: What the cluster must keep.
        since: What ended before it is not among them; None: all are. A session that begins at most a pause later
            may have begun the day before, and counts for no day.
    """
    rules = in_force.rules
    if rules.longest_session is not None and session_exceeds(intervals, i, rules.longest_session):
        return Breach(rule=Rule.SESSION_TOO_LONG, limit=rules.longest_session)
    of_days = rules.most_a_day is not None or rules.sessions_a_day is not None
    today = same_day(intervals, i, in_force.zone) if of_days else []
    if rules.most_a_day is not None and _sounding(intervals, today) > rules.most_a_day:
        return Breach(rule=Rule.DAY_FULL, limit=rules.most_a_day)
    if rules.sessions_a_day is not None and begins_session(intervals, i):  # one that goes on with a session begins none
        begun = sum(begins_session(intervals, k) for k in today)
        if since is not None and 0 in today and intervals[0][0] - since <= SESSION_PAUSE:
            begun -= 1
        if begun > rules.sessions_a_day:
            return Breach(rule=Rule.TOO_MANY_SESSIONS, limit=rules.sessions_a_day)
    if rules.gap is not None and any(SESSION_PAUSE < pause < rules.gap for pause in pauses(intervals, i)):
        return Breach(rule=Rule.TOO_SOON, limit=rules.gap)
    return None


def broken_days(intervals: Sequence[Interval], in_force: InForce) -> frozenset[date]:
    """Return the local days on which ``intervals`` break a counting rule, at the cost of one look at each interval.

    A session that is too long is broken on each day on which a slot of it starts, a pause that is too short on the
    days on both sides of it.

    Args:
        intervals: Aware UTC instants, by start; they may touch and never overlap. Emergencies are not among them.
        in_force: What the cluster must keep.
    """
    rules, broken = in_force.rules, set[date]()
    minutes, sessions = timedelta(), 0
    begun = ended = day_ends = datetime.min.replace(tzinfo=UTC)
    day = before = since = date.min
    for start, end in intervals:
        if start >= day_ends:
            today = start.astimezone(in_force.zone).date()
            if today != day:
                day, before, minutes, sessions = today, day, timedelta(), 0
            _, day_ends, alone = bounds(today, in_force.zone)
            day_ends = day_ends if alone else start
        if start - ended > SESSION_PAUSE:
            if rules.gap is not None and start - ended < rules.gap:
                broken |= {day, day if minutes else before}
            begun, since, sessions = start, day, sessions + 1
        ended, minutes = end, minutes + (end - start)
        if rules.longest_session is not None and ended - begun > rules.longest_session:
            broken |= {since, day}
        if (rules.most_a_day is not None and minutes > rules.most_a_day) or (
            rules.sessions_a_day is not None and sessions > rules.sessions_a_day
        ):
            broken.add(day)
    return frozenset(broken)


def _sounding(intervals: Sequence[Interval], places: Iterable[int]) -> timedelta:
    return sum((intervals[k][1] - intervals[k][0] for k in places), timedelta())
