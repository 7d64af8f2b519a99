"""The contract of ``Definitions``, on TinyDB and on the fake; then what TinyDB's file promises beyond it."""

import contextlib
import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from broadcaster.store.port import (
    AlreadyExists,
    Damaged,
    Definitions,
    NotFound,
    RevisionConflict,
    StoreError,
    Unwritable,
)
from broadcaster.store.records import Box, Enrolment, Official, Rendition, Role, Session, Sound, SoundState
from broadcaster.store.tiny import TinyDefinitions
from schedules.days import Days, DayType
from schedules.lateness import JOIN, IfLate, Late
from schedules.levels import Level, Side
from schedules.programmes import Approval, IfTaken, Item, Programme, Yielding
from schedules.recurrence import Every, Recurrence
from schedules.rules import Hold, Hours, LocalRules, Loudest
from schedules.verdicts import Decision
from schedules.zones import Cluster, Location, Targets, Zone
from tests.fakes.store import MemoryDefinitions

NOW = datetime(2025, 3, 9, 22, 0, 0, 123456, tzinfo=UTC)


def official(name: str, *, revision: int = 1) -> Official:
    return Official(id=name, role=Role.OFFICIAL, password_hash="x", created_at=NOW, revision=revision)


def promoted(person: Official) -> Official:
    return replace(person, role=Role.ADMIN)


def unchanged(person: Official) -> Official:
    return person


def enrolment(number: int) -> Enrolment:
    return Enrolment(id=f"e{number}", cluster="0", expires_at=NOW)


def one_more(enrolment: Enrolment) -> Enrolment:
    return replace(enrolment, cluster=str(int(enrolment.cluster) + 1))


@pytest.fixture(params=["tiny", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Definitions]:
    store: Definitions = TinyDefinitions(tmp_path) if request.param == "tiny" else MemoryDefinitions()
    with contextlib.closing(store):
        yield store


class TestCollection:
    def test_added_record_is_found_at_revision_1(self, store: Definitions) -> None:
        added = store.officials.add(official("lan", revision=7))
        assert added == official("lan", revision=1)
        assert store.officials.get("lan") == store.officials.find("lan") == added

    def test_same_id_twice_is_refused_and_the_first_one_stays(self, store: Definitions) -> None:
        store.officials.add(official("lan"))
        with pytest.raises(AlreadyExists, match="'lan'") as caught:
            store.officials.add(promoted(official("lan")))
        assert caught.value.fields == {"collection": "officials", "id": "lan"}
        assert store.officials.get("lan").role is Role.OFFICIAL

    def test_same_id_in_two_collections_is_two_records(self, store: Definitions) -> None:
        store.officials.add(official("lan"))
        store.sessions.add(Session(id="lan", official="lan", expires_at=NOW))
        store.officials.remove("lan")
        assert store.sessions.get("lan").official == "lan"

    @pytest.mark.parametrize("call", ["get", "remove", "change"])
    def test_what_is_not_there_is_not_found(self, store: Definitions, call: str) -> None:
        arguments = ("lan", promoted) if call == "change" else ("lan",)
        with pytest.raises(NotFound, match="'lan'") as caught:
            getattr(store.officials, call)(*arguments)
        assert caught.value.fields == {"collection": "officials", "id": "lan"}
        assert store.officials.find("lan") is None

    def test_all_keeps_the_order_of_addition(self, store: Definitions) -> None:
        names = ["lan", "an", "10", "9", "hoa"]
        for name in names:
            store.officials.add(official(name))
        store.officials.change("an", promoted)
        store.officials.remove("9")
        store.officials.add(official("9"))
        assert [person.id for person in store.officials.all()] == ["lan", "an", "10", "hoa", "9"]

    def test_each_change_raises_the_revision_by_one(self, store: Definitions) -> None:
        store.officials.add(official("lan"))
        assert store.officials.change("lan", promoted) == promoted(official("lan", revision=2))
        third = store.officials.change("lan", lambda person: replace(person, revision=50), expected=2)
        assert third.revision == store.officials.get("lan").revision == 3

    def test_change_that_returns_its_argument_writes_nothing(self, store: Definitions) -> None:
        store.officials.add(official("lan"))
        before = store.change_count()
        assert store.officials.change("lan", unchanged).revision == 1
        assert store.change_count() == before

    def test_change_of_an_old_revision_conflicts(self, store: Definitions) -> None:
        store.officials.add(official("lan"))
        store.officials.change("lan", promoted)
        with pytest.raises(RevisionConflict) as caught:
            store.officials.change("lan", unchanged, expected=1)
        expected = {"collection": "officials", "id": "lan", "expected": 1, "actual": 2}
        assert caught.value.fields == expected

    def test_change_that_raises_or_takes_another_id_changes_nothing(self, store: Definitions) -> None:
        store.officials.add(official("lan"))
        before = store.change_count()
        with pytest.raises(ZeroDivisionError):
            store.officials.change("lan", lambda person: replace(person, id=str(1 // 0)))
        with pytest.raises(ValueError, match="keep the id"):
            store.officials.change("lan", lambda person: replace(person, id="hoa"))
        assert store.officials.all() == (official("lan"),)
        assert store.change_count() == before

    def test_record_in_hand_does_not_change(self, store: Definitions) -> None:
        store.officials.add(official("lan"))
        held, everyone = store.officials.get("lan"), store.officials.all()
        store.officials.change("lan", promoted)
        store.officials.add(official("hoa"))
        assert held == official("lan")
        assert everyone == (held,)

    def test_removed_record_leaves_and_may_come_again_at_revision_1(self, store: Definitions) -> None:
        store.officials.add(official("lan"))
        changed = store.officials.change("lan", promoted)
        assert store.officials.remove("lan") == changed
        assert store.officials.all() == ()
        store.officials.add(official("lan"))
        assert store.officials.get("lan") == official("lan")

    def test_all_is_the_same_object_until_a_record_of_the_noun_changes(self, store: Definitions) -> None:
        assert store.officials.all() is store.officials.all()
        store.officials.add(official("lan"))
        both = store.officials.add(official("hoa")), store.officials.all()
        store.enrolments.add(enrolment(1))
        store.officials.change("lan", unchanged)
        assert store.officials.all() is both[1]
        store.officials.change("lan", promoted)
        assert store.officials.all() is not both[1]
        assert store.officials.get("hoa") is both[1][1], "one that stays as it is stays the same object"

    def test_all_is_the_same_object_after_a_transaction_that_failed(self, store: Definitions) -> None:
        store.officials.add(official("lan"))
        everyone = store.officials.all()
        with pytest.raises(ZeroDivisionError), store.transaction():
            assert store.officials.all() is everyone
            store.officials.add(official("hoa"))
            assert len(store.officials.all()) == 2
            store.officials.change("lan", lambda person: replace(person, id=str(1 // 0)))
        assert store.officials.all() is everyone

    def test_record_whose_id_is_made_of_its_fields_is_found_and_replaced(self, store: Definitions) -> None:
        decision = Decision(above="t@20250310T000000Z", ours="c@20250310T000000Z", first=Side.OURS, by="lan", at=NOW)
        assert store.decisions.add(decision) == decision
        with pytest.raises(AlreadyExists):
            store.decisions.add(replace(decision, first=Side.ABOVE))
        changed = store.decisions.change(decision.id, lambda old: replace(old, first=Side.ABOVE))
        assert (changed.first, changed.revision) == (Side.ABOVE, 2)
        with pytest.raises(ValueError, match="keep the id"):
            store.decisions.change(decision.id, lambda old: replace(old, ours="other"))
        assert store.decisions.all() == (changed,)

    def test_change_count_differs_after_every_write(self, store: Definitions) -> None:
        counts = [store.change_count()]
        for number in range(50):  # the kernel's file times advance in steps of 4 ms
            store.enrolments.add(enrolment(number))
            counts.append(store.change_count())
        store.enrolments.change("e0", one_more)
        counts.append(store.change_count())
        store.enrolments.remove("e0")
        counts.append(store.change_count())
        store.enrolments.find("e1")
        assert len(set(counts)) == len(counts)
        assert store.change_count() == counts[-1]


class TestTransaction:
    def test_all_writes_are_stored_and_seen_inside(self, store: Definitions) -> None:
        store.officials.add(official("lan"))
        with store.transaction():
            store.officials.add(official("hoa"))
            store.officials.change("lan", promoted)
            store.officials.change("lan", unchanged, expected=2)
            store.sessions.add(Session(id="s", official="hoa", expires_at=NOW))
            assert [person.id for person in store.officials.all()] == ["lan", "hoa"]
            store.officials.remove("hoa")
            assert store.officials.find("hoa") is None
        assert store.officials.all() == (promoted(official("lan", revision=2)),)
        assert store.sessions.get("s").official == "hoa"

    def test_exception_undoes_all_of_it(self, store: Definitions) -> None:
        store.officials.add(official("lan"))
        before = store.change_count()
        with pytest.raises(ZeroDivisionError), store.transaction():
            store.officials.change("lan", promoted)
            store.officials.add(official("hoa"))
            store.sessions.add(Session(id="s", official="hoa", expires_at=NOW))
            raise ZeroDivisionError
        assert store.officials.all() == (official("lan"),)
        assert store.sessions.all() == ()
        assert store.change_count() == before

    def test_undone_revision_is_given_again_to_other_content(self, store: Definitions) -> None:
        store.officials.add(official("lan"))
        with pytest.raises(ZeroDivisionError), store.transaction():
            store.officials.change("lan", promoted)
            raise ZeroDivisionError
        store.officials.change("lan", lambda person: replace(person, password_hash="y"))
        assert store.officials.get("lan") == replace(official("lan", revision=2), password_hash="y")

    def test_refused_write_inside_leaves_the_others(self, store: Definitions) -> None:
        with store.transaction():
            store.officials.add(official("lan"))
            with pytest.raises(AlreadyExists):
                store.officials.add(official("lan"))
            store.officials.add(official("hoa"))
        assert [person.id for person in store.officials.all()] == ["lan", "hoa"]

    def test_empty_transaction_writes_nothing(self, store: Definitions) -> None:
        before = store.change_count()
        with store.transaction():
            store.officials.all()
        assert store.change_count() == before

    def test_transactions_do_not_nest(self, store: Definitions) -> None:
        with store.transaction():
            store.officials.add(official("lan"))
            with pytest.raises(RuntimeError, match="nest"), store.transaction():
                pass
        with store.transaction():
            store.officials.change("lan", promoted)
        assert store.officials.get("lan").revision == 2

    def test_other_threads_read_the_old_state_and_do_not_wait(self, store: Definitions) -> None:
        store.officials.add(official("lan"))
        before = store.change_count()
        with ThreadPoolExecutor(1) as other:
            with store.transaction():
                store.officials.change("lan", promoted)
                store.officials.add(official("hoa"))
                assert other.submit(store.officials.all).result(timeout=5) == (official("lan"),)
                assert other.submit(store.change_count).result(timeout=5) == before
                assert store.officials.get("lan").revision == 2
            assert len(other.submit(store.officials.all).result(timeout=5)) == 2

    def test_writer_in_another_thread_comes_after_the_transaction(self, store: Definitions) -> None:
        store.enrolments.add(enrolment(1))
        begun = threading.Event()

        def write() -> Enrolment:
            begun.set()
            return store.enrolments.change("e1", one_more)

        with ThreadPoolExecutor(1) as other:
            with store.transaction():
                second = other.submit(write)
                begun.wait(timeout=5)
                store.enrolments.change("e1", one_more)
            assert second.result(timeout=5).cluster == "2"

    def test_eight_threads_lose_no_update(self, store: Definitions) -> None:
        store.enrolments.add(enrolment(0))

        def count(thread: int) -> None:
            for turn in range(25):
                store.enrolments.change("e0", one_more)
                with store.transaction():
                    store.enrolments.add(enrolment(1 + thread * 25 + turn))

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(count, range(8)))
        assert store.enrolments.get("e0").cluster == "200"
        assert store.enrolments.get("e0").revision == 201
        assert len(store.enrolments.all()) == 201


def test_every_noun_comes_back_from_the_file_as_it_was(tmp_path: Path) -> None:
    digest = "ab" * 32
    rendition = Rendition(
        digest=digest,
        size_bytes=4096,
        duration=timedelta(seconds=3, microseconds=7),
        media_type="audio/ogg",
        loudness_lufs=-16.04,
        peak_dbtp=-1.3,
    )
    recurrence = Recurrence(
        start=datetime(2025, 3, 10, 5, 0),
        rule="FREQ=DAILY",
        until=datetime(2025, 4, 1),
        excluded=(datetime(2025, 3, 12, 5, 0),),
        excluded_days=(date(2025, 3, 14),),
        every=Every(minutes=90, first=time(5), last=time(17, 30)),
        duration=timedelta(minutes=12),
        added=(datetime(2025, 5, 1, 4, 45),),
        only_on=("working",),
        not_on=("holidays", "exams"),
    )
    programme = Programme(
        id="p1",
        title="Bản tin 5 giờ “sáng”\n",
        level=Level.PRIORITY,
        items=(Item(sound=digest, rendition=digest, duration=timedelta(seconds=3.5)), Item(sound=digest)),
        targets=Targets(zones=("lich-hoi-thuong",), tags=("chợ",), excluded=("ap-giua",), excluded_tags=("bệnh viện",)),
        recurrence=recurrence,
        tier="province",
        if_taken=IfTaken(action=Yielding.MOVE, most_move=timedelta(minutes=40)),
        if_late=IfLate(action=Late.WHOLE, within=timedelta(minutes=30)),
        reason="Bão số 5",
        author="lan",
        created_at=NOW,
        approval=Approval(by="hoa", at=NOW, digest=digest),
    )
    rules = LocalRules(
        quiet=(Hours(start=time(22), end=time(5)), Hours(start=time(11, 30), end=time(13))),
        weekdays=frozenset({0, 4, 6}),
        longest_session=timedelta(minutes=15),
        most_a_day=timedelta(minutes=45),
        sessions_a_day=2,
        gap=timedelta(minutes=30),
        loudest=(Loudest(hours=Hours(start=time(18), end=time(6)), volume=40),),
    )
    hold = Hold(id="h", kind="exam", reason="Thi", start=NOW, end=NOW + timedelta(days=3), by="lan", placed_at=NOW)
    area = {"type": "Point", "coordinates": [106.2, 9.5]}
    records = {
        "zones": Zone(id="z", name="Ấp Chợ", kind="ấp", area=area, rules=rules, holds=(hold,)),
        "clusters": Cluster(id="c", name="Cụm 1", zone="z", location=Location(latitude=9.5, longitude=106.2)),
        "day_types": DayType(
            id="working",
            name="Ngày làm việc",
            days=(Days(first=date(2025, 3, 15), last=date(2025, 3, 16)),),
            weekdays=frozenset(range(5)),
            less=("holidays",),
        ),
        "programmes": programme,
        "decisions": Decision(above="t", ours="p1", first=Side.ABOVE, by="lan", at=NOW),
        "sounds": Sound(
            id=digest,
            title="Nhạc hiệu",
            state=SoundState.READY,
            created_at=NOW,
            author="lan",
            speech={"text": "Kính thưa bà con", "voice": "vi", "rate": 1.0},
            rendition=rendition,
        ),
        "officials": official("lan"),
        "sessions": Session(id=digest, official="lan", expires_at=NOW),
        "enrolments": enrolment(1),
        "boxes": Box(id="b", cluster="c", public_key={"kty": "OKP"}, software=None, enrolled_at=NOW),
    }  # fmt: skip
    with contextlib.closing(TinyDefinitions(tmp_path)) as store:
        for name, record in records.items():
            assert getattr(store, name).add(record) == record
    with contextlib.closing(TinyDefinitions(tmp_path)) as store:
        assert {name: getattr(store, name).all() for name in records} == {n: (r,) for n, r in records.items()}


def write_definitions(directory: Path, tables: dict[str, dict[str, object]]) -> None:
    content = json.dumps(tables).encode()
    header = json.dumps({"format": "loa-definitions", "version": 1, "sha256": hashlib.sha256(content).hexdigest()})
    data = header.removesuffix("}").encode() + b', "content": \n' + content + b"\n}\n"
    (directory / "definitions.json").write_bytes(data)


def test_programme_of_a_loa_that_knew_nothing_of_lateness_is_still_approved_and_joined(tmp_path: Path) -> None:
    digest = "42ab" * 16
    approved = "9a70b11cda3796395fb585e0c0a396a972f8488c003eaf75c1de2ebc5a32e2ff"
    programme = {
        "id": "p", "title": "Bản tin", "level": 3, "author": "lan", "created_at": "2026-01-31T12:00:00Z",
        "items": [{"sound": digest, "rendition": digest, "duration": "PT5M"}],
        "targets": {"zones": ["z"], "clusters": [], "tags": [], "excluded": [], "excluded_tags": []},
        "recurrence": None, "tier": None, "if_taken": {"action": "move", "most_move": None}, "reason": None,
        "approval": {"by": "lan", "at": "2026-01-31T12:00:00Z", "digest": approved},
        "withdrawn_at": None, "failure": None, "revision": 2,
    }  # fmt: skip
    write_definitions(tmp_path, {"programmes": {"p": programme}})
    with contextlib.closing(TinyDefinitions(tmp_path)) as store:
        old = store.programmes.get("p")
        assert (old.if_late, old.is_approved) == (JOIN, True)
        changed = store.programmes.change("p", lambda each: replace(each, if_late=IfLate(action=Late.SKIP)))
        assert (changed.revision, changed.is_approved) == (3, False), "what is heard is not what was approved"


def test_file_of_a_loa_that_knew_fewer_nouns_opens(tmp_path: Path) -> None:
    zone = {"id": "z", "name": "Ấp Chợ", "kind": "ấp", "parent": None, "area": None, "revision": 3}
    write_definitions(tmp_path, {"zones": {"z": zone}})
    with contextlib.closing(TinyDefinitions(tmp_path)) as store:
        assert store.zones.all() == (Zone(id="z", name="Ấp Chợ", kind="ấp", revision=3),)
        assert store.day_types.all() == store.decisions.all() == ()
        store.day_types.add(DayType(id="exams", name="Thi"))
        assert [each.id for each in store.day_types.all()] == ["exams"]


def test_record_that_could_not_be_read_back_is_not_stored(tmp_path: Path) -> None:
    with contextlib.closing(TinyDefinitions(tmp_path)) as store:
        for wrong in (float("nan"), "\ud800", object(), (1, 2)):
            sound = Sound(
                id="a",
                title="x",
                state=SoundState.READY,
                created_at=NOW,
                author="lan",
                speech={"rate": wrong},
            )
            with pytest.raises(ValueError):
                store.sounds.add(sound)
        assert store.sounds.all() == ()
        assert not (tmp_path / "definitions.json").exists()


def test_change_count_rises_though_the_clock_was_set_back(tmp_path: Path) -> None:
    with contextlib.closing(TinyDefinitions(tmp_path)) as store:
        store.officials.add(official("lan"))
        tomorrow = store.change_count() + 86_400 * 10**9
        os.utime(tmp_path / "definitions.json", ns=(tomorrow, tomorrow))
        store.officials.change("lan", promoted)
        assert store.change_count() > tomorrow
        assert store.officials.get("lan").revision == 2


class TestManyHandles:
    def test_two_handles_on_one_directory_see_each_other(self, tmp_path: Path) -> None:
        with (
            contextlib.closing(TinyDefinitions(tmp_path)) as one,
            contextlib.closing(TinyDefinitions(tmp_path)) as two,
        ):
            for number in range(100):  # alternating, faster than the kernel's file times advance
                writer, reader = (one, two) if number % 2 else (two, one)
                writer.enrolments.add(enrolment(number))
                assert reader.enrolments.get(f"e{number}") == enrolment(number)
                assert reader.change_count() == writer.change_count()
            two.enrolments.remove("e1")
            assert one.enrolments.find("e1") is None
            two.enrolments.add(replace(enrolment(1), cluster="9"))
            assert one.enrolments.get("e1").cluster == "9"

    def test_records_that_another_handle_left_as_they_are_stay_the_same_objects(self, tmp_path: Path) -> None:
        with (
            contextlib.closing(TinyDefinitions(tmp_path)) as one,
            contextlib.closing(TinyDefinitions(tmp_path)) as two,
        ):
            one.officials.add(official("lan"))
            everyone = one.officials.all()
            two.enrolments.add(enrolment(1))
            assert one.enrolments.get("e1") == enrolment(1)
            assert one.officials.all() is everyone
            two.officials.add(official("hoa"))
            assert one.officials.all()[0] is everyone[0]

    def test_other_handle_reads_the_old_state_during_a_transaction(self, tmp_path: Path) -> None:
        with (
            contextlib.closing(TinyDefinitions(tmp_path)) as one,
            contextlib.closing(TinyDefinitions(tmp_path)) as two,
        ):
            with one.transaction():
                one.officials.add(official("lan"))
                assert two.officials.all() == ()
            assert two.officials.all() == (official("lan"),)

    def test_two_processes_that_write_at_once_lose_nothing(self, tmp_path: Path) -> None:
        program = (
            "import sys\n"
            "from pathlib import Path\n"
            "from tests.contracts.test_definitions import TinyDefinitions, enrolment, one_more\n"
            "store = TinyDefinitions(Path(sys.argv[1]))\n"
            "input()\n"
            "for number in range(int(sys.argv[2]), int(sys.argv[2]) + 50):\n"
            "    store.enrolments.add(enrolment(number))\n"
            "    store.enrolments.change('e0', one_more)\n"
        )
        with contextlib.closing(TinyDefinitions(tmp_path)) as store:
            store.enrolments.add(enrolment(0))
            writers = [
                subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(first)], stdin=subprocess.PIPE)
                for first in (1, 51)
            ]
            for writer in writers:
                writer.communicate(b"\n", timeout=60)
            assert [writer.returncode for writer in writers] == [0, 0]
            assert store.enrolments.get("e0").cluster == "100"
            assert {record.id for record in store.enrolments.all()} == {f"e{n}" for n in range(101)}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A directory whose file holds two officials, and its copy one."""
    with contextlib.closing(TinyDefinitions(tmp_path)) as store:
        store.officials.add(official("lan"))
        store.officials.add(official("hoa"))
    return tmp_path


def assert_refused(directory: Path, damaged: bytes) -> Damaged:
    """Assert that ``damaged`` in the place of the file is refused, left as it is, and never written over."""
    file = directory / "definitions.json"
    file.write_bytes(damaged)
    with pytest.raises(Damaged) as caught:
        TinyDefinitions(directory)
    assert str(file) in str(caught.value)
    assert file.read_bytes() == damaged
    return caught.value


class TestDamage:
    def test_file_cut_at_any_offset_is_refused(self, written: Path) -> None:
        whole = (written / "definitions.json").read_bytes()
        for length in {*range(0, len(whole), 7), len(whole) - 2, len(whole) - 1}:
            error = assert_refused(written, whole[:length])
            assert error.fields["copy"] == written / "definitions.json.1"
            assert f"cp {written}/definitions.json.1 {written}/definitions.json" in str(error)

    def test_any_flipped_bit_is_refused(self, written: Path) -> None:
        whole = (written / "definitions.json").read_bytes()
        for offset in range(len(whole)):
            flipped = bytearray(whole)
            flipped[offset] ^= 1 << random.Random(offset).randrange(8)
            assert_refused(written, bytes(flipped))

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b'{"officials": {}}\n', "is not a file of Loa"),
            (b'{"format": "other", "content":\n{}\n}\n', "does not name the format loa-definitions"),
            (b"[]", "is not a file of Loa"),
            (b"[" * 100_000, "is not a file of Loa"),
            (b"\xff\xfe", "is not a file of Loa"),
            (
                b'{"format": "loa-definitions", "version": 2, "sha256": "", "content":\n{}\n}\n',
                "has version 2",
            ),
        ],
    )
    def test_foreign_and_newer_files_are_refused(self, written: Path, content: bytes, says: str) -> None:
        assert says in str(assert_refused(written, content))

    def test_whole_file_with_a_record_that_is_none_is_refused(self, written: Path) -> None:
        content = b'{"officials": {"lan": {"id": "lan"}}}'
        header = json.dumps({"format": "loa-definitions", "version": 1, "sha256": hashlib.sha256(content).hexdigest()})
        data = header.removesuffix("}").encode() + b', "content": \n' + content + b"\n}\n"
        (written / "definitions.json").write_bytes(data)
        with (
            contextlib.closing(TinyDefinitions(written)) as store,
            pytest.raises(Damaged, match="'lan' in officials"),
        ):
            store.officials.all()

    def test_command_in_the_message_goes_back_to_the_copy(self, written: Path) -> None:
        error = assert_refused(written, b"torn")
        subprocess.run(str(error).rpartition(": ")[2], shell=True, check=True)  # noqa: S602 - an official types it
        with contextlib.closing(TinyDefinitions(written)) as store:
            assert store.officials.all() == (official("lan"),)
            store.officials.add(official("an"))

    @pytest.mark.parametrize("copy", [b"torn too", None])
    def test_copy_that_is_torn_or_missing_is_not_offered(self, written: Path, copy: bytes | None) -> None:
        path = written / "definitions.json.1"
        path.unlink() if copy is None else path.write_bytes(copy)
        error = assert_refused(written, b"torn")
        assert "copy" not in error.fields
        assert "no good copy" in str(error)

    def test_file_that_is_gone_while_its_copy_is_there_is_no_empty_store(self, written: Path) -> None:
        (written / "definitions.json").unlink()
        with pytest.raises(Damaged, match="is missing"):
            TinyDefinitions(written)

    def test_damage_under_a_running_server_stops_its_writes(self, written: Path) -> None:
        with contextlib.closing(TinyDefinitions(written)) as store:
            store.officials.all()
            (written / "definitions.json").write_bytes(b"torn")
            with pytest.raises(Damaged):
                store.officials.all()
            with pytest.raises(Damaged):
                store.officials.add(official("an"))
            assert (written / "definitions.json").read_bytes() == b"torn"
            shutil.copy(written / "definitions.json.1", written / "definitions.json")
            assert store.officials.all() == (official("lan"),)


class TestFiles:
    def test_every_file_is_for_its_owner_only(self, written: Path) -> None:
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in written.iterdir()}
        names = {"definitions.json", "definitions.json.1", "definitions.lock"}
        assert modes == dict.fromkeys(names, "0o600")

    def test_file_is_one_json_document(self, written: Path) -> None:
        document = json.loads((written / "definitions.json").read_text())
        assert list(document["content"]["officials"]) == ["lan", "hoa"]

    def test_directory_that_cannot_be_is_unwritable(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for directory in (tmp_path / "file" / "data", Path("/proc/loa")):
            with pytest.raises(Unwritable, match="cannot be written") as caught:
                TinyDefinitions(directory)
            assert caught.value.fields["path"] == directory / "definitions.lock"
            assert caught.value.fields["reason"]

    def test_file_that_cannot_be_read_is_said_to_be_so(self, written: Path) -> None:
        (written / "definitions.json").unlink()
        (written / "definitions.json").mkdir()
        with pytest.raises(StoreError, match="cannot be read: Is a directory"):
            TinyDefinitions(written)

    def test_write_without_room_changes_nothing_and_works_again_with_room(self, written: Path) -> None:
        # A limit on the size of files stands for a full disk: the write stops in the middle.
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = (written / "definitions.json").stat().st_size
        with contextlib.closing(TinyDefinitions(written)) as store:
            before = (store.officials.all(), store.change_count(), sorted(written.iterdir()))
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
            try:
                for write in self._writes(store):
                    with pytest.raises(Unwritable, match="too large") as caught:
                        write()
                    assert caught.value.fields["path"] == written / "definitions.json"
                    assert (store.officials.all(), store.change_count(), sorted(written.iterdir())) == before
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            store.officials.add(official("an"))
        with contextlib.closing(TinyDefinitions(written)) as store:
            assert [person.id for person in store.officials.all()] == ["lan", "hoa", "an"]

    @staticmethod
    def _writes(store: TinyDefinitions) -> list[Callable[[], object]]:
        def many() -> None:
            with store.transaction():
                store.officials.remove("lan")
                for number in range(9):
                    store.officials.add(official(f"n{number}"))

        return [
            lambda: store.officials.add(official("an")),
            lambda: store.officials.change("lan", lambda person: replace(person, password_hash="long" * 99)),
            many,
        ]

    def test_writer_waits_no_longer_than_its_limit(self, written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("broadcaster.store.storage.LONGEST_WAIT_SECONDS", 0.0)
        with (
            contextlib.closing(TinyDefinitions(written)) as one,
            contextlib.closing(TinyDefinitions(written)) as two,
            ThreadPoolExecutor(1) as other,
            one.transaction(),
        ):
            with pytest.raises(Unwritable, match="another process has held the lock"):
                two.officials.add(official("an"))
            with pytest.raises(Unwritable, match="another thread has been writing"):
                other.submit(one.officials.add, official("an")).result(timeout=5)
