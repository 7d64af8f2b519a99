"""A rendition comes over a real HTTP server whole and right, or it does not count."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devices.agent.supply import web
from devices.agent.supply.fetching import Mended, fetch, obtain
from devices.agent.supply.folder import BadRendition, Folder, free_bytes
from tests.devices.agent.conftest import MediaServer, reference
from tests.fakes.clock import START

BIG = bytes(range(256)) * 1024
WANTED = reference(BIG, 1)


@pytest.fixture
def served(media: MediaServer) -> MediaServer:
    media.content[WANTED.url] = BIG
    return media


def get(media: MediaServer, directory: Path, proceed: Callable[[], bool] = lambda: True) -> Path | None:
    folder = Folder(directory, free_bytes)
    return asyncio.run(obtain(fetch, media.url, WANTED, folder, proceed=proceed, now=lambda: START))


def test_a_rendition_is_fetched_checked_and_named_by_its_digest(served: MediaServer, tmp_path: Path) -> None:
    path = get(served, tmp_path)
    assert path is not None
    assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
    assert [*tmp_path.iterdir()] == [path]


def test_a_broken_transfer_resumes_where_it_ended(served: MediaServer, tmp_path: Path) -> None:
    served.cut_after = 100_000
    with pytest.raises(web.WebError):
        get(served, tmp_path)
    assert get(served, tmp_path)
    assert [span for _, span in served.requests] == [None, "bytes=100000-"]


def test_a_server_without_ranges_is_read_from_the_start(served: MediaServer, tmp_path: Path) -> None:
    served.cut_after, served.ranges = 100_000, False
    with pytest.raises(web.WebError):
        get(served, tmp_path)
    path = get(served, tmp_path)
    assert path is not None
    assert path.read_bytes() == BIG


def test_wrong_bytes_are_deleted(served: MediaServer, tmp_path: Path) -> None:
    served.content[WANTED.url] = BIG[:-1] + b"!"
    with pytest.raises(BadRendition) as raised:
        get(served, tmp_path)
    assert not isinstance(raised.value, Mended)
    assert [*tmp_path.iterdir()] == []


def test_wrong_bytes_that_were_put_together_may_be_our_own_fault(served: MediaServer, tmp_path: Path) -> None:
    (tmp_path / f"{WANTED.digest}.part").write_bytes(bytes(100_000))
    with pytest.raises(Mended):
        get(served, tmp_path)
    assert get(served, tmp_path)


def test_a_file_longer_than_promised_is_cut_off_and_deleted(served: MediaServer, tmp_path: Path) -> None:
    served.content[WANTED.url] = BIG * 2
    with pytest.raises(BadRendition):
        get(served, tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_a_truncated_file_never_counts(served: MediaServer, tmp_path: Path) -> None:
    served.content[WANTED.url] = BIG[:-10]
    with pytest.raises(web.WebError):
        get(served, tmp_path)
    assert [one.suffix for one in tmp_path.iterdir()] == [".part"]


def test_where_the_server_has_no_more_the_next_try_starts_over(served: MediaServer, tmp_path: Path) -> None:
    (tmp_path / f"{WANTED.digest}.part").write_bytes(bytes(100_000))
    served.status = 416
    with pytest.raises(web.WebError, match="no more than"):
        get(served, tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_an_unknown_rendition_is_the_servers_word(media: MediaServer, tmp_path: Path) -> None:
    with pytest.raises(web.WebError, match="404"):
        get(media, tmp_path)


def test_a_damaged_file_on_disk_is_fetched_again(served: MediaServer, tmp_path: Path) -> None:
    path = get(served, tmp_path)
    assert path is not None
    path.write_bytes(BIG[:-1] + b"!")
    assert get(served, tmp_path)
    assert path.read_bytes() == BIG
    assert len(served.requests) == 2


def test_what_is_here_is_not_fetched(served: MediaServer, tmp_path: Path) -> None:
    assert get(served, tmp_path) == get(served, tmp_path)
    assert len(served.requests) == 1


def test_a_transfer_told_to_stop_keeps_what_it_has(served: MediaServer, tmp_path: Path) -> None:
    chunks: Iterator[bool] = iter([True, True, False])
    assert get(served, tmp_path, lambda: next(chunks)) is None
    (part,) = tmp_path.iterdir()
    assert 0 < part.stat().st_size < len(BIG)


def test_when_a_rendition_was_named_is_told_by_the_boxs_clock(served: MediaServer, tmp_path: Path) -> None:
    path = get(served, tmp_path)
    assert path is not None
    assert datetime.fromtimestamp(path.stat().st_mtime, UTC) == START
