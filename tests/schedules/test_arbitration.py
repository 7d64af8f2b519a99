from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, time, timedelta
from itertools import pairwise
from random import Random
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.arbiter import Arbiter
from schedules.arbitration import arbitrate
from schedules.clashes import rank, said_on
from schedules.counting import broken_days
from schedules.levels import Level, Policy, Side
from schedules.programmes import LEAD, IfTaken, Occurrence, Yielding
from schedules.rules import Hold, Hours, InForce, LocalRules, Rule, stops
from schedules.turn import SHORTEST
from schedules.verdicts import Decision, Outcome, Reason, Verdict
from tests.schedules.examples import DAY, HOUR, MINUTE, NOON, SAIGON, SOAK, crowded, minutes, moves, occurrence

UTC = ZoneInfo("UTC")
TRIM, DROP = IfTaken(action=Yielding.TRIM), IfTaken(action=Yielding.DROP)


def told(
    *asked: Occurrence,
    most_move: int = 30,
    rules: LocalRules | None = None,
    holds: tuple[Hold, ...] = (),
    decisions: tuple[Decision, ...] = (),
    undecided: Side = Side.OURS,
) -> dict[str, str]:
    """Return what becomes of each, in one line: outcome, minutes from noon, and why."""
    lines = {}
    verdicts = arbitrate(
        asked,
        policy=Policy(most_move=most_move * MINUTE, undecided=undecided),
        rules=InForce(zone=UTC, rules=rules or LocalRules(), holds=holds),
        decisions=decisions,
    )
    for verdict in verdicts:
        line = [verdict.outcome.value]
        if verdict.start is not None and verdict.end is not None:
            line.append(f"{(verdict.start - NOON) / MINUTE:g}-{(verdict.end - NOON) / MINUTE:g}")
        if verdict.reason is not Reason.AS_ASKED:
            line.append(verdict.code)
        if verdict.by is not None:
            line.append(f"by {verdict.by.split('@')[0]}")
        if verdict.passes:
            line.append(f"passes {' '.join(verdict.passes)}")
        lines[verdict.occurrence.programme] = " ".join(line)
    return lines


def test_free_air_is_kept_and_neighbours_may_touch() -> None:
    assert told(occurrence("a", 0, 10), occurrence("b", 10, 5)) == {"a": "kept 0-10", "b": "kept 10-15"}


def test_the_stronger_level_is_served_first() -> None:
    assert told(occurrence("a", 0, 10), occurrence("b", 5, 10, Level.PRIORITY)) == {
        "a": "moved 15-25 air_taken by b",
        "b": "kept 5-15",
    }


def test_within_a_level_the_stronger_tier_is_served_first() -> None:
    ours = occurrence("a", 0, 10, approved_at=NOON - 9 * DAY)
    assert told(ours, occurrence("b", 0, 10, tier="province"), occurrence("c", 0, 10, tier="central")) == {
        "a": "moved 20-30 air_taken by c",
        "b": "moved 10-20 air_taken by c",
        "c": "kept 0-10",
    }
    assert told(ours, occurrence("b", 0, 10, tier="nobody knows it"))["a"] == "kept 0-10"


def test_of_one_level_and_tier_the_first_approved_is_served_first() -> None:
    early, late = occurrence("z", 5, 10, approved_at=NOON - 2 * DAY), occurrence("a", 0, 10)
    assert told(late, early) == {"a": "moved 15-25 air_taken by z", "z": "kept 5-15"}


def test_the_id_decides_between_equals() -> None:
    assert told(occurrence("b", 0, 10), occurrence("a", 0, 10)) == {
        "a": "kept 0-10",
        "b": "moved 10-20 air_taken by a",
    }


def test_it_is_moved_to_the_first_gap_that_holds_all_of_it() -> None:
    blocks = [occurrence("x", 0, 10, Level.PRIORITY), occurrence("y", 14, 6, Level.PRIORITY)]
    assert told(*blocks, occurrence("a", 5, 4))["a"] == "moved 10-14 air_taken by x"
    assert told(*blocks, occurrence("a", 5, 5))["a"] == "moved 20-25 air_taken by x"


def test_moved_too_far_is_dropped_with_what_took_its_air() -> None:
    block = occurrence("x", 0, 31, Level.EMERGENCY)
    assert told(block, occurrence("a", 1, 5))["a"] == "moved 31-36 air_taken by x"
    assert told(block, occurrence("a", 0, 5))["a"] == "dropped no_room by x"
    assert told(block, occurrence("a", 30, 5), most_move=0)["a"] == "dropped no_room by x"


def test_a_programme_says_itself_how_far_it_may_be_moved() -> None:
    block = occurrence("x", 0, 10, Level.PRIORITY)
    little = occurrence("a", 5, 5, if_taken=IfTaken(most_move=4 * MINUTE))
    assert told(block, little)["a"] == "dropped no_room by x"
    assert told(block, replace(little, if_taken=IfTaken(most_move=5 * MINUTE)))["a"] == "moved 10-15 air_taken by x"


def test_what_may_be_dropped_is_dropped() -> None:
    block = occurrence("x", 0, 10, Level.PRIORITY)
    assert told(block, occurrence("a", 9, 5, if_taken=DROP))["a"] == "dropped air_taken by x"
    assert told(block, occurrence("a", 10, 5, if_taken=DROP))["a"] == "kept 10-15"


def test_what_may_be_trimmed_keeps_what_is_left_of_its_own_time() -> None:
    block = occurrence("x", 10, 10, Level.PRIORITY)
    assert told(block, occurrence("a", 5, 10, if_taken=TRIM))["a"] == "trimmed 5-10 air_taken by x"
    assert told(block, occurrence("a", 15, 10, if_taken=TRIM))["a"] == "trimmed 20-25 air_taken by x"
    assert told(block, occurrence("a", 12, 5, if_taken=TRIM))["a"] == "dropped no_room by x"
    sliver = replace(block, start=NOON + SHORTEST - timedelta(seconds=1))
    assert told(sliver, occurrence("a", 0, 10, if_taken=TRIM))["a"] == "dropped no_room by x"


def test_what_had_begun_when_the_blocker_was_approved_is_trimmed() -> None:
    urgent = occurrence("x", 6, 10, Level.EMERGENCY, approved_at=NOON + 5 * MINUTE)
    assert told(occurrence("a", 0, 10), urgent) == {"a": "trimmed 0-6 air_taken by x", "x": "kept 6-16"}
    assert told(occurrence("a", 0, 10, if_taken=DROP), urgent)["a"] == "trimmed 0-6 air_taken by x"


def test_what_was_moved_and_has_begun_is_trimmed_where_it_lies() -> None:
    first = occurrence("x", 0, 10, Level.PRIORITY)
    urgent = occurrence("y", 15, 10, Level.EMERGENCY, approved_at=NOON + 12 * MINUTE)
    assert told(first, occurrence("a", 5, 10), urgent)["a"] == "trimmed 10-15 air_taken by y"


def test_what_begins_as_the_blocker_is_approved_is_moved() -> None:
    urgent = occurrence("x", 6, 10, Level.EMERGENCY, approved_at=NOON)
    assert told(occurrence("a", 0, 10), urgent)["a"] == "moved 16-26 air_taken by x"


def test_a_programme_that_overlaps_itself_waits_for_itself() -> None:
    first, second = occurrence("a", 0, 10), occurrence("a", 5, 10)
    verdicts = arbitrate([second, first], policy=Policy(most_move=HOUR))
    assert [(verdict.outcome, verdict.start) for verdict in verdicts] == [
        (Outcome.KEPT, NOON),
        (Outcome.MOVED, NOON + 10 * MINUTE),
    ]


def test_a_withdrawal_cuts_what_sounds_and_drops_what_waits() -> None:
    block = occurrence("x", 0, 10, Level.PRIORITY)
    moved = occurrence("a", 5, 10)
    assert told(block, replace(moved, ends_by=NOON + 12 * MINUTE))["a"] == "trimmed 10-12 withdrawn by x"
    assert told(block, replace(moved, ends_by=NOON + 10 * MINUTE))["a"] == "dropped withdrawn"
    assert told(replace(moved, ends_by=NOON + HOUR))["a"] == "kept 5-15"


def test_air_that_a_withdrawal_sets_free_goes_to_those_who_can_still_be_told() -> None:
    withdrawn = replace(occurrence("x", 0, 30, Level.PRIORITY), ends_by=NOON + 4 * MINUTE)
    soon, later = occurrence("a", 4, 5), occurrence("b", 4 + LEAD / MINUTE, 5)
    assert told(withdrawn, soon)["a"] == "moved 30-35 air_taken by x", "no box could be told in time"
    assert told(withdrawn, later)["b"] == f"kept {4 + LEAD / MINUTE:g}-{9 + LEAD / MINUTE:g}"
    assert told(withdrawn, occurrence("c", 4, 5, if_taken=DROP))["c"] == "dropped air_taken by x"


def test_what_goes_on_gets_its_end_back_when_what_cut_it_is_withdrawn_first() -> None:
    long = occurrence("a", 0, 30)
    urgent = occurrence("x", 20, 5, Level.EMERGENCY, approved_at=NOON + 5 * MINUTE)
    assert told(long, urgent)["a"] == "trimmed 0-20 air_taken by x"
    # It is not withdrawn before it begins, but before it begins where it was moved to.
    before, pushed = (
        occurrence("w", 15, 10, Level.EMERGENCY, approved_at=NOON + 2 * MINUTE),
        replace(urgent, ends_by=NOON + 22 * MINUTE),
    )
    assert told(occurrence("a", 0, 15), before, pushed)["x"] == "dropped withdrawn"


# Circular 39/2020/TT-BTTTT: of two priority bulletins, one from above, one our own, the official decides.

ABOVE = occurrence("province", 5, 10, Level.PRIORITY, tier="province")
OURS = occurrence("ours", 0, 10, Level.PRIORITY)


def says(first: Side, *, at: datetime = NOON - 3 * HOUR, always: bool = False) -> Decision:
    above, ours = (ABOVE.programme, OURS.programme) if always else (ABOVE.id, OURS.id)
    return Decision(above=above, ours=ours, first=first, by="minh", at=at)


def test_a_priority_bulletin_from_above_and_our_own_are_undecided_until_somebody_says() -> None:
    assert told(ABOVE, OURS) == {
        "ours": "undecided 0-10 awaits_decision by province",
        "province": "undecided 10-20 awaits_decision by ours",
    }
    assert told(ABOVE, OURS, undecided=Side.ABOVE) == {
        "ours": "undecided 15-25 awaits_decision by province",
        "province": "undecided 5-15 awaits_decision by ours",
    }


@pytest.mark.parametrize("always", [False, True])
def test_a_decision_puts_one_first(always: bool) -> None:
    assert told(ABOVE, OURS, decisions=(says(Side.ABOVE, always=always),)) == {
        "ours": "moved 15-25 decided by province",
        "province": "kept 5-15",
    }
    assert told(ABOVE, OURS, undecided=Side.ABOVE, decisions=(says(Side.OURS, always=always),)) == {
        "ours": "kept 0-10",
        "province": "moved 10-20 decided by ours",
    }


def test_the_word_on_one_clash_goes_before_the_word_on_all() -> None:
    both = (says(Side.ABOVE, always=True), says(Side.OURS))
    assert told(ABOVE, OURS, decisions=both)["ours"] == "kept 0-10"


def test_the_question_has_both_sides_a_deadline_and_a_default() -> None:
    verdicts = arbitrate([ABOVE, OURS], policy=Policy(decide_before=HOUR))
    (question,) = verdicts[0].questions
    assert verdicts[1].questions == (question,)
    assert (question.above, question.ours, question.default) == (ABOVE.id, OURS.id, Side.OURS)
    assert question.decide_by == NOON - HOUR


def test_after_the_deadline_the_default_stands_and_nothing_sounds_otherwise() -> None:
    for verdict in arbitrate([ABOVE, OURS], policy=Policy(decide_before=HOUR)):
        assert verdict.as_of(NOON - HOUR - MINUTE) is verdict
        after = verdict.as_of(NOON - HOUR)
        assert (after.start, after.end) == (verdict.start, verdict.end)
        assert after.outcome is (Outcome.KEPT if after.occurrence is OURS else Outcome.MOVED)
        assert after.questions == ()


def test_nobody_is_asked_when_it_is_too_late_to_ask() -> None:
    late = replace(ABOVE, approved_at=NOON - HOUR)
    assert told(late, OURS) == {"ours": "kept 0-10", "province": "moved 10-20 air_taken by ours"}


def test_nobody_is_asked_about_what_a_rule_silences() -> None:
    quiet = LocalRules(quiet=(Hours(start=time(12, 14), end=time(12, 30)),))
    assert told(ABOVE, OURS, rules=quiet) == {"ours": "kept 0-10", "province": "dropped quiet_hours"}


def test_nobody_is_asked_between_other_levels_or_tiers() -> None:
    routine = replace(OURS, level=Level.ROUTINE)
    assert told(ABOVE, routine)["ours"] == "moved 15-25 air_taken by province"
    central = replace(ABOVE, programme="central", tier="central")
    assert told(ABOVE, central)["province"] == "moved 15-25 air_taken by central"


def test_decisions_that_go_round_in_a_circle_are_followed_as_far_as_they_can_be() -> None:
    # central > ours > province > other > central
    central = occurrence("central", 0, 10, Level.PRIORITY, tier="central")
    other = occurrence("other", 0, 10, Level.PRIORITY)
    province, ours = replace(ABOVE, start=NOON), OURS
    pairs = ((central, ours, Side.ABOVE), (province, ours, Side.OURS), (province, other, Side.ABOVE))
    circle = (*pairs, (central, other, Side.OURS))
    decisions = tuple(
        Decision(above=above.id, ours=own.id, first=first, by="minh", at=NOON - DAY) for above, own, first in circle
    )
    lines = told(central, other, province, ours, decisions=decisions, most_move=60)
    assert sorted(line.split()[1] for line in lines.values()) == ["0-10", "10-20", "20-30", "30-40"]


def test_a_decision_during_the_clash_moves_nothing_that_has_begun() -> None:
    assert told(ABOVE, OURS, decisions=(says(Side.ABOVE, at=NOON + MINUTE),))["ours"] == (
        "trimmed 0-5 decided by province"
    )


def test_who_changes_their_mind_changes_nothing_that_was_heard() -> None:
    above = says(Side.ABOVE, always=True)
    later = replace(says(Side.OURS, at=NOON + HOUR, always=True), earlier=((above.at, above.first),))
    assert told(ABOVE, OURS, decisions=(later,)) == told(ABOVE, OURS, decisions=(above,))
    assert [later.as_of(NOON + minutes * MINUTE) for minutes in (-300, 0, 60)] == [None, Side.ABOVE, Side.OURS]


# Local rules. Noon is 12:00 in UTC here.

QUIET = LocalRules(quiet=(Hours(start=time(12), end=time(13)),))


def hold(start: float, end: float, placed: float = -60) -> Hold:
    return Hold(
        id="h",
        kind="funeral",
        reason="Tang lễ",
        start=NOON + start * MINUTE,
        end=NOON + end * MINUTE,
        by="lan",
        placed_at=NOON + placed * MINUTE,
    )


def test_a_rule_stops_all_but_emergencies() -> None:
    urgent, flood = occurrence("u", 20, 5, Level.PRIORITY), occurrence("e", 40, 5, Level.EMERGENCY)
    assert told(occurrence("a", 0, 5), urgent, flood, rules=QUIET) == {
        "a": "dropped quiet_hours",
        "u": "dropped quiet_hours",
        "e": "kept 40-45 passes quiet_hours",
    }


def test_what_a_rule_silences_takes_no_air() -> None:
    long = occurrence("p", -10, 20, Level.PRIORITY)
    assert told(long, occurrence("a", -5, 5), rules=QUIET) == {"p": "dropped quiet_hours", "a": "kept -5-0"}


def test_nothing_is_moved_into_quiet_hours() -> None:
    block = occurrence("x", -10, 8, Level.PRIORITY)
    assert told(block, occurrence("a", -5, 3), rules=QUIET) == {"x": "kept -10--2", "a": "dropped no_room by x"}


def test_a_hold_that_comes_while_it_sounds_cuts_it_there() -> None:
    assert told(occurrence("a", 0, 10), holds=(hold(4, 60, placed=3),))["a"] == "trimmed 0-4 hold"
    assert told(occurrence("a", 0, 10), holds=(hold(-5, 60, placed=3),))["a"] == "trimmed 0-3 hold"
    assert told(occurrence("a", 0, 10), holds=(hold(4, 60, placed=-1),))["a"] == "dropped hold"
    assert told(occurrence("a", 0, 10, Level.EMERGENCY), holds=(hold(4, 60),))["a"] == "kept 0-10 passes hold"


def test_a_rule_that_is_taken_away_lets_nothing_begin_in_its_middle() -> None:
    freed = InForce(zone=UTC, earlier=((NOON + 3 * MINUTE, QUIET),))
    verdicts = arbitrate([occurrence("a", 0, 10), occurrence("b", 5, 5)], policy=Policy(), rules=freed)
    assert [(verdict.code, verdict.start) for verdict in verdicts] == [
        ("quiet_hours", None),
        ("as_asked", NOON + 5 * MINUTE),
    ]


def test_a_new_rule_cuts_what_sounds_and_leaves_what_was_heard() -> None:
    silenced = InForce(zone=UTC, rules=QUIET, earlier=((NOON + 13 * MINUTE, LocalRules()),))
    verdicts = arbitrate([occurrence("a", 0, 10), occurrence("b", 10, 10)], policy=Policy(), rules=silenced)
    assert [(verdict.code, verdict.end) for verdict in verdicts] == [
        ("as_asked", NOON + 10 * MINUTE),
        ("quiet_hours", NOON + 13 * MINUTE),
    ]


def test_what_together_keeps_the_counting_rules_is_heard_in_whatever_order_it_was_approved() -> None:
    one_session = LocalRules(sessions_a_day=1, most_a_day=15 * MINUTE, longest_session=15 * MINUTE, gap=HOUR)
    middle = occurrence("b", 5, 5, approved_at=NOON - HOUR)
    assert told(occurrence("a", 0, 5), middle, occurrence("c", 10, 5), rules=one_session) == {
        "a": "kept 0-5",
        "b": "kept 5-10",
        "c": "kept 10-15",
    }


def test_where_the_day_is_too_full_the_weaker_are_silent() -> None:
    full = LocalRules(most_a_day=15 * MINUTE)
    late, priority = occurrence("a", 0, 10, approved_at=NOON - HOUR), occurrence("p", 300, 10, Level.PRIORITY)
    assert told(late, priority, occurrence("z", 600, 5), rules=full) == {
        "a": "dropped day_full",
        "p": "kept 300-310",
        "z": "kept 600-605",
    }


def test_what_was_heard_this_morning_is_not_unsaid_by_a_priority_bulletin_tonight() -> None:
    full = LocalRules(most_a_day=15 * MINUTE)
    tonight = occurrence("p", 300, 10, Level.PRIORITY, approved_at=NOON + HOUR)
    assert told(occurrence("a", 0, 10), tonight, rules=full) == {"a": "kept 0-10", "p": "dropped day_full"}


def test_emergencies_count_in_no_session_and_no_day() -> None:
    full = LocalRules(most_a_day=10 * MINUTE, sessions_a_day=1, gap=HOUR)
    assert told(occurrence("a", 0, 10), occurrence("e", 20, 30, Level.EMERGENCY), rules=full) == {
        "a": "kept 0-10",
        "e": "kept 20-50",
    }


@pytest.mark.parametrize("asked", [[occurrence("a", 0, 0)], [occurrence("a", 0, 1), occurrence("a", 0, 2)]])
def test_impossible_questions_are_our_mistake(asked: list[Occurrence]) -> None:
    with pytest.raises(ValueError, match="occurrence"):
        arbitrate(asked, policy=Policy())


# What holds whatever is asked.

policies = st.builds(Policy, most_move=moves, undecided=st.sampled_from(Side), decide_before=moves)
counts = st.none() | st.integers(1, 3)
lengths = st.none() | st.integers(5, 40).map(lambda minutes: timedelta(minutes=minutes))
local_rules = st.builds(
    LocalRules,
    quiet=st.sampled_from(((), (Hours(start=time(12, 20), end=time(12, 30)),))),
    longest_session=lengths,
    most_a_day=lengths,
    sessions_a_day=counts,
    gap=lengths,
)
ruled = st.builds(
    InForce,
    zone=st.sampled_from((UTC, SAIGON)),
    rules=local_rules,
    earlier=st.lists(st.tuples(minutes, local_rules), max_size=2, unique_by=lambda said: said[0]).map(
        lambda said: tuple(sorted(said, key=lambda each: each[0]))
    ),
    holds=st.lists(
        st.builds(hold, st.integers(0, 60), st.integers(61, 90), placed=st.integers(-60, 60)), max_size=1
    ).map(tuple),
)
said = st.lists(
    st.builds(
        Decision,
        above=st.sampled_from("abcdefgh"),
        ours=st.sampled_from("abcdefgh"),
        first=st.sampled_from(Side),
        by=st.just("minh"),
        at=minutes,
        earlier=st.lists(st.tuples(minutes, st.sampled_from(Side)), max_size=2).map(sorted).map(tuple),
    ).map(lambda said: replace(said, at=max((said.at, *said.times)))),
    max_size=4,
)


def sounding(verdicts: tuple[Verdict, ...]) -> list[Verdict]:
    return sorted((verdict for verdict in verdicts if verdict.start), key=lambda verdict: verdict.start or NOON)


def unnamed(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return the verdicts without who took the air: of several in a row it is the one that was met first."""
    return [replace(verdict, by=None) for verdict in verdicts]


@settings(max_examples=400 * SOAK, deadline=None)
@given(crowded, policies, ruled, said)
def test_no_two_sound_at_once_and_none_leaves_its_room(
    asked: list[Occurrence], policy: Policy, rules: InForce, decisions: list[Decision]
) -> None:
    placed = sounding(arbitrate(asked, policy=policy, rules=rules, decisions=decisions))
    for earlier, later in pairwise(placed):
        assert earlier.end is not None and later.start is not None
        assert earlier.end <= later.start
    for verdict in placed:
        each = verdict.occurrence
        most = policy.most_move if each.if_taken.most_move is None else each.if_taken.most_move
        assert verdict.start is not None and verdict.end is not None
        assert timedelta() < verdict.end - verdict.start <= each.duration
        if each.if_taken.action is Yielding.MOVE:
            assert each.start <= verdict.start <= each.start + most
        else:
            assert each.start <= verdict.start < verdict.end <= each.end
        assert each.ends_by is None or verdict.end <= each.ends_by or verdict.end <= each.end


@settings(max_examples=400 * SOAK, deadline=None)
@given(crowded, policies, ruled, said, st.randoms())
def test_the_order_of_the_input_changes_nothing(
    asked: list[Occurrence], policy: Policy, rules: InForce, decisions: list[Decision], random: Random
) -> None:
    shuffled, resaid = list(asked), list({each.id: each for each in decisions}.values())
    before = arbitrate(shuffled, policy=policy, rules=rules, decisions=resaid)
    random.shuffle(shuffled)
    random.shuffle(resaid)
    assert arbitrate(shuffled, policy=policy, rules=rules, decisions=resaid) == before


@settings(max_examples=400 * SOAK, deadline=None)
@given(crowded, policies, ruled, said)
def test_each_gets_one_verdict_with_a_reason_and_yields_to_none_weaker(
    asked: list[Occurrence], policy: Policy, rules: InForce, decisions: list[Decision]
) -> None:
    known = {one.id: one for one in asked}
    verdicts = arbitrate(asked, policy=policy, rules=rules, decisions=decisions)
    assert sorted(verdict.occurrence.id for verdict in verdicts) == sorted(known)
    for verdict in verdicts:
        stands = verdict.otherwise or verdict
        outcome, reason = stands.outcome, stands.reason
        whole = verdict.start is not None and verdict.end == verdict.start + verdict.occurrence.duration
        on_time = verdict.start == verdict.occurrence.start
        assert (verdict.start is None) == (verdict.end is None) == (outcome is Outcome.DROPPED)
        assert (outcome is Outcome.KEPT) == (whole and on_time)
        assert (outcome is Outcome.MOVED) == (whole and not on_time)
        assert (outcome is Outcome.KEPT) == (reason is Reason.AS_ASKED)
        assert (verdict.outcome is Outcome.UNDECIDED) == bool(verdict.questions) == (verdict.otherwise is not None)
        assert (reason is Reason.LOCAL_RULE) <= (verdict.breach is not None)
        if verdict.by is not None:
            by = known[verdict.by]
            assert not verdict.occurrence.level.outranks(by.level)
            if not decisions and verdict.outcome is not Outcome.UNDECIDED:
                assert rank(by, policy) < rank(verdict.occurrence, policy)


@settings(max_examples=300 * SOAK, deadline=None)
@given(crowded, policies, said)
def test_who_is_weaker_changes_nothing_for_the_stronger(
    asked: list[Occurrence], policy: Policy, decisions: list[Decision]
) -> None:
    strong = [one for one in asked if one.level is not Level.ROUTINE]
    alone = arbitrate(strong, policy=policy, decisions=decisions)
    among = arbitrate(asked, policy=policy, decisions=decisions)
    assert unnamed(verdict for verdict in among if verdict.occurrence.level is not Level.ROUTINE) == unnamed(alone)


def _by_then(decisions: list[Decision], now: datetime) -> list[Decision]:
    """Return the decisions as they were at ``now``."""
    words = [[(at, side) for at, side in (*each.earlier, (each.at, each.first)) if at <= now] for each in decisions]
    return [
        replace(each, at=said[-1][0], first=said[-1][1], earlier=tuple(said[:-1]))
        for each, said in zip(decisions, words, strict=True)
        if said
    ]


@settings(max_examples=400 * SOAK, deadline=None)
@given(crowded, policies, ruled, said, minutes)
def test_the_past_is_not_unsaid(
    asked: list[Occurrence], policy: Policy, rules: InForce, decisions: list[Decision], now: datetime
) -> None:
    """What had sounded by ``now`` by the facts of then, had sounded by all the facts that ever came."""
    then = [
        replace(each, ends_by=each.ends_by if each.ends_by and each.ends_by <= now else None)
        for each in asked
        if each.approved_at <= now
    ]
    rules_then = replace(
        rules,
        rules=rules.as_of(now).rules,
        earlier=tuple((until, before) for until, before in rules.earlier if until <= now),
        holds=tuple(hold for hold in rules.holds if hold.placed_at <= now),
    )
    by_then = arbitrate(then, policy=policy, rules=rules_then, decisions=_by_then(decisions, now))
    by_all = arbitrate(asked, policy=policy, rules=rules, decisions=decisions)

    def heard(verdicts: tuple[Verdict, ...]) -> list[tuple[str, datetime, datetime]]:
        return [
            (verdict.occurrence.id, verdict.start, min(verdict.end, now))
            for verdict in sounding(verdicts)
            if verdict.start is not None and verdict.end is not None and verdict.start < now
        ]

    assert heard(by_then) == heard(by_all)


@settings(max_examples=300 * SOAK, deadline=None)
@given(crowded, policies, said)
def test_parted_into_contests_it_ends_as_in_one(
    asked: list[Occurrence], policy: Policy, decisions: list[Decision]
) -> None:
    whole = sorted(asked, key=lambda each: (each.start, each.programme))
    arbiter = Arbiter(policy=policy, rules=InForce(zone=UTC))
    pairs = said_on(whole, policy=policy, decisions={(each.above, each.ours): each for each in decisions})
    in_one = arbiter.settle(whole, pairs, counting=False) if whole else ()
    assert unnamed(arbitrate(asked, policy=policy, decisions=decisions)) == unnamed(in_one)


@settings(max_examples=300 * SOAK, deadline=None)
@given(crowded, policies, ruled)
def test_whatever_sounds_keeps_the_rules_or_is_an_emergency(
    asked: list[Occurrence], policy: Policy, rules: InForce
) -> None:
    early = [replace(each, approved_at=NOON - DAY, ends_by=None) for each in asked]
    known = replace(rules, holds=tuple(replace(hold, placed_at=NOON - DAY) for hold in rules.holds), earlier=())
    verdicts = sounding(arbitrate(early, policy=policy, rules=known))
    spoken = [(v.start, v.end) for v in verdicts if v.occurrence.level is not Level.EMERGENCY and v.start and v.end]
    assert not broken_days(spoken, known)
    assert [stops(start, end, known) for start, end in spoken] == [None] * len(spoken)


@settings(max_examples=200 * SOAK, deadline=None)
@given(crowded, moves)
def test_what_is_dropped_had_no_room(asked: list[Occurrence], most_move: timedelta) -> None:
    plain = [replace(each, approved_at=NOON - DAY, ends_by=None, if_taken=IfTaken(), tier=None) for each in asked]
    policy = Policy(most_move=most_move)
    verdicts = arbitrate(plain, policy=policy)
    for verdict in verdicts:
        if verdict.reason is not Reason.NO_ROOM:
            continue
        mine = rank(verdict.occurrence, policy)
        stronger = [other for other in sounding(verdicts) if rank(other.occurrence, policy) < mine]
        for minute in range(most_move // MINUTE + 1):  # everything lies on whole minutes
            start = verdict.occurrence.start + minute * MINUTE
            end = start + verdict.occurrence.duration
            assert any(other.start < end and other.end > start for other in stronger if other.start and other.end)


def test_an_emergency_names_the_rules_that_it_passes() -> None:
    (verdict,) = arbitrate(
        [occurrence("e", 0, 5, Level.EMERGENCY)],
        policy=Policy(),
        rules=InForce(zone=UTC, rules=replace(QUIET, weekdays=frozenset({1})), holds=(hold(0, 60),)),
    )
    assert verdict.passes == (Rule.HOLD, Rule.WEEKDAY, Rule.QUIET_HOURS)


def test_cost_grows_hardly_faster_than_the_number_of_occurrences() -> None:
    def cost(count: int) -> float:
        asked = [occurrence(f"p{n}", n * 7 % count * 10, 12, Level(1 + n % 3)) for n in range(count)]
        began = process_time()
        arbitrate(asked, policy=Policy(most_move=HOUR))
        return process_time() - began

    few, many = (min(cost(count) for _ in range(3)) for count in (500, 4000))
    assert many < 8 * few * 3, "comparing all with all would be 64 times"


# What a review found


def test_what_a_cut_leaves_too_close_is_dropped_as_the_box_would() -> None:
    apart = LocalRules(gap=30 * MINUTE)
    first = occurrence("a", 0, 10, ends_by=NOON + 3 * MINUTE)
    assert told(first, occurrence("b", 10, 10, tier="province"), rules=apart) == {
        "a": "trimmed 0-3 withdrawn",
        "b": "dropped too_soon",
    }


def test_what_goes_on_gets_no_more_back_than_the_rules_leave() -> None:
    hour = LocalRules(most_a_day=HOUR)
    urgent = occurrence("u", 5, 1, Level.PRIORITY, ends_by=NOON + MINUTE / 12)
    assert told(occurrence("r", 0, 85, if_taken=TRIM), urgent, rules=hour)["r"] == "trimmed 0-5 air_taken by u"


def test_nobody_is_asked_what_changes_nothing() -> None:
    above, ours = replace(ABOVE, start=NOON), replace(OURS, if_taken=DROP)
    flood = occurrence("flood", 0, 10, Level.EMERGENCY)
    assert told(above, ours)["ours"] == "undecided 0-10 awaits_decision by province"
    assert told(above, ours, flood)["ours"] == "dropped air_taken by flood"


def test_many_clashes_cost_hardly_more_than_their_number() -> None:
    def cost(count: int) -> float:
        pairs = [
            occurrence(f"{tier}{n}", n * 10, 9, Level.PRIORITY, tier=tier)
            for n in range(count)
            for tier in ("province", None)
        ]
        began = process_time()
        arbitrate(pairs, policy=Policy(most_move=HOUR))
        return process_time() - began

    few, many = (min(cost(count) for _ in range(2)) for count in (100, 800))
    assert many < 8 * few * 3, "comparing all with all would be 64 times"
