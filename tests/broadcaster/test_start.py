"""What keeps the server from starting, and what officials at the command line are told."""

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from broadcaster.app import listening, opened, running
from broadcaster.config import Http
from broadcaster.errors import CannotStart
from broadcaster.flow.sign_in import sign_in
from broadcaster.publisher.keys import playlist_key
from broadcaster.store.directory import alone, usable
from broadcaster.store.records import Role
from broadcaster.store.tiny import TinyDefinitions
from tests.broadcaster.commune import NOW, settings

HOUSE = Path(__file__).parents[2]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def loa(*arguments: str, data: str, password: str = "", **environment: str) -> tuple[int, str, str]:
    """Run ``loa`` and return its status, output and complaints."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LOA_")}
    done = subprocess.run(
        [sys.executable, "-m", "broadcaster.cli", *arguments],
        env={**inherited, "PYTHONPATH": str(HOUSE), "LOA_DATA__DIR": data, **environment},
        input=password + "\n",
        capture_output=True,
        text=True,
        timeout=30,
        cwd=Path(data).parent,
    )
    return done.returncode, done.stdout, done.stderr


# Refusals to start


def test_a_port_that_is_in_use_is_told(taken: int) -> None:
    with pytest.raises(CannotStart) as refused:
        listening(Http(port=taken))
    assert refused.value.code == "port_in_use"
    assert refused.value.fields == {"port": taken, "setting": "http.port"}
    assert str(refused.value) == (
        f"Port {taken} on 127.0.0.1 is in use by another program; "
        "stop that program or choose another http.port (LOA_HTTP__PORT)."
    )


def test_an_address_that_is_not_ours_is_told() -> None:
    with pytest.raises(CannotStart, match=r"correct http\.host") as refused:
        listening(Http(host="192.0.2.1", port=8080))
    assert refused.value.code == "address_unusable"


def test_a_host_that_is_no_address_is_told() -> None:
    with pytest.raises(CannotStart, match=r"correct http\.host") as refused:
        listening(Http(host="no.such.host.invalid", port=8080))
    assert refused.value.code == "address_unusable"


def test_a_data_directory_that_cannot_be_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for directory in (file, file / "data"):
        with pytest.raises(CannotStart, match=r"choose another data\.dir") as refused:
            usable(directory)
        assert refused.value.code == "data_unwritable"
        assert str(directory) in str(refused.value)


def test_one_server_runs_on_one_directory(tmp_path: Path) -> None:
    with alone(tmp_path):
        with pytest.raises(CannotStart, match="already runs") as refused, alone(tmp_path):
            pass
        assert refused.value.code == "data_in_use"
    with alone(tmp_path):
        pass


def test_a_key_is_made_once_and_read_by_its_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    key = playlist_key(directory)
    assert playlist_key(directory).kid == key.kid
    assert (directory / "playlist.pem").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in directory.iterdir()] == ["playlist.pem"]


def test_a_key_file_that_is_none_is_told_and_kept(tmp_path: Path) -> None:
    (tmp_path / "playlist.pem").write_text("not a key")
    with pytest.raises(CannotStart, match="restore it from the backup") as refused:
        playlist_key(tmp_path)
    assert refused.value.code == "data_unwritable"
    assert (tmp_path / "playlist.pem").read_text() == "not a key"


def test_a_half_written_key_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "playlist.new").write_bytes(b"-----BEGIN PRI")
    assert playlist_key(tmp_path).kid == playlist_key(tmp_path).kid


def test_what_was_started_is_given_back_when_the_rest_cannot_start(tmp_path: Path, taken: int) -> None:
    """The broker's port is taken: HTTP port, lock and store are free again at once."""
    port = free_port()
    wanted = settings(tmp_path / "data", http={"port": port}, broker={"kind": "iotcore", "port": taken})

    async def start() -> None:
        async with running(wanted):
            pass

    with pytest.raises(CannotStart) as refused:
        asyncio.run(start())
    assert (refused.value.code, refused.value.fields["setting"]) == ("port_in_use", "broker.port")
    listening(Http(port=port)).close()
    with alone(tmp_path / "data"), opened(tmp_path / "data"):
        pass


def test_a_server_that_is_up_is_ready_and_stops_without_a_trace(tmp_path: Path) -> None:
    port = free_port()
    wanted = settings(tmp_path / "data", http={"port": port}, broker={"kind": "iotcore", "port": free_port()})

    async def serve() -> None:
        async with running(wanted), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/healthz")).status_code == 200
            async with asyncio.timeout(10):
                while (await client.get("/readyz")).status_code != 200:
                    await asyncio.sleep(0.02)
        assert {task.get_name() for task in asyncio.all_tasks()} == {asyncio.current_task().get_name()}  # type: ignore[union-attr]

    asyncio.run(serve())
    listening(Http(port=port)).close()
    with alone(tmp_path / "data"):
        pass


# The command line


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(tmp_path / "data")


PASSWORD = "một mật khẩu dài"


def test_an_official_is_added_with_the_server_stopped(data: str) -> None:
    status, told, _ = loa(
        "official",
        "add",
        "hoa",
        "--role",
        "admin",
        "--password-stdin",
        password=PASSWORD,
        data=data,
    )
    assert (status, told) == (0, "official added name=hoa role=admin\n")
    with opened(Path(data)) as store:
        ticket = sign_in("hoa", PASSWORD, lasting=NOW - NOW, store=store, now=NOW)
        assert ticket.official.role is Role.ADMIN
    status, told, complaint = loa("official", "add", "hoa", "--password-stdin", password=PASSWORD, data=data)
    assert (status, told) == (2, "")
    assert "already a 'hoa'" in complaint


def test_an_official_is_added_beside_a_running_server(data: str) -> None:
    directory = usable(Path(data))
    with alone(directory), opened(directory) as store:
        assert store.definitions.officials.find("hoa") is None
        assert loa("official", "add", "hoa", "--password-stdin", password=PASSWORD, data=data)[0] == 0
        assert store.definitions.officials.get("hoa").role is Role.OFFICIAL
        assert sign_in("hoa", PASSWORD, lasting=NOW - NOW, store=store, now=NOW).official.id == "hoa"


@pytest.mark.parametrize(
    ("arguments", "password", "complaint"),
    [
        (("hoa",), "ngắn", r"has 4 characters; take at least 10"),
        (("hoa",), "", r"has 0 characters"),
        (("Hoa Nguyễn",), PASSWORD, r"cannot be a name to sign in with"),
        (("hoa", "--role", "king"), PASSWORD, r"no role 'king'; take official or admin"),
    ],
)
def test_an_official_who_cannot_be_is_refused(
    data: str, arguments: tuple[str, ...], password: str, complaint: str
) -> None:
    status, told, said = loa("official", "add", *arguments, "--password-stdin", password=password, data=data)
    assert (status, told) == (2, "")
    assert re.search(complaint, said)
    assert said.count("\n") == 1, "a sentence, no traceback"
    if Path(data).is_dir():
        with contextlib.closing(TinyDefinitions(Path(data))) as definitions:
            assert definitions.officials.all() == ()


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"LOA_BROKER__KIND": "mosqitto"}, "broker.kind"),
        ({"LOA_DATA__DIR": "{file}/data"}, "cannot be used"),
        ({"LOA_HTTP__PORT": "{taken}"}, "is in use by another program"),
    ],
)
def test_a_server_that_cannot_start_says_why_in_a_sentence(
    tmp_path: Path, data: str, taken: int, variables: dict[str, str], complaint: str
) -> None:
    (tmp_path / "file").write_text("")
    told = {name: value.format(file=tmp_path / "file", taken=taken) for name, value in variables.items()}
    status, _, said = loa("serve", data=data, **told)
    assert status == 2
    assert complaint in said
    assert "Traceback" not in said


def test_what_is_in_force_can_be_seen(data: str) -> None:
    status, told, _ = loa("config", data=data, LOA_HTTP__PORT="9000")
    shown = tomllib.loads(told)
    assert (status, shown["http"]["port"], shown["data"]["dir"]) == (0, 9000, data)
    status, _, said = loa("config", data=data, LOA_HTTP__PORT="x", LOA_LOG__LEVEL="loud")
    assert status == 2
    assert "http.port" in said
    assert "log.level" in said
