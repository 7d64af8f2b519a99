"""The local rules that count: sessions, minutes and pauses, of which each slot has a part.

Each local day is counted by itself: a slot belongs to the day on which it starts, whole, and a session or a pause
does not reach over midnight. What may be heard today never hangs on how yesterday was counted.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise

from schedules.rules import Breach, InForce, LocalRules, Rule
from schedules.sessions import Interval, same_day, sessions
from schedules.wallclock import bounds

__all__ = ["broken_days", "exceeds"]


def exceeds(intervals: Sequence[Interval], i: int, in_force: InForce) -> Breach | None:
    """Return which counting rule is broken because interval ``i`` is among ``intervals``, or None.

    Every interval passes if and only if no day is broken. It costs no more than the slots of one local day.

    Args:
        intervals: Aware instants, by start; they may touch and never overlap. Emergencies are not among them.
        i: Which of them is asked about.
        in_force: What the cluster must keep.
    """
    rules, (start, end) = in_force.rules, intervals[i]
    today = same_day(intervals, i, in_force.zone)
    held = sessions(today)
    k, mine = next((k, each) for k, each in enumerate(held) if each[0] <= start <= end <= each[1])
    if rules.longest_session is not None and mine[1] - mine[0] > rules.longest_session:
        return Breach(rule=Rule.SESSION_TOO_LONG, limit=rules.longest_session)
    if rules.most_a_day is not None and _sounding(today) > rules.most_a_day:
        return Breach(rule=Rule.DAY_FULL, limit=rules.most_a_day)
    # One that goes on with a session begins none.
    if rules.sessions_a_day is not None and mine[0] == start and len(held) > rules.sessions_a_day:
        return Breach(rule=Rule.TOO_MANY_SESSIONS, limit=rules.sessions_a_day)
    if rules.gap is not None and not _keeps_gap(held[max(k - 1, 0) : k + 2], rules.gap):
        return Breach(rule=Rule.TOO_SOON, limit=rules.gap)
    return None


def broken_days(intervals: Sequence[Interval], in_force: InForce) -> frozenset[date]:
    """Return the local days on which ``intervals`` break a counting rule, at the cost of one look at each interval.

    Args:
        intervals: As for ``exceeds``.
        in_force: What the cluster must keep.
    """
    if intervals and (day := _day(intervals[0], in_force)) == _day(intervals[-1], in_force):
        _, _, alone = bounds(day, in_force.zone)
        if alone:  # all are of one day, as they mostly are
            return frozenset() if _is_kept(intervals, in_force.rules) else frozenset({day})
    days: dict[date, list[Interval]] = {}
    for each in intervals:
        days.setdefault(_day(each, in_force), []).append(each)
    return frozenset(day for day, today in days.items() if not _is_kept(today, in_force.rules))


def _day(interval: Interval, in_force: InForce) -> date:
    return interval[0].astimezone(in_force.zone).date()


def _is_kept(today: Sequence[Interval], rules: LocalRules) -> bool:
    held = sessions(today)
    return (
        (rules.most_a_day is None or _sounding(today) <= rules.most_a_day)
        and (rules.sessions_a_day is None or len(held) <= rules.sessions_a_day)
        and (rules.longest_session is None or all(end - start <= rules.longest_session for start, end in held))
        and (rules.gap is None or _keeps_gap(held, rules.gap))
    )


def _keeps_gap(held: Sequence[Interval], gap: timedelta) -> bool:
    return all(later[0] - earlier[1] >= gap for earlier, later in pairwise(held))


def _sounding(intervals: Iterable[Interval]) -> timedelta:
    return sum((end - start for start, end in intervals), timedelta())
