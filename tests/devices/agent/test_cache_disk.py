"""What lies on the box's disk: what is here is here for good, within its room, and never believed unseen."""

import errno
import logging
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from devices.agent.supply import web
from tests.devices.agent.conftest import running, until
from tests.devices.agent.pantry import DAY_S, Held, digest_of, digests, settled
from tests.fakes.clock import START, HandClock

MB: Final = 1_000_000


@pytest.fixture
def held(tmp_path: Path, clock: HandClock) -> Held:
    return Held(tmp_path, clock)


@running
async def test_after_a_restart_files_are_verified_without_the_server_soonest_first(held: Held) -> None:
    contents = [bytes([n]) * 1000 for n in range(20)]
    held.lie(*sorted(contents, key=digest_of))
    held.wire.error = web.WebError("no line")
    async with held.running() as cache:
        held.hold(b"missing", *contents, after=3)
        await held.have(*contents)
        assert held.arrived == [digest_of(content) for content in contents]
        assert cache.missing == 1


@running
async def test_a_file_that_a_worn_card_has_changed_is_fetched_again_and_the_others_play(held: Held) -> None:
    held.lie(b"one", b"two")
    held.path(b"one").write_bytes(b"0ne")
    held.wire.serve(b"one")
    async with held.running():
        held.hold(b"one", b"two")
        await held.have(b"one", b"two")
        assert held.arrived == [digest_of(b"two"), digest_of(b"one")]
        assert held.path(b"one").read_bytes() == b"one"


@running
async def test_a_distrusted_file_that_is_damaged_is_fetched_anew(held: Held) -> None:
    held.wire.serve(b"one")
    async with held.running() as cache:
        held.hold(b"one")
        await held.have(b"one")
        held.path(b"one").write_bytes(b"on")
        held.wire.asked.clear()
        cache.distrust(digest_of(b"one"))
        await until(lambda: len(held.wire.asked) == 1 and bool(cache.files))
        assert held.path(b"one").read_bytes() == b"one"


@running
async def test_a_distrusted_file_that_is_as_promised_stays(held: Held, caplog: pytest.LogCaptureFixture) -> None:
    held.wire.serve(b"one")
    async with held.running() as cache:
        held.hold(b"one")
        await held.have(b"one")
        cache.distrust(digest_of(b"one"))
        await until(lambda: "yet it was distrusted" in caplog.text)
        assert cache.files
        assert len(held.wire.asked) == 1


@running
async def test_files_that_vanish_or_shrink_are_missed_at_the_next_playlist(held: Held) -> None:
    held.wire.serve(b"one", b"two")
    async with held.running():
        held.hold(b"one", b"two")
        await held.have(b"one", b"two")
        held.path(b"one").unlink()
        held.path(b"two").write_bytes(b"t")
        held.wire.asked.clear()
        held.hold(b"one", b"two", version=2)
        await until(lambda: len(held.wire.asked) == 2)
        await held.have(b"one", b"two")


@running
async def test_what_no_playlist_names_stays_thirty_days(held: Held) -> None:
    held.wire.serve(b"one", b"two")
    async with held.running() as cache:
        held.hold(b"one", b"two")
        await held.have(b"one", b"two")
        await held.turn_until(lambda: held.clock.monotonic() > 10 * DAY_S, DAY_S / 4)
        held.hold(b"two", version=2)
        gone_after = await held.turn_until(lambda: not held.path(b"one").exists(), DAY_S / 4)
        assert 28 * DAY_S <= gone_after <= 31 * DAY_S
        assert cache.files.keys() == digests([b"two"])


@running
async def test_what_is_named_again_is_not_fetched_again(held: Held) -> None:
    held.lie(b"one", named=START - timedelta(days=20))
    async with held.running():
        held.hold(b"two", after=DAY_S)
        await until(lambda: held.looks == 1)
        held.hold(b"one", after=DAY_S, version=2)
        await held.have(b"one")
        assert held.wire.asked == []


@running
async def test_within_its_budget_the_oldest_leave_first(held: Held) -> None:
    old, older, new = (bytes([n]) * 6 * MB for n in range(3))
    held.lie(old, named=START - timedelta(days=1))
    held.lie(older, named=START - timedelta(days=2))
    held.wire.serve(new)
    async with held.running():
        held.hold(new)
        await held.have(new)
        assert held.on_disk() == digests([old, new])


@running
async def test_a_rendition_larger_than_the_budget_is_never_asked_for_and_said_once(
    held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    huge = bytes(17 * MB)
    held.wire.serve(huge, b"one")
    async with held.running() as cache:
        held.hold(huge, b"one", after=DAY_S)
        await held.turn_until(lambda: bool(cache.files), 30)
        await held.turn_until(lambda: held.looks > 5, 300)
        assert [digest for _, digest in held.wire.asked] == [digest_of(b"one")]
        assert caplog.text.count("finds no room") == 1
        assert cache.missing == 1


@running
async def test_the_disk_is_left_free_for_the_ledger_until_there_is_room(held: Held) -> None:
    held.wire.serve(b"one")
    held.lie(b"idle")
    held.free = 1 * MB - 2
    async with held.running() as cache:
        held.hold(b"one", after=DAY_S)
        await held.turn_until(lambda: held.clock.monotonic() > 3600, 60)
        assert held.on_disk() == set()
        assert held.wire.asked == []
        assert cache.missing == 1
        held.free = 2 * MB
        await held.turn_until(lambda: bool(cache.files), 60)


@running
async def test_a_full_disk_keeps_what_is_verified_says_so_once_and_goes_on(
    held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    held.lie(b"one")
    held.lie(b"idle")
    held.wire.serve(b"two")
    async with held.running() as cache:
        held.wire.error = OSError(errno.ENOSPC, "No space left on device")
        held.path(b"two").with_suffix(".part").write_bytes(b"t")
        held.hold(b"one", b"two", after=120)
        await held.turn_until(lambda: len(held.wire.asked) >= 4, 0.5)
        assert held.on_disk() == digests([b"one"])
        assert cache.files.keys() == digests([b"one"])
        assert caplog.text.count("disk is full") == 1
        held.wire.error = None
        await held.turn_until(lambda: len(cache.files) == 2, 1)
        assert "disk takes renditions again" in caplog.text


@running
async def test_what_is_not_a_rendition_s_is_left_alone(held: Held) -> None:
    other = held.directory / "lost+found"
    other.mkdir()
    async with held.running():
        held.hold(version=1)
        await until(lambda: held.looks == 1)
        held.clock.turn(60 * DAY_S)
        await until(lambda: held.looks == 2)
        assert other.exists()


@running
async def test_a_box_that_holds_what_it_needs_looks_once_a_day(held: Held) -> None:
    held.wire.serve(b"one")
    async with held.running() as cache:
        held.hold(b"one")
        await held.have(b"one")
        await settled()
        before = held.looks
        await held.turn_until(lambda: held.clock.monotonic() > 3 * DAY_S, 3600)
        assert held.looks - before == 3
        assert cache.files
