"""Announcements and programmes: what officials ask for, and what they are told when it cannot be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broadcaster.store.records import Sound, SoundState
from tests.broadcaster.commune import NOW, OFFICIAL, ready_sound, waiting_sound
from tests.broadcaster.conftest import Commune

TEXT = "Mời bà con đến tiêm phòng dại cho chó mèo."
TOMORROW = "2026-03-04T05:00:00"
"""Local; NOW is five in the morning of the third."""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def slots(commune: Commune, cluster: str = "nam-chanh-1", days: int = 7) -> list[datetime]:
    window = {"from": NOW.isoformat(), "to": (NOW + timedelta(days=days)).isoformat(), "cluster": cluster}
    [found] = commune.get("/timeline", query=window)["clusters"]
    return [at(slot["start"]) for slot in found["slots"]]


@pytest.fixture
def wish(sound: Sound) -> dict[str, Any]:
    return {"title": "Tiêm phòng dại", "sound": sound.id, "zones": ["nam-chanh"]}


# Announcements


def test_now_is_as_soon_as_every_box_can_have_it(commune: Commune, wish: dict[str, Any], official: str) -> None:
    answer = commune.ask("POST", "/announcements", json=wish, token=official)
    told = answer.json()
    assert (answer.status, answer.headers["location"]) == (201, f"/api/v1/programmes/{told['id']}")
    assert (told["state"], told["author"], told["approved_by"]) == ("approved", official, official)
    assert (told["level"], told["zones"], told["revision"]) == ("routine", ["nam-chanh"], 1)
    assert "recurrence" not in told
    assert at(told["next_start"]) == NOW + timedelta(seconds=10)
    assert slots(commune) == [NOW + timedelta(seconds=10)]
    assert slots(commune, "nam-chanh-2") == [NOW + timedelta(seconds=10)]
    assert slots(commune, "ngan-ro-1") == []
    assert commune.get(f"/programmes/{told['id']}") == told
    assert commune.kinds() == ["programme.submitted"]


@pytest.mark.parametrize("when", ["2026-03-03T06:30:00+07:00", "2026-03-02T23:30:00Z", "2026-03-02T23:29:59.2Z"])
def test_an_instant_is_an_instant_whatever_its_offset(commune: Commune, wish: dict[str, Any], when: str) -> None:
    told = commune.post("/announcements", {**wish, "at": when})
    assert told["recurrence"]["start"] == "2026-03-03T06:30:00"
    assert slots(commune) == [datetime(2026, 3, 2, 23, 30, tzinfo=UTC)]


def test_it_is_repeated_as_often_as_asked(commune: Commune, wish: dict[str, Any]) -> None:
    repeat = {"every": 1800, "times": 3}
    commune.post("/announcements", {**wish, "at": "2026-03-03T06:00:00+07:00", "repeat": repeat})
    first = datetime(2026, 3, 2, 23, 0, tzinfo=UTC)
    assert slots(commune) == [first, first + timedelta(minutes=30), first + timedelta(minutes=60)]


def test_once_is_no_repetition(commune: Commune, wish: dict[str, Any]) -> None:
    commune.post("/announcements", {**wish, "at": "2026-03-03T06:00:00+07:00", "repeat": {"every": 1, "times": 1}})
    assert len(slots(commune)) == 1


def test_now_and_again_leaves_time_to_speak(commune: Commune, wish: dict[str, Any]) -> None:
    commune.clock.turn(milliseconds=400)
    commune.post("/announcements", {**wish, "repeat": {"every": 60, "times": 2}})
    first = NOW + timedelta(seconds=31)
    assert slots(commune) == [first, first + timedelta(minutes=1)]


def test_words_wait_until_they_are_spoken(commune: Commune) -> None:
    told = commune.post("/announcements", {"title": "x", "text": TEXT, "zones": ["tran-de"]})
    assert told["state"] == "preparing"
    assert "next_start" not in told
    [sound] = commune.get("/sounds")["items"]
    assert sound["speech"]["text"] == TEXT
    assert told["items"] == [{"sound": sound["id"]}]
    assert commune.kinds() == ["sound.received", "programme.submitted"]


def test_several_items_are_heard_one_after_the_other(commune: Commune, sound: Sound) -> None:
    jingle = ready_sound(commune.store, commune.library, "jingle", seconds=5)
    items = [{"sound": jingle.id}, {"sound": sound.id}]
    told = commune.post("/announcements", {"title": "x", "items": items, "clusters": ["ngan-ro-1"]})
    assert [item["duration_s"] for item in told["items"]] == [5, 60]
    [cluster] = commune.get("/timeline", query={"cluster": "ngan-ro-1"})["clusters"]
    [slot] = cluster["slots"]
    assert at(slot["end"]) - at(slot["start"]) == timedelta(seconds=65)


def test_an_exception_stays_silent(commune: Commune, wish: dict[str, Any]) -> None:
    commune.post("/announcements", {**wish, "zones": ["tran-de"], "except": ["nam-chanh-2", "dai-an-2"]})
    assert [len(slots(commune, id)) for id in ("nam-chanh-1", "nam-chanh-2", "ngan-ro-1")] == [1, 0, 0]


REFUSED_ANNOUNCEMENTS: dict[str, tuple[dict[str, Any], int, str]] = {
    "past": ({"at": "2026-03-03T04:59:59+07:00"}, 422, "time_in_past"),
    "long past": ({"at": "0001-01-01T00:00:00+07:00"}, 422, "bad_request"),
    "far future": ({"at": "9999-12-31T23:59:59Z"}, 422, "bad_request"),
    "naive": ({"at": "2026-03-04T05:00:00"}, 422, "bad_request"),
    "a word": ({"at": "tomorrow"}, 422, "bad_request"),
    "unknown zone": ({"zones": ["nowhere"]}, 422, "unknown_zone"),
    "unknown cluster": ({"clusters": ["nowhere-1"]}, 422, "unknown_cluster"),
    "unknown exception": ({"except": ["nowhere"]}, 422, "unknown_cluster"),
    "nobody": ({"zones": []}, 422, "no_targets"),
    "everybody excluded": ({"except": ["lich-hoi-thuong"]}, 422, "no_targets"),
    "a zone without loudspeakers": ({"zones": ["dai-an-2"], "except": ["ngan-ro-1"]}, 422, "no_targets"),
    "unknown level": ({"level": "loud"}, 422, "bad_request"),
    "no title": ({"title": " "}, 422, "bad_request"),
    "every second": ({"repeat": {"every": 1, "times": 5}}, 422, "bad_repeat"),
    "90 seconds": ({"repeat": {"every": 90, "times": 5}}, 422, "bad_repeat"),
    "no times": ({"repeat": {"every": 60, "times": 0}}, 422, "bad_request"),
    "too many times": ({"repeat": {"every": 60, "times": 1001}}, 422, "bad_request"),
    "a typing mistake": ({"zonse": ["nam-chanh"]}, 422, "bad_request"),
}
"""What is changed in a good announcement, and the answer."""


@pytest.mark.parametrize(("change", "status", "code"), REFUSED_ANNOUNCEMENTS.values(), ids=REFUSED_ANNOUNCEMENTS)
def test_an_announcement_that_cannot_be_is_refused(
    commune: Commune, change: dict[str, Any], status: int, code: str
) -> None:
    """Words are sent along: not even they may stay behind."""
    wish = {"title": "x", "text": TEXT, "zones": ["nam-chanh"]}
    commune.refused("POST", "/announcements", status, code, json={**wish, **change})


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        ({}, 422, "bad_request"),
        ({"items": []}, 422, "bad_request"),
        ({"text": TEXT, "sound": "0" * 64}, 422, "bad_request"),
        ({"text": TEXT, "items": [{"text": TEXT}]}, 422, "bad_request"),
        ({"items": [{}]}, 422, "bad_request"),
        ({"items": [{"text": TEXT, "sound": "0" * 64}]}, 422, "bad_request"),
        ({"items": [{"text": TEXT}] * 33}, 422, "bad_request"),
        ({"sound": "x"}, 422, "bad_request"),
        ({"sound": "0" * 64}, 404, "not_found"),
        ({"items": [{"text": TEXT}, {"sound": "0" * 64}]}, 404, "not_found"),
        ({"text": " "}, 422, "empty_text"),
        ({"items": [{"text": TEXT}, {"text": "..."}]}, 422, "empty_text"),
        ({"items": [{"text": TEXT}, {"text": TEXT, "voice": "hal"}]}, 422, "unknown_voice"),
        ({"text": "a" * 201}, 422, "text_too_long"),
    ],
)
def test_an_announcement_has_one_content_that_can_be_heard(
    commune: Commune, content: dict[str, Any], status: int, code: str
) -> None:
    wish = {"title": "x", "zones": ["nam-chanh"], **content}
    commune.refused("POST", "/announcements", status, code, json=wish)


# Programmes


@pytest.mark.parametrize(
    ("recurrence", "expected"),
    [
        ({"start": TOMORROW}, ["04T05:00"]),
        ({"start": "2026-03-03T22:00:00Z"}, ["04T05:00"]),
        ({"start": TOMORROW, "rule": "FREQ=DAILY;COUNT=3"}, ["04T05:00", "05T05:00", "06T05:00"]),
        (
            {"start": TOMORROW, "rule": "FREQ=DAILY;BYHOUR=5,17", "until": "2026-03-05T17:00:00"},
            ["04T05:00", "04T17:00", "05T05:00", "05T17:00"],
        ),
        (
            {"start": TOMORROW, "rule": "FREQ=DAILY", "except": ["2026-03-05", "2026-03-07T05:00:00"]},
            ["04T05:00", "06T05:00", "08T05:00", "09T05:00"],
        ),
        ({"start": "2026-03-02T05:00:00", "rule": "FREQ=WEEKLY;BYDAY=TU,FR"}, ["03T05:00", "06T05:00"]),
        (
            {"start": "2026-03-03T22:00:00", "rule": "FREQ=HOURLY;COUNT=4", "except": ["2026-03-04T00:00:00"]},
            ["03T22:00", "03T23:00", "04T01:00"],
        ),
    ],
)
def test_a_programme_recurs_in_local_time(
    commune: Commune, sound: Sound, recurrence: dict[str, Any], expected: list[str]
) -> None:
    wish = {"title": "Bản tin", "items": [{"sound": sound.id}], "zones": ["nam-chanh"], "recurrence": recurrence}
    told = commune.post("/programmes", wish)
    local = [f"{start.astimezone(commune.context.settings.station.zone):%dT%H:%M}" for start in slots(commune)]
    assert local == expected
    assert at(told["next_start"]) == slots(commune)[0]
    assert commune.get(f"/programmes/{told['id']}") == told


def test_a_recurrence_is_told_as_it_was_asked_for(commune: Commune, sound: Sound) -> None:
    recurrence = {
        "start": TOMORROW,
        "rule": "FREQ=DAILY",
        "until": "2026-12-31T23:59:59",
        "except": ["2026-04-30", "2026-05-01T05:00:00", "2026-05-02T00:00:00"],
    }
    wish = {"title": "Bản tin", "items": [{"sound": sound.id}], "zones": ["nam-chanh"], "recurrence": recurrence}
    assert commune.post("/programmes", wish)["recurrence"] == recurrence


REFUSED_RECURRENCES: dict[str, tuple[dict[str, Any], str]] = {
    "never": ({"start": "2027-02-30T05:00:00"}, "bad_request"),
    "30 February": ({"start": TOMORROW, "rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "never_fires"),
    "until before start": (
        {"start": TOMORROW, "rule": "FREQ=DAILY", "until": "2026-03-03T23:00:00"},
        "never_fires",
    ),
    "all left out": ({"start": TOMORROW, "except": ["2026-03-04"]}, "never_fires"),
    "secondly": ({"start": TOMORROW, "rule": "FREQ=SECONDLY"}, "too_often"),
    "two seconds": ({"start": TOMORROW, "rule": "FREQ=MINUTELY;BYSECOND=0,30"}, "too_often"),
    "no rule": ({"start": TOMORROW, "rule": "every day"}, "bad_rule"),
    "empty rule": ({"start": TOMORROW, "rule": ""}, "bad_rule"),
    "unknown part": ({"start": TOMORROW, "rule": "FREQ=DAILY;BYTIDE=HIGH"}, "bad_rule"),
    "long rule": ({"start": TOMORROW, "rule": "FREQ=DAILY;BYHOUR=" + "1," * 400 + "1"}, "bad_rule"),
    "two ends": ({"start": TOMORROW, "rule": "FREQ=DAILY;COUNT=2", "until": "2026-05-01T00:00:00"}, "bad_rule"),
    "past": ({"start": "2026-03-02T05:00:00"}, "time_in_past"),
    "all past": ({"start": "2026-01-01T05:00:00", "rule": "FREQ=DAILY;COUNT=3"}, "time_in_past"),
    "until in the past": (
        {"start": "2026-01-01T05:00:00", "rule": "FREQ=DAILY", "until": "2026-02-01T00:00:00"},
        "time_in_past",
    ),
    "before the calendar": ({"start": "1969-12-31T23:00:00", "rule": "FREQ=DAILY"}, "bad_start"),
    "beyond the calendar": ({"start": "3000-01-01T00:00:00"}, "bad_start"),
    "beyond all calendars": ({"start": "9999-12-31T23:59:59Z"}, "bad_start"),
    "before all calendars": ({"start": "0001-01-01T00:00:00+14:00"}, "bad_start"),
    "too many exceptions": (
        {"start": TOMORROW, "rule": "FREQ=DAILY", "except": [f"{year}-01-01" for year in range(2027, 2430)]},
        "too_many_exclusions",
    ),
    "no start": ({"rule": "FREQ=DAILY"}, "bad_request"),
}


@pytest.mark.parametrize(("recurrence", "code"), REFUSED_RECURRENCES.values(), ids=REFUSED_RECURRENCES)
def test_a_recurrence_that_cannot_be_followed_is_refused(
    commune: Commune, recurrence: dict[str, Any], code: str
) -> None:
    wish = {"title": "x", "items": [{"text": TEXT}], "zones": ["nam-chanh"], "recurrence": recurrence}
    commune.refused("POST", "/programmes", 422, code, json=wish)


def test_for_ever_may_be_written_as_people_write_it(commune: Commune, sound: Sound) -> None:
    wish = {"title": "x", "items": [{"sound": sound.id}], "zones": ["nam-chanh"]}
    for until in ("9999-12-31T23:59:59", "9999-12-31T23:59:59Z"):
        recurrence = {"start": TOMORROW, "rule": "FREQ=DAILY", "until": until}
        assert commune.post("/programmes", {**wish, "recurrence": recurrence})["state"] == "approved"


def test_a_programme_of_a_sound_that_was_refused_is_failed_with_its_code(commune: Commune) -> None:
    sound = waiting_sound(commune.store)
    commune.store.definitions.sounds.change(
        sound.id, lambda old: replace(old, state=SoundState.REFUSED, refusal={"code": "not_audio", "fields": {}})
    )
    told = commune.post("/announcements", {"title": "x", "sound": sound.id, "zones": ["nam-chanh"]})
    assert (told["state"], told["failure"]) == ("failed", "not_audio")
    assert slots(commune) == []


def test_a_programme_longer_than_a_day_is_failed_and_harms_no_other(commune: Commune) -> None:
    """Boxes take slots of a day at most: one longer would keep every playlist from being signed."""
    long = ready_sound(commune.store, commune.library, "concert", seconds=5400)
    wish = {"title": "x", "items": [{"sound": long.id}] * 17, "clusters": ["ngan-ro-1"]}
    told = commune.post("/announcements", wish)
    assert (told["state"], told["failure"]) == ("failed", "programme_too_long")
    assert slots(commune, "ngan-ro-1") == []
    assert commune.post("/announcements", {**wish, "items": wish["items"][:16]})["state"] == "approved"


# Withdrawal


def test_a_withdrawn_programme_is_not_heard_any_more(commune: Commune, sound: Sound, official: str) -> None:
    wish = {
        "title": "x",
        "items": [{"sound": sound.id}],
        "zones": ["nam-chanh"],
        "recurrence": {"start": TOMORROW, "rule": "FREQ=DAILY"},
    }
    programme = commune.post("/programmes", wish)
    commune.clock.turn(days=1, seconds=20)
    told = commune.post(f"/programmes/{programme['id']}/withdrawal", expect=200, token=official)
    assert told["state"] == "withdrawn"
    assert at(told["withdrawn_at"]) == commune.clock.now
    assert "next_start" not in told
    window = {"from": NOW.isoformat(), "to": (NOW + timedelta(days=7)).isoformat(), "cluster": "nam-chanh-1"}
    [cluster] = commune.get("/timeline", query=window)["clusters"]
    [slot] = cluster["slots"]
    assert at(slot["end"]) - at(slot["start"]) == timedelta(seconds=20), "what had begun is cut there"
    path = f"/programmes/{programme['id']}/withdrawal"
    commune.refused("POST", path, 409, "already_withdrawn")


def test_an_unknown_programme_is_not_found(commune: Commune) -> None:
    commune.refused("GET", "/programmes/nothing", 404, "not_found")
    commune.refused("POST", "/programmes/nothing/withdrawal", 404, "not_found")


def test_what_officials_did_is_on_record(commune: Commune, wish: dict[str, Any]) -> None:
    programme = commune.post("/announcements", wish, token=OFFICIAL.id)
    commune.post(f"/programmes/{programme['id']}/withdrawal", expect=200)
    said = [(fact.kind, fact.subject, fact.by) for fact in commune.store.journal.facts()]
    assert said == [
        ("programme.submitted", programme["id"], OFFICIAL.id),
        ("programme.withdrawn", programme["id"], "chu-tich"),
    ]
