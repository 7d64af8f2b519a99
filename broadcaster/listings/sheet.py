"""A plan, and what would change in it, as lines for a terminal of 80 columns."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from textwrap import wrap
from typing import Final
from unicodedata import normalize

from broadcaster.listings.words import Tongue
from schedules.plan import Plan
from schedules.sentences.explaining import explain
from schedules.timeline import Slot, difference
from schedules.verdicts import Outcome, Reason, Verdict

WIDTH: Final = 80
"""Columns."""
_SENTENCES: Final = 3
"""How many times one programme is told to end alike for the same reason; the rest is counted. A jingle every five
minutes that meets quiet hours would fill screens."""
_HEADINGS: Final = ("undecided", "stopped", "otherwise", "passes")


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of a list: what sounds, or would no more, or would else."""

    at: datetime
    mark: str
    clock: str
    length: str
    level: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is written on: in one language, for one place, as things stand at one time."""

    tongue: Tongue
    titles: Mapping[str, str]
    """Of programmes, by id."""
    now: datetime

    def plan(self, plan: Plan) -> tuple[str, ...]:
        """Return what sounds, and what became of all that is not heard as it was meant to be."""
        return (*self._sounding(plan), *self._told(plan.verdicts))

    def trial(self, before: Plan, after: Plan, programme: str) -> tuple[str, ...]:
        """Return what would sound with ``programme`` (its id), then what would change, each reason told once."""
        was = {verdict.occurrence: verdict for verdict in before.verdicts}
        other = [verdict for verdict in after.verdicts if was.get(verdict.occurrence) != verdict]
        same = [verdict for verdict in after.verdicts if was.get(verdict.occurrence) == verdict]
        told = [verdict for verdict in other if verdict.occurrence.programme != programme or self._notable(verdict)]
        return (
            *self._sounding(after),
            *self._told(same),
            f"  {self.tongue.say('difference')}",
            *(self._changes(before, after) or ([] if told else [f"    {self.tongue.say('no difference')}"])),
            *self._sentences(told),
        )

    def _sounding(self, plan: Plan) -> list[str]:
        rows = [self._row(" ", slot) for slot in plan.timeline.slots]
        return self._listed(rows) or [f"    {self.tongue.say('nothing')}"]

    def _changes(self, before: Plan, after: Plan) -> list[str]:
        changes = difference(before.timeline, after.timeline)
        rows = [self._row("+", slot) for slot in changes.added]
        rows += [self._row("-", slot) for slot in changes.removed]
        rows += [self._from_to(old, new) for old, new in changes.changed]
        return self._listed(sorted(rows, key=lambda row: row.at))

    def _row(self, mark: str, slot: Slot) -> _Row:
        tongue = self.tongue
        length = tongue.length(slot.end - slot.start)
        return _Row(slot.start, mark, tongue.clock(slot.start), length, tongue.level(slot.level), slot.title)

    def _from_to(self, old: Slot, new: Slot) -> _Row:
        was, will = self._row("~", old), self._row("~", new)
        same_day = self.tongue.day(old.start) == self.tongue.day(new.start)
        clock = _from_to(was.clock if same_day else self.tongue.moment(old.start), will.clock)
        return _Row(new.start, "~", clock, _from_to(was.length, will.length), will.level, will.title)

    def _listed(self, rows: Sequence[_Row]) -> list[str]:
        """Return the rows under their days, in columns."""
        clock, length, level = (
            max((len(getattr(row, column)) for row in rows), default=0) for column in ("clock", "length", "level")
        )
        lines = []
        for day, of_day in groupby(rows, key=lambda row: self.tongue.day(row.at)):
            lines.append(f"  {day}")
            for row in of_day:
                columns = f"  {row.mark} {row.clock:<{clock}}  {row.length:<{length}}  {row.level:<{level}}  "
                lines += paragraph(row.title, first=columns)
        return lines

    def _told(self, verdicts: Iterable[Verdict]) -> Iterator[str]:
        """Yield what is notable, under headings."""
        by_heading: defaultdict[str, list[Verdict]] = defaultdict(list)
        for verdict in filter(self._notable, verdicts):
            by_heading[_heading(verdict.as_of(self.now))].append(verdict)
        for heading in filter(by_heading.__contains__, _HEADINGS):
            yield f"  {self.tongue.say(heading)}"
            yield from self._sentences(by_heading[heading])

    def _sentences(self, verdicts: Iterable[Verdict]) -> Iterator[str]:
        """Yield a sentence for each, and for many that are alike their number."""
        alike: defaultdict[tuple[str, Outcome, str], list[Verdict]] = defaultdict(list)
        for verdict in (each.as_of(self.now) for each in verdicts):
            alike[verdict.occurrence.programme, verdict.outcome, verdict.code].append(verdict)
        for (_, outcome, _), group in alike.items():
            most = len(group) if outcome is Outcome.UNDECIDED or len(group) == _SENTENCES + 1 else _SENTENCES
            for verdict in group[:most]:
                why = explain(verdict, self.tongue.language, self.tongue.zone, self.titles)
                yield from _sentence(f"“{verdict.occurrence.title}”: {why}")
            if rest := group[most:]:
                last = rest[-1].occurrence
                facts = {"title": last.title, "count": len(rest), "last": self.tongue.moment(last.start)}
                yield from _sentence(self.tongue.say("more", **facts))

    def _notable(self, verdict: Verdict) -> bool:
        return verdict.as_of(self.now).outcome is not Outcome.KEPT or bool(verdict.passes)


def paragraph(text: str, *, first: str = "", rest: str | None = None) -> list[str]:
    """Return a text in lines of at most ``WIDTH`` columns, without anything that steers a terminal.

    Args:
        text: As people wrote it.
        first: What stands before its first line.
        rest: What stands before the others; absent: blanks, as many as ``first`` has characters.
    """
    visible = "".join(each if each.isprintable() else " " for each in normalize("NFC", text))
    indent = " " * len(first) if rest is None else rest
    lines = wrap(visible, WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)
    return lines or [first.rstrip()]


def _sentence(text: str) -> list[str]:
    return paragraph(text, first="    ", rest="      ")


def _from_to(was: str, will: str) -> str:
    return was if was == will else f"{was} → {will}"


def _heading(verdict: Verdict) -> str:
    if verdict.outcome is Outcome.UNDECIDED:
        return "undecided"
    if verdict.outcome is Outcome.KEPT:
        return "passes"
    return "stopped" if verdict.reason is Reason.LOCAL_RULE else "otherwise"
