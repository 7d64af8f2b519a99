"""Cases worked by hand, in the words of an official, each run through the whole core.

They are in ``cases/*.md``; ``cases/notation.md`` says how they are written.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from pathlib import Path
from unicodedata import combining, normalize

import pytest

from schedules.plans import Facts, Plans
from schedules.rules import Rule
from schedules.sentences.explaining import explain
from schedules.timeline import build
from schedules.verdicts import Outcome, Reason, Verdict
from tests.schedules.examples import DAY
from tests.schedules.notation import Station, UnknownWord, station_of

OUTCOMES = {
    Outcome.KEPT: "đúng giờ",
    Outcome.MOVED: "dời",
    Outcome.TRIMMED: "cắt còn",
    Outcome.DROPPED: "không phát",
}
REASONS = {
    Reason.AIR_TAKEN: "nhường {by}",
    Reason.NO_ROOM: "hết chỗ vì {by}",
    Reason.WITHDRAWN: "đã rút",
    Reason.LOCAL_RULE: "quy định",
    Reason.AWAITS_DECISION: "tranh với {by}",
    Reason.DECIDED: "cán bộ cho {by} trước",
}
RULES = {
    Rule.QUIET_HOURS: "giờ yên lặng",
    Rule.WEEKDAY: "ngày trong tuần",
    Rule.HOLD: "tạm ngừng",
    Rule.SESSION_TOO_LONG: "phiên quá dài",
    Rule.DAY_FULL: "ngày đủ phút",
    Rule.TOO_MANY_SESSIONS: "quá số phiên",
    Rule.TOO_SOON: "phiên quá gần",
}

BOOK = Path(__file__).parent / "cases"
CASE = re.compile(
    r"^### (?P<title>.+?)\n+(?P<words>.+?)\n+```\n(?P<block>.+?)```\n+\*\*Kết quả\.\*\* .+?$", re.M | re.S
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A situation in words, and the same in the notation with what comes of it."""

    title: str
    words: str
    block: str


def cases() -> Iterator[Case]:
    for page in sorted(BOOK.glob("[0-9]*.md")):
        text = page.read_text(encoding="utf-8")
        found = [Case(**m.groupdict()) for m in CASE.finditer(text)]
        assert len(found) == text.count("\n### ") == text.count("```") // 2, f"{page.name} holds a case that is not one"
        yield from found


def name(case: Case) -> str:
    """Return the title without its marks, for a terminal."""
    return "".join(c for c in normalize("NFD", case.title) if not combining(c)).replace("đ", "d").replace("Đ", "D")


def result(verdict: Verdict, station: Station) -> str:
    """Return what became of one occurrence, as the notation says it."""
    outcome, begins = verdict.outcome, verdict.occurrence.start
    parts = [station.named(verdict.occurrence.id)]
    waits = ""
    if verdict.otherwise is not None:
        outcome = verdict.otherwise.outcome
        waits = f"chờ cán bộ đến {station.said(verdict.questions[0].decide_by)}: "
    heard = ""
    if verdict.start is not None and verdict.end is not None:
        day = begins.astimezone(station.zone).date()
        end = verdict.end.astimezone(station.zone)
        heard = f" {station.said(verdict.start, day)}–{station.said(verdict.end, end.date())}"
    parts.append(waits + OUTCOMES[outcome] + heard)
    if verdict.reason is not Reason.AS_ASKED:
        others = [each.ours if each.above == verdict.occurrence.id else each.above for each in verdict.questions]
        by = ", ".join(map(station.named, others or ([verdict.by] if verdict.by else [])))
        why = REASONS[verdict.reason].format(by=by)
        if verdict.reason is Reason.NO_ROOM and verdict.breach:
            why += ", sau đó"
        parts.append(why + (f" {RULES[verdict.breach.rule]}" if verdict.breach else ""))
    if verdict.passes:
        parts.append(f"vượt {', '.join(RULES[rule] for rule in verdict.passes)}")
    return " | ".join(parts)


def plans_of(station: Station) -> Plans:
    """Return the plans of a case; what officials decided comes to them one after the other, as it does in life."""
    start, end = (
        datetime.combine(day, time(), station.zone).astimezone(UTC) for day in (station.first, station.last + DAY)
    )
    plans = Plans(start=start, end=end, zone=station.zone, policy=station.policy)
    facts = Facts(
        programmes=tuple(station.programmes.values()),
        zones=tuple(station.zones.values()),
        clusters=tuple(station.clusters.values()),
        day_types=tuple(station.day_types),
    )
    plans.update(facts)
    for n in range(len(station.decisions)):
        plans.update(replace(facts, decisions=tuple(station.decisions[: n + 1])))
    return plans


def told(block: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return what a block expects of each of its clusters, sentences among it, and what comes of it."""
    station = station_of(block)
    plans = plans_of(station)
    expected: dict[str, list[str]] = {}
    found: dict[str, list[str]] = {}
    for cluster, results in station.results.items():
        plan = plans[cluster]
        assert plan.timeline == build(plan.verdicts, plan.start, plan.end)
        expected[cluster], found[cluster] = [], []
        for line in results:
            expected[cluster].append(line)
            if (cluster, line) in station.sentences:
                expected[cluster].append(station.sentences[cluster, line])
        titles = {programme.id: programme.title for programme in station.programmes.values()}
        for verdict in plan.verdicts:
            verdict = verdict if station.now is None else verdict.as_of(station.now)
            found[cluster].append(line := result(verdict, station))
            if (cluster, line) in station.sentences:
                found[cluster].append(explain(verdict, "vi", station.zone, titles))
    return expected, found


@pytest.mark.parametrize("case", [*cases()], ids=name)
def test_a_case_ends_as_worked_by_hand(case: Case) -> None:
    expected, found = told(case.block)
    assert found == expected


def test_the_book_is_as_thick_as_promised() -> None:
    titles = [case.title for case in cases()]
    assert len(titles) >= 40
    assert len(set(titles)) == len(titles)


PLAIN = """
ngày 02/03/2026
chương trình Bản tin | thường | 05:00 | 10 phút
→ Bản tin 05:00 | đúng giờ 05:00–05:10
"""


def test_a_wrong_result_is_noticed() -> None:
    expected, found = told(PLAIN)
    assert found == expected
    for right, wrong in (("đúng giờ 05:00–05:10", "dời 05:00–05:10"), ("05:10", "05:11"), ("→ Bản tin", "→ Tin")):
        expected, found = told(PLAIN.replace(right, wrong))
        assert found != expected
    expected, found = told(PLAIN + "→ Bản tin 05:00 | đúng giờ 05:00–05:10")
    assert found != expected, "each occurrence ends once"
    expected, found = told(PLAIN + "nói: Phát đúng giờ.")
    assert found != expected


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("thường", "bình thường"),
        ("05:00 | 10", "5 giờ | 10"),
        ("10 phút", "10 phút | hoãn được"),
        ("10 phút\n", "mười phút\n"),
        ("chương trình", "bản tin"),
        ("ngày 02/03/2026\n", ""),
    ],
)
def test_an_unknown_word_is_refused(right: str, wrong: str) -> None:
    with pytest.raises(UnknownWord):
        told(PLAIN.replace(right, wrong))
