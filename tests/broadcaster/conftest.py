"""A real application over real stores, without broker, loops or sound card; its clock is turned by hand."""

import asyncio
import dataclasses
import json
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fastapi import FastAPI

from audio.library import Library
from broadcaster.api.context import Context
from broadcaster.api.problems import PROBLEMS
from broadcaster.api.server import create
from broadcaster.app import opened
from broadcaster.config import Settings
from broadcaster.flow.plan import Board
from broadcaster.flow.prepare import Preparation
from broadcaster.store.port import Definitions
from broadcaster.store.records import Sound
from broadcaster.store.store import Store
from devices.envelope import SigningKey
from tests.broadcaster.commune import ADMIN, NOW, OFFICIAL, ready_sound, settings, settle_commune
from tests.fakes.asgi import Answer, Browser, HangUp, Sent

T = TypeVar("T")

NOUNS = (
    "zones",
    "clusters",
    "day_types",
    "programmes",
    "decisions",
    "sounds",
    "officials",
    "sessions",
    "enrolments",
    "boxes",
)


@dataclass
class Clock:
    """The clock of the API."""

    now: datetime = NOW

    def turn(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Commune:
    """A running application with its commune, and an official's way of speaking to it."""

    context: Context
    app: FastAPI
    runner: asyncio.Runner
    clock: Clock = field(default_factory=Clock)
    ready: dict[str, bool] = field(default_factory=lambda: {"plan": True, "broker": True})
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return self.context.store

    @property
    def library(self) -> Library:
        return self.context.library

    @property
    def browser(self) -> Browser:
        return Browser(self.app)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: Iterable[bytes | HangUp] = (),
        query: Mapping[str, str] | None = None,
        token: str | None = ADMIN.id,
        headers: Mapping[str, str] | None = None,
        sent: Sent | None = None,
    ) -> Answer:
        """Send a request as an admin, or with another token; ``path`` is below ``/api/v1`` unless it says more."""
        whole = path if path.startswith(("/api/", "/healthz", "/readyz", "/metrics")) else f"/api/v1{path}"
        told = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        return self.run(self.browser.ask(method, whole, json=json, body=body, query=query, headers=told, sent=sent))

    def get(self, path: str, *, expect: int = 200, **more: Any) -> Any:
        """Return what a GET answers."""
        answer = self.ask("GET", path, **more)
        assert answer.status == expect, answer.body
        return answer.json()

    def post(self, path: str, json: Any = None, *, expect: int = 201, **more: Any) -> Any:
        """Return what a POST answers."""
        answer = self.ask("POST", path, json=json, **more)
        assert answer.status == expect, answer.body
        return answer.json()

    def refused(self, method: str, path: str, status: int, code: str, **more: Any) -> dict[str, Any]:
        """Send what cannot be, in both languages: the same problem each time, and nothing has changed.

        Returns the English document.
        """
        before = self.held()
        spoken = {}
        for language, header in (("en", {}), ("vi", {"Accept-Language": "vi-VN,vi;q=0.9,en;q=0.8"})):
            asked = {**more, "headers": {**more.get("headers", {}), **header}}
            answer = self.ask(method, path, **asked)
            assert answer.headers["content-type"] == "application/problem+json", answer.body
            assert answer.headers["content-language"] == language
            said = spoken[language] = answer.json()
            assert (answer.status, said["status"], said["code"]) == (status, status, code), said
            assert said["type"] == f"urn:loa:problem:{code}"
            assert said["detail"]
        assert spoken["en"]["title"] == PROBLEMS[code].title
        assert spoken["vi"]["title"] == PROBLEMS[code].title_vi
        assert spoken["vi"]["detail"] != spoken["en"]["detail"]
        assert "{" not in spoken["vi"]["detail"]
        assert self.held() == before
        english: dict[str, Any] = spoken["en"]
        return english

    def held(self) -> dict[str, Any]:
        """Return everything that is stored, to be compared."""
        journal = self.store.journal
        return {
            **{noun: dump(self.store.definitions, noun) for noun in NOUNS},
            "facts": journal.last_sequence(),
            "receipts": journal.last_receipt(),
            "publications": {id: each.version for id, each in journal.publications().items()},
            "incoming": self.incoming(),
            "originals": sorted(str(path) for path in (self.library.dir / "originals").glob("??/*")),
        }

    def incoming(self) -> list[Path]:
        """Return what lies half done in the library."""
        return list((self.library.dir / "incoming").iterdir())

    def kinds(self) -> list[str]:
        """Return the kinds of all facts, in order."""
        return [fact.kind for fact in self.store.journal.facts(limit=10_000)]


def dump(definitions: Definitions, noun: str) -> list[dict[str, Any]]:
    return [dataclasses.asdict(record) for record in getattr(definitions, noun).all()]


@pytest.fixture
def station(tmp_path: Path) -> Settings:
    """The settings: defaults, small limits for sounds."""
    return settings(tmp_path / "data", sound={"largest_mb": 0.2, "most_text": 200, "longest_minutes": 1})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The real store, with the commune in it."""
    directory = tmp_path / "data"
    directory.mkdir(exist_ok=True)
    with opened(directory) as store:
        settle_commune(store)
        yield store


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "data" / "sounds")


@pytest.fixture
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def commune(store: Store, library: Library, station: Settings, key: SigningKey) -> Iterator[Commune]:
    ready, dropped = {"plan": True, "broker": True}, dict[str, int]()
    context = Context(
        settings=station,
        store=store,
        board=Board(store.definitions, station),
        library=library,
        preparation=Preparation(store=store, library=library, settings=station.sound, zone=station.station.zone),
        playlist_keys=(key.public(),),
        readiness=lambda: dict(ready),
        dropped=lambda: dict(dropped),
        line_since=lambda: NOW,
    )
    app = create(context)
    with asyncio.Runner() as runner:
        commune = Commune(context, app, runner, ready=ready, dropped=dropped)
        context.clock = lambda: commune.clock.now
        yield commune


@pytest.fixture
def sound(commune: Commune) -> Sound:
    """A sound of a minute that is ready."""
    return ready_sound(commune.store, commune.library)


@pytest.fixture
def official() -> str:
    """The token of an official who is no admin."""
    return OFFICIAL.id


def as_json(value: Any) -> Any:
    """Return the value as it looks after a way over the wire."""
    return json.loads(json.dumps(value, default=str))
