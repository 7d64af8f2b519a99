"""Signed envelopes: a document in a compact JWS (RFC 7515), signed with Ed25519 (RFC 8037, RFC 9864).

An envelope is three base64url parts without padding. Its header is exactly ``alg`` = ``Ed25519``,
``typ`` and ``kid``: anything else is refused before the payload is looked at, so neither ``alg: none``
nor ``b64: false`` nor a header of tomorrow can change what a signature means. ``typ`` names the
document: a signature on a status can never serve as one on a playlist.

So little of JOSE is left that it is written out here, over ``cryptography``; a JOSE library is the oracle of the tests
(decision 6).
"""

import hashlib
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

ALGORITHM: Final = "Ed25519"
LONGEST_BYTES: Final = 256 * 1024
"""No message on the wire is longer than this (``docs/protocol.md``)."""
_LONGEST_HEADER: Final = 512

_PARTS = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{85}[AQgw]")
"""The last character of a signature carries two bits: with the other four at zero a signature has one spelling."""
_POINT = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
"""32 bytes in base64url, spelled in the one way."""
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
    _x: str
    _key: Ed25519PublicKey = field(repr=False)

    @classmethod
    def from_jwk(cls, jwk: dict[str, Any]) -> "PublicKey":
        """Read a public JWK (RFC 8037, section 2).

        Raises:
            EnvelopeError: ``bad_key``: not an Ed25519 public key, or it holds the private part.
        """
        x = jwk.get("x")
        if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519" or "d" in jwk or not isinstance(x, str):
            raise EnvelopeError("bad_key", "The key is not an Ed25519 public key in JWK form (RFC 8037).")
        if not _POINT.fullmatch(x):
            raise EnvelopeError("bad_key", "The key's x is not 32 bytes in base64url.")
        point = _decode(x.encode())
        if point[:-1] + bytes([point[-1] & 0x7F]) in _SMALL_ORDER:
            raise EnvelopeError("bad_key", "The key is a point of small order: one signature would fit everything.")
        return cls(_thumbprint(x), x, Ed25519PublicKey.from_public_bytes(point))

    def to_jwk(self) -> dict[str, str]:
        """Return the key as a public JWK with its ``kid``."""
        return {"kty": "OKP", "crv": "Ed25519", "x": self._x, "kid": self.kid}

    def fits(self, signature: bytes, signed: bytes) -> bool:
        """Return whether this key made ``signature`` over ``signed``."""
        try:
            self._key.verify(signature, signed)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private Ed25519 key. Its ``repr`` shows the name only."""

    kid: str
    _key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> "SigningKey":
        """Make a new key from the system's random source."""
        return cls._of(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> "SigningKey":
        """Read a PKCS#8 PEM file.

        Raises:
            EnvelopeError: ``bad_key``: not an unencrypted Ed25519 private key.
        """
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise EnvelopeError("bad_key", f"The signing key file cannot be read: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise EnvelopeError("bad_key", "The signing key file holds a key that is not Ed25519.")
        return cls._of(key)

    @classmethod
    def _of(cls, key: Ed25519PrivateKey) -> "SigningKey":
        return cls(_thumbprint(_x_of(key)), key)

    def to_pem(self) -> bytes:
        """Return the key as an unencrypted PKCS#8 PEM; whoever stores it keeps others from reading it."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def public(self) -> PublicKey:
        """Return the public half."""
        return PublicKey.from_jwk({"kty": "OKP", "crv": "Ed25519", "x": _x_of(self._key)})

    def sign(self, signed: bytes) -> bytes:
        """Return the signature over ``signed``: 64 bytes."""
        return self._key.sign(signed)


def seal(payload: bytes, typ: str, key: SigningKey) -> bytes:
    """Return ``payload`` signed by ``key`` as a document of type ``typ``.

    Raises:
        ValueError: the envelope would be longer than ``LONGEST_BYTES``. The caller cuts its document first.
    """
    header = json.dumps({"alg": ALGORITHM, "typ": typ, "kid": key.kid}, separators=(",", ":")).encode()
    signed = _encode(header) + b"." + _encode(payload)
    sealed = signed + b"." + _encode(key.sign(signed))
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
        header = json.loads(_decode(head), object_pairs_hook=_once)
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
    signed, _, signature = raw.rpartition(b".")
    if not key.fits(_decode(signature), signed):
        raise EnvelopeError("bad_signature", "The signature does not fit the message.")
    try:
        return _decode(signed[signed.index(b".") + 1 :])
    except ValueError as error:  # signed by a key that we trust, and yet no base64url: a length that cannot be
        raise EnvelopeError("malformed", "The payload is not base64url.") from error


def _thumbprint(x: str) -> str:
    """Return the name of a key (RFC 7638, section 3; RFC 8037, appendix A.3)."""
    required = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    return _encode(hashlib.sha256(required.encode()).digest()).decode()


def _x_of(key: Ed25519PrivateKey) -> str:
    return _encode(key.public_key().public_bytes_raw()).decode()


def _encode(part: bytes) -> bytes:
    return urlsafe_b64encode(part).rstrip(b"=")


def _decode(part: bytes) -> bytes:
    """Return the bytes of a base64url part whose alphabet was checked; ``ValueError`` if its length is none."""
    return urlsafe_b64decode(part + b"=" * (-len(part) % 4))
