"""Local rules and holds, as admins and officials set them, and what they are told of them."""

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any

import pytest

from broadcaster.store.records import Sound
from schedules.rules import Hours, LocalRules, Loudest
from tests.broadcaster.commune import NOW, OFFICIAL, stay_signed_in
from tests.broadcaster.conftest import Commune

RULES: dict[str, Any] = {
    "quiet": [{"start": "22:00", "end": "05:00"}, {"start": "11:30", "end": "13:00"}],
    "weekdays": [1, 2, 3, 4, 5],
    "longest_session": 900,
    "most_a_day": 2700,
    "sessions_a_day": 2,
    "gap": 1800,
    "loudest": [{"start": "18:00", "end": "06:00", "volume": 40}],
}


def patch(commune: Commune, zone: str, revision: int, **changes: Any) -> dict[str, Any]:
    answer = commune.ask("PATCH", f"/zones/{zone}", json={"revision": revision, **changes})
    assert answer.status == 200, answer.body
    told: dict[str, Any] = answer.json()
    return told


def utc(t: datetime) -> str:
    return t.isoformat().replace("+00:00", "Z")


# Rules


def test_what_the_rules_were_stays_known_for_reports(commune: Commune) -> None:
    stay_signed_in(commune.store)
    for number, rules in enumerate((RULES, {"sessions_a_day": 2}, None), start=1):
        patch(commune, "dai-an-2", number, rules=rules)
        commune.clock.turn(hours=1)
    patch(commune, "dai-an-2", 4, name="Đại Ân")
    zone = commune.store.definitions.zones.get("dai-an-2")
    assert [until for until, _ in zone.earlier_rules] == [NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=2)]
    assert [before is None for _, before in zone.earlier_rules] == [True, False, False]
    commune.clock.turn(days=40)
    patch(commune, "dai-an-2", 5, name="Đại Ân 2")
    assert commune.store.definitions.zones.get("dai-an-2").earlier_rules == ()


def test_rules_are_told_as_they_were_set(commune: Commune) -> None:
    told = patch(commune, "dai-an-2", 1, rules=RULES)
    assert told["rules"] == RULES
    kept = commune.store.definitions.zones.get("dai-an-2").rules
    assert kept is not None
    assert kept.weekdays == frozenset(range(5)), "Monday is 1 there and 0 here"
    assert kept.longest_session == timedelta(minutes=15)
    assert kept.quiet[0] == Hours(start=datetime(2026, 1, 1, 22).time(), end=datetime(2026, 1, 1, 5).time())
    renamed = patch(commune, "dai-an-2", 2, name="Xã Đại Ân")
    assert (renamed["name"], renamed["rules"]) == ("Xã Đại Ân", RULES)
    added = commune.post("/zones", {"id": "moi", "name": "Ấp", "kind": "ấp", "rules": {"weekdays": [7, 7, 1]}})
    assert added["rules"]["weekdays"] == [1, 7]


@pytest.mark.parametrize("nothing", [None, {}, {"quiet": [], "loudest": []}])
def test_rules_are_taken_back(commune: Commune, nothing: object) -> None:
    patch(commune, "dai-an-2", 1, rules=RULES)
    assert patch(commune, "dai-an-2", 2, rules=nothing)["rules"] is None
    assert commune.store.definitions.zones.get("dai-an-2").rules is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"quiet": [{"start": "24:00", "end": "05:00"}]},
        {"quiet": [{"start": "5:00", "end": "06:00"}]},
        {"quiet": [{"start": "05:00:30", "end": "06:00"}]},
        {"quiet": [{"start": "05:00"}]},
        {"quiet": [{"start": "05:00", "end": "06:00"}] * 25},
        {"weekdays": [0]},
        {"weekdays": [8]},
        {"weekdays": []},
        {"longest_session": 0},
        {"most_a_day": 86_401},
        {"sessions_a_day": 0},
        {"gap": -1},
        {"gap": 1.5},
        {"loudest": [{"start": "18:00", "end": "06:00", "volume": 101}]},
        {"loudest": [{"start": "18:00", "end": "06:00", "volume": 0}]},
        {"loudest": [{"start": "18:00", "end": "06:00"}]},
        {"silence": True},
    ],
)
def test_a_rule_that_means_nothing_is_refused(commune: Commune, wrong: dict[str, Any]) -> None:
    commune.refused("PATCH", "/zones/dai-an-2", 422, "bad_request", json={"revision": 1, "rules": wrong})


def test_a_zone_that_was_silenced_by_its_volume_is_still_shown(commune: Commune) -> None:
    """It was taken once; whoever sends its rules again is told to set quiet hours instead."""
    silent = LocalRules(loudest=(Loudest(hours=Hours(start=time(18), end=time(6)), volume=0),))
    commune.store.definitions.zones.change("dai-an-2", lambda zone: replace(zone, rules=silent))
    [zone] = [each for each in commune.get("/zones")["items"] if each["id"] == "dai-an-2"]
    assert zone["rules"]["loudest"] == [{"start": "18:00", "end": "06:00", "volume": 0}]


# Holds

FUNERAL = {"kind": "funeral", "reason": "Tang lễ ông Tư", "end": utc(NOW + timedelta(hours=6))}


def test_a_funeral_does_not_wait_for_an_admin(commune: Commune, official: str) -> None:
    told = commune.post("/zones/nam-chanh/holds", FUNERAL, token=official)
    assert told["start"] == told["placed_at"] == utc(NOW)
    assert (told["kind"], told["reason"], told["end"], told["by"]) == (*list(FUNERAL.values()), official)
    [zone] = [each for each in commune.get("/zones")["items"] if each["id"] == "nam-chanh"]
    assert zone["holds"] == [told]
    assert zone["revision"] == 2
    [fact] = commune.store.journal.facts(kind="hold.placed")
    assert (fact.subject, fact.by, fact.body["hold"]) == ("nam-chanh", official, told["id"])
    assert (fact.body["hold_kind"], fact.body["reason"]) == ("funeral", "Tang lễ ông Tư")


def test_what_was_heard_was_heard(commune: Commune) -> None:
    told = commune.post("/zones/nam-chanh/holds", {**FUNERAL, "start": utc(NOW - timedelta(hours=1))})
    assert told["start"] == utc(NOW)


def test_holds_are_told_by_start(commune: Commune) -> None:
    for hours in (5, 1, 3):
        start, end = NOW + timedelta(hours=hours), NOW + timedelta(hours=9)
        commune.post("/zones/nam-chanh/holds", {**FUNERAL, "start": utc(start), "end": utc(end)})
    holds = next(each["holds"] for each in commune.get("/zones")["items"] if each["id"] == "nam-chanh")
    assert [hold["start"] for hold in holds] == [utc(NOW + timedelta(hours=hours)) for hours in (1, 3, 5)]


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"end": utc(NOW)}, 422, "bad_hold"),
        ({"end": utc(NOW - timedelta(hours=1))}, 422, "bad_hold"),
        ({"start": utc(NOW + timedelta(hours=7))}, 422, "bad_hold"),
        ({"start": utc(NOW + timedelta(hours=6))}, 422, "bad_hold"),
        ({"end": utc(NOW + timedelta(days=60, seconds=1))}, 422, "bad_hold"),
        ({"end": "2026-03-04T05:00:00"}, 422, "bad_request"),
        ({"kind": "party"}, 422, "bad_request"),
        ({"reason": " "}, 422, "bad_request"),
    ],
)
def test_a_hold_that_cannot_be_is_refused(commune: Commune, wrong: dict[str, str], status: int, code: str) -> None:
    commune.refused("POST", "/zones/nam-chanh/holds", status, code, json={**FUNERAL, **wrong})


def test_the_longest_hold_is_taken(commune: Commune) -> None:
    start = NOW + timedelta(days=30)
    wanted = {**FUNERAL, "start": utc(start), "end": utc(start + timedelta(days=60))}
    assert commune.post("/zones/nam-chanh/holds", wanted)["end"] == wanted["end"]


def test_a_zone_that_is_not_there_is_not_held(commune: Commune) -> None:
    commune.refused("POST", "/zones/nowhere/holds", 404, "not_found", json=FUNERAL)
    commune.refused("DELETE", "/zones/nowhere/holds/x", 404, "not_found")
    commune.refused("DELETE", "/zones/nam-chanh/holds/x", 404, "not_found")


def test_a_lifted_hold_ends_then_and_stays_known_for_reports(commune: Commune, official: str) -> None:
    hold = commune.post("/zones/nam-chanh/holds", FUNERAL)["id"]
    coming = {**FUNERAL, "start": utc(NOW + timedelta(hours=4))}
    never_begun = commune.post("/zones/nam-chanh/holds", coming)["id"]
    commune.clock.turn(hours=1)
    for each in (hold, never_begun):
        assert commune.ask("DELETE", f"/zones/nam-chanh/holds/{each}", token=official).status == 204
    zones = commune.store.definitions.zones
    held = zones.get("nam-chanh").holds
    assert [(each.id, each.lifted_at) for each in held] == [(hold, commune.clock.now), (never_begun, commune.clock.now)]
    assert [each.as_of(None) for each in held] == [replace(held[0], end=commune.clock.now), None]
    assert all(each["holds"] == [] for each in commune.get("/zones")["items"]), "it is over, and not shown"
    commune.refused("DELETE", f"/zones/nam-chanh/holds/{hold}", 404, "not_found")
    assert [fact.body["hold"] for fact in commune.store.journal.facts(kind="hold.lifted")] == [hold, never_begun]


def test_a_hold_that_nobody_asks_about_any_more_goes_with_the_next_change(commune: Commune) -> None:
    stay_signed_in(commune.store)
    commune.post("/zones/nam-chanh/holds", FUNERAL)
    for days, left in ((31, 1), (2, 0)):
        commune.clock.turn(days=days)
        zone = commune.store.definitions.zones.get("nam-chanh")
        patch(commune, "nam-chanh", zone.revision, name=f"after {days}")
        assert len(commune.store.definitions.zones.get("nam-chanh").holds) == left


def test_a_zone_has_so_many_holds_and_no_more(commune: Commune) -> None:
    for _ in range(50):
        commune.post("/zones/nam-chanh/holds", FUNERAL)
    assert commune.refused("POST", "/zones/nam-chanh/holds", 409, "too_many_holds", json=FUNERAL)["most"] == 50
    commune.clock.turn(hours=6)
    wanted = {**FUNERAL, "end": utc(NOW + timedelta(hours=8))}
    commune.post("/zones/nam-chanh/holds", wanted)


# What a rule lets nobody hear is told at once


@pytest.fixture
def wish(sound: Sound) -> dict[str, Any]:
    return {"title": "Bản tin", "items": [{"sound": sound.id}], "zones": ["tran-de"]}


def at(hour: str, **more: Any) -> dict[str, Any]:
    return {"start": f"2026-03-04T{hour}:00", **more}


STOPPED: dict[str, tuple[dict[str, Any], str]] = {
    "03:15": (at("03:15"), "quiet_hours"),
    "every night": (at("03:15", rule="FREQ=DAILY"), "quiet_hours"),
    "the last second of the quiet": ({"start": "2026-03-04T04:59:59"}, "quiet_hours"),
    "Saturdays": (at("08:00", rule="FREQ=WEEKLY;BYDAY=SA"), "weekday"),
    "once a year, on a Sunday": ({"start": "2027-02-28T08:00:00", "rule": "FREQ=YEARLY"}, "weekday"),
}


@pytest.mark.parametrize(("recurrence", "rule"), STOPPED.values(), ids=STOPPED)
def test_a_time_that_a_rule_stops_everywhere_is_refused(
    commune: Commune, wish: dict[str, Any], recurrence: dict[str, Any], rule: str
) -> None:
    patch(commune, "tran-de", 1, rules={"quiet": RULES["quiet"], "weekdays": RULES["weekdays"]})
    told = commune.refused("POST", "/programmes", 422, "stopped_by_rule", json={**wish, "recurrence": recurrence})
    assert told["rule"] == rule
    assert told["first"] in told["detail"]
    assert told["why"] in told["detail"]
    spoken = commune.ask(
        "POST", "/programmes", json={**wish, "recurrence": recurrence}, headers={"Accept-Language": "vi"}
    )
    assert told["why_vi"] in spoken.json()["detail"]


HEARD: dict[str, dict[str, Any]] = {
    "as the quiet ends": at("05:00"),
    "once in the night, once in the day": at("03:15", rule="FREQ=DAILY;BYHOUR=3,8"),
    "weekends too": at("08:00", rule="FREQ=DAILY"),
    "only later": at("03:15", rule="FREQ=DAILY;COUNT=3", added=["2026-03-06T08:00:00"]),
}


@pytest.mark.parametrize("recurrence", HEARD.values(), ids=HEARD)
def test_a_time_that_is_stopped_in_part_is_taken(
    commune: Commune, wish: dict[str, Any], recurrence: dict[str, Any]
) -> None:
    patch(commune, "tran-de", 1, rules={"quiet": RULES["quiet"], "weekdays": RULES["weekdays"]})
    commune.post("/programmes", {**wish, "recurrence": recurrence})


def test_a_zone_that_may_speak_is_enough(commune: Commune, wish: dict[str, Any]) -> None:
    patch(commune, "nam-chanh", 1, rules={"quiet": [{"start": "00:00", "end": "00:00"}]})
    patch(commune, "dai-an-2", 1, rules={"quiet": RULES["quiet"]})
    told = {**wish, "recurrence": at("03:15")}
    commune.refused("POST", "/programmes", 422, "stopped_by_rule", json=told)
    commune.post("/programmes", {**wish, "recurrence": at("12:59", rule="FREQ=DAILY;BYHOUR=12,14")})
    commune.post("/zones", {"id": "cho", "name": "Chợ", "kind": "khu", "parent": "tran-de"})
    commune.post("/clusters", {"id": "cho-1", "name": "Chợ", "zone": "cho"})
    commune.post("/programmes", told)


def hold(commune: Commune, zone: str, begin: float, end: float) -> None:
    """Hold a zone silent from so many days from now to so many."""
    start, over = (utc(NOW + timedelta(days=days)) for days in (begin, end))
    commune.post(f"/zones/{zone}/holds", {"kind": "exam", "reason": "Mùa thi", "start": start, "end": over})


OUTLIVES: dict[str, dict[str, Any]] = {
    "for ever": at("05:00", rule="FREQ=DAILY"),
    "once after it": at("05:00", rule="FREQ=DAILY;UNTIL=20260402"),
    "between two holds": at("05:00", rule="FREQ=DAILY;UNTIL=20260405"),
    "a weekly one": at("05:00", rule="FREQ=WEEKLY"),
    "once added": at("05:00", added=["2026-07-01T05:00:00"]),
    "more often than is looked at": at("05:00", rule="FREQ=MINUTELY;INTERVAL=6"),
}


@pytest.mark.parametrize("recurrence", OUTLIVES.values(), ids=OUTLIVES)
def test_what_outlives_a_hold_is_taken(commune: Commune, wish: dict[str, Any], recurrence: dict[str, Any]) -> None:
    hold(commune, "tran-de", 0, 30)
    hold(commune, "tran-de", 35, 90)
    commune.post("/programmes", {**wish, "recurrence": recurrence})


@pytest.mark.parametrize(
    "recurrence",
    [
        at("05:00"),
        at("05:00", rule="FREQ=DAILY;UNTIL=20260401"),
        at("05:00", rule="FREQ=DAILY;COUNT=20"),
        at("03:15", rule="FREQ=DAILY"),
    ],
)
def test_what_a_hold_outlives_is_refused(commune: Commune, wish: dict[str, Any], recurrence: dict[str, Any]) -> None:
    """The last is stopped by the hold, and after it by the quiet of every night."""
    patch(commune, "tran-de", 1, rules={"quiet": RULES["quiet"]})
    hold(commune, "tran-de", 0, 30)
    told = commune.refused("POST", "/programmes", 422, "stopped_by_rule", json={**wish, "recurrence": recurrence})
    assert told["rule"] == "hold"


def test_an_announcement_into_a_funeral_is_refused_and_leaves_nothing(commune: Commune) -> None:
    commune.post("/zones/tran-de/holds", FUNERAL, token=OFFICIAL.id)
    wish = {"title": "x", "text": "Mời bà con đến họp.", "zones": ["nam-chanh"]}
    told = commune.refused("POST", "/announcements", 422, "stopped_by_rule", json=wish)
    assert told["rule"] == "hold"
    assert "Tang lễ ông Tư" in told["detail"]
    commune.post("/announcements", {**wish, "at": utc(NOW + timedelta(hours=6))})
    commune.post("/announcements", {**wish, "level": "emergency", "reason": "Cháy chợ"})
