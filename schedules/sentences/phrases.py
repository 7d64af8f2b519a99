"""The words of explanations: what becomes of occurrences, why, and what to do, in Vietnamese and English."""

from collections.abc import Mapping
from typing import Final

from schedules.levels import Side
from schedules.rules import Rule
from schedules.verdicts import Outcome, Reason

__all__ = [
    "FIRST",
    "INSTEAD",
    "JOINS",
    "KINDS",
    "NAMES",
    "NO_ROOM_TO_MOVE",
    "NO_ROOM_TO_TRIM",
    "OTHERWISE",
    "STOPPED",
    "TO_DO",
    "WHAT",
    "WHY",
    "Words",
]

Words = Mapping[str, str]
"""One template by language: ``en`` and ``vi``."""

WHAT: Final[Mapping[Outcome, Words]] = {
    Outcome.KEPT: {
        "en": "Heard as asked, from {start} to {end} on {day}",
        "vi": "Phát đúng giờ, từ {start} đến {end} ngày {day}",
    },
    Outcome.MOVED: {"en": "Heard at {later} instead of {wanted}", "vi": "Phát lúc {later} thay vì {wanted}"},
    Outcome.TRIMMED: {
        "en": "Heard only in part, from {start} to {end} on {day} ({length} of {whole})",
        "vi": "Chỉ phát một phần, từ {start} đến {end} ngày {day} ({length} trên {whole})",
    },
    Outcome.DROPPED: {"en": "Not heard at {wanted}", "vi": "Không phát lúc {wanted}"},
    Outcome.UNDECIDED: {
        "en": "The commune's official has to decide by {decide_by} whether this one of {wanted} or {by} goes first",
        "vi": "Cán bộ xã cần quyết định trước {decide_by} bản tin lúc {wanted} này hay {by} phát trước",
    },
}
"""What becomes of an occurrence."""

WHY: Final[Mapping[Reason, Words]] = {
    Reason.AIR_TAKEN: {"en": "{by} has the air then", "vi": "lúc đó {by} được phát"},
    Reason.NO_ROOM: {
        "en": "{by} has the air then, and no other time is free for it soon enough",
        "vi": "lúc đó {by} được phát và không còn giờ trống nào đủ sớm",
    },
    Reason.WITHDRAWN: {"en": "its programme was withdrawn", "vi": "chương trình đã được rút"},
    Reason.AWAITS_DECISION: {
        "en": "both are of priority and one of them comes from above",
        "vi": "cả hai đều là tin ưu tiên và một tin là của cấp trên",
    },
    Reason.DECIDED: {"en": "an official put {by} first", "vi": "cán bộ đã quyết định cho {by} phát trước"},
}
"""Why, as the middle of a sentence. A local rule says it by ``STOPPED``."""

TO_DO: Final[Mapping[Reason, Words]] = {
    Reason.AIR_TAKEN: {"en": "choose another time if this will not do", "vi": "nếu không phù hợp, hãy chọn giờ khác"},
    Reason.NO_ROOM: {
        "en": "choose another time, or let it be moved further",
        "vi": "hãy chọn giờ khác hoặc cho phép dời xa hơn",
    },
    Reason.DECIDED: {
        "en": "decide again if it should be otherwise",
        "vi": "nếu muốn khác, hãy quyết định lại",
    },
}
"""What to do about it, where there is something to do."""

NO_ROOM_TO_MOVE: Final[Words] = {
    "en": "choose another time that neither of them stops",
    "vi": "hãy chọn giờ khác không vướng tin đó và quy định này",
}
"""What to do where a local rule forbids the time after the other one: to be moved further would not help."""

NO_ROOM_TO_TRIM: Final[Words] = {
    "en": "choose another time, or let it be moved instead of trimmed",
    "vi": "hãy chọn giờ khác hoặc cho phép dời thay vì cắt bớt",
}
"""What to do where too little is left of its own time."""

STOPPED: Final[Mapping[Rule, Words]] = {
    Rule.QUIET_HOURS: {
        "en": "the zone is quiet from {start} to {end}",
        "vi": "khu vực giữ yên lặng từ {start} đến {end}",
    },
    Rule.WEEKDAY: {
        "en": "the zone is silent on this day of the week",
        "vi": "khu vực không phát vào ngày này trong tuần",
    },
    Rule.HOLD: {
        "en": "the zone is held silent until {until} ({kind}: {reason})",
        "vi": "khu vực tạm ngừng phát đến {until} ({kind}: {reason})",
    },
    Rule.SESSION_TOO_LONG: {
        "en": "a session may last at most {limit} there",
        "vi": "mỗi phiên phát ở đó dài nhất {limit}",
    },
    Rule.DAY_FULL: {
        "en": "at most {limit} a day may be heard there",
        "vi": "mỗi ngày ở đó chỉ được phát tối đa {limit}",
    },
    Rule.TOO_MANY_SESSIONS: {
        "en": "there may be at most {limit} session(s) a day there",
        "vi": "mỗi ngày ở đó chỉ được có tối đa {limit} phiên phát",
    },
    Rule.TOO_SOON: {
        "en": "sessions have to be at least {limit} apart there",
        "vi": "hai phiên phát ở đó phải cách nhau ít nhất {limit}",
    },
}
"""What a local rule says, as the middle of a sentence."""

INSTEAD: Final[Mapping[Rule, Words]] = {
    Rule.QUIET_HOURS: {"en": "choose a time outside these hours", "vi": "hãy chọn giờ khác ngoài khoảng này"},
    Rule.WEEKDAY: {"en": "choose another day", "vi": "hãy chọn ngày khác"},
    Rule.HOLD: {
        "en": "choose a later time, or lift the hold if it is over",
        "vi": "hãy chọn giờ muộn hơn, hoặc gỡ lệnh tạm ngừng nếu không còn cần",
    },
    Rule.SESSION_TOO_LONG: {
        "en": "shorten it, or leave more than a minute between it and what is next to it",
        "vi": "hãy rút ngắn, hoặc để cách tin bên cạnh hơn một phút",
    },
    Rule.DAY_FULL: {
        "en": "choose another day, or shorten what is heard on this one",
        "vi": "hãy chọn ngày khác hoặc rút ngắn nội dung trong ngày",
    },
    Rule.TOO_MANY_SESSIONS: {
        "en": "put it right after another bulletin, or choose another day",
        "vi": "hãy phát liền sau một bản tin khác hoặc chọn ngày khác",
    },
    Rule.TOO_SOON: {
        "en": "put it right after another bulletin, or leave this much time between them",
        "vi": "hãy phát liền sau một bản tin khác hoặc để cách đủ thời gian đó",
    },
}
"""What to do about a local rule."""

NAMES: Final[Mapping[Rule, Words]] = {
    Rule.QUIET_HOURS: {"en": "quiet hours", "vi": "giờ yên lặng"},
    Rule.WEEKDAY: {"en": "days of the week", "vi": "ngày trong tuần"},
    Rule.HOLD: {"en": "holds", "vi": "lệnh tạm ngừng"},
    Rule.SESSION_TOO_LONG: {"en": "the length of a session", "vi": "độ dài phiên phát"},
    Rule.DAY_FULL: {"en": "the minutes of a day", "vi": "tổng số phút trong ngày"},
    Rule.TOO_MANY_SESSIONS: {"en": "the sessions of a day", "vi": "số phiên phát trong ngày"},
    Rule.TOO_SOON: {"en": "the pause between sessions", "vi": "khoảng cách giữa các phiên"},
}
"""What a local rule is about."""

KINDS: Final[Mapping[str, Words]] = {
    "exam": {"en": "exam", "vi": "kỳ thi"},
    "funeral": {"en": "funeral", "vi": "tang lễ"},
    "hospital": {"en": "hospital", "vi": "bệnh viện"},
    "other": {"en": "another reason", "vi": "lý do khác"},
}
"""Why a zone is held silent."""

OTHERWISE: Final[Mapping[Outcome, Words]] = {
    Outcome.KEPT: {"en": "this one is heard as asked", "vi": "tin này phát đúng giờ"},
    Outcome.MOVED: {"en": "this one is heard at {later}", "vi": "tin này phát lúc {later}"},
    Outcome.TRIMMED: {
        "en": "this one is heard only from {start} to {end}",
        "vi": "tin này chỉ phát từ {start} đến {end}",
    },
    Outcome.DROPPED: {"en": "this one is not heard", "vi": "tin này không được phát"},
}
"""What becomes of an occurrence if the official does not decide."""

FIRST: Final[Mapping[Side, Words]] = {
    Side.OURS: {"en": "our own goes first", "vi": "tin của đài phát trước"},
    Side.ABOVE: {"en": "the one from above goes first", "vi": "tin của cấp trên phát trước"},
}
"""Who goes first."""

JOINS: Final[Mapping[str, Words]] = {
    "because": {"en": ", because ", "vi": " vì "},
    "and then": {"en": ", and after it ", "vi": ", sau đó "},
    "nobody": {
        "en": "; if nobody answers, {first} and {otherwise}",
        "vi": "; nếu không ai trả lời thì {first} và {otherwise}",
    },
    "passes": {
        "en": "; as an emergency it may pass the rules on {rules}",
        "vi": "; là tin khẩn cấp nên được vượt quy định về {rules}",
    },
    "and": {"en": " and ", "vi": " và "},
    "other": {"en": "another bulletin", "vi": "một bản tin khác"},
}
"""What stands between the parts."""
