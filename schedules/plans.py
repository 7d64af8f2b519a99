"""What every cluster will say: a pure function of facts, kept equal to them at the cost of what changed."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Final
from weakref import WeakValueDictionary
from zoneinfo import ZoneInfo

from schedules.arbiter import Arbiter
from schedules.clashes import Decisions
from schedules.contests import Contest, Court
from schedules.days import DayType, DayTypes
from schedules.instants import require_aware
from schedules.levels import Policy
from schedules.plan import MARGIN, Effect, Plan, effect_of
from schedules.programmes import Occurrence, Programme, occurrences
from schedules.rules import InForce
from schedules.verdicts import Decision
from schedules.zones import Cluster, Places, Zone

__all__ = ["Facts", "Plans"]

_FAR: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that plans are made of. A sequence that is the same object as before has not changed."""

    programmes: Sequence[Programme] = ()
    """In any state; those that are not approved ask for no air."""
    zones: Sequence[Zone] = ()
    clusters: Sequence[Cluster] = ()
    day_types: Sequence[DayType] = ()
    decisions: Sequence[Decision] = ()


class _Asked:
    """What one revision of a programme asks for, for as long as that revision stands. Told apart by identity."""

    __slots__ = ("occurrences", "programme")

    def __init__(self, programme: Programme, asked: tuple[Occurrence, ...]) -> None:
        self.programme = programme
        self.occurrences = asked


class _Group:
    """The clusters that hear the same under the same rules: they have one plan."""

    __slots__ = ("__weakref__", "asked", "court", "plan")

    def __init__(self, asked: frozenset[_Asked], court: Court, plan: Plan) -> None:
        self.asked = asked
        self.court = court
        self.plan = plan


class Plans:
    """The plan of every cluster for ``[start, end)``, silent ones too.

    What they are depends on the facts of the last ``update`` alone, never on those before it. Each programme is
    expanded once, each contest settled once, and clusters that hear the same share one plan: cost grows with
    what differs, not with the number of clusters. A target, tier or day type that no longer exists reaches
    nothing; it does not stop the others.

    Not for several threads at once.

    Args:
        start: Aware instant.
        end: Aware instant, after ``start``.
        zone: Where the commune's clocks are set.
        policy: The station's tiers and defaults.

    Raises:
        ValueError: An instant is naive or the window empty. A caller's mistake.
    """

    def __init__(self, *, start: datetime, end: datetime, zone: ZoneInfo, policy: Policy) -> None:
        require_aware(start, end)
        if end <= start:
            raise ValueError(f"plans from {start} to {end} have no room")
        self.start = start
        self.end = end
        self._zone = zone
        self._policy = policy
        self._facts = Facts()
        self._places = Places((), ())
        self._days = DayTypes(())
        self._decisions: Decisions = {}
        self._courts: dict[InForce, Court] = {}
        self._in_zone: dict[str, Court] = {}
        self._asked: dict[str, _Asked] = {}
        self._reached: dict[str, frozenset[str]] = {}
        self._groups: WeakValueDictionary[tuple[frozenset[_Asked], Court], _Group] = WeakValueDictionary()
        self._group_of: dict[str, _Group] = {}

    def __len__(self) -> int:
        return len(self._group_of)

    def __iter__(self) -> Iterator[str]:
        return iter(self._group_of)

    def __contains__(self, cluster: str) -> bool:
        return cluster in self._group_of

    def __getitem__(self, cluster: str) -> Plan:
        return self._group_of[cluster].plan

    def update(self, facts: Facts) -> frozenset[str]:
        """Make the plans those of ``facts``; return the clusters that are new, changed, or to say something else.

        Raises, and the plans are of no more use then:
            ZoneError: ``unknown_parent`` or ``zone_cycle``; bad definitions.
            RecurrenceError: A recurrence was stored without ``recurrence_check.check``.
        """
        before, self._facts = self._facts, facts
        changed: set[str] = set()
        if facts.decisions is not before.decisions:
            changed |= self._decide(facts.decisions)
        laid_out = (facts.zones, facts.clusters, facts.day_types)
        if any(a is not b for a, b in zip(laid_out, (before.zones, before.clusters, before.day_types), strict=True)):
            changed |= self._lay_out(facts, same_days=facts.day_types == before.day_types)
        elif facts.programmes is not before.programmes:
            for programme in facts.programmes:
                present = self._asked.get(programme.id)
                if present is None or present.programme is not programme:
                    changed |= self._revise(programme.id, programme)
            for id in self._asked.keys() - {programme.id for programme in facts.programmes}:
                changed |= self._revise(id, None)
        return frozenset(changed)

    def preview(self, programme: Programme) -> tuple[Effect, ...]:
        """Return what ``programme`` would do if it were among the facts, in place of its revision that is.

        Clusters on which it changes nothing and asks for nothing are in no effect.

        Args:
            programme: Approved, as if; one that is not asks for no air.
        """
        old, was = self._asked.get(programme.id), self._reached.get(programme.id, frozenset())
        new, hears = self._expand(programme), self._places.reached(programme.targets)
        seen: dict[tuple[_Group, bool], tuple[int, ...]] = {}
        changes: dict[tuple[int, ...], tuple[list[Contest], list[Contest], list[str]]] = {}
        for cluster in sorted(was | hears):
            group = self._group_of[cluster]
            kind = (group, cluster in hears)
            if kind not in seen:
                gone, came = self._exchange(
                    group,
                    without=self._near(old) if old is not None and old in group.asked else (),
                    added=self._near(new) if cluster in hears else (),
                )
                seen[kind] = (*map(id, gone), *map(id, came))
                changes.setdefault(seen[kind], (gone, came, []))
            changes[seen[kind]][2].append(cluster)
        return tuple(
            effect_of(programme.id, clusters, gone=gone, came=came, start=self.start, end=self.end)
            for gone, came, clusters in changes.values()
            if gone or came
        )

    @staticmethod
    def _exchange(
        group: _Group, *, without: Collection[Occurrence], added: Collection[Occurrence]
    ) -> tuple[list[Contest], list[Contest]]:
        """Return which contests of a group would go, and which would come."""
        before = group.plan.contests
        after = group.court.exchanged(before, without=without, added=added)
        had, has = set(map(id, before)), set(map(id, after))
        return [each for each in before if id(each) not in has], [each for each in after if id(each) not in had]

    def _near(self, asked: _Asked) -> tuple[Occurrence, ...]:
        """Return the occurrences that may change the window: what is further off has to be in one chain with it."""
        first, last = self.start - _FAR, self.end + _FAR
        return tuple(each for each in asked.occurrences if each.end > first and each.start < last)

    def _expand(self, programme: Programme) -> _Asked:
        asked = occurrences(programme, self.start - MARGIN, self.end + MARGIN, self._zone, self._days)
        return _Asked(programme, tuple(asked))

    def _revise(self, id: str, programme: Programme | None) -> set[str]:
        """Take another revision of one programme, or none; return the clusters that it concerns."""
        old, was = self._asked.pop(id, None), self._reached.pop(id, frozenset[str]())
        new, hears = None, frozenset[str]()
        if programme is not None:
            new = self._asked[id] = self._expand(programme)
            if new.occurrences:
                hears = self._reached[id] = self._places.reached(programme.targets)
        moved: dict[tuple[_Group, bool], _Group] = {}
        for cluster in was | hears:
            group = self._group_of[cluster]
            kind = (group, cluster in hears)
            if kind not in moved:
                moved[kind] = self._exchanged(group, old if old in group.asked else None, new if kind[1] else None)
            self._group_of[cluster] = moved[kind]
        return set(was | hears)

    def _exchanged(self, group: _Group, old: _Asked | None, new: _Asked | None) -> _Group:
        asked = group.asked - {old} | ({new} if new is not None else set())
        key = (asked, group.court)
        found = self._groups.get(key)
        if found is None:
            contests = group.court.exchanged(
                group.plan.contests,
                without=old.occurrences if old else (),
                added=new.occurrences if new else (),
            )
            found = self._groups[key] = _Group(asked, group.court, self._plan(contests, group.court))
        return found

    def _decide(self, decisions: Sequence[Decision]) -> set[str]:
        """Take other decisions; return the clusters on which the two sides of a changed one meet."""
        before, self._decisions = self._decisions, {(each.above, each.ours): each for each in decisions}
        for court in self._courts.values():
            court.decide(self._decisions)
        changed: set[str] = set()
        for each in set(before.values()) ^ set(self._decisions.values()):
            above, ours = (name.partition("@")[0] for name in (each.above, each.ours))
            meet = self._reached.get(above, frozenset()) & self._reached.get(ours, frozenset())
            again = self._asked[above].occurrences if meet else ()
            for group in {self._group_of[cluster] for cluster in meet}:
                contests = group.court.exchanged(group.plan.contests, without=again, added=again)
                group.plan = self._plan(contests, group.court)
            changed |= meet
        return changed

    def _lay_out(self, facts: Facts, *, same_days: bool) -> set[str]:
        """Take other zones, clusters or day types: every cluster finds its group again. Contests stay settled."""
        places, self._places, self._days = self._places, Places(facts.zones, facts.clusters), DayTypes(facts.day_types)
        self._in_zone = {zone.id: self._court(self._places.in_force(zone.id, self._zone)) for zone in facts.zones}
        nowhere = self._court(InForce(zone=self._zone))
        hears: dict[str, list[_Asked]] = {cluster: [] for cluster in self._places.clusters}
        before, self._asked, self._reached = self._asked, {}, {}
        for programme in facts.programmes:
            asked = before.get(programme.id)
            if asked is None or asked.programme is not programme or not same_days:
                asked = self._expand(programme)
            self._asked[programme.id] = asked
            if asked.occurrences:
                self._reached[programme.id] = self._places.reached(programme.targets)
                for cluster in self._reached[programme.id]:
                    hears[cluster].append(asked)
        old, known = self._group_of, places.clusters
        self._group_of = {
            cluster.id: self._group(frozenset(hears[cluster.id]), self._in_zone.get(cluster.zone, nowhere))
            for cluster in self._places.clusters.values()
        }
        in_use = {id(group.court) for group in self._group_of.values()}
        self._courts = {rules: court for rules, court in self._courts.items() if id(court) in in_use}
        return {
            id
            for id, group in self._group_of.items()
            if known.get(id) != self._places.clusters[id] or old[id].plan is not group.plan
        }

    def _court(self, rules: InForce) -> Court:
        near = tuple(hold for hold in rules.holds if hold.start < self.end + MARGIN and hold.end > self.start - MARGIN)
        earlier = tuple((until, before) for until, before in rules.earlier if until > self.start - MARGIN)
        rules = replace(rules, holds=near, earlier=earlier)
        if rules not in self._courts:
            self._courts[rules] = Court(Arbiter(policy=self._policy, rules=rules), self._decisions)
        return self._courts[rules]

    def _group(self, asked: frozenset[_Asked], court: Court) -> _Group:
        found = self._groups.get((asked, court))
        if found is None:
            contests = court.settled(chain.from_iterable(each.occurrences for each in asked))
            found = self._groups[asked, court] = _Group(asked, court, self._plan(contests, court))
        return found

    def _plan(self, contests: tuple[Contest, ...], court: Court) -> Plan:
        return Plan(contests, court.rules, self.start, self.end)
