"""A web client in memory: it calls an ASGI application as a server would, streaming both ways.

httpx has a transport that does nearly this, but it keeps an answer back until it is complete, so an
endless one (events) never comes, and it cannot hang up in the middle of a request.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.types import ASGIApp, Message

PATIENCE_S = 20.0


@dataclass
class Answer:
    """What the application sent, so far."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


class HangUp(Exception):
    """Given in place of a chunk of the body: the line falls there."""


@dataclass
class Sent:
    """What the client has given so far."""

    chunks: int = 0


class Browser:
    """Sends requests to one application. ``token`` and ``language`` go with each that does not say otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: Iterable[bytes | HangUp] = (),
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        sent: Sent | None = None,
    ) -> Answer:
        """Send a request and return the whole answer; ``HangUp`` in ``body`` ends the line there."""
        answer = Answer()

        async def send(message: Message) -> None:
            self._note(answer, message)

        chunks = [_encode(json)] if json is not None else body
        scope = _scope(method, path, query, headers or {}, json is not None)
        async with asyncio.timeout(PATIENCE_S):
            await self._app(scope, _giver(chunks, sent or Sent()), send)
        return answer

    @asynccontextmanager
    async def follow(self, path: str, *, headers: Mapping[str, str]) -> AsyncIterator["Stream"]:
        """Open an endless answer for the length of the block; then hang up."""
        stream = Stream()
        gone = asyncio.Event()

        async def receive() -> Message:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            self._note(stream.answer, message)
            if message["type"] == "http.response.body":
                stream.feed(message.get("body", b""), more=message.get("more_body", False))

        scope = _scope("GET", path, None, headers, False)
        task: asyncio.Task[None] = asyncio.create_task(self._app(scope, receive, send))  # type: ignore[arg-type]
        try:
            yield stream
        finally:
            gone.set()
            async with asyncio.timeout(PATIENCE_S):
                await task

    @staticmethod
    def _note(answer: Answer, message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")


@dataclass
class Event:
    """A server-sent event; comments are passed over."""

    id: str
    kind: str
    data: Any


class Stream:
    """The events of an endless answer, as they come."""

    def __init__(self) -> None:
        self.answer = Answer()
        self._text = ""
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()

    def feed(self, chunk: bytes, *, more: bool) -> None:
        self._text += chunk.decode()
        while "\n\n" in self._text:
            block, _, self._text = self._text.partition("\n\n")
            fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
            if fields:
                self._events.put_nowait(
                    Event(fields.get("id", ""), fields.get("event", "message"), json.loads(fields["data"]))
                )
        if not more:
            self._events.put_nowait(None)

    async def next(self) -> Event:
        """Return the next event; fail if the answer has ended."""
        async with asyncio.timeout(PATIENCE_S):
            event = await self._events.get()
        assert event is not None, f"the answer ended: {self.answer.status} {self.answer.body[:500]!r}"
        return event

    async def ended(self) -> None:
        """Wait until the application ends the answer by itself."""
        async with asyncio.timeout(PATIENCE_S):
            while await self._events.get() is not None:
                pass


def _giver(chunks: Iterable[bytes | HangUp], sent: Sent) -> Any:
    rest = iter(chunks)

    async def receive() -> Message:
        chunk = next(rest, None)
        if isinstance(chunk, HangUp):
            return {"type": "http.disconnect"}
        if chunk is None:
            if sent.chunks < 0:  # the request is complete: a server would say nothing until the line falls
                await asyncio.Event().wait()
            sent.chunks = -sent.chunks - 1
            return {"type": "http.request", "body": b"", "more_body": False}
        sent.chunks += 1
        return {"type": "http.request", "body": chunk, "more_body": True}

    return receive


def _scope(
    method: str, path: str, query: Mapping[str, str] | None, headers: Mapping[str, str], is_json: bool
) -> dict[str, Any]:
    parts = urlsplit(path)
    told = {"host": "loa.test", **({"content-type": "application/json"} if is_json else {}), **headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": (urlencode(query) if query else parts.query).encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in told.items()],
        "client": ("127.0.0.1", 40000),
        "server": ("loa.test", 80),
    }


def _encode(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()
