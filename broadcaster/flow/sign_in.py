"""Who speaks: officials, their passwords (Argon2id) and their sessions."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from broadcaster.errors import Refusal
from broadcaster.store.port import Definitions
from broadcaster.store.records import Official, Role, Session
from broadcaster.store.store import Store

SHORTEST_PASSWORD: Final = 10
"""Characters. NIST SP 800-63B asks for at least 8 and for no rules of composition."""
_MOST_OFFICIALS: Final = 100_000
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_HASHES: Final = PasswordHash((Argon2Hasher(time_cost=3, memory_cost=19 * 1024, parallelism=1),))
"""Argon2id at the memory that OWASP gives for small servers: 19 MiB for each sign-in in progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A new session with its bearer token, which exists only here and with whoever signed in."""

    token: str
    official: Official
    expires_at: datetime


def add_official(name: str, *, role: Role, password: str, definitions: Definitions, now: datetime) -> Official:
    """Add an official, from any process; a server that runs writes it into the audit trail (``audit_officials``).

    Raises:
        Refusal: ``bad_name`` or ``weak_password``.
        AlreadyExists: somebody has this name.
    """
    if not _NAME.fullmatch(name):
        raise Refusal(
            "bad_name",
            f"{name!r} cannot be a name to sign in with; take 1 to 32 of a-z, 0-9, dot, dash and underscore.",
            name=name,
        )
    if len(password) < SHORTEST_PASSWORD:
        raise Refusal(
            "weak_password",
            f"The password has {len(password)} characters; take at least {SHORTEST_PASSWORD}.",
            least=SHORTEST_PASSWORD,
        )
    official = Official(id=name, role=role, password_hash=_HASHES.hash(password), created_at=now)
    return definitions.officials.add(official)


def audit_officials(*, store: Store, now: datetime) -> None:
    """Append a fact for each official that has none: the command line adds officials, one process writes facts."""
    known = {fact.subject for fact in store.journal.facts(kind="official.added", limit=_MOST_OFFICIALS)}
    for official in store.definitions.officials.all():
        if official.id not in known:
            created = official.created_at.isoformat()
            store.record("official.added", official.id, by=None, at=now, role=official.role.value, created_at=created)


def sign_in(name: str, password: str, *, lasting: timedelta, store: Store, now: datetime) -> Ticket:
    """Open a session.

    Raises:
        Refusal: ``wrong_credentials``; the same, after the same work, for an unknown name.
    """
    official = store.definitions.officials.find(name)
    known = official.password_hash if official else _nobodys_hash()
    if not _HASHES.verify(password, known) or official is None:
        raise Refusal("wrong_credentials", "Name or password is wrong; check both and sign in again.")
    token = secrets.token_urlsafe(32)
    session = Session(id=_digest(token), official=official.id, expires_at=now + lasting)
    with store.transaction():
        for old in store.definitions.sessions.all():
            if old.expires_at <= now:
                store.definitions.sessions.remove(old.id)
        store.definitions.sessions.add(session)
        store.record("session.opened", official.id, by=official.id, at=now)
    return Ticket(token=token, official=official, expires_at=session.expires_at)


def official_of(token: str, *, store: Store, now: datetime) -> Official:
    """Return the official whose session ``token`` opens.

    Raises:
        Refusal: ``not_signed_in``: unknown or expired.
    """
    session = store.definitions.sessions.find(_digest(token))
    official = store.definitions.officials.find(session.official) if session and session.expires_at > now else None
    if official is None:
        raise Refusal("not_signed_in", "You are not signed in, or the session has expired; sign in again.")
    return official


def require(official: Official, role: Role) -> None:
    """Do nothing if ``official`` may act as ``role``.

    Raises:
        Refusal: ``not_allowed``.
    """
    if role is Role.ADMIN and official.role is not Role.ADMIN:
        raise Refusal("not_allowed", "Only an admin may do this; ask one.", role=role.value)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@cache
def _nobodys_hash() -> str:
    return _HASHES.hash(secrets.token_urlsafe(16))
