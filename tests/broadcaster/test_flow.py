"""From words and recordings to programmes that can be heard: what waits, settles, fails and starts again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from audio.errors import SoundError
from audio.library import Library
from broadcaster.config import Settings
from broadcaster.errors import Refusal
from broadcaster.flow import announce, prepare, report, schedule, sign_in
from broadcaster.flow.approve import approved
from broadcaster.flow.plan import Board, Window, playlist_window
from broadcaster.flow.prepare import Preparation, Words
from broadcaster.store.port import Unwritable
from broadcaster.store.records import Role, Sound, SoundState
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup, Wakeups
from devices.messages import Outcome
from schedules.lateness import IfLate, Late
from schedules.levels import Level
from schedules.programmes import Programme, ProgrammeState, content_digest
from schedules.recurrence import Recurrence
from schedules.zones import Targets
from tests.broadcaster.commune import (
    NOW,
    OFFICIAL,
    ready_sound,
    receipt,
    receipts,
    rendition,
    settings,
    settle_commune,
    tone,
    waiting_sound,
)
from tests.fakes.store import MemoryDefinitions, MemoryJournal

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
TERMS = schedule.Terms(zone=ZONE)
EVERYWHERE = Targets(zones=("tran-de",))


@pytest.fixture
def memory() -> Store:
    """A store in memory: these tests are about what is decided."""
    store = Store(definitions=MemoryDefinitions(), journal=MemoryJournal(), wakeups=Wakeups())
    settle_commune(store)
    return store


def draft(*sounds: Sound, recurrence: Recurrence | None = None) -> schedule.Draft:
    ids = tuple(sound.id for sound in sounds)
    return schedule.Draft(title="x", level=Level.ROUTINE, sounds=ids, targets=EVERYWHERE, recurrence=recurrence)


def submit(store: Store, wanted: schedule.Draft) -> Programme:
    return schedule.submit(wanted, terms=TERMS, by=OFFICIAL, store=store, now=NOW)


def make_ready(store: Store, sound: Sound, *, now: datetime = NOW, seconds: float = 60) -> None:
    made = rendition(sound.id[::-1], seconds=seconds)
    with store.transaction():
        store.definitions.sounds.change(sound.id, lambda old: replace(old, state=SoundState.READY, rendition=made))
        schedule.settle(sound.id, zone=ZONE, store=store, now=now)


def make_refused(store: Store, sound: Sound, code: str = "not_audio") -> None:
    refusal = {"code": code, "fields": {}}
    with store.transaction():
        store.definitions.sounds.change(sound.id, lambda old: replace(old, state=SoundState.REFUSED, refusal=refusal))
        schedule.settle(sound.id, zone=ZONE, store=store, now=NOW)


# Programmes settle


def test_a_programme_waits_for_the_last_of_its_sounds(memory: Store) -> None:
    first, second = waiting_sound(memory, "first"), waiting_sound(memory, "second")
    programme = submit(memory, draft(first, second))
    other = submit(memory, draft(second))
    programmes = memory.definitions.programmes
    assert programme.state is ProgrammeState.PREPARING
    make_ready(memory, first)
    assert programmes.get(programme.id).state is ProgrammeState.PREPARING
    assert programmes.get(other.id).state is ProgrammeState.PREPARING
    make_ready(memory, second)
    for id in (programme.id, other.id):
        settled = programmes.get(id)
        assert settled.state is ProgrammeState.APPROVED
        assert settled.approval is not None
        assert (settled.approval.by, settled.approval.at) == (OFFICIAL.id, NOW)
        assert settled.approval.digest == content_digest(settled)
    kinds = [(fact.kind, fact.subject) for fact in memory.journal.facts() if fact.kind == "programme.approved"]
    assert kinds == [("programme.approved", programme.id), ("programme.approved", other.id)]


def test_an_approval_covers_what_was_ready_and_nothing_else(memory: Store) -> None:
    sound = waiting_sound(memory)
    programme = submit(memory, draft(sound))
    make_ready(memory, sound)
    settled = memory.definitions.programmes.get(programme.id)
    louder = replace(settled, level=Level.EMERGENCY)
    assert settled.is_approved
    assert not louder.is_approved
    with pytest.raises(ValueError, match="not ready"):
        approved(programme, by="x", now=NOW)


def test_a_sound_that_fails_fails_its_programmes(memory: Store) -> None:
    good, bad = waiting_sound(memory, "good"), waiting_sound(memory, "bad")
    programme, other = submit(memory, draft(good, bad)), submit(memory, draft(good))
    make_refused(memory, bad)
    failed = memory.definitions.programmes.get(programme.id)
    assert (failed.state, failed.failure) == (ProgrammeState.FAILED, "not_audio")
    make_ready(memory, good)
    assert memory.definitions.programmes.get(programme.id).state is ProgrammeState.FAILED
    assert memory.definitions.programmes.get(other.id).state is ProgrammeState.APPROVED
    [fact] = memory.journal.facts(kind="programme.failed")
    assert (fact.subject, fact.by, fact.body["code"]) == (programme.id, None, "not_audio")


def test_a_sound_that_is_ready_after_the_hour_comes_too_late(memory: Store) -> None:
    sound = waiting_sound(memory)
    once = submit(memory, draft(sound, recurrence=Recurrence(start=datetime(2026, 3, 3, 6, 0))))
    daily = submit(memory, draft(sound, recurrence=Recurrence(start=datetime(2026, 3, 3, 6, 0), rule="FREQ=DAILY")))
    make_ready(memory, sound, now=NOW + timedelta(hours=1, seconds=1))
    assert memory.definitions.programmes.get(once.id).failure == "too_late"
    assert memory.definitions.programmes.get(daily.id).state is ProgrammeState.APPROVED


def test_a_withdrawn_programme_does_not_come_back(memory: Store) -> None:
    sound = waiting_sound(memory)
    programme = submit(memory, draft(sound))
    schedule.withdraw(programme.id, by=OFFICIAL, store=memory, now=NOW)
    make_ready(memory, sound)
    withdrawn = memory.definitions.programmes.get(programme.id)
    assert (withdrawn.state, withdrawn.approval) == (ProgrammeState.WITHDRAWN, None)


def test_a_draft_of_nothing_is_refused(memory: Store) -> None:
    with pytest.raises(Refusal, match="nothing to hear") as refused:
        submit(memory, draft())
    assert refused.value.code == "no_items"
    assert memory.journal.last_sequence() == 0


def test_now_and_again_is_known_at_once_while_its_words_are_spoken(memory: Store) -> None:
    wish = announce.Announcement(
        draft=draft(),
        items=(Words(text="Kính thưa bà con", voice="vi-north", rate=1.0),),
        at=None,
        repeat=announce.Repeat(every=timedelta(minutes=5), times=3),
    )
    limits = prepare.limits(Settings().sound)
    programme = announce.announce(wish, limits=limits, terms=TERMS, by=OFFICIAL, store=memory, now=NOW)
    assert programme.state is ProgrammeState.PREPARING
    assert programme.recurrence == Recurrence(
        start=datetime(2026, 3, 3, 5, 0, 30), rule="FREQ=MINUTELY;INTERVAL=5;COUNT=3"
    )


# Sounds are tried again when the fault was ours


@pytest.mark.parametrize(
    ("code", "again"), [("sound_failed", True), ("library_unwritable", True), ("not_audio", False)]
)
def test_what_failed_on_our_side_is_tried_again_when_it_is_sent_again(memory: Store, code: str, again: bool) -> None:
    words = Words(text="Kính thưa bà con", voice="vi-north", rate=1.0)
    limits = prepare.limits(Settings().sound)

    def speak() -> Sound:
        return prepare.speak(words, title="x", limits=limits, by=OFFICIAL, store=memory, now=NOW)

    sound = speak()
    make_refused(memory, sound, code)
    assert speak().state is (SoundState.PREPARING if again else SoundState.REFUSED)
    assert memory.definitions.sounds.get(sound.id).state is (SoundState.PREPARING if again else SoundState.REFUSED)


# The loop that prepares


@asynccontextmanager
async def preparing(store: Store, library: Library, **changed: object) -> AsyncIterator[Preparation]:
    wanted = settings(Path("unused"), sound={"longest_minutes": 1, **changed}).sound
    preparation = Preparation(store=store, library=library, settings=wanted, zone=ZONE)
    task = asyncio.create_task(preparation.run())
    try:
        yield preparation
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Let the loop run until ``condition`` holds; worker threads and child processes take part in it."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def recorded(store: Store, library: Library, content: bytes) -> Sound:
    with library.receive(limit_bytes=1_000_000) as incoming:
        incoming.write(content)
        return prepare.receive_recording(incoming, title="x", by=OFFICIAL, library=library, store=store, now=NOW)


def test_what_waits_is_made_ready_and_its_programmes_with_it(memory: Store, library: Library) -> None:
    """What was queued before the start (a restart in the middle) and what comes later; one worker takes both."""

    async def work() -> None:
        before = recorded(memory, library, tone(hertz=440))
        programme = submit(memory, draft(before))
        sounds = memory.definitions.sounds
        async with preparing(memory, library, workers=1) as preparation:
            broken = recorded(memory, library, b"no sound at all" * 100)
            words = Words(text="Xin chào", voice="vi-north", rate=1.0)
            limits = prepare.limits(Settings().sound)
            spoken = prepare.speak(words, title="x", limits=limits, by=OFFICIAL, store=memory, now=NOW)
            await until(lambda: all(each.state is not SoundState.PREPARING for each in sounds.all()))
            await until(lambda: preparation.progress == {})
        made = sounds.get(before.id)
        assert made.state is SoundState.READY
        assert made.rendition is not None
        assert library.verify("renditions", made.rendition.digest)
        assert made.rendition.size_bytes == library.size("renditions", made.rendition.digest)
        assert memory.definitions.programmes.get(programme.id).state is ProgrammeState.APPROVED
        assert sounds.get(spoken.id).state is SoundState.READY
        refused = sounds.get(broken.id)
        assert refused.state is SoundState.REFUSED
        assert refused.refusal is not None
        assert refused.refusal["code"] == "not_audio"
        kinds = [fact.kind for fact in memory.journal.facts()]
        assert (kinds.count("sound.ready"), kinds.count("sound.refused")) == (2, 1)

    asyncio.run(work())


class FailingLibrary(Library):
    """Its files cannot be found, for a reason that nobody has thought of."""

    def path(self, kind: object, digest: str) -> Path:
        raise LookupError("a surprise")


def test_a_mistake_of_ours_fails_one_sound_and_not_the_loop(memory: Store, library: Library, tmp_path: Path) -> None:
    async def work() -> None:
        sounds = memory.definitions.sounds
        surprising = waiting_sound(memory)
        async with preparing(memory, FailingLibrary(tmp_path / "other")):
            await until(lambda: sounds.get(surprising.id).state is SoundState.REFUSED)
            refusal = sounds.get(surprising.id).refusal
            assert refusal is not None
            assert refusal["code"] == "sound_failed"
            second = waiting_sound(memory, "second")
            memory.record("sound.received", second.id, by=None, at=NOW, wake=(Wakeup.PREPARE,))
            await until(lambda: sounds.get(second.id).state is SoundState.REFUSED)

    asyncio.run(work())


class FullDisk(MemoryDefinitions):
    """No transaction can be written while ``full``."""

    full = False
    refused = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            yield
            if self.full:
                self.refused += 1
                raise Unwritable("the disk is full", path="x", reason="ENOSPC")


def test_a_disk_that_is_full_when_a_sound_is_done_ends_no_server(library: Library) -> None:
    async def work() -> None:
        definitions = FullDisk()
        store = Store(definitions=definitions, journal=MemoryJournal(), wakeups=Wakeups())
        settle_commune(store)
        broken = recorded(store, library, b"no sound at all" * 100)
        definitions.full = True
        async with preparing(store, library) as preparation:
            await until(lambda: definitions.refused >= 1)
            await until(lambda: preparation.progress == {})
            definitions.full = False
            store.wakeups.wake(Wakeup.PREPARE)
            await until(lambda: definitions.sounds.get(broken.id).state is SoundState.REFUSED)

    asyncio.run(work())


def test_work_that_is_cut_short_by_a_stop_waits_for_the_next_start(memory: Store, library: Library) -> None:
    async def work() -> None:
        sound = recorded(memory, library, tone(seconds=20))
        async with preparing(memory, library) as preparation:
            await until(lambda: sound.id in preparation.progress)
        assert memory.definitions.sounds.get(sound.id).state is SoundState.PREPARING
        assert memory.journal.facts(kind="sound.refused") == []
        async with preparing(memory, library):
            await until(lambda: memory.definitions.sounds.get(sound.id).state is SoundState.READY)

    asyncio.run(work())


def test_an_empty_recording_is_refused(memory: Store, library: Library) -> None:
    with pytest.raises(SoundError) as refused:
        recorded(memory, library, b"")
    assert refused.value.code == "empty_audio"
    assert memory.definitions.sounds.all() == ()


# Windows


def test_a_playlist_reaches_from_local_midnight_to_midnight(tmp_path: Path) -> None:
    wanted = settings(tmp_path, plan={"horizon_days": 2})
    midnight = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
    for now in (midnight, NOW, midnight + timedelta(days=1) - timedelta(microseconds=1)):
        assert playlist_window(wanted, now) == Window(start=midnight, end=midnight + timedelta(days=3))
    later = playlist_window(wanted, midnight + timedelta(days=1))
    assert later == Window(start=midnight + timedelta(days=1), end=midnight + timedelta(days=4))


def test_airing_is_what_the_slot_says(memory: Store, library: Library) -> None:
    programme = submit(memory, draft(ready_sound(memory, library)))
    start = NOW + timedelta(seconds=10)
    for t, expected in ((start, True), (start + timedelta(seconds=59.9), True), (start + timedelta(minutes=1), False)):
        said = Board(memory.definitions, Settings()).airing(t)
        assert said.keys() == {"nam-chanh-1", "nam-chanh-2", "ngan-ro-1"}
        assert all(bool(slot) is expected for slot in said.values())
        assert all(slot is None or slot.id.startswith(programme.id) for slot in said.values())


# Closing

GRACE = timedelta(minutes=1)


def test_an_occurrence_is_closed_once_after_its_grace(memory: Store, library: Library) -> None:
    board = Board(memory.definitions, Settings())
    assert report.close(grace=GRACE, board=board, store=memory, now=NOW) == []
    programme = submit(memory, draft(ready_sound(memory, library)))
    end = NOW + timedelta(seconds=70)
    assert report.next_close(grace=GRACE, board=board, now=NOW) == end + timedelta(seconds=60)
    slot = f"{programme.id}@{NOW + timedelta(seconds=10):%Y%m%dT%H%M%SZ}"
    played = receipt(1, Outcome.FINISHED, at=end, slot=slot, offset=0.0, heard=60.0)
    memory.journal.store_receipts(receipts(played), received_at=end)
    assert report.close(grace=GRACE, board=board, store=memory, now=end + timedelta(seconds=60)) == []
    [closed] = report.close(grace=GRACE, board=board, store=memory, now=end + timedelta(seconds=60, microseconds=1))
    assert (closed.slot.id, closed.summary.heard, closed.summary.unknown) == (slot, 1, 2)
    assert report.close(grace=GRACE, board=board, store=memory, now=end + timedelta(days=1)) == []
    facts = memory.journal.facts(kind="report.closed")
    assert [len(fact.body["occurrences"]) for fact in facts] == [0, 1]
    assert report.next_close(grace=GRACE, board=board, now=end) is None


def whole_within(minutes: float, store: Store, library: Library) -> Programme:
    """Submit a programme of a minute, in ten seconds, that may begin so many minutes late."""
    waits = IfLate(action=Late.WHOLE, within=timedelta(minutes=minutes))
    return submit(store, replace(draft(ready_sound(store, library)), if_late=waits))


def test_an_occurrence_is_not_closed_while_a_box_may_begin_it_late(memory: Store, library: Library) -> None:
    board = Board(memory.definitions, Settings())
    report.close(grace=GRACE, board=board, store=memory, now=NOW)
    programme = whole_within(30, memory, library)
    start = NOW + timedelta(seconds=10)
    over = start + timedelta(minutes=31)
    for now in (start, start + timedelta(minutes=5), over - timedelta(microseconds=1)):
        assert report.next_close(grace=GRACE, board=board, now=now) == over + GRACE
        assert report.close(grace=GRACE, board=board, store=memory, now=now) == []
    late = {"slot": f"{programme.id}@{start:%Y%m%dT%H%M%SZ}", "offset": 0.0, "late": 1800.0}
    said = (
        receipt(1, Outcome.STARTED, at=over - timedelta(minutes=1), **late),
        receipt(2, Outcome.FINISHED, at=over, heard=60.0, **late),
    )
    memory.journal.store_receipts(receipts(*said), received_at=over)
    assert report.close(grace=GRACE, board=board, store=memory, now=over + GRACE) == []
    [closed] = report.close(grace=GRACE, board=board, store=memory, now=over + GRACE + timedelta(seconds=1))
    assert (closed.summary.heard, closed.summary.unknown) == (1, 2)
    assert [each.late for each in closed.clusters if each.cluster == "nam-chanh-1"] == [timedelta(minutes=30)]
    assert report.close(grace=GRACE, board=board, store=memory, now=over + timedelta(days=1)) == []


@pytest.mark.parametrize("minutes", [0.5, 1.5, 10, 22.5, 30.5, 40])
def test_a_withdrawal_lets_no_occurrence_escape_its_closing(memory: Store, library: Library, minutes: float) -> None:
    """One of 05:20 is closed at 05:22: what was over by then is not looked at again."""
    board = Board(memory.definitions, Settings())
    report.close(grace=GRACE, board=board, store=memory, now=NOW)
    later = Recurrence(start=datetime(2026, 3, 3, 5, 20))
    other = submit(memory, draft(ready_sound(memory, library, "other"), recurrence=later))
    programme = whole_within(30, memory, library)
    withdrawn, closed = NOW + timedelta(seconds=10, minutes=minutes), []
    times = [NOW + timedelta(seconds=second) for second in range(0, 3000, 20)]
    for now in sorted({*times, withdrawn}):
        if now == withdrawn:
            schedule.withdraw(programme.id, by=OFFICIAL, store=memory, now=now)
        closed += report.close(grace=GRACE, board=board, store=memory, now=now)
    assert sorted(each.slot.id.partition("@")[0] for each in closed) == sorted([other.id, programme.id])


def test_what_ended_while_the_server_was_down_is_closed_at_its_return(memory: Store, library: Library) -> None:
    board = Board(memory.definitions, Settings())
    report.close(grace=GRACE, board=board, store=memory, now=NOW)
    daily = Recurrence(start=datetime(2026, 3, 3, 6, 0), rule="FREQ=DAILY")
    submit(memory, draft(ready_sound(memory, library), recurrence=daily))
    assert len(report.close(grace=GRACE, board=board, store=memory, now=NOW + timedelta(days=5))) == 5
    months = report.close(grace=GRACE, board=board, store=memory, now=NOW + timedelta(days=100))
    assert len(months) == 31, "longer ago than a month is past telling"


# Officials


def test_an_official_from_the_command_line_gets_into_the_audit_trail_once(memory: Store) -> None:
    sign_in.audit_officials(store=memory, now=NOW)
    known = memory.journal.last_sequence()
    with pytest.raises(Refusal) as weak:
        sign_in.add_official("hoa", role=Role.ADMIN, password="ngắn", definitions=memory.definitions, now=NOW)
    assert weak.value.code == "weak_password"
    sign_in.add_official("hoa", role=Role.ADMIN, password="một hai ba bốn", definitions=memory.definitions, now=NOW)
    for _ in range(2):
        sign_in.audit_officials(store=memory, now=NOW)
    [fact] = memory.journal.facts(after=known)
    assert (fact.kind, fact.subject, fact.body["role"]) == ("official.added", "hoa", "admin")


@pytest.mark.parametrize("name", ["", "Hoa", "hoa nguyen", "-hoa", "hoà", "h" * 33, "hoa\n"])
def test_a_name_is_one_that_can_be_typed(memory: Store, name: str) -> None:
    with pytest.raises(Refusal) as refused:
        sign_in.add_official(
            name, role=Role.OFFICIAL, password="một hai ba bốn", definitions=memory.definitions, now=NOW
        )
    assert refused.value.code == "bad_name"
