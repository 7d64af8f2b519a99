"""Who can turn a box's clock can make it play what has passed, or nothing at all. The attacker holds the broker.

The box has no time daemon and no battery: what it knows of the time it knows from its genuine server alone.
"""

import secrets
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import envelope, times, topics
from devices.agent.run import Surroundings
from devices.agent.timing.clock import SystemClock
from devices.envelope import SigningKey
from devices.messages import Outcome
from devices.trust import Refused, accept_beacon
from tests.attacks.forging import DOORS, MALLORY, NOW, PINNED, payload_of
from tests.attacks.street import Street
from tests.devices.agent.conftest import running, until

pytestmark = pytest.mark.timeout(60)

BEACON = DOORS[-1]
S = timedelta(seconds=1)


class Blind(SystemClock):
    """A machine whose clock began in 1970 when it was switched on."""

    def __init__(self) -> None:
        self._wrong = datetime.fromtimestamp(0, tz=super().now().tzinfo) - super().now()

    def now(self) -> datetime:
        return super().now() + self._wrong

    def synchronised(self) -> float | None:
        return None


@pytest.fixture
def blind(street: Street) -> Street:
    street.surroundings = Surroundings(connect=street.broker.connect, machine=Blind())
    return street


def asked(street: Street) -> list[times.TimeRequest]:
    raw = street.broker.on(topics.time_request("box-1"))
    return [times.TimeRequest.model_validate(payload_of(each)) for each in raw]


def told(nonce: str, *, key: SigningKey, off: timedelta = timedelta(), box: str = "box-1") -> bytes:
    at = SystemClock().now() + off
    document = times.Time(box=box, nonce=nonce, received=at, sent=at)
    return envelope.seal(document.to_bytes(), times.TIME, key)


def source(street: Street) -> str:
    return str(payload_of(street.broker.retained[topics.status("box-1")])["clock_source"])


def tell(street: Street, raw: bytes) -> None:
    street.broker.publish(topics.time("box-1"), raw)


@running
async def test_no_answer_but_the_servers_to_the_question_that_waits_turns_the_clock(blind: Street) -> None:
    street, year = blind, timedelta(days=365)
    async with street.box():
        await until(lambda: bool(asked(street)))
        first = asked(street)[0].nonce
        for lie in (
            told(first, key=MALLORY, off=-year),
            told(first, key=SigningKey.from_pem((street.home / "key.pem").read_bytes()), off=year),
            told(first, key=street.site.key, off=year, box="box-2"),
            told(secrets.token_hex(16), key=street.site.key, off=-year),
            street.site.seal_acknowledgement(0),
            b"noise",
        ):
            tell(street, lie)
        await until(lambda: len(street.refusals) == 5)
        assert street.refusals == ["unknown_key", "unknown_key", "wrong_box", "wrong_type", "malformed"]
        assert source(street) == "none"
        tell(street, told(asked(street)[-1].nonce, key=street.site.key))
        await until(lambda: source(street) == "server")
        await street.assert_still_plays(7)


@running
async def test_an_answer_that_was_held_back_or_comes_again_is_nothing(blind: Street) -> None:
    street = blind
    async with street.box():
        await until(lambda: bool(asked(street)))
        genuine = told(asked(street)[0].nonce, key=street.site.key)
        tell(street, genuine)
        await until(lambda: source(street) == "server")
        for _ in range(20):
            tell(street, genuine)  # each would say that it is earlier than it is
        await street.assert_still_plays(7)
        assert street.refusals == []
        assert source(street) == "server"


@running
async def test_a_box_that_knows_no_time_plays_nothing_that_may_have_passed(blind: Street) -> None:
    """The attacker keeps the time from it, and gives it a genuine playlist of another day."""
    street = blind
    async with street.box():
        start = SystemClock().now() + 0.5 * S  # by the box's best guess, which is the instant of issue, it comes
        street.send(street.site.seal(street.document(7, start, issued=start - 0.5 * S)))
        await until(lambda: Outcome.ACCEPTED in {one.outcome for one in street.receipts})
        await until(lambda: any(street.home.glob(f"renditions/{street.sound.digest}.opus")))
        await until(lambda: SystemClock().now() > start + street.sound.seconds * S)
        assert source(street) == "none"
        assert street.told(7) == []
        street.assert_silent()


@running
async def test_an_old_beacon_changes_nothing_and_makes_no_box_speak(street: Street) -> None:
    def beacon(ago_s: float, session: str) -> bytes:
        document = times.Beacon(at=SystemClock().now() - ago_s * S, session=session * 16)
        return envelope.seal(document.to_bytes(), times.BEACON, street.site.key)

    old, new = beacon(3600, "a"), beacon(0, "b")
    async with street.box():
        for raw in (new, old, old, beacon(1800, "c")):
            street.broker.publish(topics.beacon(), raw, retain=True)
        await until(lambda: len(street.refusals) == 2)
        assert street.refusals == ["rolled_back", "rolled_back"]
        await street.assert_still_plays(7)


@given(st.lists(st.integers(-5000, 5000), min_size=1, max_size=20))
def test_the_newest_beacon_never_falls_by_more_than_right_clocks_differ(offsets: list[int]) -> None:
    newest: datetime | None = None
    best: datetime | None = None
    for at in offsets:
        raw = BEACON.seal(BEACON.document(at=(NOW + at * S).isoformat()))
        try:
            newest = accept_beacon(raw, PINNED, newest=best).at
        except Refused as refused:
            assert refused.code == "rolled_back"
            assert best is not None
            assert NOW + at * S < best - 2 * S
        else:
            best = max(newest, best) if best else newest
