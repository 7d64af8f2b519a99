"""What a person at a pole types, and what is answered."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devices.agent.cli import app
from devices.envelope import SigningKey
from tests.devices.agent.conftest import MediaServer

ROOT = Path(__file__).parents[3]


@pytest.fixture
def server(media: MediaServer) -> MediaServer:
    keys = [SigningKey.generate().public().to_jwk()]
    settings = {"box": "box-1", "cluster": "ap-chau", "broker": {"port": 9}, "playlist_keys": keys}
    media.answer = json.dumps(settings).encode()
    return media


def test_enrol_says_who_the_box_is_and_a_second_time_refuses(server: MediaServer, tmp_path: Path) -> None:
    words = ["enrol", "--server", server.url, "--code", "CODE", "--dir", str(tmp_path / "box")]
    first = CliRunner().invoke(app, words)
    assert (first.exit_code, first.stdout.split()[:4]) == (0, ["box", "enrolled", "box=box-1", "cluster=ap-chau"])
    second = CliRunner().invoke(app, words)
    assert second.exit_code == 2
    assert "enrolled" in second.stderr


@pytest.mark.parametrize("output", ["null", "horn"])
def test_run_without_enrolment_or_output_says_what_to_do(tmp_path: Path, output: str) -> None:
    answer = CliRunner().invoke(app, ["run", "--dir", str(tmp_path), "--output", output])
    assert answer.exit_code == 2
    assert "loa box enrol" in answer.stderr


@pytest.fixture
def home(server: MediaServer, tmp_path: Path) -> Path:
    """An enrolled box."""
    CliRunner().invoke(app, ["enrol", "--server", server.url, "--code", "CODE", "--dir", str(tmp_path / "box")])
    return tmp_path / "box"


@contextmanager
def running_box(home: Path, *options: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """A box in a process of its own, which is not left behind."""
    program = "from devices.agent.cli import app; app()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "run", "--dir", str(home), *options],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def test_run_prints_events_and_ends_on_sigterm(home: Path, tmp_path: Path) -> None:
    with running_box(home, "--output", f"wav:{tmp_path}/o.wav") as child:
        assert child.stdout is not None
        while "line down" not in (line := child.stdout.readline()):
            assert line, "the box ended before it said that it has no line"
        child.send_signal(signal.SIGTERM)
        rest = child.stdout.read()
        assert child.wait(10) == 0
    assert "box down box=box-1" in rest
    assert (tmp_path / "o.wav").exists()


def test_without_an_option_the_output_is_what_box_toml_says(home: Path, tmp_path: Path) -> None:
    (home / "box.toml").write_text(f'[sound]\noutput = "wav:{tmp_path}/said.wav"\n')
    with running_box(home) as child:
        assert child.stdout is not None
        assert f"output=wav:{tmp_path}/said.wav" in child.stdout.readline()


def test_enrol_writes_a_box_toml_and_leaves_one_that_is_there(server: MediaServer, tmp_path: Path, home: Path) -> None:
    assert (home / "box.toml").read_bytes() == (ROOT / "devices" / "agent" / "box.toml").read_bytes()
    there = tmp_path / "other"
    there.mkdir()
    (there / "box.toml").write_text("[sound]\ndelay_ms = 3\n")
    answer = CliRunner().invoke(app, ["enrol", "--server", server.url, "--code", "CODE", "--dir", str(there)])
    assert answer.exit_code == 0
    assert (there / "box.toml").read_text() == "[sound]\ndelay_ms = 3\n"


def test_without_any_network_it_is_ready_within_two_seconds_and_gives_signs_of_life(home: Path, tmp_path: Path) -> None:
    """Two seconds of a processor: how many others share this one is not the box's affair."""
    identity = json.loads((home / "box.json").read_text())
    identity["settings"]["broker"]["host"] = "192.0.2.1"  # RFC 5737: nobody ever answers there
    (home / "box.json").write_text(json.dumps(identity))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        began = time.monotonic()
        watched = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        with running_box(home, "--output", f"wav:{tmp_path}/o.wav", **watched) as child:
            assert b"READY=1" in systemd.recv(4096)
            passed_s, worked_s = time.monotonic() - began, processor_s(child.pid)
            print(f"ready after {passed_s:.3f} s, of which it worked {worked_s:.3f} s")
            assert worked_s <= 2
            for _ in range(5):
                assert systemd.recv(4096).startswith(b"WATCHDOG=1\nSTATUS=receipts_waiting=0 ")
            child.send_signal(signal.SIGTERM)
            while b"STOPPING=1" not in systemd.recv(4096):
                pass
            assert child.wait(10) == 0


def processor_s(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
