"""Who goes first, and the one case in which the commune's official is asked.

Circular 39/2020/TT-BTTTT: a priority bulletin from above that clashes with the commune's own priority bulletin
waits for the commune's official to decide the order.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from itertools import islice
from operator import attrgetter

from schedules.levels import Level, Policy, Side
from schedules.programmes import Occurrence
from schedules.verdicts import Decision, Outcome, Question, Reason, Verdict

__all__ = ["Decisions", "Said", "in_order", "open_questions", "rank", "said_on", "that_matter", "undecided"]

_by_start = attrgetter("start", "programme")
_start = attrgetter("start")

Rank = tuple[Level, int, datetime, str, datetime]
Pair = tuple[str, str]
"""``above`` and ``ours``: ids of occurrences, or of programmes."""
Decisions = Mapping[Pair, Decision]
Said = Mapping[Pair, Side]
"""Who goes first on clashes of occurrences, as it was said by some instant."""


def rank(occurrence: Occurrence, policy: Policy) -> Rank:
    """Return the key by which occurrences get the air, lowest first.

    The stronger level; within it the stronger tier; within that the one approved first. Programme and start come
    last, so that the result never depends on the order of the input. Among priority bulletins the station's own
    tier stands before all others if the station says that its own go first where nobody decides.
    """
    place = policy.place(occurrence.tier)
    if occurrence.level is Level.PRIORITY and policy.undecided is Side.OURS and _is_ours(occurrence, policy):
        place = -1
    return occurrence.level, place, occurrence.approved_at, occurrence.programme, occurrence.start


def in_order(occurrences: Sequence[Occurrence], *, policy: Policy, said: Said) -> list[Occurrence]:
    """Return occurrences in the order in which they are served: by ``rank``, but as officials ``said``.

    The loser of a decision waits until the winner is served; everything else keeps its rank. Decisions that go
    round in a circle are followed as far as they can be: then the lowest rank goes on.
    """
    ranks = {each: rank(each, policy) for each in occurrences}
    ordered = sorted(occurrences, key=ranks.__getitem__)
    waits: dict[Occurrence, set[Occurrence]] = {}
    for above, ours in _clashes(ordered, policy) if said else ():
        side = said.get((above.id, ours.id))
        if side is not None:
            first, second = (above, ours) if side is Side.ABOVE else (ours, above)
            waits.setdefault(second, set()).add(first)
    return _served(ordered, waits, ranks) if waits else ordered


def said_on(contest: Sequence[Occurrence], *, policy: Policy, decisions: Decisions) -> dict[Pair, Decision]:
    """Return what officials decided on the clashes of one contest, by the ids of the occurrences.

    The word on one clash goes before the word on all clashes of its two programmes.
    """
    found: dict[Pair, Decision] = {}
    for above, ours in _clashes(contest, policy) if decisions else ():
        said = decisions.get((above.id, ours.id)) or decisions.get((above.programme, ours.programme))
        if said is not None:
            found[above.id, ours.id] = said
    return found


def open_questions(verdicts: Sequence[Verdict], *, policy: Policy, decisions: Decisions) -> list[Question]:
    """Return what the official may be asked about clashes on which nothing is said.

    Nobody is asked where one of the two is not heard anyway (a local rule, a withdrawal), nor where both were
    not approved in time to ask. ``decisions`` are those on the clashes of these occurrences.
    """
    heard = [verdict.occurrence for verdict in verdicts if not _is_out(verdict)]
    questions = []
    for above, ours in _clashes(heard, policy):
        decide_by = min(above.start, ours.start) - policy.decide_before
        if (above.id, ours.id) not in decisions and max(above.approved_at, ours.approved_at) < decide_by:
            questions.append(Question(above=above.id, ours=ours.id, decide_by=decide_by, default=policy.undecided))
    return questions


def that_matter(
    questions: Sequence[Question], verdicts: Sequence[Verdict], answered: Sequence[Verdict]
) -> list[Question]:
    """Return the questions of which a side fares otherwise in ``answered``, where no default went first."""
    otherwise = {
        one.occurrence.id
        for one, other in zip(verdicts, answered, strict=True)
        if (one.start, one.end) != (other.start, other.end)
    }
    return [each for each in questions if each.above in otherwise or each.ours in otherwise]


def undecided(verdicts: Sequence[Verdict], questions: Sequence[Question]) -> tuple[Verdict, ...]:
    """Return the verdicts, those that ``questions`` are about undecided."""
    asked: dict[str, list[Question]] = {}
    for question in questions:
        asked.setdefault(question.above, []).append(question)
        asked.setdefault(question.ours, []).append(question)
    return (
        tuple(_undecided(verdict, asked.get(verdict.occurrence.id, ())) for verdict in verdicts)
        if asked
        else tuple(verdicts)
    )


def _clashes(occurrences: Sequence[Occurrence], policy: Policy) -> Iterator[tuple[Occurrence, Occurrence]]:
    """Yield the pairs (from above, ours) of priority bulletins that want the same air, by start."""
    urgent = [each for each in occurrences if each.level is Level.PRIORITY]
    from_above = [each for each in urgent if policy.is_above(each.tier)]
    our_own = sorted((each for each in urgent if _is_ours(each, policy)), key=_by_start) if from_above else []
    longest = max((each.duration for each in our_own), default=timedelta())
    for above in sorted(from_above, key=_by_start):
        first = bisect_right(our_own, above.start - longest, key=_start)
        for ours in islice(our_own, first, bisect_left(our_own, above.end, key=_start)):
            if above.start < ours.end:
                yield above, ours


def _is_ours(occurrence: Occurrence, policy: Policy) -> bool:
    return occurrence.tier is None or occurrence.tier == policy.own


def _served(
    ordered: Sequence[Occurrence], waits: Mapping[Occurrence, set[Occurrence]], ranks: Mapping[Occurrence, Rank]
) -> list[Occurrence]:
    open_ = {second: len(firsts) for second, firsts in waits.items()}
    followers: dict[Occurrence, list[Occurrence]] = {}
    for second, firsts in waits.items():
        for first in firsts:
            followers.setdefault(first, []).append(second)
    ready = [(ranks[each], each) for each in ordered if each not in open_]
    heapify(ready)
    served: list[Occurrence] = []
    while ready or open_:
        if not ready:  # a circle
            stuck = min(open_, key=ranks.__getitem__)
            del open_[stuck]
            heappush(ready, (ranks[stuck], stuck))
        each = heappop(ready)[1]
        served.append(each)
        for second in followers.get(each, ()):
            if second in open_:
                open_[second] -= 1
                if not open_[second]:
                    del open_[second]
                    heappush(ready, (ranks[second], second))
    return served


def _is_out(verdict: Verdict) -> bool:
    return verdict.start is None and verdict.reason in (Reason.LOCAL_RULE, Reason.WITHDRAWN)


def _undecided(verdict: Verdict, questions: Sequence[Question]) -> Verdict:
    if not questions:
        return verdict
    mine = verdict.occurrence.id
    other = questions[0].ours if questions[0].above == mine else questions[0].above
    return replace(
        verdict,
        outcome=Outcome.UNDECIDED,
        reason=Reason.AWAITS_DECISION,
        by=other,
        questions=tuple(questions),
        otherwise=verdict,
    )
