"""What the endpoints work with, and who asks: both are types in an endpoint's signature."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from audio.library import Library
from broadcaster.api.problems import language
from broadcaster.config import Settings
from broadcaster.errors import Refusal
from broadcaster.flow.plan import Board
from broadcaster.flow.prepare import Preparation
from broadcaster.flow.sign_in import official_of, require
from broadcaster.store.records import Official, Role
from broadcaster.store.store import Store
from devices.envelope import PublicKey


@dataclass(slots=True, kw_only=True)
class Context:
    """The running application, as the API sees it."""

    settings: Settings
    store: Store
    board: Board
    library: Library
    preparation: Preparation
    playlist_keys: tuple[PublicKey, ...]
    readiness: Callable[[], Mapping[str, bool]]
    """What has to be true before the server is of use, by name."""
    dropped: Callable[[], Mapping[str, int]]
    """Messages from boxes that were dropped, by code."""
    line_since: Callable[[], datetime | None] = field(default=lambda: None)
    """When the session with the broker began; None: there is none, and nothing is known of any box."""
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    """Read once per request."""
    closing: bool = field(default=False)
    """Set when the server stops: endless answers end."""


def _context(request: Request) -> Context:
    return cast(Context, request.app.state.context)


def _now(request: Request) -> datetime:
    return _context(request).clock()


House = Annotated[Context, Depends(_context)]
Now = Annotated[datetime, Depends(_now)]
"""The clock, read once per request."""


def _language(accept_language: Annotated[str, Header(description="vi or en")] = "") -> str:
    return language(accept_language)


Language = Annotated[str, Depends(_language)]
"""``vi`` or ``en``, as the request prefers."""

_bearer = HTTPBearer(auto_error=False, description="The token from `POST /sessions`.")


def _official(
    house: House, now: Now, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Official:
    if credentials is None:
        raise Refusal("not_signed_in", "This needs a bearer token; sign in with POST /api/v1/sessions.")
    return official_of(credentials.credentials, store=house.store, now=now)


SignedIn = Annotated[Official, Depends(_official)]
"""Any official with a session."""


def _admin(official: SignedIn) -> Official:
    require(official, Role.ADMIN)
    return official


Admin = Annotated[Official, Depends(_admin)]
"""An official who may change zones, clusters and boxes."""
