"""Short ways to write the records of the core in tests, and Hypothesis strategies over them."""

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from schedules.lateness import JOIN, IfLate, Late
from schedules.levels import Level
from schedules.programmes import Approval, IfTaken, Item, Occurrence, Programme, Yielding, content_digest
from schedules.recurrence import Recurrence
from schedules.zones import Cluster, Targets, Zone

SOAK = int(os.environ.get("SOAK", "1"))
"""How many times more examples than in an ordinary run each property is tried on: ``make soak``."""

SAIGON = ZoneInfo("Asia/Ho_Chi_Minh")
BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
APIA = ZoneInfo("Pacific/Apia")

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def item(minutes: float = 5, name: str = "a") -> Item:
    return Item(sound=name * 64, rendition=name.upper() * 64, duration=timedelta(minutes=minutes))


def programme(**changes: Any) -> Programme:
    """Return a programme that is ready and not approved: five minutes, once, at 5 in the morning."""
    plain = Programme(
        id="p",
        title="Bản tin sáng",
        level=Level.ROUTINE,
        items=(item(),),
        targets=Targets(zones=("commune",)),
        recurrence=Recurrence(start=datetime(2026, 3, 2, 5)),
        author="lan",
        created_at=NOON - 30 * DAY,
    )
    return replace(plain, **changes)


def approved(plain: Programme | None = None, at: datetime = NOON - 20 * DAY, **changes: Any) -> Programme:
    plain = replace(plain or programme(), **changes)
    return replace(plain, approval=Approval(by="minh", at=at, digest=content_digest(plain)))


def occurrence(
    name: str,
    start: float,
    minutes: float,
    level: Level = Level.ROUTINE,
    approved_at: datetime = NOON - DAY,
    **changes: Any,
) -> Occurrence:
    """Return an occurrence that begins ``start`` minutes after noon; it may be moved unless ``changes`` say else."""
    plain = Occurrence(
        programme=name,
        revision=1,
        title=name,
        level=level,
        start=NOON + timedelta(minutes=start),
        duration=timedelta(minutes=minutes),
        items=(item(minutes),),
        approved_at=approved_at,
    )
    return replace(plain, **changes)


def zones(*lines: str) -> list[Zone]:
    """Return zones from lines such as ``"hamlet < commune"``."""
    made = []
    for line in lines:
        name, _, parent = line.partition(" < ")
        made.append(Zone(id=name, name=name, kind="zone", parent=parent or None))
    return made


def clusters(*lines: str) -> list[Cluster]:
    """Return clusters from lines such as ``"market in hamlet"``."""
    return [Cluster(id=name, name=name, zone=zone) for name, zone in (line.split(" in ") for line in lines)]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _distinct(found: Iterable[Occurrence]) -> list[Occurrence]:
    return list({one.id: one for one in found}.values())


def _in_time(each: Occurrence) -> Occurrence:
    """Return it as it may be: approved before it begins, withdrawn after."""
    ends_by = None if each.ends_by is None else max(each.ends_by, each.start + MINUTE)
    return replace(each, approved_at=min(each.approved_at, each.start), ends_by=ends_by)


lateness = st.sampled_from(
    (JOIN, IfLate(action=Late.SKIP), *(IfLate(action=Late.WHOLE, within=within) for within in (7 * MINUTE, 12 * HOUR)))
)
# Minutes on a small grid, so that occurrences meet, abut and coincide often.
minutes = st.integers(-30, 60).map(lambda minutes: NOON + timedelta(minutes=minutes))
crowded = st.lists(
    st.builds(
        occurrence,
        st.sampled_from("abcdefgh"),
        st.integers(0, 60),
        st.integers(1, 20),
        st.sampled_from(Level),
        minutes,
        ends_by=st.none() | minutes,
        tier=st.sampled_from((None, None, "province", "central", "gone")),
        if_taken=st.builds(
            IfTaken, action=st.sampled_from(Yielding), most_move=st.none() | st.sampled_from((3 * MINUTE, HOUR))
        ),
        if_late=lateness,
    ).map(_in_time),
    max_size=25,
).map(_distinct)
moves = st.integers(0, 40).map(lambda minutes: timedelta(minutes=minutes))
