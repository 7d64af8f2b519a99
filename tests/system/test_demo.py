"""`loa demo`, as somebody who tries Loa for the first time runs it: twice, and ended with Ctrl-C."""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.system.town import Process, Recording, end_leftovers, free_port, living, until

CLUSTERS = ("nam-chanh-1", "giong-giua-1", "ngan-ro-1")

pytestmark = pytest.mark.timeout(170)


class Demo:
    """A demo on free ports, with its data below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self._log = directory / "demo.log"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LOA_")},
            "LOA_DATA__DIR": str(self.data),
            "LOA_HTTP__PORT": str(free_port()),
            "LOA_BROKER__PORT": str(free_port()),
        }

    @contextmanager
    def run(self) -> Iterator[Process]:
        self._log.unlink(missing_ok=True)
        process = Process(["demo"], self._environment, self._log)
        try:
            yield process
        finally:
            if process.ended is None:
                process.kill()
            end_leftovers(self.data)

    def identities(self) -> dict[str, str]:
        return {cluster: (self.data / "boxes" / cluster / "box.json").read_text() for cluster in CLUSTERS}

    def versions(self) -> dict[str, int]:
        return {cluster: _version(self.data / "boxes" / cluster / "playlist.jws") for cluster in CLUSTERS}


def _version(path: Path) -> int:
    from base64 import urlsafe_b64decode

    payload = path.read_bytes().split(b".")[1]
    return int(json.loads(urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))["version"])


def _until_told(process: Process, outcome: str) -> None:
    """Wait until every box has said so, a minute at most."""

    def told() -> bool:
        assert process.ended is None, process.said
        return all(re.search(rf"{cluster} +{outcome}", process.said) for cluster in CLUSTERS)

    until(told, 60, f"all three boxes said {outcome}:\n{process.said}")


def test_a_first_and_a_second_run(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    with demo.run() as process:
        until(lambda: "its API at" in process.said or process.ended is not None, 30, f"it is ready: {process.said}")
        _until_told(process, "finished")
        said = process.said
        assert re.search(r"Loa is at http://127\.0\.0\.1:\d+, .* sign in as admin with \S{12,}", said)
        assert re.search(r"\d\d:\d\d:\d\d +\d+\.\d s +nam-chanh-1 +Lời chào", said)
        assert "Bản tin hằng ngày" in said
        identities, versions = demo.identities(), demo.versions()
        _assert_heard(demo, said)
        assert process.stop(signal.SIGINT) == 0
        assert "Traceback" not in process.said
        assert living(demo.data) == {}
    password = (demo.data / "demo-password").read_text()
    assert password.strip() in said
    assert (demo.data / "demo-password").stat().st_mode & 0o077 == 0

    with demo.run() as process:
        _until_told(process, "started")
        assert password.strip() in process.said
        assert demo.identities() == identities
        again = demo.versions()
        assert all(again[cluster] > versions[cluster] for cluster in CLUSTERS)
        assert process.stop(signal.SIGTERM) == 0
        assert living(demo.data) == {}


def _assert_heard(demo: Demo, said: str) -> None:
    """Where there is no sound card, each WAV holds the greeting, and all three began at the same instant."""
    if "plays to the sound card" in said:
        return
    recordings = [Recording.read(demo.data / "boxes" / cluster / "street.wav") for cluster in CLUSTERS]
    first = [recording.first_sound() for recording in recordings]
    assert max(first) - min(first) < timedelta(milliseconds=1)
