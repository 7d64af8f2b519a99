"""The envelope's form and header, spoiled in every way: refused before anything in it is believed."""

import json
from collections.abc import Callable

import pytest

from devices import envelope, messages
from devices.envelope import LONGEST_BYTES
from tests.attacks.forging import (
    DOORS,
    MALLORY,
    PLAYLISTS,
    SERVER,
    Door,
    Json,
    code_of,
    every_door,
    playlist,
    sign,
    unb64,
)

# Which document it is


@every_door
@pytest.mark.parametrize("other", DOORS, ids=lambda door: door.typ)
def test_a_signature_on_one_kind_serves_as_no_other(door: Door, other: Door) -> None:
    if door is not other:
        assert code_of(door, door.seal(typ=other.typ)) == "wrong_type"
        assert code_of(door, other.seal(other.document(), key=door.key)) == "wrong_type"


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"jwk": MALLORY.public().to_jwk()},
        {"x5u": "https://evil.example/key"},
        {"jku": "https://evil.example/keys"},
        {"zip": "DEF"},
        {"cty": "JWT"},
        {"": ""},
    ],
    ids=lambda extra: next(iter(extra)) or "empty",
)
@every_door
def test_an_extra_word_in_the_header(door: Door, extra: Json) -> None:
    payload = json.dumps(door.document()).encode()
    assert code_of(door, sign({**door.header, **extra}, payload, door.key)) == "bad_header"


@pytest.mark.parametrize("name", ["alg", "typ", "kid"])
@pytest.mark.parametrize("value", [None, 1, True, ["Ed25519"], {"a": "b"}, "", "\x00", "absent"])
def test_a_word_in_the_header_is_missing_or_something_else(name: str, value: object) -> None:
    header = {**PLAYLISTS.header, name: value}
    if value == "absent":
        del header[name]
    code = code_of(PLAYLISTS, sign(header, json.dumps(playlist()).encode(), SERVER))
    assert code in ("bad_header", "wrong_type", "unknown_key")


@pytest.mark.parametrize("name", ["alg", "typ", "kid"])
def test_a_word_comes_twice_in_the_header(name: str) -> None:
    genuine = json.dumps(PLAYLISTS.header)
    for twice in (genuine.replace("{", f'{{"{name}": "evil", '), genuine.replace("}", f', "{name}": "evil"}}')):
        assert code_of(PLAYLISTS, sign(twice.encode(), json.dumps(playlist()).encode(), SERVER)) == "bad_header"


@pytest.mark.parametrize("header", [b"[]", b"null", b'"Ed25519"', b"{", b"\xff\xfe", b"[" * 300, b" " * 500])
def test_a_header_that_is_no_header(header: bytes) -> None:
    assert code_of(PLAYLISTS, sign(header, json.dumps(playlist()).encode(), SERVER)) == "bad_header"


def test_the_older_name_of_the_algorithm_is_not_ours() -> None:
    raw = sign({**PLAYLISTS.header, "alg": "EdDSA"}, json.dumps(playlist()).encode(), SERVER)
    assert code_of(PLAYLISTS, raw) == "bad_header"


# The envelope's outer form


@every_door
def test_every_single_bit_flipped(door: Door) -> None:
    genuine = door.seal(_small(door))
    for place in range(len(genuine) * 8):
        flipped = bytearray(genuine)
        flipped[place // 8] ^= 1 << place % 8
        code_of(door, bytes(flipped))


def _small(door: Door) -> Json:
    return playlist(renditions=[], slots=[]) if door is PLAYLISTS else door.document()


@every_door
def test_cut_off_after_every_byte(door: Door) -> None:
    genuine = door.seal()
    for length in range(len(genuine)):
        code_of(door, genuine[:length])


@every_door
@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw + b"\n",
        lambda raw: raw + b"\r\n",
        lambda raw: b" " + raw,
        lambda raw: raw + b"\x00",
        lambda raw: raw + b"=",
        lambda raw: raw + b"A",
        lambda raw: raw + b".",
        lambda raw: b"." + raw,
        lambda raw: raw.replace(b".", b"=.", 1),
        lambda raw: raw.replace(b".", b". ", 1),
        lambda raw: raw.replace(b".", b"..", 1),
        lambda raw: raw[:-10] + b"\n" + raw[-10:],
        lambda raw: raw + b"." + raw,
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: raw.decode().encode("utf-16"),
        lambda raw: "ы".encode() + raw[2:],
        lambda raw: raw[: raw.rindex(b".") + 1],
        lambda raw: b"",
        lambda raw: b"..",
        lambda raw: b"{}",
        lambda raw: bytes(range(256)),
    ],
)
def test_almost_an_envelope(door: Door, spoil: Callable[[bytes], bytes]) -> None:
    assert code_of(door, spoil(door.seal())) == "malformed"


@every_door
def test_the_same_signature_in_another_spelling(door: Door) -> None:
    """The last character of 64 bytes in base64url holds four spare bits."""
    genuine = door.seal()
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(genuine[-1])
    for spare in range(1, 16):
        other = genuine[:-1] + alphabet[last | spare : (last | spare) + 1]
        assert unb64(other.rsplit(b".", 1)[1]) == unb64(genuine.rsplit(b".", 1)[1])
        assert code_of(door, other) == "malformed"


def test_longer_than_a_message_may_be() -> None:
    assert code_of(PLAYLISTS, b"A" * (LONGEST_BYTES + 1)) == "too_long"
    sealed = sign(PLAYLISTS.header, b'{"x":"' + b"a" * LONGEST_BYTES + b'"}', SERVER)
    assert code_of(PLAYLISTS, sealed) == "too_long"
    with pytest.raises(ValueError, match="longer than"):
        envelope.seal(b"a" * LONGEST_BYTES, messages.PLAYLIST, SERVER)


def test_as_long_as_a_message_may_be() -> None:
    spare = LONGEST_BYTES - len(PLAYLISTS.seal(playlist(x="")))
    long = PLAYLISTS.seal(playlist(x="a" * (spare * 3 // 4 - 4)))
    assert LONGEST_BYTES - 16 < len(long) <= LONGEST_BYTES
    assert PLAYLISTS.accept(long).model_extra == {"x": "a" * (spare * 3 // 4 - 4)}
