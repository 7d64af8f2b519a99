"""The answer of ``loa timeline``: from the definitions of a data directory, whether a server runs on it or not.

It reads and computes; nothing is stored, and the journal stays shut.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from audio.errors import SoundError
from broadcaster.api.problems import PROBLEMS, sentence
from broadcaster.api.programmes import NewProgramme
from broadcaster.config import Settings
from broadcaster.flow.plan import Board, Window, alike, reached
from broadcaster.listings.asking import CannotShow, Question
from broadcaster.listings.sheet import Sheet, paragraph
from broadcaster.listings.trial import trial
from broadcaster.listings.words import Tongue
from broadcaster.store.port import Definitions, NotFound
from broadcaster.store.tiny import TinyDefinitions
from schedules.errors import DomainError
from schedules.zones import Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What to print."""

    lines: tuple[str, ...]
    all_stopped: bool = False
    """Whether a programme was tried that asks for air on these clusters and would get none."""


def listing(question: Question, settings: Settings, *, stdin: BinaryIO | None, now: datetime) -> Listing:
    """Return the answer to ``question`` at ``now``.

    Raises:
        CannotShow: something that is asked for cannot be, or the data directory is empty.
        StoreError: the data directory cannot be read.
    """
    directory = settings.data.dir.absolute()
    _refuse_empty(directory, question)
    asked = None if question.source is None else question.programme(stdin)
    try:
        with closing(TinyDefinitions(directory)) as definitions:
            return _answer(question, asked, settings, definitions, now)
    except (DomainError, SoundError, NotFound) as error:
        told = sentence(error.code, error.fields, question.language, str(error)) if error.code in PROBLEMS else error
        raise CannotShow(" ".join(str(told).split())) from error


def _refuse_empty(directory: Path, question: Question) -> None:
    """Do nothing if there are definitions, be they damaged; opening a store where there are none would make it."""
    try:
        there = any((directory / name).exists() for name in ("definitions.json", "definitions.json.1"))
    except OSError as error:
        raise question.refusal("shut", path=directory, reason=error.strerror or error) from error
    if not there:
        raise question.refusal("no_data", path=directory)


def _answer(
    question: Question, asked: NewProgramme | None, settings: Settings, definitions: Definitions, now: datetime
) -> Listing:
    window = question.window(settings.station.zone, now)
    tongue = Tongue(question.language, settings.station.zone)
    targets = Targets(zones=question.zones, clusters=question.clusters)
    only = reached(targets, definitions) if question.zones or question.clusters else None
    before = Board(definitions, settings).within(window, now, only=only)
    titles = {each.id: each.title for each in definitions.programmes.all()}
    if asked is None:
        sheet = Sheet(tongue=tongue, titles=titles, now=now)
        shown = {plan: sheet.plan(plan) for plan, _ in alike(before)}
        lines = _grouped({cluster: shown[plan] for cluster, plan in before.items()}, tongue)
        return Listing(lines=(*_title(window, tongue), *lines))
    tried = trial(asked, settings, definitions, now)
    after = tried.board.within(window, now, only=only)
    sheet = Sheet(tongue=tongue, titles=titles | {tried.programme.id: tried.programme.title}, now=now)
    pairs = {each: (before[each], after[each]) for each in before if each in after}  # a server may write in between
    changes = {pair: sheet.trial(*pair, tried.programme.id) for pair in set(pairs.values())}
    lines = _grouped({cluster: changes[pair] for cluster, pair in pairs.items()}, tongue)
    heard = tried.heard(window, only)
    return Listing(
        lines=(*tried.introduced(tongue), "", *_title(window, tongue), *lines, "", *heard.told(tongue)),
        all_stopped=heard.all_stopped,
    )


def _title(window: Window, tongue: Tongue) -> list[str]:
    start, end = tongue.moment(window.start), tongue.moment(window.end)
    return paragraph(tongue.say("title", start=start, end=end))


def _grouped(shown: Mapping[str, tuple[str, ...]], tongue: Tongue) -> Iterator[str]:
    """Yield what each cluster says; those that say the same are told together, once."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for cluster, lines in shown.items():
        groups.setdefault(lines, []).append(cluster)
    if not groups:
        yield from ("", *paragraph(tongue.say("no clusters")))
    for lines, clusters in groups.items():
        heading = tongue.say("cluster" if len(clusters) == 1 else "clusters", names=", ".join(clusters))
        yield from ("", *paragraph(heading, rest="  "), *lines)
