"""The server's door for what boxes send: what is true is stored and acknowledged, all else is counted and dropped."""

from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import timedelta

import pytest

from broadcaster.publisher.intake import Intake
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeups
from devices import messages, topics
from devices.chain import START, link
from devices.envelope import LONGEST_BYTES, SigningKey, seal
from devices.link import Message
from devices.messages import Dropped, Outcome, Receipts, Status
from tests.broadcaster.commune import NOW, enrolled, receipt, receipts, settle_commune, status
from tests.fakes.store import MemoryDefinitions, MemoryJournal


@pytest.fixture
def memory() -> Store:
    store = Store(definitions=MemoryDefinitions(), journal=MemoryJournal(), wakeups=Wakeups())
    settle_commune(store)
    return store


@pytest.fixture
def box(memory: Store) -> SigningKey:
    """The key of box-1, which serves nam-chanh-1."""
    return enrolled(memory)


@pytest.fixture
def intake(memory: Store) -> Intake:
    return Intake(store=memory)


def said(document: Status | Receipts, key: SigningKey, *, on: str | None = None, typ: str | None = None) -> Message:
    is_status = isinstance(document, Status)
    topic = (topics.status if is_status else topics.receipts)(on or document.box)
    kind = typ or (messages.STATUS if is_status else messages.RECEIPTS)
    return Message(topic=topic, payload=seal(document.to_bytes(), kind, key), retained=False)


PLAYED = receipt(1, Outcome.FINISHED, slot="p@1", heard=60.0)


def test_what_is_true_is_stored_and_acknowledged(intake: Intake, box: SigningKey, memory: Store) -> None:
    complete = intake.take([said(status(playlist=3), box), said(receipts(PLAYED), box)], now=NOW)
    assert complete == {"box-1": 1}
    assert memory.journal.statuses() == {"box-1": (NOW, status(playlist=3))}
    [(_, sender, cluster, stored)] = memory.journal.receipts()
    assert (sender, cluster, stored) == ("box-1", "nam-chanh-1", PLAYED)
    assert intake.refused == {}


def test_what_comes_twice_is_stored_once_and_acknowledged_twice(intake: Intake, box: SigningKey, memory: Store) -> None:
    """The acknowledgement was lost: only another one lets the box go on."""
    message = said(receipts(PLAYED), box)
    assert intake.take([message, message], now=NOW) == {"box-1": 1}
    assert intake.take([message], now=NOW) == {"box-1": 1}
    assert memory.journal.last_receipt() == 1


def test_receipts_with_a_gap_are_acknowledged_up_to_it(intake: Intake, box: SigningKey) -> None:
    def of(*sequences: int, oldest: int = 1) -> Message:
        return said(receipts(*(receipt(each, Outcome.STARTED) for each in sequences), oldest=oldest), box)

    assert intake.take([of(1, 2)], now=NOW) == {"box-1": 2}
    assert intake.take([of(5, 6)], now=NOW) == {"box-1": 2}
    assert intake.take([of(3), of(4)], now=NOW) == {"box-1": 6}
    assert intake.take([of(20, oldest=20)], now=NOW) == {"box-1": 20}, "what lies below will never come"


def test_receipts_that_do_not_fit_their_chain_are_stored_and_told_once(
    intake: Intake, box: SigningKey, memory: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def of(sequence: int, previous: str) -> Message:
        document = receipts(receipt(sequence, Outcome.STARTED))
        return said(document.model_copy(update={"previous": previous}), box)

    gone = "ab" * 32
    messages = [of(1, START), of(2, gone), of(2, gone), of(3, link(gone, receipt(2, Outcome.STARTED)))]
    assert intake.take(messages, now=NOW) == {"box-1": 3}
    [fact] = memory.journal.facts(kind="receipts.chain_broken")
    assert (fact.subject, fact.body, fact.by) == ("box-1", {"sequence": 2}, None)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "receipts do not fit their chain box=box-1 sequence=2"
    ]


def test_what_left_a_full_box_is_not_waited_for(intake: Intake, box: SigningKey) -> None:
    document = receipts(receipt(1, Outcome.STARTED), receipt(5, Outcome.STARTED))
    left = Dropped(first=2, last=4, chain="ab" * 32)
    assert intake.take([said(document.model_copy(update={"dropped": (left,)}), box)], now=NOW) == {"box-1": 5}


def test_a_status_that_was_cleared_is_nothing(intake: Intake, box: SigningKey, memory: Store) -> None:
    assert intake.take([Message(topic=topics.status("box-1"), payload=b"", retained=True)], now=NOW) == {}
    assert memory.journal.statuses() == {}
    assert intake.refused == {}


def garbled(message: Message, **changed: object) -> Message:
    return replace(message, **changed)  # type: ignore[arg-type]


def flipped(message: Message) -> Message:
    head, payload, signature = message.payload.split(b".")
    other = b"A" if payload[:1] != b"A" else b"B"
    return replace(message, payload=b".".join((head, other + payload[1:], signature)))


STRANGER = SigningKey.generate()


@pytest.mark.parametrize(
    "code",
    [
        "unknown_key", "wrong_box", "wrong_cluster", "wrong_type", "unknown_box", "unknown_topic", "bad_signature",
        "malformed", "too_long", "bad_header", "bad_format", "not json",
    ],
)  # fmt: skip
def test_what_is_not_true_is_dropped_and_counted(intake: Intake, box: SigningKey, memory: Store, code: str) -> None:
    true = said(status(), box)
    lie = {
        "unknown_key": said(status(), STRANGER),
        "wrong_box": said(status(box="box-2"), box, on="box-1"),
        "wrong_cluster": said(status(cluster="ngan-ro-1"), box),
        "wrong_type": garbled(said(receipts(PLAYED), box), topic=topics.status("box-1")),
        "unknown_box": said(status(box="box-9"), box),
        "unknown_topic": garbled(true, topic="loa/1/boxes/box-1/orders"),
        "bad_signature": flipped(true),
        "malformed": garbled(true, payload=b"\x00\xff" * 40),
        "too_long": garbled(true, payload=b"a" * (LONGEST_BYTES + 1)),
        "bad_header": garbled(true, payload=urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=") + b".e30." + b"A" * 86),
        "bad_format": garbled(true, payload=seal(b'{"format": 2}', messages.STATUS, box)),
        "not json": garbled(true, payload=seal(b"[" * 100_000, messages.STATUS, box)),
    }[code]
    expected = "bad_format" if code == "not json" else code
    assert intake.take([lie, said(receipts(PLAYED), box)], now=NOW) == {"box-1": 1}, "the next one is not held up"
    assert dict(intake.refused) == {expected: 1}
    assert memory.journal.statuses() == {}
    assert memory.journal.last_receipt() == 1


def test_a_retired_box_is_not_listened_to(intake: Intake, box: SigningKey, memory: Store) -> None:
    intake.take([said(status(), box)], now=NOW)
    memory.definitions.boxes.change("box-1", lambda old: replace(old, retired_at=NOW))
    assert intake.take([said(receipts(PLAYED), box)], now=NOW) == {}
    assert dict(intake.refused) == {"unknown_box": 1}
    assert memory.journal.last_receipt() == 0


def test_any_number_of_lies_is_one_warning(intake: Intake, box: SigningKey, caplog: pytest.LogCaptureFixture) -> None:
    intake.take([said(status(), STRANGER, on="box-1")] * 50, now=NOW)
    assert intake.refused["unknown_key"] == 50
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


def test_a_receipt_causes_no_plan(intake: Intake, box: SigningKey, memory: Store) -> None:
    """What comes back never causes what goes out: facts and definitions stay as they are."""
    before = memory.definitions.change_count(), memory.journal.last_sequence()
    intake.take([said(receipts(PLAYED), box), said(status(playlist=1), box)], now=NOW)
    assert (memory.definitions.change_count(), memory.journal.last_sequence()) == before
    assert memory.journal.publications() == {}


def test_an_old_status_again_is_dropped_and_counted(intake: Intake, box: SigningKey, memory: Store) -> None:
    later = NOW + timedelta(minutes=30)
    first, second = status(playlist=1), status(playlist=2, at=NOW + timedelta(minutes=15))
    intake.take([said(first, box), said(second, box)], now=NOW)
    intake.take([said(first, box)], now=later)
    assert dict(intake.refused) == {"stale": 1}
    intake.take([said(second, box)], now=later)
    assert dict(intake.refused) == {"stale": 1}, "QoS 1 may deliver twice"
    assert memory.journal.statuses() == {"box-1": (NOW, second)}, "neither makes the box look alive"


def test_what_the_broker_held_is_told_with_its_age(intake: Intake, box: SigningKey, memory: Store) -> None:
    later = NOW + timedelta(hours=2)
    for one in (status(playlist=1), status(playlist=2, at=NOW + timedelta(hours=1)), status(playlist=1)):
        intake.take([replace(said(one, box), retained=True)], now=later)
    assert memory.journal.statuses() == {"box-1": (NOW, status(playlist=2, at=NOW + timedelta(hours=1)))}
    assert intake.refused == {}, "it is nobody's fault that a broker kept an old one"


def test_a_will_counts_although_it_was_sealed_before(intake: Intake, box: SigningKey, memory: Store) -> None:
    will = status(online=False)
    intake.take([said(status(at=NOW + timedelta(hours=1)), box), said(will, box)], now=NOW)
    assert not memory.journal.statuses()["box-1"][1].online


def test_a_server_whose_clock_was_set_back_still_hears_its_boxes(
    intake: Intake, box: SigningKey, memory: Store
) -> None:
    intake.take([said(status(playlist=3), box)], now=NOW + timedelta(hours=1))
    later = status(playlist=4, at=NOW + timedelta(seconds=1))
    intake.take([said(later, box)], now=NOW)
    assert memory.journal.statuses()["box-1"][1].playlist == 4
