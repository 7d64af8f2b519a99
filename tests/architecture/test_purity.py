"""The part that decides touches nothing: no file, no clock, no chance, no log."""

import ast
import subprocess
import sys

import pytest

from tests.architecture.house import PACKAGES, ROOT, files, imported

PURE = [
    *sorted(path for path in files() if path.startswith("schedules/")),
    "devices/trust.py",
    "devices/topics.py",
    "devices/messages.py",
    "devices/values.py",
    "broadcaster/publisher/content.py",
    "devices/registry.py",
    "devices/times.py",
    "devices/chain.py",
    *(f"devices/agent/conduct/{name}.py" for name in ("airtime", "clearance", "closing", "conductor", "missing")),
    "devices/agent/cabinet/switching.py",
    "devices/agent/memory/bound.py",
    "devices/agent/sound/pacing.py",
    "devices/agent/supply/needs.py",
    "devices/agent/supply/stock.py",
    "devices/agent/timing/reckoning.py",
    "broadcaster/store/chains.py",
    "broadcaster/publisher/sending.py",
    "audio/loudness.py",
]
ALLOWED = {
    "bisect", "base64", "collections", "dataclasses", "datetime", "enum", "functools", "hashlib", "heapq", "itertools",
    "json", "math", "operator", "re", "typing", "weakref", "zoneinfo", "pydantic",
}  # fmt: skip
"""Modules that compute. ``pathlib`` is not here: see ``PATHS``."""
PATHS = {
    *(f"devices/agent/conduct/{name}.py" for name in ("airtime", "closing", "conductor", "missing")),
    "devices/agent/cabinet/switching.py",
}
"""Files that pass paths on without opening them."""
READS_A_CLOCK = {"now", "utcnow", "today", "time", "monotonic", "perf_counter"}
TOUCHES = {"open", "print", "input", "exec", "eval", "compile", "__import__", "breakpoint"}


@pytest.mark.parametrize("path", PURE)
def test_what_decides_imports_what_computes(path: str) -> None:
    allowed = ALLOWED | ({"pathlib"} if path in PATHS else set())
    strangers = {name.partition(".")[0] for name in imported(files()[path])} - allowed - set(PACKAGES)
    assert strangers == set()


@pytest.mark.parametrize("path", PURE)
def test_what_decides_touches_nothing(path: str) -> None:
    touched = []
    for node in ast.walk(files()[path]):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in TOUCHES:
                touched.append(f"{path}:{node.lineno} {called.id}")
            if isinstance(called, ast.Attribute) and called.attr in READS_A_CLOCK:
                receiver = called.value
                if isinstance(receiver, ast.Name) and receiver.id in {"datetime", "date", "time"}:
                    touched.append(f"{path}:{node.lineno} {receiver.id}.{called.attr}")
            if isinstance(called, ast.Attribute) and called.attr in {
                "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "exists", "stat", "mkdir", "open",
            }:  # fmt: skip
                touched.append(f"{path}:{node.lineno} .{called.attr}")
        if isinstance(node, ast.Global | ast.Nonlocal) and isinstance(node, ast.Global):
            touched.append(f"{path}:{node.lineno} global")
    assert touched == []


def test_the_core_names_nobody_above_it() -> None:
    for path, tree in files().items():
        if path.startswith("schedules/"):
            tops = {name.partition(".")[0] for name in imported(tree)} & set(PACKAGES)
            assert tops <= {"schedules"}, path


def test_the_ladder_of_imports_holds() -> None:
    """The contracts of pyproject.toml, as ``make check`` checks them."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_box_runs_without_the_server() -> None:
    """No package of the server is imported, even far away, by what runs on a pole."""
    code = (
        "import sys\n"
        "import devices.agent.run, devices.agent.enrolment\n"
        "guests = {'fastapi', 'starlette', 'uvicorn', 'tinydb', 'apscheduler', 'pydub', 'iotcore', 'pwdlib', 'segno',"
        " 'prometheus_client', 'pydantic_settings', 'broadcaster', 'audio'}\n"
        "print(sorted(guests & {name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
