"""From the API to the street, with real processes: what an official queues is what is heard, there and then.

One morning is staged for a whole town, because seconds of real time are dear; the tests look at what came of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.system.flaky import FlakyLine
from tests.system.town import (
    HAMLETS,
    RATE,
    Box,
    Json,
    Samples,
    Town,
    as_mp3,
    noise_recording,
    soon,
    speech_recording,
    town,
    until,
    until_instant,
)

NOTICE = "Mời bà con ấp Nam Chánh đến nhà văn hóa họp lúc mười chín giờ tối nay. Xin cảm ơn bà con."
VOLUME = 0.8
"""Of every cluster of the town; a factor to amplitude."""
STEP = 2 / 32767
"""What a sample of the WAV may differ from the decoded rendition: rounding to 16 bits."""
FADE = RATE // 100
"""Samples after which a sound that was joined or cut is no longer fading."""
ONSET_MS = 5.0

pytestmark = pytest.mark.timeout(170)


@dataclass
class Morning:
    town: Town
    at: datetime
    boxes: dict[str, Box]
    sounds: dict[str, Json]
    programmes: dict[str, Json]
    line: FlakyLine
    withdrawn_at: datetime
    restarted_at: datetime

    def sent(self, box: Box, sound: str) -> Samples:
        """Return what a box was to say, at the volume of its cluster."""
        return box.rendition(self.sounds[sound]["rendition"]) * VOLUME


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Morning]:
    directory = tmp_path_factory.mktemp("morning")
    with town(directory) as place, FlakyLine(place.broker_port, drops=4, seed=5).up() as line:
        boxes = {hamlet: place.enrol(f"{hamlet}-1") for hamlet in HAMLETS}
        boxes["so-la"].dial(line.port)
        early = [box.start() for hamlet, box in boxes.items() if hamlet != "ngan-ro"]
        sounds = {
            "speech": place.upload("họp.wav", speech_recording(NOTICE, directory)),
            "mp3": place.upload("nhạc.mp3", as_mp3(noise_recording(2.0, 1))),
            "long": place.upload("dài.wav", noise_recording(9.0, 2)),
        }
        place.until_held(*early)
        at = soon(4)
        programmes = {
            "nam-chanh": place.announce(sounds["speech"], "nam-chanh", at),
            "so-la": place.announce(sounds["mp3"], "so-la", at + timedelta(seconds=1)),
            "so-la again": place.announce(sounds["mp3"], "so-la", at + timedelta(seconds=6)),
            **{hamlet: place.announce(sounds["long"], hamlet, at) for hamlet in ("giong-giua", "ngan-ro", "bung-cu")},
        }
        until_instant(at + timedelta(seconds=1.5))
        boxes["ngan-ro"].start()
        until_instant(at + timedelta(seconds=2.5))
        boxes["giong-giua"].kill()
        boxes["giong-giua"].start()
        until_instant(at + timedelta(seconds=5))
        place.ask("POST", f"/programmes/{programmes['bung-cu']['id']}/withdrawal")
        withdrawn_at = datetime.now(UTC)
        place.until_told(boxes["giong-giua"], "finished")
        restarted_at = datetime.now(UTC)
        boxes["giong-giua"].kill()
        boxes["giong-giua"].start()
        for hamlet in ("nam-chanh", "ngan-ro"):
            place.until_told(boxes[hamlet], "finished")
        until(lambda: place.told(boxes["so-la"]).count("finished") == 2, 30, "receipts came over the flaky line")
        place.until_held(boxes["giong-giua"])
        yield Morning(place, at, boxes, sounds, programmes, line, withdrawn_at, restarted_at)


def test_a_recording_for_one_hamlet_is_heard_there_at_its_second(morning: Morning) -> None:
    box = morning.boxes["nam-chanh"]
    sent, heard = morning.sent(box, "speech"), box.recording()
    error_ms = heard.onset_error_ms(sent, morning.at)
    print(f"onset error speech: {error_ms:.3f} ms")
    assert abs(error_ms) <= ONSET_MS
    assert heard.times_heard(sent) == 1
    begin = heard.at(morning.at)
    np.testing.assert_allclose(heard.samples[begin : begin + sent.size], sent, atol=STEP)
    assert not heard.samples[:begin].any()
    assert not heard.samples[begin + sent.size :].any()


def test_it_is_heard_nowhere_else(morning: Morning) -> None:
    assert morning.boxes["mo-o"].recording().silent()
    for hamlet in ("giong-giua", "ngan-ro", "bung-cu", "so-la"):
        box = morning.boxes[hamlet]
        assert morning.sounds["speech"]["rendition"] not in {path.stem for path in (box.home / "renditions").iterdir()}
        slots = {each["slot"] for each in morning.town.receipts(box) if "slot" in each}
        assert not any(slot.startswith(morning.programmes["nam-chanh"]["id"]) for slot in slots)


def test_the_report_says_that_it_was_heard(morning: Morning) -> None:
    box = morning.boxes["nam-chanh"]
    assert morning.town.told(box) == ["started", "finished"]
    started = next(each for each in morning.town.receipts(box) if each["outcome"] == "started")
    assert started["offset_s"] == 0
    assert datetime.fromisoformat(started["at"]) == morning.at
    found = morning.town.coverage(morning.programmes["nam-chanh"], morning.at)
    assert [(each["cluster"], each["outcome"]) for each in found["clusters"]] == [("nam-chanh-1", "heard")]
    assert found["clusters"][0]["heard_s"] == pytest.approx(morning.sounds["speech"]["duration_s"], abs=0.1)


def test_a_box_started_late_joins_in_progress(morning: Morning) -> None:
    box = morning.boxes["ngan-ro"]
    started = next(each for each in morning.town.receipts(box) if each["outcome"] == "started")
    _assert_joined(morning, box, started)


def test_a_box_whose_power_failed_joins_again_and_says_it_to_the_end(morning: Morning) -> None:
    box = morning.boxes["giong-giua"]
    assert morning.town.told(box) == ["started", "started", "finished"]
    first, again = [each for each in morning.town.receipts(box) if each["outcome"] == "started"]
    assert first["offset_s"] == 0
    assert again["offset_s"] > 2.5
    _assert_joined(morning, box, again)
    sent, heard = morning.sent(box, "long"), box.recording()
    before = sent[: 2 * RATE]
    begin = heard.at(morning.at)
    np.testing.assert_allclose(heard.samples[begin : begin + before.size], before, atol=STEP)
    assert abs(heard.onset_error_ms(sent, morning.at)) <= ONSET_MS


def test_after_another_power_cut_it_does_not_say_it_again(morning: Morning) -> None:
    heard = morning.boxes["giong-giua"].recording()
    assert heard.epoch < morning.restarted_at, "the restarted box goes on with its WAV"
    assert not heard.between(morning.restarted_at, datetime.now(UTC)).any()


def _assert_joined(morning: Morning, box: Box, started: Json) -> None:
    """The rest of the long sound was heard in its place, and nothing of it in the moment before."""
    sent, heard = morning.sent(box, "long"), box.recording()
    joined = round(started["offset_s"] * RATE)
    first = heard.at(morning.at) + joined
    assert 1.5 * RATE < joined < 8 * RATE
    assert not heard.samples[max(first - RATE // 10, 0) : max(first - 1, 0)].any(), "a WAV may begin with the sound"
    first = max(first, 0)
    rest = sent[joined + FADE :]
    np.testing.assert_allclose(heard.samples[first + FADE : first + FADE + rest.size], rest, atol=STEP)
    assert not heard.samples[first + FADE + rest.size :].any()


def test_a_withdrawal_stops_the_sound_within_two_seconds(morning: Morning) -> None:
    box = morning.boxes["bung-cu"]
    heard = box.recording()
    assert heard.between(morning.at + timedelta(seconds=1), morning.withdrawn_at).any()
    stopped_at = heard.epoch + timedelta(seconds=int(np.flatnonzero(heard.samples)[-1]) / RATE)
    print(f"stopped after {(stopped_at - morning.withdrawn_at).total_seconds():.3f} s")
    assert stopped_at - morning.withdrawn_at < timedelta(seconds=2)
    started, ended = (each for each in morning.town.receipts(box) if "slot" in each)
    assert started["outcome"] == "started"
    assert (ended["outcome"], ended["code"]) == ("interrupted", "withdrawn")
    assert ended["heard_s"] == pytest.approx((stopped_at - morning.at).total_seconds(), abs=0.3)


def test_over_a_line_that_keeps_dropping_everything_is_heard_and_told_once(morning: Morning) -> None:
    box = morning.boxes["so-la"]
    assert morning.line.dropped >= 4
    sent, heard = morning.sent(box, "mp3"), box.recording()
    for seconds in (1, 6):
        error_ms = heard.onset_error_ms(sent, morning.at + timedelta(seconds=seconds))
        print(f"onset error mp3: {error_ms:.3f} ms")
        assert abs(error_ms) <= ONSET_MS
    assert heard.times_heard(sent) == 2
    assert morning.town.told(box) == ["started", "finished", "started", "finished"]
    receipts = morning.town.receipts(box)
    assert len({each["id"] for each in receipts}) == len(receipts)
    assert "refused" not in {each["outcome"] for each in receipts}
