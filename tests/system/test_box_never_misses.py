"""The promise of a box, on real processes: whatever fails, the right sound at the right instant, once, and all is told.

One day is staged for five boxes, because seconds of real time are dear; the tests look at what came of it. Server and
broker are stopped before the first slot and are back before the second. Meanwhile one box is killed again and again
over a programme of short slots, one has a full disk, and two are switched on with a clock of 1970 and of next year.
"""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from devices.agent.memory.ledger import FINAL, State
from devices.agent.memory.log import reading, verify
from tests.system.town import (
    RATE,
    Box,
    Json,
    Recording,
    Samples,
    Town,
    noise_recording,
    soon,
    town,
    until,
    until_instant,
)

SOAK = int(os.environ.get("SOAK", "1"))
KILLS = min(10 * SOAK, 200)
SEED = int(os.environ.get("SEED", "7"))
VOLUME = 0.8
STEP = 2 / 32767
ONSET_MS = 5.0
PERIOD_S, STARTING_S, LONGEST_LIFE_S = 2, 2.0, 4.0
LIFE_S = 3.5
"""What one life of the killed box lasts about, its start included."""
WARM = timedelta(seconds=0.5)
"""From its first line to the first sound that a box must not miss: it looks at its files and at the ledger first."""
LAG = timedelta(seconds=0.3)
"""A WAV may be 0.25 s behind."""
START = datetime.now(UTC)
YEAR_S = 365 * 86_400
WRONG_CLOCK = (sys.executable, str(Path(__file__).with_name("wrong_clock.py")))
DISK = "size=8m"

pytestmark = pytest.mark.timeout(150 + 10 * KILLS)


@dataclass
class Day:
    town: Town
    boxes: dict[str, Box]
    sounds: dict[str, Json]
    first: datetime
    """A slot while server and broker are stopped."""
    short: list[datetime]
    """The slots of the box that is killed."""
    disk: bool
    """Whether a disk could be made that fills up."""
    lives: list[tuple[datetime, datetime]] = field(default_factory=list)
    """From when to when the killed box had power."""
    back: datetime = START
    """When the server was back."""
    second: datetime = START
    """A slot that is announced then."""

    def sent(self, box: Box, sound: str) -> Samples:
        return box.rendition(self.sounds[sound]["rendition"]) * VOLUME


# What is staged


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    directory = tmp_path_factory.mktemp("day")
    with small_disk(directory / "boxes" / "giong-giua-1", DISK) as disk, town(directory) as place:
        staged = prepared(place, disk=disk)
        killer = threading.Thread(target=kill_again_and_again, args=(staged, random.Random(SEED)))
        killer.start()
        try:
            the_line_falls(staged)
        finally:
            killer.join()
        everything_is_told(staged)
        yield staged


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[bool]:
    """Make a small disk at ``directory``; False where this machine does not let us."""
    directory.mkdir(parents=True)
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if mount is None or unmount is None:
        yield False
        return
    asked = [mount, "-t", "tmpfs", "-o", size, "tmpfs", str(directory)]
    done = subprocess.run(asked, capture_output=True, timeout=10).returncode == 0
    try:
        yield done
    finally:
        if done:
            subprocess.run([unmount, str(directory)], check=True, timeout=10)


def prepared(place: Town, *, disk: bool) -> Day:
    """Five boxes that hold their playlists and sounds."""
    names = {"alone": "nam-chanh", "full": "giong-giua", "killed": "so-la", "1970": "mo-o", "next year": "bung-cu"}
    boxes = {name: place.enrol(f"{hamlet}-1") for name, hamlet in names.items()}
    (boxes["full"].home / "box.toml").write_text("[storage]\nkeep_free_mb = 0\n")
    (boxes["alone"].home / "box.toml").write_text(
        f"[amplifier]\non = {relay(place, 'on')}\noff = {relay(place, 'off')}\n"
    )
    for box in boxes.values():
        box.start()
    sounds = {
        "long": place.upload("dài.wav", noise_recording(2.0, 1)),
        "short": place.upload("ngắn.wav", noise_recording(0.5, 2)),
    }
    slots = round(KILLS * LIFE_S / PERIOD_S)
    first = soon(9 + slots // 4)  # what the server takes for as many announcements
    short = [first + timedelta(seconds=n * PERIOD_S - 5) for n in range(slots)]
    day = Day(place, boxes, sounds, first, short, disk)
    announce_long(day, first, "alone", "full", "1970", "next year")
    for at in short:
        place.announce(sounds["short"], names["killed"], at)
    place.until_held(*boxes.values())
    return day


def relay(place: Town, word: str) -> list[str]:
    """Return a command that notes when the amplifier of the box that is alone was switched."""
    return ["sh", "-c", f"echo {word} $(date +%s.%N) >> {place.directory}/relay"]


def announce_long(day: Day, at: datetime, *names: str) -> None:
    for name in names:
        day.town.announce(day.sounds["long"], day.boxes[name].cluster.removesuffix("-1"), at)


def the_line_falls(day: Day) -> None:
    """Stop the server before the first slot, have the power of two boxes fail, and start it again after the slot."""
    wrong = {"1970": -time.time(), "next year": YEAR_S}
    for name in wrong:
        day.boxes[name].stop()
        day.boxes[name].wav.rename(day.boxes[name].wav.with_suffix(".before"))
    if day.disk:
        fill(day.boxes["full"].home)
    day.town.stop()
    for name, off_s in wrong.items():
        box = day.boxes[name]
        box.environment = {**box.environment, "LOA_OFF_S": str(off_s)}
        box.start(*WRONG_CLOCK)
    until_instant(day.first - timedelta(seconds=0.5))
    assert all(day.boxes[name].said.count("box up") == 2 for name in wrong), "this machine is too slow for this test"
    until_instant(day.first + timedelta(seconds=3))
    day.town.start()
    day.back = datetime.now(UTC)
    others = [day.boxes[name] for name in ("full", "1970", "next year")]

    def know_the_time_and_say_how_they_are() -> bool:
        said = {box.cluster: day.town.status(box) for box in others}
        told = all(datetime.fromisoformat(each["last_seen"]) > day.back for each in said.values())
        known = all(each["health"] == "online" and each.get("clock_source") == "server" for each in said.values())
        return told and known and (not day.disk or said[day.boxes["full"].cluster]["free_bytes"] == 0)

    until(know_the_time_and_say_how_they_are, 70, "all know the time, and one that its disk is full")
    if day.disk:
        (day.boxes["full"].home / "filler").unlink()
    day.second = soon(5)
    announce_long(day, day.second, "full", "1970", "next year")
    day.town.until_held(*others)
    until_instant(day.second + timedelta(seconds=3))


def fill(directory: Path) -> None:
    """Leave not a byte of a disk free."""
    with (directory / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def kill_again_and_again(day: Day, chance: random.Random) -> None:
    box = day.boxes["killed"]
    box.stop()
    for _ in range(KILLS):
        lives, begin = box.said.count("box up"), datetime.now(UTC)
        box.start()
        if chance.random() < 0.75:
            until(partial(has_lived, box, lives + 1), 30, "the killed box is up again")
            time.sleep(chance.uniform(0, LONGEST_LIFE_S))
        else:
            time.sleep(chance.uniform(0, STARTING_S))
        box.kill()
        day.lives.append((begin, datetime.now(UTC)))


def has_lived(box: Box, lives: int) -> bool:
    return box.said.count("box up") >= lives


def everything_is_told(day: Day) -> None:
    """Let the killed box live on, and wait until no box has anything more to say."""
    box = day.boxes["killed"].start()
    day.lives.append((datetime.now(UTC), datetime.max.replace(tzinfo=UTC)))
    until_instant(day.short[-1] + timedelta(seconds=3))
    for each in (box, *(day.boxes[name] for name in ("alone", "full", "1970", "next year"))):

        def has_told(each: Box = each) -> bool:
            said = day.town.status(each)
            return datetime.fromisoformat(said["last_seen"]) > day.back and said["receipts_waiting"] == 0

        until(has_told, 60, f"{each.cluster} has told everything: {day.town.status(each)}")
    box.stop()


# What came of it


def heard_at(day: Day, name: str, at: datetime) -> None:
    """Assert that the long sound was heard at that instant."""
    box = day.boxes[name]
    (recording,) = [each for each in recordings(box) if 0 <= each.at(at) < each.samples.size]
    error_ms = recording.onset_error_ms(day.sent(box, "long"), at)
    print(f"{name}: onset error {error_ms:.3f} ms")
    assert abs(error_ms) <= ONSET_MS


def told(day: Day, name: str) -> list[tuple[str, str | None]]:
    return [(each["outcome"], each.get("code")) for each in day.town.receipts(day.boxes[name]) if "slot" in each]


def test_without_server_and_broker_it_is_heard_on_time_and_told_when_they_are_back(day: Day) -> None:
    box = day.boxes["alone"]
    heard_at(day, "alone", day.first)
    assert box.recording().times_heard(day.sent(box, "long")) == 1
    assert told(day, "alone") == [("started", None), ("finished", None)]
    started = next(each for each in day.town.receipts(box) if each["outcome"] == "started")
    assert (datetime.fromisoformat(started["at"]), started["offset_s"]) == (day.first, 0)
    assert day.first < day.back


def test_its_amplifier_is_on_around_the_slot_and_at_no_other_time(day: Day) -> None:
    lines = [line.split() for line in (day.town.directory / "relay").read_text().splitlines()]
    assert [word for word, _ in lines] == ["off", "on", "off"]
    _, on, off = (datetime.fromtimestamp(float(seconds), UTC) for _, seconds in lines)
    length = timedelta(seconds=day.sent(day.boxes["alone"], "long").size / RATE)
    before, after = day.first - on, off - day.first - length
    print(f"on {before.total_seconds():.3f} s before, off {after.total_seconds():.3f} s after")
    assert timedelta(seconds=1.9) < before < timedelta(seconds=2.5)
    assert timedelta(seconds=4.9) < after < timedelta(seconds=6)


def test_a_full_disk_plays_what_it_has_and_says_so(day: Day) -> None:
    if not day.disk:
        pytest.skip("this machine lets no test mount a disk")
    for at in (day.first, day.second):
        heard_at(day, "full", at)
    said = day.boxes["full"].said
    assert "ERROR outbox not saved" in said
    assert said.count("ERROR outbox not saved") == 1, "told on the edge"
    assert "INFO outbox saved again" in said
    assert told(day, "full") == [("started", None), ("finished", None)] * 2


@pytest.mark.parametrize("name", ["1970", "next year"])
def test_switched_on_with_a_wrong_clock_it_is_silent_until_it_knows_better(day: Day, name: str) -> None:
    box = day.boxes[name]
    life = box.said.rpartition("box up")[2]
    assert life.partition("\n")[0].endswith("clock=none")
    heard, sent = recordings(box), day.sent(box, "long")
    assert sum(each.times_heard(sent) for each in heard) == 1, "only the one when the time was known"
    assert not any(each.between(each.epoch, day.second).any() for each in heard)
    heard_at(day, name, day.second)
    trusted = life.index("clock trusted=True")
    assert "slot started" not in life[:trusted]
    assert told(day, name) == [("missed", "clock"), ("started", None), ("finished", None)]
    _, started, _ = (each for each in day.town.receipts(box) if "slot" in each)
    assert (datetime.fromisoformat(started["at"]), started["offset_s"]) == (day.second, 0)


def recordings(box: Box) -> list[Recording]:
    """Return all that a box has written, if its clock was wrong since then; a WAV is begun anew when that is set."""
    return [Recording.read(path) for path in box.home.parent.glob(f"{box.home.name}*.wav")]


def test_however_often_it_is_killed_nothing_sounds_but_the_programme_in_its_place(day: Day) -> None:
    """So none was played again from its beginning: that would be at another place."""
    box = day.boxes["killed"]
    heard, sent = box.recording(), day.sent(box, "short")
    expected = np.zeros(heard.samples.size)
    for at in day.short:
        begin = heard.at(at)
        expected[begin : begin + sent.size] = sent[: max(expected.size - begin, 0)]
    wrong = (heard.samples > np.maximum(expected, 0) + STEP) | (heard.samples < np.minimum(expected, 0) - STEP)
    assert not wrong.any(), [heard.epoch + timedelta(seconds=int(each) / RATE) for each in np.flatnonzero(wrong)[:3]]
    assert heard.samples.any()


def test_it_misses_nothing_that_begins_and_ends_while_it_has_power(day: Day) -> None:
    box = day.boxes["killed"]
    heard, sent = box.recording(), day.sent(box, "short")
    lives, length = [*lives_of(day)], timedelta(seconds=sent.size / RATE)
    kept = [at for at in day.short if any(up + WARM <= at and at + length + LAG <= down for up, down in lives)]
    print(f"kills={KILLS} seed={SEED} slots={len(day.short)} kept={len(kept)}")
    assert len(kept) >= KILLS // 6
    for at in kept:
        begin = heard.at(at)
        np.testing.assert_allclose(
            heard.samples[begin : begin + sent.size], sent, atol=STEP, err_msg=f"{at} seed={SEED}"
        )


def lives_of(day: Day) -> Iterator[tuple[datetime, datetime]]:
    """Yield from when to when the killed box ran, by its own log; the start of Python takes its time."""
    lines = [line for line in day.boxes["killed"].said.splitlines() if "INFO box up" in line]
    ups = [datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").astimezone(UTC) for line in lines]
    for begin, end in day.lives:
        yield from ((up, end) for up in ups if begin <= up <= end)


def test_its_outbox_is_whole_and_agrees_with_what_the_server_was_told(day: Day) -> None:
    box = day.boxes["killed"]
    path = box.home / "outbox.db"
    with reading(path) as connection:
        assert verify(connection, box.name) == (True, "The chain is whole.")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        ledger = {slot: State(state) for slot, state in connection.execute("SELECT slot, state FROM ledger")}
    assert not list(box.home.glob("outbox.db.broken*"))
    assert "ERROR" not in box.said
    receipts = [each for each in day.town.receipts(box) if "slot" in each]
    assert len({each["id"] for each in receipts}) == len(receipts)
    final = {each["slot"]: State(each["outcome"]) for each in receipts if each["outcome"] in set(FINAL)}
    assert final == ledger
    assert len(final) == len(day.short), "each slot came to an end"
    assert Counter(each["slot"] for each in receipts if each["outcome"] in set(FINAL)).most_common(1)[0][1] == 1
    begun = Counter(each["slot"] for each in receipts if each["outcome"] == "started" and each["offset_s"] == 0)
    assert max(begun.values()) == 1, "none was begun twice from its beginning"
