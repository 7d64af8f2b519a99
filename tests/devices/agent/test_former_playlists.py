"""What is said of slots that a newer playlist no longer covers, and that passed while the time was not known."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from devices.agent.conduct.playlists import Shelf
from devices.agent.memory.ledger import State
from devices.messages import Outcome, Playlist, RenditionReference
from tests.devices.agent.conftest import Site, playlist, running, slot
from tests.devices.agent.paper import A, Box, second
from tests.devices.agent.test_player import WHOLE, street
from tests.fakes.clock import HandClock

DAY = 86_400.0
FILE = RenditionReference(digest=A, size_bytes=1, duration=30.0, url="/a")
BULLETIN = slot("bulletin", second(60), (A, 30.0))
FIRST = playlist(BULLETIN, renditions=(FILE,), issued=second(-60), version=1)
LATER = playlist(BULLETIN, slot("later", second(7200), (A, 30.0)), renditions=(FILE,), issued=second(3600), version=2)
TOMORROW = playlist(slot("later", second(DAY + 7200), (A, 30.0)), renditions=(FILE,), issued=second(DAY), version=2)


async def restarted(path: Path, site: Site, at: datetime) -> tuple[Shelf, Box]:
    """Return a shelf that has read its files, and a box that does not know the time."""
    shelf = Shelf(path, site.pinned)
    await shelf.load()
    return shelf, Box(booted=at, trusted=False)


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@running
async def test_a_slot_that_passed_while_the_time_was_not_known_is_told_after_the_next_playlist(
    site: Site, tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path / "playlist.jws", site.pinned)
    box = Box(trusted=False)
    await shelf.put(site.seal(FIRST), second(0))
    assert shelf.agenda is not None
    box.run(shelf.agenda, second(0), second(600))
    await shelf.put(site.seal(TOMORROW), second(DAY + 10))
    box.trusted = second(DAY + 20)
    box.look(shelf.agenda, second(DAY + 20))
    assert box.told("bulletin") == [(Outcome.MISSED, "clock")]
    box.look(shelf.agenda, second(DAY + 30))
    assert box.told("bulletin") == [(Outcome.MISSED, "clock")]


@running
@pytest.mark.parametrize("newer", [LATER, TOMORROW], ids=["still named", "no longer covered"])
async def test_it_is_told_though_the_power_went_again_before_the_time_was_known(
    site: Site, tmp_path: Path, newer: Playlist
) -> None:
    path = tmp_path / "playlist.jws"
    shelf = Shelf(path, site.pinned)
    await shelf.put(site.seal(FIRST), second(0))
    shelf, _ = await restarted(path, site, newer.issued)
    await shelf.put(site.seal(newer), newer.issued)
    for version in (newer.version + 1, newer.version + 2):  # of what came since then the oldest says most
        await shelf.put(site.seal(newer.model_copy(update={"version": version})), newer.issued)
    now = newer.issued + timedelta(minutes=30)
    shelf, box = await restarted(path, site, now)
    assert shelf.agenda is not None and shelf.agenda.version == newer.version + 2
    box.look(shelf.agenda, now)
    assert box.told("bulletin") == []
    box.trusted = now
    box.look(shelf.agenda, now)
    assert box.told("bulletin") == [(Outcome.MISSED, "off")]


@running
async def test_what_was_told_is_history_after_a_restart(site: Site, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "playlist.jws", site.pinned)
    await shelf.put(site.seal(FIRST), second(0))
    await shelf.put(site.seal(LATER), second(3600))
    await shelf.settle()
    shelf, _ = await restarted(tmp_path / "playlist.jws", site, second(4000))
    assert shelf.agenda is not None
    assert shelf.agenda.history == LATER.issued
    assert names(tmp_path) == {"playlist.jws"}


@running
async def test_a_playlist_that_cannot_be_read_does_not_bring_back_the_one_before(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "playlist.jws"
    shelf = Shelf(path, site.pinned)
    await shelf.put(site.seal(FIRST), second(0))
    await shelf.put(site.seal(LATER), second(3600))
    path.write_bytes(b"garbage")
    shelf, _ = await restarted(path, site, second(4000))
    assert shelf.held is None
    await shelf.put(site.seal(LATER), second(4010))
    shelf, _ = await restarted(path, site, second(4020))
    assert shelf.agenda is not None and shelf.agenda.history == LATER.issued


@running
async def test_the_playlist_before_is_kept_until_it_is_written_down_what_became_of_its_slots(
    site: Site, clock: HandClock, tmp_path: Path
) -> None:
    async with street(site, clock, tmp_path) as here:
        here.know_no_time()
        await here.hold(slot("one", second(10), (A, 20)))
        await here.hold(slot("one", second(10), (A, 20)), slot("two", second(100), (A, 20)), version=2)
        await here.live(60)
        assert "former-playlist.jws" in names(tmp_path)
        here.database.full = True
        clock.doubt = 0.0
        await here.live(30)
        assert await here.told("one") == []
        assert "former-playlist.jws" in names(tmp_path), "a power cut now would take with it what is said of its slots"
        here.database.full = False
        await here.live(60)
        assert await here.told("one") == [(Outcome.MISSED, "clock")]
        assert "former-playlist.jws" not in names(tmp_path)


@running
async def test_what_was_cued_before_the_power_went_is_joined_as_soon_as_the_time_is_known(
    site: Site, clock: HandClock, tmp_path: Path
) -> None:
    async with street(site, clock, tmp_path) as here:
        await here.hold(slot("one", second(10), (A, 90)))
        await here.live(8)
        assert here.outbox.ledger["one"].state is State.CUED
    clock.turn(30)
    async with street(site, clock, tmp_path) as here:
        await here.shelf.load()
        here.know_no_time()
        await here.live(40)
        assert here.ear.cues == ()
        clock.doubt = 0.0
        await here.live(1)
        assert [cue.slot.id for cue in here.ear.cues] == ["one"]
        await here.live(60)
        assert await here.told("one") == WHOLE
