"""``loa`` as child processes of ``loa``: what a demo and a simulation run beside themselves."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broadcaster.remote import is_ready

_READY_S: Final = 30
_FAREWELL_S: Final = 8


class ChildError(Exception):
    """A child process ended, or was not ready in time; the message says why and where to look."""

    code = "child_failed"


class Child:
    """A process and where it logs."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log

    def require(self) -> None:
        """Raise ``ChildError`` with its last words if it has ended."""
        if self.process.poll() is not None:
            last = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
            raise ChildError(f"{self.name} has ended with {self.process.returncode}; its last words:\n{last}")

    def until_ready(self, address: str) -> None:
        """Wait until the server that this is answers at ``address``.

        Raises:
            ChildError: it ended, or was not ready within 30 s.
        """
        end = time.monotonic() + _READY_S
        while time.monotonic() < end:
            self.require()
            if is_ready(address):
                return
            time.sleep(0.1)
        raise ChildError(f"the server was not ready within {_READY_S} s; see {self.log}")


@contextmanager
def child(
    name: str, arguments: Sequence[str], logs: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Child]:
    """Run ``loa`` with ``arguments`` as a child that logs to ``logs/name.log``; stop it at the end of the block."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "broadcaster.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us; we stop our children one after the other
            env={**os.environ, **(environment or {}), "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield Child(name, process, log)
    finally:
        process.terminate()
        try:
            process.wait(_FAREWELL_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
