"""How a box takes its place: an admin issues a one-time code, the box brings it with its public key."""

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broadcaster.errors import Refusal
from broadcaster.store.records import Box, Enrolment, Official
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup
from devices.enrolment import EnrolmentRequest
from devices.envelope import EnvelopeError, PublicKey

_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""32 characters that cannot be mistaken for one another when read from a screen to a pole."""
_CODE_LENGTH: Final = 12
"""60 bits: not to be guessed within the half hour that a code lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A one-time code. It exists in clear only here and with the admin."""

    text: str
    cluster: str
    expires_at: datetime


def issue_code(cluster: str, *, lasting: timedelta, by: Official, store: Store, now: datetime) -> Code:
    """Return a new code for ``cluster``; codes issued for it before lose their worth.

    Raises:
        NotFound: no such cluster.
    """
    characters = [secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH)]
    code = Code(
        text="-".join("".join(characters[i : i + 4]) for i in (0, 4, 8)),
        cluster=cluster,
        expires_at=now + lasting,
    )
    enrolments = store.definitions.enrolments
    with store.transaction():
        store.definitions.clusters.get(cluster)
        for old in enrolments.all():
            if old.cluster == cluster or old.expires_at <= now:
                enrolments.remove(old.id)
        enrolments.add(Enrolment(id=_digest(code.text), cluster=cluster, expires_at=code.expires_at))
        store.record("enrolment.issued", cluster, by=by.id, at=now, expires_at=code.expires_at.isoformat())
    return code


def take_place(request: EnrolmentRequest, *, store: Store, now: datetime) -> Box:
    """Enrol a box; the one that served the cluster until now is retired.

    Raises:
        Refusal: ``wrong_code`` (unknown, used or expired), ``bad_key``.
    """
    try:
        key = PublicKey.from_jwk(dict(request.public_key))
    except EnvelopeError as error:
        raise Refusal("bad_key", str(error)) from error
    definitions = store.definitions
    with store.transaction():
        enrolment = definitions.enrolments.find(_digest(request.code))
        if enrolment is None or enrolment.expires_at <= now:
            raise Refusal("wrong_code", "This code is unknown, used or expired; ask an admin for a new one.")
        definitions.enrolments.remove(enrolment.id)
        for old in definitions.boxes.all():
            if old.cluster == enrolment.cluster and old.retired_at is None:
                definitions.boxes.change(old.id, lambda box: replace(box, retired_at=now))
        box = definitions.boxes.add(
            Box(
                id=f"box-{secrets.token_hex(5)}",
                cluster=enrolment.cluster,
                public_key=key.to_jwk(),
                software=request.software,
                enrolled_at=now,
            )
        )
        store.record("box.enrolled", box.id, by=None, at=now, cluster=box.cluster, wake=(Wakeup.BOXES, Wakeup.PUBLISH))
    return box


def _digest(code: str) -> str:
    plain = "".join(character for character in code.upper() if character in _ALPHABET)
    return hashlib.sha256(plain.encode()).hexdigest()
