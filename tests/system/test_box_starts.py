"""Whatever lies broken in its directory, a box starts and plays what it can. Without server and broker."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from devices import envelope, messages
from devices.agent.config import Identity, Layout
from devices.enrolment import BoxSettings
from devices.envelope import SigningKey
from tests.devices.agent.conftest import playlist, reference, slot
from tests.system.test_box_never_misses import fill, small_disk
from tests.system.town import RATE, Process, Recording, until_instant

SECONDS = 1.0
SMALL = "size=1m"

pytestmark = pytest.mark.timeout(60)


def nothing(layout: Layout) -> None:
    """Leave it as it is."""


def garbage(name: str) -> Callable[[Layout], None]:
    return lambda layout: (layout.directory / name).write_bytes(b"\xff{]" * 3000) and None


def directory(name: str) -> Callable[[Layout], None]:
    return lambda layout: (layout.directory / name).mkdir()


def full(layout: Layout) -> None:
    fill(layout.directory)


def read_only(layout: Layout) -> None:
    mount = shutil.which("mount")
    assert mount is not None
    subprocess.run([mount, "-o", "remount,ro", str(layout.directory)], check=True, timeout=10)


BROKEN = {
    "nothing": nothing,
    "clock.json is garbage": garbage("clock.json"),
    "clock.json is a directory": directory("clock.json"),
    "outbox.db is garbage": garbage("outbox.db"),
    "outbox.db is a directory": directory("outbox.db"),
    "the disk is full": full,
    "the disk is read-only": read_only,
    "playlist.jws is garbage": garbage("playlist.jws"),
}
DISKS = {"the disk is full", "the disk is read-only"}
"""Those that need a disk of their own."""
SILENT = {"playlist.jws is garbage"}


@dataclass
class Start:
    wav: Path
    said: str
    code: int


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[datetime, dict[str, Start | None]]]:
    """All boxes at once: how each start went; None where this machine lets no test mount a disk."""
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=10)
    processes: dict[str, tuple[Process, Path]] = {}
    with ExitStack() as stack:
        for number, (name, break_it) in enumerate(BROKEN.items()):
            home = tmp_path_factory.mktemp("box") / f"box-{number}"
            if name not in DISKS:
                home.mkdir()
            elif not stack.enter_context(small_disk(home, SMALL)):
                continue
            break_it(box_with_a_slot(home, at))
            wav = home.with_suffix(".wav")
            arguments = ["box", "run", "--dir", str(home), "--output", f"wav:{wav}"]
            processes[name] = Process(arguments, {"PYTHONUNBUFFERED": "1"}, home.with_suffix(".log")), wav
            stack.callback(processes[name][0].kill)
        until_instant(at + timedelta(seconds=SECONDS + 1))
        codes = {name: process.stop() for name, (process, _) in processes.items()}
        yield (
            at,
            {name: Start(wav, process.said, codes[name]) for name, (process, wav) in processes.items()}
            | {name: None for name in BROKEN if name not in processes},
        )


def box_with_a_slot(home: Path, at: datetime) -> Layout:
    """Make a box that holds a playlist with one slot and its sound, and whose clock has a battery."""
    own, server, layout = SigningKey.generate(), SigningKey.generate(), Layout(home)
    place = {"box": "box-1", "cluster": "ap-chau", "broker": {"port": 9}, "playlist_keys": [server.public().to_jwk()]}
    identity = Identity(server="http://127.0.0.1:9", settings=BoxSettings.model_validate(place))
    layout.identity.write_text(identity.model_dump_json(exclude_none=True))
    layout.key.write_bytes(own.to_pem())
    layout.settings.write_text("[time]\nbattery = true\n")
    sound = home.with_suffix(".opus")
    noise = np.random.default_rng(1).standard_normal(round(SECONDS * RATE)).astype(np.float32) * 0.1
    soundfile.write(sound, noise, RATE, format="OGG", subtype="OPUS")
    named = reference(sound.read_bytes(), SECONDS)
    layout.renditions.mkdir()
    (layout.renditions / f"{named.digest}.opus").write_bytes(sound.read_bytes())
    document = playlist(
        slot("one", at, (named.digest, SECONDS)),
        renditions=(named,),
        issued=at - timedelta(hours=1),
        expires=at + timedelta(days=7),
    )
    layout.playlist.write_bytes(envelope.seal(document.to_bytes(), messages.PLAYLIST, server))
    return layout


@pytest.mark.parametrize("name", BROKEN)
def test_it_starts_and_plays_what_it_can(name: str, starts: tuple[datetime, dict[str, Start | None]]) -> None:
    at, found = starts
    start = found[name]
    if start is None:
        pytest.skip("this machine lets no test mount a disk")
    assert "box up" in start.said
    assert start.code == 0
    heard = Recording.read(start.wav)
    if name in SILENT:
        assert heard.silent()
        assert "ERROR held playlist cannot be read" in start.said
        return
    sent = soundfile.read(next(start.wav.parent.glob("*.opus")))[0]
    assert abs(heard.onset_error_ms(sent, at)) <= 5
    assert ("ERROR" in start.said or "WARNING clock not" in start.said) == (name != "nothing")
