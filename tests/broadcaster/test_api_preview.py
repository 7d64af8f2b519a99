"""Previews: what an official is shown before anything is stored, and that it is what then happens."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from broadcaster.flow.estimate import recorded, spoken
from broadcaster.flow.prepare import Words
from broadcaster.store.records import Sound
from tests.broadcaster.commune import NOW, ready_sound, waiting_sound
from tests.broadcaster.conftest import Commune

TOMORROW = "2026-03-04T05:00:00"
TEXT = "Mời bà con đến tiêm phòng dại cho chó mèo."
NIGHT = {"quiet": [{"start": "22:00", "end": "05:00"}]}


@pytest.fixture
def wish(sound: Sound) -> dict[str, Any]:
    return {
        "title": "Bản tin sáng",
        "items": [{"sound": sound.id}],
        "zones": ["tran-de"],
        "recurrence": {"start": TOMORROW, "rule": "FREQ=DAILY;COUNT=2"},
    }


def preview(commune: Commune, wish: dict[str, Any], language: str = "en") -> dict[str, Any]:
    """Return the answer, having seen that nothing was stored."""
    before = commune.held()
    told: dict[str, Any] = commune.post("/programmes/preview", wish, expect=200, headers={"Accept-Language": language})
    assert commune.held() == before
    return told


def rule(commune: Commune, zone: str, rules: dict[str, Any]) -> None:
    assert commune.ask("PATCH", f"/zones/{zone}", json={"revision": 1, "rules": rules}).status == 200


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_preview_shows_where_and_when(commune: Commune, wish: dict[str, Any], official: str) -> None:
    told = preview(commune, wish)
    assert (told["duration_s"], told["estimated"]) == (60, False)
    assert told["says"]
    assert at(told["next_start"]) == NOW + timedelta(days=1)
    [group] = told["groups"]
    assert group["clusters"] == ["nam-chanh-1", "nam-chanh-2", "ngan-ro-1"]
    assert [at(each["start"]) for each in group["occurrences"]] == [NOW + timedelta(days=days) for days in (1, 2)]
    assert {(each["outcome"], each["code"]) for each in group["occurrences"]} == {("kept", "as_asked")}
    assert group["occurrences"][0]["sentence"] == "Heard as asked, from 05:00 to 05:01 on 2026-03-04."
    assert [at(slot["start"]) for slot in group["added"]] == [at(each["start"]) for each in group["occurrences"]]
    assert (group["removed"], group["changed"], group["displaced"]) == ([], [], [])
    assert group["counts"] == {
        "occurrences": 2,
        "outcomes": {"kept": 2},
        "added": 2,
        "removed": 0,
        "changed": 0,
        "displaced": 0,
    }
    summary = {**group["counts"], "occurrences": 6, "outcomes": {"kept": 6}, "added": 6, "clusters": 3, "silent": 0}
    assert told["summary"] == summary
    assert commune.ask("POST", "/programmes/preview", json=wish, token=official).status == 200


def test_a_mistake_at_0315_is_seen_before_it_wakes_anybody(commune: Commune, wish: dict[str, Any]) -> None:
    """Trung Lộc, 5 December 2025. A submission is refused; a preview says what and why."""
    rule(commune, "tran-de", NIGHT)
    wrong = {**wish, "recurrence": {"start": "2026-03-04T03:15:00", "rule": "FREQ=DAILY;COUNT=2"}}
    commune.refused("POST", "/programmes", 422, "stopped_by_rule", json=wrong)
    for language, sentence in (
        (
            "en",
            "Not heard at 03:15 on 2026-03-04, because the zone is quiet from 22:00 to 05:00; "
            "choose a time outside these hours.",
        ),
        (
            "vi",
            "Không phát lúc 03:15 ngày 04/03/2026 vì khu vực giữ yên lặng từ 22:00 đến 05:00; "
            "hãy chọn giờ khác ngoài khoảng này.",
        ),
    ):
        told = preview(commune, wrong, language)
        [group] = told["groups"]
        first = group["occurrences"][0]
        assert (first["outcome"], first["code"], first["rule"]) == ("dropped", "quiet_hours", "quiet_hours")
        assert first["sentence"] == sentence
        assert "start" not in first
        assert group["added"] == []
        assert (told["summary"]["silent"], told["summary"]["outcomes"]) == (3, {"dropped": 6})


def test_zones_with_other_rules_are_told_apart(commune: Commune, wish: dict[str, Any]) -> None:
    rule(commune, "dai-an-2", {"weekdays": [1, 2, 3]})
    groups = preview(commune, wish)["groups"]
    seen = {tuple(group["clusters"]): [each["outcome"] for each in group["occurrences"]] for group in groups}
    assert seen == {("nam-chanh-1", "nam-chanh-2"): ["kept", "kept"], ("ngan-ro-1",): ["kept", "dropped"]}


def test_what_is_pushed_aside_is_named(commune: Commune, wish: dict[str, Any], sound: Sound) -> None:
    ours = commune.post("/programmes", {**wish, "title": "Thể dục", "zones": ["nam-chanh"]})
    told = preview(commune, {**wish, "title": "Họp khẩn", "level": "priority"})
    by_cluster = {tuple(group["clusters"]): group for group in told["groups"]}
    disturbed, free = by_cluster["nam-chanh-1", "nam-chanh-2"], by_cluster["ngan-ro-1",]
    assert (free["displaced"], free["changed"]) == ([], [])
    assert [each["before"]["outcome"] for each in disturbed["displaced"]] == ["kept", "kept"]
    first = disturbed["displaced"][0]
    assert first["before"]["title"] == first["after"]["title"] == "Thể dục"
    assert (first["after"]["outcome"], first["after"]["code"]) == ("moved", "air_taken")
    assert "because “Họp khẩn” (05:00) has the air then" in first["after"]["sentence"]
    assert at(first["after"]["start"]) == NOW + timedelta(days=1, minutes=1)
    [slot, _] = disturbed["changed"]
    assert slot["before"]["programme"] == slot["after"]["programme"] == ours["id"]
    assert at(slot["after"]["start"]) == at(first["after"]["start"])
    assert told["summary"]["displaced"] == 4, "two mornings on two clusters"


def test_a_volume_that_a_rule_lowers_is_shown(commune: Commune, wish: dict[str, Any]) -> None:
    rule(commune, "nam-chanh", {"loudest": [{"start": "04:00", "end": "06:00", "volume": 30}]})
    commune.ask("PATCH", "/clusters/nam-chanh-1", json={"revision": 1, "volume": 20})
    told = preview(commune, {**wish, "recurrence": {"start": TOMORROW, "rule": "FREQ=DAILY;BYHOUR=5,7;COUNT=2"}})
    shown = {cluster: group["added"] for group in told["groups"] for cluster in group["clusters"]}
    assert [slot.get("volume") for slot in shown["nam-chanh-2"]] == [30, None]
    assert [slot.get("volume") for slot in shown["ngan-ro-1"]] == [None, None]


def test_who_is_in_the_way_is_named(commune: Commune, wish: dict[str, Any]) -> None:
    commune.post("/programmes", {**wish, "title": "Thể dục", "level": "priority"})
    [group] = preview(commune, wish)["groups"]
    assert "“Thể dục” (05:00)" in group["occurrences"][0]["sentence"]


def test_what_was_previewed_is_what_happens(commune: Commune, wish: dict[str, Any]) -> None:
    rule(commune, "dai-an-2", {"quiet": [{"start": "05:00", "end": "05:30"}]})
    commune.post("/programmes", {**wish, "title": "Thể dục", "zones": ["nam-chanh"]})
    wanted = {**wish, "level": "priority"}
    shown = {
        cluster: [(slot["title"], slot["start"]) for slot in group["added"]]
        for group in preview(commune, wanted)["groups"]
        for cluster in group["clusters"]
    }
    programme = commune.post("/programmes", wanted)
    window = {"from": NOW.isoformat(), "to": (NOW + timedelta(days=7)).isoformat()}
    heard = {
        each["cluster"]: [
            (slot["title"], slot["start"]) for slot in each["slots"] if slot["programme"] == programme["id"]
        ]
        for each in commune.get("/timeline", query=window)["clusters"]
    }
    assert shown == heard
    assert [len(slots) for slots in heard.values()] == [2, 2, 0]


def test_what_is_heard_later_than_playlists_reach_is_told_by_its_first_time(
    commune: Commune, wish: dict[str, Any]
) -> None:
    told = preview(commune, {**wish, "recurrence": {"start": "2026-06-01T05:00:00"}})
    assert (told["groups"], told["summary"]["clusters"]) == ([], 0)
    assert at(told["next_start"]) == at("2026-06-01T05:00:00+07:00")


def test_words_that_are_not_spoken_yet_are_estimated(commune: Commune, wish: dict[str, Any]) -> None:
    waiting = waiting_sound(commune.store)
    for items in ([{"text": TEXT}], [{"sound": waiting.id}], [*wish["items"], {"text": TEXT}]):
        told = preview(commune, {**wish, "items": items})
        assert told["estimated"]
        [group] = told["groups"]
        [slot, _] = group["added"]
        lasts = (at(slot["end"]) - at(slot["start"])).total_seconds()
        assert lasts == told["duration_s"] > (60 if len(items) == 2 else 0)


def test_a_list_that_is_long_is_cut_and_its_count_is_whole(commune: Commune, wish: dict[str, Any]) -> None:
    wanted = {**wish, "recurrence": {"start": TOMORROW, "rule": "FREQ=MINUTELY;INTERVAL=5;COUNT=500"}}
    [group] = preview(commune, wanted)["groups"]
    assert (len(group["occurrences"]), len(group["added"])) == (200, 200)
    assert (group["counts"]["occurrences"], group["counts"]["added"]) == (500, 500)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"zones": ["nowhere"]}, 422, "unknown_zone"),
        ({"zones": []}, 422, "no_targets"),
        ({"items": []}, 422, "bad_request"),
        ({"items": [{"text": " "}]}, 422, "empty_text"),
        ({"items": [{"sound": "0" * 64}]}, 404, "not_found"),
        ({"recurrence": {"start": "2026-03-01T05:00:00"}}, 422, "time_in_past"),
        ({"recurrence": {"start": TOMORROW, "rule": "FREQ=SOMETIMES"}}, 422, "bad_rule"),
        ({"level": "emergency"}, 422, "reason_required"),
        ({"tier": "huyện"}, 422, "unknown_tier"),
    ],
)
def test_what_makes_no_sense_is_refused_as_a_submission_is(
    commune: Commune, wish: dict[str, Any], change: dict[str, Any], status: int, code: str
) -> None:
    for path in ("/programmes/preview", "/programmes"):
        commune.refused("POST", path, status, code, json={**wish, **change})


def test_more_than_a_day_of_sound_is_refused(commune: Commune, wish: dict[str, Any]) -> None:
    long = ready_sound(commune.store, commune.library, "concert", seconds=5400)
    told = {**wish, "items": [{"sound": long.id}] * 17}
    commune.refused("POST", "/programmes/preview", 422, "programme_too_long", json=told)


def test_an_emergency_is_shown_to_pass(commune: Commune, wish: dict[str, Any]) -> None:
    rule(commune, "tran-de", {"quiet": [{"start": "00:00", "end": "00:00"}]})
    [group] = preview(commune, {**wish, "level": "emergency", "reason": "Vỡ đê"})["groups"]
    assert group["occurrences"][0]["outcome"] == "kept"
    assert "as an emergency it may pass the rules on quiet hours" in group["occurrences"][0]["sentence"]


# Estimates


@pytest.mark.parametrize(
    ("text", "seconds"),
    [  # as espeak-ng spoke them at rate 1.0
        (TEXT, 2.8),
        (
            "Kính thưa bà con. Sáng mai, từ bảy giờ, trạm y tế xã tổ chức tiêm phòng dại cho chó mèo tại nhà văn hóa "
            "ấp Nam Chánh. Đề nghị bà con đưa chó mèo đến đúng giờ, mang theo sổ tiêm. Xin cảm ơn.",
            13.2,
        ),
        ("Số điện thoại 0299 3 846 114. Học sinh nghỉ học ngày 12/9/2026.", None),
    ],
)
def test_an_estimate_is_near_what_is_spoken(text: str, seconds: float | None) -> None:
    def lasts(rate: float) -> float:
        return spoken(Words(text=text, voice="vi-north", rate=rate)).total_seconds() - 2.35

    if seconds is None:
        assert lasts(1.0) > len(text) / 14.5, "digits take longer to say than to write"
    else:
        assert lasts(1.0) == pytest.approx(seconds, rel=0.1)
    assert lasts(2.0) == pytest.approx(lasts(1.0) / 2, abs=0.1)


def test_a_recording_is_estimated_by_its_size_within_the_limit() -> None:
    longest = timedelta(minutes=90)
    assert recorded(1_600_000, longest) == timedelta(seconds=100)
    assert recorded(10**12, longest) == longest
    assert recorded(None, longest) == recorded(0, longest) == timedelta(seconds=1)
