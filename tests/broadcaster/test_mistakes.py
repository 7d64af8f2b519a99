"""What is wrong with a field, or a part of a recurrence, is told in Vietnamese as exactly as in English."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from broadcaster.api.clusters import NewCluster
from broadcaster.api.mistakes import field_mistake, recurrence_mistake
from broadcaster.api.problems import PROBLEMS, sentence
from broadcaster.api.programmes import NewProgramme
from broadcaster.api.rules import RulesBody
from broadcaster.store.records import Sound
from schedules.rrule import RecurrenceError, parse
from tests.broadcaster.conftest import Commune

START = "2026-03-04T05:00:00"
EVERY = {"minutes": 30, "first": "05:00", "last": "17:00"}

RULES = [
    ("FREQ=DAILY;BYHOUR=25", "Phần BYHOUR=25", "các số nguyên từ 0 đến 23"),
    ("FREQ=DAILY;BYMINUTE=60", "Phần BYMINUTE=60", "từ 0 đến 59"),
    ("FREQ=DAILY;BYSECOND=60", "Phần BYSECOND=60", "từ 0 đến 59"),
    ("FREQ=WEEKLY;BYDAY=1MO", "Phần BYDAY=1MO", "chỉ dùng cùng FREQ=MONTHLY"),
    ("RSCALE=VIETNAMESE;FREQ=MONTHLY;BYDAY=1MO", "Phần BYDAY=1MO", "không dùng cùng RSCALE=VIETNAMESE"),
    ("FREQ=DAILY;BYDAY=THU", "Phần BYDAY=THU", "ghi các ngày như MO,FR"),
    ("FREQ=DAILY;COUNT=3;UNTIL=20261231", "Phần COUNT=3", "chỉ giữ một"),
    ("FREQ=DAILY;COUNT=0", "Phần COUNT=0", "từ 1 đến 100000"),
    ("FREQ=DAILY;UNTIL=tomorrow", "Phần UNTIL=TOMORROW", "20271231T235959"),
    ("FREQ=DAILY;INTERVAL=0", "Phần INTERVAL=0", "từ 1 đến 100000"),
    ("FREQ=SOMETIMES", "Phần FREQ=SOMETIMES", "YEARLY, MONTHLY"),
    ("BYHOUR=5", "Phần FREQ của", "phải có đúng một lần"),
    ("FREQ=DAILY;WKST=XX", "Phần WKST=XX", "MO, TU"),
    ("RSCALE=CHINESE;FREQ=DAILY", "Phần RSCALE=CHINESE", "GREGORIAN hoặc VIETNAMESE"),
    ("FREQ=DAILY;SKIP=OMIT", "Phần SKIP=OMIT", "chỉ dùng cùng RSCALE"),
    ("FREQ=YEARLY;BYMONTH=13", "Phần BYMONTH=13", "từ 1 đến 12"),
    ("FREQ=YEARLY;BYMONTH=5L", "Phần BYMONTH=5L", "tháng nhuận như 5L chỉ dùng cùng RSCALE=VIETNAMESE"),
    ("FREQ=MONTHLY;BYWEEKNO=1", "Phần BYWEEKNO=1", "chỉ dùng cùng FREQ=YEARLY"),
    ("FREQ=DAILY;BYYEARDAY=1", "Phần BYYEARDAY=1", "không dùng cùng FREQ=MONTHLY, WEEKLY hay DAILY"),
    ("FREQ=WEEKLY;BYMONTHDAY=1", "Phần BYMONTHDAY=1", "không dùng cùng FREQ=WEEKLY"),
    ("RSCALE=VIETNAMESE;FREQ=MONTHLY;BYMONTHDAY=31", "Phần BYMONTHDAY=31", "âm lịch nhiều nhất 30"),
    ("FREQ=DAILY;BYSETPOS=1", "Phần BYSETPOS=1", "cần một phần BY khác"),
    ("FREQ=DAILY;BYHOUR=5;BYHOUR=6", "Phần BYHOUR có 2 lần", "chỉ giữ một"),
    ("FREQ=DAILY;BYEASTER=1", "“BYEASTER” không phải là phần", "BYSETPOS"),
    ("FREQ=DAILY; BYHOUR=5", "Quy tắc lặp không đọc được", "RFC 5545"),
]


@pytest.mark.parametrize(("rule", "part", "expected"), RULES, ids=[rule for rule, _, _ in RULES])
def test_the_part_of_a_rule_is_named_with_what_it_should_be(rule: str, part: str, expected: str) -> None:
    with pytest.raises(RecurrenceError) as refused:
        parse(rule)
    told = sentence(refused.value.code, refused.value.fields, "vi", str(refused.value))
    assert told.startswith(part)
    assert expected in told
    assert told.endswith(".")
    assert sentence(refused.value.code, refused.value.fields, "en", str(refused.value)) == str(refused.value)


RECURRENCES: list[tuple[dict[str, Any] | str, str, str]] = [
    ({"rule": "FREQ=SECONDLY"}, "too_often", "FREQ=SECONDLY có thể phát mỗi giây"),
    ({"rule": "FREQ=DAILY;BYSECOND=1,2"}, "too_often", "BYSECOND có nhiều giây"),
    ({"rule": "FREQ=MINUTELY"}, "too_often", "Lịch này phát hơn 300 lần trong một ngày"),
    ({"every": {**EVERY, "minutes": 0}}, "too_often", "“every” cách nhau dưới một phút"),
    ({"every": {**EVERY, "minutes": 1441}}, "bad_every", "Số phút (minutes) của “every” dài hơn một ngày"),
    ({"every": {**EVERY, "last": "04:00"}}, "bad_every", "Giờ cuối (last) của “every” trước giờ đầu (first)"),
    ({"every": EVERY, "rule": "FREQ=HOURLY"}, "bad_every", "hãy dùng FREQ=DAILY hoặc bỏ “every”"),
    ({"every": EVERY, "rule": "FREQ=DAILY;BYMINUTE=5"}, "bad_every", "BYMINUTE và “every” cùng nói giờ trong ngày"),
    ({"duration": 0.5}, "bad_duration", "Thời lượng (duration) 0.5 giây không phải số nguyên giây"),
    ({"duration": 90_000}, "bad_duration", "từ 1 giây đến một ngày"),
    ({"start": "1960-01-01T05:00:00"}, "bad_start", "Thời điểm bắt đầu (start) 1960-01-01T05:00:00"),
    ({"added": ["1960-01-01T05:00:00"]}, "bad_start", "Giờ thêm (added) 1960-01-01T05:00:00"),
    ({"start": "2900-01-01T05:00:00", "rule": "RSCALE=VIETNAMESE;FREQ=DAILY"}, "bad_start", "với RSCALE=VIETNAMESE từ"),
    ({"added": [START] * 401}, "too_many_exclusions", "Nhiều hơn 400 giờ được thêm (added)"),
    ({"except": [START] * 401}, "too_many_exclusions", "Nhiều hơn 400 lần bị bỏ qua (except)"),
    ({"except": [START[:10]] * 401}, "too_many_exclusions", "Nhiều hơn 400 ngày bị bỏ qua (except)"),
    ({"rule": "FREQ=DAILY;COUNT=2", "until": "2027-01-01T00:00:00"}, "bad_rule", "Phần COUNT=2"),
    ("DTSTART:20261123T050000\nRULE:FREQ=DAILY", "bad_text", "Dòng 2 của lịch dạng văn bản"),
    ("RRULE:FREQ=DAILY", "bad_text", "thiếu dòng DTSTART"),
]


@pytest.mark.parametrize(("recurrence", "code", "expected"), RECURRENCES)
def test_the_part_of_a_recurrence_is_named(
    commune: Commune, sound: Sound, recurrence: dict[str, Any] | str, code: str, expected: str
) -> None:
    said = {"recurrence_text": recurrence}
    if not isinstance(recurrence, str):
        said = {"recurrence": {"start": START, **recurrence}}
    wish = {"title": "x", "items": [{"sound": sound.id}], "zones": ["tran-de"], **said}
    commune.refused("POST", "/programmes", 422, code, json=wish)
    told = commune.ask("POST", "/programmes", json=wish, headers={"Accept-Language": "vi"}).json()["detail"]
    assert expected in told
    assert told.endswith(".")


def test_where_no_part_is_known_the_general_sentence_stands() -> None:
    assert recurrence_mistake("no_items", {"part": "x"}) is None
    assert recurrence_mistake("bad_text", {}) is None
    assert sentence("bad_rule", {"rule": "x", "part": None}, "vi") == PROBLEMS["bad_rule"].vi
    assert sentence("too_often", {}, "vi") == PROBLEMS["too_often"].vi


FIELDS: list[tuple[type[Any], dict[str, Any], str, str]] = [
    (NewCluster, {"name": "x", "zone": "z"}, "id", "thiếu trường này"),
    (NewCluster, {"id": "a", "name": "x", "zone": "z", "colour": 1}, "colour", "không có trường này"),
    (NewCluster, {"id": "a", "name": " ", "zone": "z"}, "name", "cần ít nhất 1 ký tự"),
    (NewCluster, {"id": "a", "name": "x" * 201, "zone": "z"}, "name", "dài quá 200 ký tự"),
    (NewCluster, {"id": "a", "name": 5, "zone": "z"}, "name", "phải là văn bản"),
    (NewCluster, {"id": "a", "name": "x", "zone": "z", "volume": 101}, "volume", "nhiều nhất là 100"),
    (NewCluster, {"id": "a", "name": "x", "zone": "z", "volume": -1}, "volume", "phải từ 0 trở lên"),
    (NewCluster, {"id": "a", "name": "x", "zone": "z", "volume": "x"}, "volume", "phải là số nguyên"),
    (NewCluster, {"id": "a", "name": "x", "zone": "z", "tags": ["x"] * 51}, "tags", "nhiều hơn 50 mục"),
    (NewCluster, {"id": "a", "name": "x", "zone": "z", "tags": 5}, "tags", "phải là danh sách"),
    (NewCluster, {"id": "a", "name": "x", "zone": "z", "location": 5}, "location", "phải là đối tượng JSON"),
    (RulesBody, {"gap": 0}, "gap", "phải lớn hơn 0"),
    (NewProgramme, {"level": "loud"}, "level", "phải là một trong: 'emergency', 'priority' hoặc 'routine'"),
    (NewProgramme, {"items": []}, "items", "cần ít nhất 1 mục"),
    (NewProgramme, {"recurrence": {"start": "soon"}}, "recurrence.start", "không phải ngày giờ đọc được"),
    (NewProgramme, {"items": [{}]}, "items.0", "giá trị không hợp lệ (Value error, give either a sound or a text)"),
]


@pytest.mark.parametrize(("model", "said", "where", "expected"), FIELDS)
def test_a_wrong_field_is_told_in_vietnamese(model: type[Any], said: dict[str, Any], where: str, expected: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(model).validate_python(said)
    wrong = {".".join(map(str, each["loc"])): each for each in refused.value.errors()}
    assert field_mistake(wrong[where], "vi").startswith(expected)
    assert field_mistake(wrong[where], "en") == wrong[where]["msg"]
