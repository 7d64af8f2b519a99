"""What ``loa timeline`` is asked: where, when, in which language, and with which programme."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from zoneinfo import ZoneInfo

from broadcaster.api.mistakes import field_mistake
from broadcaster.api.programmes import NewProgramme
from broadcaster.api.timeline import asked_window
from broadcaster.flow.plan import Window

LARGEST: Final = 2_000_000
"""Bytes of a programme's file: what the API takes of a request."""
_EVENING: Final = time(18)
_MORNING: Final = time(6)
_YEARS: Final = range(1970, 3000)
_DAY: Final = timedelta(days=1)
_SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "bad_time": (
        "{option} {said!r} is no time; give 2026-12-24T17:00, 2026-12-24 or 17:00, in local time.",
        "{option} {said!r} không phải thời điểm; hãy ghi 2026-12-24T17:00, 2026-12-24 hoặc 17:00, theo giờ địa phương.",
    ),
    "tonight_and_times": (
        "--tonight says from when to when; leave out --from and --to, or --tonight.",
        "--tonight đã định khoảng thời gian; hãy bỏ --from và --to, hoặc bỏ --tonight.",
    ),
    "no_data": (
        "There is nothing in the data directory {path}; give the settings of your server with --config, "
        "or set LOA_DATA__DIR.",
        "Thư mục dữ liệu {path} chưa có gì; hãy chỉ tệp cấu hình của máy chủ bằng --config, hoặc đặt LOA_DATA__DIR.",
    ),
    "shut": (
        "The data directory {path} cannot be read: {reason}; run this as the user that runs the server.",
        "Không đọc được thư mục dữ liệu {path}: {reason}; hãy chạy lệnh này bằng người dùng chạy máy chủ.",
    ),
    "unreadable": (
        "{source} cannot be read: {reason}; give a file with a programme in JSON, or - for standard input.",
        "Không đọc được {source}: {reason}; hãy chỉ một tệp chương trình dạng JSON, hoặc - để đọc từ đầu vào chuẩn.",
    ),
    "too_large": (
        "{source} is longer than {most} bytes; give a file with one programme in JSON.",
        "{source} dài hơn {most} byte; hãy chỉ một tệp có một chương trình dạng JSON.",
    ),
    "not_json": (
        "{source} is not JSON: {reason}; write it as the body of POST /programmes.",
        "{source} không phải JSON: {reason}; hãy viết như nội dung của POST /programmes.",
    ),
    "wrong_fields": (
        "{source} has {count} wrong field(s): {named}. Correct them and try again.",
        "{source} có {count} trường không đúng: {named}. Hãy sửa rồi thử lại.",
    ),
}
"""Why a question cannot be answered, in English and Vietnamese."""


class CannotShow(Exception):
    """What was asked cannot be shown; the message says in the asker's language what to do."""

    code = "cannot_show"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, as it was typed."""

    clusters: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    """With all below them. Neither: all clusters."""
    tonight: bool = False
    begin: str | None = None
    end: str | None = None
    source: str | None = None
    """Where a programme to try lies: a path, or ``-`` for standard input."""
    language: str = "en"
    """``vi`` or ``en``."""

    def refusal(self, why: str, **facts: object) -> CannotShow:
        """Return the error that says why this cannot be answered."""
        return CannotShow(_SENTENCES[why][self.language == "vi"].format(**facts))

    def window(self, zone: ZoneInfo, now: datetime) -> Window:
        """Return the time that is asked about; the next 24 hours if nothing is said.

        Raises:
            CannotShow: a time that is none, or two ways of saying when.
            Refusal: ``bad_window``: it ends before it begins.
        """
        if self.tonight:
            if self.begin is not None or self.end is not None:
                raise self.refusal("tonight_and_times")
            return tonight(zone, now)
        begin = None if self.begin is None else self._instant("--from", self.begin, zone, now)
        end = None if self.end is None else self._instant("--to", self.end, zone, begin or now, coming=True)
        return asked_window(begin, end, now)

    def programme(self, stdin: BinaryIO | None) -> NewProgramme:
        """Return the programme to try, read as the API reads the body of ``POST /programmes``.

        Args:
            stdin: Standard input; None if it is closed.

        Raises:
            CannotShow: it cannot be read, or is none.
        """
        source = "stdin" if self.source == "-" else str(self.source)
        try:
            said = json.loads(self._content(source, stdin).decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise self.refusal("not_json", source=source, reason=error) from error
        try:
            return NewProgramme.model_validate(said)
        except ValueError as error:
            wrong = cast(Any, error).errors(include_url=False)  # pydantic's own ValueError, and the only one
            named = "; ".join(
                ": ".join(filter(None, (".".join(map(str, each["loc"])), field_mistake(each, self.language))))
                for each in wrong[:3]
            )
            raise self.refusal("wrong_fields", source=source, count=len(wrong), named=named) from error

    def _content(self, source: str, stdin: BinaryIO | None) -> bytes:
        try:
            if self.source == "-":
                content = stdin.read(LARGEST + 1) if stdin is not None else b""
            else:
                with Path(source).open("rb") as file:
                    content = file.read(LARGEST + 1)
        except (OSError, ValueError) as error:  # a path with a NUL in it is a ValueError
            reason = getattr(error, "strerror", None) or error
            raise self.refusal("unreadable", source=source, reason=reason) from error
        if len(content) > LARGEST:
            raise self.refusal("too_large", source=source, most=LARGEST)
        return content

    def _instant(self, option: str, said: str, zone: ZoneInfo, beside: datetime, *, coming: bool = False) -> datetime:
        """Return the instant that was typed; a mere time of day is that of ``beside``'s day, or the next if coming."""
        try:
            if len(said) <= len("17:00:00") and ":" in said:
                day, clock = beside.astimezone(zone).date(), time.fromisoformat(said.zfill(len("05:00")))
                found = _local(day, clock, zone)
                return _local(day + _DAY, clock, zone) if coming and found <= beside else found
            t = datetime.fromisoformat(said)
        except ValueError as error:
            raise self.refusal("bad_time", option=option, said=said) from error
        if t.year not in _YEARS:
            raise self.refusal("bad_time", option=option, said=said)
        return (t if t.tzinfo else t.replace(tzinfo=zone)).astimezone(UTC)


def tonight(zone: ZoneInfo, now: datetime) -> Window:
    """Return the evening and night of ``now``: from 18:00, or now if it is later, until 06:00; before 06:00 the rest
    of the night.
    """
    local = now.astimezone(zone)
    if local.time() < _MORNING:
        return Window(start=now, end=_local(local.date(), _MORNING, zone))
    evening = _local(local.date(), _EVENING, zone)
    return Window(start=max(now, evening), end=_local(local.date() + _DAY, _MORNING, zone))


def language_of(environment: Mapping[str, str]) -> str:
    """Return ``vi`` if the locale of ``environment`` is Vietnamese, else ``en`` (POSIX, 8.2: the first that is set)."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "")
    return "vi" if locale.partition("_")[0].partition(".")[0].lower() == "vi" else "en"


def _local(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)
