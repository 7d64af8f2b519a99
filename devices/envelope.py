"""Signed envelopes: a document in a compact JWS (RFC 7515), signed with Ed25519 (RFC 8037, RFC 9864).

An envelope is three base64url parts without padding. Its header is exactly ``alg`` = ``Ed25519``,
``typ`` and ``kid``: anything else is refused before the payload is looked at, so neither ``alg: none``
nor ``b64: false`` nor a header of tomorrow can change what a signature means. ``typ`` names the
document: a signature on a status can never serve as one on a playlist.
"""

import json
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

ALGORITHM: Final = "Ed25519"
LONGEST_BYTES: Final = 256 * 1024
"""No message on the wire is longer than this (``docs/protocol.md``)."""
_LONGEST_HEADER: Final = 512

_REGISTRY = jws.JWSRegistry(algorithms=[ALGORITHM])
_REGISTRY.max_header_length = _LONGEST_HEADER
_REGISTRY.max_payload_length = LONGEST_BYTES
_PARTS = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{85}[AQgw]")
"""The last character of a signature carries two bits: with the other four at zero a signature has one spelling."""
_SMALL_ORDER = frozenset(
    bytes.fromhex(y)
    for y in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)
"""Public keys, without the sign of x, under which one signature fits every message (libsodium refuses the same)."""


class EnvelopeError(Exception):
    """The bytes are not an envelope that we accept. ``code`` says which check failed."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that can check signatures, named by its RFC 7638 thumbprint."""

    kid: str
    _key: OKPKey

    @classmethod
    def from_jwk(cls, jwk: dict[str, Any]) -> "PublicKey":
        """Read a public JWK.

        Raises:
            EnvelopeError: ``bad_key``: not an Ed25519 public key, or it holds the private part.
        """
        wanted = {"kty": "OKP", "crv": "Ed25519"}
        if any(jwk.get(name) != value for name, value in wanted.items()) or "d" in jwk:
            raise EnvelopeError("bad_key", "The key is not an Ed25519 public key in JWK form (RFC 8037).")
        try:
            key = OKPKey.import_key({**wanted, "x": jwk.get("x", "")})
            point = key.public_key.public_bytes_raw()
            if point[:-1] + bytes([point[-1] & 0x7F]) in _SMALL_ORDER:
                raise ValueError("it is a point of small order")
            return cls(key.thumbprint(), key)
        except (JoseError, ValueError, TypeError) as error:
            raise EnvelopeError("bad_key", f"The Ed25519 public key cannot be read: {error}") from error

    def to_jwk(self) -> dict[str, str]:
        """Return the key as a public JWK with its ``kid``."""
        return {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": str(self._key.as_dict(private=False)["x"]),
            "kid": self.kid,
        }


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private Ed25519 key. Its ``repr`` shows the name only."""

    kid: str
    _key: OKPKey

    def __repr__(self) -> str:
        return f"SigningKey({self.kid})"

    @classmethod
    def generate(cls) -> "SigningKey":
        """Make a new key from the system's random source."""
        key = OKPKey.generate_key("Ed25519", private=True)
        return cls(key.thumbprint(), key)

    @classmethod
    def from_pem(cls, pem: bytes) -> "SigningKey":
        """Read a PKCS#8 PEM file.

        Raises:
            EnvelopeError: ``bad_key``: not an unencrypted Ed25519 private key.
        """
        try:
            load_pem_private_key(pem, password=None)
            key = OKPKey.import_key(pem)
            if key.curve_name != "Ed25519" or not key.is_private:
                raise ValueError(f"it is a {key.curve_name} key")
        except (JoseError, ValueError, TypeError) as error:
            raise EnvelopeError("bad_key", f"The signing key file cannot be read: {error}") from error
        return cls(key.thumbprint(), key)

    def to_pem(self) -> bytes:
        """Return the key as an unencrypted PKCS#8 PEM; whoever stores it keeps others from reading it."""
        return self._key.as_pem(private=True)

    def public(self) -> PublicKey:
        """Return the public half."""
        return PublicKey.from_jwk(dict(self._key.as_dict(private=False)))


def seal(payload: bytes, typ: str, key: SigningKey) -> bytes:
    """Return ``payload`` signed by ``key`` as a document of type ``typ``.

    Raises:
        ValueError: the envelope would be longer than ``LONGEST_BYTES``. The caller cuts its document first.
    """
    header = {"alg": ALGORITHM, "typ": typ, "kid": key.kid}
    sealed = jws.serialize_compact(header, payload, key._key, registry=_REGISTRY).encode()
    if len(sealed) > LONGEST_BYTES:
        raise ValueError(f"an envelope of {len(sealed)} bytes is longer than {LONGEST_BYTES}")
    return sealed


def signer(raw: bytes, typ: str) -> str:
    """Return the ``kid`` that ``raw`` claims to be signed by, after checking its outer form only.

    Raises:
        EnvelopeError: ``too_long``, ``malformed``, ``bad_header`` or ``wrong_type``.
    """
    if len(raw) > LONGEST_BYTES:
        raise EnvelopeError("too_long", f"A message has {len(raw)} bytes; at most {LONGEST_BYTES} are read.")
    if not _PARTS.fullmatch(raw):
        raise EnvelopeError("malformed", "The message is not three base64url parts with an Ed25519 signature.")
    head = raw[: raw.index(b".")]
    if len(head) > _LONGEST_HEADER:
        raise EnvelopeError("bad_header", "The header is longer than any of ours.")
    try:
        header = json.loads(urlsafe_b64decode(head + b"=" * (-len(head) % 4)), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise EnvelopeError("bad_header", "The header is not JSON.") from error
    strings = isinstance(header, dict) and all(isinstance(value, str) for value in header.values())
    if not strings or header.keys() != {"alg", "typ", "kid"} or header["alg"] != ALGORITHM:
        raise EnvelopeError("bad_header", 'The header must be exactly "alg": "Ed25519", "typ" and "kid".')
    if header["typ"] != typ:
        raise EnvelopeError("wrong_type", f"A document of type {header['typ'][:40]!r} came where {typ!r} belongs.")
    return str(header["kid"])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that comes twice: no two readers may see different headers."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def unseal(raw: bytes, typ: str, key: PublicKey) -> bytes:
    """Return the payload of ``raw`` if ``key`` signed it as a ``typ``.

    Raises:
        EnvelopeError: the codes of ``signer``, ``unknown_key`` (another key's name), ``bad_signature``.
    """
    if signer(raw, typ) != key.kid:
        raise EnvelopeError("unknown_key", "The message names a signing key that is not the expected one.")
    try:
        return jws.deserialize_compact(raw, key._key, registry=_REGISTRY).payload
    except (JoseError, ValueError) as error:
        raise EnvelopeError("bad_signature", "The signature does not fit the message.") from error
