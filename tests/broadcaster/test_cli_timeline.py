"""``loa timeline``: what an official at the commune's PC sees, before anything is stored and without changing it."""

import json
import os
import string
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from typer.testing import CliRunner, Result

from broadcaster.cli import app
from broadcaster.flow.plan import Window
from broadcaster.listings.asking import LARGEST, language_of, tonight
from broadcaster.listings.words import LEVELS, OUTCOMES, WORDS
from broadcaster.store.records import Sound
from tests.broadcaster.commune import NOW, ready_sound, settings
from tests.broadcaster.conftest import Commune

HOUSE = Path(__file__).parents[2]
NIGHT = {"quiet": [{"start": "21:00", "end": "04:30"}]}
TITLE = "What sounds from {} to {}"


def local(text: str) -> datetime:
    """Return a local time of Trần Đề."""
    return datetime.fromisoformat(f"{text}+07:00")


def held(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def run(
    directory: Path, *arguments: str, at: datetime = NOW, stdin: str | bytes = "", locale: str = "en_US.UTF-8"
) -> Result:
    """Run the command at the time ``at``; whatever it answers, no byte of the data directory may differ."""
    before = held(directory)
    environment = {"LOA_DATA__DIR": str(directory), "LC_ALL": locale}
    result = CliRunner().invoke(app, ["timeline", *arguments], obj=lambda: at, input=stdin, env=environment)
    assert held(directory) == before
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert max(map(len, result.stdout.splitlines()), default=0) <= 80
    return result


def shown(commune: Commune, *arguments: str, status: int = 0, **more: Any) -> str:
    """Return what is printed while the commune's server has its store open, journal and all."""
    result = run(commune.context.settings.data.dir, *arguments, **more)
    assert (result.exit_code, result.stderr) == (status, "")
    return result.stdout


def refused(commune: Commune, *arguments: str, **more: Any) -> str:
    """Return the one line that says why not."""
    result = run(commune.context.settings.data.dir, *arguments, **more)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("loa: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("loa: ").rstrip("\n")


def rule(commune: Commune, zone: str, rules: dict[str, Any]) -> None:
    assert commune.ask("PATCH", f"/zones/{zone}", json={"revision": 1, "rules": rules}).status == 200


@pytest.fixture
def wish(sound: Sound) -> dict[str, Any]:
    return {
        "title": "Bản tin sáng",
        "items": [{"sound": sound.id}],
        "zones": ["tran-de"],
        "recurrence": {"start": "2026-03-03T05:30:00", "rule": "FREQ=DAILY"},
    }


@pytest.fixture
def mistake(wish: dict[str, Any]) -> dict[str, Any]:
    return {**wish, "title": "Nhầm giờ", "recurrence": {"start": "2026-03-04T03:15:00", "rule": "FREQ=DAILY"}}


# What is stored


def test_clusters_that_say_the_same_are_told_once(commune: Commune, wish: dict[str, Any]) -> None:
    commune.post("/programmes", wish)
    evening = {"start": "2026-03-03T17:00:30", "rule": "FREQ=DAILY"}
    commune.post(
        "/programmes", {**wish, "title": "Chùa", "zones": ["ngan-ro"], "recurrence": evening, "tier": "commune"}
    )
    assert shown(commune).splitlines() == [
        TITLE.format("05:00 on 2026-03-03", "05:00 on 2026-03-04"),
        "",
        "Clusters nam-chanh-1, nam-chanh-2",
        "  Tuesday 2026-03-03",
        "    05:30  1 min  routine  Bản tin sáng",
        "",
        "Cluster ngan-ro-1",
        "  Tuesday 2026-03-03",
        "    05:30     1 min  routine  Bản tin sáng",
        "    17:00:30  1 min  routine  Chùa",
    ]
    assert shown(commune, locale="vi_VN.UTF-8").splitlines()[:5] == [
        "Lịch phát từ 05:00 ngày 03/03/2026 đến 05:00 ngày 04/03/2026",
        "",
        "Các cụm loa nam-chanh-1, nam-chanh-2",
        "  Thứ Ba 03/03/2026",
        "    05:30  1 phút  thông thường  Bản tin sáng",
    ]


def test_zones_and_clusters_choose_what_is_told(commune: Commune, wish: dict[str, Any]) -> None:
    commune.post("/programmes", wish)
    assert "Clusters nam-chanh-1, nam-chanh-2\n" in shown(commune, "--zone", "lich-hoi-thuong")
    one = shown(commune, "--cluster", "nam-chanh-2")
    assert "Cluster nam-chanh-2\n" in one
    assert "nam-chanh-1" not in one
    both = shown(commune, "--cluster", "nam-chanh-2", "--zone", "ngan-ro")
    assert "Clusters nam-chanh-2, ngan-ro-1\n" in both


def test_silence_is_told_and_rules_alone_tell_nobody_apart(commune: Commune) -> None:
    rule(commune, "ngan-ro", NIGHT)
    assert shown(commune).splitlines()[2:] == [
        "Clusters nam-chanh-1, nam-chanh-2, ngan-ro-1",
        "    Nothing sounds.",
    ]


def test_it_works_with_the_server_stopped_and_opens_no_journal(commune: Commune, wish: dict[str, Any]) -> None:
    """The fixture's journal is open, so that a second one would be refused; then there is none at all."""
    commune.post("/programmes", wish)
    running = shown(commune)
    directory = commune.context.settings.data.dir
    commune.store.definitions.close()
    commune.store.journal.close()
    for path in directory.glob("journal*"):
        path.unlink()
    assert run(directory).stdout == running


def test_what_is_moved_is_told_with_its_reason(commune: Commune, wish: dict[str, Any]) -> None:
    commune.post("/programmes", {**wish, "title": "Thể dục", "zones": ["ngan-ro"]})
    commune.post("/programmes", {**wish, "level": "priority"})
    assert shown(commune, "--cluster", "ngan-ro-1").splitlines()[2:] == [
        "Cluster ngan-ro-1",
        "  Tuesday 2026-03-03",
        "    05:30  1 min  priority  Bản tin sáng",
        "    05:31  1 min  routine   Thể dục",
        "  Otherwise than meant:",
        "    “Thể dục”: Heard at 05:31 instead of 05:30 on 2026-03-03, because “Bản tin",
        "      sáng” (05:30) has the air then; choose another time if this will not do.",
    ]


def test_what_a_rule_stops_is_told_and_counted_where_it_repeats(commune: Commune, wish: dict[str, Any]) -> None:
    often = {"start": "2026-03-03T00:00:00", "rule": "FREQ=HOURLY"}
    commune.post("/programmes", {**wish, "title": "Nhắc", "recurrence": often})
    rule(commune, "tran-de", NIGHT)
    told = shown(commune, locale="vi")
    assert "  Bị quy định địa phương chặn:\n" in told
    assert told.count("khu vực giữ yên lặng") == 3, "21, 22 and 23 o'clock"
    assert "    “Nhắc”: thêm 5 lần như vậy, lần cuối lúc 04:00 ngày 04/03/2026.\n" in told


def test_an_emergency_at_night_is_told_to_pass(commune: Commune, wish: dict[str, Any]) -> None:
    rule(commune, "tran-de", NIGHT)
    at_night = {"start": "2026-03-04T02:00:00"}
    commune.post("/programmes", {**wish, "level": "emergency", "reason": "Vỡ đê", "recurrence": at_night})
    told = shown(commune)
    assert "    02:00  1 min  emergency  Bản tin sáng\n  Emergencies that pass local rules:\n" in told
    assert "it may pass the rules on quiet hours" in " ".join(told.split())


def test_an_open_question_is_told_with_its_deadline_and_then_as_decided(commune: Commune, wish: dict[str, Any]) -> None:
    both = {**wish, "level": "priority", "recurrence": {"start": "2026-03-03T17:00:00"}}
    commune.post("/programmes", {**both, "title": "Của xã"})
    commune.post("/programmes", {**both, "title": "Của tỉnh", "tier": "province"})
    told = shown(commune)
    assert "  Waiting for a decision:\n" in told
    assert "has to decide by 16:00 on 2026-03-03 whether" in " ".join(told.split())
    late = shown(commune, at=local("2026-03-03T16:30"))
    assert "Waiting" not in late
    assert "  Otherwise than meant:\n    “Của tỉnh”: Heard at 17:01 instead of 17:00" in late


def test_a_title_cannot_steer_the_terminal_or_break_its_columns(commune: Commune, wish: dict[str, Any]) -> None:
    taken_apart = normalize("NFD", "Tiếng Việt")
    commune.post("/programmes", {**wish, "title": f"Tin\x1b[2J\u202egian {taken_apart}"})
    told = shown(commune)
    assert "Tin [2J gian Tiếng Việt" in told
    assert all(each.isprintable() or each == "\n" for each in told)


# Times


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        ("2026-03-03T17:00", "18:00 on 2026-03-03", "06:00 on 2026-03-04"),
        ("2026-03-03T20:00", "20:00 on 2026-03-03", "06:00 on 2026-03-04"),
        ("2026-03-03T23:59:59", "23:59:59 on 2026-03-03", "06:00 on 2026-03-04"),
        ("2026-03-04T02:00", "02:00 on 2026-03-04", "06:00 on 2026-03-04"),
        ("2026-03-04T06:00", "18:00 on 2026-03-04", "06:00 on 2026-03-05"),
    ],
)
def test_tonight_lasts_until_six(commune: Commune, wish: dict[str, Any], now: str, start: str, end: str) -> None:
    commune.post("/programmes", wish)
    told = shown(commune, "--tonight", at=local(now))
    assert told.splitlines()[0] == TITLE.format(start, end)
    assert told.count("05:30  1 min") == 1


def test_tonight_is_told_by_the_clock_on_the_wall_where_summer_time_ends() -> None:
    berlin = settings(Path(), station={"time_zone": "Europe/Berlin"}).station.zone
    window = tonight(berlin, datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert window == Window(start=datetime(2026, 10, 24, 16, tzinfo=UTC), end=datetime(2026, 10, 25, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    ("arguments", "start", "end"),
    [
        (["--from", "2026-03-05"], "00:00 on 2026-03-05", "00:00 on 2026-03-06"),
        (["--from", "2026-03-05T17:30", "--to", "19:00"], "17:30 on 2026-03-05", "19:00 on 2026-03-05"),
        (["--from", "22:00", "--to", "6:00"], "22:00 on 2026-03-03", "06:00 on 2026-03-04"),
        (["--to", "05:00"], "05:00 on 2026-03-03", "05:00 on 2026-03-04"),
        (["--to", "2026-03-03T00:00:00Z"], "05:00 on 2026-03-03", "07:00 on 2026-03-03"),
    ],
)
def test_times_are_local_and_a_mere_end_is_the_next_one(
    commune: Commune, arguments: list[str], start: str, end: str
) -> None:
    assert shown(commune, *arguments).splitlines()[0] == TITLE.format(start, end)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "vi_VN.UTF-8"}, "vi"),
        ({"LANG": "vi_VN.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "vi"}, "vi"),
        ({"LANG": "vi_VN", "LC_ALL": ""}, "vi"),
        ({"LANG": "vic_US.UTF-8"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_locale_chooses_the_language(environment: dict[str, str], language: str) -> None:
    assert language_of(environment) == language


def test_the_option_wins_over_the_locale(commune: Commune) -> None:
    assert shown(commune, "--language", "vi").startswith("Lịch phát")
    assert shown(commune, "--language", "en", locale="vi_VN").startswith("What sounds")


# A programme that is tried


def test_a_mistake_at_0315_is_seen_before_it_wakes_anybody(
    commune: Commune, mistake: dict[str, Any], tmp_path: Path
) -> None:
    """Trung Lộc, 5 December 2025."""
    rule(commune, "tran-de", NIGHT)
    file = tmp_path / "programme.json"
    file.write_text(json.dumps(mistake), encoding="utf-8")
    evening = local("2026-03-03T20:00")
    assert shown(commune, "--tonight", "--with", str(file), status=3, at=evening).splitlines() == [
        "Tried, and not stored: “Nhầm giờ”, 1 min each time.",
        "When: at 3:15 every day.",
        "Next: at 03:15 on 2026-03-04.",
        "",
        TITLE.format("20:00 on 2026-03-03", "06:00 on 2026-03-04"),
        "",
        "Clusters nam-chanh-1, nam-chanh-2, ngan-ro-1",
        "    Nothing sounds.",
        "  Against now:",
        "    “Nhầm giờ”: Not heard at 03:15 on 2026-03-04, because the zone is quiet from",
        "      21:00 to 04:30; choose a time outside these hours.",
        "",
        "Counted on each cluster, until 00:00 on 2026-03-11: 21 not heard.",
        "No time of it would be heard there.",
    ]
    told = shown(commune, "--tonight", "--with", str(file), status=3, at=evening, locale="vi_VN.UTF-8").splitlines()
    assert told[:3] == [
        "Xem thử, chưa lưu: “Nhầm giờ”, mỗi lần 1 phút.",
        "Lịch: 3:15 hằng ngày.",
        "Lần tới: 03:15 ngày 04/03/2026.",
    ]
    assert told[-6:] == [
        "  So với hiện nay:",
        "    “Nhầm giờ”: Không phát lúc 03:15 ngày 04/03/2026 vì khu vực giữ yên lặng từ",
        "      21:00 đến 04:30; hãy chọn giờ khác ngoài khoảng này.",
        "",
        "Tính trên từng cụm loa, đến 00:00 ngày 11/03/2026: 21 lần không phát.",
        "Không phát được lần nào ở đó.",
    ]


def test_what_it_adds_and_pushes_aside_is_told(commune: Commune, wish: dict[str, Any]) -> None:
    trim = {"if_taken": {"action": "trim"}, "recurrence": {"start": "2026-03-03T05:29:30"}}
    drop = {"if_taken": {"action": "drop"}, "recurrence": {"start": "2026-03-03T05:30:15"}}
    other = {**wish, "zones": ["ngan-ro"]}
    commune.post("/programmes", {**other, "title": "Ngắn lại", **trim})
    commune.post("/programmes", {**other, "title": "Bỏ", **drop, "clusters": ["nam-chanh-1"]})
    late = ready_sound(commune.store, commune.library, "late", seconds=30)
    move = {"items": [{"sound": late.id}], "recurrence": {"start": "2026-03-03T05:30:50"}}
    commune.post("/programmes", {**other, "title": "Dời", **move, "clusters": ["nam-chanh-2"]})
    told = shown(commune, "--zone", "nam-chanh", "--with", "-", stdin=json.dumps({**wish, "level": "priority"}))
    body = told.split("\n\n")
    assert body[2].splitlines() == [
        "Cluster nam-chanh-1",
        "  Tuesday 2026-03-03",
        "    05:30  1 min  priority  Bản tin sáng",
        "  Against now:",
        "  Tuesday 2026-03-03",
        "  + 05:30     1 min  priority  Bản tin sáng",
        "  - 05:30:15  1 min  routine   Bỏ",
        "    “Bỏ”: Not heard at 05:30:15 on 2026-03-03, because “Bản tin sáng” (05:30)",
        "      has the air then; choose another time if this will not do.",
    ]
    assert body[3].splitlines() == [
        "Cluster nam-chanh-2",
        "  Tuesday 2026-03-03",
        "    05:30  1 min  priority  Bản tin sáng",
        "    05:31  30 s   routine   Dời",
        "  Against now:",
        "  Tuesday 2026-03-03",
        "  + 05:30             1 min  priority  Bản tin sáng",
        "  ~ 05:30:50 → 05:31  30 s   routine   Dời",
        "    “Dời”: Heard at 05:31 instead of 05:30:50 on 2026-03-03, because “Bản tin",
        "      sáng” (05:30) has the air then; choose another time if this will not do.",
    ]
    assert body[4] == "Counted on each cluster, until 00:00 on 2026-03-11: 16 heard as asked.\n"


def test_changes_are_told_by_time_and_from_what_to_what(commune: Commune, wish: dict[str, Any]) -> None:
    stored = {
        "Bỏ": {"if_taken": {"action": "drop"}, "recurrence": {"start": "2026-03-03T05:30:15"}},
        "Cắt": {"if_taken": {"action": "trim"}, "recurrence": {"start": "2026-03-03T17:29:30"}},
        "Khuya": {"recurrence": {"start": "2026-03-03T23:59:30"}},
    }
    for title, how in stored.items():
        commune.post("/programmes", {**wish, "title": title, **how})
    thrice = {"start": "2026-03-03T05:30:00", "added": ["2026-03-03T17:30:00", "2026-03-03T23:59:00"]}
    wanted = json.dumps({**wish, "level": "priority", "recurrence": thrice})
    told = shown(commune, "--with", "-", stdin=wanted)
    assert told.partition("Against now:\n")[2].splitlines()[:8] == [
        "  Tuesday 2026-03-03",
        "  + 05:30                           1 min         priority  Bản tin sáng",
        "  - 05:30:15                        1 min         routine   Bỏ",
        "  ~ 17:29:30                        1 min → 30 s  routine   Cắt",
        "  + 17:30                           1 min         priority  Bản tin sáng",
        "  + 23:59                           1 min         priority  Bản tin sáng",
        "  Wednesday 2026-03-04",
        "  ~ 23:59:30 on 2026-03-03 → 00:00  1 min         routine   Khuya",
    ]


def test_what_does_not_change_is_told_apart_from_what_does(commune: Commune, mistake: dict[str, Any]) -> None:
    """Each reason is told once: above what is so already, below what would be new."""
    rule(commune, "tran-de", NIGHT)
    stored = {**mistake, "title": "Cũ", "recurrence": {"start": "2026-03-03T00:00:00", "rule": "FREQ=HOURLY"}}
    commune.post("/programmes", stored)
    told = shown(commune, "--cluster", "ngan-ro-1", "--with", "-", stdin=json.dumps(mistake), status=3)
    before, _, after = told.partition("  Against now:\n")
    assert ("“Cũ”: Not heard" in before, "“Nhầm giờ”: Not heard" in before) == (True, False)
    assert ("“Cũ”" in after, "“Nhầm giờ”: Not heard" in after) == (False, True)


def test_what_is_tried_is_what_happens(commune: Commune, wish: dict[str, Any]) -> None:
    """What is listed with a programme is what is listed once it is stored; and a preview counts the same."""
    rule(commune, "ngan-ro", {"quiet": [{"start": "05:00", "end": "05:31"}]})
    commune.post("/programmes", {**wish, "title": "Thể dục"})
    wanted = {**wish, "level": "priority"}
    when = ("--from", "2026-03-03", "--to", "2026-03-11")
    groups = listed(shown(commune, *when, "--with", "-", stdin=json.dumps(wanted)))
    marks = Counter[str]()
    for clusters, _, changes in groups:
        for line in changes:
            marks[line[2]] += len(clusters)
    preview = commune.post("/programmes/preview", wanted, expect=200)["summary"]
    assert (marks["+"], marks["-"], marks["~"]) == (preview["added"], preview["removed"], preview["changed"])
    assert (marks["+"], marks["~"]) == (16, 16), "eight mornings on two clusters"
    commune.post("/programmes", wanted)
    assert [(clusters, slots) for clusters, slots, _ in listed(shown(commune, *when))] == [
        (clusters, slots) for clusters, slots, _ in groups
    ]


def listed(told: str) -> list[tuple[list[str], list[str], list[str]]]:
    """Return of each group its clusters, what sounds there, and what changes there."""
    groups = []
    for part in told.split("\n\n"):
        heading, *lines = part.splitlines()
        if heading.startswith("Cluster"):
            border = lines.index("  Against now:") if "  Against now:" in lines else len(lines)
            slots, changes = ([line for line in half if "1 min" in line] for half in (lines[:border], lines[border:]))
            groups.append((heading.split(" ", 1)[1].split(", "), slots, changes))
    return groups


def test_words_that_are_not_spoken_yet_are_estimated(commune: Commune, wish: dict[str, Any]) -> None:
    told = shown(commune, "--with", "-", stdin=json.dumps({**wish, "items": [{"text": "Mời bà con đi họp."}]}))
    assert told.startswith("Tried, and not stored: “Bản tin sáng”, about 4 s each time (not prepared yet).\n")


def test_what_is_far_off_is_told_and_can_be_looked_at(commune: Commune, mistake: dict[str, Any]) -> None:
    rule(commune, "tran-de", NIGHT)
    june = json.dumps({**mistake, "recurrence": {"start": "2026-06-01T03:15:00"}})
    told = shown(commune, "--with", "-", stdin=june)
    assert "Next: at 03:15 on 2026-06-01.\n" in told
    assert "    Nothing changes.\n" in told
    assert told.endswith("It asks for no air until 00:00 on 2026-03-11.\n")
    there = shown(commune, "--from", "2026-06-01", "--with", "-", stdin=june, status=3)
    assert "“Nhầm giờ”: Not heard at 03:15 on 2026-06-01" in there


def test_what_is_stopped_now_and_heard_later_is_no_failure(commune: Commune, wish: dict[str, Any]) -> None:
    rule(commune, "tran-de", {"weekdays": [5]})
    told = shown(commune, "--with", "-", stdin=json.dumps(wish), locale="vi")
    assert "“Bản tin sáng”: Không phát lúc 05:30 ngày 03/03/2026" in told
    assert told.endswith(": 3 lần đúng giờ, 21 lần không\nphát.\n")


def test_clusters_that_it_does_not_reach_are_told(commune: Commune, wish: dict[str, Any]) -> None:
    elsewhere = json.dumps({**wish, "zones": ["nam-chanh"]})
    told = shown(commune, "--cluster", "ngan-ro-1", "--with", "-", stdin=elsewhere)
    assert told.endswith("    Nothing changes.\n\nIt reaches none of these clusters.\n")


def test_a_file_of_notepad_is_read(commune: Commune, wish: dict[str, Any]) -> None:
    """It begins with a byte order mark."""
    assert shown(commune, "--with", "-", stdin=json.dumps(wish).encode("utf-8-sig")).startswith("Tried")


# What cannot be


@pytest.mark.parametrize(
    ("arguments", "english", "vietnamese"),
    [
        (["--cluster", "nowhere"], "nowhere", "Không có cụm loa “nowhere”; hãy chọn cụm có sẵn."),
        (["--zone", "nowhere"], "nowhere", "Không có khu vực “nowhere”; hãy chọn khu vực có sẵn hoặc thêm trước."),
        (["--from", "soon"], "--from 'soon' is no time; give 2026", "--from 'soon' không phải thời điểm; hãy ghi"),
        (["--to", "25:00"], "--to '25:00' is no time", "--to '25:00' không phải thời điểm"),
        (["--from", "9999-12-31"], "is no time", "không phải thời điểm"),
        (["--from", "2026-03-05", "--to", "2026-03-04"], "ends before it begins", "kết thúc trước khi bắt đầu"),
        (["--to", "2026-05-01"], "at most 31 days", "nhiều nhất 31 ngày"),
        (["--tonight", "--to", "07:00"], "leave out --from and --to", "hãy bỏ --from và --to"),
        (["--with", "no-such-file.json"], "no-such-file.json cannot be read", "Không đọc được no-such-file.json"),
        (["--with", "."], ". cannot be read: Is a directory", "Không đọc được .: Is a directory"),
        (["--with", "a\0b"], "cannot be read", "Không đọc được"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(
    commune: Commune, arguments: list[str], english: str, vietnamese: str
) -> None:
    assert english in refused(commune, *arguments)
    assert vietnamese in refused(commune, *arguments, locale="vi_VN.UTF-8")


def test_a_wrong_field_is_told_in_the_language_of_the_asker(commune: Commune, wish: dict[str, Any]) -> None:
    wrong = {"level": "loud", "items": [], "titel": "x", **{name: wish[name] for name in ("zones", "recurrence")}}
    told = refused(commune, "--with", "-", stdin=json.dumps(wrong), locale="vi_VN.UTF-8")
    assert told == (
        "stdin có 4 trường không đúng: title: thiếu trường này; "
        "level: phải là một trong: 'emergency', 'priority' hoặc 'routine'; items: cần ít nhất 1 mục. "
        "Hãy sửa rồi thử lại."
    )
    assert "title: Field required; level: Input should be 'emergency'" in refused(
        commune, "--with", "-", stdin=json.dumps(wrong)
    )


@pytest.mark.parametrize(
    ("content", "english"),
    [
        (
            b"",
            "stdin is not JSON: Expecting value: line 1 column 1 (char 0); write it as the body of POST",
        ),
        (b"{'title': 1}", "stdin is not JSON"),
        (b"\xff\xfe{}", "stdin is not JSON"),
        (b"[" * 100_000, "stdin is not JSON"),
        (b" " * (LARGEST + 1), f"stdin is longer than {LARGEST} bytes; give a file with one programme in JSON."),
        (b"[]", "stdin has 1 wrong field(s): Input should be a valid dictionary"),
        (b"{}", "wrong field(s): title: Field required"),
    ],
)
def test_what_is_no_programme_is_refused_in_one_line(commune: Commune, content: bytes, english: str) -> None:
    assert english in refused(commune, "--with", "-", stdin=content)
    assert "hãy" in refused(commune, "--with", "-", stdin=content, locale="vi").lower()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"surprise": 1}, "surprise: Extra inputs are not permitted. Correct them and try again."),
        ({"items": [{}]}, "items.0: Value error, give either a sound or a text"),
        ({"zones": ["nowhere"]}, "nowhere"),
        ({"zones": []}, "reach no loudspeaker; choose others"),
        ({"items": [{"sound": "0" * 64}]}, "There is no"),
        ({"items": [{"text": " "}]}, "text"),
        ({"recurrence": {"start": "2026-03-01T05:00:00"}}, "choose a later one"),
        ({"recurrence": {"start": "2026-03-04T05:00:00", "rule": "FREQ=SOMETIMES"}}, "SOMETIMES"),
        ({"level": "emergency"}, "say why it is one"),
        ({"tier": "huyện"}, "There is no tier 'huyện' here"),
    ],
)
def test_a_programme_that_makes_no_sense_is_refused_as_the_api_does(
    commune: Commune, wish: dict[str, Any], change: dict[str, Any], told: str
) -> None:
    stdin = json.dumps({**wish, **change})
    assert told in refused(commune, "--with", "-", stdin=stdin)
    answer = commune.ask("POST", "/programmes/preview", json={**wish, **change}, headers={"Accept-Language": "vi"})
    vietnamese = refused(commune, "--with", "-", stdin=stdin, locale="vi_VN.UTF-8")
    assert answer.status in (404, 422)
    assert answer.json()["code"] == "bad_request" or vietnamese == answer.json()["detail"]


def test_another_language_is_refused(commune: Commune) -> None:
    assert refused(commune, "--language", "fr") == "there is no language 'fr' here; take vi or en"


@pytest.mark.parametrize("made", [True, False])
def test_an_empty_or_missing_data_directory_is_told_and_not_made(tmp_path: Path, made: bool) -> None:
    directory = tmp_path / "elsewhere"
    if made:
        directory.mkdir()
    result = run(directory)
    assert (result.exit_code, result.stderr) == (
        2,
        f"loa: There is nothing in the data directory {directory}; give the settings of your server with --config, "
        "or set LOA_DATA__DIR.\n",
    )
    assert list(tmp_path.rglob("*")) == ([directory] if made else [])


def test_a_data_directory_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 100)
    with pytest.raises(OSError, match="too long"):
        directory.exists()
    environment = {"LOA_DATA__DIR": str(directory), "LC_ALL": "en"}
    result = CliRunner().invoke(app, ["timeline"], env=environment)
    assert result.exit_code == 2
    assert result.stderr.endswith("cannot be read: File name too long; run this as the user that runs the server.\n")


def test_a_damaged_store_is_told(commune: Commune) -> None:
    file = commune.context.settings.data.dir / "definitions.json"
    file.write_bytes(file.read_bytes()[:-20])
    assert "is torn or was changed by hand" in refused(commune)


def test_a_commune_without_clusters_is_told_so(commune: Commune) -> None:
    for cluster in commune.get("/clusters")["items"]:
        commune.store.definitions.clusters.remove(cluster["id"])
    assert shown(commune).splitlines()[2] == "There are no clusters yet; add them through the API (POST /clusters)."


# The command itself


def test_a_process_of_its_own_reads_the_clock_and_the_locale(commune: Commune, wish: dict[str, Any]) -> None:
    """Run as an official would, or a timer: with the real clock, in Vietnamese, and with standard input closed."""
    commune.post("/programmes", {**wish, "recurrence": {"start": "2026-03-03T00:00:00", "rule": "FREQ=HOURLY"}})
    directory = commune.context.settings.data.dir
    before = held(directory)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LOA_", "LC_"))}
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -m broadcaster.cli timeline --tonight <&-', sys.executable],
        env={**inherited, "PYTHONPATH": str(HOUSE), "LOA_DATA__DIR": str(directory), "LANG": "vi_VN.UTF-8"},
        capture_output=True,
        timeout=30,
        cwd=directory.parent,
    )
    told = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert told.startswith("Lịch phát từ ")
    assert "  thông thường  Bản tin sáng\n" in told
    assert held(directory) == before


# Words


def test_both_languages_have_the_same_words_and_facts() -> None:
    def facts(words: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(words) if name}

    assert list(WORDS["vi"]) == list(WORDS["en"])
    assert {key: facts(words) for key, words in WORDS["vi"].items()} == {
        key: facts(words) for key, words in WORDS["en"].items()
    }
    assert list(LEVELS["vi"]) == list(LEVELS["en"])
    assert list(OUTCOMES["vi"]) == list(OUTCOMES["en"])
