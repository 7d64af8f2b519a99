"""Zones, clusters and the boxes that take their places, in the language of officials."""

import re
from datetime import timedelta
from unicodedata import normalize

import pytest

from devices.envelope import SigningKey
from schedules.zones import Zone
from tests.broadcaster.commune import ADMIN, CLUSTERS, NOW, OFFICIAL, ZONES, enrolled, ready_sound, status
from tests.broadcaster.conftest import Commune

HAMLET = {"id": "bung-lon", "name": "Ấp Bưng Lớn", "kind": "ấp", "parent": "dai-an-2"}


# Zones


def test_a_zone_is_added_changed_moved_and_removed(commune: Commune) -> None:
    added = commune.post("/zones", HAMLET)
    assert added == {**HAMLET, "area": None, "rules": None, "holds": [], "revision": 1}
    area = {"type": "Point", "coordinates": [106.2, 9.5]}
    changed = commune.ask("PATCH", "/zones/bung-lon", json={"revision": 1, "parent": "lich-hoi-thuong", "area": area})
    assert changed.json() == {**added, "parent": "lich-hoi-thuong", "area": area, "revision": 2}
    rooted = commune.ask("PATCH", "/zones/bung-lon", json={"revision": 2, "parent": None, "area": None}).json()
    assert (rooted["parent"], rooted["area"], rooted["name"]) == (None, None, HAMLET["name"])
    assert commune.ask("DELETE", "/zones/bung-lon").status == 204
    assert [zone["id"] for zone in commune.get("/zones")["items"]] == [zone.id for zone in ZONES]
    assert commune.kinds() == ["zone.added", "zone.changed", "zone.changed", "zone.removed"]
    assert {fact.by for fact in commune.store.journal.facts()} == {ADMIN.id}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/zones", {**HAMLET, "id": "nam-chanh"}, 409, "already_exists"),
        ("POST", "/zones", {**HAMLET, "id": "nam-chanh-1"}, 409, "already_exists"),
        ("POST", "/clusters", {"id": "nam-chanh", "name": "A", "zone": "ngan-ro"}, 409, "already_exists"),
        ("POST", "/zones", {**HAMLET, "parent": "nowhere"}, 422, "unknown_parent"),
        ("POST", "/zones", {**HAMLET, "id": "Ấp"}, 422, "bad_request"),
        ("POST", "/zones", {**HAMLET, "id": "a/#"}, 422, "bad_request"),
        ("POST", "/zones", {**HAMLET, "id": "a" * 24}, 422, "bad_request"),
        ("POST", "/zones", {**HAMLET, "id": "bung-lon\n"}, 422, "bad_request"),
        ("POST", "/zones", {**HAMLET, "name": "   "}, 422, "bad_request"),
        ("POST", "/zones", {**HAMLET, "colour": "red"}, 422, "bad_request"),
        ("POST", "/zones", {**HAMLET, "area": {"type": "Line", "coordinates": []}}, 422, "bad_request"),
        ("PATCH", "/zones/nam-chanh", {"revision": 2, "name": "x"}, 409, "revision_conflict"),
        ("PATCH", "/zones/nam-chanh", {"name": "x"}, 422, "bad_request"),
        ("PATCH", "/zones/nam-chanh", {"revision": 1, "name": None}, 422, "bad_request"),
        ("PATCH", "/zones/nam-chanh", {"revision": 1, "kind": None}, 422, "bad_request"),
        ("PATCH", "/zones/nam-chanh", {"revision": 1, "parent": "nowhere"}, 422, "unknown_parent"),
        ("PATCH", "/zones/tran-de", {"revision": 1, "parent": "nam-chanh"}, 422, "zone_cycle"),
        ("PATCH", "/zones/tran-de", {"revision": 1, "parent": "tran-de"}, 422, "zone_cycle"),
        ("PATCH", "/zones/nowhere", {"revision": 1, "name": "x"}, 404, "not_found"),
        ("DELETE", "/zones/nowhere", None, 404, "not_found"),
        ("DELETE", "/zones/tran-de", None, 409, "in_use"),
        ("DELETE", "/zones/nam-chanh", None, 409, "in_use"),
        ("POST", "/clusters", {"id": "a-1", "name": "A", "zone": "nowhere"}, 422, "unknown_zone"),
        ("POST", "/clusters", {"id": "ngan-ro-1", "name": "A", "zone": "ngan-ro"}, 409, "already_exists"),
        ("POST", "/clusters", {"id": "a-1", "name": "A", "zone": "ngan-ro", "volume": 101}, 422, "bad_request"),
        ("PATCH", "/clusters/ngan-ro-1", {"revision": 7, "volume": 10}, 409, "revision_conflict"),
        ("PATCH", "/clusters/ngan-ro-1", {"revision": 1, "zone": "nowhere"}, 422, "unknown_zone"),
        ("PATCH", "/clusters/ngan-ro-1", {"revision": 1, "zone": None}, 422, "bad_request"),
        ("PATCH", "/clusters/ngan-ro-1", {"revision": 1, "volume": None}, 422, "bad_request"),
        ("PATCH", "/clusters/ngan-ro-1", {"revision": 1, "tags": None}, 422, "bad_request"),
        ("PATCH", "/clusters/nowhere", {"revision": 1, "volume": 10}, 404, "not_found"),
        ("DELETE", "/clusters/nowhere", None, 404, "not_found"),
        ("POST", "/clusters/nowhere/enrolment", None, 404, "not_found"),
    ],
)
def test_what_cannot_be_is_refused(
    commune: Commune, method: str, path: str, body: object, status: int, code: str
) -> None:
    problem = commune.refused(method, path, status, code, json=body)
    if code == "revision_conflict":
        assert (problem["expected"], problem["actual"]) == (body["revision"], 1)  # type: ignore[index]
    if code == "in_use":
        assert problem["users"]


def test_what_is_excepted_is_a_zone_or_a_cluster_and_never_both(commune: Commune) -> None:
    for path, wish, collection in (
        ("/zones", {**HAMLET, "id": "nam-chanh-1"}, "clusters"),
        ("/clusters", {"id": "nam-chanh", "name": "A", "zone": "ngan-ro"}, "zones"),
    ):
        told = commune.refused("POST", path, 409, "already_exists", json=wish)
        assert (told["collection"], told["id"]) == (collection, wish["id"])
        assert f"one of the {collection}" in told["detail"]


def test_a_zone_and_a_cluster_that_were_stored_with_one_id_stay_as_they_are(commune: Commune) -> None:
    commune.store.definitions.zones.add(Zone(id="ngan-ro-1", name="Ấp Ngan Rô 1", kind="ấp", parent="dai-an-2"))
    for path, name in (("/zones/ngan-ro-1", "Ấp"), ("/clusters/ngan-ro-1", "Cụm")):
        assert commune.ask("PATCH", path, json={"revision": 1, "name": name}).json()["name"] == name


APART = normalize("NFD", "Chợ Bãi Giá")


def test_a_name_is_kept_as_one_word_however_it_was_typed(commune: Commune) -> None:
    zone = commune.post("/zones", {**HAMLET, "name": f" {APART} ", "kind": normalize("NFD", "ấp")})
    assert (zone["name"], zone["kind"]) == ("Chợ Bãi Giá", "ấp")
    wanted = {"id": "bai-gia-1", "name": APART, "zone": "ngan-ro", "tags": [normalize("NFD", " chợ ")]}
    cluster = commune.post("/clusters", wanted)
    assert (cluster["name"], cluster["tags"]) == ("Chợ Bãi Giá", ["chợ"])
    sound = ready_sound(commune.store, commune.library)
    wish = {"title": APART, "sound": sound.id, "level": "emergency", "reason": normalize("NFD", "Cháy chợ")}
    for tag in ("chợ", normalize("NFD", "chợ"), " chợ"):
        told = commune.post("/announcements", {**wish, "tags": [tag]})
        assert (told["title"], told["tags"], told["reason"]) == ("Chợ Bãi Giá", ["chợ"], "Cháy chợ")
    day_type = commune.post("/day-types", {"id": "le", "name": normalize("NFD", "ngày lễ")})
    assert day_type["name"] == "ngày lễ"
    hold = {"kind": "other", "reason": APART, "end": (NOW + timedelta(hours=1)).isoformat()}
    assert commune.post("/zones/nam-chanh/holds", hold)["reason"] == "Chợ Bãi Giá"
    commune.refused("POST", "/clusters", 422, "bad_request", json={**wanted, "id": "x", "tags": [" "]})


@pytest.mark.parametrize(
    "area",
    [
        b'{"type": "Point", "coordinates": [NaN, 9.5]}',
        b'{"type": "Point", "coordinates": [1e999, 9.5]}',
        b'{"type": "Point", "coordinates": ["\\ud800"]}',
        b'{"type": "Point", "coordinates": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"type": "Point", "coordinates": ' + b"[" * 300 + b"]" * 300 + b"}",
    ],
    ids=["nan", "infinity", "half a character", "deep", "rather deep"],
)
def test_an_area_that_cannot_be_kept_is_refused(commune: Commune, area: bytes) -> None:
    body = b'{"id": "bung-lon", "name": "x", "kind": "x", "area": ' + area + b"}"
    commune.refused("POST", "/zones", 422, "bad_request", json=body)


def test_a_zone_that_a_programme_is_for_stays_until_that_is_withdrawn(commune: Commune) -> None:
    commune.post("/zones", HAMLET)
    commune.post("/clusters", {"id": "bung-lon-1", "name": "Cụm", "zone": "bung-lon"})
    sound = ready_sound(commune.store, commune.library)
    programme = commune.post("/announcements", {"title": "x", "sound": sound.id, "zones": ["bung-lon"]})
    commune.post("/clusters", {"id": "bung-lon-2", "name": "Cụm", "zone": "bung-lon"})
    assert commune.ask("DELETE", "/clusters/bung-lon-1").status == 204  # it is not named by the programme
    assert commune.ask("DELETE", "/clusters/bung-lon-2").status == 204
    refused = commune.refused("DELETE", "/zones/bung-lon", 409, "in_use")
    assert refused["users"] == [programme["id"]]
    commune.post(f"/programmes/{programme['id']}/withdrawal", expect=200)
    assert commune.ask("DELETE", "/zones/bung-lon").status == 204


# Clusters


def test_a_cluster_is_added_changed_and_removed(commune: Commune) -> None:
    wanted = {"id": "bai-gia-1", "name": "Bãi Giá", "zone": "ngan-ro", "tags": ["chợ"], "volume": 0}
    place = {"latitude": 9.5, "longitude": 106.2}
    added = commune.post("/clusters", {**wanted, "location": place})
    assert added == {**wanted, "location": place, "revision": 1}
    changed = commune.ask("PATCH", "/clusters/bai-gia-1", json={"revision": 1, "location": None, "volume": 55}).json()
    assert changed == {**added, "location": None, "volume": 55, "revision": 2}
    assert commune.ask("DELETE", "/clusters/bai-gia-1").status == 204
    assert [each["id"] for each in commune.get("/clusters")["items"]] == [cluster.id for cluster in CLUSTERS]


def test_a_cluster_with_a_box_stays(commune: Commune) -> None:
    enrolled(commune.store, "ngan-ro-1", "box-9")
    assert commune.refused("DELETE", "/clusters/ngan-ro-1", 409, "in_use")["users"] == ["box-9"]


# Lists are paged


def test_a_walk_over_the_pages_meets_everything_once(commune: Commune) -> None:
    sound = ready_sound(commune.store, commune.library)
    for name in ("a", "b", "c", "d"):
        ready_sound(commune.store, commune.library, name)
        enrolled(commune.store, "ngan-ro-1", f"box-{name}")
        commune.post("/announcements", {"title": name, "sound": sound.id, "zones": ["tran-de"]})
    for noun in ("zones", "clusters", "boxes", "sounds", "programmes"):
        whole = [each["id"] for each in commune.get(f"/{noun}")["items"]]
        walked: list[str] = []
        after: dict[str, str] = {}
        for _ in range(10):
            page = commune.get(f"/{noun}", query={"limit": "2", **after})
            assert 1 <= len(page["items"]) <= 2
            walked += [each["id"] for each in page["items"]]
            if page.get("next") is None:
                break
            after = {"after": page["next"]}
        assert walked == whole
        assert len(whole) == len(set(whole)) >= 3


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1"])
def test_a_page_has_a_size_that_makes_sense(commune: Commune, limit: str) -> None:
    commune.refused("GET", "/zones", 422, "bad_request", query={"limit": limit})


# Boxes


def take_place(commune: Commune, code: str, key: SigningKey | None = None) -> dict[str, object]:
    jwk = (key or SigningKey.generate()).public().to_jwk()
    answer: dict[str, object] = commune.post("/boxes", {"code": code, "public_key": jwk}, token=None)
    return answer


def test_a_box_takes_its_place_with_a_one_time_code(commune: Commune, key: SigningKey) -> None:
    issued = commune.post("/clusters/ngan-ro-1/enrolment")
    assert re.fullmatch(r"([2-9A-HJ-NP-Z]{4}-){2}[2-9A-HJ-NP-Z]{4}", issued["code"])
    assert issued["cluster"] == "ngan-ro-1"
    assert issued["expires_at"] == (NOW + timedelta(minutes=30)).isoformat().replace("+00:00", "Z")
    assert issued["qr"].startswith("<svg")
    settings = take_place(commune, issued["code"])
    assert settings["cluster"] == "ngan-ro-1"
    assert settings["broker"] == {"port": 1883}
    assert settings["playlist_keys"] == [key.public().to_jwk()]
    assert len(str(settings["box"])) <= 23
    [box] = commune.get("/boxes")["items"]
    assert (box["id"], box["cluster"], box["health"]) == (settings["box"], "ngan-ro-1", "unknown")
    assert "wanted_playlist" not in box


def test_a_code_counts_once(commune: Commune) -> None:
    code = commune.post("/clusters/ngan-ro-1/enrolment")["code"]
    take_place(commune, code)
    body = {"code": code, "public_key": SigningKey.generate().public().to_jwk()}
    commune.refused("POST", "/boxes", 403, "wrong_code", json=body, token=None)


def test_a_code_ends(commune: Commune) -> None:
    body = {
        "code": commune.post("/clusters/ngan-ro-1/enrolment")["code"],
        "public_key": SigningKey.generate().public().to_jwk(),
    }
    commune.clock.turn(minutes=30)
    commune.refused("POST", "/boxes", 403, "wrong_code", json=body, token=None)


def test_a_new_code_takes_the_worth_of_the_old_one_of_its_cluster_only(commune: Commune) -> None:
    old, other = (commune.post(f"/clusters/{id}/enrolment")["code"] for id in ("ngan-ro-1", "nam-chanh-1"))
    new = commune.post("/clusters/ngan-ro-1/enrolment")["code"]
    body = {"code": old, "public_key": SigningKey.generate().public().to_jwk()}
    commune.refused("POST", "/boxes", 403, "wrong_code", json=body, token=None)
    take_place(commune, new)
    take_place(commune, other)


def test_a_code_is_taken_as_people_type_it(commune: Commune) -> None:
    code = commune.post("/clusters/ngan-ro-1/enrolment")["code"]
    assert take_place(commune, f"  {code.lower().replace('-', ' ')} ")["cluster"] == "ngan-ro-1"


def test_a_new_box_retires_the_old_one(commune: Commune) -> None:
    first = take_place(commune, commune.post("/clusters/ngan-ro-1/enrolment")["code"])
    commune.clock.turn(days=0, hours=1)
    second = take_place(commune, commune.post("/clusters/ngan-ro-1/enrolment")["code"])
    boxes = {box["id"]: box.get("retired_at") for box in commune.get("/boxes")["items"]}
    assert boxes == {first["box"]: (NOW + timedelta(hours=1)).isoformat().replace("+00:00", "Z"), second["box"]: None}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"code": "AAAA-BBBB-CCCC"}, 422, "bad_request"),
        ({"code": "x", "public_key": {}}, 422, "bad_request"),
        ({"code": "AAAA-BBBB-CCCC", "public_key": {}}, 422, "bad_key"),
        ({"code": "AAAA-BBBB-CCCC", "public_key": {"kty": "OKP", "crv": "Ed25519", "x": "AA"}}, 422, "bad_key"),
        ({"code": "AAAA-BBBB-CCCC", "public_key": {"kty": "RSA", "n": "AA", "e": "AQAB"}}, 422, "bad_key"),
    ],
)
def test_a_box_without_a_usable_key_gets_no_place(
    commune: Commune, body: dict[str, object], status: int, code: str
) -> None:
    commune.refused("POST", "/boxes", status, code, json=body, token=None)


def test_a_private_key_is_not_taken(commune: Commune) -> None:
    jwk = {**SigningKey.generate().public().to_jwk(), "d": "A" * 43}
    body = {"code": commune.post("/clusters/ngan-ro-1/enrolment")["code"], "public_key": jwk}
    commune.refused("POST", "/boxes", 422, "bad_key", json=body, token=None)


def test_a_box_is_shown_as_it_last_said_it_is(commune: Commune) -> None:
    enrolled(commune.store, "nam-chanh-1", "box-1")
    commune.store.journal.store_status(status(playlist=4, playing="p@1"), received_at=NOW)
    commune.clock.turn(minutes=25)
    [box] = commune.get("/boxes", token=OFFICIAL.id)["items"]
    assert (box["health"], box["held_playlist"], box["playing"]) == ("online", 4, "p@1")
    assert "volume" not in box, "what it did not say is absent"
    commune.clock.turn(seconds=1)
    assert commune.get("/boxes")["items"][0]["health"] == "offline"
    commune.store.journal.store_status(status(online=False), received_at=commune.clock.now)
    assert commune.get("/boxes")["items"][0]["health"] == "offline"


def test_a_server_without_a_line_knows_of_no_box_how_it_is(commune: Commune) -> None:
    enrolled(commune.store, "nam-chanh-1", "box-1")
    commune.store.journal.store_status(status(playlist=4), received_at=NOW)
    commune.context.line_since = lambda: None
    assert commune.get("/boxes")["items"][0]["health"] == "unknown"


def test_a_box_that_did_not_answer_the_roll_call_is_offline(commune: Commune) -> None:
    enrolled(commune.store, "nam-chanh-1", "box-1")
    commune.store.journal.store_status(status(playlist=4), received_at=NOW)
    commune.clock.turn(minutes=5)
    since = commune.clock.now
    commune.context.line_since = lambda: since
    commune.clock.turn(seconds=95)
    assert commune.get("/boxes")["items"][0]["health"] == "online"
    commune.clock.turn(seconds=1)
    assert commune.get("/boxes")["items"][0]["health"] == "offline"


def test_a_box_tells_how_good_its_clock_is(commune: Commune) -> None:
    enrolled(commune.store, "nam-chanh-1", "box-1")
    figures = {"clock_source": "held", "clock_doubt": 0.36, "clock_offset": -1.5}
    commune.store.journal.store_status(status().model_copy(update=figures), received_at=NOW)
    [box] = commune.get("/boxes")["items"]
    assert {name: box[name] for name in figures} == figures
