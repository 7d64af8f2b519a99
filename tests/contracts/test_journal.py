"""The contract of ``Journal``, on SQLite and on the fake; then what the SQLite file promises beyond it."""

import contextlib
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from broadcaster.store.journal import SqliteJournal
from broadcaster.store.port import Damaged, Journal, RevisionConflict, Unwritable
from broadcaster.store.records import Publication
from broadcaster.store.sqlite import SqliteFile
from devices.chain import START, link
from devices.messages import Dropped, Outcome, Receipt, Receipts, Status
from tests.fakes.store import MemoryJournal

NOW = datetime(2025, 3, 9, 22, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FILE = "journal.db"


def receipt(sequence: int, *, slot: str | None = None, at: datetime = NOW) -> Receipt:
    return Receipt(id=f"{sequence:032x}", sequence=sequence, at=at, outcome=Outcome.STARTED, slot=slot)


def message(*sequences: int, oldest: int = 1, box: str = "box-1", cluster: str = "c1") -> Receipts:
    receipts = tuple(receipt(sequence) for sequence in sequences)
    return Receipts(box=box, cluster=cluster, oldest=oldest, receipts=receipts)


def publication(cluster: str, version: int) -> Publication:
    return Publication(cluster=cluster, version=version, content="ab" * 32, issued_at=NOW, envelope=b"a.b\x00.c")


@pytest.fixture(params=["sqlite", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    kinds: dict[str, Callable[[], Journal]] = {
        "sqlite": lambda: SqliteJournal(tmp_path / FILE),
        "memory": MemoryJournal,
    }
    with contextlib.closing(kinds[request.param]()) as journal:
        yield journal


class TestFacts:
    def test_sequences_rise_by_one_from_1(self, journal: Journal) -> None:
        assert journal.last_sequence() == 0
        facts = [journal.append("zone.added", f"z{n}", by="lan", at=NOW, body={"n": n}) for n in (1, 2, 3)]
        assert [fact.sequence for fact in facts] == [1, 2, 3]
        assert journal.last_sequence() == 3
        assert list(journal.facts()) == facts

    def test_fact_comes_back_as_it_was(self, journal: Journal) -> None:
        body = {"title": "Ấp Chợ", "list": [1, None, {"x": 0.5}]}
        fact = journal.append("zone.added", "z", by=None, at=NOW, body=body)
        assert (fact.kind, fact.subject, fact.by, fact.at, fact.body) == ("zone.added", "z", None, NOW, body)
        assert journal.facts() == [fact]

    def test_body_in_hand_is_not_the_one_that_is_kept(self, journal: Journal) -> None:
        body = {"list": [1]}
        journal.append("zone.added", "z", by=None, at=NOW, body=body)
        body["list"].append(2)
        assert journal.facts()[0].body == {"list": [1]}

    def test_any_time_zone_is_the_same_instant(self, journal: Journal) -> None:
        local = NOW.astimezone(timezone(timedelta(hours=7)))
        assert journal.append("zone.added", "z", by=None, at=local, body={}).at == NOW
        assert journal.facts()[0].at == NOW

    def test_naive_instant_and_what_is_no_json_are_refused(self, journal: Journal) -> None:
        with pytest.raises(ValueError, match="time zone"):
            journal.append("zone.added", "z", by=None, at=NOW.replace(tzinfo=None), body={})
        with pytest.raises(ValueError, match="JSON"):
            journal.append("zone.added", "z", by=None, at=NOW, body={"x": float("nan")})
        with pytest.raises(TypeError):
            journal.append("zone.added", "z", by=None, at=NOW, body={"x": object()})
        assert journal.last_sequence() == 0

    def test_pages_and_filters(self, journal: Journal) -> None:
        for n in range(6):
            journal.append("a.b" if n % 2 else "c.d", f"s{n // 2}", by=None, at=NOW, body={})

        def sequences(**wanted: object) -> list[int]:
            return [fact.sequence for fact in journal.facts(**wanted)]  # type: ignore[arg-type]  # by name

        assert sequences(limit=2) == [1, 2]
        assert sequences(after=2, limit=2) == [3, 4]
        assert sequences(after=6) == []
        assert sequences(kind="a.b") == [2, 4, 6]
        assert sequences(kind="a.b", after=2, limit=1) == [4]
        assert sequences(subject="s1") == [3, 4]
        assert sequences(subject="s1", kind="c.d") == [3]
        assert sequences(kind="' OR 1=1 --") == []

    def test_newest_of_a_kind(self, journal: Journal) -> None:
        facts = [journal.append(kind, "s", by=None, at=NOW, body={}) for kind in ("a.b", "c.d", "a.b", "c.d")]
        assert journal.newest("a.b") == facts[2]
        assert journal.newest("e.f") is None

    def test_threads_share_the_sequence(self, journal: Journal) -> None:
        def append(n: int) -> int:
            return journal.append("a.b", str(n), by=None, at=NOW, body={}).sequence

        with ThreadPoolExecutor(8) as threads:
            assert sorted(threads.map(append, range(200))) == list(range(1, 201))


class TestReceipts:
    def test_new_receipts_are_stored_once(self, journal: Journal) -> None:
        assert journal.store_receipts(message(1, 2), received_at=NOW)[:2] == ([receipt(1), receipt(2)], 2)
        assert journal.store_receipts(message(2, 3), received_at=NOW)[:2] == ([receipt(3)], 3)
        assert journal.store_receipts(message(1, 2, 3), received_at=NOW)[:2] == ([], 3)
        assert [row[3].sequence for row in journal.receipts()] == [1, 2, 3]

    def test_sequence_twice_in_one_message_is_one_receipt(self, journal: Journal) -> None:
        assert journal.store_receipts(message(1, 1), received_at=NOW)[:2] == ([receipt(1)], 1)

    def test_boxes_count_apart(self, journal: Journal) -> None:
        journal.store_receipts(message(1, 2, 3), received_at=NOW)
        assert journal.store_receipts(message(1, box="box-2"), received_at=NOW)[:2] == ([receipt(1)], 1)

    @pytest.mark.parametrize(
        ("messages", "through"),
        [
            ([message(2)], [0]),
            ([message(1, 3)], [1]),
            ([message(3), message(1), message(2)], [0, 1, 3]),
            ([message(5, 6, oldest=5)], [6]),
            ([message(7, oldest=5)], [4]),
            ([message(7, oldest=5), message(6, oldest=5), message(5, oldest=5)], [4, 4, 7]),
            ([message(1, 2), message(9, oldest=9)], [2, 9]),
            ([message(10, 11, oldest=10), message(5, oldest=5)], [11, 11]),
            ([message(1, 2, 5), message(5, oldest=4)], [2, 3]),
            ([message(1, 2, 5), message(5, oldest=5), message(6, oldest=6)], [2, 5, 6]),
            ([message(2**53, oldest=2**53)], [2**53]),
        ],
    )
    def test_complete_through(self, journal: Journal, messages: list[Receipts], through: list[int]) -> None:
        assert [journal.store_receipts(each, received_at=NOW)[1] for each in messages] == through

    def test_fields_of_a_newer_box_are_kept(self, journal: Journal) -> None:
        newer = Receipt.model_validate({**receipt(1).model_dump(), "temperature": 41.5})
        journal.store_receipts(message(1).model_copy(update={"receipts": (newer,)}), received_at=NOW)
        kept = journal.receipts()[0][3]
        assert kept == newer
        assert kept.model_extra == {"temperature": 41.5}

    def test_filters_and_pages(self, journal: Journal) -> None:
        for box, cluster in (("box-1", "c1"), ("box-2", "c2")):
            receipts = tuple(receipt(n, slot=f"p@{n % 2}", at=NOW + n * SECOND) for n in range(1, 5))
            wire = Receipts(box=box, cluster=cluster, oldest=1, receipts=receipts)
            journal.store_receipts(wire, received_at=NOW)

        def rows(**wanted: object) -> list[int]:
            return [row[0] for row in journal.receipts(**wanted)]  # type: ignore[arg-type]  # by name

        assert rows() == [1, 2, 3, 4, 5, 6, 7, 8]
        assert rows(box="box-2") == rows(cluster="c2") == [5, 6, 7, 8]
        assert rows(slot="p@1") == [1, 3, 5, 7]
        assert rows(slot="p@1", box="box-1", after=1) == [3]
        assert rows(since=NOW + 2 * SECOND, until=NOW + 4 * SECOND) == [2, 3, 6, 7]
        assert rows(until=NOW + SECOND) == []
        assert rows(after=6, limit=1) == [7]
        assert journal.receipts(limit=1) == [(1, "box-1", "c1", receipt(1, slot="p@1", at=NOW + SECOND))]

    def test_last_row_and_number_of_each_outcome(self, journal: Journal) -> None:
        assert (journal.last_receipt(), journal.count_receipts()) == (0, {})
        journal.store_receipts(message(1, 2), received_at=NOW)
        missed = receipt(3).model_copy(update={"outcome": Outcome.MISSED})
        journal.store_receipts(message(2).model_copy(update={"receipts": (receipt(2), missed)}), received_at=NOW)
        assert (journal.last_receipt(), journal.count_receipts()) == (3, {"started": 2, "missed": 1})

    def test_threads_that_bring_the_same_receipts_store_them_once(self, journal: Journal) -> None:
        def bring(start: int) -> int:
            return len(journal.store_receipts(message(*range(start, start + 20)), received_at=NOW).new)

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(bring, [1, 11, 21, 31] * 4)) == 50
        assert journal.store_receipts(message(1), received_at=NOW)[:2] == ([], 50)


def chained(*sequences: int, lost: int = 0, oldest: int = 1, dropped: tuple[Dropped, ...] = ()) -> Receipts:
    """Return a message of a box whose log begins at receipt 1, or anew behind receipt ``lost``."""
    said = message(*sequences, oldest=oldest)
    return said.model_copy(update={"previous": value(sequences[0] - 1, lost=lost), "dropped": dropped or None})


def value(sequence: int, *, lost: int = 0) -> str:
    chain = START
    for each in range(lost + 1, sequence + 1):
        chain = link(chain, receipt(each))
    return chain


def left(first: int, last: int) -> Dropped:
    return Dropped(first=first, last=last, chain=value(last))


LIE = "ab" * 32
SILLY = (Dropped(first=9, last=4, chain=LIE), Dropped(first=2**53, last=2**53, chain=LIE))


class TestChain:
    @pytest.mark.parametrize(
        ("messages", "broken"),
        [
            ([chained(1, 2), chained(3, 4)], [None, None]),
            ([chained(5, 6, oldest=5), chained(7)], [None, None]),
            ([chained(1, 2), chained(1, 2), chained(2, 3), chained(1, 2, 3, 4)], [None] * 4),
            ([chained(4, 5), chained(1, 2), chained(3), chained(6)], [None] * 4),
            ([chained(1, 2), chained(5, 6), chained(3, 4), chained(7)], [None] * 4),
            ([message(1, 2), message(3, 9, oldest=9), message(10)], [None] * 3),
            ([message(1, 2), chained(3, 4), message(5), chained(6)], [None] * 4),
            ([chained(1, 2), chained(3).model_copy(update={"previous": LIE})], [None, 3]),
            ([chained(1, 2), chained(1, 2, 3).model_copy(update={"previous": LIE}), chained(4)], [None, 1, 4]),
            ([chained(1, 2), chained(3, 4, lost=2), chained(3, 4, lost=2), chained(5, lost=2)], [None, 3, None, None]),
            ([chained(1, 2), chained(5, 6, lost=4), chained(3, 4), chained(7, lost=4)], [None, None, None, 7]),
            ([chained(1, 2), chained(9, oldest=9), chained(10, oldest=9)], [None, 3, None]),
        ],
    )
    def test_what_does_not_fit_is_a_break_and_what_comes_twice_or_late_is_none(
        self, journal: Journal, messages: list[Receipts], broken: list[int | None]
    ) -> None:
        assert [journal.store_receipts(each, received_at=NOW).broken for each in messages] == broken
        facts = journal.facts(kind="receipts.chain_broken", subject="box-1")
        assert [(fact.body, fact.at, fact.by) for fact in facts] == [
            ({"sequence": sequence}, NOW, None) for sequence in broken if sequence
        ]
        stored = {receipt.sequence for each in messages for receipt in each.receipts}
        assert {row[3].sequence for row in journal.receipts()} == stored, "they are signed: stored all the same"

    def test_a_message_that_brings_nothing_new_tells_nothing(self, journal: Journal) -> None:
        journal.store_receipts(chained(1, 2), received_at=NOW)
        lie = chained(1, 2).model_copy(update={"previous": LIE})
        assert journal.store_receipts(lie, received_at=NOW) == ([], 2, None)

    @pytest.mark.parametrize(
        ("messages", "through"),
        [
            ([chained(1, 2, 6, 7, dropped=(left(3, 5),))], [7]),
            ([chained(1, 6, dropped=(left(3, 5),)), chained(2, dropped=(left(3, 5),))], [1, 6]),
            ([chained(1, 2), chained(9, dropped=(left(3, 5), left(6, 8)))], [2, 9]),
            ([chained(1, 2, 3, 4), chained(8, dropped=(left(2, 7),))], [4, 8]),
            ([chained(1, 2), chained(12, oldest=12, dropped=(left(1, 11),)), chained(13)], [2, 12, 13]),
            ([chained(1, 5, 9, 10, dropped=(left(2, 4), left(6, 8))), chained(11)], [10, 11]),
            ([chained(1), chained(2, dropped=(left(3, 3), *SILLY))], [1, 3]),
        ],
    )
    def test_what_left_a_full_box_is_passed_over_and_no_break(
        self, journal: Journal, messages: list[Receipts], through: list[int]
    ) -> None:
        stored = [journal.store_receipts(each, received_at=NOW) for each in messages]
        assert ([each.complete for each in stored], {each.broken for each in stored}) == (through, {None})

    def test_a_box_that_lies_about_what_left_is_found_out(self, journal: Journal) -> None:
        lie = Dropped(first=3, last=5, chain=LIE)
        journal.store_receipts(chained(1, 2, 6, dropped=(lie,)), received_at=NOW)
        assert journal.store_receipts(chained(7), received_at=NOW).broken == 7


class TestWhatIsReplaced:
    def test_last_publication_of_each_cluster(self, journal: Journal) -> None:
        assert journal.publications() == {}
        journal.store_publications([publication("c1", 1), publication("c2", 1)])
        journal.store_publications(iter([publication("c1", 2)]))
        journal.store_publications([])
        assert journal.publications() == {"c1": publication("c1", 2), "c2": publication("c2", 1)}

    def test_publications_are_stored_together_or_not_at_all(self, journal: Journal) -> None:
        def fail() -> Iterator[Publication]:
            yield publication("c1", 1)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            journal.store_publications(fail())
        assert journal.publications() == {}

    def test_newest_status_of_each_box(self, journal: Journal) -> None:
        first = Status(box="box-1", cluster="c1", at=NOW, online=True, free_bytes=7)
        last_will = Status(box="box-1", cluster="c1", at=NOW, online=False)
        other = Status(box="box-2", cluster="c2", at=NOW, online=True)
        journal.store_status(first, received_at=NOW + SECOND)
        journal.store_status(last_will, received_at=NOW)  # came before, stored after
        journal.store_status(other, received_at=NOW)
        assert journal.statuses() == {"box-1": (NOW + SECOND, first), "box-2": (NOW, other)}
        journal.store_status(last_will, received_at=NOW + SECOND)
        assert journal.statuses()["box-1"] == (NOW + SECOND, last_will)

    def test_answer_is_given_again_for_24_hours(self, journal: Journal) -> None:
        assert journal.answered("k", request="r", now=NOW) is None
        journal.store_answer("k", request="r", status=201, body=b'{"\xff', now=NOW)
        day = timedelta(hours=24)
        assert journal.answered("k", request="r", now=NOW + day - SECOND) == (201, b'{"\xff')
        assert journal.answered("k", request="r", now=NOW + day) is None

    def test_key_of_another_request_conflicts(self, journal: Journal) -> None:
        journal.store_answer("k", request="r", status=201, body=b"", now=NOW)
        with pytest.raises(RevisionConflict, match="'k'") as caught:
            journal.answered("k", request="other", now=NOW)
        assert caught.value.fields == {
            "collection": "answers",
            "id": "k",
            "expected": "other",
            "actual": "r",
        }
        assert journal.answered("k", request="other", now=NOW + timedelta(hours=24)) is None

    def test_first_answer_stands_until_it_is_old(self, journal: Journal) -> None:
        journal.store_answer("k", request="r", status=201, body=b"1", now=NOW)
        journal.store_answer("k", request="r", status=500, body=b"2", now=NOW + SECOND)
        assert journal.answered("k", request="r", now=NOW + SECOND) == (201, b"1")
        tomorrow = NOW + timedelta(hours=24)
        journal.store_answer("k", request="new", status=200, body=b"3", now=tomorrow)
        assert journal.answered("k", request="new", now=tomorrow) == (200, b"3")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A directory whose journal holds 300 facts and 3 receipts, closed."""
    with contextlib.closing(SqliteJournal(tmp_path / FILE)) as journal:
        for n in range(300):
            journal.append("a.b", str(n), by=None, at=NOW, body={"text": "x" * 100})
        journal.store_receipts(message(1, 2, 3), received_at=NOW)
    return tmp_path


class TestFile:
    def test_everything_is_there_after_reopening(self, written: Path) -> None:
        with contextlib.closing(SqliteJournal(written / FILE)) as journal:
            assert journal.last_sequence() == 300
            assert journal.append("a.b", "x", by=None, at=NOW, body={}).sequence == 301
            assert journal.store_receipts(message(3, 4), received_at=NOW)[:2] == ([receipt(4)], 4)

    def test_a_chain_is_followed_over_a_restart(self, tmp_path: Path) -> None:
        for said, broken in ((chained(1, 2), None), (chained(3), None), (chained(4, lost=3), 4)):
            with contextlib.closing(SqliteJournal(tmp_path / FILE)) as journal:
                assert journal.store_receipts(said, received_at=NOW).broken == broken

    def test_a_journal_of_an_earlier_loa_opens_and_takes_the_first_value_that_it_is_told(self, written: Path) -> None:
        with contextlib.closing(sqlite3.connect(written / FILE)) as connection:
            connection.execute("DROP TABLE chains")
        with contextlib.closing(SqliteJournal(written / FILE)) as journal:
            assert journal.store_receipts(chained(4, lost=2), received_at=NOW)[1:] == (4, None)
            assert journal.store_receipts(chained(5, lost=3), received_at=NOW)[1:] == (5, 5)

    def test_close_leaves_one_file_and_may_be_called_twice(self, written: Path) -> None:
        assert {path.name for path in written.iterdir()} == {FILE, "journal.lock"}
        journal = SqliteJournal(written / FILE)
        journal.close()
        journal.close()

    def test_every_file_is_for_its_owner_only(self, written: Path) -> None:
        with contextlib.closing(SqliteJournal(written / FILE)) as journal:
            journal.append("a.b", "x", by=None, at=NOW, body={})
            names = {path.name: oct(path.stat().st_mode & 0o777) for path in written.iterdir()}
        assert f"{FILE}-wal" in names
        assert set(names.values()) == {"0o600"}

    def test_every_commit_waits_for_the_disk(self, tmp_path: Path) -> None:
        file = SqliteFile(tmp_path / "x.db", schema="CREATE TABLE x (y);", application_id=1, version=1)
        with contextlib.closing(file), file.reading() as run:
            assert run("PRAGMA synchronous").fetchone() == (2,)  # FULL
            assert run("PRAGMA journal_mode").fetchone() == ("wal",)

    def test_transaction_that_breaks_off_leaves_nothing(self, tmp_path: Path) -> None:
        file = SqliteFile(tmp_path / "x.db", schema="CREATE TABLE x (y);", application_id=1, version=1)
        with contextlib.closing(file):
            with pytest.raises(ZeroDivisionError), file.writing() as run:
                run("INSERT INTO x VALUES (1)")
                raise ZeroDivisionError
            with file.writing() as run:
                run("INSERT INTO x VALUES (2)")
            with file.reading() as run:
                assert run("SELECT y FROM x").fetchall() == [(2,)]

    def test_second_server_is_refused_while_the_first_one_runs(self, written: Path) -> None:
        with (
            contextlib.closing(SqliteJournal(written / FILE)),
            pytest.raises(Unwritable, match="another Loa server"),
        ):
            SqliteJournal(written / FILE)
        SqliteJournal(written / FILE).close()

    def test_lock_of_a_killed_server_is_free(self, written: Path) -> None:
        program = (
            "import sys; from pathlib import Path; from broadcaster.store.journal import SqliteJournal\n"
            "journal = SqliteJournal(Path(sys.argv[1])); print('open', flush=True); input()"
        )
        command = [sys.executable, "-c", program, str(written / FILE)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"open\n"
            with pytest.raises(Unwritable, match="in use"):
                SqliteJournal(written / FILE)
            server.kill()
        SqliteJournal(written / FILE).close()

    def test_queries_of_every_page_use_an_index(self, written: Path) -> None:
        with contextlib.closing(sqlite3.connect(written / FILE)) as connection:
            for condition in ("box = 'b'", "cluster = 'c'", "slot = 's'", "box = 'b' AND sequence > 5"):
                query = f"EXPLAIN QUERY PLAN SELECT * FROM receipts WHERE {condition}"  # noqa: S608
                assert "USING INDEX" in connection.execute(query).fetchone()[3]

    @pytest.mark.parametrize("length", [0, 1, 99, 100, 4095, 4096, 5000, 20_000])
    def test_truncated_file_is_refused(self, written: Path, length: int) -> None:
        path = written / FILE
        torn = path.read_bytes()[:length]
        path.write_bytes(torn)
        with pytest.raises(Damaged, match="is torn") as caught:
            SqliteJournal(written / FILE)
        assert caught.value.fields["path"] == path
        assert "Restore it from a backup" in str(caught.value)
        assert path.read_bytes() == torn

    def test_page_of_rubbish_is_found_when_it_is_read(self, written: Path) -> None:
        path = written / FILE
        whole = path.read_bytes()
        path.write_bytes(whole[:4096] + b"\x55" * (len(whole) - 4096))
        with pytest.raises(Damaged, match="is torn"):  # noqa: SIM117 - at the opening or at the read
            with contextlib.closing(SqliteJournal(written / FILE)) as journal:
                journal.facts()

    def test_receipt_that_is_none_is_damage(self, written: Path) -> None:
        with contextlib.closing(sqlite3.connect(written / FILE)) as connection, connection:
            connection.execute("UPDATE receipts SET receipt = '{}'")
        with (
            contextlib.closing(SqliteJournal(written / FILE)) as journal,
            pytest.raises(Damaged, match="holds a document"),
        ):
            journal.receipts()

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ("PRAGMA application_id = 7", "not one that Loa made"),
            ("PRAGMA user_version = 2", "has version 2, and this Loa reads version 1"),
        ],
    )
    def test_foreign_or_newer_file_is_refused_as_it_is(self, written: Path, change: str, says: str) -> None:
        path = written / FILE
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute(change)
        before = path.read_bytes()
        with pytest.raises(Damaged, match=says):
            SqliteJournal(written / FILE)
        assert path.read_bytes() == before

    def test_foreign_database_does_not_become_a_journal(self, tmp_path: Path) -> None:
        path = tmp_path / FILE
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE contacts (name TEXT)")
        before = path.read_bytes()
        with pytest.raises(Damaged, match="not one that Loa made"):
            SqliteJournal(tmp_path / FILE)
        assert path.read_bytes() == before

    def test_directory_that_cannot_be_is_unwritable(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for directory in (tmp_path / "file" / "data", Path("/proc/loa")):
            with pytest.raises(Unwritable, match="cannot be written"):
                SqliteJournal(directory / FILE)
        (tmp_path / FILE).mkdir()
        with pytest.raises(Unwritable, match="unable to open"):
            SqliteJournal(tmp_path / FILE)

    def test_write_without_room_changes_nothing_and_works_again_with_room(self, written: Path) -> None:
        # A limit on the size of files stands for a full disk: the write stops in the middle.
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        with contextlib.closing(SqliteJournal(written / FILE)) as journal:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
            try:
                with pytest.raises(Unwritable) as caught:
                    journal.append("a.b", "x", by=None, at=NOW, body={"text": "x" * 200_000})
                with pytest.raises(Unwritable):
                    journal.store_publications([publication(f"c{n}", 1) for n in range(2000)])
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert caught.value.fields["reason"]
            assert journal.last_sequence() == 300
            assert journal.publications() == {}
            assert journal.append("a.b", "x", by=None, at=NOW, body={}).sequence == 301
