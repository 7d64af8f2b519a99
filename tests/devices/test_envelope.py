"""Our envelopes beside a JOSE library's: each end reads what the other wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OKPKey

from devices.envelope import LONGEST_BYTES, EnvelopeError, PublicKey, SigningKey, seal, unseal

TYP = "loa-playlist"
REGISTRY = jws.JWSRegistry(algorithms=["Ed25519"])
REGISTRY.max_payload_length = LONGEST_BYTES
KEY = SigningKey.generate()
THEIRS = OKPKey.import_key(KEY.to_pem())


@given(st.binary(max_size=4000))
def test_a_jose_library_reads_what_we_seal(payload: bytes) -> None:
    read = jws.deserialize_compact(seal(payload or b"{", TYP, KEY), THEIRS, registry=REGISTRY)
    assert read.payload == (payload or b"{")
    assert read.headers() == {"alg": "Ed25519", "typ": TYP, "kid": KEY.kid}


@given(st.binary(min_size=1, max_size=4000))
def test_we_read_what_a_jose_library_seals(payload: bytes) -> None:
    header = {"alg": "Ed25519", "typ": TYP, "kid": KEY.kid}
    sealed = jws.serialize_compact(header, payload, THEIRS, registry=REGISTRY)
    assert unseal(sealed.encode(), TYP, KEY.public()) == payload


def test_both_give_a_key_the_same_name_and_form() -> None:
    assert KEY.kid == THEIRS.thumbprint()
    assert KEY.public().to_jwk() == {**THEIRS.as_dict(private=False), "kid": KEY.kid}
    assert PublicKey.from_jwk(dict(KEY.public().to_jwk())) == PublicKey.from_jwk(THEIRS.as_dict(private=False))


def test_a_key_comes_back_from_its_file() -> None:
    again = SigningKey.from_pem(KEY.to_pem())
    assert again.kid == KEY.kid
    assert unseal(seal(b"{}", TYP, again), TYP, KEY.public()) == b"{}"


def test_the_thumbprint_of_rfc_8037() -> None:
    # RFC 8037, appendix A.3: the key of A.2 and its name.
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert PublicKey.from_jwk(jwk).kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "OKP", "crv": "Ed25519", "x": 7},
        {"kty": "OKP", "crv": "Ed25519", "x": "short"},
        {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43},
        {"kty": "OKP", "crv": "X25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "d": "secret"},
    ],
)
def test_what_is_no_public_ed25519_key_is_refused(jwk: dict[str, object]) -> None:
    with pytest.raises(EnvelopeError) as refused:
        PublicKey.from_jwk(jwk)
    assert refused.value.code == "bad_key"


@pytest.mark.parametrize("pem", [b"", b"not a key", OKPKey.generate_key("X25519").as_pem(private=True)])
def test_a_file_that_is_no_signing_key_is_refused(pem: bytes) -> None:
    with pytest.raises(EnvelopeError, match="signing key file"):
        SigningKey.from_pem(pem)


def test_a_key_is_not_shown_by_accident() -> None:
    assert repr(KEY) == f"SigningKey(kid='{KEY.kid}')"


def test_an_envelope_that_would_be_too_long_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="longer than"):
        seal(b"x" * LONGEST_BYTES, TYP, KEY)
