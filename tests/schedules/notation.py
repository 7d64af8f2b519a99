"""The notation of ``cases/*.md``: a station read from an official's words, and what becomes of it told in the same.

``cases/notation.md`` says how it is written. A word that is not in it is refused, so nothing is passed over.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from schedules.days import Days, DayType, DayTypes
from schedules.levels import Level, Policy, Side
from schedules.programmes import IfTaken, Programme, Yielding
from schedules.recurrence import Every, Recurrence
from schedules.recurrence_check import check
from schedules.rules import Hold, Hours, LocalRules
from schedules.verdicts import Decision
from schedules.zones import Cluster, Targets, Zone
from tests.schedules.examples import DAY, SAIGON, approved, item, programme

Match = re.Match[str]
Read = Callable[[Match, "Station"], dict[str, Any]]

CLOCK, DATE, NUMBER = r"(\d\d:\d\d(?::\d\d)?)", r"(\d\d/\d\d/\d{4})", r"(\d+)"
MOMENT = r"(\d\d:\d\d(?::\d\d)?(?: hôm trước| hôm sau| \d\d/\d\d/\d{4})?)"
LENGTH = r"((?:\d+ phút)?(?: ?\d+ giây)?)"
WEEKDAYS = ("thứ Hai", "thứ Ba", "thứ Tư", "thứ Năm", "thứ Sáu", "thứ Bảy", "Chủ nhật")
LEVELS = {"khẩn cấp": Level.EMERGENCY, "ưu tiên": Level.PRIORITY, "thường": Level.ROUTINE}
TIERS = {"trung ương": "central", "tỉnh": "province"}
KINDS = {"kỳ thi": "exam", "tang lễ": "funeral", "bệnh viện": "hospital", "lý do khác": "other"}


class UnknownWord(ValueError):
    """A line or a part of it that the notation does not have."""


@dataclass(kw_only=True)
class Station:
    """What one case says, as far as it is read."""

    first: date = date.min
    last: date = date.min
    zone: ZoneInfo = SAIGON
    policy: Policy = field(default_factory=Policy)
    zones: dict[str, Zone] = field(default_factory=dict)
    clusters: dict[str, Cluster] = field(default_factory=dict)
    day_types: list[DayType] = field(default_factory=list)
    programmes: dict[str, Programme] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    now: datetime | None = None
    results: dict[str, list[str]] = field(default_factory=dict)
    sentences: dict[tuple[str, str], str] = field(default_factory=dict)
    """By cluster and result."""

    def local(self, text: str) -> datetime:
        """Return the local time of a moment; without a day it is of the first day."""
        clock, _, day = text.partition(" ")
        days = {"": self.first, "hôm trước": self.first - DAY, "hôm sau": self.first + DAY}
        return datetime.combine(days[day] if day in days else day_of(day), time.fromisoformat(clock))

    def instant(self, text: str) -> datetime:
        return self.local(text).replace(tzinfo=self.zone).astimezone(UTC)

    def said(self, t: datetime, beside: date | None = None) -> str:
        """Return a time of day, with its day where that is another."""
        local = t.astimezone(self.zone)
        clock = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
        summer = " giờ mùa hè" if local.dst() else ""
        return clock + summer + (f" {local:%d/%m}" if local.date() != (beside or self.first) else "")

    def named(self, id: str) -> str:
        """Return an occurrence, told by its id, as programme and time."""
        name, _, start = id.partition("@")
        return f"{name} {self.said(datetime.strptime(start, '%Y%m%dT%H%M%SZ').replace(tzinfo=UTC))}"


def day_of(text: str) -> date:
    day, month, year = map(int, text.split("/"))
    return date(year, month, day)


def length_of(text: str) -> timedelta:
    found = re.fullmatch(r"(?:(\d+) phút)? ?(?:(\d+) giây)?", text)
    if not text or found is None:
        raise UnknownWord(text)
    return timedelta(minutes=int(found[1] or 0), seconds=int(found[2] or 0))


def read(text: str, known: Mapping[str, Read], station: Station) -> dict[str, Any]:
    """Return what one part of a line says, by the only pattern that it is written after."""
    for pattern, reader in known.items():
        if found := re.fullmatch(pattern, text):
            return reader(found, station)
    raise UnknownWord(text)


def repeated(rule: str) -> Read:
    """Return the reader of "05:00 …", heard by ``rule``, in which {1} and {2} stand for the numbers after the time."""
    return lambda m, station: {"start": station.local(m[1]), "rule": rule.format(*m.groups())}


TIMES: dict[str, Read] = {
    "ngay khi duyệt": lambda _, __: {},
    MOMENT: lambda m, station: {"start": station.local(m[1])},
    f"{CLOCK} hằng ngày": repeated("FREQ=DAILY"),
    f"{CLOCK} hằng ngày, {NUMBER} lần": repeated("FREQ=DAILY;COUNT={1}"),
    f"{CLOCK} ngày {NUMBER} hằng tháng": repeated("FREQ=MONTHLY;BYMONTHDAY={1}"),
    f"{CLOCK} ngày {NUMBER}/{NUMBER} hằng năm": repeated("FREQ=YEARLY;BYMONTHDAY={1};BYMONTH={2}"),
    f"{CLOCK} mùng 1 và rằm": repeated("RSCALE=VIETNAMESE;FREQ=MONTHLY;BYMONTHDAY=1,15"),
    f"cứ {NUMBER} phút từ {CLOCK} đến {CLOCK}": lambda m, station: {
        "start": station.local(m[2]),
        "every": Every(minutes=int(m[1]), first=time.fromisoformat(m[2]), last=time.fromisoformat(m[3])),
    },
}
REPEATS: dict[str, Read] = {
    f"từ {DATE}": lambda m, _: {"from": day_of(m[1])},
    f"đến {MOMENT}": lambda m, station: {"until": station.local(m[1])},
    f"thêm {MOMENT}": lambda m, station: {"added": (station.local(m[1]),)},
    f"bớt {DATE}": lambda m, _: {"excluded_days": (day_of(m[1]),)},
    "trừ loại ngày (.+)": lambda m, _: {"not_on": (m[1],)},
    "chỉ loại ngày (.+)": lambda m, _: {"only_on": (m[1],)},
}
OPTIONS: dict[str, Read] = {
    f"duyệt {MOMENT}": lambda m, station: {"at": station.instant(m[1])},
    f"rút {MOMENT}": lambda m, station: {"withdrawn_at": station.instant(m[1])},
    f"cấp ({'|'.join(TIERS)})": lambda m, _: {"tier": TIERS[m[1]]},
    f"dời ≤ {LENGTH}": lambda m, _: {"if_taken": IfTaken(most_move=length_of(m[1]))},
    "được cắt": lambda _, __: {"if_taken": IfTaken(action=Yielding.TRIM)},
    "được bỏ": lambda _, __: {"if_taken": IfTaken(action=Yielding.DROP)},
    "lý do (.+)": lambda m, _: {"reason": m[1]},
    "nơi khu vực (.+)": lambda m, station: {"zones": (station.zones[m[1]].id,)},
    "nơi cụm (.+)": lambda m, station: {"zones": (), "clusters": (station.clusters[m[1]].id,)},
    "nơi nhãn (.+)": lambda m, _: {"zones": (), "tags": (m[1],)},
    "trừ cụm (.+)": lambda m, station: {"excluded": (station.clusters[m[1]].id,)},
}
LOCAL_RULES: dict[str, Read] = {
    f"yên lặng {CLOCK}–{CLOCK}": lambda m, _: {
        "quiet": (Hours(start=time.fromisoformat(m[1]), end=time.fromisoformat(m[2])),)
    },
    f"nghỉ ((?:{'|'.join(WEEKDAYS)}|, )+)": lambda m, _: {
        "weekdays": frozenset(range(7)) - {WEEKDAYS.index(day) for day in m[1].split(", ")}
    },
    f"mỗi phiên {LENGTH}": lambda m, _: {"longest_session": length_of(m[1])},
    f"mỗi ngày {LENGTH}": lambda m, _: {"most_a_day": length_of(m[1])},
    f"mỗi ngày {NUMBER} phiên": lambda m, _: {"sessions_a_day": int(m[1])},
    f"cách nhau {LENGTH}": lambda m, _: {"gap": length_of(m[1])},
}
POLICIES: dict[str, Read] = {
    "cấp trên đi trước": lambda _, __: {"undecided": Side.ABOVE},
    f"hỏi trước {LENGTH}": lambda m, _: {"decide_before": length_of(m[1])},
}


def a_day(m: Match, station: Station) -> None:
    station.first, station.last = day_of(m[1]), day_of(m[2] or m[1])


def a_clock(m: Match, station: Station) -> None:
    station.zone = ZoneInfo(m[1])


def a_policy(m: Match, station: Station) -> None:
    for part in m[1].split(" | "):
        station.policy = replace(station.policy, **read(part, POLICIES, station))


def a_zone(m: Match, station: Station) -> None:
    station.zones[m[1]] = Zone(id=m[1], name=m[1], kind="khu vực", parent=m[2] and station.zones[m[2]].id)


def a_cluster(m: Match, station: Station) -> None:
    tags = tuple(m[3].split(", ")) if m[3] else ()
    station.clusters[m[1]] = Cluster(id=m[1], name=m[1], zone=station.zones[m[2]].id, tags=tags)


def rules(m: Match, station: Station) -> None:
    said: dict[str, Any] = {}
    for part in m[2].split(" | "):
        said |= read(part, LOCAL_RULES, station)
    station.zones[m[1]] = replace(station.zones[m[1]], rules=LocalRules(**said))


def a_hold(m: Match, station: Station) -> None:
    start, end, placed = (station.instant(m[n]) for n in (3, 4, 5))
    hold = Hold(id=m[6], kind=KINDS[m[2]], reason=m[6], start=start, end=end, by="lan", placed_at=placed)
    zone = station.zones[m[1]]
    station.zones[m[1]] = replace(zone, holds=(*zone.holds, hold))


def a_day_type(m: Match, station: Station) -> None:
    days = Days(first=day_of(m[2]), last=day_of(m[3]))
    station.day_types.append(DayType(id=m[1], name=m[1], days=(days,)))


def a_programme(m: Match, station: Station) -> None:
    name, level, times, length, *parts = m[1].split(" | ")
    when = read(times, TIMES, station)
    options: dict[str, Any] = {"at": station.instant("08:00 hôm trước"), "zones": ("xã",)}
    for part in parts:
        if any(re.fullmatch(pattern, part) for pattern in REPEATS):
            when |= read(part, REPEATS, station)
        else:
            options |= read(part, OPTIONS, station)
    if "from" in when:
        when["start"] = datetime.combine(when.pop("from"), when["start"].time())
    if level not in LEVELS or name in station.programmes:
        raise UnknownWord(m[0])
    where = {name: options.pop(name) for name in ("zones", "clusters", "tags", "excluded") if name in options}
    recurrence = Recurrence(**when) if when else None
    if recurrence is not None:
        check(recurrence, station.zone, DayTypes(station.day_types))
    station.programmes[name] = approved(
        programme(id=name, title=name, level=LEVELS[level], items=(replace(item(), duration=length_of(length)),)),
        recurrence=recurrence,
        targets=Targets(**where),
        **options,
    )


def a_decision(m: Match, station: Station) -> None:
    winner, loser = m[1], m[2]
    ids = [winner, loser]
    if m[3] is not None:
        starts = (station.instant(text) for text in (m[3], m[4]))
        ids = [f"{name}@{start:%Y%m%dT%H%M%SZ}" for name, start in zip(ids, starts, strict=True)]
    above_wins = station.policy.is_above(station.programmes[winner].tier)
    if above_wins == station.policy.is_above(station.programmes[loser].tier):
        raise UnknownWord(m[0])
    above, ours = ids if above_wins else reversed(ids)
    first = Side.ABOVE if above_wins else Side.OURS
    said = Decision(above=above, ours=ours, first=first, by="minh", at=station.instant(m[5]))
    before = [each for each in station.decisions if each.id == said.id]
    if before:
        said = replace(said, earlier=(*before[-1].earlier, (before[-1].at, before[-1].first)))
    station.decisions.append(said)


def looked_at(m: Match, station: Station) -> None:
    station.now = station.instant(m[1])


def at_cluster(m: Match, station: Station) -> None:
    station.results[station.clusters[m[1]].id] = []


def a_result(m: Match, station: Station) -> None:
    if not station.results:
        (only,) = station.clusters
        station.results[only] = []
    station.results[[*station.results][-1]].append(m[1])


def a_sentence(m: Match, station: Station) -> None:
    cluster = [*station.results][-1]
    station.sentences[cluster, station.results[cluster][-1]] = m[1]


LINES: dict[str, Callable[[Match, Station], None]] = {
    f"ngày {DATE}(?: đến {DATE})?": a_day,
    "múi giờ (.+)": a_clock,
    r"đài \| (.+)": a_policy,
    "khu vực ([^|<]+?)(?: < ([^|]+))?": a_zone,
    r"cụm ([^|<]+?) < ([^|]+?)(?: \| nhãn (.+))?": a_cluster,
    r"quy định ([^|]+?) \| (.+)": rules,
    rf"tạm ngừng ([^|]+?) \| ({'|'.join(KINDS)}) \| {MOMENT} đến {MOMENT} \| đặt {MOMENT} \| (.+)": a_hold,
    rf"loại ngày ([^|]+?) \| {DATE} đến {DATE}": a_day_type,
    "chương trình (.+)": a_programme,
    rf"quyết định (.+) trước (.+?) \| (?:mọi lần|lần {MOMENT} với {MOMENT}) \| {MOMENT}": a_decision,
    f"xem lúc {MOMENT}": looked_at,
    "ở cụm (.+)": at_cluster,
    "→ (.+)": a_result,
    "nói: (.+)": a_sentence,
}


def station_of(block: str) -> Station:
    """Return what a block says, line by line.

    Raises:
        UnknownWord: A line, or a part of one, is not in the notation.
    """
    station = Station(zones={"xã": Zone(id="xã", name="xã", kind="khu vực")})
    lines = [line.strip() for line in block.splitlines() if line.strip()]
    if not any(line.startswith("cụm ") for line in lines):
        station.clusters["chợ"] = Cluster(id="chợ", name="chợ", zone="xã")
    for line in lines:
        found = next(((act, m) for pattern, act in LINES.items() if (m := re.fullmatch(pattern, line))), None)
        if found is None or (station.first == date.min and found[0] is not a_day):
            raise UnknownWord(line)
        found[0](found[1], station)
    return station
