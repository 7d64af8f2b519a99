"""What leaves the disk and what comes: never what is about to sound, never more than there is room for."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from devices.agent.supply.needs import Need
from devices.agent.supply.stock import KEPT, PROTECTED, Piece, Plan, Room, plan
from devices.messages import RenditionReference
from tests.fakes.clock import START

ROOMY = Room(budget_bytes=10_000, spare_bytes=10_000)


def need(name: str, size: int = 100, *, hours: float | None = None, emergency: bool = False) -> Need:
    digest = hashlib.sha256(name.encode()).hexdigest()
    named = RenditionReference(digest=digest, size_bytes=size, duration=1, url=f"/media/{digest}")
    return Need(reference=named, start=None if hours is None else START + timedelta(hours=hours), emergency=emergency)


def look(
    wanted: Sequence[Need],
    pieces: Mapping[str, Piece],
    room: Room = ROOMY,
    *,
    whole: Sequence[str] | None = None,
    due: Mapping[str, float] | None = None,
) -> Plan:
    at_hand = {one.digest for one in wanted if one.digest in pieces} if whole is None else whole
    moments = {one.digest: 0.0 for one in wanted} | dict(due or {})
    return plan(wanted, pieces, at_hand=at_hand, due=moments, room=room, now=START, moment=10.0)


def here(*wanted: Need, days_ago: float = 0) -> dict[str, Piece]:
    named = START - timedelta(days=days_ago)
    return {one.digest: Piece(one.reference.size_bytes, named) for one in wanted}


def test_what_is_due_is_fetched_in_order() -> None:
    a, b, c = need("a", hours=1), need("b", hours=2), need("c")
    assert look([a, b, c], here(a)).fetch == b.reference


def test_what_waits_for_its_moment_lets_the_next_go_first() -> None:
    a, b, c = need("a", hours=1), need("b", hours=2), need("c", hours=3)
    answer = look([a, b, c], {}, due={a.digest: 30.0, c.digest: 20.0})
    assert (answer.fetch, answer.next_turn) == (b.reference, 20.0)


def test_while_there_is_room_nothing_leaves_before_its_time() -> None:
    old, older = need("old"), need("older")
    pieces = here(old, days_ago=29) | here(older, days_ago=30)
    assert look([need("a", hours=1)], pieces).drops == (older.digest,)


def test_what_was_named_longest_ago_leaves_first_and_no_more_than_must() -> None:
    a = need("a", hours=5)
    idle = [need("x"), need("y"), need("z")]
    pieces = here(idle[0], days_ago=2) | here(idle[1], days_ago=3) | here(idle[2], days_ago=1)
    answer = look([a], pieces, Room(budget_bytes=320, spare_bytes=10_000))
    assert (answer.fetch, answer.drops) == (a.reference, (idle[1].digest,))


def test_what_is_heard_last_leaves_for_what_is_heard_sooner() -> None:
    a, b, c = need("a", hours=2), need("b", hours=3), need("c", hours=4)
    answer = look([a, b, c], here(b, c), Room(budget_bytes=200, spare_bytes=10_000))
    assert (answer.fetch, answer.drops) == (a.reference, (c.digest,))


def test_nothing_leaves_for_what_is_heard_later() -> None:
    a, b = need("a", hours=2), need("b", hours=3)
    answer = look([a, b], here(a), Room(budget_bytes=150, spare_bytes=10_000))
    assert (answer.fetch, answer.drops, answer.homeless) == (None, (), (b.digest,))


def test_what_finds_no_room_does_not_keep_the_others_waiting() -> None:
    a, b = need("a", 300, hours=2), need("b", hours=3)
    answer = look([a, b], {}, Room(budget_bytes=200, spare_bytes=10_000))
    assert (answer.fetch, answer.homeless) == (b.reference, (a.digest,))


def test_what_sounds_within_the_hour_leaves_for_an_emergency_only() -> None:
    soon, now = need("b", hours=0.9), need("a", hours=-0.1)
    tight = Room(budget_bytes=200, spare_bytes=10_000)
    sooner = need("c", hours=-0.2)
    assert look([sooner, now, soon], here(now, soon), tight).homeless == (sooner.digest,)
    flood = need("f", 200, hours=2, emergency=True)
    assert look([flood, now, soon], here(now, soon), tight).drops == (soon.digest, now.digest)


def test_room_is_kept_free_on_the_disk() -> None:
    a, idle = need("a", hours=2), need("x")
    assert look([a], here(idle), Room(budget_bytes=10_000, spare_bytes=50)).drops == (idle.digest,)
    assert look([a], {}, Room(budget_bytes=10_000, spare_bytes=99)).homeless == (a.digest,)


def test_a_disk_that_others_fill_costs_nothing_that_is_named() -> None:
    a, idle = need("a", hours=20), need("x")
    answer = look([a], here(a, idle), Room(budget_bytes=10_000, spare_bytes=-1_000_000))
    assert answer.drops == (idle.digest,)


def test_a_disk_that_refuses_bytes_loses_all_that_is_not_named() -> None:
    a, idle = need("a", hours=20), need("x")
    assert look([a], here(a, idle), replace(ROOMY, full=True)).drops == (idle.digest,)


def test_a_smaller_budget_takes_what_is_heard_last() -> None:
    a, b, c = need("a", hours=0.5), need("b", hours=3), need("c", hours=4)
    assert look([a, b, c], here(a, b, c), Room(budget_bytes=150, spare_bytes=10_000)).drops == (c.digest, b.digest)


def test_a_part_counts_and_only_the_rest_needs_room() -> None:
    a = need("a", hours=2)
    answer = look([a], {a.digest: Piece(90, START)}, Room(budget_bytes=100, spare_bytes=10), whole=())
    assert (answer.fetch, answer.drops) == (a.reference, ())


def test_a_part_does_not_leave_for_its_own_rest() -> None:
    a, b = need("a", hours=2), need("b", 50, hours=0.5)
    pieces = {a.digest: Piece(50, START)} | here(b)
    answer = look([b, a], pieces, Room(budget_bytes=120, spare_bytes=10_000), whole=[b.digest])
    assert (answer.drops, answer.homeless) == ((), (a.digest,))


@st.composite
def stocks(draw: st.DrawFn) -> tuple[list[Need], dict[str, Piece], set[str], Room]:
    """Needs in their order, what lies on disk of them and of others, which of it is whole, and the room."""
    hours = st.one_of(st.none(), st.floats(-1, 12))
    several = draw(st.lists(st.tuples(hours, st.booleans(), st.integers(1, 60)), max_size=7))
    wanted = [
        need(str(n), size, hours=start, emergency=urgent and start is not None)
        for n, (start, urgent, size) in enumerate(several)
    ]
    wanted.sort(key=lambda one: (not one.emergency, one.start is None, one.start or START))
    pieces, whole = {}, set()
    for one in wanted:
        if has := draw(st.integers(0, 2)):
            size = one.reference.size_bytes
            pieces[one.digest] = Piece(size if has == 2 else draw(st.integers(0, size)), START)
            whole |= {one.digest} if has == 2 else set()
    for n, (size, days) in enumerate(draw(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 40)), max_size=4))):
        pieces[f"idle {n}"] = Piece(size, START - timedelta(days=days))
    room = Room(
        budget_bytes=draw(st.integers(1, 300)), spare_bytes=draw(st.integers(-50, 300)), full=draw(st.booleans())
    )
    return wanted, pieces, whole, room


Stock = tuple[list[Need], dict[str, Piece], set[str], Room]


def total(pieces: Mapping[str, Piece]) -> int:
    return sum(piece.size_bytes for piece in pieces.values())


@given(stocks())
def test_what_is_fetched_fits(stock: Stock) -> None:
    wanted, pieces, whole, room = stock
    answer = look(wanted, pieces, room, whole=[*whole])
    assert set(answer.drops) <= pieces.keys()
    assert len(set(answer.drops)) == len(answer.drops)
    if answer.fetch is not None:
        digest = answer.fetch.digest
        assert digest not in whole
        left = {each: piece for each, piece in pieces.items() if each not in answer.drops}
        coming = answer.fetch.size_bytes - (left[digest].size_bytes if digest in left else 0)
        if coming:
            assert total(left) + coming <= room.budget_bytes
            assert coming <= room.spare_bytes + total(pieces) - total(left)


@given(stocks())
def test_who_leaves_first(stock: Stock) -> None:
    wanted, pieces, whole, room = stock
    answer = look(wanted, pieces, room, whole=[*whole])
    ranks = {one.digest: place for place, one in enumerate(wanted)}
    left_named = [digest for digest in answer.drops if digest in ranks]
    if left_named:
        assert pieces.keys() - ranks.keys() <= set(answer.drops)
    emergency = answer.fetch is not None and wanted[ranks[answer.fetch.digest]].emergency
    for digest in left_named:
        gone = wanted[ranks[digest]]
        soon = gone.emergency or (gone.start is not None and gone.start <= START + PROTECTED)
        assert emergency or not soon
        if answer.fetch is not None and total(pieces) <= room.budget_bytes:
            assert ranks[digest] > ranks[answer.fetch.digest]


@given(stocks())
def test_nothing_leaves_without_a_reason(stock: Stock) -> None:
    wanted, pieces, whole, room = stock
    answer = look(wanted, pieces, room, whole=[*whole])
    too_much = total(pieces) > room.budget_bytes or room.spare_bytes < 0 or room.full
    old = [digest for digest, piece in pieces.items() if piece.named + KEPT <= START]
    if answer.fetch is None and not too_much:
        assert set(answer.drops) <= set(old)


@given(stocks())
def test_fetching_comes_to_an_end(stock: Stock) -> None:
    """What leaves is not fetched again at once: every fetch is for something better than what left for it."""
    wanted, pieces, whole, room = stock
    for _ in range(2 * len(wanted) + 1):
        answer = look(wanted, pieces, room, whole=[*whole])
        before = total(pieces)
        pieces = {digest: piece for digest, piece in pieces.items() if digest not in answer.drops}
        whole = whole - set(answer.drops)
        if answer.fetch is not None:
            pieces[answer.fetch.digest] = Piece(answer.fetch.size_bytes, START)
            whole |= {answer.fetch.digest}
        room = replace(room, spare_bytes=room.spare_bytes + before - total(pieces))
        if answer.fetch is None:
            break
    else:
        raise AssertionError("it goes on and on")
