"""What sounds when, what sounds now, what boxes said, and who heard it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broadcaster.store.records import Sound
from devices.messages import Outcome
from tests.broadcaster.commune import NOW, enrolled, ready_sound, receipt, receipts, status
from tests.broadcaster.conftest import Commune

START = NOW + timedelta(hours=1)
DAY = {"from": NOW.isoformat(), "to": (NOW + timedelta(days=1)).isoformat()}


@pytest.fixture
def slot(commune: Commune, sound: Sound) -> str:
    """A minute at six o'clock, in the whole district."""
    wish = {"title": "Bản tin", "sound": sound.id, "zones": ["tran-de"], "at": START.isoformat()}
    return f"{commune.post('/announcements', wish)['id']}@{START:%Y%m%dT%H%M%SZ}"


def slots(answer: Any) -> dict[str, list[str]]:
    return {each["cluster"]: [slot["title"] for slot in each["slots"]] for each in answer["clusters"]}


# Timeline


def test_a_timeline_is_of_a_zone_with_all_below_it_or_a_cluster_or_all(commune: Commune, slot: str) -> None:
    everyone = {"nam-chanh-1": ["Bản tin"], "nam-chanh-2": ["Bản tin"], "ngan-ro-1": ["Bản tin"]}
    assert slots(commune.get("/timeline", query=DAY)) == everyone
    assert "latest_end" not in commune.get("/timeline", query=DAY)["clusters"][0]["slots"][0]
    assert slots(commune.get("/timeline", query={**DAY, "zone": "dai-an-2"})) == {"ngan-ro-1": ["Bản tin"]}
    assert slots(commune.get("/timeline", query={**DAY, "zone": "lich-hoi-thuong"})).keys() == {
        "nam-chanh-1",
        "nam-chanh-2",
    }
    assert slots(commune.get("/timeline", query={**DAY, "cluster": "nam-chanh-2"})) == {"nam-chanh-2": ["Bản tin"]}


def test_a_timeline_begins_now_and_spans_a_day_unless_told(commune: Commune, slot: str) -> None:
    commune.clock.turn(minutes=5)
    told = commune.get("/timeline")
    assert datetime.fromisoformat(told["start"]) == commune.clock.now
    assert datetime.fromisoformat(told["end"]) == commune.clock.now + timedelta(days=1)
    assert slots(told)["ngan-ro-1"] == ["Bản tin"]


def test_a_timeline_says_what_did_not_come_as_meant_and_why(commune: Commune, slot: str) -> None:
    warning = ready_sound(commune.store, commune.library, "warning", seconds=30)
    wish = {
        "title": "Bão",
        "sound": warning.id,
        "zones": ["nam-chanh"],
        "at": START.isoformat(),
        "level": "emergency",
        "reason": "Bão",
    }
    storm = commune.post("/announcements", wish)
    [cluster] = commune.get("/timeline", query={**DAY, "cluster": "nam-chanh-1"})["clusters"]
    assert [each["title"] for each in cluster["slots"]] == ["Bão", "Bản tin"]
    [change] = cluster["changes"]
    assert (change["occurrence"], change["outcome"], change["code"]) == (slot, "moved", "air_taken")
    assert "Bão" in change["sentence"]
    assert change["by"].partition("@")[0] == storm["id"]
    assert datetime.fromisoformat(change["start"]) == START + timedelta(seconds=30)


def test_a_slot_tells_its_volume_where_a_rule_lowers_it(commune: Commune, slot: str) -> None:
    """06:00 is within the hours; one of the clusters is quieter than the rule by itself."""
    loudest = [{"start": "05:00", "end": "07:00", "volume": 40}, {"start": "06:00", "end": "06:30", "volume": 30}]
    commune.ask("PATCH", "/zones/lich-hoi-thuong", json={"revision": 1, "rules": {"loudest": loudest}})
    commune.ask("PATCH", "/clusters/nam-chanh-2", json={"revision": 1, "volume": 30})

    def volumes() -> dict[str, list[int | None]]:
        told = commune.get("/timeline", query=DAY)["clusters"]
        return {each["cluster"]: [slot.get("volume") for slot in each["slots"]] for each in told}

    assert volumes() == {"nam-chanh-1": [30], "nam-chanh-2": [None], "ngan-ro-1": [None]}
    storm = ready_sound(commune.store, commune.library, "storm", seconds=30)
    wish = {"title": "Bão", "sound": storm.id, "zones": ["nam-chanh"], "level": "emergency", "reason": "Bão"}
    commune.post("/announcements", {**wish, "at": (START + timedelta(minutes=5)).isoformat()})
    assert volumes()["nam-chanh-1"] == [30, None], "an emergency is as loud as its cluster"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"from": "2026-03-03T05:00:00"}, "bad_request"),
        ({"from": "yesterday"}, "bad_request"),
        ({"from": NOW.isoformat(), "to": NOW.isoformat()}, "bad_window"),
        ({"to": (NOW - timedelta(days=1)).isoformat()}, "bad_window"),
        ({"from": NOW.isoformat(), "to": (NOW + timedelta(days=40)).isoformat()}, "window_too_long"),
        ({"from": "0001-01-01T00:00:00Z"}, "bad_request"),
        ({"from": "9999-12-31T00:00:00Z"}, "bad_request"),
    ],
)
@pytest.mark.parametrize("path", ["/timeline", "/coverage"])
def test_a_window_that_makes_no_sense_is_refused(commune: Commune, path: str, query: dict[str, str], code: str) -> None:
    commune.refused("GET", path, 422, code, query=query)


@pytest.mark.parametrize("noun", ["zone", "cluster"])
def test_a_timeline_of_what_is_not_there_is_refused(commune: Commune, noun: str) -> None:
    commune.refused("GET", "/timeline", 422, f"unknown_{noun}", query={noun: "nowhere"})


# Airing


def test_airing_tells_plan_and_report_apart(commune: Commune, slot: str) -> None:
    enrolled(commune.store, "nam-chanh-1")
    commune.clock.now = START
    commune.store.journal.store_status(status(at=START, playing=slot), received_at=START)
    told = commune.get("/airing")
    assert datetime.fromisoformat(told["at"]) == START
    airing = {each["cluster"]: each for each in told["clusters"]}
    assert airing["nam-chanh-1"]["slot"]["id"] == slot
    assert (airing["nam-chanh-1"]["playing"], airing["nam-chanh-1"]["health"]) == (slot, "online")
    assert airing["ngan-ro-1"]["slot"]["id"] == slot
    assert "playing" not in airing["ngan-ro-1"]
    assert "health" not in airing["ngan-ro-1"]
    commune.clock.turn(minutes=1)
    assert all("slot" not in each for each in commune.get("/airing")["clusters"]), "a slot does not own its end"


# Receipts


def test_receipts_are_told_as_they_were_signed_and_by_page(commune: Commune, slot: str) -> None:
    store = commune.store.journal.store_receipts
    said = [
        receipt(1, Outcome.ACCEPTED, playlist=3),
        receipt(2, Outcome.STARTED, at=START, slot=slot, offset=0.0, playlist=3),
        receipt(3, Outcome.FINISHED, at=START + timedelta(minutes=1), slot=slot, offset=0.0, heard=60.0),
    ]
    store(receipts(*said), received_at=NOW)
    store(receipts(receipt(1, Outcome.MISSED, slot=slot, code="powered_off"), box="box-2"), received_at=NOW)
    everything = commune.get("/receipts")["items"]
    assert [(each["box"], each["outcome"]) for each in everything] == [
        ("box-1", "accepted"),
        ("box-1", "started"),
        ("box-1", "finished"),
        ("box-2", "missed"),
    ]
    assert everything[2] | {"slot": slot, "heard_s": 60.0, "offset_s": 0.0} == everything[2]
    assert "heard_s" not in everything[0]
    for query, expected in (
        ({"box": "box-2"}, 1),
        ({"slot": slot}, 3),
        ({"cluster": "nam-chanh-1"}, 4),
        ({"cluster": "ngan-ro-1"}, 0),
        ({"from": START.isoformat()}, 2),
        ({"to": START.isoformat()}, 2),
        ({"from": START.isoformat(), "to": (START + timedelta(seconds=1)).isoformat()}, 1),
    ):
        assert len(commune.get("/receipts", query=query)["items"]) == expected, query
    walked, after = [], "0"
    for _ in range(5):
        page = commune.get("/receipts", query={"limit": "2", "after": after})
        walked += page["items"]
        if page.get("next") is None:
            break
        after = page["next"]
    assert walked == everything


@pytest.mark.parametrize("query", [{"from": "x"}, {"after": "x"}, {"after": "-1"}, {"after": "1" + "0" * 30}])
def test_receipts_are_asked_for_in_a_way_that_makes_sense(commune: Commune, query: dict[str, str]) -> None:
    commune.refused("GET", "/receipts", 422, "bad_request", query=query)


# Coverage


def counts(found: Any) -> tuple[int, int, int, int]:
    return found["heard"], found["partly"], found["missed"], found["unknown"]


def test_coverage_counts_who_heard_it(commune: Commune, slot: str) -> None:
    store = commune.store.journal.store_receipts
    [found] = commune.get("/coverage", query=DAY)
    assert counts(found) == (0, 0, 0, 3), "nothing is known: not the same as missed"
    whole = {"slot": slot, "offset": 0.0, "heard": 60.0}
    store(receipts(receipt(1, Outcome.FINISHED, at=START, **whole)), received_at=START)
    late = {"slot": slot, "offset": 20.0, "heard": 40.0}
    store(receipts(receipt(1, Outcome.FINISHED, at=START, **late), box="b", cluster="nam-chanh-2"), received_at=START)
    missed = receipt(1, Outcome.MISSED, at=START, slot=slot, code="no_rendition")
    store(receipts(missed, box="c", cluster="ngan-ro-1"), received_at=START)
    [found] = commune.get("/coverage", query=DAY)
    assert found["slot"]["id"] == slot
    assert counts(found) == (1, 1, 1, 0)
    told = {each["cluster"]: (each["outcome"], each["heard_s"], each.get("reason")) for each in found["clusters"]}
    assert told == {
        "nam-chanh-1": ("heard", 60.0, None),
        "nam-chanh-2": ("partly", 40.0, None),
        "ngan-ro-1": ("missed", 0.0, "no_rendition"),
    }
    again = receipt(2, Outcome.FINISHED, at=START, **whole)
    store(receipts(again, box="c", cluster="ngan-ro-1"), received_at=START)
    assert counts(commune.get("/coverage", query=DAY)[0]) == (2, 1, 0, 0)


def test_coverage_tells_how_late_it_was_begun(commune: Commune, slot: str) -> None:
    """The power was off for ten minutes at one pole; at the other the line was, and nobody knows yet."""
    begun = START + timedelta(minutes=10)
    late = {"slot": slot, "offset": 0.0, "late": 600.0}
    said = (
        receipt(1, Outcome.STARTED, at=begun, **late),
        receipt(2, Outcome.FINISHED, at=begun + timedelta(minutes=1), heard=60.0, **late),
    )
    commune.store.journal.store_receipts(receipts(*said[:1]), received_at=begun)
    [found] = commune.get("/coverage", query=DAY)
    assert counts(found) == (0, 1, 0, 2), "it has begun; that it was heard to its end is not known yet"
    commune.store.journal.store_receipts(receipts(*said), received_at=begun)
    [found] = commune.get("/coverage", query=DAY)
    assert counts(found) == (1, 0, 0, 2)
    assert [each.get("late_s") for each in found["clusters"]] == [600.0, None, None]
    assert [each.get("late_s") for each in commune.get("/receipts")["items"]] == [600.0, 600.0]


def test_a_slot_tells_until_when_it_may_be_heard_late(commune: Commune, sound: Sound) -> None:
    wish = {"title": "Bản tin", "sound": sound.id, "zones": ["dai-an-2"], "at": START.isoformat()}
    commune.post("/announcements", {**wish, "if_late": {"action": "whole", "within": 1800}})
    end = START + timedelta(minutes=1)

    def latest(begin: datetime) -> list[datetime]:
        query = {"from": begin.isoformat(), "cluster": "ngan-ro-1"}
        [told] = commune.get("/timeline", query=query)["clusters"]
        return [datetime.fromisoformat(each["latest_end"]) for each in told["slots"]]

    assert latest(START) == latest(end) == [end + timedelta(minutes=30)]
    assert latest(end + timedelta(minutes=30)) == []
    commune.clock.now = end
    airing = {each["cluster"]: each for each in commune.get("/airing")["clusters"]}
    assert "slot" not in airing["ngan-ro-1"], "by plan it is over"


def test_a_slot_that_is_cut_on_one_cluster_is_measured_by_its_own_length_on_each(commune: Commune, slot: str) -> None:
    """A storm warning trims the bulletin to 20 s in one hamlet; 20 s are all of it there, and a third elsewhere."""
    commune.clock.now = START + timedelta(seconds=10)
    warning = ready_sound(commune.store, commune.library, "warning", seconds=90)
    when = START + timedelta(seconds=20)
    wish = {
        "title": "Bão",
        "sound": warning.id,
        "zones": ["nam-chanh"],
        "at": when.isoformat(),
        "level": "emergency",
        "reason": "Bão",
    }
    commune.post("/announcements", wish)
    for box, cluster in (("a", "nam-chanh-1"), ("c", "ngan-ro-1")):
        played = receipt(1, Outcome.FINISHED, at=START, slot=slot, offset=0.0, heard=20.0)
        commune.store.journal.store_receipts(receipts(played, box=box, cluster=cluster), received_at=START)
    told = {
        each["cluster"]: each["outcome"]
        for found in commune.get("/coverage", query=DAY)
        if found["slot"]["id"] == slot
        for each in found["clusters"]
    }
    assert told == {"nam-chanh-1": "heard", "nam-chanh-2": "unknown", "ngan-ro-1": "partly"}


def test_each_slot_is_in_the_window_that_holds_its_end(commune: Commune, slot: str) -> None:
    end = START + timedelta(minutes=1)

    def found(begin: datetime, to: datetime) -> int:
        return len(commune.get("/coverage", query={"from": begin.isoformat(), "to": to.isoformat()}))

    assert found(NOW, end) == 0
    assert found(end, end + timedelta(hours=1)) == 1
    assert found(end + timedelta(microseconds=1), end + timedelta(hours=1)) == 0


def test_a_window_may_reach_into_another_offset(commune: Commune, slot: str) -> None:
    local = {"from": "2026-03-03T00:00:00+07:00", "to": "2026-03-04T00:00:00+07:00"}
    assert len(commune.get("/coverage", query=local)) == 1
    assert slots(commune.get("/timeline", query=local))["ngan-ro-1"] == ["Bản tin"]
    assert datetime.fromisoformat(local["from"]).astimezone(UTC) < NOW
