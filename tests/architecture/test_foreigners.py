"""One foreigner, one room: each third-party library is imported where it is translated into our words."""

import sys
from collections import defaultdict
from fnmatch import fnmatch
from functools import cache

import pytest

from tests.architecture.house import PACKAGES, files, imported

ROOMS: dict[str, set[str]] = {
    "apscheduler": {"broadcaster/timers.py"},
    "cryptography": {"devices/envelope.py"},
    "espeakng_loader": {"audio/espeak.py"},
    "fastapi": {"broadcaster/api/*.py"},
    "httpx": {"broadcaster/remote.py"},
    "imageio_ffmpeg": {"audio/ffmpeg.py"},
    "iotcore": {"broadcaster/broker.py"},
    "numpy": {f"devices/agent/sound/{name}.py" for name in ("decoding", "feed", "mixer", "resampling")},
    "paho": {"devices/link.py"},
    "prometheus_client": {"broadcaster/api/health.py"},
    "pwdlib": {"broadcaster/flow/sign_in.py"},
    "pydantic": {
        "broadcaster/api/*.py",
        "broadcaster/config.py",
        "broadcaster/store/journal.py",
        "broadcaster/store/tiny.py",
        "devices/enrolment.py",
        "devices/messages.py",
        "devices/times.py",
        "devices/trust.py",
        "devices/values.py",
        "devices/agent/config.py",
        "devices/agent/enrolment.py",
        "devices/agent/settings.py",
        "devices/agent/timing/clockfile.py",
        "devices/agent/sound/wavefile.py",
    },
    "pydantic_settings": {"broadcaster/config.py"},
    "pydub": {"audio/mixing.py"},
    "python_multipart": {"broadcaster/api/uploads.py"},
    "segno": {"broadcaster/api/clusters.py"},
    "sounddevice": {"devices/agent/sound/portaudio.py"},
    "soundfile": {"devices/agent/sound/decoding.py"},
    "starlette": {"broadcaster/api/*.py"},
    "tinydb": {"broadcaster/store/storage.py", "broadcaster/store/tiny.py"},
    "typer": {"broadcaster/cli.py", "devices/agent/cli.py"},
    "uvicorn": {"broadcaster/app.py"},
}
"""Who may import what. Pydantic is a language rather than a guest, yet it has no place in the core or in the flow."""


STARTERS = {"audio/child.py", "audio/ffmpeg.py", "audio/speech.py", "broadcaster/broker.py", "broadcaster/children.py"}
"""Who imports ``subprocess``. ffmpeg and voices are children of ``audio/child.py``, which bounds what they take."""


@cache
def guests() -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path, tree in files().items():
        for name in imported(tree):
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in PACKAGES:
                found[top].add(path)
    return dict(found)


def test_every_guest_has_a_room() -> None:
    assert sorted(guests()) == sorted(ROOMS)


@pytest.mark.parametrize("guest", ROOMS)
def test_a_guest_stays_in_its_room(guest: str) -> None:
    rooms = ROOMS[guest]
    assert [path for path in guests()[guest] if not any(fnmatch(path, room) for room in rooms)] == []
    assert [room for room in rooms if not any(fnmatch(path, room) for path in guests()[guest])] == [], "a room is empty"


def test_processes_are_started_in_few_places() -> None:
    starters = {path for path, tree in files().items() if "subprocess" in set(imported(tree))}
    assert starters == STARTERS
