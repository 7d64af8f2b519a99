"""A sentence that says when a recurrence is heard, for officials: "5:00 và 17:00 hằng ngày, trừ Chủ nhật".

Rules that mean the same are told alike: FREQ says nothing of its own where the interval is one. Two recurrences
that are heard at different times, but for those before the start, get different sentences; only long lists of
single dates are counted instead of told.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import groupby, product
from typing import Final

from schedules.expansion import completed
from schedules.recurrence import Every, Recurrence
from schedules.rrule import Frequency, Rule, parse
from schedules.sentences.english import ENGLISH
from schedules.sentences.language import Days, Language
from schedules.sentences.meaning import (
    FINER_THAN_DAYS,
    counts_by_the_moon,
    days_of,
    ends_of_day,
    first_time,
    in_order,
    times_of,
    week_start_matters,
)
from schedules.sentences.vietnamese import VIETNAMESE

__all__ = ["describe"]

_LANGUAGES: Final[Mapping[str, Language]] = {"vi": VIETNAMESE, "en": ENGLISH}
_MOST_TIMES: Final = 12
"""Times of a day that are listed; more are told as minutes of hours."""
_FOR_EVER: Final = 3000
"""Year of an end that is none: recurrences start before it."""
_DAY: Final = timedelta(days=1)


def describe(recurrence: Recurrence, language: str, names: Mapping[str, str] = {}) -> str:
    """Return one sentence, without a capital at its start (unless a name) and without a stop.

    Args:
        recurrence: One that ``check`` accepts.
        language: ``vi`` or ``en``.
        names: Id of a day type → its name, in any language; without one, the id stands for it.

    Raises:
        ValueError: Another language. A caller's mistake.
        RecurrenceError: ``bad_rule``; it was not checked.
    """
    if language not in _LANGUAGES:
        raise ValueError(f"there are sentences in {', '.join(_LANGUAGES)}, not in {language!r}")
    words = _LANGUAGES[language]
    recurrence = replace(recurrence, start=recurrence.start.replace(microsecond=0))
    told = _once(words, recurrence) if recurrence.rule is None else _repeated(words, recurrence, parse(recurrence.rule))
    return ", ".join(filter(None, (*told, *_beside(words, recurrence, names))))


def _once(words: Language, recurrence: Recurrence) -> Iterator[str]:
    start, every = recurrence.start, recurrence.every
    if every is None:
        yield words.once(words.times([start.time()]), start.date())
        return
    last = recurrence.until or datetime.max
    times = [t for t in times_of(every) if start <= datetime.combine(start, t) <= last]
    if len(times) > 2:
        yield words.once(words.stretch(every.minutes, times[0], times[-1]), start.date())
    elif times:
        yield words.once(words.times(times), start.date())


def _repeated(words: Language, recurrence: Recurrence, rule: Rule) -> Iterator[str]:
    rule = completed(rule, recurrence.start)
    days = days_of(rule)
    tells_first = rule.interval > 1 or rule.count is not None
    first = first_time(recurrence, rule) if tells_first else recurrence.start
    if rule.interval == 1:
        yield from _always(words, recurrence.every, rule, days)
    else:
        yield from _at_interval(words, recurrence.every, rule, days, first)
    if rule.positions:
        yield words.positions(in_order(rule.positions), rule.frequency, lunar=counts_by_the_moon(rule))
    if rule.week_start and week_start_matters(rule, days):
        yield words.week_start(rule.week_start)
    yield " ".join(_span(words, recurrence, rule, first if tells_first else None))


def _always(words: Language, every: Every | None, rule: Rule, days: Days) -> Iterator[str]:
    clock = _clock(words, every, rule)
    if every is None and len(rule.hours) == 24 and not days.in_months and not _parts(words, days):
        yield clock  # every hour is every day
        return
    on, *only = _day_phrases(words, days, every=True)
    yield f"{clock} {on}"
    yield from only


def _at_interval(words: Language, every: Every | None, rule: Rule, days: Days, first: datetime) -> Iterator[str]:
    clock, on, only = "", "", list[str]()
    if rule.frequency in FINER_THAN_DAYS:
        on, only = _within_days(words, rule, first)
    else:
        clock = _clock(words, every, rule)
    if rule.frequency is Frequency.YEARLY:
        on, *filters = _day_phrases(words, replace(days, in_longer_periods=True), every=False)
    elif rule.frequency in (Frequency.MONTHLY, Frequency.WEEKLY):
        longer = rule.frequency is Frequency.MONTHLY
        in_any_month = replace(days, months=(), leap_months=(), in_longer_periods=longer)
        on, *filters = _day_phrases(words, in_any_month, every=False)
        filters += [words.only(words.months(days))] if days.in_months else []
    elif _parts(words, days):
        leading, *filters = _day_phrases(words, days, every=False)
        filters.insert(0, words.only(leading))
    else:
        filters = [words.only(words.months(days))] if days.in_months else []
    yield words.at_interval(clock, rule.interval, rule.frequency, on, lunar=counts_by_the_moon(rule))
    yield from (*only, *filters)


def _within_days(words: Language, rule: Rule, first: datetime) -> tuple[str, list[str]]:
    """Return at which minutes of an hour, if the first time does not tell, and what chooses among hours and minutes."""
    minutes, hours = sorted(rule.minutes), sorted(rule.hours)
    only = [words.only(words.hours(hours))] if len(hours) < 24 else []
    if rule.frequency is Frequency.HOURLY:
        return words.minutes(minutes) if minutes != [first.minute] else "", only
    return "", [words.only(words.minutes(minutes)), *only] if len(minutes) < 60 else only


def _day_phrases(words: Language, days: Days, *, every: bool) -> list[str]:
    """Return on which days, and each further condition as "only on …"."""
    of_all_months = replace(days, months=(), leap_months=())
    further = replace(of_all_months, in_longer_periods=False)
    first, *others = _parts(words, days) or [words.weekdays]
    tells_months = first in (words.month_days, words.weekdays)
    phrases = [first(days if tells_months else of_all_months, every=every)]
    if days.in_months and not tells_months:
        phrases.append(words.only(words.months(days)))
    return phrases + [words.only(tell(further, every=False)) for tell in others]


def _parts(words: Language, days: Days) -> list[Callable[..., str]]:
    """Return what tells each part that is there but months, the part that leads the sentence first."""
    there = (
        (days.month_days, words.month_days),
        (days.year_days, words.year_days),
        (days.weeks, words.weeks),
        (not days.weeks and (days.weekdays or days.numbered), words.weekdays),
    )
    return [tell for part, tell in there if part]


def _clock(words: Language, every: Every | None, rule: Rule) -> str:
    if every is not None:
        times = times_of(every)
        return words.times(times) if len(times) < 3 else words.stretch(every.minutes, every.first, every.last)
    hours, minutes, seconds = sorted(rule.hours), sorted(rule.minutes), sorted(rule.seconds)
    if len(hours) * len(minutes) * len(seconds) <= _MOST_TIMES:
        return words.times([time(*hms) for hms in product(hours, minutes, seconds)])
    return words.minutes_of_hours(hours, minutes, seconds)


def _span(words: Language, recurrence: Recurrence, rule: Rule, first: datetime | None) -> Iterator[str]:
    """Yield how often in all, from when, where the rest of the sentence does not tell, and until when."""
    earliest, latest = ends_of_day(recurrence, rule)
    if rule.count is not None:
        yield words.count(rule.count)
    if first is not None:
        is_first_of_day = rule.frequency not in FINER_THAN_DAYS and first.time() == earliest
        yield words.beginning(first.date() if is_first_of_day else first)
    until = recurrence.until or rule.until
    if until is not None and until.year < _FOR_EVER:
        until = until.replace(microsecond=0)
        is_whole_day = until.tzinfo is None and until.time() >= latest
        yield words.until(until.date() if is_whole_day else until)


def _beside(words: Language, recurrence: Recurrence, names: Mapping[str, str]) -> Iterator[str]:
    added, excluded = _to_the_second(recurrence.added), _to_the_second(recurrence.excluded)
    left_out = sorted(set(recurrence.excluded_days))
    if added:
        yield words.added(added)
    if recurrence.only_on:
        yield words.only_types([names.get(type_id, type_id) for type_id in recurrence.only_on])
    if recurrence.not_on:
        yield words.not_types([names.get(type_id, type_id) for type_id in recurrence.not_on])
    if excluded:
        yield words.excluded(excluded)
    if left_out:
        yield words.excluded_days(_runs_of_days(left_out))
    if recurrence.duration is not None:
        once = recurrence.rule is None and recurrence.every is None and not added
        yield words.duration(recurrence.duration, each=not once)


def _to_the_second(times: Iterable[datetime]) -> list[datetime]:
    return sorted({t.replace(microsecond=0) for t in times})


def _runs_of_days(days: Sequence[date]) -> list[tuple[date, date]]:
    """Return rising days as those that stand alone, and from three on end as (first, last)."""
    found: list[tuple[date, date]] = []
    for _, group in groupby(enumerate(days), key=lambda numbered: numbered[1] - numbered[0] * _DAY):
        run = [day for _, day in group]
        found += [(run[0], run[-1])] if len(run) > 2 else [(day, day) for day in run]
    return found
