"""The words of listings, in Vietnamese and English, and how they tell times and lengths."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from schedules.levels import Level
from schedules.sentences.local import Local
from schedules.verdicts import Outcome

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "title": "What sounds from {start} to {end}",
        "no clusters": "There are no clusters yet; add them through the API (POST /clusters).",
        "cluster": "Cluster {names}",
        "clusters": "Clusters {names}",
        "nothing": "Nothing sounds.",
        "undecided": "Waiting for a decision:",
        "stopped": "Stopped by a local rule:",
        "otherwise": "Otherwise than meant:",
        "passes": "Emergencies that pass local rules:",
        "more": "“{title}”: {count} more times alike, the last at {last}.",
        "tried": "Tried, and not stored: “{title}”, {length} each time.",
        "tried, estimated": "Tried, and not stored: “{title}”, about {length} each time (not prepared yet).",
        "says": "When: {says}.",
        "first": "Next: at {first}.",
        "difference": "Against now:",
        "no difference": "Nothing changes.",
        "sum": "Counted on each cluster, until {end}: {counts}.",
        "not reached": "It reaches none of these clusters.",
        "not yet": "It asks for no air until {end}.",
        "all stopped": "No time of it would be heard there.",
    },
    "vi": {
        "title": "Lịch phát từ {start} đến {end}",
        "no clusters": "Chưa có cụm loa nào; hãy thêm qua API (POST /clusters).",
        "cluster": "Cụm loa {names}",
        "clusters": "Các cụm loa {names}",
        "nothing": "Không phát gì.",
        "undecided": "Chờ quyết định:",
        "stopped": "Bị quy định địa phương chặn:",
        "otherwise": "Không như dự định:",
        "passes": "Tin khẩn cấp vượt quy định địa phương:",
        "more": "“{title}”: thêm {count} lần như vậy, lần cuối lúc {last}.",
        "tried": "Xem thử, chưa lưu: “{title}”, mỗi lần {length}.",
        "tried, estimated": "Xem thử, chưa lưu: “{title}”, mỗi lần khoảng {length} (âm thanh chưa chuẩn bị xong).",
        "says": "Lịch: {says}.",
        "first": "Lần tới: {first}.",
        "difference": "So với hiện nay:",
        "no difference": "Không có gì thay đổi.",
        "sum": "Tính trên từng cụm loa, đến {end}: {counts}.",
        "not reached": "Chương trình không đến cụm loa nào trong số này.",
        "not yet": "Đến {end} chưa có lần phát nào.",
        "all stopped": "Không phát được lần nào ở đó.",
    },
}
LEVELS: Final[Mapping[str, Mapping[Level, str]]] = {
    "en": {level: level.word for level in Level},
    "vi": {Level.EMERGENCY: "khẩn cấp", Level.PRIORITY: "ưu tiên", Level.ROUTINE: "thông thường"},
}
OUTCOMES: Final[Mapping[str, Mapping[Outcome, str]]] = {
    "en": {
        Outcome.KEPT: "{count} heard as asked",
        Outcome.MOVED: "{count} moved",
        Outcome.TRIMMED: "{count} heard in part",
        Outcome.UNDECIDED: "{count} undecided",
        Outcome.DROPPED: "{count} not heard",
    },
    "vi": {
        Outcome.KEPT: "{count} lần đúng giờ",
        Outcome.MOVED: "{count} lần bị dời",
        Outcome.TRIMMED: "{count} lần chỉ phát một phần",
        Outcome.UNDECIDED: "{count} lần chờ quyết định",
        Outcome.DROPPED: "{count} lần không phát",
    },
}
_WEEKDAYS: Final = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "vi": ("Thứ Hai", "Thứ Ba", "Thứ Tư", "Thứ Năm", "Thứ Sáu", "Thứ Bảy", "Chủ nhật"),
}


class Tongue(Local):
    """What listings need beside times."""

    __slots__ = ()

    def say(self, words: str, **facts: object) -> str:
        """Return what ``WORDS`` has under ``words``, with ``facts`` in it."""
        return WORDS[self.language][words].format_map(facts)

    def level(self, level: Level) -> str:
        """Return the name of a level."""
        return LEVELS[self.language][level]

    def counted(self, outcomes: Mapping[Outcome, int]) -> str:
        """Return how many there are of each outcome that there is."""
        told = OUTCOMES[self.language]
        return ", ".join(words.format(count=outcomes[each]) for each, words in told.items() if outcomes.get(each))

    def day(self, t: datetime) -> str:
        """Return the local day with its weekday."""
        return f"{_WEEKDAYS[self.language][t.astimezone(self.zone).weekday()]} {self.date(t)}"
