"""The demo commune: Trần Đề with two communes, three hamlets and three boxes, all real and on this machine.

It is an API client like any other: what it does, an official can do. Server and boxes are child processes
that talk over HTTP and MQTT.
"""

import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from broadcaster.children import Child, child
from broadcaster.config import Settings
from broadcaster.flow.sign_in import add_official
from broadcaster.remote import Remote, signed_in
from broadcaster.store.directory import usable
from broadcaster.store.records import Role
from broadcaster.store.tiny import TinyDefinitions
from devices.agent.enrolment import enrol
from devices.agent.sound.portaudio import device_available

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


def run(settings: Settings, config: Path | None) -> None:
    """Run the demo until Ctrl-C or SIGTERM.

    Raises:
        CannotStart, StoreError: the data directory cannot be used.
        ChildError: a child process ended.
        RemoteError: the server refused what the demo asked.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    directory = settings.data.dir.absolute()
    address = f"http://{settings.http.host}:{settings.http.port}"
    try:
        with ExitStack() as stack:
            password = _admin_password(directory)
            arguments = ["serve", *(["--config", str(config)] if config else [])]
            server = stack.enter_context(child("server", arguments, directory / "logs"))
            server.until_ready(address)
            commune = stack.enter_context(signed_in(address, ADMIN, password))
            _say(f"Loa is at {address}, its API at {address}/docs; sign in as {ADMIN} with {password}")
            threading.Thread(target=_follow, args=(commune,), name="receipts", daemon=True).start()
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


def _arrange(commune: Remote) -> None:
    """Add the zones and clusters that are not there yet."""
    for path, wanted in (("/zones", ZONES), ("/clusters", CLUSTERS)):
        present = {item["id"] for item in commune.all(path)}
        for item in wanted:
            if item["id"] not in present:
                commune.ask("POST", path, dict(item))


@contextmanager
def _box(cluster: str, address: str, commune: Remote, directory: Path) -> Iterator[Child]:
    """Run the box of a cluster; enrol it first if it never was."""
    home = directory / "boxes" / cluster
    if not (home / "box.json").exists():
        code = commune.ask("POST", f"/clusters/{cluster}/enrolment")["code"]
        enrol(address, code, home)
    device = device_available()
    output = "device" if device else f"wav:{home / 'street.wav'}"
    with child(cluster, ["box", "run", "--dir", str(home), "--output", output], directory / "logs") as process:
        _say(f"Box of {cluster} plays to " + (f"the sound card ({device})" if device else str(home / "street.wav")))
        yield process


def _announce(commune: Remote) -> None:
    """Queue a greeting for now, and at the first run a bulletin twice a day."""
    if not commune.ask("GET", "/programmes", limit=1)["items"]:
        today = datetime.now().astimezone().date().isoformat()
        bulletin = {
            "title": "Bản tin hằng ngày",
            "items": [{"text": BULLETIN}],
            "zones": ["tran-de"],
            "recurrence": {"start": f"{today}T05:00:00", "rule": "FREQ=DAILY;BYHOUR=5,17"},
        }
        commune.ask("POST", "/programmes", bulletin)
    greeting = {"title": "Lời chào", "text": GREETING, "zones": ["tran-de"], "at": "now"}
    commune.ask("POST", "/announcements", greeting)
    end = time.monotonic() + _READY_S
    while time.monotonic() < end:
        programmes = commune.all("/programmes")
        if all(each["state"] != "preparing" for each in programmes):
            break
        time.sleep(0.2)


def _show_timeline(commune: Remote, settings: Settings) -> None:
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    _say("What will sound until this time tomorrow:")
    answer = commune.ask("GET", "/timeline", to=until)
    for timeline in answer["clusters"]:
        for slot in timeline["slots"]:
            start = datetime.fromisoformat(slot["start"]).astimezone(settings.station.zone)
            length = datetime.fromisoformat(slot["end"]) - datetime.fromisoformat(slot["start"])
            _say(
                f"  {start:%d/%m %H:%M:%S}  {length.total_seconds():5.1f} s  {timeline['cluster']:<14} {slot['title']}"
            )


def _follow(remote: Remote) -> None:
    """Print each receipt as it arrives, for as long as the process lives."""
    for kind, facts in remote.events():
        if kind == "receipt":
            _say(_receipt(facts))


def _watch(children: list[Child]) -> None:
    """Wait until somebody ends us, or a child ends by itself."""
    while True:
        for each in children:
            each.require()
        time.sleep(0.5)


def _receipt(receipt: dict[str, Any]) -> str:
    known = ("slot", "playlist", "offset_s", "heard_s", "code")
    facts = " ".join(f"{name}={receipt[name]}" for name in known if name in receipt)
    return f"  {receipt['at']}  {receipt['cluster']:<14} {receipt['outcome']:<11} {facts}"


def _say(line: str) -> None:
    print(line, flush=True)
