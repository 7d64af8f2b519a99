"""From plans to signed playlists: one version for one content, which a box takes."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from audio.library import Library
from broadcaster.config import Settings
from broadcaster.flow import arrange, schedule
from broadcaster.flow.plan import Board
from broadcaster.publisher.content import content_of
from broadcaster.publisher.playlists import Planner, issue
from broadcaster.store.records import Publication
from broadcaster.store.store import Store
from devices import messages, trust
from devices.envelope import LONGEST_BYTES, SigningKey
from devices.trust import Pinned
from schedules.lateness import JOIN, IfLate, Late
from schedules.levels import Level
from schedules.recurrence import Recurrence
from schedules.timeline import Slot, SlotItem, Timeline, cut_out
from schedules.zones import Targets
from tests.broadcaster.commune import ADMIN, NOW, OFFICIAL, ready_sound, rendition, status

MIDNIGHT = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
LOOK_AGAIN = timedelta(seconds=30)
"""How often the planner compares its versions with what boxes say they hold."""


@pytest.fixture
def planner(store: Store, station: Settings, key: SigningKey) -> Planner:
    return planner_of(store, station, key)


def planner_of(store: Store, station: Settings, key: SigningKey) -> Planner:
    board = Board(store.definitions, station)
    return Planner(store=store, board=board, settings=station, key=key, planned=lambda: None)


@pytest.fixture
def announce(store: Store, library: Library, station: Settings) -> "Announce":
    return Announce(store, library, station)


class Announce:
    """Submits a daily programme of a minute at six in the morning."""

    def __init__(self, store: Store, library: Library, station: Settings) -> None:
        self._store, self._library, self._station = store, library, station

    def __call__(
        self, *zones: str, name: str = "bulletin", hour: int = 6, rule: str = "FREQ=DAILY", if_late: IfLate = JOIN
    ) -> str:
        sound = self._store.definitions.sounds.find(hashlib.sha256(name.encode()).hexdigest())
        sound = sound or ready_sound(self._store, self._library, name)
        draft = schedule.Draft(
            title=name,
            level=Level.ROUTINE,
            sounds=(sound.id,),
            targets=Targets(zones=zones),
            recurrence=Recurrence(start=datetime(2026, 3, 3, hour, 0), rule=rule),
            if_late=if_late,
        )
        terms = schedule.Terms(zone=self._station.station.zone)
        return schedule.submit(draft, terms=terms, by=OFFICIAL, store=self._store, now=NOW).id


def opened(publication: Publication, key: SigningKey, now: datetime = NOW) -> messages.Playlist:
    """Take a publication as a box does."""
    pinned = Pinned(box="box-1", cluster=publication.cluster, playlist_keys={key.kid: key.public()})
    accepted = trust.accept_playlist(publication.envelope, pinned, held=None, now=now)
    assert accepted is not None
    return accepted.playlist


def turn(planner: Planner, store: Store, now: datetime) -> list[Publication]:
    """Let the planner look once; return what is new."""
    journal = store.journal
    before = journal.publications()
    count = planner.turn(now)
    new = [each for cluster, each in journal.publications().items() if each != before.get(cluster)]
    assert len(new) == count
    return new


def versions(found: list[Publication]) -> dict[str, int]:
    return {each.cluster: each.version for each in found}


def test_every_cluster_gets_a_playlist_that_its_box_takes(
    planner: Planner, announce: Announce, key: SigningKey, store: Store
) -> None:
    programme = announce("nam-chanh")
    found = {each.cluster: opened(each, key) for each in turn(planner, store, NOW)}
    assert {cluster: len(each.slots) for cluster, each in found.items()} == {
        "nam-chanh-1": 8,
        "nam-chanh-2": 8,
        "ngan-ro-1": 0,
    }
    said = found["nam-chanh-1"]
    assert (said.version, said.issued, said.expires) == (1, NOW, NOW + timedelta(days=7))
    assert (said.start, said.end) == (MIDNIGHT, MIDNIGHT + timedelta(days=8))
    first = said.slots[0]
    assert (first.id, first.start) == (f"{programme}@20260302T230000Z", NOW + timedelta(hours=1))
    assert (first.duration, first.level, first.title) == (60.0, 3, "bulletin")
    [sound] = store.definitions.sounds.all()
    assert sound.rendition is not None
    [reference] = said.renditions
    assert (reference.digest, reference.size_bytes) == (sound.rendition.digest, sound.rendition.size_bytes)
    assert reference.url == f"/api/v1/media/{sound.rendition.digest}"


def test_what_says_the_same_is_not_published_again(planner: Planner, announce: Announce, store: Store) -> None:
    announce("nam-chanh")
    assert versions(turn(planner, store, NOW)) == {"nam-chanh-1": 1, "nam-chanh-2": 1, "ngan-ro-1": 1}
    for later in (timedelta(0), timedelta(minutes=1), timedelta(hours=18, minutes=59)):
        assert turn(planner, store, NOW + later) == []


def test_a_change_is_published_where_it_is_heard(planner: Planner, announce: Announce, store: Store) -> None:
    announce("nam-chanh")
    turn(planner, store, NOW)
    other = announce("dai-an-2", name="other")
    assert versions(turn(planner, store, NOW)) == {"ngan-ro-1": 2}
    schedule.withdraw(other, by=OFFICIAL, store=store, now=NOW)
    assert versions(turn(planner, store, NOW)) == {"ngan-ro-1": 3}
    arrange.change_cluster("nam-chanh-2", {"volume": 40}, revision=1, by=ADMIN, store=store, now=NOW)
    assert versions(turn(planner, store, NOW)) == {"nam-chanh-2": 2}
    store.definitions.clusters.change("ngan-ro-1", lambda old: replace(old, zone="nam-chanh"))
    assert versions(turn(planner, store, NOW)) == {"ngan-ro-1": 4}
    assert versions(list(store.journal.publications().values())) == {
        "nam-chanh-1": 1,
        "nam-chanh-2": 2,
        "ngan-ro-1": 4,
    }


def test_the_window_rolls_at_local_midnight(
    planner: Planner, announce: Announce, store: Store, key: SigningKey
) -> None:
    announce("tran-de")
    turn(planner, store, NOW)
    midnight = MIDNIGHT + timedelta(days=1)
    assert turn(planner, store, midnight - timedelta(microseconds=1)) == []
    rolled = turn(planner, store, midnight)
    assert versions(rolled) == {"nam-chanh-1": 2, "nam-chanh-2": 2, "ngan-ro-1": 2}
    said = opened(rolled[0], key, midnight)
    assert (said.start, len(said.slots)) == (midnight, 8)
    assert said.expires == midnight + timedelta(days=7)


def test_yesterdays_slot_stays_while_a_box_may_begin_it_late(
    planner: Planner, announce: Announce, store: Store, key: SigningKey
) -> None:
    """At 23:00, within two hours: a box that has power again at half past midnight must still know of it."""
    announce("dai-an-2", hour=23, if_late=IfLate(action=Late.WHOLE, within=timedelta(hours=2)))
    midnight = MIDNIGHT + timedelta(days=1)
    turn(planner, store, NOW)
    [rolled] = [each for each in turn(planner, store, midnight) if each.cluster == "ngan-ro-1"]
    said = opened(rolled, key, midnight)
    assert [(slot.start - midnight).total_seconds() / 3600 for slot in said.slots[:2]] == [-1, 23]
    assert (said.slots[0].if_late, said.slots[0].within) == ("whole", 7200)
    assert said.slots[0].items[0].rendition in {each.digest for each in said.renditions}


def test_what_is_withdrawn_is_begun_late_by_no_box_that_hears_of_it(
    planner: Planner, announce: Announce, store: Store, key: SigningKey
) -> None:
    programme = announce("dai-an-2", if_late=IfLate(action=Late.WHOLE, within=timedelta(hours=2)))
    turn(planner, store, NOW)
    over = NOW + timedelta(hours=1, minutes=1)
    schedule.withdraw(programme, by=OFFICIAL, store=store, now=over + timedelta(minutes=20))
    [said] = [opened(each, key) for each in turn(planner, store, over + timedelta(minutes=20))]
    [slot] = said.slots
    assert (slot.if_late, slot.within, slot.cut) == ("whole", 20 * 60, None), "it would end at the withdrawal"


def test_it_is_the_same_after_a_restart(
    planner: Planner, announce: Announce, store: Store, station: Settings, key: SigningKey
) -> None:
    announce("tran-de")
    turn(planner, store, NOW)
    again = planner_of(store, station, key)
    assert turn(again, store, NOW + timedelta(seconds=5)) == []


def test_a_box_that_holds_more_than_we_ever_published_is_overtaken(planner: Planner, store: Store) -> None:
    """The store is an old copy: boxes would refuse every version up to theirs."""
    turn(planner, store, NOW)
    store.journal.store_status(status(playlist=9), received_at=NOW)
    assert versions(turn(planner, store, NOW + LOOK_AGAIN)) == {"nam-chanh-1": 10}
    assert turn(planner, store, NOW + 2 * LOOK_AGAIN) == []


def test_a_new_store_overtakes_at_its_first_playlist(planner: Planner, store: Store) -> None:
    store.journal.store_status(status(playlist=9), received_at=NOW)
    assert versions(turn(planner, store, NOW))["nam-chanh-1"] == 10


@pytest.mark.parametrize("claim", [2**53, 2**53 - 1])
def test_a_box_that_lies_about_its_version_does_not_end_publishing(planner: Planner, store: Store, claim: int) -> None:
    turn(planner, store, NOW)
    store.journal.store_status(status(playlist=claim), received_at=NOW)
    assert turn(planner, store, NOW + LOOK_AGAIN) == []
    arrange.change_cluster("nam-chanh-1", {"volume": 40}, revision=1, by=ADMIN, store=store, now=NOW)
    assert versions(turn(planner, store, NOW)) == {"nam-chanh-1": 2}


# A playlist that would be too long for a message


def test_a_playlist_that_does_not_reach_as_far_as_the_plan_is_followed_in_time(
    planner: Planner, announce: Announce, store: Store, key: SigningKey
) -> None:
    announce("ngan-ro", rule="FREQ=MINUTELY;INTERVAL=5")
    [first] = [opened(each, key) for each in turn(planner, store, NOW) if each.cluster == "ngan-ro-1"]
    assert NOW + timedelta(days=1) < first.end < MIDNIGHT + timedelta(days=8)
    last, now = first, NOW
    while now < MIDNIGHT + timedelta(days=1):
        now += timedelta(minutes=30)
        for each in turn(planner, store, now):
            if each.cluster == "ngan-ro-1":
                last = opened(each, key, now)
        assert last.end > now + timedelta(hours=6), "what is on the box always reaches well ahead"
    assert last.version > first.version
    assert {slot.start for slot in first.slots if slot.start >= last.start} <= {slot.start for slot in last.slots}


def crowded(count: int, *, title: str, renditions: int = 1) -> tuple[Timeline, dict[str, object]]:
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(renditions)]
    slots = tuple(
        Slot(
            id=f"{number:012x}@20260302T220000Z",
            title=title,
            level=Level.ROUTINE,
            start=NOW + timedelta(minutes=number),
            end=NOW + timedelta(minutes=number, seconds=3),
            items=(
                SlotItem(rendition=digests[number % renditions], offset=timedelta(), duration=timedelta(seconds=3)),
            ),
        )
        for number in range(count)
    )
    timeline = Timeline(start=MIDNIGHT, end=MIDNIGHT + timedelta(days=8), slots=slots)
    return timeline, {digest: rendition(digest) for digest in digests}


@pytest.mark.parametrize(
    ("count", "title", "renditions"),
    [
        (5000, "x", 1),
        (3000, "x" * 200, 1),
        (3000, "Ấ" * 200, 1),
        (3000, '"\\\x01' * 60, 1),
        (4096, "x", 4096),
        (10, "x", 10),
        (0, "x", 1),
    ],
)
def test_a_long_playlist_ends_earlier_and_says_so(count: int, title: str, renditions: int, key: SigningKey) -> None:
    timeline, held = crowded(count, title=title, renditions=renditions)
    said = content_of(timeline, 80, held)
    publication = issue("c", said, version=1, valid=timedelta(days=7), key=key, now=NOW)
    assert len(publication.envelope) <= LONGEST_BYTES
    playlist = opened(publication, key)
    kept = len(playlist.slots)
    assert [slot.id for slot in playlist.slots] == [slot.id for slot in timeline.slots[:kept]]
    if kept == count:
        assert playlist.end == timeline.end
    else:
        assert playlist.end == timeline.slots[kept].start, "it ends where the first slot begins that did not fit"
        assert len(publication.envelope) > LONGEST_BYTES * 0.7 or kept == messages.MOST_SLOTS, "and not much earlier"
    assert {reference.digest for reference in playlist.renditions} == {
        item.rendition for slot in playlist.slots for item in slot.items
    }


def test_what_waits_never_takes_the_room_of_what_comes(key: SigningKey) -> None:
    """Half of the day before may still be begun late, and there is no room for all of it and today."""
    waits = IfLate(action=Late.WHOLE, within=timedelta(hours=12))
    timeline, held = crowded(3000, title="x" * 200)
    slots = tuple(replace(slot, if_late=waits) for slot in timeline.slots)
    for now in (slots[700].start, slots[1400].start):
        rolled = cut_out(slots, now - timedelta(minutes=30), timeline.end)
        assert rolled.slots[0].end < rolled.start - timedelta(hours=11)
        said = content_of(rolled, 80, held, now=now).said
        assert said.start == now - timedelta(minutes=30)
        assert said.slots[0].start >= now - timedelta(hours=1)
        assert said.end > now + timedelta(hours=5)


def test_the_digest_of_a_content_is_that_of_its_meaning() -> None:
    timeline, held = crowded(3, title="x")
    said = content_of(timeline, 80, held)
    assert content_of(replace(timeline, slots=timeline.slots[:]), 80, held).digest == said.digest
    assert content_of(timeline, 81, held).digest != said.digest
    assert content_of(replace(timeline, slots=timeline.slots[1:]), 80, held).digest != said.digest
