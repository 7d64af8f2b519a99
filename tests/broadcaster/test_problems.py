"""One table from error to HTTP: every code of every error is in it, and nothing else."""

import ast
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import audio.errors
import broadcaster.api.server  # every error of the API is known once it is imported
from broadcaster.api.problems import PROBLEMS, sentence
from broadcaster.errors import CannotStart
from broadcaster.store.port import StoreError
from schedules.errors import DomainError

HOUSE = Path(__file__).parents[2]
OWN = {"bad_request", "body_too_large", "method_not_allowed", "internal", "not_found"}
"""Codes that the API itself gives to what the framework refuses."""
FIELDS = {
    "bad_request": {"count", "errors"},
    "not_found": set(),
    "body_too_large": set(),
    "method_not_allowed": set(),
    "internal": set(),
}
"""What the API tells with its own codes."""


def subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from subclasses(sub)


def domain_codes() -> set[str]:
    kinds = [kind for kind in subclasses(DomainError) if kind is not CannotStart]
    return {code for kind in kinds for code in kind.codes}


def store_codes() -> set[str]:
    return {StoreError.code, *(kind.code for kind in subclasses(StoreError))}


def test_every_error_has_a_place_in_the_table() -> None:
    assert {*domain_codes(), *store_codes(), *audio.errors.CODES, *OWN} == set(PROBLEMS)


@cache
def raised() -> dict[str, list[tuple[str, set[str]]]]:
    """Return where each code stands in a call, with the names of the fields that go with it."""
    found: dict[str, list[tuple[str, set[str]]]] = {}
    for package in ("broadcaster", "schedules", "audio"):
        for path in (HOUSE / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    named = {word.arg for word in node.keywords if word.arg}
                    for argument in node.args:
                        if isinstance(argument, ast.Constant) and argument.value in PROBLEMS:
                            found.setdefault(argument.value, []).append((f"{path}:{node.lineno}", named))
    return found


def test_every_code_of_a_refusal_is_raised_somewhere() -> None:
    """A code that nothing raises is a promise to nobody. Two name the failure of a programme, and raise nothing."""
    failures = {"too_late", "programme_too_long"}
    unraised = domain_codes() - raised().keys() - failures - {"weak_password"}
    assert unraised <= {"bad_rule", "zone_cycle", "unknown_level"} - raised().keys(), unraised
    flow = (HOUSE / "broadcaster/flow/schedule.py").read_text()
    assert all(f'failure="{code}"' in flow for code in failures)


@pytest.mark.parametrize("code", PROBLEMS)
def test_the_vietnamese_sentence_can_be_made_of_the_fields_that_come_with_it(code: str) -> None:
    problem = PROBLEMS[code]
    assert 400 <= problem.status < 600
    assert problem.title and problem.title_vi and problem.title != problem.title_vi
    assert problem.vi.endswith((".", "5,17.", "/docs."))
    needed = {name for _, name, _, _ in string.Formatter().parse(problem.vi) if name}
    if code in audio.errors.CODES:
        assert needed <= set(audio.errors.CODES[code])
    elif code in OWN:
        assert needed <= FIELDS[code]
    elif code in store_codes():
        assert needed <= {"id", "collection", "expected", "actual"}
    else:
        for where, named in raised().get(code, []):
            assert needed <= named, f"{where} does not tell {needed - named}"


def test_a_sentence_never_shows_a_hole() -> None:
    assert sentence("unknown_zone", {}, "vi") == PROBLEMS["unknown_zone"].title_vi + "."
    assert sentence("unknown_zone", {"zone": "{0} {x}"}, "vi").startswith("Không có khu vực “{0} {x}”")
    assert sentence("unheard of", {}, "vi") == PROBLEMS["internal"].vi
    assert sentence("no_items", {}, "en") == PROBLEMS["no_items"].title + "."
    assert callable(broadcaster.api.server.create)
