"""What an operator or another maker of boxes has to know is written down: the documents name everything."""

import ast
import re
from collections.abc import Iterator

import pytest
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel

from broadcaster.api.server import create
from broadcaster.config import Settings
from broadcaster.errors import CannotStart
from devices import messages, times, topics
from devices.messages import Outcome
from tests.architecture.house import ROOT, files

PROTOCOL = ROOT / "docs" / "protocol.md"
OPERATIONS = ROOT / "docs" / "operations.md"


def text(*names: str) -> str:
    return "\n".join((ROOT / name).read_text() for name in names)


def all_documents() -> str:
    return text("README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))))


def models() -> Iterator[type[BaseModel]]:
    for module in (messages, times):
        for each in vars(module).values():
            if isinstance(each, type) and issubclass(each, BaseModel) and each.__module__ == module.__name__:
                yield each


def refusals() -> set[str]:
    """Return the codes of the trust gate and the envelope: what a box says of a message that it refuses."""
    found = set()
    for path in ("devices/trust.py", "devices/envelope.py"):
        for node in ast.walk(files()[path]):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if named and node.func.id in ("Refused", "EnvelopeError") and isinstance(node.args[0], ast.Constant):  # type: ignore[attr-defined]
                found.add(str(node.args[0].value))  # type: ignore[attr-defined]
    return found - {"bad_key"}  # a key that cannot be read, no message


def named(word: str, where: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", where) is not None


@pytest.mark.parametrize("document", ["README.md", "docs/architecture.md", "docs/protocol.md", "docs/operations.md"])
def test_the_document_is_there(document: str) -> None:
    assert len(text(document)) > 1000


@pytest.mark.parametrize(
    "topic",
    [
        topics.playlist,
        topics.acknowledgement,
        topics.status,
        topics.receipts,
        topics.time_request,
        topics.time,
    ],
)
def test_the_protocol_names_every_topic(topic: object) -> None:
    assert topic("{id}").rpartition("{id}")[2] in PROTOCOL.read_text()  # type: ignore[operator]
    assert topics.ROOT in PROTOCOL.read_text()


@pytest.mark.parametrize(
    "kind",
    [
        messages.PLAYLIST,
        messages.STATUS,
        messages.RECEIPTS,
        messages.ACKNOWLEDGEMENT,
        times.TIME_REQUEST,
        times.TIME,
        times.BEACON,
    ],
)
def test_the_protocol_names_every_type_of_document(kind: str) -> None:
    assert named(kind, PROTOCOL.read_text())


@pytest.mark.parametrize("model", [*models()], ids=lambda model: model.__name__)
def test_the_protocol_names_every_field(model: type[BaseModel]) -> None:
    said = PROTOCOL.read_text()
    assert [field for field in model.model_fields if not named(field, said)] == []


def test_the_protocol_names_every_outcome_and_refusal() -> None:
    said = PROTOCOL.read_text()
    assert len(refusals()) >= 10
    assert [word for word in (*Outcome, *sorted(refusals())) if not named(word, said)] == []


def test_operations_name_everything_that_keeps_the_server_from_starting() -> None:
    said = all_documents()
    assert [code for code in sorted(CannotStart.codes) if not named(code, said)] == []


def test_every_setting_is_in_the_file() -> None:
    said = text("config.toml")
    for section, values in Settings().model_dump().items():
        assert f"[{section}]" in said
        assert [key for key in values if not re.search(rf"^{key} = ", said, re.MULTILINE)] == []


def test_every_route_is_written_down() -> None:
    said = all_documents()
    paths = {
        str(route.path).removeprefix("/api/v1")
        for route in iter_route_contexts(create(None).routes)  # type: ignore[arg-type] # described, never asked
        if not str(route.path).startswith(("/docs/", "/openapi"))
    }
    assert len(paths) >= 25
    assert [path for path in sorted(paths) if re.sub(r"\{\w+\}", "{", path).split("{")[0].rstrip("/") not in said] == []
