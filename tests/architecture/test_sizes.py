"""A file and a function stay short enough to be read in one sitting."""

import ast

import pytest

from tests.architecture.house import ROOT, files

LONGEST_FILE = 300
LONGEST_FUNCTION = 60
LONGER_FILES = {"broadcaster/store/journal.py": 330}
"""One table after another of one database; it would not be read better in two pieces."""


@pytest.mark.parametrize("path", files())
def test_a_file_is_short(path: str) -> None:
    lines = len((ROOT / path).read_text().splitlines())
    assert lines <= LONGER_FILES.get(path, LONGEST_FILE)


@pytest.mark.parametrize("path", files())
def test_a_function_is_short(path: str) -> None:
    long = [
        f"{node.name} has {length} lines"
        for node in ast.walk(files()[path])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert long == []


def test_an_exception_is_still_needed() -> None:
    for path in LONGER_FILES:
        assert len((ROOT / path).read_text().splitlines()) > LONGEST_FILE
