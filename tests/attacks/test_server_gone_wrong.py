"""The server is wrong, or its key in other hands: what is signed is believed, and still the local rules hold."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from devices import messages
from devices.agent.sound.wavefile import read_epoch
from devices.agent.timing.clock import SystemClock
from devices.messages import Outcome
from tests.attacks.street import Street
from tests.devices.agent.conftest import RATE, rules, running, slot, until

pytestmark = pytest.mark.timeout(60)
ALL_DAY = rules("00:00:00-00:00:00")


def soon() -> datetime:
    return SystemClock().now() + timedelta(seconds=0.7)


def told(street: Street, version: int) -> list[tuple[Outcome, str | None]]:
    return [(one.outcome, one.code) for one in street.receipts if one.slot == f"sound@{version}"]


def since(street: Street, start: datetime) -> npt.NDArray[np.float32]:
    """Return what the street hears from ``start`` on."""
    heard, epoch = soundfile.read(street.wav, dtype="float32")[0], read_epoch(street.wav)
    assert epoch is not None
    return np.asarray(heard[max(round((start - epoch) / timedelta(seconds=1) * RATE), 0) :])


@running
async def test_a_slot_at_night_signed_with_the_true_key_makes_no_sound(street: Street) -> None:
    async with street.box():
        street.send(street.site.seal(street.document(7, soon(), rules=ALL_DAY)))
        await until(lambda: bool(told(street, 7)))
        assert told(street, 7) == [(Outcome.REFUSED, "quiet_hours")]
        street.assert_silent()
        await street.assert_still_plays(8)


@running
async def test_hours_are_those_of_the_place_that_the_playlist_names(street: Street) -> None:
    """The hour that is quiet in Vietnam is another one on the box, whose own zone does not matter."""
    place = ZoneInfo("Asia/Ho_Chi_Minh")
    now = soon().astimezone(place).replace(microsecond=0)
    around = f"{time.isoformat((now - timedelta(hours=1)).time())}-{time.isoformat((now + timedelta(hours=1)).time())}"
    async with street.box():
        street.send(street.site.seal(street.document(7, soon(), rules=rules(around))))
        await until(lambda: bool(told(street, 7)))
        assert told(street, 7) == [(Outcome.REFUSED, "quiet_hours")]
        elsewhere = rules(around, time_zone="Atlantic/Azores")
        street.send(street.site.seal(street.document(8, soon(), rules=elsewhere)))
        await until(lambda: len(told(street, 8)) == 2)
        assert told(street, 8) == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]


@running
async def test_an_emergency_sounds_at_night_and_as_loud_as_the_cluster_is(street: Street) -> None:
    start = soon()
    keep = rules("00:00:00-00:00:00", loudest=[{"start": "00:00:00", "end": "00:00:00", "volume": 10}])
    fire = slot("sound@7", start, (street.sound.digest, street.sound.seconds), level=1)
    async with street.box():
        street.send(street.site.seal(street.document(7, start, slots=(fire,), rules=keep)))
        await until(lambda: len(told(street, 7)) == 2)
    assert told(street, 7) == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]
    length = len(street.sound.samples)
    np.testing.assert_allclose(since(street, start)[:length], street.sound.samples, atol=2 / 32767)


@running
async def test_a_slot_is_no_louder_than_the_hour_allows(street: Street) -> None:
    start = soon()
    keep = rules(loudest=[{"start": "00:00:00", "end": "00:00:00", "volume": 40}])
    async with street.box():
        street.send(street.site.seal(street.document(7, start, rules=keep)))
        await until(lambda: len(told(street, 7)) == 2)
    length = len(street.sound.samples)
    np.testing.assert_allclose(since(street, start)[:length], street.sound.samples * 0.4, atol=2 / 32767)


@running
async def test_a_hold_that_arrives_while_it_sounds_silences_it(street: Street) -> None:
    start = soon()
    hold = messages.Hold(kind="funeral", start=start, end=start + timedelta(hours=1))
    document = street.document(7, start)
    async with street.box():
        street.send(street.site.seal(document))
        await until(lambda: bool(told(street, 7)))
        held = document.model_copy(update={"version": 8, "rules": rules(holds=[hold.model_dump()])})
        street.send(street.site.seal(held))
        await until(lambda: len(told(street, 7)) == 2)
        assert told(street, 7) == [(Outcome.STARTED, None), (Outcome.INTERRUPTED, "hold")]
        (cut,) = [one for one in street.receipts if one.outcome is Outcome.INTERRUPTED]
        assert cut.heard is not None
        assert cut.heard < street.sound.seconds
        faded = start + timedelta(seconds=cut.heard + 0.3)
        await until(lambda: SystemClock().now() > start + timedelta(seconds=street.sound.seconds + 0.5))
    assert since(street, start).any()
    assert not since(street, faded).any()
