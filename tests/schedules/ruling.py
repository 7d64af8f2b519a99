"""Short ways to write local rules in tests, and Hypothesis strategies over them."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from schedules.rules import Hold, Hours, InForce, LocalRules, Loudest

SAIGON, BERLIN = ZoneInfo("Asia/Ho_Chi_Minh"), ZoneInfo("Europe/Berlin")
BEIRUT, AZORES = ZoneInfo("Asia/Beirut"), ZoneInfo("Atlantic/Azores")
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


def hours(text: str) -> Hours:
    """Return the hours of ``"21:00-05:00"``."""
    start, end = text.split("-")
    return Hours(start=time.fromisoformat(start), end=time.fromisoformat(end))


def local(text: str, zone: ZoneInfo = SAIGON) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def hold(start: str, end: str, kind: str = "funeral") -> Hold:
    """Return a hold between two instants of Saigon."""
    placed = local("2026-03-01T08:00")
    return Hold(id="h", kind=kind, reason="", start=local(start), end=local(end), by="lan", placed_at=placed)


def says(*, zone: ZoneInfo = SAIGON, holds: tuple[Hold, ...] = (), quiet: str = "", **rules: object) -> InForce:
    made = LocalRules(quiet=tuple(hours(each) for each in quiet.split()), **rules)  # type: ignore[arg-type]
    return InForce(zone=zone, rules=made, holds=holds)


minutes = st.integers(0, 24 * 60 - 1).map(lambda n: time(n // 60, n % 60))
some_hours = st.builds(Hours, start=minutes, end=minutes)
lone_rules = st.builds(
    LocalRules,
    quiet=st.lists(some_hours, max_size=2).map(tuple),
    weekdays=st.none() | st.frozensets(st.integers(0, 6)),
    loudest=st.lists(st.builds(Loudest, hours=some_hours, volume=st.integers(0, 100)), max_size=2).map(tuple),
)
counting_rules = st.builds(
    LocalRules,
    longest_session=st.none() | st.integers(1, 60).map(lambda n: n * MINUTE),
    most_a_day=st.none() | st.integers(1, 120).map(lambda n: n * MINUTE),
    sessions_a_day=st.none() | st.integers(1, 4),
    gap=st.none() | st.integers(0, 90).map(lambda n: n * MINUTE),
)
zones = st.sampled_from([SAIGON, BERLIN, BEIRUT, AZORES])
nights = st.sampled_from(["2026-03-28T12:00", "2026-10-24T12:00", "2026-02-27T12:00"]).map(
    lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC)
)
"""Noons before clocks are changed in some of the zones, and before a month ends."""
