"""The demo commune: Trần Đề with two communes, three hamlets and three boxes, all real and on this machine.

It is an API client like any other: what it does, an official can do. Server and boxes are child processes
that talk over HTTP and MQTT.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from broadcaster.config import Settings
from broadcaster.flow.sign_in import add_official
from broadcaster.store.directory import usable
from broadcaster.store.records import Role
from broadcaster.store.tiny import TinyDefinitions
from devices.agent.device import device_available
from devices.agent.enrolment import enrol

ADMIN: Final = "admin"
ZONES: Final = (
    {"id": "tran-de", "name": "Huyện Trần Đề", "kind": "huyện"},
    {"id": "lich-hoi-thuong", "name": "Xã Lịch Hội Thượng", "kind": "xã", "parent": "tran-de"},
    {"id": "dai-an-2", "name": "Xã Đại Ân 2", "kind": "xã", "parent": "tran-de"},
    {"id": "nam-chanh", "name": "Ấp Nam Chánh", "kind": "ấp", "parent": "lich-hoi-thuong"},
    {"id": "giong-giua", "name": "Ấp Giồng Giữa", "kind": "ấp", "parent": "lich-hoi-thuong"},
    {"id": "ngan-ro", "name": "Ấp Ngan Rô", "kind": "ấp", "parent": "dai-an-2"},
)
CLUSTERS: Final = (
    {"id": "nam-chanh-1", "name": "Cụm loa nhà văn hóa Nam Chánh", "zone": "nam-chanh"},
    {"id": "giong-giua-1", "name": "Cụm loa chợ Giồng Giữa", "zone": "giong-giua"},
    {"id": "ngan-ro-1", "name": "Cụm loa chùa Ngan Rô", "zone": "ngan-ro"},
)
GREETING: Final = (
    "Xin kính chào bà con huyện Trần Đề. Đây là buổi phát thanh thử của hệ thống truyền thanh thông minh. "
    "Xin cảm ơn bà con đã lắng nghe."
)
BULLETIN: Final = "Bản tin của xã. Mời bà con theo dõi bản tin hằng ngày lúc năm giờ và mười bảy giờ."
_READY_S: Final = 30
_FAREWELL_S: Final = 8


class DemoError(Exception):
    """The demo cannot go on; the message says why and where to look."""

    code = "demo_failed"


def run(settings: Settings, config: Path | None) -> None:
    """Run the demo until Ctrl-C or SIGTERM.

    Raises:
        CannotStart, StoreError: the data directory cannot be used.
        DemoError: a child process ended.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    directory = settings.data.dir.absolute()
    address = f"http://{settings.http.host}:{settings.http.port}"
    try:
        with ExitStack() as stack:
            password = _admin_password(directory)
            arguments = ["serve", *(["--config", str(config)] if config else [])]
            server = stack.enter_context(_child("server", arguments, directory))
            commune = stack.enter_context(_signed_in(address, password, server))
            _say(f"Loa is at {address}, its API at {address}/docs; sign in as {ADMIN} with {password}")
            follow = threading.Thread(
                target=_follow, args=(address, commune.headers["Authorization"]), name="receipts", daemon=True
            )
            follow.start()
            _arrange(commune)
            children = [server]
            for cluster in CLUSTERS:
                children.append(stack.enter_context(_box(cluster["id"], address, commune, directory)))
            _announce(commune)
            _show_timeline(commune, settings)
            _say("Receipts follow as boxes send them; Ctrl-C ends the demo, another run goes on with the same data.")
            _watch(children)
    except KeyboardInterrupt:
        _say("The demo has ended; data and recordings are in " + str(directory))


def _admin_password(directory: Path) -> str:
    """Return the admin's password: made and written down at the first run, never a default one."""
    note = directory / "demo-password"
    if note.exists():
        return note.read_text().strip()
    password = secrets.token_urlsafe(12)
    with closing(TinyDefinitions(usable(directory))) as definitions:
        add_official(ADMIN, role=Role.ADMIN, password=password, definitions=definitions, now=datetime.now(UTC))
    note.touch(mode=0o600)
    note.write_text(password + "\n")
    return password


@contextmanager
def _child(name: str, arguments: list[str], directory: Path) -> Iterator["Child"]:
    """Run ``loa`` as a child process that logs to a file; stop it at the end of the block."""
    logs = directory / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "broadcaster.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us; we stop our children one after the other
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
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


class Child:
    """A process of the demo and where it logs."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log

    def require(self) -> None:
        """Raise ``DemoError`` with its last words if it has ended."""
        if self.process.poll() is not None:
            last = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
            raise DemoError(f"{self.name} has ended with {self.process.returncode}; its last words:\n{last}")


@contextmanager
def _signed_in(address: str, password: str, server: Child) -> Iterator[httpx.Client]:
    """Wait for the server and give a client that is signed in as the admin."""
    with httpx.Client(base_url=address + "/api/v1", timeout=10) as client:
        _until(lambda: client.get(address + "/readyz").status_code == 200, server)
        answer = _ask(client, "POST", "/sessions", {"name": ADMIN, "password": password})
        client.headers["Authorization"] = "Bearer " + answer["token"]
        yield client


def _until(ready: Callable[[], bool], server: Child) -> None:
    end = time.monotonic() + _READY_S
    while time.monotonic() < end:
        server.require()
        with suppress(httpx.TransportError):
            if ready():
                return
        time.sleep(0.1)
    raise DemoError(f"the server was not ready within {_READY_S} s; see {server.log}")


def _ask(client: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    answer = client.request(method, path, json=body)
    if answer.is_error:
        raise DemoError(f"{method} {path}: {answer.json().get('detail', answer.text)}")
    return answer.json()


def _arrange(commune: httpx.Client) -> None:
    """Add the zones and clusters that are not there yet."""
    for path, wanted in (("/zones", ZONES), ("/clusters", CLUSTERS)):
        present = {item["id"] for item in _ask(commune, "GET", f"{path}?limit=1000")["items"]}
        for item in wanted:
            if item["id"] not in present:
                _ask(commune, "POST", path, dict(item))


@contextmanager
def _box(cluster: str, address: str, commune: httpx.Client, directory: Path) -> Iterator[Child]:
    """Run the box of a cluster; enrol it first if it never was."""
    home = directory / "boxes" / cluster
    if not (home / "box.json").exists():
        code = _ask(commune, "POST", f"/clusters/{cluster}/enrolment")["code"]
        enrol(address, code, home)
    device = device_available()
    output = "device" if device else f"wav:{home / 'street.wav'}"
    with _child(cluster, ["box", "run", "--dir", str(home), "--output", output], directory) as child:
        _say(f"Box of {cluster} plays to " + (f"the sound card ({device})" if device else str(home / "street.wav")))
        yield child


def _announce(commune: httpx.Client) -> None:
    """Queue a greeting for now, and at the first run a bulletin twice a day."""
    if not _ask(commune, "GET", "/programmes?limit=1")["items"]:
        today = datetime.now().astimezone().date().isoformat()
        bulletin = {
            "title": "Bản tin hằng ngày",
            "items": [{"text": BULLETIN}],
            "zones": ["tran-de"],
            "recurrence": {"start": f"{today}T05:00:00", "rule": "FREQ=DAILY;BYHOUR=5,17"},
        }
        _ask(commune, "POST", "/programmes", bulletin)
    greeting = {"title": "Lời chào", "text": GREETING, "zones": ["tran-de"], "at": "now"}
    _ask(commune, "POST", "/announcements", greeting)
    end = time.monotonic() + _READY_S
    while time.monotonic() < end:
        programmes = _ask(commune, "GET", "/programmes?limit=1000")["items"]
        if all(each["state"] != "preparing" for each in programmes):
            break
        time.sleep(0.2)


def _show_timeline(commune: httpx.Client, settings: Settings) -> None:
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    _say("What will sound until this time tomorrow:")
    answer = _ask(commune, "GET", "/timeline?" + str(httpx.QueryParams({"to": until})))
    for timeline in answer["clusters"]:
        for slot in timeline["slots"]:
            start = datetime.fromisoformat(slot["start"]).astimezone(settings.station.zone)
            length = datetime.fromisoformat(slot["end"]) - datetime.fromisoformat(slot["start"])
            _say(
                f"  {start:%d/%m %H:%M:%S}  {length.total_seconds():5.1f} s  {timeline['cluster']:<14} {slot['title']}"
            )


def _follow(address: str, token: str) -> None:
    """Print each receipt as it arrives, for as long as the process lives."""
    last = ""
    while True:
        headers = {"Authorization": token, **({"Last-Event-ID": last} if last else {})}
        try:
            with httpx.stream("GET", address + "/api/v1/events", headers=headers, timeout=60) as answer:
                kind = ""
                for line in answer.iter_lines():
                    field, _, value = line.partition(": ")
                    if field == "id":
                        last = value
                    elif field == "event":
                        kind = value
                    elif field == "data" and kind == "receipt":
                        _say(_receipt(json.loads(value)))
        except httpx.TransportError:
            time.sleep(0.2)


def _watch(children: list[Child]) -> None:
    """Wait until somebody ends us, or a child ends by itself."""
    while True:
        for child in children:
            child.require()
        time.sleep(0.5)


def _receipt(receipt: dict[str, Any]) -> str:
    known = ("slot", "playlist", "offset_s", "heard_s", "code")
    facts = " ".join(f"{name}={receipt[name]}" for name in known if name in receipt)
    return f"  {receipt['at']}  {receipt['cluster']:<14} {receipt['outcome']:<11} {facts}"


def _say(line: str) -> None:
    print(line, flush=True)
