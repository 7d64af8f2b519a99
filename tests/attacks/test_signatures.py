"""Signatures and keys that are forged, borrowed or bent. Vectors with a source are facts."""

import hashlib
import hmac
import json

import pytest
from cryptography.exceptions import InvalidSignature

from devices import envelope
from devices.envelope import EnvelopeError, PublicKey, SigningKey
from tests.attacks.forging import (
    BOX,
    MALLORY,
    PLAYLISTS,
    SERVER,
    Door,
    b64,
    code_of,
    every_door,
    playlist,
    public_bytes,
    raw_key,
    sign,
    unb64,
)

# Who signed it


@every_door
def test_forged_with_another_key(door: Door) -> None:
    assert code_of(door, door.seal(key=MALLORY)) == "unknown_key"


@every_door
def test_forged_with_another_key_under_our_name(door: Door) -> None:
    raw = sign(door.header, json.dumps(door.document()).encode(), MALLORY)
    assert code_of(door, raw) == "bad_signature"


@every_door
def test_genuine_but_under_the_name_of_another_key(door: Door) -> None:
    raw = sign({**door.header, "kid": MALLORY.kid}, json.dumps(door.document()).encode(), door.key)
    assert code_of(door, raw) == "unknown_key"


@every_door
def test_the_signature_of_another_document(door: Door) -> None:
    signature = door.seal({**door.document(), "title": "other"}).rsplit(b".", 1)[1]
    assert code_of(door, door.seal().rsplit(b".", 1)[0] + b"." + signature) == "bad_signature"


@every_door
def test_no_signature_at_all(door: Door) -> None:
    payload = b64(json.dumps(door.document()).encode())
    for head in (b64(b'{"alg":"none"}'), b64(json.dumps({**door.header, "alg": "none"}).encode())):
        assert code_of(door, head + b"." + payload + b".") == "malformed"
        assert code_of(door, head + b"." + payload + b"." + b"A" * 86) == "bad_header"


@every_door
def test_signed_with_the_public_key_as_a_shared_secret(door: Door) -> None:
    signed = (
        b64(json.dumps({**door.header, "alg": "HS256"}).encode()) + b"." + b64(json.dumps(door.document()).encode())
    )
    jwk = json.dumps(door.key.public().to_jwk()).encode()
    for secret in (public_bytes(door.key.public()), jwk):
        for digest in ("sha256", "sha512"):
            forged = signed + b"." + b64(hmac.digest(secret, signed, digest))
            assert code_of(door, forged) in ("malformed", "bad_header")


@every_door
def test_a_box_signs_for_the_server_and_the_server_for_a_box(door: Door) -> None:
    other = BOX if door.key is SERVER else SERVER
    assert code_of(door, door.seal(key=other)) == "unknown_key"


# The signature itself

L = 2**252 + 27742317777372353535851937790883648493
"""Order of Ed25519's base point (RFC 8032 clause 5.1)."""


def test_a_signature_with_s_plus_l() -> None:
    """RFC 8032 clause 5.1.7: S in [0, L), or anyone could make a second signature of a first one."""
    genuine = PLAYLISTS.seal()
    signed, _, last = genuine.rpartition(b".")
    signature = unb64(last)
    for times in (1, 2, 7, 15):
        s = int.from_bytes(signature[32:], "little") + times * L
        if s < 2**256:
            second = signature[:32] + s.to_bytes(32, "little")
            assert code_of(PLAYLISTS, signed + b"." + b64(second)) == "bad_signature"


def test_a_point_r_in_another_encoding() -> None:
    """Even who holds the key makes no signature whose R is y = p + 1, another spelling of the neutral point."""
    header, payload = json.dumps(PLAYLISTS.header).encode(), json.dumps(playlist()).encode()
    signed = b64(header) + b"." + b64(payload)
    secret = bytearray(hashlib.sha512(raw_key(SERVER).private_bytes_raw()).digest()[:32])
    secret[0] &= 248
    secret[31] = secret[31] & 127 | 64
    accepted = []
    for r in (bytes.fromhex("01" + "00" * 31), bytes.fromhex("ee" + "ff" * 30 + "7f")):
        k = int.from_bytes(hashlib.sha512(r + public_bytes(SERVER.public()) + signed).digest(), "little")
        s = k * int.from_bytes(secret, "little") % L
        try:
            raw_key(SERVER).public_key().verify(r + s.to_bytes(32, "little"), signed)
            accepted.append(r[0])
        except InvalidSignature:
            assert code_of(PLAYLISTS, signed + b"." + b64(r + s.to_bytes(32, "little"))) == "bad_signature"
    assert accepted == [1], "the arithmetic is right: only the spelling of R is refused"


P = 2**255 - 19
SMALL_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
)
"""The encodings of points whose order divides 8; libsodium's blocklist (ed25519_ref10.c) and its sign bits."""


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_public_key_under_which_everything_is_signed(point: str) -> None:
    assert _order_divides_8(bytes.fromhex(point)), "the vector is what it says"
    with pytest.raises(EnvelopeError) as caught:
        PublicKey.from_jwk({"kty": "OKP", "crv": "Ed25519", "x": b64(bytes.fromhex(point)).decode()})
    assert caught.value.code == "bad_key"


def _order_divides_8(encoded: bytes) -> bool:
    """Double y three times on -x² + y² = 1 + dx²y² (RFC 8032): the neutral point has y = 1."""
    d = -121665 * pow(121666, -1, P) % P
    y2 = pow(int.from_bytes(encoded, "little") % 2**255, 2, P)
    for _ in range(3):
        # x² = (y² - 1) / (dy² + 1);  y of the double = (y² + x²) / (1 - dx²y²)
        x2 = (y2 - 1) * pow(d * y2 + 1, -1, P) % P
        y2 = pow((y2 + x2) * pow(1 - d * x2 * y2, -1, P), 2, P)
    return y2 == 1


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "OKP", "crv": "Ed25519", "x": ""},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "@" * 43},
        {"kty": "OKP", "crv": "Ed25519", "x": "A" * 5000},
        {"kty": "OKP", "crv": "X25519", "x": SERVER.public().to_jwk()["x"]},
        {"kty": "oct", "k": "c2VjcmV0"},
        {**SERVER.public().to_jwk(), "d": "A" * 43},
    ],
)
def test_a_public_key_that_is_none(jwk: dict[str, str]) -> None:
    with pytest.raises(EnvelopeError) as caught:
        PublicKey.from_jwk(jwk)
    assert caught.value.code == "bad_key"


RFC_8037_SEED = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
RFC_8037_JWK = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
RFC_8037_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
RFC_8037_JWS = (
    b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    b"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)


def test_the_vectors_of_rfc_8037() -> None:
    """Appendix A.1 to A.5: our names of keys and our signatures are theirs; their header is not ours."""
    public = PublicKey.from_jwk(RFC_8037_JWK)
    assert public.kid == RFC_8037_THUMBPRINT
    key = _key_of_seed(unb64(RFC_8037_SEED.encode()))
    assert key.public().to_jwk() == {**RFC_8037_JWK, "kid": RFC_8037_THUMBPRINT}
    assert sign(b'{"alg":"EdDSA"}', b"Example of Ed25519 signing", key) == RFC_8037_JWS
    with pytest.raises(EnvelopeError) as caught:
        envelope.unseal(RFC_8037_JWS, "loa-playlist", public)
    assert caught.value.code == "bad_header"
    ours = envelope.seal(b"Example of Ed25519 signing", "loa-playlist", key)
    signed, _, signature = ours.rpartition(b".")
    raw_key(key).public_key().verify(unb64(signature), signed)
    assert envelope.unseal(ours, "loa-playlist", public) == b"Example of Ed25519 signing"


def _key_of_seed(seed: bytes) -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = Ed25519PrivateKey.from_private_bytes(seed)
    return SigningKey.from_pem(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
