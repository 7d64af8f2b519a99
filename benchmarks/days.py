"""A box's days in seconds, under a virtual clock with the real code at both ends: bytes of its line, and its memory."""

import asyncio
import gc
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import soundfile

from benchmarks.figures import Figure
from benchmarks.meter import Meter, metered, metered_fetch
from benchmarks.town import resident_mb
from broadcaster.store.records import Rendition, Sound, SoundState
from devices.agent.run import Surroundings, run
from devices.agent.sound.decoding import RATE, Decoder, Track
from devices.agent.sound.mixer import Mixer
from devices.agent.sound.output import Cue, Heard, Output
from devices.agent.timing.clock import Clock, sleep, to_ns
from devices.simulation.clocks import WeatheredMachine
from schedules.levels import Level
from schedules.programmes import Item, Programme
from schedules.recurrence import Recurrence
from schedules.zones import Cluster, Targets, Zone
from tests.simulation.commune import HERE, START
from tests.simulation.disk import Disks
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Broker, Files
from tests.simulation.station import ADDRESS, Station
from tests.simulation.world import Truth

DAY: Final = timedelta(days=1)
BULLETIN: Final = timedelta(minutes=30)
BYTES_A_SECOND: Final = 3000
"""Opus at 24 kbit/s."""
SPARE_BYTES: Final = 100_000
"""What a day may cost beside a tenth more than its renditions."""
SETTLED: Final = timedelta(hours=8)
"""By then a process has all that it will keep: code, caches, the allocator's reserves."""


class Commune:
    """A station with one cluster and its box, with nothing wrong anywhere."""

    def __init__(self, directory: Path, loop: VirtualLoop) -> None:
        self.truth = Truth(loop)
        self.station = Station(1, self.truth, lambda publication: None)
        self.broker = Broker()
        self.files = Files(self.station.content)
        self.home = directory / "box"
        self.home.mkdir()
        self.machine = WeatheredMachine(self.truth, boot="one")
        self.machine.discipline(0.02)
        self._count = 0
        place = Cluster(id="pole-1", name="pole-1", zone="xa", volume=80)
        self.station.settle([Zone(id="xa", name="Xã", kind="xã")], [place])
        key = self.station.enrol("box-1", "pole-1", START)
        settings = {
            "box": "box-1",
            "cluster": "pole-1",
            "broker": {"host": ADDRESS.host, "port": ADDRESS.port},
            "playlist_keys": [self.station.key.public().to_jwk()],
        }
        (self.home / "box.json").write_text(json.dumps({"server": "http://loa.test", "settings": settings}))
        (self.home / "key.pem").write_bytes(key.to_pem())
        (self.home / "key.pem").chmod(0o600)

    def record(self, content: bytes, duration: timedelta) -> Item:
        """Have a sound that is ready."""
        digest = hashlib.sha256(content).hexdigest()
        rendition = Rendition(
            digest=digest,
            size_bytes=len(content),
            duration=duration,
            media_type="audio/ogg",
            loudness_lufs=-16.0,
            peak_dbtp=-1.0,
        )
        self.station.content[f"/api/v1/media/{digest}"] = content
        sound = Sound(
            id=f"sound-{digest[:8]}",
            title="Bản tin",
            state=SoundState.READY,
            created_at=START,
            author="can-bo",
            rendition=rendition,
        )
        self.station.definitions.sounds.add(sound)
        return Item(sound=sound.id, rendition=digest, duration=duration)

    def air(self, item: Item, recurrence: Recurrence) -> None:
        """Put a sound on the air."""
        self._count += 1
        now = self.truth.now()
        programme = Programme(
            id=f"p{self._count}",
            title="Bản tin của xã",
            level=Level.ROUTINE,
            items=(item,),
            targets=Targets(zones=("xa",)),
            recurrence=recurrence,
            author="can-bo",
            created_at=now,
        )
        self.station.air(programme, now)


def figures() -> Iterator[Figure]:
    """Return the bytes of a box's day, and how its memory grows over 24 hours."""
    meter = _in_a_world(_a_day)
    rest = meter.mqtt + meter.http - SPARE_BYTES
    yield Figure(
        figure="a box's day, 3 × 30 min, one new: (bytes − 100 KB) : renditions",
        value=rest / meter.renditions,
        unit="x",
        limit=1.1,
    )
    yield _told("… beside its renditions, MQTT and HTTP", (meter.mqtt + meter.http - meter.renditions) / 1000, "KB")
    yield _told("… and what TCP and IP add, estimated", meter.below / 1000, "KB")
    told = subprocess.run([sys.executable, "-m", "benchmarks.days"], stdout=subprocess.PIPE, check=True).stdout
    settled_mb, end_mb = json.loads(told)
    yield _told("a box that plays an hour a day: resident memory after 8 h", settled_mb, "MB")
    yield Figure(figure="… after 24 h, more than after 8 h", value=end_mb - settled_mb, unit="MB", limit=0.5)


def _in_a_world(live: Callable[[Commune], Any]) -> Any:
    with tempfile.TemporaryDirectory(prefix="loa-bench-", dir="/dev/shm") as name:
        loop = VirtualLoop(Disks(Random(1)))
        asyncio.set_event_loop(loop)
        try:
            return loop.run_until_complete(live(Commune(Path(name), loop)))
        finally:
            asyncio.set_event_loop(None)
            loop.close()


async def _a_day(commune: Commune) -> Meter:
    """Live two days and return the bytes of the second: every evening a bulletin for the next, heard three times."""
    meter, stop = Meter(), asyncio.Event()
    commune.station.start(commune.broker.connect)
    surroundings = Surroundings(
        connect=metered(commune.broker.connect, meter),
        machine=commune.machine,
        fetch=metered_fetch(commune.files.fetch, meter),
    )
    box = asyncio.create_task(run(commune.home, "null", surroundings=surroundings, stop=stop))
    for day in (1, 2):
        await sleep(commune.truth, 20 * 3600)
        item = commune.record(Random(day).randbytes(round(BULLETIN.total_seconds() * BYTES_A_SECOND)), BULLETIN)
        tomorrow = _local(START + day * DAY).replace(hour=5)
        commune.air(item, Recurrence(start=tomorrow, rule="FREQ=HOURLY;INTERVAL=6;COUNT=3"))
        await sleep(commune.truth, 4 * 3600)
        if day == 1:
            meter.mqtt = meter.http = meter.renditions = meter.below = 0
    meter.beats(DAY.total_seconds())
    stop.set()
    await box
    await commune.station.stop()
    return meter


async def _memory(commune: Commune) -> tuple[float, float]:
    """Play five minutes every two hours, decoded and mixed; return the resident memory after 8 and after 24 hours."""
    lasting = timedelta(minutes=5)
    path = commune.home.with_name("noise.opus")
    noise = np.random.default_rng(1).standard_normal(int(lasting.total_seconds()) * RATE).astype(np.float32) * 0.1
    soundfile.write(path, noise, RATE, format="OGG", subtype="OPUS")
    del noise
    commune.station.start(commune.broker.connect)
    item = commune.record(path.read_bytes(), lasting)
    commune.air(item, Recurrence(start=_local(START).replace(minute=30), rule="FREQ=HOURLY;INTERVAL=2"))
    outputs: list[_Cardless] = []

    def cardless(spec: str, *, clock: Clock, changed: Callable[[], None], **_more: Any) -> Output:
        outputs.append(_Cardless(clock, changed))
        return outputs[0]

    stop = asyncio.Event()
    surroundings = Surroundings(
        connect=commune.broker.connect, machine=commune.machine, fetch=commune.files.fetch, open_output=cardless
    )
    box = asyncio.create_task(run(commune.home, "null", surroundings=surroundings, stop=stop))
    await sleep(commune.truth, SETTLED.total_seconds())
    settled_mb = _resident_mb()
    await sleep(commune.truth, (DAY - SETTLED).total_seconds())
    end_mb = _resident_mb()
    stop.set()
    await box
    await commune.station.stop()
    if not 0.9 * 12 * lasting.total_seconds() < outputs[0].seconds < 1.1 * 12 * lasting.total_seconds():
        raise RuntimeError(f"of an hour the box played {outputs[0].seconds} s")
    return settled_mb, end_mb


class _Cardless:
    """What a sound card's output does, block for block, at the pace of a virtual clock."""

    name = "cardless"
    _BLOCK_S: Final = 0.5

    def __init__(self, clock: Clock, changed: Callable[[], None]) -> None:
        self._clock = clock
        self._decoder = _HandDecoder()
        self._mixer = Mixer(changed=changed, decoder=self._decoder)
        self.seconds = 0.0
        """How much has sounded."""

    def play(self, cues: Sequence[Cue], now: datetime) -> None:
        self._mixer.play(cues, now)

    def heard(self, now: datetime) -> Mapping[str, Heard]:
        return self._mixer.heard(now)

    def broken(self) -> frozenset[str]:
        return self._mixer.broken()

    async def run(self) -> None:
        epoch_ns, first, frames = to_ns(self._clock.now()), 0, int(self._BLOCK_S * RATE)
        while True:
            await sleep(self._clock, self._BLOCK_S)
            self._decoder.fill()
            if not self._mixer.silent(first, frames, epoch_ns=epoch_ns):
                sounded = self._mixer.render(first, frames, epoch_ns=epoch_ns)
                self.seconds += np.count_nonzero(sounded) / RATE
            first += frames


class _HandDecoder(Decoder):
    """Decodes when it is asked to: threads have no place under a virtual clock."""

    def open(self, path: Path, first: int) -> Track:
        track = Track(path, first)
        self._tracks = [*(known for known in self._tracks if not known.done), track]
        return track


def _local(t: datetime) -> datetime:
    return t.astimezone(HERE).replace(tzinfo=None)


def _resident_mb() -> float:
    gc.collect()
    return resident_mb("self")


def _told(figure: str, value: float, unit: str) -> Figure:
    return Figure(figure=figure, value=value, unit=unit, limit=None)


if __name__ == "__main__":
    print(json.dumps(_in_a_world(_memory)))
