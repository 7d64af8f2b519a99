"""A town of real processes on this machine: server, broker and boxes, and ears that measure what was heard.

Ports are free ones, everything is written below one directory, and whatever a test does to a process, `close`
leaves none behind: children are known by the data directory in their environment.
"""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np
import numpy.typing as npt
import soundfile

from audio.speech import voice
from devices.agent.enrolment import enrol

RATE = 48_000
LOA = (sys.executable, "-m", "broadcaster.cli")
PASSWORD = "bến-đò-chiều-mưa"
HAMLETS = ("nam-chanh", "giong-giua", "ngan-ro", "bung-cu", "so-la", "mo-o")

Samples = npt.NDArray[np.float64]
Json = dict[str, Any]


def free_port() -> int:
    """Return a TCP port of this machine that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Ask for ``condition`` until it is true and return its answer; fail with ``what`` after ``seconds``."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return answer


def until_instant(t: datetime) -> None:
    """Let time pass until ``t``."""
    until(lambda: datetime.now(UTC) >= t, (t - datetime.now(UTC)).total_seconds() + 5, f"{t} came")


def soon(seconds: float) -> datetime:
    """Return the first whole second that is at least ``seconds`` ahead."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds + 1)


# Recordings


def speech_recording(text: str, directory: Path) -> bytes:
    """Return a WAV of ``text`` as the bundled voice reads it."""
    path = directory / "speech.wav"
    voice("vi-north").speak(text, path, rate=1.0)
    content = path.read_bytes()
    path.unlink()
    return content


def noise_recording(seconds: float, seed: int) -> bytes:
    """Return a WAV of pulsing noise: no stretch of it looks like another."""
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))
    noise *= 1 + np.sin(np.arange(noise.size) * 2 * np.pi * 7 / RATE)
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(RATE)
        wav.writeframes((noise.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()


def as_mp3(content: bytes) -> bytes:
    """Return a WAV as an MP3 of 64 kbit/s."""
    from imageio_ffmpeg import get_ffmpeg_exe

    options = ["-i", "pipe:0", "-f", "mp3", "-b:a", "64k", "pipe:1"]
    command = [get_ffmpeg_exe(), "-v", "error", "-nostdin", *options]
    return subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True, timeout=30).stdout


# Ears


@dataclass(frozen=True)
class Recording:
    """What came out of a box, and when its first sample did."""

    epoch: datetime
    samples: Samples

    @classmethod
    def read(cls, wav: Path) -> Self:
        epoch = datetime.fromisoformat(json.loads(wav.with_name(wav.name + ".json").read_text())["epoch"])
        return cls(epoch, soundfile.read(wav)[0])

    def at(self, t: datetime) -> int:
        """Return the index of the sample nearest to ``t``."""
        return round((t - self.epoch) / timedelta(seconds=1) * RATE)

    def between(self, begin: datetime, end: datetime) -> Samples:
        return self.samples[max(self.at(begin), 0) : self.at(end)]

    def silent(self) -> bool:
        return not self.samples.any()

    def first_sound(self) -> datetime:
        """Return the instant of the first sample that is not zero."""
        return self.epoch + timedelta(seconds=int(np.flatnonzero(self.samples)[0]) / RATE)

    def onset_error_ms(self, sent: Samples, start: datetime) -> float:
        """Return by how many milliseconds ``sent`` was heard after ``start``: where the two agree best."""
        margin = RATE // 4
        heard = self.samples[self.at(start) - margin : self.at(start) + sent.size + margin]
        size = 1 << (heard.size + sent.size).bit_length()
        likeness = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size)), size)[: 2 * margin]
        assert likeness.max() > 0.5 * np.sqrt((sent**2).sum() * (heard**2).sum()), f"nothing like it at {start}"
        return (int(likeness.argmax()) - margin) / RATE * 1000

    def times_heard(self, sent: Samples) -> int:
        """Return how often ``sent`` sounds in the whole recording, judged by its loudest half second."""
        energy = np.concatenate(([0.0], np.cumsum(sent**2)))
        loudest = int(np.argmax(energy[RATE // 2 :] - energy[: -RATE // 2]))
        mark = sent[loudest : loudest + RATE // 2]
        size = 1 << (self.samples.size + mark.size).bit_length()
        likeness = np.fft.irfft(np.fft.rfft(self.samples, size) * np.conj(np.fft.rfft(mark, size)), size)
        peaks = np.flatnonzero(likeness[: self.samples.size] > 0.4 * (mark**2).sum())
        return int((np.diff(peaks) > RATE // 2).sum()) + 1 if peaks.size else 0


# Processes


class Process:
    """A ``loa`` process that writes what it says to a file."""

    def __init__(
        self, arguments: list[str], environment: dict[str, str], log: Path, *, program: Sequence[str] = LOA
    ) -> None:
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [*program, *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=environment
            )

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def ended(self) -> int | None:
        return self._process.poll()

    def kill(self) -> None:
        """Cut its power."""
        self._process.kill()
        self._process.wait(10)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end by itself:\n{self.said[-2000:]}") from None


def living(data: Path) -> dict[int, str]:
    """Return the processes, by id, that were started for the data directory ``data``, with their commands."""
    mark = os.fsencode(f"LOA_DATA__DIR={data}\0")
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(place.name) != os.getpid() and mark in place.joinpath("environ").read_bytes() + b"\0":
                found[int(place.name)] = place.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def end_leftovers(data: Path) -> None:
    """End what was started for ``data`` and has outlived its parent, as a broker does when its server is killed."""
    for pid in living(data):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not living(data), 10, "every process has ended")


@dataclass
class Box:
    """An enrolled box with its own directory and its WAV."""

    name: str
    cluster: str
    home: Path
    environment: dict[str, str]
    process: Process | None = None

    @property
    def wav(self) -> Path:
        return self.home.with_name(self.home.name + ".wav")

    def start(self, *program: str) -> Self:
        """Start it, by another program than ``loa`` if one is given."""
        arguments = ["box", "run", "--dir", str(self.home), "--output", f"wav:{self.wav}"]
        self.process = Process(
            arguments, self.environment, self.home.with_name(self.home.name + ".log"), program=program or LOA
        )
        return self

    @property
    def said(self) -> str:
        """What it has logged in all its lives."""
        assert self.process is not None
        return self.process.said

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    def stop(self) -> None:
        assert self.process is not None
        assert self.process.stop() == 0, self.process.said[-2000:]

    def recording(self) -> Recording:
        return Recording.read(self.wav)

    def dial(self, port: int) -> None:
        """Make it reach the broker at another port, as behind a router."""
        path = self.home / "box.json"
        identity = json.loads(path.read_text())
        identity["settings"]["broker"]["port"] = port
        path.write_text(json.dumps(identity))

    def rendition(self, digest: str) -> Samples:
        """Return a rendition as this box decodes it."""
        samples: Samples = soundfile.read(self.home / "renditions" / f"{digest}.opus")[0]
        return samples


@dataclass
class Town:
    """A server on free ports, a client signed in as its admin, and its boxes."""

    directory: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    broker_port: int = field(default_factory=free_port)
    boxes: list[Box] = field(default_factory=list)
    server: Process | None = None

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LOA_")},
            "LOA_DATA__DIR": str(self.data),
            "LOA_HTTP__PORT": str(self.port),
            "LOA_BROKER__PORT": str(self.broker_port),
            "PYTHONUNBUFFERED": "1",
            **self.settings,
        }
        self.client = httpx.Client(base_url=self.url + "/api/v1", timeout=20)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    # The server

    def open(self) -> None:
        """Add the admin, start the server, sign in, and build a commune of hamlets with one cluster each."""
        add = [*LOA, "official", "add", "hoa", "--role", "admin", "--password-stdin"]
        subprocess.run(
            add, input=PASSWORD.encode(), env=self.environment, check=True, stdout=subprocess.DEVNULL, timeout=30
        )
        self.start()
        token = self.ask("POST", "/sessions", json={"name": "hoa", "password": PASSWORD})["token"]
        self.client.headers["Authorization"] = f"Bearer {token}"
        self.ask("POST", "/zones", json={"id": "tran-de", "name": "Trần Đề", "kind": "xã"})
        for hamlet in HAMLETS:
            self.ask("POST", "/zones", json={"id": hamlet, "name": hamlet, "kind": "ấp", "parent": "tran-de"})
            place = {"id": f"{hamlet}-1", "name": f"Cụm {hamlet}", "zone": hamlet, "volume": 80}
            self.ask("POST", "/clusters", json=place)

    def start(self) -> None:
        self.server = Process(["serve"], self.environment, self.directory / "server.log")
        until(self._ready, 20, f"the server is ready:\n{self.server.said[-2000:]}")

    def stop(self) -> None:
        """End the server and its broker, as somebody would who means it."""
        assert self.server is not None
        self.server.stop()

    def kill(self) -> None:
        """Cut the server's power; its Mosquitto lives on."""
        assert self.server is not None
        self.server.kill()

    def broker_pid(self) -> int:
        """Return the process id of the broker that the server started."""
        others = {pid: command for pid, command in living(self.data).items() if "broadcaster.cli" not in command}
        (pid,) = [pid for pid, command in others.items() if "mosquitto" in command]
        return pid

    def _ready(self) -> bool:
        assert self.server is not None
        assert self.server.ended is None, self.server.said[-2000:]
        try:
            return httpx.get(self.url + "/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    # What an official does

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Return the answer's JSON; fail with its text for a refusal."""
        answer = self.client.request(method, path, **options)
        assert not answer.is_error, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def upload(self, name: str, content: bytes) -> Json:
        """Upload a recording and return it when it is ready."""
        return self.ready(self.ask("POST", "/sounds", files={"file": (name, content)})["id"])

    def ready(self, sound: str) -> Json:
        """Return a sound when it is ready."""

        def prepared() -> Json | None:
            answer: Json = self.ask("GET", f"/sounds/{sound}")
            assert answer["state"] != "refused", answer
            return answer if answer["state"] == "ready" else None

        found: Json = until(prepared, 30, "the sound is ready")
        return found

    def announce(self, sound: Json, zone: str, at: datetime) -> Json:
        body = {"title": f"for {zone}", "sound": sound["id"], "zones": [zone], "at": at.isoformat()}
        programme: Json = self.ask("POST", "/announcements", json=body)
        return programme

    def code(self, cluster: str) -> str:
        """Return a one-time code for a box of ``cluster``."""
        return str(self.ask("POST", f"/clusters/{cluster}/enrolment")["code"])

    def enrol(self, cluster: str, directory: str | None = None) -> Box:
        """Enrol a box for ``cluster``; what a box keeps lies in a directory of that name, unless told otherwise."""
        home = self.directory / "boxes" / (directory or cluster)
        place = enrol(self.url, self.code(cluster), home)
        box = Box(place.box, cluster, home, self.environment)
        self.boxes.append(box)
        return box

    # What came back

    def status(self, box: Box) -> Json:
        found: Json = next(each for each in self.ask("GET", "/boxes?limit=1000")["items"] if each["id"] == box.name)
        return found

    def until_held(self, *boxes: Box) -> None:
        """Wait until the boxes hold what is wanted of them, with every rendition."""

        def hold() -> bool:
            said = [self.status(box) for box in boxes]
            return all(
                each["health"] == "online"
                and each.get("held_playlist") == each["wanted_playlist"]
                and each.get("renditions_missing") == 0
                for each in said
            )

        until(hold, 20, "the boxes hold what is wanted")

    def receipts(self, box: Box) -> list[Json]:
        """Return what a box has told, in order, page by page."""
        items: list[Json] = []
        after = ""
        while True:
            answer = self.ask("GET", f"/receipts?box={box.name}&limit=1000{after}")
            items += answer["items"]
            if answer.get("next") is None:
                return items
            after = f"&after={answer['next']}"

    def told(self, box: Box) -> list[str]:
        """Return what became of slots on a box, in order."""
        return [each["outcome"] for each in self.receipts(box) if "slot" in each]

    def until_told(self, box: Box, outcome: str, seconds: float = 15) -> Json:
        """Return the first receipt of that outcome when it has come."""

        def found() -> Json | None:
            return next((each for each in self.receipts(box) if each["outcome"] == outcome), None)

        receipt: Json = until(found, seconds, f"{box.cluster} says {outcome}; it says {self.told(box)}")
        return receipt

    def coverage(self, programme: Json, at: datetime) -> Json:
        """Return who heard a programme."""
        window = {"from": (at - timedelta(minutes=1)).isoformat(), "to": (at + timedelta(minutes=5)).isoformat()}
        (found,) = [
            each for each in self.ask("GET", "/coverage", params=window) if each["slot"]["programme"] == programme["id"]
        ]
        return dict(found)

    def versions(self) -> dict[str, int]:
        """Return the wanted playlist version of every enrolled cluster."""
        boxes = self.ask("GET", "/boxes?limit=1000")["items"]
        return {each["cluster"]: each["wanted_playlist"] for each in boxes if "wanted_playlist" in each}

    def close(self) -> None:
        """Stop every process in reverse order; nothing is left behind, whatever happened before."""
        try:
            with ExitStack() as stack:
                stack.callback(self.client.close)
                for process in [self.server, *(box.process for box in self.boxes)]:
                    if process is not None and process.ended is None:
                        stack.callback(partial(process.stop))
        finally:
            end_leftovers(self.data)


@contextmanager
def town(directory: Path, **settings: str) -> Iterator[Town]:
    """Give an open town, with ``LOA_SECTION__KEY`` settings of its own."""
    place = Town(directory, settings)
    try:
        place.open()
        yield place
    finally:
        place.close()


def loa(*arguments: str, env: dict[str, str], limits: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a ``loa`` command to its end; ``limits`` are ulimit options it is run under."""
    command = [*LOA, *arguments]
    if limits:
        command = ["/bin/sh", "-c", f'ulimit {limits}; exec "$0" "$@"', *command]
    return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
