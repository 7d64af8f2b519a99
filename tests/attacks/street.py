"""A real box that sounds into a file, its genuine server, and a broker that anyone may hold."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from devices import messages, topics
from devices.agent.enrolment import enrol
from devices.agent.run import Surroundings, run
from devices.agent.sound.wavefile import read_epoch
from devices.agent.timing.clock import SystemClock
from devices.messages import Outcome, Playlist, Receipt
from tests.attacks.forging import payload_of
from tests.devices.agent.conftest import RATE, MediaServer, Site, Sound, playlist, slot, until
from tests.fakes.clock import TrueClock
from tests.fakes.link import FakeBroker


class Street:
    """One box, its genuine server, and the attacker's broker between them."""

    def __init__(self, site: Site, media: MediaServer, sound: Sound, directory: Path) -> None:
        self.site = site
        self.media = media
        self.sound = sound
        self.home = directory / "box"
        self.wav = directory / "street.wav"
        self.broker = FakeBroker()
        self.surroundings = Surroundings(connect=self.broker.connect, machine=TrueClock())
        settings = {
            "box": "box-1",
            "cluster": "ap-chau",
            "broker": {"port": 1883},
            "playlist_keys": [site.key.public().to_jwk()],
        }
        media.answer = json.dumps(settings).encode()
        enrol(media.url, "CODE", self.home)
        media.content[sound.reference.url] = sound.content

    @asynccontextmanager
    async def box(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(run(self.home, f"wav:{self.wav}", surroundings=self.surroundings, stop=stop))
        try:
            await until(lambda: any(session.topics for session in self.broker.sessions))
            yield
        finally:
            stop.set()
            await task

    def document(self, version: int, start: datetime | None = None, **changes: object) -> Playlist:
        """Return a playlist with the sound at ``start``; one for an attacker sounds at once."""
        now = SystemClock().now()
        at = now - timedelta(seconds=0.2) if start is None else start
        said = playlist(
            slot(f"sound@{version}", at, (self.sound.digest, self.sound.seconds)),
            renditions=(self.sound.reference,),
            version=version,
            issued=now - timedelta(hours=1),
            expires=now + timedelta(days=7),
        )
        return said.model_copy(update=changes)

    def send(self, raw: bytes, *, retain: bool = True) -> None:
        self.broker.publish(topics.playlist("ap-chau"), raw, retain=retain)

    def acknowledge(self, raw: bytes) -> None:
        self.broker.publish(topics.acknowledgement("box-1"), raw, retain=True)

    @property
    def held(self) -> bytes | None:
        path = self.home / "playlist.jws"
        return path.read_bytes() if path.exists() else None

    @property
    def receipts(self) -> list[Receipt]:
        batches = [
            messages.Receipts.model_validate(payload_of(raw)) for raw in self.broker.on(topics.receipts("box-1"))
        ]
        return list({one.id: one for batch in batches for one in batch.receipts}.values())

    @property
    def refusals(self) -> list[str | None]:
        return [one.code for one in self.receipts if one.outcome is Outcome.REFUSED]

    def told(self, version: int) -> list[Outcome]:
        return [one.outcome for one in self.receipts if one.slot == f"sound@{version}"]

    def assert_silent(self) -> None:
        assert not soundfile.read(self.wav)[0].any()
        assert not [one for one in self.receipts if one.outcome is Outcome.STARTED]

    async def assert_still_plays(self, version: int) -> None:
        """The genuine server is heard, whatever went before."""
        start = SystemClock().now() + timedelta(seconds=0.7)
        self.send(self.site.seal(self.document(version, start)))
        await until(lambda: len(self.told(version)) == 2)
        assert self.told(version) == [Outcome.STARTED, Outcome.FINISHED]
        heard, epoch = soundfile.read(self.wav, dtype="float32")[0], read_epoch(self.wav)
        assert epoch is not None
        first = round((start - epoch) / timedelta(seconds=1) * RATE)
        assert not heard[:first].any()
        np.testing.assert_allclose(heard[first : first + len(self.sound.samples)], self.sound.samples, atol=2 / 32767)


@pytest.fixture(scope="module")
def sound(make_sound: Callable[[float, int], Sound]) -> Sound:
    return make_sound(0.8, 9)


@pytest.fixture
def street(site: Site, media: MediaServer, sound: Sound, tmp_path: Path) -> Street:
    return Street(site, media, sound, tmp_path)
