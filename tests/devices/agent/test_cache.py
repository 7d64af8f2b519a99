"""Renditions come soonest first, whole and right, or they do not count."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from devices.agent import web
from devices.agent.cache import KEPT_S, BadRendition, Cache, needed, obtain
from devices.agent.playlists import Agenda, agenda_of
from tests.devices.agent.conftest import MediaServer, playlist, reference, running, slot, until
from tests.fakes.clock import START, HandClock

BIG = bytes(range(256)) * 1024


def go() -> bool:
    return True


def served(media: MediaServer, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    media.content[f"/media/{digest}"] = content
    return digest


def test_a_rendition_is_fetched_checked_and_named_by_its_digest(media: MediaServer, tmp_path: Path) -> None:
    served(media, BIG)
    path = obtain(media.url, reference(BIG, 1), tmp_path, go)
    assert path is not None
    assert path.read_bytes() == BIG
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_broken_transfer_resumes_where_it_ended(media: MediaServer, tmp_path: Path) -> None:
    served(media, BIG)
    media.cut_after = 100_000
    with pytest.raises(web.WebError):
        obtain(media.url, reference(BIG, 1), tmp_path, go)
    assert obtain(media.url, reference(BIG, 1), tmp_path, go)
    assert [span for _, span in media.requests] == [None, "bytes=100000-"]


def test_a_server_without_ranges_is_read_from_the_start(media: MediaServer, tmp_path: Path) -> None:
    served(media, BIG)
    media.cut_after, media.ranges = 100_000, False
    with pytest.raises(web.WebError):
        obtain(media.url, reference(BIG, 1), tmp_path, go)
    path = obtain(media.url, reference(BIG, 1), tmp_path, go)
    assert path is not None
    assert path.read_bytes() == BIG


def test_wrong_bytes_are_deleted(media: MediaServer, tmp_path: Path) -> None:
    wanted = reference(BIG, 1)
    media.content[wanted.url] = BIG[:-1] + b"!"
    with pytest.raises(BadRendition):
        obtain(media.url, wanted, tmp_path, go)
    assert list(tmp_path.iterdir()) == []


def test_a_file_longer_than_promised_is_cut_off_and_deleted(media: MediaServer, tmp_path: Path) -> None:
    wanted = reference(BIG, 1)
    media.content[wanted.url] = BIG * 2
    with pytest.raises(BadRendition):
        obtain(media.url, wanted, tmp_path, go)
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_file_never_counts(media: MediaServer, tmp_path: Path) -> None:
    wanted = reference(BIG, 1)
    media.content[wanted.url] = BIG[:-10]
    with pytest.raises(web.WebError):
        obtain(media.url, wanted, tmp_path, go)
    assert [one.suffix for one in tmp_path.iterdir()] == [".part"]


def test_an_unknown_rendition_is_the_servers_word(media: MediaServer, tmp_path: Path) -> None:
    with pytest.raises(web.WebError, match="404"):
        obtain(media.url, reference(BIG, 1), tmp_path, go)


def test_a_damaged_file_on_disk_is_fetched_again(media: MediaServer, tmp_path: Path) -> None:
    served(media, BIG)
    path = obtain(media.url, reference(BIG, 1), tmp_path, go)
    assert path is not None
    path.write_bytes(BIG[:-1] + b"!")
    assert obtain(media.url, reference(BIG, 1), tmp_path, go)
    assert path.read_bytes() == BIG
    assert len(media.requests) == 2


def test_a_transfer_told_to_stop_keeps_what_it_has(media: MediaServer, tmp_path: Path) -> None:
    served(media, BIG)
    chunks = iter([True, True, False])
    assert obtain(media.url, reference(BIG, 1), tmp_path, lambda: next(chunks)) is None
    (part,) = tmp_path.iterdir()
    assert 0 < part.stat().st_size < len(BIG)


def test_what_is_heard_soonest_is_needed_first() -> None:
    a, b, c, d = (reference(bytes([n]), 1) for n in range(4))
    agenda = agenda_of(
        playlist(
            slot("past", START - timedelta(minutes=1), (a.digest, 1)),
            slot("soon", START + timedelta(minutes=1), (c.digest, 1)),
            slot("later", START + timedelta(minutes=2), (b.digest, 1), (c.digest, 1)),
            renditions=(a, b, c, d),
        ),
        since=START,
    )
    assert needed(agenda, START) == [c, b, a, d]


async def until_turned(clock: HandClock, condition: Callable[[], bool], step: float = 30) -> float:
    """Turn the clock until ``condition`` holds, and return how far it was turned."""
    began = clock.monotonic()
    await until(lambda: condition() or bool(clock.turn(step)))
    return clock.monotonic() - began


class Held:
    """The cache's surroundings: what it asks and what it tells."""

    def __init__(self, server: str, directory: Path, clock: HandClock) -> None:
        self.agenda: Agenda | None = None
        self.rejected: list[str] = []
        self.cache = Cache(
            directory, server, agenda=lambda: self.agenda, clock=clock, changed=lambda: None, rejected=self._reject
        )

    async def _reject(self, digest: str) -> None:
        self.rejected.append(digest)

    def hold(self, *contents: bytes, version: int = 1) -> None:
        references = tuple(reference(content, 1) for content in contents)
        self.agenda = agenda_of(playlist(renditions=references, version=version), since=START)
        self.cache.bell.ring()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Cache]:
        task = asyncio.create_task(self.cache.run())
        try:
            yield self.cache
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def make_held(media: MediaServer, tmp_path: Path, clock: HandClock) -> Callable[[], Held]:
    return lambda: Held(media.url, tmp_path, clock)


@running
async def test_the_cache_fetches_what_the_playlist_names(media: MediaServer, make_held: Callable[[], Held]) -> None:
    digests = {served(media, b"one"), served(media, b"two")}
    held = make_held()
    async with held.running() as cache:
        held.hold(b"one", b"two")
        assert cache.missing == 2
        await until(lambda: set(cache.files) == digests)
        assert cache.missing == 0


@running
async def test_a_bad_rendition_is_reported_once_and_tried_again_later(
    media: MediaServer, make_held: Callable[[], Held], clock: HandClock
) -> None:
    digest = served(media, b"one")
    media.content[f"/media/{digest}"] = b"0ne"
    held = make_held()
    async with held.running() as cache:
        held.hold(b"one")
        await until(lambda: held.rejected == [digest])
        clock.turn(1)
        await until(lambda: len(media.requests) == 2)
        media.content[f"/media/{digest}"] = b"one"
        await until(lambda: bool(clock.turn(1) or cache.files))
        assert held.rejected == [digest]


@running
async def test_a_server_that_is_away_is_asked_less_and_less_often(
    media: MediaServer, make_held: Callable[[], Held], clock: HandClock
) -> None:
    media.status = 503
    held = make_held()
    async with held.running():
        held.hold(b"one")
        pauses = []
        for tries in range(1, 8):
            await until(lambda tries=tries: len(media.requests) == tries)  # type: ignore[misc]
            pauses.append(await until_turned(clock, lambda tries=tries: len(media.requests) > tries, 0.05))  # type: ignore[misc]
        assert pauses[0] < 3
        assert pauses[-1] > 30


@running
async def test_what_no_playlist_names_leaves_after_a_while(
    media: MediaServer, make_held: Callable[[], Held], clock: HandClock, tmp_path: Path
) -> None:
    served(media, b"one")
    held = make_held()
    async with held.running() as cache:
        held.hold(b"one")
        await until(lambda: len(cache.files) == 1)
        held.hold(version=2)
        gone_at = await until_turned(clock, lambda: not any(tmp_path.iterdir()) and not cache.files)
        assert KEPT_S <= gone_at <= KEPT_S + 300
