"""The corridor's figures: from an accepted announcement to the boxes, and how exactly they start.

* Start error: 50 slots of one real box, its WAV laid beside the rendition; where the two agree best is where it began.
* Fan-out: 200 boxes (the real agent with a silent output, full verification, in one process) against as many bare paho
  clients that receive the same envelopes through the same broker, by turns.
* Start-up and memory, of the processes as they are.
"""

import asyncio
import io
import json
import random
import selectors
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import soundfile
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.figures import Figure
from benchmarks.town import Town, resident_mb, town
from devices.agent.enrolment import enrol
from devices.agent.run import Surroundings
from devices.agent.run import run as run_box
from devices.link import connect

RATE = 48_000
SLOTS = 50
SPACING = timedelta(seconds=3)
BOXES = 200
ROUNDS = 7
Samples = npt.NDArray[np.float64]


def figures() -> Iterator[Figure]:
    """Measure, and yield each figure as it is known."""
    with tempfile.TemporaryDirectory(prefix="loa-bench-") as name:
        directory = Path(name)
        with town(directory / "data", 1) as one:
            yield Figure(figure="server ready after start", value=one.ready_s, unit="s", limit=3)
            time.sleep(5)
            yield Figure(figure="server memory idle", value=resident_mb(one.process.pid), unit="MB", limit=160)
            yield from _start_errors(one, directory)
    # In memory where there is such a place: 200 boxes have 200 disks, and bare paho uses none.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="loa-bench-", dir=memory) as name, town(Path(name) / "data", BOXES) as many:
        yield from asyncio.run(_fan_out(many, Path(name)))


def _burst(seconds: float, seed: int) -> bytes:
    """Return a WAV of noise with a pulse a tenth of a second: nothing else looks like it."""
    noise = np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE))
    noise *= 1 + np.sin(np.arange(noise.size) * 2 * np.pi * 10 / RATE)
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(RATE)
        wav.writeframes((noise.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()


def _ready_sound(at: Town, seed: int) -> dict[str, str]:
    sound = at.ask("POST", "/sounds", files={"file": ("burst.wav", _burst(1.0, seed))})
    ready: dict[str, str] = at.wait(f"/sounds/{sound['id']}", lambda answer: answer["state"] == "ready")
    return ready


# How exactly a box starts


def _start_errors(one: Town, directory: Path) -> Iterator[Figure]:
    home, wav = directory / "box", directory / "street.wav"
    enrol(one.url, one.ask("POST", "/clusters/c0/enrolment")["code"], home)
    sound = _ready_sound(one, seed=1)
    command = [sys.executable, "-m", "broadcaster.cli", "box", "run", "--dir", str(home), "--output", f"wav:{wav}"]
    box = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        one.wait("/boxes", lambda answer: answer["items"][0]["health"] == "online")
        first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=8)
        starts = [first + SPACING * number for number in range(SLOTS)]
        for start in starts:
            body = {"title": "burst", "sound": sound["id"], "zones": ["town"], "at": start.isoformat()}
            one.ask("POST", "/announcements", json=body)
        time.sleep((starts[-1] - datetime.now(UTC)).total_seconds() + 4)
        yield Figure(
            figure="box memory while playing (peak)", value=resident_mb(box.pid, peak=True), unit="MB", limit=80
        )
    finally:
        box.terminate()
        box.wait(10)
    rendition = next((home / "renditions").glob(sound["rendition"] + "*"))
    errors = [abs(_start_error_ms(start, wav, rendition)) for start in starts]
    yield Figure(figure=f"start error at the box, p99 of {SLOTS} slots", value=_p99(errors), unit="ms", limit=5)
    yield Figure(figure=f"start error at the box, median of {SLOTS} slots", value=median(errors), unit="ms", limit=None)


def _start_error_ms(start: datetime, wav: Path, rendition: Path) -> float:
    """Return by how much the recording of a slot lies behind (or before) the slot's instant, in ms."""
    epoch = datetime.fromisoformat(json.loads(wav.with_name(wav.name + ".json").read_text())["epoch"])
    sent: Samples = soundfile.read(rendition)[0]
    margin = RATE // 4
    nominal = round((start - epoch) / timedelta(seconds=1) * RATE)
    heard: Samples = soundfile.read(wav, start=nominal - margin, frames=sent.size + 2 * margin)[0]
    size = 1 << (heard.size + sent.size).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size)), size)[: 2 * margin]
    if likeness.max() < 0.5 * np.sqrt((sent**2).sum() * (heard**2).sum()):
        raise RuntimeError(f"the slot at {start.isoformat()} did not sound")
    return (int(likeness.argmax()) - margin) / RATE * 1000


def _p99(values: list[float]) -> float:
    """Return the 99th percentile; of 50 values that is the worst."""
    return float(np.percentile(values, 99, method="higher"))


# How fast an announcement reaches every box


async def _fan_out(many: Town, directory: Path) -> list[Figure]:
    """Return the ratio of the corridor to bare paho, and both times."""
    sys.setswitchinterval(0.0005)  # as the server does: 200 boxes share this interpreter with their threads
    homes = [directory / f"box{number}" for number in range(BOXES)]
    for number, home in enumerate(homes):
        code = await asyncio.to_thread(many.ask, "POST", f"/clusters/c{number}/enrolment")
        await asyncio.to_thread(enrol, many.url, code["code"], home)
    sound = await asyncio.to_thread(_ready_sound, many, 2)
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(stop.set)
        for home in homes:
            group.create_task(run_box(home, "null", surroundings=Surroundings(connect=connect), stop=stop))
        await asyncio.to_thread(_settled, many)
        ours, bare = [], []
        for number in range(ROUNDS):
            ours.append(await asyncio.to_thread(_announce_s, many, sound["id"], number))
            await asyncio.to_thread(_settled, many)
            bare.append(await asyncio.to_thread(_bare_s, many))
    ratios = [mine / raw for mine, raw in zip(ours, bare, strict=True)]
    return [
        Figure(
            figure=f"accepted → last of {BOXES} boxes, ratio to bare paho", value=median(ratios), unit="x", limit=2.5
        ),
        Figure(figure=f"accepted → last of {BOXES} boxes", value=median(ours) * 1000, unit="ms", limit=None),
        Figure(figure=f"bare paho fan-out to {BOXES} clients", value=median(bare) * 1000, unit="ms", limit=None),
    ]


def _settled(many: Town) -> None:
    """Wait until every box holds what is published for it and has nothing more to say."""

    def done(answer: dict[str, list[dict[str, object]]]) -> bool:
        boxes = answer["items"]
        return all(
            box["health"] == "online"
            and box.get("held_playlist") == box["wanted_playlist"]
            and not box.get("receipts_waiting")
            and not box.get("renditions_missing")
            for box in boxes
        )

    many.wait("/boxes?limit=1000", done)
    time.sleep(1)


def _announce_s(many: Town, sound: str, number: int) -> float:
    """Announce, and return the seconds from the answer until the last box holds its new playlist.

    A box holds it when the verified file has its name on disk; the file system tells when that was.
    """
    files = [home / "playlist.jws" for home in many.directory.parent.glob("box*")]
    before = {path: path.stat().st_ino for path in files}
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1, minutes=number)
    body = {"title": f"round {number}", "sound": sound, "zones": ["town"], "at": at.isoformat()}
    many.ask("POST", "/announcements", json=body)
    accepted = time.time()
    end = time.monotonic() + 30
    while any(path.stat().st_ino == before[path] for path in files):
        if time.monotonic() > end:
            raise RuntimeError("some boxes did not get their playlist")
        time.sleep(0.5)
    return max(path.stat().st_ctime for path in files) - accepted


def _bare_s(many: Town) -> float:
    """Return the seconds for bare paho to publish as many envelopes of the same bytes and receive each once.

    One thread serves all sockets: paho's own loop is a thread for each client with ``select``, which ends at 1,024
    descriptors and is slower.
    """
    envelope = next(many.directory.parent.glob("box*/playlist.jws")).read_bytes()
    prefix = f"bare/{random.getrandbits(32)}"
    arrived: set[str] = set()
    granted: set[int] = set()
    with selectors.DefaultSelector() as sockets:
        clients = [_bare_client(many, sockets, f"{prefix}/{number}", arrived, granted) for number in range(BOXES)]
        _turn(sockets, lambda: len(granted) == BOXES)
        sender = _bare_client(many, sockets, None, arrived, granted)
        _turn(sockets, sender.is_connected)
        begin = time.perf_counter()
        for number in range(BOXES):
            sender.publish(f"{prefix}/{number}", envelope, qos=1, retain=True)
        _turn(sockets, lambda: len(arrived) == BOXES)
        elapsed = time.perf_counter() - begin
        for client in (sender, *clients):
            client.disconnect()
    return elapsed


def _bare_client(
    many: Town, sockets: selectors.BaseSelector, topic: str | None, arrived: set[str], granted: set[int]
) -> Client:
    client = Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(BOXES)
    client.on_message = lambda _client, _user, message: arrived.add(message.topic)
    client.on_subscribe = lambda *_: granted.add(id(client))

    def connected(*_: object) -> None:
        if topic is not None:
            client.subscribe(topic, qos=1)

    client.on_connect = connected
    client.connect("127.0.0.1", many.broker_port)
    sock = client.socket()
    assert sock is not None
    sockets.register(sock.fileno(), selectors.EVENT_READ, client)
    return client


def _turn(sockets: selectors.BaseSelector, done: Callable[[], bool]) -> None:
    """Serve the bare clients until ``done``."""
    end = time.monotonic() + 30
    while not done():
        if time.monotonic() > end:
            raise RuntimeError("the bare clients did not get what was sent")
        for key, _ in sockets.select(1):
            key.data.loop_read()
            key.data.loop_write()
