"""The arbiter of one cluster: what it is asked is parted into contests, each of which is settled by itself."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from typing import Final

from schedules.air import Air
from schedules.clashes import Decisions, in_order, open_questions, that_matter, undecided
from schedules.counting import broken_days, exceeds
from schedules.levels import Level, Policy
from schedules.programmes import LEAD, Occurrence, Yielding
from schedules.rules import InForce
from schedules.sessions import Interval
from schedules.turn import Turn, unheard
from schedules.verdicts import Decision, Reason, Verdict
from schedules.wallclock import bounds

__all__ = ["Arbiter"]

_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arbiter:
    """The arbiter of every cluster that keeps the same rules."""

    policy: Policy
    rules: InForce

    def contests(self, asked: Iterable[Occurrence]) -> Iterator[tuple[tuple[Occurrence, ...], datetime]]:
        """Part occurrences into contests that cannot want the same air, each with the instant at which it is over.

        Args:
            asked: By start and programme.
        """
        contest: list[Occurrence] = []
        over = datetime.min.replace(tzinfo=UTC)
        for each in asked:
            if contest and each.start >= over:
                yield tuple(contest), over
                contest = []
            over = max(over, self.over(each))
            contest.append(each)
        if contest:
            yield tuple(contest), over

    def beyond(self, over: datetime) -> datetime:
        """Return from when on the rules that count look no more at what is over at ``over``: a local midnight."""
        zone = self.rules.zone
        return bounds((over - _INSTANT).astimezone(zone).date(), zone)[1]

    def settle(self, contest: Sequence[Occurrence], decisions: Decisions, *, counting: bool) -> tuple[Verdict, ...]:
        """Return the verdicts on one contest, by start and programme; ``contest`` is in that order.

        Args:
            contest: Occurrences that may want the same air; if ``counting``, all that the counting rules look at.
            decisions: Those on its clashes, by ``above`` and ``ours``.
            counting: Whether the rules that count are to be kept.
        """
        verdicts = self._verdicts(contest, decisions, counting=counting)
        questions = open_questions(verdicts, policy=self.policy, decisions=decisions)
        if not questions:
            return verdicts
        early = contest[0].start - LEAD
        contrary = {
            (each.above, each.ours): Decision(
                above=each.above, ours=each.ours, first=each.default.other, by="", at=early
            )
            for each in questions
        }
        answered = self._verdicts(contest, {**decisions, **contrary}, counting=counting)
        return undecided(verdicts, that_matter(questions, verdicts, answered))

    def _verdicts(self, contest: Sequence[Occurrence], decisions: Decisions, *, counting: bool) -> tuple[Verdict, ...]:
        settled: dict[Occurrence, Verdict] = {}
        for known_at in self._moments(contest, decisions):
            settled = self._settled_at(known_at, contest, decisions, settled, counting=counting)
        return tuple(settled[each] for each in contest)

    def over(self, occurrence: Occurrence) -> datetime:
        """Return the first instant at which it cannot sound, however far it may be moved."""
        latest = occurrence.start + occurrence.duration
        if occurrence.if_taken.action is not Yielding.MOVE:
            return latest
        most = occurrence.if_taken.most_move
        return latest + (self.policy.most_move if most is None else most)

    def _moments(self, contest: Sequence[Occurrence], decisions: Decisions) -> list[datetime]:
        """Return the instants at which the air is given away again: whenever a fact becomes known that may matter.

        What was known ``LEAD`` before the contest counts at the first: nothing was settled for good by then.
        """
        first, last = contest[0].start - LEAD, max(self.over(each) for each in contest)
        facts = {each.approved_at for each in contest}
        facts.update(each.ends_by for each in contest if each.ends_by is not None)
        for hold in self.rules.holds:
            if hold.start < last and hold.end > first:
                facts.update((hold.placed_at, hold.lifted_at or hold.placed_at))
        facts.update(until for until, _ in self.rules.earlier)
        facts.update(at for decision in decisions.values() for at in decision.times)
        return [first, *sorted(fact for fact in facts if first < fact < last)]

    def _settled_at(
        self,
        known_at: datetime,
        contest: Sequence[Occurrence],
        decisions: Decisions,
        before: Mapping[Occurrence, Verdict],
        *,
        counting: bool,
    ) -> dict[Occurrence, Verdict]:
        known = [each for each in contest if each.approved_at <= known_at]
        words = {pair: decision.as_of(known_at) for pair, decision in decisions.items()}
        said = {pair: side for pair, side in words.items() if side is not None}
        order = in_order(known, policy=self.policy, said=said)
        rules = self.rules.as_of(known_at)
        days: frozenset[date] = frozenset()
        while True:
            air = Air(rules, counting=days)
            turn = Turn(policy=self.policy, rules=rules, said=said, known_at=known_at, before=before, air=air)
            settled = {each: turn.place(each) for each in order}
            broken = broken_days(air.spoken, rules) if counting else days
            if broken <= days:
                break
            days |= broken
        return _as_the_box_has_it(settled, rules, known_at) if broken else settled


def _as_the_box_has_it(
    settled: Mapping[Occurrence, Verdict], rules: InForce, known_at: datetime
) -> dict[Occurrence, Verdict]:
    """Drop what a box would refuse of a day that is not kept although everybody was asked.

    What was cut while it sounded may leave those that had been placed after it with too short a pause before them.
    """
    kept, passed = dict(settled), list[Interval]()
    heard = [(each.start, each.end, each.occurrence) for each in settled.values() if each.start and each.end]
    for start, end, occurrence in sorted(heard, key=itemgetter(0)):
        if occurrence.level is Level.EMERGENCY:
            continue
        passed.append((start, end))
        breach = exceeds(passed, len(passed) - 1, rules)
        if breach is not None and start >= known_at:
            passed.pop()
            kept[occurrence] = unheard(occurrence, Reason.LOCAL_RULE, breach=breach)
    return kept
