"""The chain over receipts: the same on both ends, in any language, and never the same for another log."""

import re
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.chain import START, line, link
from devices.messages import Outcome, Receipt

PROTOCOL = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
AT = datetime(2026, 3, 2, 22, 0, 0, 12_000, tzinfo=UTC)


def receipt(**changes: Any) -> Receipt:
    said = {"id": "00112233445566778899aabbccddeeff", "sequence": 1, "at": AT, "outcome": Outcome.STARTED}
    return Receipt.model_validate({**said, **changes})


FIRST = receipt(playlist=412, slot="bulletin@20260302T220000Z", offset=0.0)
SECOND = receipt(
    id="ffeeddccbbaa99887766554433221100",
    sequence=2,
    at=AT + timedelta(seconds=60),
    outcome=Outcome.INTERRUPTED,
    playlist=412,
    slot="bulletin@20260302T220000Z",
    code="air_taken",
    offset=0.0,
    heard=59.988,
)


def test_the_worked_example_of_the_protocol_is_true() -> None:
    after_first = link(START, FIRST)
    assert (START, line(FIRST).replace("\t", "→")) == (_told("previous"), _told("line"))
    assert after_first == _told("chain")
    assert (line(SECOND).replace("\t", "→"), link(after_first, SECOND)) == (_told("next line"), _told("next chain"))


def _told(name: str) -> str:
    found = re.search(rf"^{name:<11}(.+)$", PROTOCOL, re.MULTILINE)
    assert found, f"docs/protocol.md has no example of {name}"
    return found[1]


def test_the_hash_is_over_the_value_before_a_newline_and_the_line() -> None:
    assert link("ab" * 32, FIRST) == sha256(("ab" * 32 + "\n" + line(FIRST)).encode("utf-8")).hexdigest()


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "1" * 32}, {"at": AT + timedelta(microseconds=1)}, {"outcome": "finished"}, {"playlist": 413},
        {"playlist": None}, {"slot": "bulletin@20260302T220001Z"}, {"code": "late"}, {"offset": 0.000001},
        {"offset": None}, {"heard": 0.0}, {"late": 0.0}, {"rendition": "ab" * 32},
    ],
    ids=str,
)  # fmt: skip
def test_any_field_that_changes_changes_the_value(changes: dict[str, Any]) -> None:
    assert link(START, FIRST.model_copy(update=receipt(**changes).model_dump(include=set(changes)))) != link(
        START, FIRST
    )


def test_the_sequence_and_the_time_zone_do_not_change_it() -> None:
    there = AT.astimezone(timezone(timedelta(hours=7)))
    assert link(START, FIRST.model_copy(update={"sequence": 9, "at": there})) == link(START, FIRST)


def test_neighbouring_fields_cannot_be_taken_for_one_another() -> None:
    assert link(START, receipt(slot="a\tb")) != link(START, receipt(slot="a", code="b"))
    assert line(receipt(slot="a\tb")) != line(receipt(slot="a\\tb"))
    assert line(receipt(slot="x\ny\\")).count("\n") == 0


_seconds = st.none() | st.integers(0, 86_400_000_000).map(lambda us: us / 1_000_000)


@given(
    slot=st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=200),
    offset=_seconds,
    heard=_seconds,
    late=_seconds,
    at=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
)
def test_what_went_over_the_wire_has_the_same_value(at: datetime, **said: Any) -> None:
    written = receipt(at=at.replace(tzinfo=UTC), **said)
    assert link(START, Receipt.model_validate_json(written.model_dump_json(exclude_none=True))) == link(START, written)
