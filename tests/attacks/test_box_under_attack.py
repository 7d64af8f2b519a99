"""A real box against a broker in the hands of an attacker: whatever is sent, nothing sounds that was not signed.

The attacker holds the broker, every genuine message that ever passed, and keys of their own.
"""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
import soundfile

from devices import envelope, messages
from devices.agent.sound.wavefile import read_epoch
from devices.agent.timing.clock import SystemClock
from devices.agent.wire.inbox import MOST_REFUSALS
from devices.envelope import LONGEST_BYTES, SigningKey
from devices.link import Message
from devices.messages import Outcome
from tests.attacks.forging import MALLORY, sign
from tests.attacks.street import Street
from tests.devices.agent.conftest import RATE, Site, Sound, running, until

pytestmark = pytest.mark.timeout(60)


def hostile(street: Street) -> dict[str, tuple[bytes, str]]:
    """Return what the attacker sends while version 7 is held, each with the code it must be refused with."""
    genuine = street.site.seal(street.document(8))
    signed = genuine.rpartition(b".")[0]
    document = street.document(8)
    payload = document.to_bytes()
    header = {"alg": "Ed25519", "typ": messages.PLAYLIST, "kid": street.site.key.kid}
    stolen = Site(MALLORY, street.site.pinned)
    later = document.slots[0].start + timedelta(seconds=0.1)
    overlapping = (document.slots[0], document.slots[0].model_copy(update={"id": "second", "start": later}))
    return {
        "forged with another key": (stolen.seal(document), "unknown_key"),
        "forged under the server's name": (sign(header, payload, MALLORY), "bad_signature"),
        "signed with the box's own key": (sign(header, payload, street_key(street)), "bad_signature"),
        "one bit of the payload flipped": (_flip(genuine, genuine.index(b".") + 40), "bad_signature"),
        "the signature cut off": (signed + b".", "malformed"),
        "cut in the middle": (genuine[: len(genuine) // 2], "malformed"),
        "a line feed behind it": (genuine + b"\n", "malformed"),
        "no algorithm": (sign({**header, "alg": "none"}, payload, street.site.key), "bad_header"),
        "a shared secret": (sign({**header, "alg": "HS256"}, payload, street.site.key), "bad_header"),
        "b64 false": (sign({**header, "b64": False, "crit": ["b64"]}, payload, street.site.key), "bad_header"),
        "a key inside": (sign({**header, "jwk": MALLORY.public().to_jwk()}, payload, MALLORY), "bad_header"),
        "a status that the server never signed": (
            envelope.seal(payload, messages.STATUS, street.site.key),
            "wrong_type",
        ),
        "an acknowledgement of the server": (street.site.seal_acknowledgement(3), "wrong_type"),
        "a playlist of another cluster": (street.site.seal(street.document(8, cluster="ap-muoi")), "wrong_cluster"),
        "an older playlist": (street.site.seal(street.document(6)), "rolled_back"),
        "the held version with other content": (street.site.seal(street.document(7)), "version_reused"),
        "one that expired": (
            street.site.seal(street.document(8, expires=document.issued + timedelta(minutes=1))),
            "expired",
        ),
        "overlapping slots": (street.site.seal(street.document(8, slots=overlapping)), "bad_slots"),
        "a rendition that is not named": (street.site.seal(street.document(8, renditions=())), "bad_slots"),
        "a format of tomorrow": (
            sign(header, payload.replace(b'"format":1', b'"format":2'), street.site.key),
            "bad_format",
        ),
        "another host": (sign(header, payload.replace(b'"/media/', b'"//evil/'), street.site.key), "bad_format"),
        "nested a thousand deep": (sign(header, b"[" * 1000 + b"]" * 1000, street.site.key), "bad_format"),
        "longer than a message may be": (b"A" * (LONGEST_BYTES + 1), "too_long"),
        "the retained topic cleared": (b"", "malformed"),
        "noise": (bytes(range(256)) * 8, "malformed"),
    }


def street_key(street: Street) -> SigningKey:
    return SigningKey.from_pem((street.home / "key.pem").read_bytes())


def _flip(raw: bytes, place: int) -> bytes:
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


@running
async def test_nothing_that_an_attacker_sends_changes_what_is_held_or_makes_a_sound(street: Street) -> None:
    far = SystemClock().now() + timedelta(days=1)
    async with street.box():
        street.send(street.site.seal(street.document(7, far)))
        await until(lambda: Outcome.ACCEPTED in {one.outcome for one in street.receipts})
        held = street.held
        codes: list[str | None] = []
        attacks = hostile(street)
        assert len(attacks) < MOST_REFUSALS
        for name, (raw, code) in attacks.items():
            street.send(raw)
            codes.append(code)
            await until(lambda: len(street.refusals) == len(codes))
            assert street.refusals == codes, name
            assert street.held == held, name
        street.assert_silent()
        assert {one.playlist for one in street.receipts if one.outcome is Outcome.REFUSED} == {7}
        await street.assert_still_plays(8)


@running
async def test_a_box_that_holds_nothing_is_no_easier(street: Street) -> None:
    """What was retained by an attacker is the first thing that a fresh box hears."""
    attacks = hostile(street)
    for name in ("an older playlist", "the held version with other content"):
        del attacks[name]  # genuine, and all that a box without memory can know: the server sends the newest again
    for raw, code in attacks.values():
        street.send(raw)
        async with street.box():
            await until(lambda: code in street.refusals[-1:])  # noqa: B023 - called in this turn only
            assert street.held is None
        if len(street.refusals) > 5:
            break
    street.assert_silent()
    async with street.box():
        await street.assert_still_plays(8)


@running
async def test_a_genuine_playlist_sent_again_and_again_is_one_playlist(street: Street) -> None:
    async with street.box():
        raw = street.site.seal(street.document(7, SystemClock().now() + timedelta(seconds=0.7)))
        for _ in range(50):
            street.send(raw)
        await until(lambda: len(street.told(7)) == 2)
        for _ in range(50):
            street.send(raw)
        street.send(b"mark")
        await until(lambda: bool(street.refusals))
        assert [one.outcome for one in street.receipts].count(Outcome.ACCEPTED) == 1
        assert street.told(7) == [Outcome.STARTED, Outcome.FINISHED]


@running
async def test_a_flood_of_forgeries_hides_neither_playlists_nor_receipts(street: Street) -> None:
    async with street.box():
        for number in range(2000):
            street.send(b"forged %d" % number)
        await street.assert_still_plays(7)
        assert len(street.refusals) == MOST_REFUSALS


@running
async def test_a_forged_acknowledgement_makes_the_box_forget_nothing(street: Street) -> None:
    document = messages.Acknowledgement(box="box-1", through=1000, at=SystemClock().now())
    other = document.model_copy(update={"box": "box-2"})
    forged = {
        "unknown_key": envelope.seal(document.to_bytes(), messages.ACKNOWLEDGEMENT, MALLORY),
        "wrong_box": envelope.seal(other.to_bytes(), messages.ACKNOWLEDGEMENT, street.site.key),
        "wrong_type": envelope.seal(document.to_bytes(), messages.STATUS, street.site.key),
        "malformed": b"",
    }
    async with street.box():
        for raw in forged.values():
            street.acknowledge(raw)
        await until(lambda: len(street.refusals) == len(forged))
        assert street.refusals == list(forged)
    before = {one.id for one in street.receipts}
    street.broker.published.clear()
    async with street.box():
        await until(lambda: {one.id for one in street.receipts} >= before)
        last = max(one.sequence for one in street.receipts)
        street.acknowledge(street.site.seal_acknowledgement(last))
        await street.assert_still_plays(7)


@running
async def test_an_acknowledgement_of_what_was_never_sent_loses_no_later_receipt(street: Street) -> None:
    async with street.box():
        street.acknowledge(street.site.seal_acknowledgement(1_000_000))
        await street.assert_still_plays(7)


@running
async def test_messages_on_topics_nobody_asked_for_are_nothing(street: Street) -> None:
    async with street.box():
        raw = street.site.seal(street.document(9))
        for topic in ("loa/1/clusters/ap-muoi/playlist", "loa/1/boxes/box-1/orders", "", "#", "$SYS/x"):
            street.broker.sessions[0].inbox.put_nowait(Message(topic=topic, payload=raw, retained=False))
        await street.assert_still_plays(7)
        assert street.refusals == []


@running
async def test_other_bytes_under_the_name_of_a_sound_never_sound(
    street: Street, make_sound: Callable[[float, int], Sound]
) -> None:
    evil = make_sound(0.8, 10).content
    url = street.sound.reference.url
    street.media.content[url] = (evil * 2)[: len(street.sound.content)]
    async with street.box():
        street.send(street.site.seal(street.document(7)))
        await until(lambda: "bad_rendition" in street.refusals)
        await until(lambda: Outcome.MISSED in street.told(7))
        street.assert_silent()
        street.media.content[url] = street.sound.content
        later = SystemClock().now() + timedelta(seconds=1)
        street.send(street.site.seal(street.document(8, later + timedelta(seconds=1))))
        await until(lambda: street.told(8) == [Outcome.STARTED, Outcome.FINISHED], 10)


@running
async def test_a_playlist_that_expires_while_it_sounds_falls_silent(street: Street) -> None:
    start = SystemClock().now() + timedelta(seconds=0.6)
    expires = start + timedelta(seconds=0.4)
    async with street.box():
        street.send(street.site.seal(street.document(7, start, expires=expires)))
        await until(lambda: len(street.told(7)) == 2)
    assert [(one.outcome, one.code) for one in street.receipts if one.slot][-1] == (Outcome.INTERRUPTED, "expired")
    heard, epoch = soundfile.read(street.wav)[0], read_epoch(street.wav)
    assert epoch is not None
    last = epoch + timedelta(seconds=int(np.flatnonzero(heard)[-1]) / RATE)
    assert start < last <= expires
