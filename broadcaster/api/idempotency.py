"""``Idempotency-Key``: a write that is sent twice happens once, and both get the same answer.

A phone on a bad line repeats what it did not hear answered. The answer to a successful POST is kept for a day under the
sender's token and key; a refused one changed nothing and is simply tried again. Uploads need no key: the same bytes are
the same sound. An answer that holds a secret says ``Cache-Control: no-store`` and is not kept either: its requests may
be repeated. A server killed between the write and keeping its answer forgets the key.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from typing import Any
from weakref import WeakValueDictionary

from fastapi import Request, Response
from fastapi.routing import APIRoute

from broadcaster.api.context import Context
from broadcaster.errors import Refusal
from broadcaster.flow.sign_in import official_of
from broadcaster.store.port import RevisionConflict

HEADER = "Idempotency-Key"
_LONGEST = 200
_locks: "WeakValueDictionary[str, asyncio.Lock]" = WeakValueDictionary()


class KeyedRoute(APIRoute):
    """A route that honours the key."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, wrapped."""
        handler = super().get_route_handler()

        async def keyed(request: Request) -> Response:
            key = request.headers.get(HEADER)
            streamed = request.headers.get("content-type", "").startswith("multipart/")
            if key is None or request.method != "POST" or streamed:
                return await handler(request)
            await _require_session(request)
            scope = _digest(request.headers.get("authorization", ""), key[:_LONGEST])
            asked = _digest(request.url.path, (await request.body()).decode("utf-8", "replace"))
            async with _locks.setdefault(scope, asyncio.Lock()):
                return await _once(request, handler, scope, asked)

        return keyed


async def _require_session(request: Request) -> None:
    """Refuse a token that has expired: an answer that is kept is for whoever may still ask."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        house: Context = request.app.state.context
        await asyncio.to_thread(official_of, token, store=house.store, now=house.clock())


async def _once(
    request: Request, handler: Callable[[Request], Coroutine[Any, Any, Response]], scope: str, asked: str
) -> Response:
    house: Context = request.app.state.context
    journal, now = house.store.journal, house.clock()
    try:
        known = await asyncio.to_thread(journal.answered, scope, request=asked, now=now)
    except RevisionConflict as error:
        raise Refusal(
            "key_reused", f"This {HEADER} was used for another request; make a new key for each new request."
        ) from error
    if known is not None:
        return Response(known[1], known[0], {"Idempotency-Replayed": "true"}, "application/json")
    response = await handler(request)
    if response.status_code < 300 and response.headers.get("cache-control") != "no-store":
        await asyncio.to_thread(
            journal.store_answer,
            scope,
            request=asked,
            status=response.status_code,
            body=bytes(response.body),
            now=now,
        )
    return response


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
