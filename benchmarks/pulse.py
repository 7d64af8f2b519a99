"""A street to listen to: a PulseAudio of its own, two speakers on one null sink, and a recorder of both.

The speakers ``left`` and ``right`` are the two channels of one null sink, so that one recording holds both and cannot
set them apart: what is played to both at once comes back equal, sample by sample.

``python -m benchmarks.pulse`` plays a file through a box's output without the box: see ``play``.
"""

import argparse
import asyncio
import ctypes.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from devices.agent.sound.output import Cue
from devices.agent.sound.outputs import open_output
from devices.agent.timing.clock import SystemClock
from schedules.levels import Level
from schedules.timeline import Slot, SlotItem

RATE = 48_000
Samples = npt.NDArray[np.float64]


def missing() -> str | None:
    """Return what this machine lacks for a street, or None."""
    for program in ("pulseaudio", "pactl", "parec"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if ctypes.util.find_library("portaudio") is None:
        return "libportaudio2 is not installed"
    if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        return "libasound2-plugins is not installed"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Street:
    """A running PulseAudio."""

    directory: Path
    process: "subprocess.Popen[bytes]"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to play there."""
        return {
            **os.environ,
            "HOME": str(self.directory),
            "XDG_RUNTIME_DIR": str(self.directory),
            "PULSE_SERVER": f"unix:{self.directory}/native",
            "ALSA_CONFIG_PATH": f"/usr/share/alsa/alsa.conf:{self.directory}/asound.conf",
        }

    def control(self, *words: str) -> str:
        """Return what ``pactl`` answers."""
        done = subprocess.run(
            [shutil.which("pactl") or "pactl", *words],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=20,
        )
        return done.stdout.strip()

    @contextmanager
    def recording(self, path: Path) -> Iterator[None]:
        """Record both speakers into ``path``: 16-bit, left and right by turns."""
        command = ["parec", "-d", "street.monitor", "--format=s16le", f"--rate={RATE}", "--channels=2", "--raw"]
        with path.open("wb") as file:
            recorder = subprocess.Popen(command, env=self.environment, stdout=file)
            try:
                yield
            finally:
                recorder.terminate()
                recorder.wait(10)

    def play_on_both(self, raw: Path) -> None:
        """Play 16-bit samples on both speakers at once, and return when they are over."""
        command = ["pacat", "-d", "street", "--format=s16le", f"--rate={RATE}", "--channels=1", "--raw", str(raw)]
        subprocess.run(command, env=self.environment, check=True, timeout=60)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Hold every sound device still, as a driver does that hangs."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def speaker(self, name: str, file: Path, start: datetime, seconds: float) -> "subprocess.Popen[str]":
        """Start a process that plays ``file`` at ``start``; its lines are those of ``play``."""
        words = [f"device:{name}", str(file), start.isoformat(), str(seconds)]
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.pulse", *words], env=self.environment, stdout=subprocess.PIPE, text=True
        )


@contextmanager
def street(directory: Path) -> Iterator[Street]:
    """Start a PulseAudio whose files lie in ``directory``, with the speakers ``left`` and ``right``."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    (directory / "asound.conf").write_text("".join(_card(directory, name) for name in ("left", "right")))
    modules = [
        f"module-native-protocol-unix auth-anonymous=1 socket={directory}/native",
        f"module-null-sink sink_name=street rate={RATE} channels=2 channel_map=front-left,front-right format=s16le",
        *(_speaker(name) for name in ("left", "right")),
    ]
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--log-level=error"]
    environment = {
        **os.environ,
        "HOME": str(directory),
        "XDG_RUNTIME_DIR": str(directory),
        "PULSE_RUNTIME_PATH": str(directory),
        "PULSE_STATE_PATH": str(directory / "state"),
    }
    with (directory / "pulse.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *(part for module in modules for part in ("-L", module))],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        at = Street(directory=directory, process=process)
        _until_ready(at)
        yield at
    finally:
        process.kill()
        process.wait(10)


def _card(directory: Path, name: str) -> str:
    hint = f'hint {{ show on description "{name}" }}'
    return f'pcm.{name} {{ type pulse server "unix:{directory}/native" device "{name}" {hint} }}\n'


def _speaker(name: str) -> str:
    return (
        f"module-remap-sink sink_name={name} master=street channels=1 channel_map=mono "
        f"master_channel_map=front-{name} remix=no"
    )


def _until_ready(at: Street) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            if "right" in at.control("list", "short", "sinks"):
                return
        except subprocess.CalledProcessError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"PulseAudio was not ready within 20 s: {(at.directory / 'pulse.log').read_text()[-500:]}")


def read(path: Path) -> Samples:
    """Return a recording as an array of two rows, left and right, of full scale 1."""
    raw = np.fromfile(path, "<i2")
    return raw[: raw.size // 2 * 2].reshape(-1, 2).T / 32768.0


def lag_s(one: Samples, other: Samples, most_s: float = 0.05) -> float:
    """Return by how much ``one`` comes later than ``other``, to a hundredth of a sample, by where they agree best."""
    size = 1 << (2 * max(one.size, other.size)).bit_length()
    spectrum = np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size))
    finer = 8
    likeness = np.fft.irfft(spectrum, size * finer)
    reach = round(most_s * RATE) * finer
    around = np.concatenate((likeness[-reach:], likeness[: reach + 1]))
    best = int(np.clip(around.argmax(), 1, around.size - 2))
    left, middle, right = around[best - 1 : best + 2]
    return float((best + 0.5 * (left - right) / (left - 2 * middle + right) - reach) / finer / RATE)


async def play(output: str, file: Path, start: datetime, seconds: float) -> None:
    """Play ``file`` on ``output`` from ``start`` on for ``seconds``, and print what is heard as lines of JSON."""
    clock = SystemClock()
    speaker = open_output(output, clock=clock, changed=lambda: None)
    task = asyncio.create_task(speaker.run())
    duration = timedelta(seconds=seconds)
    item = SlotItem(rendition="sound", offset=timedelta(), duration=duration)
    slot = Slot(id="slot", title="", level=Level.ROUTINE, start=start, end=start + duration, items=(item,))
    cue = Cue(slot=slot, begin=start, end=slot.end, files={"sound": file}, gain=1.0)
    while (now := clock.now()) < slot.end + timedelta(seconds=0.5):
        speaker.play([cue], now)
        heard = {id_: told.lasted.total_seconds() for id_, told in speaker.heard(now).items()}
        print(json.dumps({"at": now.timestamp(), "lasted": heard.get("slot", 0.0)}), flush=True)
        await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


if __name__ == "__main__":
    words = argparse.ArgumentParser()
    words.add_argument("output")
    words.add_argument("file", type=Path)
    words.add_argument("start", type=datetime.fromisoformat)
    words.add_argument("seconds", type=float)
    told = words.parse_args()
    asyncio.run(play(told.output, told.file, told.start.astimezone(UTC), told.seconds))
