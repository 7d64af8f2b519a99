"""A town to measure: a real server with its broker, and clusters, on free ports of this machine."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

PASSWORD = secrets.token_urlsafe(12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A running server and a client that is signed in as its admin."""

    directory: Path
    url: str
    broker_port: int
    process: "subprocess.Popen[bytes]"
    ready_s: float
    """From the start of the process to the first 200 of /readyz."""
    client: httpx.Client

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Return the answer's JSON; raise for a refusal, with its text."""
        answer = self.client.request(method, path, **options)
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def wait(self, path: str, done: Any, limit_s: float = 60) -> Any:
        """Ask for ``path`` until ``done(answer)``; return that answer."""
        end = time.monotonic() + limit_s
        while not done(answer := self.ask("GET", path)):
            if time.monotonic() > end:
                raise RuntimeError(f"{path} was not as expected within {limit_s} s: {str(answer)[:500]}")
            time.sleep(0.05)
        return answer


@contextmanager
def town(directory: Path, clusters: int) -> Iterator[Town]:
    """Start a server over an empty data directory with one zone and ``clusters`` clusters."""
    port, broker_port = _free_port(), _free_port()
    environment = {
        **os.environ,
        "LOA_DATA__DIR": str(directory),
        "LOA_HTTP__PORT": str(port),
        "LOA_BROKER__PORT": str(broker_port),
        "LOA_LOG__LEVEL": "warning",
    }
    loa = [sys.executable, "-m", "broadcaster.cli"]
    add = [*loa, "official", "add", "bench", "--role", "admin", "--password-stdin"]
    subprocess.run(add, input=PASSWORD.encode(), env=environment, check=True, stdout=subprocess.DEVNULL)
    begin = time.monotonic()
    process = subprocess.Popen([*loa, "serve"], env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        _until_ready(url)
        ready_s = time.monotonic() - begin
        with httpx.Client(base_url=url + "/api/v1", timeout=30) as client:
            town = Town(
                directory=directory, url=url, broker_port=broker_port, process=process, ready_s=ready_s, client=client
            )
            token = town.ask("POST", "/sessions", json={"name": "bench", "password": PASSWORD})["token"]
            client.headers["Authorization"] = f"Bearer {token}"
            town.ask("POST", "/zones", json={"id": "town", "name": "Town", "kind": "commune"})
            for number in range(clusters):
                place = {"id": f"c{number}", "name": f"Cluster {number}", "zone": "town"}
                town.ask("POST", "/clusters", json=place)
            yield town
    finally:
        process.terminate()
        process.wait(15)


def resident_mb(pid: int | str, *, peak: bool = False) -> float:
    """Return the resident memory of a process in megabytes (1,000,000 bytes), now or at its peak."""
    wanted = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(wanted):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"process {pid} tells no {wanted}")


def _until_ready(url: str) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if httpx.get(url + "/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise RuntimeError("the server was not ready within 30 s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
