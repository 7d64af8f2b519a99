"""What every sentence must have, whatever the rule; see ``test_describing`` for how they read."""

import re
from datetime import datetime, timedelta
from itertools import islice

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schedules.expansion import expand
from schedules.recurrence import Recurrence
from schedules.rrule import RecurrenceError, Rule, parse
from schedules.sentences.describing import describe
from tests.schedules.examples import SOAK

MONDAY = datetime(2026, 11, 23, 5)
WEEKDAYS = {
    "vi": ("thứ Hai", "thứ Ba", "thứ Tư", "thứ Năm", "thứ Sáu", "thứ Bảy", "Chủ nhật"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")


def subset(*values: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=4, unique=True).map(",".join)


def numbers(least: int, most: int) -> st.SearchStrategy[str]:
    return subset(*map(str, range(least, most + 1)))


BOTH_CALENDARS = {
    "INTERVAL": st.sampled_from(["1", "2", "3", "40"]),
    "BYHOUR": numbers(0, 23),
    "BYMINUTE": numbers(0, 59),
    "BYSECOND": st.sampled_from(["0", "9"]),
    "BYSETPOS": subset("1", "2", "17", "-1", "-2"),
    "WKST": st.sampled_from(["MO", "SU", "WE"]),
}
PLAIN_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
GREGORIAN = {
    "BYMONTH": numbers(1, 12),
    "BYMONTHDAY": subset("1", "2", "3", "4", "15", "29", "30", "31", "-1", "-2", "-30", "-31"),
    "BYDAY": subset(*PLAIN_DAYS, "1MO", "-1FR", "2TU", "-2SA")
    | st.just("MO,TU,WE,TH,FR")
    | st.just("MO,TU,WE,TH,FR,SA"),
    "BYYEARDAY": subset("1", "60", "61", "62", "63", "366", "-1", "-366"),
    "BYWEEKNO": subset("1", "20", "53", "-1", "-3"),
    "SKIP": st.sampled_from(["BACKWARD", "FORWARD"]),
}
LUNAR = {
    "BYMONTH": subset("1", "2", "3", "4", "12", "2L", "5L", "12L"),
    "BYMONTHDAY": subset("1", "2", "10", "15", "29", "30", "-1", "-30"),
    "BYDAY": subset(*PLAIN_DAYS),
    "SKIP": st.sampled_from(["BACKWARD", "FORWARD"]),
}
ENDS = st.sampled_from(["", ";COUNT=1", ";COUNT=12", ";UNTIL=20281231", ";UNTIL=20281231T040506Z"])


FREQUENCIES = st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"])
CALENDARS = {
    scale: {"FREQ": FREQUENCIES, "RSCALE": st.just(scale), **BOTH_CALENDARS, **parts}
    for scale, parts in (("GREGORIAN", GREGORIAN), ("VIETNAMESE", LUNAR))
}


def parsed(parts: dict[str, str]) -> str:
    """Return the text of a rule, or give the example up if the grammar refuses it."""
    text = ";".join(f"{part}={value}" for part, value in parts.items())
    try:
        parse(text)
    except RecurrenceError:
        assume(False)
    return text


@st.composite
def rules(draw: st.DrawFn) -> str:
    parts = CALENDARS[draw(st.sampled_from(sorted(CALENDARS)))]
    chosen = draw(st.sets(st.sampled_from(sorted(parts)))) | {"FREQ", "RSCALE"}
    return parsed({part: draw(parts[part]) for part in sorted(chosen)}) + draw(ENDS)


@st.composite
def near_twins(draw: st.DrawFn) -> tuple[str, str]:
    """Draw two rules, with few parts, that differ in one."""
    parts = CALENDARS[draw(st.sampled_from(sorted(CALENDARS)))]
    chosen = draw(st.sets(st.sampled_from(sorted(parts)), max_size=3)) | {"FREQ", "RSCALE"}
    one = {part: draw(parts[part]) for part in sorted(chosen)}
    changed = draw(st.sampled_from(sorted(parts)))
    other = {**one, changed: draw(parts[changed])}
    return parsed(one), parsed(other)


def told_numbers(sentence: str) -> set[int]:
    """Return the numbers in a sentence, with those that a run such as 5–9 or 5th–9th stands for."""
    found = set(map(int, re.findall(r"\d+", sentence)))
    for first, last in re.findall(r"(\d+)[a-z]*–(\d+)", sentence):
        found.update(range(int(first), int(last) + 1))
    return found


def numbers_of(rule: Rule, language: str) -> set[int]:
    """Return the numbers that a sentence must have: those that are not said as words."""
    named = {*rule.year_days, *rule.month_days, *rule.week_numbers, *rule.hours, *rule.minutes, *rule.leap_months}
    named |= rule.months if language == "vi" or rule.scale == "VIETNAMESE" else set()
    named |= {rule.interval} - {1} | {rule.count or 1} - {1}
    return {number for number in named if number >= 0}


def told_weekdays(sentence: str, language: str) -> set[int]:
    all_but, row = {"vi": (" trừ ", " đến "), "en": ((" except ", " other than "), " to ")}[language]
    names = WEEKDAYS[language]
    told = {weekday for weekday, name in enumerate(names) if name in sentence}
    for words in (all_but,) if isinstance(all_but, str) else all_but:
        for weekday, name in enumerate(names):
            if words + name in sentence:
                told = set(range(7)) - {weekday}
    return set(range(5)) | told if f"{names[0]}{row}{names[4]}" in sentence else told


@given(rules(), st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)))
@settings(max_examples=300 * SOAK, deadline=None)
def test_every_number_of_a_rule_is_told(text: str, start: datetime) -> None:
    rule = parse(text)
    for language in ("vi", "en"):
        sentence = describe(Recurrence(start=start, rule=text), language)
        assert sentence == sentence.strip(" ,.")
        assert "  " not in sentence
        assert numbers_of(rule, language) <= told_numbers(sentence), sentence
        weekdays = {weekday for _, weekday in rule.weekdays}
        plain = {weekday for which, weekday in rule.weekdays if not which}
        assert len(plain) == 7 or weekdays <= told_weekdays(sentence, language), sentence
        if language == "en" and rule.scale != "VIETNAMESE":
            assert all(name in sentence for month, name in enumerate(MONTHS, 1) if month in rule.months), sentence


@given(near_twins(), st.sampled_from([0, 0, 1, 7, 30]))
@settings(max_examples=500 * SOAK, deadline=None)
def test_rules_with_one_sentence_have_the_same_times(texts: tuple[str, str], days: int) -> None:
    later = MONDAY + timedelta(days=days)
    one, other = Recurrence(start=MONDAY, rule=texts[0]), Recurrence(start=later, rule=texts[1])
    if all(describe(one, language) != describe(other, language) for language in ("vi", "en")):
        return
    times = [
        list(islice(expand(parse(text), start, later, datetime(2031, 1, 1)), 100))
        for text, start in zip(texts, (MONDAY, later), strict=True)
    ]
    assert times[0] == times[1], describe(one, "en")
