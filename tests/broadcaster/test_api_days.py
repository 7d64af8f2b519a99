"""Day types: which days are holidays, as admins say it, and the programmes that go by them."""

from datetime import datetime
from typing import Any

import pytest

from broadcaster.store.records import Sound
from tests.broadcaster.commune import NOW
from tests.broadcaster.conftest import Commune

HOLIDAYS = {
    "id": "ngay-le",
    "name": "Ngày lễ",
    "days": [{"first": "2026-03-06"}, {"first": "2026-04-30", "last": "2026-05-01"}],
}
WORKING = {"id": "lam-viec", "name": "Ngày làm việc", "weekdays": [1, 2, 3, 4, 5], "less": ["ngay-le"]}


def test_a_day_type_is_added_changed_and_removed(commune: Commune) -> None:
    added = commune.post("/day-types", HOLIDAYS)
    assert added == {
        **HOLIDAYS,
        "days": [{"first": "2026-03-06", "last": "2026-03-06"}, {"first": "2026-04-30", "last": "2026-05-01"}],
        "weekdays": [],
        "less": [],
        "revision": 1,
    }
    assert commune.post("/day-types", WORKING) == {**WORKING, "days": [], "revision": 1}
    changed = commune.ask("PATCH", "/day-types/ngay-le", json={"revision": 1, "days": [], "weekdays": [7]}).json()
    assert changed == {**added, "days": [], "weekdays": [7], "revision": 2}
    assert [each["id"] for each in commune.get("/day-types")["items"]] == ["ngay-le", "lam-viec"]
    commune.refused("DELETE", "/day-types/ngay-le", 409, "in_use")
    for each in ("lam-viec", "ngay-le"):
        assert commune.ask("DELETE", f"/day-types/{each}").status == 204
    assert commune.get("/day-types")["items"] == []
    kinds = ["day_type.added", "day_type.added", "day_type.changed", "day_type.removed", "day_type.removed"]
    assert commune.kinds() == kinds


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/day-types", HOLIDAYS, 409, "already_exists"),
        ("POST", "/day-types", {"id": "x", "name": "x", "less": ["nowhere"]}, 422, "unknown_day_type"),
        ("POST", "/day-types", {"id": "x", "name": "x", "less": ["x"]}, 422, "day_type_cycle"),
        ("PATCH", "/day-types/ngay-le", {"revision": 1, "less": ["lam-viec"]}, 422, "day_type_cycle"),
        ("PATCH", "/day-types/ngay-le", {"revision": 1, "less": ["nowhere"]}, 422, "unknown_day_type"),
        ("PATCH", "/day-types/ngay-le", {"revision": 2, "name": "x"}, 409, "revision_conflict"),
        ("PATCH", "/day-types/ngay-le", {"revision": 1, "name": None}, 422, "bad_request"),
        ("PATCH", "/day-types/ngay-le", {"revision": 1, "days": None}, 422, "bad_request"),
        ("PATCH", "/day-types/nowhere", {"revision": 1, "name": "x"}, 404, "not_found"),
        ("DELETE", "/day-types/nowhere", None, 404, "not_found"),
        ("POST", "/day-types", {"id": "x", "name": "x", "weekdays": [0]}, 422, "bad_request"),
        ("POST", "/day-types", {"id": "x", "name": "x", "days": [{"first": "2026-02-30"}]}, 422, "bad_request"),
        (
            "POST",
            "/day-types",
            {"id": "x", "name": "x", "days": [{"first": "2026-05-02", "last": "2026-05-01"}]},
            422,
            "bad_days",
        ),
    ],
)
def test_a_day_type_that_cannot_be_is_refused(
    commune: Commune, method: str, path: str, body: object, status: int, code: str
) -> None:
    commune.post("/day-types", HOLIDAYS)
    commune.post("/day-types", WORKING)
    commune.refused(method, path, status, code, json=body)


def starts(commune: Commune) -> list[str]:
    window = {"from": NOW.isoformat(), "to": "2026-03-11T00:00:00+07:00", "cluster": "nam-chanh-1"}
    [found] = commune.get("/timeline", query=window)["clusters"]
    zone = commune.context.settings.station.zone
    return [f"{datetime.fromisoformat(slot['start']).astimezone(zone):%a %d}" for slot in found["slots"]]


@pytest.fixture
def wish(sound: Sound) -> dict[str, Any]:
    return {"title": "Bản tin", "items": [{"sound": sound.id}], "zones": ["nam-chanh"]}


def test_a_programme_goes_by_the_days_of_its_types(commune: Commune, wish: dict[str, Any]) -> None:
    commune.post("/day-types", HOLIDAYS)
    commune.post("/day-types", WORKING)
    recurrence = {"start": "2026-03-04T05:00:00", "rule": "FREQ=DAILY", "only_on": ["lam-viec"]}
    programme = commune.post("/programmes", {**wish, "recurrence": recurrence})
    assert programme["recurrence"] == {**recurrence, "except": []}
    assert "Ngày làm việc" in programme["says"]
    assert starts(commune) == ["Wed 04", "Thu 05", "Mon 09", "Tue 10"], "Friday is a holiday"
    commune.ask("PATCH", "/day-types/ngay-le", json={"revision": 1, "days": []})
    assert starts(commune) == ["Wed 04", "Thu 05", "Fri 06", "Mon 09", "Tue 10"]
    assert commune.refused("DELETE", "/day-types/lam-viec", 409, "in_use")["users"] == [programme["id"]]
    commune.post(f"/programmes/{programme['id']}/withdrawal", expect=200)
    assert commune.ask("DELETE", "/day-types/lam-viec").status == 204


def test_a_programme_may_keep_silent_on_the_days_of_a_type(commune: Commune, wish: dict[str, Any]) -> None:
    commune.post("/day-types", HOLIDAYS)
    recurrence = {"start": "2026-03-05T05:00:00", "rule": "FREQ=DAILY;COUNT=3", "not_on": ["ngay-le"]}
    commune.post("/programmes", {**wish, "recurrence": recurrence})
    assert starts(commune) == ["Thu 05", "Sat 07"]


def test_a_day_type_that_is_not_there_is_refused(commune: Commune, wish: dict[str, Any]) -> None:
    recurrence = {"start": "2026-03-05T05:00:00", "rule": "FREQ=DAILY", "not_on": ["ngay-le"]}
    told = commune.refused("POST", "/programmes", 422, "unknown_day_type", json={**wish, "recurrence": recurrence})
    assert told["day_type"] == "ngay-le"
