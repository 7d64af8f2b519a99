"""What a person at a pole types, and what is answered."""

import json
import os
import signal
import subprocess
import sys
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


def test_run_prints_events_and_ends_on_sigterm(server: MediaServer, tmp_path: Path) -> None:
    CliRunner().invoke(app, ["enrol", "--server", server.url, "--code", "CODE", "--dir", str(tmp_path / "box")])
    program = "from devices.agent.cli import app; app()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "run", "--dir", str(tmp_path / "box"), "--output", f"wav:{tmp_path}/o.wav"],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        text=True,
    ) as child:
        assert child.stdout is not None
        while "line down" not in (line := child.stdout.readline()):
            assert line, "the box ended before it said that it has no line"
        child.send_signal(signal.SIGTERM)
        rest = child.stdout.read()
        assert child.wait(10) == 0
    assert "box down box=box-1" in rest
    assert (tmp_path / "o.wav").exists()
