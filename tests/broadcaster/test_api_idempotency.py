"""A phone on a bad line repeats what it did not hear answered."""

import asyncio
from typing import Any

import pytest

from broadcaster.store.records import Sound
from tests.broadcaster.commune import ADMIN, OFFICIAL
from tests.broadcaster.conftest import Commune

KEY = {"Idempotency-Key": "5f1c-thong-bao"}


@pytest.fixture
def wish(sound: Sound) -> dict[str, Any]:
    return {"title": "Tiêm phòng dại", "sound": sound.id, "zones": ["nam-chanh"]}


def test_a_repeated_request_happens_once_and_gets_the_same_answer(commune: Commune, wish: dict[str, Any]) -> None:
    first = commune.ask("POST", "/announcements", json=wish, headers=KEY)
    before = commune.held()
    commune.clock.turn(seconds=5)
    again = commune.ask("POST", "/announcements", json=wish, headers=KEY)
    assert (again.status, again.body) == (first.status, first.body)
    assert (again.headers.get("idempotency-replayed"), first.headers.get("idempotency-replayed")) == ("true", None)
    assert commune.held() == before
    assert len(commune.store.definitions.programmes.all()) == 1


def test_requests_that_come_together_happen_once(commune: Commune, wish: dict[str, Any]) -> None:
    headers = {**KEY, "Authorization": f"Bearer {ADMIN.id}"}

    async def together() -> list[bytes]:
        asked = [commune.browser.ask("POST", "/api/v1/announcements", json=wish, headers=headers) for _ in range(5)]
        return [answer.body for answer in await asyncio.gather(*asked)]

    assert len(set(commune.run(together()))) == 1
    assert len(commune.store.definitions.programmes.all()) == 1


def test_without_a_key_each_request_counts(commune: Commune, wish: dict[str, Any]) -> None:
    assert commune.post("/announcements", wish)["id"] != commune.post("/announcements", wish)["id"]


def test_a_key_is_for_one_request(commune: Commune, wish: dict[str, Any]) -> None:
    commune.post("/announcements", wish, headers=KEY)
    other = {**wish, "zones": ["ngan-ro"]}
    commune.refused("POST", "/announcements", 409, "key_reused", json=other, headers=KEY)
    commune.refused("POST", "/zones", 409, "key_reused", json=wish, headers=KEY)


def test_each_official_has_keys_of_their_own(commune: Commune, wish: dict[str, Any]) -> None:
    mine = commune.post("/announcements", wish, headers=KEY)
    theirs = commune.post("/announcements", wish, headers=KEY, token=OFFICIAL.id)
    assert mine["id"] != theirs["id"]
    assert theirs["author"] == OFFICIAL.id


def test_a_refused_request_is_tried_again(commune: Commune, wish: dict[str, Any]) -> None:
    zone = {"id": "moi", "name": "x", "kind": "x", "parent": "lon"}
    commune.refused("POST", "/zones", 422, "unknown_parent", json=zone, headers=KEY)
    commune.post("/zones", {"id": "lon", "name": "x", "kind": "x"})
    commune.post("/zones", zone, headers=KEY)


def test_a_key_counts_for_writes_only(commune: Commune) -> None:
    assert commune.ask("GET", "/me", headers=KEY).json()["name"] == ADMIN.id
    zone = commune.ask("PATCH", "/zones/nam-chanh", json={"revision": 1, "name": "A"}, headers=KEY)
    assert zone.json()["revision"] == 2
