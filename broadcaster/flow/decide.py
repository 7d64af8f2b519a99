"""Who goes first where a priority bulletin from above clashes with one of our own: the official's word.

Circular 39/2020/TT-BTTTT leaves the order to the commune's official.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from broadcaster.errors import Refusal
from broadcaster.flow.days import known_days
from broadcaster.flow.plan import alike
from broadcaster.store.port import Definitions
from broadcaster.store.records import Official
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup
from schedules.days import DayTypes
from schedules.levels import Level, Policy, Side
from schedules.plan import Plan
from schedules.programmes import LEAD, Occurrence, Programme, occurrences
from schedules.verdicts import Decision, Question, Verdict

ASKED: Final = "decision.asked"
_NAMED: Final = re.compile(r"(?P<programme>[^@+\s]{1,64})(?:@(?P<start>\d{8}T\d{6}Z))?")
_KEPT: Final = timedelta(days=62)
"""How long a decision on two occurrences is kept: twice what a report looks back."""
_YEARS: Final = range(1970, 3000)
"""Of occurrences; at the ends of the calendar nothing can be computed."""


class DecisionRefusal(Refusal):
    """A decision that cannot be. Fields: ``above``, ``ours``; of ``decided_too_late`` also ``began``."""

    codes = frozenset({"bad_decision", "decided_too_late"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Which of the two goes first. Both are ids of occurrences, or both of programmes: then for every clash."""

    above: str
    ours: str
    first: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """A question that is open, and where."""

    question: Question
    ours: Verdict
    """What becomes of our own of the two on one of the clusters, if nobody answers."""
    clusters: tuple[str, ...]


def open_clashes(plans: Mapping[str, Plan], now: datetime) -> list[Clash]:
    """Return the questions that can still be answered, the most pressing first, each with the clusters it is about."""
    asked: dict[Question, Verdict] = {}
    where: dict[Question, list[str]] = {}
    for plan, clusters in alike(plans):
        mine = {question: verdict for verdict in plan.verdicts for question in _open(verdict, now)}
        for question, verdict in mine.items():
            asked.setdefault(question, verdict)
            where.setdefault(question, []).extend(clusters)
    ordered = sorted(asked, key=lambda question: (question.decide_by, question.above, question.ours))
    return [Clash(question=each, ours=asked[each], clusters=tuple(sorted(where[each]))) for each in ordered]


def _open(verdict: Verdict, now: datetime) -> list[Question]:
    """Return the questions about an occurrence of our own that can still be answered."""
    if not verdict.questions:
        return []
    mine = verdict.occurrence.id
    return [each for each in verdict.questions if each.ours == mine and now < each.decide_by]


def ask(clashes: Iterable[Clash], *, store: Store, now: datetime) -> None:
    """Put each open clash on record once: whoever follows the events learns that the commune is asked."""
    for clash in clashes:
        question = clash.question
        name = f"{question.above}+{question.ours}"
        if not store.journal.facts(kind=ASKED, subject=name, limit=1):
            store.record(
                ASKED,
                name,
                by=None,
                at=now,
                above=question.above,
                ours=question.ours,
                decide_by=question.decide_by.isoformat(),
                default=question.default.value,
                clusters=len(clash.clusters),
            )


def decide(answer: Answer, *, policy: Policy, zone: ZoneInfo, by: Official, store: Store, now: datetime) -> Decision:
    """Store an official's answer, in place of the one given before.

    Args:
        answer: What was said.
        policy: Which tiers are above.
        zone: Where the station's clocks are set.
        by: Who said it.
        store: Where it is kept.
        now: From ``LEAD`` before the first of two occurrences on it is too late: no box could be told in time.

    Raises:
        DecisionRefusal: ``bad_decision``: no ids of two occurrences that clash or of two programmes, or not a priority
            programme from above and one of our own; ``decided_too_late``.
        NotFound: there is no such programme.
    """
    starts = _checked(answer, policy, zone, store.definitions)
    if starts and min(starts) - LEAD <= now:
        raise DecisionRefusal(
            "decided_too_late",
            f"The first of the two begins at {min(starts).isoformat()}, and up to {LEAD.seconds} seconds before it all "
            "boxes have to be told; withdraw its programme to silence it.",
            above=answer.above,
            ours=answer.ours,
            began=min(starts).isoformat(),
        )
    decision = Decision(above=answer.above, ours=answer.ours, first=answer.first, by=by.id, at=now)
    decisions = store.definitions.decisions
    with store.transaction():
        if decisions.find(decision.id) is None:
            stored = decisions.add(decision)
        else:
            stored = decisions.change(decision.id, lambda old: _said_again(old, decision))
        for old in decisions.all():
            times = [start for start in map(start_of, (old.above, old.ours)) if start is not None]
            if times and max(times) < now - _KEPT:
                decisions.remove(old.id)
        store.record(
            "decision.made",
            decision.id,
            by=by.id,
            at=now,
            above=decision.above,
            ours=decision.ours,
            first=decision.first.value,
            wake=(Wakeup.PLAN,),
        )
    return stored


def _said_again(old: Decision, new: Decision) -> Decision:
    """Return the new decision, with what was said before as far back as a report looks."""
    earlier = (*old.earlier, (old.at, old.first))
    recent = [i for i, (at, _) in enumerate(earlier) if at >= new.at - _KEPT]
    return replace(new, revision=old.revision, earlier=earlier[max(min(recent, default=len(earlier)) - 1, 0) :])


def start_of(name: str) -> datetime | None:
    """Return the start in the id of an occurrence; None where it is the id of a programme, or neither."""
    found = _NAMED.fullmatch(name)
    if found is None or found["start"] is None:
        return None
    try:
        start = datetime.strptime(found["start"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return start if start.year in _YEARS else None


def _checked(answer: Answer, policy: Policy, zone: ZoneInfo, definitions: Definitions) -> tuple[datetime, ...]:
    """Return the starts of the two occurrences, nothing for two programmes."""
    above, ours = (_programme(name, answer, definitions) for name in (answer.above, answer.ours))
    starts = tuple(start for start in map(start_of, (answer.above, answer.ours)) if start is not None)
    if len(starts) == 1 or len(starts) != "".join((answer.above, answer.ours)).count("@"):
        raise _bad(answer, "give the ids of two occurrences (programme@start), or of two programmes")
    if not policy.is_above(above.tier) or ours.tier not in (None, policy.own):
        raise _bad(answer, "the first has to be of a tier above, the second of our own")
    if not above.level is ours.level is Level.PRIORITY:
        raise _bad(answer, "only two of priority are decided between; of others the level and the tier decide")
    if starts:
        days = known_days(definitions)
        one, other = (_occurrence(each, t, zone, days, answer) for each, t in zip((above, ours), starts, strict=True))
        if not (one.start < other.end and other.start < one.end):
            raise _bad(answer, "the two are not heard at the same time, so that each has its own air")
    return starts


def _occurrence(programme: Programme, start: datetime, zone: ZoneInfo, days: DayTypes, answer: Answer) -> Occurrence:
    for found in occurrences(programme, start, start + timedelta(seconds=1), zone, days):
        if found.start == start:
            return found
    raise _bad(answer, f"programme {programme.id} has no occurrence that begins at {start.isoformat()}")


def _programme(name: str, answer: Answer, definitions: Definitions) -> Programme:
    found = _NAMED.fullmatch(name)
    if found is None:
        raise _bad(answer, f"{name!r} is the id of no occurrence (programme@start) and of no programme")
    return definitions.programmes.get(found["programme"])


def _bad(answer: Answer, why: str) -> DecisionRefusal:
    return DecisionRefusal(
        "bad_decision", f"This cannot be decided: {why}. Correct it.", above=answer.above, ours=answer.ours
    )
