"""Contests: occurrences that may touch each other and nobody else, each settled once for all whom it concerns."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from operator import attrgetter
from typing import Final
from weakref import WeakValueDictionary

from schedules.arbiter import Arbiter
from schedules.clashes import Decisions, said_on
from schedules.counting import broken_days
from schedules.levels import Level
from schedules.programmes import LEAD, Occurrence
from schedules.rules import InForce
from schedules.timeline import Slot, slot_of
from schedules.verdicts import Verdict

__all__ = ["Contest", "Contests", "Court"]

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_start = attrgetter("start")
_over = attrgetter("over")
_beyond = attrgetter("beyond")
_programme = attrgetter("programme")


class Contest:
    """What became of some occurrences. They touch nothing outside ``[start, over)``."""

    __slots__ = (
        "__weakref__",
        "asked",
        "beyond",
        "counted",
        "known_at",
        "over",
        "slots",
        "spoken",
        "start",
        "verdicts",
    )

    def __init__(
        self,
        asked: tuple[Occurrence, ...],
        verdicts: tuple[Verdict, ...],
        *,
        over: datetime,
        beyond: datetime,
        counted: bool,
        decided_at: datetime | None = None,
    ) -> None:
        self.asked = asked
        """By start and programme, as are ``verdicts``."""
        self.verdicts = verdicts
        self.start = asked[0].start
        self.over = over
        self.beyond = beyond
        """From when on the rules that count look no more at it."""
        self.counted = counted
        """Whether it was settled under the rules that count: it is then all that these look at together."""
        approved_at = max(each.approved_at if each.ends_by is None else _NEVER for each in asked)
        self.known_at = approved_at if decided_at is None else max(approved_at, decided_at)
        """When the last of it was approved, or decided; never if something of it is withdrawn."""
        slots = [slot for slot in map(slot_of, verdicts) if slot is not None]
        self.slots: tuple[Slot, ...] = tuple(sorted(slots, key=_start))
        self.spoken = tuple((slot.start, slot.end) for slot in self.slots if slot.level is not Level.EMERGENCY)


Contests = Sequence[Contest]
"""Those of one cluster, by start; they never overlap."""


class Court:
    """The contests of every cluster that keeps the same rules. Those of the same occurrences are one.

    Where no rule counts, a contest is a chain of occurrences that may want the same air. Where one does, all
    chains of a *round* (a local day, as a rule) are looked at together: if what gets the air keeps the rules
    they stay as they are, else the round is one contest and is settled under those rules.

    Occurrences are told apart by identity: equal ones from two expansions are two. A contest that no plan holds
    any more is forgotten.
    """

    def __init__(self, arbiter: Arbiter, decisions: Decisions) -> None:
        self._arbiter = arbiter
        self._decisions = decisions
        self._rules = arbiter.rules.as_of(None)
        self._counts = arbiter.rules.counts
        self._settled: WeakValueDictionary[tuple[object, ...], Contest] = WeakValueDictionary()

    @property
    def rules(self) -> InForce:
        """What its clusters must keep, by all that is known."""
        return self._rules

    def decide(self, decisions: Decisions) -> None:
        """Take other decisions from now on; contests that they concern have to be exchanged."""
        self._decisions = decisions

    def settled(self, asked: Iterable[Occurrence]) -> tuple[Contest, ...]:
        """Return the contests of a cluster at which ``asked`` want the air, in any order."""
        chains = tuple(self._contest(among, over) for among, over in self._arbiter.contests(_sorted(asked)))
        if not self._counts:
            return chains
        return tuple(chain.from_iterable(self._round(chains[i:j]) for i, j in _rounds(chains)))

    def exchanged(
        self, contests: Contests, *, without: Collection[Occurrence], added: Collection[Occurrence]
    ) -> tuple[Contest, ...]:
        """Return what becomes of a cluster's contests when some occurrences leave and others come.

        Only what they touch is looked at. One that leaves and comes is settled anew.
        """
        gone = set(_touched(contests, [(each.start, self._arbiter.over(each)) for each in added]))
        gone.update(bisect_right(contests, each.start, key=_start) - 1 for each in without)
        leaving = set(map(id, without))
        while True:
            stay = [each for i in gone for each in contests[i].asked if id(each) not in leaving]
            parted = list(self._arbiter.contests(_sorted((*stay, *added))))
            touched = set(_touched(contests, [(among[0].start, over) for among, over in parted])) - gone
            if not touched:
                break
            gone |= touched
        came = [self._contest(among, over) for among, over in parted]
        kept = [contest for i, contest in enumerate(contests) if i not in gone]
        after = sorted((*kept, *came), key=_start)
        if not self._counts:
            return tuple(after)
        changed = [(contest.start, contest.beyond) for contest in (*came, *(contests[i] for i in gone))]
        return self._recounted(after, changed)

    def _recounted(self, contests: Contests, changed: Iterable[tuple[datetime, datetime]]) -> tuple[Contest, ...]:
        """Return the contests, those rounds looked at again that something changed in ``[start, beyond)`` touches."""
        result: list[Contest] = []
        done = 0
        for start, beyond in sorted(changed):
            first = max(bisect_left(contests, start, key=_beyond), done)
            last = bisect_left(contests, beyond, key=_start)
            while first < last:
                i, j = _round_of(contests, first)
                result.extend(contests[done:i])
                result.extend(self._round(contests[i:j]))
                first = done = j
        return (*result, *contests[done:])

    def _round(self, contests: Contests) -> Contests:
        """Return the contests of one round as they are, or as one if together they break a rule that counts.

        Facts that became known within a round may have changed what broke the rules: then it is told as it went.
        """
        if any(contest.counted for contest in contests):
            asked = _sorted(chain.from_iterable(contest.asked for contest in contests))
            contests = [self._contest(among, over) for among, over in self._arbiter.contests(asked)]
        spoken = tuple(chain.from_iterable(contest.spoken for contest in contests))
        if self._is_told(contests) and not broken_days(spoken, self.rules):
            return contests
        everybody = tuple(chain.from_iterable(contest.asked for contest in contests))
        return (self._contest(everybody, contests[-1].over, counted=True),)

    def _is_told(self, contests: Contests) -> bool:
        """Say whether all facts of a round were known before it began."""
        start, over = contests[0].start - LEAD, contests[-1].over
        rules = self._arbiter.rules
        return (
            all(contest.known_at <= start for contest in contests)
            and not any((hold.lifted_at or hold.placed_at) > start and hold.start < over for hold in rules.holds)
            and not any(until > start for until, _ in rules.earlier)
        )

    def _contest(self, asked: tuple[Occurrence, ...], over: datetime, *, counted: bool = False) -> Contest:
        said = said_on(asked, policy=self._arbiter.policy, decisions=self._decisions)
        key = (counted, *map(id, asked), *said.values())
        found = self._settled.get(key)
        if found is None:
            found = self._settled[key] = Contest(
                asked,
                self._arbiter.settle(asked, said, counting=counted),
                over=over,
                beyond=self._arbiter.beyond(over) if self._counts else over,
                counted=counted,
                decided_at=max((each.at for each in said.values()), default=None),
            )
        return found


def _touched(contests: Contests, spans: Iterable[tuple[datetime, datetime]]) -> Iterator[int]:
    for start, over in spans:
        yield from range(bisect_right(contests, start, key=_over), bisect_left(contests, over, key=_start))


def _rounds(contests: Contests) -> Iterator[tuple[int, int]]:
    """Yield where the rounds of a cluster begin and end."""
    first = 0
    for i in range(1, len(contests) + 1):
        if i == len(contests) or contests[i].start >= contests[i - 1].beyond:
            yield first, i
            first = i


def _round_of(contests: Contests, i: int) -> tuple[int, int]:
    """Return where the round begins and ends that contest ``i`` is part of."""
    first, last = i, i + 1
    while first > 0 and contests[first].start < contests[first - 1].beyond:
        first -= 1
    while last < len(contests) and contests[last].start < contests[last - 1].beyond:
        last += 1
    return first, last


def _sorted(asked: Iterable[Occurrence]) -> list[Occurrence]:
    by_programme = sorted(asked, key=_programme)
    by_programme.sort(key=_start)
    return by_programme
