"""Why an occurrence ends as it does, and what to do about it: one sentence for an official, Vietnamese or English."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from schedules.programmes import Yielding
from schedules.rules import Breach
from schedules.sentences.local import Local
from schedules.sentences.phrases import (
    FIRST,
    INSTEAD,
    JOINS,
    KINDS,
    NAMES,
    NO_ROOM_TO_MOVE,
    NO_ROOM_TO_TRIM,
    OTHERWISE,
    STOPPED,
    TO_DO,
    WHAT,
    WHY,
    Words,
)
from schedules.verdicts import Outcome, Question, Reason, Verdict

__all__ = ["explain", "why_stopped"]


def explain(verdict: Verdict, language: str, zone: ZoneInfo, titles: Mapping[str, str] | None = None) -> str:
    """Return one sentence: what becomes of the occurrence, why, and what to do where there is something to do.

    Args:
        verdict: Of any outcome and reason.
        language: ``vi``; anything else is English.
        zone: Whose local times are told.
        titles: Of other programmes or occurrences, by id; one that is missing is "another bulletin".
    """
    tongue = _Tongue("vi" if language == "vi" else "en", zone)
    facts = _facts(verdict, tongue, titles or {})
    told = tongue.say(WHAT[verdict.outcome], facts)
    if why := _why(verdict, tongue, facts):
        told += tongue.say(JOINS["because"]) + why
    if verdict.outcome is Outcome.UNDECIDED and verdict.questions and verdict.otherwise:
        told += tongue.say(JOINS["nobody"], facts)
    elif to_do := _to_do(verdict, tongue):
        told += "; " + to_do
    if verdict.passes:
        rules = [tongue.say(NAMES[rule]) for rule in verdict.passes]
        told += tongue.say(JOINS["passes"], {"rules": tongue.listed(rules)})
    return told + "."


def why_stopped(breach: Breach, language: str, zone: ZoneInfo) -> str:
    """Return what the rule says that stops a slot, as a clause: the middle of a sentence, without what to do."""
    return _stopped(breach, _Tongue("vi" if language == "vi" else "en", zone))


class _Tongue(Local):
    """What explanations need beside times."""

    __slots__ = ()

    def say(self, words: Words, facts: Mapping[str, str] | None = None) -> str:
        return words[self.language].format_map(facts or {})

    def listed(self, words: Sequence[str]) -> str:
        *first, last = words
        return ", ".join(first) + self.say(JOINS["and"]) + last if first else last

    def other(self, name: str | None, beside: datetime, titles: Mapping[str, str]) -> str:
        """Return the other occurrence by its title and time, as far as they are known."""
        programme, _, start = (name or "").partition("@")
        title = titles.get(name or "", titles.get(programme))
        said = f"“{title}”" if title else self.say(JOINS["other"])
        try:
            t = datetime.strptime(start, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return said
        return f"{said} ({self.clock(t) if self.date(t) == self.date(beside) else self.moment(t)})"


def _facts(verdict: Verdict, tongue: _Tongue, titles: Mapping[str, str]) -> dict[str, str]:
    wanted = verdict.occurrence.start
    start, end = verdict.start or wanted, verdict.end or verdict.occurrence.end
    sounds = sum((item.duration for item in verdict.occurrence.items if item.duration), timedelta())
    question = verdict.questions[0] if verdict.questions else None
    return {
        "start": tongue.clock(start),
        "end": tongue.clock(end),
        "day": tongue.date(start),
        "wanted": tongue.moment(wanted),
        "later": tongue.clock(start) if tongue.date(start) == tongue.date(wanted) else tongue.moment(start),
        "length": tongue.length(end - start),
        "whole": tongue.length(max(sounds, verdict.occurrence.duration)),
        "by": tongue.other(_by(verdict, question), wanted, titles),
    } | _asked(verdict, question, tongue, start, end)


def _by(verdict: Verdict, question: Question | None) -> str | None:
    """Return the other one: of an undecided verdict, the one that the first question is about."""
    if question is None or verdict.outcome is not Outcome.UNDECIDED:
        return verdict.by
    return question.ours if question.above == verdict.occurrence.id else question.above


def _asked(
    verdict: Verdict, question: Question | None, tongue: _Tongue, start: datetime, end: datetime
) -> dict[str, str]:
    """Return the facts of a question: until when, and what comes of it without an answer."""
    if question is None or verdict.otherwise is None:
        return {"decide_by": tongue.moment(start)}
    day = tongue.date(verdict.occurrence.start)
    later = tongue.clock(start) if tongue.date(start) == day else tongue.moment(start)
    times = {"start": tongue.clock(start), "end": tongue.clock(end), "later": later}
    return {
        "decide_by": tongue.moment(question.decide_by),
        "first": tongue.say(FIRST[question.default]),
        "otherwise": tongue.say(OTHERWISE[verdict.otherwise.outcome], times),
    }


def _why(verdict: Verdict, tongue: _Tongue, facts: Mapping[str, str]) -> str:
    breach, words = verdict.breach, WHY.get(verdict.reason)
    if words is None:
        return _stopped(breach, tongue) if breach else ""
    said = tongue.say(words, facts)
    return said + tongue.say(JOINS["and then"]) + _stopped(breach, tongue) if breach else said


def _to_do(verdict: Verdict, tongue: _Tongue) -> str:
    if verdict.outcome is Outcome.KEPT:
        return ""
    if verdict.reason is Reason.LOCAL_RULE and verdict.breach:
        return tongue.say(INSTEAD[verdict.breach.rule])
    if verdict.reason is Reason.NO_ROOM:
        return tongue.say(_no_room(verdict))
    return tongue.say(TO_DO[verdict.reason]) if verdict.reason in TO_DO else ""


def _no_room(verdict: Verdict) -> Words:
    """Return what to do where no time is free: only one that may be moved, by every rule, gains from moving."""
    if verdict.breach:
        return NO_ROOM_TO_MOVE
    is_cut = verdict.outcome is Outcome.TRIMMED or verdict.occurrence.if_taken.action is Yielding.TRIM
    return NO_ROOM_TO_TRIM if is_cut else TO_DO[Reason.NO_ROOM]


def _stopped(breach: Breach, tongue: _Tongue) -> str:
    facts: dict[str, str] = {}
    if breach.hours is not None:
        facts = {"start": f"{breach.hours.start:%H:%M}", "end": f"{breach.hours.end:%H:%M}"}
    if breach.hold is not None:
        kind = KINDS.get(breach.hold.kind, KINDS["other"])
        facts = {"until": tongue.moment(breach.hold.end), "kind": tongue.say(kind), "reason": breach.hold.reason}
    if breach.limit is not None:
        limited = breach.limit
        facts = {"limit": tongue.length(limited) if isinstance(limited, timedelta) else str(limited)}
    return tongue.say(STOPPED[breach.rule], facts)
