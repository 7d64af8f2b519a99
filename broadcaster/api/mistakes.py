"""What is wrong with one field, or with one part of a recurrence, and what to do, in Vietnamese.

English has the sentences of the errors themselves; these are made of the same facts.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from schedules.lunar import FIRST_DAY, LAST_DAY
from schedules.recurrence_check import MOST_A_DAY
from schedules.rrule import Frequency

_FIELDS: Final[Mapping[str, str]] = {
    "missing": "thiếu trường này",
    "extra_forbidden": "không có trường này",
    "string_too_short": "cần ít nhất {min_length} ký tự",
    "string_too_long": "dài quá {max_length} ký tự",
    "string_pattern_mismatch": "không đúng dạng {pattern}",
    "string_type": "phải là văn bản",
    "too_short": "cần ít nhất {min_length} mục",
    "too_long": "nhiều hơn {max_length} mục",
    "greater_than": "phải lớn hơn {gt}",
    "greater_than_equal": "phải từ {ge} trở lên",
    "less_than": "phải nhỏ hơn {lt}",
    "less_than_equal": "nhiều nhất là {le}",
    "literal_error": "phải là một trong: {expected}",
    "enum": "phải là một trong: {expected}",
    "timezone_aware": "cần múi giờ, ví dụ 2026-12-24T05:00:00+07:00",
    "json_invalid": "không phải JSON đọc được",
}
"""By the type of pydantic's error, over its context."""
_KINDS: Final = (
    ("int", "phải là số nguyên"),
    ("float", "phải là số"),
    ("finite", "phải là số"),
    ("bool", "phải là true hoặc false"),
    ("date", "không phải ngày giờ đọc được, ví dụ 2026-12-24T05:00:00"),
    ("tuple", "phải là danh sách"),
    ("list", "phải là danh sách"),
    ("model", "phải là đối tượng JSON"),
    ("dict", "phải là đối tượng JSON"),
)
"""The same by what the type begins with."""

_WHOLE: Final = "các số nguyên từ {} đến {}, cách nhau bằng dấu phẩy"
_FROM_END: Final = _WHOLE + ", hoặc số âm để đếm từ cuối"
_NOT_LUNAR: Final = "không dùng cùng RSCALE=VIETNAMESE"
_RULE_PARTS: Final[Mapping[str, str]] = {
    "FREQ": f"phải có đúng một lần, là một trong {', '.join(Frequency)}",
    "INTERVAL": "là một số nguyên từ 1 đến 100000",
    "COUNT": "là một số nguyên từ 1 đến 100000; COUNT, UNTIL và “until” đều nói khi nào dừng, chỉ giữ một",
    "UNTIL": "ghi 20271231T235959 (giờ địa phương), 20271231T165959Z (giờ UTC) hoặc 20271231 (hết ngày đó); "
    "COUNT, UNTIL và “until” đều nói khi nào dừng, chỉ giữ một",
    "WKST": "là một trong MO, TU, WE, TH, FR, SA, SU",
    "RSCALE": "là GREGORIAN hoặc VIETNAMESE",
    "SKIP": "là OMIT, BACKWARD hoặc FORWARD, và chỉ dùng cùng RSCALE",
    "BYMONTH": "là các số từ 1 đến 12, cách nhau bằng dấu phẩy; tháng nhuận như 5L chỉ dùng cùng RSCALE=VIETNAMESE",
    "BYWEEKNO": f"là {_FROM_END.format(1, 53)}; chỉ dùng cùng FREQ=YEARLY và {_NOT_LUNAR}",
    "BYYEARDAY": f"là {_FROM_END.format(1, 366)}; không dùng cùng FREQ=MONTHLY, WEEKLY hay DAILY và {_NOT_LUNAR}",
    "BYMONTHDAY": f"là {_FROM_END.format(1, 31)}; âm lịch nhiều nhất 30; không dùng cùng FREQ=WEEKLY",
    "BYDAY": "ghi các ngày như MO,FR; ngày có số như 1MO (thứ Hai đầu tiên) hay -1FR (thứ Sáu cuối cùng) chỉ dùng cùng "
    f"FREQ=MONTHLY, hoặc YEARLY mà không có BYWEEKNO, và {_NOT_LUNAR}",
    "BYHOUR": f"là {_WHOLE.format(0, 23)}",
    "BYMINUTE": f"là {_WHOLE.format(0, 59)}",
    "BYSECOND": f"là {_WHOLE.format(0, 59)}",
    "BYSETPOS": f"là {_FROM_END.format(1, 366)}; cần một phần BY khác để chọn trong đó",
}
"""What each part of a rule has to be."""


def field_mistake(error: Mapping[str, Any], language: str) -> str:
    """Return what is wrong with one field.

    Args:
        error: As pydantic tells it: ``type``, ``msg`` and, of some types, ``ctx``.
        language: ``vi``; anything else is pydantic's English.
    """
    if language != "vi":
        return str(error["msg"])
    kind = str(error["type"])
    words = _FIELDS.get(kind) or next((words for start, words in _KINDS if kind.startswith(start)), None)
    if words is None:
        return f"giá trị không hợp lệ ({error['msg']})"
    return words.format_map({name: _in_vietnamese(value) for name, value in error.get("ctx", {}).items()})


def recurrence_mistake(code: str, fields: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a recurrence, by the part that its error names; None where nothing more is known."""
    tell = _TOLD.get(code)
    return tell(fields) if tell is not None and fields else None


def _in_vietnamese(value: object) -> str:
    return str(value).replace(" or ", " hoặc ")


def _bad_rule(fields: Mapping[str, Any]) -> str | None:
    part, rule = fields.get("part"), str(fields.get("rule", "")).upper()
    if part is None:
        return None
    if part not in _RULE_PARTS:
        return f"“{part}” không phải là phần của quy tắc lặp; dùng {', '.join(_RULE_PARTS)}, mỗi phần ghi TÊN=GIÁ TRỊ."
    said = [pair for pair in rule.split(";") if pair.partition("=")[0] == part]
    if len(said) > 1:
        return f"Phần {part} có {len(said)} lần trong quy tắc lặp; chỉ giữ một, các giá trị cách nhau bằng dấu phẩy."
    shown = said[0] if said else part
    return f"Phần {shown} của quy tắc lặp không dùng được: {part} {_RULE_PARTS[part]}. Hãy sửa lại."


def _too_often(fields: Mapping[str, Any]) -> str | None:
    if fields.get("part") is None:
        return f"Lịch này phát hơn {MOST_A_DAY} lần trong một ngày; hãy phát thưa hơn hoặc bớt giờ."
    said = {
        "FREQ": "FREQ=SECONDLY có thể phát mỗi giây; hãy dùng MINUTELY hoặc thưa hơn.",
        "BYSECOND": "BYSECOND có nhiều giây của cùng một phút; hãy giữ một giây.",
        "minutes": "“every” cách nhau dưới một phút; hãy ghi từ 1 đến 1440 phút.",
    }
    return said.get(str(fields.get("part")))


def _bad_start(fields: Mapping[str, Any]) -> str | None:
    name = "Giờ thêm (added)" if fields.get("part") == "added" else "Thời điểm bắt đầu (start)"
    return (
        f"{name} {fields.get('start')} nằm ngoài các năm cho phép: 1970 đến 2999, với RSCALE=VIETNAMESE từ "
        f"{FIRST_DAY:%d/%m/%Y} đến {LAST_DAY:%d/%m/%Y}; hãy sửa lại."
    )


def _bad_every(fields: Mapping[str, Any]) -> str | None:
    part = str(fields.get("part"))
    said = {
        "minutes": "Số phút (minutes) của “every” dài hơn một ngày; hãy ghi từ 1 đến 1440 phút.",
        "last": "Giờ cuối (last) của “every” trước giờ đầu (first); hãy đổi chỗ hai giờ.",
        "FREQ": "FREQ theo giờ hoặc phút và “every” cùng nói số lần trong ngày; hãy dùng FREQ=DAILY hoặc bỏ “every”.",
    }
    return said.get(part, f"{part} và “every” cùng nói giờ trong ngày; hãy bỏ một trong hai.")


def _bad_duration(fields: Mapping[str, Any]) -> str | None:
    seconds = fields.get("duration_seconds")
    return f"Thời lượng (duration) {seconds} giây không phải số nguyên giây từ 1 giây đến một ngày; hãy sửa hoặc bỏ đi."


def _bad_text(fields: Mapping[str, Any]) -> str | None:
    line = fields.get("line")
    if line is None:
        return "Lịch dạng văn bản thiếu dòng DTSTART nói khi nào bắt đầu; hãy thêm, ví dụ DTSTART:20261123T050000."
    return (
        f"Dòng {line} của lịch dạng văn bản không đọc được hoặc nói lại điều một dòng trước đã nói; hãy ghi dạng "
        "TÊN:GIÁ TRỊ như DTSTART:20261123T050000, RRULE:FREQ=DAILY, DURATION:PT15M, hoặc bỏ dòng đó."
    )


def _too_many(fields: Mapping[str, Any]) -> str | None:
    part, most = fields.get("part"), fields.get("most")
    if part == "added":
        return f"Nhiều hơn {most} giờ được thêm (added); hãy bớt đi, hoặc dùng quy tắc khác."
    what = "ngày" if part == "excluded_days" else "lần"
    return f"Nhiều hơn {most} {what} bị bỏ qua (except); hãy bớt đi, hoặc dùng quy tắc khác hay loại ngày."


_TOLD: Final[Mapping[str, Callable[[Mapping[str, Any]], str | None]]] = {
    "bad_rule": _bad_rule,
    "too_often": _too_often,
    "bad_start": _bad_start,
    "bad_every": _bad_every,
    "bad_duration": _bad_duration,
    "bad_text": _bad_text,
    "too_many_exclusions": _too_many,
}
