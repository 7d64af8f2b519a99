"""The whole box: from a signed playlist on the broker to sound, with everything around it failing."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import soundfile

from devices import messages, topics
from devices.agent.config import BoxError
from devices.agent.enrolment import enrol
from devices.agent.run import Surroundings, run
from devices.agent.sound.output import OutputError
from devices.agent.sound.wavefile import read_epoch
from devices.agent.timing.clock import Machine
from devices.messages import Outcome, Receipt
from tests.devices.agent.conftest import RATE, MediaServer, Site, Sound, playlist, rules, running, slot, until
from tests.fakes.clock import START, HandClock, TrueClock
from tests.fakes.link import FakeBroker


class Street:
    """A site with one box: its server's key and media, its broker, and what the box reports."""

    def __init__(self, site: Site, media: MediaServer, directory: Path) -> None:
        self.site = site
        self.media = media
        self.directory = directory
        self.broker = FakeBroker()
        settings = {
            "box": "box-1",
            "cluster": "ap-chau",
            "broker": {"port": 1883},
            "playlist_keys": [site.key.public().to_jwk()],
        }
        media.answer = json.dumps(settings).encode()
        enrol(media.url, "CODE", directory)

    def publish(
        self,
        *slots: messages.Slot,
        sound: Sound,
        version: int = 1,
        now: datetime = START,
        rules: messages.Rules | None = None,
    ) -> None:
        self.media.content[sound.reference.url] = sound.content
        document = playlist(
            *slots,
            renditions=(sound.reference,),
            version=version,
            issued=now - timedelta(hours=1),
            expires=now + timedelta(days=7),
            rules=rules,
        )
        self.broker.publish(topics.playlist("ap-chau"), self.site.seal(document), retain=True)

    @asynccontextmanager
    async def box(self, output: str, clock: Machine) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(
            run(
                self.directory, output, surroundings=Surroundings(connect=self.broker.connect, machine=clock), stop=stop
            )
        )
        try:
            yield
        finally:
            stop.set()
            await task

    @property
    def status(self) -> dict[str, object]:
        raw = self.broker.retained.get(topics.status("box-1"), b".e30.")
        return dict(json.loads(_payload(raw)))

    @property
    def receipts(self) -> list[Receipt]:
        batches = [
            messages.Receipts.model_validate_json(_payload(raw)) for raw in self.broker.on(topics.receipts("box-1"))
        ]
        return list({one.id: one for batch in batches for one in batch.receipts}.values())

    def told(self, id_: str) -> list[tuple[Outcome, str | None]]:
        return [(one.outcome, one.code) for one in self.receipts if one.slot == id_]


def _payload(raw: bytes) -> bytes:
    from base64 import urlsafe_b64decode

    middle = raw.split(b".")[1]
    return urlsafe_b64decode(middle + b"=" * (-len(middle) % 4))


@pytest.fixture
def street(site: Site, media: MediaServer, tmp_path: Path) -> Street:
    return Street(site, media, tmp_path / "box")


@pytest.fixture(scope="module")
def sound(make_sound: Callable[[float, int], Sound]) -> Sound:
    return make_sound(1.5, 5)


async def pass_time(clock: HandClock, condition: Callable[[], bool], step: float = 0.25) -> None:
    await until(lambda: condition() or bool(clock.turn(step)))


@running
async def test_from_the_broker_to_the_street_and_back(street: Street, sound: Sound, clock: HandClock) -> None:
    street.publish(slot("one", START + timedelta(seconds=30), (sound.digest, 1.5)), sound=sound)
    async with street.box("null", clock):
        await pass_time(clock, lambda: street.status.get("renditions_missing") == 0, step=0.05)
        await pass_time(clock, lambda: street.status.get("playing") == "one")
        await pass_time(clock, lambda: len(street.told("one")) == 2)
        assert street.told("one") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]
        assert street.status["playlist"] == 1
        assert street.status["output"] == "null"
    assert street.status["online"] is False


@running
async def test_server_and_broker_are_gone_and_it_plays_on_time(street: Street, sound: Sound, clock: HandClock) -> None:
    street.publish(slot("one", START + timedelta(seconds=600), (sound.digest, 1.5)), sound=sound)
    async with street.box("null", clock):
        await pass_time(clock, lambda: street.status.get("renditions_missing") == 0, step=0.05)
        street.media.status = 503
        street.broker.fall()
        await pass_time(clock, lambda: clock.now() > START + timedelta(seconds=610), step=0.5)
        street.broker.up = True
        await pass_time(clock, lambda: len(street.told("one")) == 2)
        (started, _) = [one for one in street.receipts if one.slot == "one"]
        assert (started.at, started.offset) == (START + timedelta(seconds=600), 0)


@running
async def test_a_box_restarted_without_any_line_plays_what_it_holds(
    street: Street, sound: Sound, clock: HandClock
) -> None:
    street.publish(slot("one", START + timedelta(seconds=60), (sound.digest, 1.5)), sound=sound)
    async with street.box("null", clock):
        await pass_time(clock, lambda: street.status.get("renditions_missing") == 0, step=0.05)
    street.media.status = 503
    street.broker.fall()
    async with street.box("null", clock):
        await pass_time(clock, lambda: clock.now() > START + timedelta(seconds=65))
        street.broker.up = True
        await pass_time(clock, lambda: len(street.told("one")) == 2)
    assert street.told("one") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]


@running
async def test_a_forged_playlist_makes_no_sound(street: Street, sound: Sound, clock: HandClock, site: Site) -> None:
    from devices.envelope import SigningKey

    stolen = Site(SigningKey.generate(), site.pinned)
    document = playlist(slot("evil", START + timedelta(seconds=5), (sound.digest, 1.5)), renditions=(sound.reference,))
    street.broker.publish(topics.playlist("ap-chau"), stolen.seal(document), retain=True)
    async with street.box("null", clock):
        await pass_time(clock, lambda: bool(street.receipts) and clock.now() > START + timedelta(seconds=20))
        assert [(one.outcome, one.code) for one in street.receipts] == [(Outcome.REFUSED, "unknown_key")]
        assert "playing" not in street.status
        assert street.media.requests == [("/api/v1/boxes", street.media.requests[0][1])]


@running
async def test_at_a_quarter_past_three_only_an_emergency_is_heard(street: Street, sound: Sound) -> None:
    """5 December 2025, Trung Lộc: a wrong relay hour woke everyone at 03:15. Here the box itself refuses."""
    quarter_past_three = datetime(2026, 3, 3, 3, 15, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh")).astimezone(UTC)
    clock = HandClock(quarter_past_three - timedelta(minutes=1))
    relay = slot("relay", quarter_past_three, (sound.digest, 1.5))
    flood = slot("flood", quarter_past_three + timedelta(minutes=1), (sound.digest, 1.5), level=1)
    night = rules("21:00:00-05:00:00")
    street.publish(relay, flood, sound=sound, now=clock.now(), rules=night)
    sounded = set()
    async with street.box("null", clock):
        await pass_time(clock, lambda: street.status.get("renditions_missing") == 0, step=0.05)
        assert street.status["slots_refused"] == 1

        def flood_is_over() -> bool:
            sounded.add(street.status.get("playing"))
            return len(street.told("flood")) == 2

        await pass_time(clock, flood_is_over)
    assert sounded == {None, "flood"}
    assert street.told("relay") == [(Outcome.REFUSED, "quiet_hours")]
    assert street.told("flood") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]


@running
async def test_joined_late_the_wav_holds_the_rest_of_the_sound_in_its_place(
    street: Street, make_sound: Callable[[float, int], Sound], tmp_path: Path
) -> None:
    clock, path, long = TrueClock(), tmp_path / "out.wav", make_sound(3.0, 6)
    start = clock.now() - timedelta(seconds=0.4)
    street.publish(slot("one", start, (long.digest, 3.0)), sound=long, now=start)
    async with street.box(f"wav:{path}", clock):
        await until(lambda: len(street.told("one")) == 2)
    heard, _ = soundfile.read(path, dtype="float32")
    epoch = read_epoch(path)
    assert epoch is not None
    started = next(one for one in street.receipts if one.outcome is Outcome.STARTED)
    assert started.offset is not None
    assert started.offset >= 0.4
    shift = round((start - epoch).total_seconds() * RATE)
    joined = shift + round(started.offset * RATE)
    assert not heard[: joined - 1].any()
    risen = round(started.offset * RATE) + RATE // 100
    np.testing.assert_allclose(heard[shift + risen : shift + len(long.samples)], long.samples[risen:], atol=2 / 32767)


@running
async def test_one_directory_is_one_box(street: Street, clock: HandClock) -> None:
    async with street.box("null", clock):
        await until(lambda: bool(street.status))
        with pytest.raises(BoxError) as caught:
            await run(
                street.directory,
                "null",
                surroundings=Surroundings(connect=street.broker.connect, machine=clock),
                stop=asyncio.Event(),
            )
        assert caught.value.code == "already_running"


@running
async def test_an_unknown_output_is_said_at_once(street: Street, clock: HandClock) -> None:
    with pytest.raises(OutputError):
        await run(
            street.directory,
            "horn",
            surroundings=Surroundings(connect=street.broker.connect, machine=clock),
            stop=asyncio.Event(),
        )


@running
async def test_a_rendition_that_cannot_be_decoded_is_reported(street: Street, tmp_path: Path, sound: Sound) -> None:
    clock = TrueClock()
    broken = Sound(b"OggS, and then nothing of it", sound.samples)
    street.publish(
        slot("one", clock.now() + timedelta(seconds=0.3), (broken.digest, 0.5)), sound=broken, now=clock.now()
    )
    async with street.box(f"wav:{tmp_path / 'out.wav'}", clock):
        await until(lambda: len(street.told("one")) == 1)
    refused = [one for one in street.receipts if one.outcome is Outcome.REFUSED]
    assert [(one.code, one.rendition) for one in refused] == [("bad_rendition", broken.digest)]
    assert street.told("one")[0][0] is Outcome.MISSED
