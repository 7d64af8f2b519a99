"""The trust gate, tried by everything that an attacker or an accident may send: refused with its code, or identical."""

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import envelope, messages
from devices.envelope import LONGEST_BYTES, SigningKey
from devices.trust import Accepted, Refused, accept_from_box, accept_playlist
from tests.attacks.forging import (
    BOX,
    DIGEST,
    DOORS,
    MALLORY,
    NOW,
    OTHER_DIGEST,
    PINNED,
    PLAYLISTS,
    SERVER,
    Door,
    Json,
    code_of,
    every_door,
    playlist,
    rendition,
    rules,
    sign,
    slot,
)


def refused_playlist(document: Json) -> str:
    return code_of(PLAYLISTS, PLAYLISTS.seal(document))


def hold(document: Json, held: Accepted | None = None, *, now: Any = NOW) -> Accepted:
    accepted = again(PLAYLISTS.seal(document), held, now=now)
    assert accepted is not None
    return accepted


def again(raw: bytes, held: Accepted | None, *, now: Any = NOW) -> Accepted | None:
    return accept_playlist(raw, PINNED, held=held.held if held else None, now=now)


@every_door
def test_what_is_genuine_is_let_in(door: Door) -> None:
    accepted = door.accept(door.seal())
    assert json.loads(accepted.to_bytes())["format"] == 1


# When, and for whom


def test_an_older_playlist_is_played_back() -> None:
    held = hold(playlist(version=7))
    with pytest.raises(Refused) as caught:
        hold(playlist(version=6), held)
    assert caught.value.code == "rolled_back"


def test_another_playlist_under_the_same_version() -> None:
    held = hold(playlist(version=7))
    with pytest.raises(Refused) as caught:
        hold(playlist(version=7, volume=100), held)
    assert caught.value.code == "version_reused"


def test_the_held_playlist_again_changes_nothing_even_after_it_expired() -> None:
    held = hold(playlist())
    assert again(PLAYLISTS.seal(playlist()), held, now=NOW + timedelta(days=30)) is None


def test_a_newer_playlist_takes_its_place_and_the_old_one_never_comes_back() -> None:
    old = hold(playlist(version=7))
    new = hold(playlist(version=8), old)
    assert new.playlist.version == 8
    with pytest.raises(Refused) as caught:
        again(old.raw, new)
    assert caught.value.code == "rolled_back"


def test_the_playlist_of_another_cluster() -> None:
    assert refused_playlist(playlist(cluster="mo-o-1")) == "wrong_cluster"


@pytest.mark.parametrize("door", DOORS[1:-1], ids=lambda door: door.typ)  # the last is the beacon: it is for all
def test_a_document_of_another_box(door: Door) -> None:
    assert code_of(door, door.seal(door.document(box="box-2"))) == "wrong_box"


def test_one_box_speaks_on_the_topic_of_another() -> None:
    with pytest.raises(Refused) as caught:
        accept_from_box(DOORS[2].seal(), messages.STATUS, messages.Status, box="box-2", key=BOX.public())
    assert caught.value.code == "wrong_box"


def test_an_expired_playlist() -> None:
    assert refused_playlist(playlist(expires="2026-03-02T22:00:00Z")) == "expired"
    assert refused_playlist(playlist(expires="1970-01-01T00:00:00Z")) == "expired"
    assert hold(playlist(expires="2026-03-02T22:00:00.000001Z")).playlist.version == 7


def test_an_old_version_of_another_key_or_cluster_is_not_called_rolled_back() -> None:
    """The order of checks is law: who is not trusted learns nothing of what is held."""
    held = hold(playlist(version=7))
    for raw, code in (
        (PLAYLISTS.seal(playlist(version=1), key=MALLORY), "unknown_key"),
        (PLAYLISTS.seal(playlist(version=1, cluster="mo-o-1", expires="2020-01-01T00:00:00Z")), "wrong_cluster"),
        (PLAYLISTS.seal(playlist(version=1, expires="2020-01-01T00:00:00Z")), "rolled_back"),
    ):
        with pytest.raises(Refused) as caught:
            again(raw, held)
        assert caught.value.code == code


# What it says


def test_slots_that_overlap_or_stand_in_the_wrong_order() -> None:
    first, second = slot(id="a@1"), slot(id="b@1", start="2026-03-02T22:00:04.999999Z")
    assert refused_playlist(playlist(slots=[first, second])) == "bad_slots"
    second["start"] = "2026-03-02T22:00:05Z"
    assert refused_playlist(playlist(slots=[second, first])) == "bad_slots"
    assert len(hold(playlist(slots=[first, second])).playlist.slots) == 2


def test_a_slot_that_needs_a_rendition_nobody_names() -> None:
    unnamed = slot(items=[{"rendition": OTHER_DIGEST, "offset": 0, "duration": 5}])
    assert refused_playlist(playlist(slots=[unnamed])) == "bad_slots"


@pytest.mark.parametrize(
    "url",
    [
        "//evil.example/x",
        "http://evil.example/x",
        "http:/x",
        "https://evil.example",
        "/../etc/passwd",
        "/a/../b",
        "/a/./b",
        "/a//b",
        "/a/",
        "/",
        "",
        "x",
        "\\\\evil\\x",
        "/\\evil",
        "/a?b=c",
        "/a#b",
        "/a@evil.example",
        "/a:80",
        "/%2e%2e/x",
        "/a\n",
        "/a\r\nHost: evil",
        "/a b",
        "/ấp",
        "/" + "a" * 200,
        "javascript:alert(1)",
        "file:///etc/passwd",
    ],
)
def test_a_rendition_from_another_place(url: str) -> None:
    assert refused_playlist(playlist(renditions=[rendition(url=url)])) == "bad_format"


@pytest.mark.parametrize("format_", [0, 2, 99, -1, "1", 1.0, 1.5, True, None, [1]])
@every_door
def test_a_format_of_tomorrow(door: Door, format_: object) -> None:
    assert code_of(door, door.seal(door.document(format=format_))) == "bad_format"


@every_door
def test_fields_of_tomorrow_are_kept(door: Door) -> None:
    accepted = door.accept(door.seal(door.document(tomorrow={"a": [1, "hai", None]})))
    assert json.loads(accepted.to_bytes())["tomorrow"] == {"a": [1, "hai", None]}


@pytest.mark.parametrize(
    "t",
    [
        "2026-03-02T22:00:00",
        "2026-03-02",
        "22:00",
        "tomorrow",
        "",
        1772488800,
        1e300,
        None,
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "9999-12-31T23:59:59Z",
        "1969-12-31T23:59:59Z",
        "2026-02-30T00:00:00Z",
    ],
)
@every_door
def test_an_instant_that_is_none(door: Door, t: object) -> None:
    for name in ("issued", "expires", "start", "end", "at"):
        if name in door.document():
            assert code_of(door, door.seal(door.document(**{name: t}))) == "bad_format"
    if door is PLAYLISTS:
        assert refused_playlist(playlist(slots=[slot(start=t)])) == "bad_format"


def test_a_slot_at_the_last_instant_that_can_be_told() -> None:
    last = slot(start="9000-12-31T23:59:59Z", duration=86_400)
    assert hold(playlist(slots=[last])).playlist.slots[0].start.year == 9000


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1", "1e6", '"5"', "null", "true", "[]"])
@pytest.mark.parametrize("name", ["duration", "size_bytes", "offset"])
def test_a_number_that_is_none(number: str, name: str) -> None:
    text = json.dumps(playlist(slots=[slot()]))
    spoiled = text.replace(f'"{name}": {rendition().get(name, 0.0)}', f'"{name}": {number}')
    assert spoiled != text
    if (name, number) != ("size_bytes", "1e6"):
        assert code_of(PLAYLISTS, envelope.seal(spoiled.encode(), messages.PLAYLIST, SERVER)) == "bad_format"


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 0},
        {"version": -1},
        {"version": 2**53 + 1},
        {"version": 10**400},
        {"version": "7"},
        {"version": 7.0},
        {"version": True},
        {"volume": 101},
        {"volume": -1},
        {"cluster": "Nam Chánh"},
        {"cluster": "a/b"},
        {"cluster": "#"},
        {"cluster": "a" * 24},
        {"slots": [slot(level=0)]},
        {"slots": [slot(level=4)]},
        {"slots": [slot(duration=0)]},
        {"slots": [slot(duration=86_401)]},
        {"slots": [slot(items=[])]},
        {"slots": [slot(title="")]},
        {"slots": [slot(title="a" * 201)]},
        {"slots": [slot(id="a" * 201)]},
        {"slots": [slot()] * 4097},
        {"slots": {}},
        {"slots": None},
        {"renditions": [rendition(digest=DIGEST.upper())]},
        {"renditions": [rendition(digest="../" * 21 + "a")]},
        {"renditions": [rendition(digest=DIGEST + "\n")]},
        {"renditions": [rendition(size_bytes=0)]},
        {"renditions": [rendition(size_bytes=513 * 1024 * 1024)]},
    ],
    ids=str,
)
def test_a_field_out_of_its_bounds(changes: Json) -> None:
    document = json.dumps(playlist(**changes), separators=(",", ":")).encode()
    if len(document) < LONGEST_BYTES // 2:
        assert code_of(PLAYLISTS, envelope.seal(document, messages.PLAYLIST, SERVER)) == "bad_format"
    else:
        assert code_of(PLAYLISTS, sign(PLAYLISTS.header, document, SERVER)) == "too_long"


@pytest.mark.parametrize(
    "changes",
    [
        {"time_zone": "Asia/Nam_Chanh"},
        {"time_zone": "asia"},
        {"time_zone": "Asia"},
        {"time_zone": ""},
        {"time_zone": None},
        {"time_zone": 7},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": "/usr/share/zoneinfo/Asia/Ho_Chi_Minh"},
        {"time_zone": "Asia/Ho_Chi_Minh\n"},
        {"time_zone": "Asia/Ho_Chi_Minh\0"},
        {"time_zone": "zone.tab"},
        {"time_zone": "a" * 65},
        {"quiet": [{"start": "21:00", "end": "05:00:00"}]},
        {"quiet": [{"start": "24:00:00", "end": "05:00:00"}]},
        {"quiet": [{"start": "21:00:60", "end": "05:00:00"}]},
        {"quiet": [{"start": "٢١:00:00", "end": "05:00:00"}]},
        {"quiet": [{"start": "21:00:00\n", "end": "05:00:00"}]},
        {"quiet": [{"start": "21:00:00Z", "end": "05:00:00"}]},
        {"quiet": [{"start": 75_600, "end": 18_000}]},
        {"quiet": [{"start": "21:00:00"}]},
        {"quiet": rules()["quiet"] * 65},
        {"quiet": None},
        {"quiet": {}},
        {"weekdays": [0]},
        {"weekdays": [8]},
        {"weekdays": ["1"]},
        {"weekdays": [True]},
        {"weekdays": [1] * 8},
        {"weekdays": 1},
        {"longest_session": -1},
        {"longest_session": "900"},
        {"most_a_day": 31 * 86_400 + 1},
        {"most_a_day": True},
        {"gap": 1e300},
        {"sessions_a_day": -1},
        {"sessions_a_day": 2.5},
        {"sessions_a_day": 10**400},
        {"loudest": [{"start": "21:00:00", "end": "05:00:00", "volume": 101}]},
        {"loudest": [{"start": "21:00:00", "end": "05:00:00", "volume": -1}]},
        {"loudest": rules()["loudest"] * 65},
        {"holds": [{"kind": "exam", "start": "2026-06-25", "end": "2026-06-28T00:00:00Z"}]},
        {"holds": [{"kind": "exam", "start": "2026-06-25T00:00:00", "end": "2026-06-28T00:00:00"}]},
        {"holds": [{"kind": "", "start": "2026-06-25T00:00:00Z", "end": "2026-06-28T00:00:00Z"}]},
        {"holds": [{"start": "2026-06-25T00:00:00Z", "end": "2026-06-28T00:00:00Z"}]},
        {"holds": rules()["holds"] * 257},
    ],
    ids=str,
)
def test_a_rule_out_of_its_bounds(changes: Json) -> None:
    """No rule is passed over because it cannot be read: the playlist is refused, and the one before stays."""
    assert refused_playlist(playlist(rules=rules(**changes))) == "bad_format"


@pytest.mark.parametrize("nothing", [[], "", 0, False, "none", {}, {"quiet": []}])
def test_rules_that_are_none(nothing: object) -> None:
    assert refused_playlist(playlist(rules=nothing)) == "bad_format"


def test_a_playlist_without_rules_and_one_whose_rules_say_nothing() -> None:
    plain = playlist()
    del plain["rules"]
    assert hold(plain).playlist.rules is None
    assert "rules" not in json.loads(hold(plain).playlist.to_bytes())
    said = hold(playlist(rules={"time_zone": "Asia/Ho_Chi_Minh"})).playlist.rules
    assert said == messages.Rules(time_zone="Asia/Ho_Chi_Minh")


@every_door
def test_json_nested_to_exhaust_the_stack(door: Door) -> None:
    whole = json.dumps(door.document())
    for opened, closed in (("[", "]"), ('{"a":', "}")):
        for depth in (300, 20_000):
            bomb = whole[:-1] + ', "x": ' + opened * depth + "0" + closed * depth + "}"
            assert code_of(door, envelope.seal(bomb.encode(), door.typ, door.key)) == "bad_format"


@every_door
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"{}",
        b"1",
        b'"',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"format": 1',
        b"{'format': 1}",
        b"\x00",
    ],
)
def test_a_signed_payload_that_is_no_document(door: Door, payload: bytes) -> None:
    raw = sign(door.header, payload, door.key)
    assert code_of(door, raw) == ("bad_format" if payload else "malformed")


@every_door
def test_text_that_no_unicode_is(door: Door) -> None:
    whole = json.dumps(door.document())
    for text in (b'"\\ud800"', b'"\xed\xa0\x80"', b'"\xc0\xaf"'):
        raw = sign(door.header, whole[:-1].encode() + b', "x": ' + text + b"}", door.key)
        assert code_of(door, raw) == "bad_format"


def test_a_field_that_comes_twice_is_checked_as_it_is_used() -> None:
    """Only who holds the key can send it; what passes the checks is what is played, whichever counts."""
    whole = json.dumps(playlist())
    for evil in ('"cluster": "mo-o-1"', '"volume": 1000', '"version": 0'):
        raw = sign(PLAYLISTS.header, (whole[:-1] + ", " + evil + "}").encode(), SERVER)
        assert code_of(PLAYLISTS, raw) in ("bad_format", "wrong_cluster")
    raw = sign(PLAYLISTS.header, (whole[:-1] + ', "volume": 5}').encode(), SERVER)
    assert json.loads(PLAYLISTS.accept(raw).to_bytes())["volume"] == 5


# Whatever else


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_mutated_envelope_is_refused_or_identical(data: st.DataObject) -> None:
    door = data.draw(st.sampled_from(DOORS))
    genuine = door.seal()
    mutated = bytearray(genuine)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(mutated)))
        length = data.draw(st.integers(0, 8))
        mutated[place : place + length] = data.draw(st.binary(max_size=8) | st.sampled_from([b".", b"=", b"A", b"_"]))
    try:
        accepted = door.accept(bytes(mutated))
    except Refused:
        return
    assert bytes(mutated) == genuine
    assert accepted == door.accept(genuine)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_noise_is_refused(noise: bytes) -> None:
    for door in DOORS:
        code_of(door, noise)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(DOORS), st.data())
def test_any_value_in_any_field_is_refused_or_within_its_bounds(door: Door, data: st.DataObject) -> None:
    document = door.document()
    name = data.draw(st.sampled_from([*document, "tomorrow"]))
    document[name] = data.draw(_VALUES)
    try:
        accepted = door.accept(envelope.seal(json.dumps(document).encode(), door.typ, door.key))
    except Refused:
        return
    again = door.accept(envelope.seal(accepted.to_bytes(), door.typ, door.key))
    assert again.to_bytes() == accepted.to_bytes(), "what was let in can be written and read again"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 5),
            st.integers(0, 3),
            st.sampled_from([SERVER, SERVER, SERVER, MALLORY]),
            st.integers(-2, 9),
        ),
        max_size=12,
    )
)
def test_whatever_comes_the_held_version_never_falls(sent: list[tuple[int, int, SigningKey, int]]) -> None:
    held: Accepted | None = None
    for version, volume, key, days in sent:
        raw = PLAYLISTS.seal(playlist(version=version, volume=volume), key=key)
        before = held
        with suppress(Refused):
            held = again(raw, held, now=NOW + timedelta(days=days)) or held
        if before is not None and held is not None and held is not before:
            assert held.playlist.version > before.playlist.version
        assert held is None or held.raw.count(b".") == 2
