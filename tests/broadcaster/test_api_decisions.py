"""Two priority bulletins clash, one from above and one of our own: the official decides (Circular 39/2020)."""

from typing import Any

import pytest

from broadcaster.config import Settings
from broadcaster.flow.decide import ASKED, ask, open_clashes
from broadcaster.flow.plan import Board
from broadcaster.store.records import Sound
from schedules.levels import Side
from tests.broadcaster.commune import stay_signed_in
from tests.broadcaster.conftest import Commune

START = "2026-03-04T05:00:00"
OCCURS = "@20260303T220000Z"


@pytest.fixture
def clash(commune: Commune, sound: Sound) -> dict[str, str]:
    """A bulletin of the province and one of ours, every morning at five; and two that are nobody's clash."""

    def add(**told: Any) -> str:
        wish = {
            "title": "Bản tin",
            "items": [{"sound": sound.id}],
            "zones": ["nam-chanh"],
            "level": "priority",
            "recurrence": {"start": START, "rule": "FREQ=DAILY"},
            **told,
        }
        return str(commune.post("/programmes", wish)["id"])

    return {
        "above": add(tier="province"),
        "ours": add(),
        "routine": add(level="routine"),
        "said ours": add(tier="commune"),
        "later": add(recurrence={"start": "2026-03-04T05:01:00", "rule": "FREQ=DAILY"}),
    }


def test_an_official_decides_and_may_change_their_mind(commune: Commune, clash: dict[str, str], official: str) -> None:
    wish = {"above": clash["above"] + OCCURS, "ours": clash["ours"] + OCCURS}
    first = commune.post("/decisions", {**wish, "first": "above"}, token=official)
    assert (first["first"], first["by"], first["revision"]) == ("above", official, 1)
    commune.clock.turn(hours=1)
    second = commune.post("/decisions", {**wish, "first": "ours"})
    assert (second["first"], second["by"], second["revision"]) == ("ours", "chu-tich", 2)
    assert commune.get("/decisions") == {"items": [second], "next": None}
    [stored] = commune.store.definitions.decisions.all()
    assert (stored.first, stored.at) == (Side.OURS, commune.clock.now)
    facts = commune.store.journal.facts(kind="decision.made")
    assert [(fact.by, fact.body["first"]) for fact in facts] == [(official, "above"), ("chu-tich", "ours")]


def test_a_decision_on_two_programmes_is_for_every_time(commune: Commune, clash: dict[str, str]) -> None:
    commune.clock.turn(days=3)
    wish = {"above": clash["above"], "ours": clash["said ours"], "first": "above"}
    assert commune.post("/decisions", wish)["ours"] == clash["said ours"]


@pytest.mark.parametrize(
    ("above", "ours", "status", "code"),
    [
        ("{above}" + OCCURS, "{ours}", 422, "bad_decision"),
        ("{above}", "{ours}" + OCCURS, 422, "bad_decision"),
        ("{ours}" + OCCURS, "{above}" + OCCURS, 422, "bad_decision"),
        ("{above}", "{above}", 422, "bad_decision"),
        ("{above}", "{routine}", 422, "bad_decision"),
        ("{above}@tomorrow", "{ours}@tomorrow", 422, "bad_decision"),
        ("{above}@20261399T220000Z", "{ours}@20261399T220000Z", 422, "bad_decision"),
        ("{above}+{ours}", "{ours}", 422, "bad_decision"),
        ("", "{ours}", 422, "bad_decision"),
        ("a b", "{ours}", 422, "bad_decision"),
        ("{above}@20260303T220001Z", "{ours}" + OCCURS, 422, "bad_decision"),
        ("{above}" + OCCURS, "{ours}@20260302T220000Z", 422, "bad_decision"),
        ("{above}" + OCCURS, "{ours}@20260304T220000Z", 422, "bad_decision"),
        ("{above}" + OCCURS, "{later}@20260303T220100Z", 422, "bad_decision"),
        ("{above}@00010101T000000Z", "{ours}@00010101T000000Z", 422, "bad_decision"),
        ("{above}@99991231T235959Z", "{ours}@99991231T235959Z", 422, "bad_decision"),
        ("x" * 101, "{ours}", 422, "bad_request"),
        ("nothing", "{ours}", 404, "not_found"),
        ("{above}", "nothing", 404, "not_found"),
    ],
)
def test_what_is_no_clash_cannot_be_decided(
    commune: Commune, clash: dict[str, str], above: str, ours: str, status: int, code: str
) -> None:
    wish = {"above": above.format_map(clash), "ours": ours.format_map(clash), "first": "ours"}
    commune.refused("POST", "/decisions", status, code, json=wish)


def test_one_side_or_the_other_goes_first(commune: Commune, clash: dict[str, str]) -> None:
    wish = {"above": clash["above"], "ours": clash["ours"], "first": "both"}
    commune.refused("POST", "/decisions", 422, "bad_request", json=wish)


def test_what_has_begun_cannot_be_put_behind(commune: Commune, clash: dict[str, str]) -> None:
    wish = {"above": clash["above"] + OCCURS, "ours": clash["ours"] + OCCURS, "first": "ours"}
    commune.clock.turn(hours=24)
    assert commune.refused("POST", "/decisions", 409, "decided_too_late", json=wish)["began"].startswith("2026-03-03")


def test_what_no_box_could_be_told_in_time_is_not_decided(commune: Commune, clash: dict[str, str]) -> None:
    wish = {"above": clash["above"] + OCCURS, "ours": clash["ours"] + OCCURS, "first": "ours"}
    commune.clock.turn(hours=24, seconds=-11)
    commune.post("/decisions", wish)
    commune.clock.turn(seconds=1)
    told = commune.refused("POST", "/decisions", 409, "decided_too_late", json={**wish, "first": "above"})
    assert "10 seconds" in told["detail"]
    commune.post("/decisions", {"above": clash["above"], "ours": clash["ours"], "first": "above"})


def test_bulletins_that_overlap_in_part_clash(commune: Commune, clash: dict[str, str], sound: Sound) -> None:
    wish = {
        "title": "Bản tin dài",
        "items": [{"sound": sound.id}] * 2,
        "zones": ["nam-chanh"],
        "level": "priority",
        "tier": "province",
        "recurrence": {"start": START},
    }
    long = commune.post("/programmes", wish)["id"]
    wanted = {"above": long + OCCURS, "ours": clash["later"] + "@20260303T220100Z", "first": "ours"}
    assert commune.post("/decisions", wanted)["first"] == "ours"


def test_an_occurrence_on_a_day_that_is_left_out_is_none(commune: Commune, clash: dict[str, str], sound: Sound) -> None:
    commune.post("/day-types", {"id": "le", "name": "ngày lễ", "days": [{"first": "2026-03-04"}]})
    wish = {
        "title": "Bản tin",
        "items": [{"sound": sound.id}],
        "zones": ["nam-chanh"],
        "level": "priority",
        "recurrence": {"start": START, "rule": "FREQ=DAILY", "not_on": ["le"]},
    }
    ours = commune.post("/programmes", wish)["id"]
    wanted = {"above": clash["above"] + OCCURS, "ours": ours + OCCURS, "first": "ours"}
    commune.refused("POST", "/decisions", 422, "bad_decision", json=wanted)
    next_day = "@20260304T220000Z"
    commune.post("/decisions", {**wanted, "above": clash["above"] + next_day, "ours": ours + next_day})


def test_decisions_that_nobody_asks_about_any_more_go_with_the_next(commune: Commune, clash: dict[str, str]) -> None:
    stay_signed_in(commune.store)

    def decide(when: str = "") -> dict[str, Any]:
        wish = {"above": clash["above"] + when, "ours": clash["ours"] + when, "first": "ours"}
        told: dict[str, Any] = commune.post("/decisions", wish)
        return told

    old, for_ever = decide(OCCURS), decide()
    commune.clock.turn(days=62)
    later = decide("@20260601T220000Z")
    assert commune.get("/decisions")["items"] == [old, for_ever, later]
    commune.clock.turn(days=2)
    last = decide("@20260602T220000Z")
    assert commune.get("/decisions")["items"] == [for_ever, later, last]


# What waits for an answer


def waiting(commune: Commune, language: str = "en") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = commune.get("/decisions/open", headers={"Accept-Language": language})["items"]
    return items


def leave_two(commune: Commune, clash: dict[str, str]) -> None:
    for programme in (clash["routine"], clash["said ours"], clash["later"]):
        commune.post(f"/programmes/{programme}/withdrawal", expect=200)


def test_an_official_is_asked_about_each_clash_until_its_hour(commune: Commune, clash: dict[str, str]) -> None:
    leave_two(commune, clash)
    first = waiting(commune)[0]
    assert (first["above"], first["ours"]) == (clash["above"] + OCCURS, clash["ours"] + OCCURS)
    assert (first["above_title"], first["ours_title"]) == ("Bản tin", "Bản tin")
    assert (first["decide_by"], first["default"]) == ("2026-03-03T21:00:00Z", "ours")
    assert first["clusters"] == ["nam-chanh-1", "nam-chanh-2"]
    assert first["sentence"].startswith("The commune's official has to decide by 04:00 on 2026-03-04")
    assert waiting(commune, "vi")[0]["sentence"].startswith("Cán bộ xã cần quyết định trước 04:00 ngày 04/03/2026")
    days = [each["decide_by"] for each in waiting(commune)]
    assert days == sorted(days)
    assert len(days) == 7, "one each morning, as far as playlists reach"

    commune.post("/decisions", {"above": first["above"], "ours": first["ours"], "first": "above"})
    assert [each["decide_by"] for each in waiting(commune)] == days[1:]
    commune.clock.turn(days=2)
    assert waiting(commune)[0]["decide_by"] == "2026-03-05T21:00:00Z", "the hour of the second has passed"
    commune.post("/decisions", {"above": clash["above"], "ours": clash["ours"], "first": "ours"})
    assert waiting(commune) == []


def test_who_is_put_first_is_heard_first(commune: Commune, clash: dict[str, str]) -> None:
    window = {"from": "2026-03-04T05:00:00+07:00", "to": "2026-03-04T05:01:00+07:00", "cluster": "nam-chanh-1"}
    leave_two(commune, clash)
    names = {"above": clash["above"] + OCCURS, "ours": clash["ours"] + OCCURS}
    for first in ("above", "ours", "above"):
        commune.post("/decisions", {**names, "first": first})
        [cluster] = commune.get("/timeline", query=window)["clusters"]
        assert cluster["slots"][0]["id"] == names[first]


def test_each_clash_is_put_on_record_once(commune: Commune, clash: dict[str, str]) -> None:
    leave_two(commune, clash)
    store, board = commune.store, Board(commune.store.definitions, Settings())
    for _ in range(2):
        now = commune.clock.now
        ask(open_clashes(board.plans(now), now), store=store, now=now)
    asked = store.journal.facts(kind=ASKED)
    assert len(asked) == len(waiting(commune)) > 1
    assert asked[0].subject == f"{clash['above']}{OCCURS}+{clash['ours']}{OCCURS}"
    assert (asked[0].body["default"], asked[0].body["clusters"]) == ("ours", 2)
