"""What the box's tests share: a server's key, playlists made of short words, a place on disk, a web server."""

import asyncio
import hashlib
import http.server
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from devices import envelope, messages
from devices.envelope import SigningKey
from devices.trust import Pinned
from tests.fakes.clock import START, HandClock

RATE = 48_000


@dataclass(frozen=True)
class Site:
    """The server's side of the trust: it signs what the box believes."""

    key: SigningKey
    pinned: Pinned

    def seal(self, playlist: messages.Playlist) -> bytes:
        return envelope.seal(playlist.to_bytes(), messages.PLAYLIST, self.key)

    def seal_acknowledgement(self, through: int) -> bytes:
        document = messages.Acknowledgement(box=self.pinned.box, through=through, at=START)
        return envelope.seal(document.to_bytes(), messages.ACKNOWLEDGEMENT, self.key)


@pytest.fixture
def site() -> Site:
    key = SigningKey.generate()
    pinned = Pinned(box="box-1", cluster="ap-chau", playlist_keys={key.kid: key.public()})
    return Site(key, pinned)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def reference(content: bytes, duration: float) -> messages.RenditionReference:
    digest = hashlib.sha256(content).hexdigest()
    return messages.RenditionReference(
        digest=digest, size_bytes=len(content), duration=duration, url=f"/media/{digest}"
    )


def slot(id_: str, start: datetime, *rendition_seconds: tuple[str, float], level: int = 3) -> messages.Slot:
    items = []
    offset = 0.0
    for rendition, seconds in rendition_seconds:
        items.append(messages.SlotItem(rendition=rendition, offset=offset, duration=seconds))
        offset += seconds
    return messages.Slot(id=id_, title=id_, level=level, start=start, duration=offset, items=tuple(items))


def playlist(
    *slots: messages.Slot,
    renditions: tuple[messages.RenditionReference, ...] = (),
    version: int = 1,
    issued: datetime = START - timedelta(hours=1),
    expires: datetime = START + timedelta(days=7),
    volume: int = 100,
    rules: messages.Rules | None = None,
) -> messages.Playlist:
    return messages.Playlist(
        cluster="ap-chau",
        version=version,
        issued=issued,
        expires=expires,
        start=issued,
        end=expires,
        volume=volume,
        renditions=renditions,
        slots=slots,
        rules=rules,
    )


def rules(quiet: str = "", **said: object) -> messages.Rules:
    """Return rules of Saigon; ``quiet`` is such as ``"21:00:00-05:00:00"``. ``START`` is 5 in the morning there."""
    hours = [dict(zip(("start", "end"), each.split("-"), strict=True)) for each in quiet.split()]
    return messages.Rules.model_validate({"time_zone": "Asia/Ho_Chi_Minh", "quiet": hours, **said})


@dataclass(frozen=True)
class Sound:
    """A noise, encoded as the server would, and as the box should hear it."""

    content: bytes
    samples: npt.NDArray[np.float32]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE

    @property
    def reference(self) -> messages.RenditionReference:
        return reference(self.content, self.seconds)


@pytest.fixture(scope="session")
def make_sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[float, int], Sound]:
    def make(seconds: float, seed: int = 0) -> Sound:
        path = tmp_path_factory.mktemp("sound") / "noise.opus"
        noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32) * 0.1
        soundfile.write(path, noise, RATE, format="OGG", subtype="OPUS")
        return Sound(path.read_bytes(), soundfile.read(path, dtype="float32")[0])

    return make


@dataclass
class MediaServer:
    """A real HTTP server with byte ranges, that can be told to misbehave."""

    url: str = ""
    content: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    cut_after: int | None = None
    """Close the line after this many bytes of the next answer."""
    ranges: bool = True
    status: int | None = None
    answer: bytes = b""


@pytest.fixture
def media() -> Iterator[MediaServer]:
    state = MediaServer()

    class Requests(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            span = self.headers.get("Range")
            state.requests.append((self.path, span))
            body = state.content.get(self.path)
            if state.status or body is None:
                self.send_error(state.status or 404)
                return
            first = int(span.removeprefix("bytes=").rstrip("-")) if span and state.ranges else 0
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - first))
            self.end_headers()
            cut, state.cut_after = state.cut_after, None
            self.wfile.write(body[first:] if cut is None else body[first : first + cut])
            self.close_connection = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.requests.append((self.path, body.decode()))
            self.send_response(state.status or 201)
            self.send_header("Content-Length", str(len(state.answer)))
            self.end_headers()
            self.wfile.write(state.answer)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Let the loop run until ``condition`` holds; threads (disk, web) may take part in it."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


def running(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a coroutine test on a loop of its own."""
    import functools

    @functools.wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        asyncio.run(test(*args, **kwargs))  # type: ignore[arg-type]

    return run
