"""A stolen box: its key is genuine, its words are not. It may lie about itself; it must not bring the server down."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.config import Settings
from broadcaster.flow.plan import Board
from broadcaster.publisher.intake import Intake
from broadcaster.publisher.playlists import Planner
from broadcaster.store.journal import SqliteJournal
from broadcaster.store.port import Journal
from broadcaster.store.records import Box
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeups
from devices import envelope, messages, topics
from devices.envelope import SigningKey
from devices.link import Message
from devices.messages import Status
from schedules.zones import Cluster, Zone
from tests.attacks.forging import BOX, MALLORY, NOW, SERVER, receipts, status
from tests.fakes.store import MemoryDefinitions, MemoryJournal

CLUSTER = "nam-chanh-1"


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    journal: Journal = MemoryJournal() if request.param == "memory" else SqliteJournal(tmp_path / "journal.db")
    found = build(journal)
    yield found
    found.journal.close()


def build(journal: Journal) -> Store:
    """Return a store with one cluster and its box, and another box whose place was taken."""
    definitions = MemoryDefinitions()
    definitions.zones.add(Zone(id="nam-chanh", name="Nam Chánh", kind="ấp"))
    definitions.clusters.add(Cluster(id=CLUSTER, name="Cụm", zone="nam-chanh"))
    for name, key, retired in (("box-1", BOX, None), ("box-0", MALLORY, NOW)):
        definitions.boxes.add(
            Box(
                id=name,
                cluster=CLUSTER,
                public_key=key.public().to_jwk(),
                software=None,
                enrolled_at=NOW,
                retired_at=retired,
            )
        )
    return Store(definitions=definitions, journal=journal, wakeups=Wakeups())


def sealed(document: dict[str, Any], typ: str, key: SigningKey = BOX) -> bytes:
    return envelope.seal(json.dumps(document).encode(), typ, key)


def on(topic: Callable[[str], str], payload: bytes, box: str = "box-1") -> Message:
    return Message(topic=topic(box), payload=payload, retained=False)


def genuine(sequence: int = 4) -> Message:
    (one,) = receipts()["receipts"]
    said = receipts(receipts=[{**one, "id": f"{sequence:032x}", "sequence": sequence}])
    return on(topics.receipts, sealed(said, messages.RECEIPTS))


def test_what_is_genuine_is_stored(store: Store) -> None:
    intake = Intake(store=store)
    intake.take([on(topics.status, sealed(status(), messages.STATUS)), genuine()], now=NOW)
    assert store.journal.statuses()["box-1"][1].playlist == 7
    assert len(store.journal.receipts()) == 1
    assert not intake.refused


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (on(topics.status, sealed(status(), messages.STATUS, MALLORY)), "unknown_key"),
        (on(topics.status, sealed(status(), messages.RECEIPTS)), "wrong_type"),
        (on(topics.receipts, sealed(status(), messages.STATUS)), "wrong_type"),
        (on(topics.status, sealed(status(box="box-0"), messages.STATUS)), "wrong_box"),
        (on(topics.status, sealed(status(cluster="mo-o-1"), messages.STATUS)), "wrong_cluster"),
        (on(topics.receipts, sealed(receipts(cluster="mo-o-1"), messages.RECEIPTS)), "wrong_cluster"),
        (on(topics.status, sealed(status(box="box-0"), messages.STATUS, MALLORY), "box-0"), "unknown_box"),
        (on(topics.status, sealed(status(), messages.STATUS), "box-9"), "unknown_box"),
        (on(topics.playlist, sealed(status(), messages.STATUS)), "unknown_topic"),
        (on(topics.acknowledgement, b""), "unknown_topic"),
        (on(topics.receipts, b"\x00" * 1000), "malformed"),
        (on(topics.receipts, b"A" * 300_000), "too_long"),
        (on(topics.status, sealed(status(at="0001-01-01T00:00:00+14:00"), messages.STATUS)), "bad_format"),
        (on(topics.status, sealed(status(free_bytes=10**30), messages.STATUS)), "bad_format"),
        (on(topics.receipts, sealed(receipts(oldest=10**30), messages.RECEIPTS)), "bad_format"),
        (on(topics.receipts, sealed(receipts(receipts=receipts()["receipts"] * 101), messages.RECEIPTS)), "bad_format"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_lie_is_dropped_and_counted_and_the_next_message_stored(store: Store, message: Message, code: str) -> None:
    intake = Intake(store=store)
    for _ in range(3):
        intake.take([message, genuine()], now=NOW)
    assert intake.refused == {code: 3}
    assert "box-0" not in store.journal.statuses()
    assert [receipt.sequence for _, _, _, receipt in store.journal.receipts()] == [4]


def test_a_retained_status_that_was_cleared_is_no_lie(store: Store) -> None:
    intake = Intake(store=store)
    intake.take([on(topics.status, b"")], now=NOW)
    assert not intake.refused


_NUMBERS = st.integers(-(2**70), 2**70) | st.sampled_from([0, 1, 2**31, 2**53 - 1, 2**53, 2**53 + 1, 2**63, 10**30])
_TEXTS = st.text(max_size=30) | st.sampled_from(["\x00", "a" * 201, "' OR 1=1 --", "<script>", "‮"])
_INSTANTS = st.datetimes().map(lambda t: t.isoformat() + "Z") | st.sampled_from(
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1970-01-01T00:00:00Z", "9000-12-31T23:59:59Z"]
)
_VALUES = st.none() | st.booleans() | _NUMBERS | st.floats() | _TEXTS | _INSTANTS


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_a_box_signs_the_intake_goes_on(data: st.DataObject) -> None:
    store = build(MemoryJournal())
    intake = Intake(store=store)
    said, receipt = status(), receipts()["receipts"][0]
    for document in (said, receipt):
        for name in data.draw(st.lists(st.sampled_from([*document, "tomorrow", "free_bytes", "heard"]), max_size=3)):
            document[name] = data.draw(_VALUES)
    report = receipts(receipts=[receipt], oldest=data.draw(_NUMBERS | st.just(4)))
    report["previous"] = data.draw(_VALUES | st.just("0" * 64))
    span = st.fixed_dictionaries({"first": _NUMBERS, "last": _NUMBERS, "chain": _VALUES | st.just("ab" * 32)})
    report["dropped"] = data.draw(_VALUES | st.lists(span, max_size=3))
    lies = [
        on(topics.status, sealed(said, messages.STATUS)),
        on(topics.receipts, sealed(report, messages.RECEIPTS)),
    ]
    complete = intake.take([*lies, genuine(5)], now=NOW)
    assert 5 in {stored.sequence for _, _, _, stored in store.journal.receipts()}
    assert 0 <= complete["box-1"] <= 2**53


@settings(max_examples=60, deadline=None)
@given(oldest=st.integers(1, 2**53), sequence=st.integers(1, 2**53), free=st.integers(0, 2**53))
def test_the_largest_numbers_of_the_wire_fit_the_journal(
    tmp_path_factory: pytest.TempPathFactory, oldest: int, sequence: int, free: int
) -> None:
    journal = SqliteJournal(tmp_path_factory.mktemp("journal") / "journal.db")
    try:
        store = build(journal)
        (one,) = receipts()["receipts"]
        report = receipts(oldest=oldest, receipts=[{**one, "sequence": sequence, "playlist": 2**53}])
        intake = Intake(store=store)
        intake.take(
            [
                on(topics.status, sealed(status(free_bytes=free, at="9000-12-31T23:59:59Z"), messages.STATUS)),
                on(topics.receipts, sealed(report, messages.RECEIPTS)),
            ],
            now=NOW,
        )
        assert not intake.refused
        assert [receipt.sequence for _, _, _, receipt in journal.receipts()] == [sequence]
        assert journal.statuses()["box-1"][1].free_bytes == free
    finally:
        journal.close()


@pytest.mark.parametrize("version", [2**53, 2**53 - 1, 2**41])
def test_a_box_that_claims_the_last_version_there_is_does_not_stop_the_planner(store: Store, version: int) -> None:
    planner = Planner(
        store=store, board=Board(store.definitions, Settings()), settings=Settings(), key=SERVER, planned=lambda: None
    )
    lie = Status(box="box-1", cluster=CLUSTER, at=NOW, online=True, playlist=version)
    store.journal.store_status(lie, received_at=NOW)
    for days in (0, 1):
        planner.turn(NOW + timedelta(days=days))
        assert store.journal.publications()[CLUSTER].version == days + 1


def test_versions_go_on_from_what_an_honest_box_holds_when_the_store_is_an_old_copy(store: Store) -> None:
    planner = Planner(
        store=store, board=Board(store.definitions, Settings()), settings=Settings(), key=SERVER, planned=lambda: None
    )
    said = Status(box="box-1", cluster=CLUSTER, at=NOW, online=True, playlist=412)
    store.journal.store_status(said, received_at=NOW)
    planner.turn(NOW)
    assert store.journal.publications()[CLUSTER].version == 413
