"""Box and server under any order of events: nothing is lost but what left a full box, and no break is seen."""

import sqlite3
from contextlib import closing

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from devices.agent.memory import held
from devices.agent.memory.checking import check, mend
from devices.agent.memory.tables import prepare
from devices.messages import Outcome, Receipt, Receipts
from tests.fakes.clock import START
from tests.fakes.store import MemoryJournal

BOX = "box-1"
MOST_HELD = 12


class Convergence(RuleBasedStateMachine):
    """A small box whose messages and acknowledgements come late, twice, in another order, or never."""

    def __init__(self) -> None:
        super().__init__()
        self.file = sqlite3.connect(":memory:", isolation_level=None)
        prepare(self.file)
        self.journal = MemoryJournal()
        self.said = 0
        self.sent = 0
        self.under_way: list[Receipts] = []
        self.acknowledged: list[int] = []
        self.dropped: set[str] = set()

    def teardown(self) -> None:
        with closing(self.file):
            self.all_arrives_at_last()

    @rule(routine=st.lists(st.booleans(), min_size=1, max_size=5))
    def something_happens(self, routine: list[bool]) -> None:
        before = self.ids()
        said = []
        for each in routine:
            self.said += 1
            said.append((each, receipt(self.said)))
        held.append(self.file, BOX, said, {}, most_held=MOST_HELD)
        self.dropped |= before - self.ids()
        self.dropped |= {one.id for _, one in said} - self.ids()

    @rule()
    def it_sends(self) -> None:
        batch = held.batch(self.file, BOX, self.sent)
        if batch.receipts:
            held.note_sent(self.file, BOX, batch.told)
            self.under_way.append(message(batch))
            self.sent = batch.receipts[-1].sequence

    @rule()
    def it_sends_all_again(self) -> None:
        self.sent = 0
        self.it_sends()

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), again=st.booleans())
    def a_message_arrives(self, data: st.DataObject, again: bool) -> None:
        at = data.draw(st.integers(0, len(self.under_way) - 1))
        document = self.under_way[at] if again else self.under_way.pop(at)
        stored = self.journal.store_receipts(document, received_at=START)
        assert stored.broken is None
        self.acknowledged.append(stored.complete)

    @precondition(lambda self: self.under_way)
    @rule()
    def a_message_is_lost(self) -> None:
        self.under_way.pop()

    @precondition(lambda self: self.acknowledged)
    @rule(data=st.data())
    def an_acknowledgement_arrives(self, data: st.DataObject) -> None:
        held.drop(self.file, BOX, self.acknowledged.pop(data.draw(st.integers(0, len(self.acknowledged) - 1))))

    @rule()
    def it_starts_anew(self) -> None:
        self.sent = 0
        assert mend(self.file, BOX).whole

    @invariant()
    def nothing_is_lost(self) -> None:
        stored = {row[3].id for row in self.journal.receipts(limit=10_000)}
        assert {f"{n:032x}" for n in range(1, self.said + 1)} <= stored | self.ids() | self.dropped
        assert check(self.file, BOX).whole
        assert len(self.ids()) == held.extent(self.file, BOX).held <= MOST_HELD

    def all_arrives_at_last(self) -> None:
        self.something_happens([True])
        for _ in range(3):
            self.it_sends_all_again()
            while self.under_way:
                stored = self.journal.store_receipts(self.under_way.pop(0), received_at=START)
                assert stored.broken is None
                held.drop(self.file, BOX, stored.complete)
        assert held.extent(self.file, BOX)[:3] == (self.said + 1, self.said, 0)
        assert held.read_spans(self.file, BOX) == []
        self.nothing_is_lost()

    def ids(self) -> set[str]:
        receipts = self.file.execute("SELECT body FROM receipts")
        return {Receipt.model_validate_json(body).id for (body,) in receipts}


def receipt(number: int) -> Receipt:
    return Receipt(id=f"{number:032x}", sequence=1, at=START, outcome=Outcome.STARTED, slot=str(number))


def message(batch: held.Batch) -> Receipts:
    return Receipts(
        box=BOX,
        cluster="c",
        oldest=batch.oldest,
        receipts=batch.receipts,
        previous=batch.previous,
        dropped=batch.dropped or None,
    )


Convergence.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_box_and_server_converge = Convergence.TestCase
