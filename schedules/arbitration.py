"""Who gets the air of one cluster, and what becomes of everybody else."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from schedules.arbiter import Arbiter
from schedules.contests import Court
from schedules.levels import Policy
from schedules.programmes import Occurrence
from schedules.rules import InForce
from schedules.verdicts import Decision, Verdict

__all__ = ["arbitrate"]

_RULELESS: Final = InForce(zone=ZoneInfo("UTC"))


def arbitrate(
    occurrences: Iterable[Occurrence],
    *,
    policy: Policy,
    rules: InForce = _RULELESS,
    decisions: Iterable[Decision] = (),
) -> tuple[Verdict, ...]:
    """Give the air of one cluster to those that ask for it, and return one verdict each, by start and programme.

    They are served in the order of ``clashes.in_order``: the stronger level, the stronger tier, the one approved
    first; so none yields to one of a lower level. An occurrence gets its time if the air is free and no local
    rule stops it. If the air is taken, its programme says what is done: it is moved to the first free air that
    is long enough, trimmed to what is left of its own time, or dropped. A rule never moves anything: what it
    stops is dropped, and an official chooses another time. Emergencies pass every rule.

    The rules that count minutes, sessions and pauses look at what has got the air: if all of it together keeps
    them, all of it is heard. Else they are asked one by one, the strongest first, and each is heard that leaves the
    rules kept.

    **The past stays.** Facts (approvals, withdrawals, decisions, holds) count from when they became known, one
    after the other. What had begun by then is not un-said: it is cut where stronger air, a withdrawal or a hold
    begins, and never moved. What had not begun, but whose own time is less than ``LEAD`` away or over, keeps the
    place that it had: no box could be told in time.

    The result depends on nothing else: not on the order of the input, nor on when it is computed.

    Args:
        occurrences: Each once, each longer than zero; in any order.
        policy: The station's tiers and defaults.
        rules: What the cluster must keep.
        decisions: What officials said on clashes; those on others are passed over.

    Raises:
        ValueError: One comes twice or a duration is too short. A caller's mistake.
    """
    asked = sorted(occurrences, key=lambda each: (each.start, each.programme))
    if any(each.duration <= timedelta() for each in asked):
        raise ValueError("an occurrence lasts longer than zero")
    if len({(each.programme, each.start) for each in asked}) != len(asked):
        raise ValueError("an occurrence came twice")
    said = {(each.above, each.ours): each for each in decisions}
    court = Court(Arbiter(policy=policy, rules=rules), said)
    return tuple(verdict for contest in court.settled(asked) for verdict in contest.verdicts)
