"""A full box: the oldest routine receipts leave first, and what left is remembered in few words."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from devices.agent.memory.bound import Span, leaving, merged
from devices.agent.memory.checking import check
from devices.agent.memory.database import Database
from devices.agent.memory.ledger import Event
from devices.agent.memory.outbox import Outbox
from devices.chain import link
from devices.messages import MOST_DROPPED, Outcome
from tests.devices.agent.conftest import running
from tests.fakes.clock import START

BOX = "box-1"


def event(slot: str, *, routine: bool = True) -> Event:
    return Event(outcome=Outcome.STARTED, at=START, slot=slot, routine=routine)


def test_the_oldest_routine_ones_leave_first_and_then_the_oldest_others() -> None:
    held = [(1, False), (2, True), (3, False), (4, True), (5, True)]
    assert leaving(held, [], 2) == {2, 4}
    assert leaving(held, [], 4) == {1, 2, 4, 5}


def test_spans_that_touch_or_overlap_become_one() -> None:
    spans = [Span(7, 9, "c9"), Span(1, 2, "c2"), Span(3, 3, "c3"), Span(8, 10, "c10")]
    assert merged(spans) == [Span(1, 3, "c3"), Span(7, 10, "c10")]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 1500))
def test_what_left_can_be_told_in_one_message(pattern: int, surplus: int) -> None:
    held = [(at, bool(pattern >> (at % 32) & 1)) for at in range(1, 2001)]
    gone = leaving(held, [], surplus)
    assert len(gone) >= surplus
    holes = merged(Span(at, at, "") for at in gone)
    assert len(holes) <= MOST_DROPPED
    if len(gone) == surplus:
        kept = [(routine, at) for at, routine in held if at not in gone]
        assert all((not routine, at) < min((not r, a) for r, a in kept) for at, routine in held if at in gone)


@running
async def test_a_full_box_keeps_what_matters_and_says_what_left(tmp_path: Path) -> None:
    with Database(tmp_path / "outbox.db") as database:
        async with Outbox(database, BOX, most_held=10) as outbox:
            for n in range(1, 26):
                await outbox.commit([event(str(n), routine=n not in (3, 4, 12))])
            batch = await outbox.batch(0)
            assert [one.sequence for one in batch.receipts] == [3, 4, 12, *range(19, 26)]
            assert [(span.first, span.last) for span in batch.dropped] == [(1, 2), (5, 11), (13, 18)]
            assert (batch.oldest, outbox.oldest, outbox.last, outbox.waiting) == (3, 3, 25, 10)
            assert batch.previous == batch.dropped[0].chain
            value = batch.previous
            after = {span.first - 1: span.chain for span in batch.dropped}
            for receipt in batch.receipts:
                value = link(value, receipt)
                value = after.get(receipt.sequence, value)
            assert value == outbox._extent.chain
            assert database.read(lambda connection: check(connection, BOX)).whole
            await outbox.acknowledge(12)
            batch = await outbox.batch(0)
            assert [(span.first, span.last) for span in batch.dropped] == [(13, 18)]
            assert (outbox.oldest, outbox.waiting) == (19, 7)
        async with Outbox(database, BOX, most_held=10) as outbox:
            assert await outbox.batch(0) == batch
            assert database.read(lambda connection: check(connection, BOX)).whole


@running
async def test_only_urgent_ones_leave_oldest_first(tmp_path: Path) -> None:
    with Database(tmp_path / "outbox.db") as database:
        async with Outbox(database, BOX, most_held=10) as outbox:
            await outbox.commit(event(str(n), routine=False) for n in range(1, 26))
            batch = await outbox.batch(0)
            assert [one.sequence for one in batch.receipts] == list(range(16, 26))
            assert [(span.first, span.last) for span in batch.dropped] == [(1, 15)]
