"""Server and broker lose their power at the worst moment: the street hears it on time and once; all is told after."""

import os
import shutil
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from tests.services import require
from tests.system.town import Town, end_leftovers, living, noise_recording, soon, town, until, until_instant

ONSET_MS = 5.0
VOLUME = 0.8

pytestmark = pytest.mark.timeout(120)


def test_all_is_dead_but_the_box_and_it_is_heard_on_time_and_once(tmp_path: Path) -> None:
    require("mosquitto")
    with town(tmp_path) as place:
        box = place.enrol("nam-chanh-1").start()
        sound = place.upload("nhạc.wav", noise_recording(2.0, 3))
        at = soon(4)
        programme = place.announce(sound, "nam-chanh", at)
        place.until_held(box)
        versions, broker = place.versions(), place.broker_pid()
        place.kill()
        os.kill(broker, signal.SIGKILL)
        until(lambda: broker not in living(place.data), 5, "the broker is dead")
        until_instant(at + timedelta(seconds=3))

        heard, sent = box.recording(), box.rendition(sound["rendition"]) * VOLUME
        error_ms = heard.onset_error_ms(sent, at)
        print(f"onset error without server and broker: {error_ms:.3f} ms")
        assert abs(error_ms) <= ONSET_MS
        assert heard.times_heard(sent) == 1

        before = len(place.server.said) if place.server else 0
        place.start()
        place.until_told(box, "finished", 30)
        assert place.told(box) == ["started", "finished"]
        assert [each["outcome"] for each in place.coverage(programme, at)["clusters"]] == ["heard"]
        assert place.versions() == versions
        assert place.server is not None
        assert "playlist issued" not in place.server.said[before:], "nothing changed, nothing is signed"
        _a_broker_that_forgot_everything(place)


def _a_broker_that_forgot_everything(place: Town) -> None:
    """Kill the broker under the running server: a new box and a wiped one get their playlists by themselves."""
    wiped = place.boxes[0]
    wiped.stop()
    wiped.home.joinpath("playlist.jws").unlink()
    shutil.rmtree(wiped.home / "renditions")
    broker = place.broker_pid()
    os.kill(broker, signal.SIGKILL)
    new = place.enrol("mo-o-1")
    for box in (wiped, new):
        box.start()
    place.until_held(wiped, new)
    assert place.broker_pid() != broker
    assert place.versions()["nam-chanh-1"] == place.status(wiped)["held_playlist"]


def test_the_server_dies_while_it_sounds_and_its_broker_lives_on(tmp_path: Path) -> None:
    with town(tmp_path) as place:
        box = place.enrol("nam-chanh-1").start()
        sound = place.upload("nhạc.wav", noise_recording(3.0, 4))
        at = soon(3)
        place.announce(sound, "nam-chanh", at)
        place.until_held(box)
        versions = place.versions()
        until_instant(at + timedelta(seconds=1))
        place.kill()
        place.start()
        place.until_told(box, "finished", 30)
        assert place.told(box) == ["started", "finished"]
        assert place.versions() == versions
        sent = box.rendition(sound["rendition"]) * VOLUME
        assert abs(box.recording().onset_error_ms(sent, at)) <= ONSET_MS


def test_with_the_broker_in_a_wheel_the_corridor_is_the_same(tmp_path: Path) -> None:
    with town(tmp_path, LOA_BROKER__KIND="iotcore") as place:
        box, other = (place.enrol(cluster).start() for cluster in ("nam-chanh-1", "mo-o-1"))
        sound = place.upload("nhạc.wav", noise_recording(1.5, 6))
        at = soon(3)
        programme = place.announce(sound, "nam-chanh", at)
        place.until_told(box, "finished")
        sent = box.rendition(sound["rendition"]) * VOLUME
        error_ms = box.recording().onset_error_ms(sent, at)
        print(f"onset error with iotcore: {error_ms:.3f} ms")
        assert abs(error_ms) <= ONSET_MS
        assert other.recording().silent()
        assert [each["outcome"] for each in place.coverage(programme, at)["clusters"]] == ["heard"]

        place.kill()
        for each in (box, other):
            each.stop()
        until(lambda: not living(place.data), 10, "the broker in a wheel ends with its server")
        end_leftovers(place.data)
