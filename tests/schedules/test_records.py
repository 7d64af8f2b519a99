"""Every record of the core comes back from JSON as it was: the store relies on it."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter

from schedules.arbitration import Verdict, arbitrate
from schedules.coverage import ClusterCoverage, Heard, Play, Summary
from schedules.lateness import IfLate, Late
from schedules.levels import Level, Policy
from schedules.programmes import Programme, content_digest
from schedules.recurrence import Recurrence
from schedules.timeline import Timeline, build
from schedules.zones import Cluster, Location, Targets, Zone
from tests.schedules.examples import DAY, HOUR, MINUTE, NOON, approved, occurrence, programme

RECURRENCE = Recurrence(
    start=datetime(2026, 3, 2, 5, 30),
    rule="FREQ=DAILY;BYHOUR=5,17",
    until=datetime(2026, 12, 31, 23, 59),
    excluded=(datetime(2026, 4, 30, 5, 30),),
    excluded_days=(date(2026, 9, 2),),
)
VERDICTS = arbitrate([occurrence("a", 0, 10), occurrence("b", 5, 10, Level.PRIORITY)], policy=Policy(most_move=HOUR))


@pytest.mark.parametrize(
    "record",
    [
        Zone(id="z", name="Ấp Nhất", kind="hamlet", parent="c", area={"type": "Point", "coordinates": [105.9, 9.5]}),
        Cluster(id="c", name="Chợ", zone="z", location=Location(latitude=9.5, longitude=105.9), tags=("market",)),
        Targets(zones=("z",), clusters=("c",), excluded=("d",)),
        RECURRENCE,
        programme(recurrence=RECURRENCE),
        programme(recurrence=None, failure="not_audio"),
        programme(if_late=IfLate(action=Late.WHOLE, within=MINUTE)),
        approved(recurrence=RECURRENCE, withdrawn_at=NOON + DAY),
        *VERDICTS,
        build(VERDICTS, NOON, NOON + DAY),
        Play(outcome="finished", at=NOON, heard=MINUTE),
        ClusterCoverage(cluster="c", outcome=Heard.PARTLY, heard=MINUTE, reason="power_cut", late=HOUR),
        Summary(heard=1, unknown=2),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_record_survives_json(record: Any) -> None:
    adapter = TypeAdapter(type(record))
    assert adapter.validate_json(adapter.dump_json(record)) == record


def test_an_approval_survives_json() -> None:
    adapter = TypeAdapter(Programme)
    again = adapter.validate_json(adapter.dump_json(approved(recurrence=RECURRENCE)))
    assert again.is_approved
    assert content_digest(again) == content_digest(programme(recurrence=RECURRENCE))


@pytest.mark.parametrize("record", [programme(), VERDICTS[0], build(VERDICTS, NOON, NOON + DAY)])
def test_records_are_values(record: Programme | Verdict | Timeline) -> None:
    assert replace(record) == record
    assert hash(replace(record)) == hash(record)
