"""Where, when and how urgently: what announcements and programmes may say beyond zones and an hour."""

from datetime import datetime
from typing import Any

import pytest

from broadcaster.store.records import Sound
from tests.broadcaster.commune import NOW
from tests.broadcaster.conftest import Commune

TOMORROW = "2026-03-04T05:00:00"


@pytest.fixture
def wish(sound: Sound) -> dict[str, Any]:
    return {"title": "Tiêm phòng dại", "sound": sound.id}


@pytest.fixture
def programme(sound: Sound) -> dict[str, Any]:
    return {"title": "Bản tin", "items": [{"sound": sound.id}], "zones": ["nam-chanh"]}


@pytest.fixture
def tagged(commune: Commune) -> None:
    """Two markets in different communes, one of them beside a hospital."""
    for cluster, tags in (("nam-chanh-2", ["chợ"]), ("ngan-ro-1", ["chợ", "bệnh viện"])):
        assert commune.ask("PATCH", f"/clusters/{cluster}", json={"revision": 1, "tags": tags}).status == 200


def slots(commune: Commune, cluster: str) -> list[str]:
    window = {"from": NOW.isoformat(), "to": "2026-03-10T00:00:00+07:00", "cluster": cluster}
    [found] = commune.get("/timeline", query=window)["clusters"]
    zone = commune.context.settings.station.zone
    return [f"{datetime.fromisoformat(slot['start']).astimezone(zone):%dT%H:%M}" for slot in found["slots"]]


# Where


@pytest.mark.usefixtures("tagged")
@pytest.mark.parametrize(
    ("where", "heard"),
    [
        ({"tags": ["chợ"]}, ["nam-chanh-2", "ngan-ro-1"]),
        ({"tags": ["chợ"], "except_tags": ["bệnh viện"]}, ["nam-chanh-2"]),
        ({"zones": ["tran-de"], "except_tags": ["chợ"]}, ["nam-chanh-1"]),
        ({"tags": ["chợ"], "zones": ["nam-chanh"], "except": ["nam-chanh-2"]}, ["nam-chanh-1", "ngan-ro-1"]),
    ],
)
def test_tags_reach_and_silence(
    commune: Commune, wish: dict[str, Any], where: dict[str, Any], heard: list[str]
) -> None:
    told = commune.post("/announcements", {**wish, **where})
    everything = {"zones": [], "clusters": [], "tags": [], "except": [], "except_tags": [], **where}
    assert {name: told[name] for name in everything} == everything
    clusters = ("nam-chanh-1", "nam-chanh-2", "ngan-ro-1")
    assert [cluster for cluster in clusters if slots(commune, cluster)] == heard


@pytest.mark.usefixtures("tagged")
@pytest.mark.parametrize(
    ("where", "code"),
    [
        ({"tags": ["trường"]}, "unknown_tag"),
        ({"tags": ["chợ"], "except_tags": ["trường"]}, "unknown_tag"),
        ({"tags": ["chợ"], "except_tags": ["chợ"]}, "no_targets"),
        ({"tags": [""]}, "bad_request"),
    ],
)
def test_a_tag_that_nobody_carries_is_refused(
    commune: Commune, wish: dict[str, Any], where: dict[str, Any], code: str
) -> None:
    commune.refused("POST", "/announcements", 422, code, json={**wish, **where})


# When

HALF_HOURS = {"minutes": 30, "first": "05:00", "last": "06:00"}


@pytest.mark.parametrize(
    ("recurrence", "expected"),
    [
        (
            {"start": TOMORROW, "rule": "FREQ=WEEKLY;BYDAY=WE", "every": HALF_HOURS},
            ["04T05:00", "04T05:30", "04T06:00"],
        ),
        (
            {"start": TOMORROW, "added": ["2026-03-05T17:00:00", "2026-03-06T10:30:00Z"]},
            ["04T05:00", "05T17:00", "06T17:30"],
        ),
    ],
)
def test_several_times_a_day_and_times_beside_the_rule(
    commune: Commune, programme: dict[str, Any], recurrence: dict[str, Any], expected: list[str]
) -> None:
    commune.post("/programmes", {**programme, "recurrence": recurrence})
    assert slots(commune, "nam-chanh-1") == expected


def test_what_a_recurrence_says_is_told_as_it_was_asked_for(commune: Commune, programme: dict[str, Any]) -> None:
    commune.post("/day-types", {"id": "le", "name": "Ngày lễ", "days": [{"first": "2026-04-30"}]})
    recurrence = {
        "start": TOMORROW,
        "rule": "FREQ=DAILY",
        "every": HALF_HOURS,
        "duration": 90.0,
        "added": ["2026-05-01T05:00:00"],
        "except": ["2026-03-05"],
        "not_on": ["le"],
    }
    told = commune.post("/programmes", {**programme, "recurrence": recurrence})
    assert told["recurrence"] == recurrence
    programme.pop("recurrence", None)
    again = commune.post("/programmes", {**programme, "recurrence_text": told["recurrence_text"]})
    assert again["recurrence"] == recurrence


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("DTSTART:20260303T050000\nRRULE:FREQ=FORTNIGHTLY", "bad_rule"),
        ("RRULE:FREQ=DAILY", "bad_text"),
        (None, "bad_request"),
    ],
)
def test_a_recurrence_in_lines_is_checked_like_any_other(
    commune: Commune, programme: dict[str, Any], text: str | None, code: str
) -> None:
    programme.pop("recurrence", None)
    commune.refused("POST", "/programmes", 422, code, json={**programme, "recurrence_text": text})


def test_no_occurrence_lasts_longer_than_it_may(commune: Commune, programme: dict[str, Any]) -> None:
    commune.post("/programmes", {**programme, "recurrence": {"start": TOMORROW, "duration": 45}})
    window = {"from": NOW.isoformat(), "to": "2026-03-05T00:00:00+07:00", "cluster": "nam-chanh-1"}
    [found] = commune.get("/timeline", query=window)["clusters"]
    [slot] = found["slots"]
    start, end = (datetime.fromisoformat(slot[name]) for name in ("start", "end"))
    assert (end - start).total_seconds() == 45


@pytest.mark.parametrize(
    ("recurrence", "code"),
    [
        ({"every": {**HALF_HOURS, "minutes": 0}, "rule": "FREQ=DAILY"}, "too_often"),
        ({"every": {**HALF_HOURS, "last": "04:59"}, "rule": "FREQ=DAILY"}, "bad_every"),
        ({"every": HALF_HOURS, "rule": "FREQ=DAILY;BYHOUR=5"}, "bad_every"),
        ({"every": {**HALF_HOURS, "last": "24:00"}, "rule": "FREQ=DAILY"}, "bad_request"),
        ({"every": {"minutes": 30}, "rule": "FREQ=DAILY"}, "bad_request"),
        ({"duration": 0}, "bad_duration"),
        ({"duration": 100_000}, "bad_duration"),
        ({"duration": -1}, "bad_request"),
        ({"only_on": ["nowhere"]}, "unknown_day_type"),
        ({"only_on": ["Ngày lễ"]}, "bad_request"),
    ],
)
def test_a_recurrence_that_cannot_be_is_refused(
    commune: Commune, programme: dict[str, Any], recurrence: dict[str, Any], code: str
) -> None:
    wish = {**programme, "recurrence": {"start": TOMORROW, **recurrence}}
    commune.refused("POST", "/programmes", 422, code, json=wish)


def test_a_recurrence_is_told_as_a_sentence(commune: Commune, programme: dict[str, Any]) -> None:
    recurrence = {"start": TOMORROW, "rule": "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR,SA;BYHOUR=5,17"}
    said = {}
    for language in ("vi", "en"):
        headers = {"Accept-Language": language}
        told = commune.post("/programmes", {**programme, "recurrence": recurrence}, headers=headers)
        path = f"/programmes/{told['id']}"
        said[language] = told["says"]
        assert commune.get(path, headers=headers)["says"] == told["says"]
        assert told["says"] in [each["says"] for each in commune.get("/programmes", headers=headers)["items"]]
    assert "Chủ nhật" in said["vi"]
    assert "Sunday" in said["en"]
    assert "says" not in commune.post("/announcements", {"title": "x", "text": "Xin chào.", "zones": ["nam-chanh"]})


# How urgent, whose, and what may be done with it


def test_a_tier_is_one_of_the_settings(commune: Commune, wish: dict[str, Any]) -> None:
    wish = {**wish, "zones": ["nam-chanh"]}
    for tier, told in ((None, "commune"), ("commune", "commune"), ("province", "province")):
        assert commune.post("/announcements", {**wish, "tier": tier})["tier"] == told
    stored = [each.tier for each in commune.store.definitions.programmes.all()]
    assert stored == [None, None, "province"], "our own is told by nothing, whatever we are called later"
    known = commune.refused("POST", "/announcements", 422, "unknown_tier", json={**wish, "tier": "huyện"})["known"]
    assert known == "central, province, commune"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, {"action": "move"}),
        ({"action": "trim"}, {"action": "trim"}),
        ({"action": "drop"}, {"action": "drop"}),
        ({"most_move": 0}, {"action": "move", "most_move": 0}),
        ({"action": "move", "most_move": 14_400}, {"action": "move", "most_move": 14_400}),
    ],
)
def test_a_programme_says_what_it_may_do_when_its_air_is_taken(
    commune: Commune, wish: dict[str, Any], asked: dict[str, Any], told: dict[str, Any]
) -> None:
    assert commune.post("/announcements", {**wish, "zones": ["nam-chanh"], "if_taken": asked})["if_taken"] == told


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "wait"},
        {"most_move": 14_401},
        {"most_move": -1},
        {"action": "drop", "most_move": 60},
        {"action": "trim", "most_move": 60},
    ],
)
def test_what_it_may_do_is_one_thing(commune: Commune, wish: dict[str, Any], wrong: dict[str, Any]) -> None:
    told = {**wish, "zones": ["nam-chanh"], "if_taken": wrong}
    commune.refused("POST", "/announcements", 422, "bad_request", json=told)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, {"action": "join"}),
        ({"action": "join"}, {"action": "join"}),
        ({"action": "skip"}, {"action": "skip"}),
        ({"action": "whole", "within": 1}, {"action": "whole", "within": 1}),
        ({"action": "whole", "within": 43_200}, {"action": "whole", "within": 43_200}),
    ],
)
def test_a_programme_says_what_boxes_do_that_could_not_begin_it_on_time(
    commune: Commune, wish: dict[str, Any], programme: dict[str, Any], asked: dict[str, Any], told: dict[str, Any]
) -> None:
    recurrence = {"start": TOMORROW, "rule": "FREQ=DAILY"}
    for made in (
        commune.post("/announcements", {**wish, "zones": ["nam-chanh"], "if_late": asked}),
        commune.post("/programmes", {**programme, "recurrence": recurrence, "if_late": asked}),
    ):
        assert made["if_late"] == told
        assert commune.get(f"/programmes/{made['id']}")["if_late"] == told
    assert (
        commune.ask(
            "POST", "/programmes/preview", json={**programme, "recurrence": recurrence, "if_late": asked}
        ).status
        == 200
    )


@pytest.mark.parametrize("level", ["routine", "priority", "emergency"])
def test_whoever_says_nothing_of_it_is_joined(commune: Commune, wish: dict[str, Any], level: str) -> None:
    said = {**wish, "zones": ["nam-chanh"], "level": level, "reason": "Vỡ đê"}
    assert commune.post("/announcements", said)["if_late"] == {"action": "join"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "wait"},
        {"action": "whole"},
        {"action": "whole", "within": 0},
        {"action": "whole", "within": 43_201},
        {"action": "whole", "within": 1.5},
        {"action": "whole", "within": "PT5M"},
        {"action": "join", "within": 60},
        {"action": "skip", "within": 60},
        {"within": 60},
        {"action": "skip", "until": 60},
        "skip",
        None,
    ],
)
@pytest.mark.parametrize("path", ["/announcements", "/programmes"])
def test_what_boxes_do_is_one_thing(
    commune: Commune, wish: dict[str, Any], programme: dict[str, Any], wrong: object, path: str
) -> None:
    said = {
        "/announcements": {**wish, "zones": ["tran-de"]},
        "/programmes": {**programme, "recurrence": {"start": TOMORROW}},
    }
    told = commune.refused("POST", path, 422, "bad_request", json={**said[path], "if_late": wrong})
    assert all(each["where"].startswith("if_late") for each in told["errors"]), told


def test_other_words_on_lateness_are_another_digest(commune: Commune, wish: dict[str, Any]) -> None:
    said = (
        {"action": "join"},
        {"action": "skip"},
        {"action": "whole", "within": 60},
        {"action": "whole", "within": 61},
    )
    made = [commune.post("/announcements", {**wish, "zones": ["nam-chanh"], "if_late": each}) for each in said]
    assert len({each["digest"] for each in made}) == len(said)
    assert {each["state"] for each in made} == {"approved"}


def test_an_emergency_passes_the_rules_and_says_why(commune: Commune, wish: dict[str, Any]) -> None:
    rules = {"quiet": [{"start": "00:00", "end": "00:00"}]}
    assert commune.ask("PATCH", "/zones/tran-de", json={"revision": 1, "rules": rules}).status == 200
    wish = {**wish, "zones": ["nam-chanh"], "level": "emergency"}
    for reason in (None, "", "  "):
        commune.refused("POST", "/announcements", 422, "reason_required", json={**wish, "reason": reason})
    told = commune.post("/announcements", {**wish, "reason": "Vỡ đê"})
    assert told["reason"] == "Vỡ đê"
    [fact] = commune.store.journal.facts(kind="programme.submitted")
    assert (fact.body["reason"], fact.body["level"]) == ("Vỡ đê", 1)
    assert slots(commune, "nam-chanh-1") == ["03T05:00"]


def test_a_reason_is_kept_of_emergencies_only(commune: Commune, wish: dict[str, Any]) -> None:
    told = commune.post("/announcements", {**wish, "zones": ["nam-chanh"], "reason": "Vỡ đê"})
    assert "reason" not in told
    assert "reason" not in commune.store.journal.facts(kind="programme.submitted")[0].body
