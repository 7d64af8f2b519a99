"""What an operator gets who makes a mistake at the command line: a sentence, exit code 2, and nothing left behind."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.town import Town, free_port, living, loa, town, until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as found:
        yield found


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("LOA_")},
        "LOA_DATA__DIR": str(tmp_path / "data"),
        "LOA_HTTP__PORT": str(free_port()),
        "LOA_BROKER__PORT": str(free_port()),
    }


def refused(*arguments: str, env: dict[str, str], limits: str = "") -> str:
    """Run a command that must be refused and return what it says."""
    ended = loa(*arguments, env=env, limits=limits)
    assert ended.returncode == 2, ended
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.strip()) > 20
    return ended.stderr


# The box


def test_a_box_that_was_never_enrolled(tmp_path: Path, environment: dict[str, str]) -> None:
    said = refused("box", "run", "--dir", str(tmp_path / "box"), "--output", "null", env=environment)
    assert "No box is enrolled" in said
    assert "loa box enrol" in said
    assert not (tmp_path / "box").exists()


def test_a_box_enrols_and_a_used_code_is_refused(place: Town, tmp_path: Path) -> None:
    code = place.code("mo-o-1")
    arguments = ["box", "enrol", "--server", place.url, "--code", code, "--dir"]
    enrolled = loa(*arguments, str(tmp_path / "first"), env=place.environment)
    assert enrolled.returncode == 0
    assert "cluster=mo-o-1" in enrolled.stdout
    assert (tmp_path / "first" / "key.pem").stat().st_mode & 0o077 == 0
    said = refused(*arguments, str(tmp_path / "second"), env=place.environment)
    assert "ask an admin for a new one" in said
    assert not (tmp_path / "second").exists()
    assert "already" in refused(*arguments, str(tmp_path / "first"), env=place.environment)


def test_a_wrong_code(place: Town, tmp_path: Path) -> None:
    arguments = ["box", "enrol", "--server", place.url, "--code", "2222-3333-4444", "--dir", str(tmp_path / "box")]
    assert "unknown, used or expired" in refused(*arguments, env=place.environment)
    assert not (tmp_path / "box").exists()


def test_a_server_that_is_not_there(tmp_path: Path, environment: dict[str, str]) -> None:
    server = f"http://127.0.0.1:{free_port()}"
    said = refused(
        "box", "enrol", "--server", server, "--code", "ABCD-EFGH-2345", "--dir", str(tmp_path / "box"), env=environment
    )
    assert server in said
    assert "Is the server running?" in said
    assert not (tmp_path / "box").exists()


def test_a_full_disk_does_not_use_up_the_code(place: Town, tmp_path: Path) -> None:
    arguments = ["box", "enrol", "--server", place.url, "--code", place.code("so-la-1"), "--dir", str(tmp_path / "box")]
    said = refused(*arguments, env=place.environment, limits="-f 0")
    assert str(tmp_path / "box") in said
    assert not (tmp_path / "box").exists()
    assert loa(*arguments, env=place.environment).returncode == 0


def test_an_output_that_does_not_exist(place: Town, tmp_path: Path) -> None:
    box = place.enrol("bung-cu-1")
    said = refused("box", "run", "--dir", str(box.home), "--output", "horn", env=place.environment)
    assert "wav:PATH" in said


def test_a_box_runs_once(place: Town) -> None:
    box = place.enrol("ngan-ro-1").start()
    until(lambda: box.wav.exists(), 10, "the box runs")
    said = refused("box", "run", "--dir", str(box.home), "--output", "null", env=place.environment)
    assert "Another process" in said
    box.stop()


# The server


@pytest.mark.parametrize("setting", ["LOA_HTTP__PORT", "LOA_BROKER__PORT"])
@pytest.mark.parametrize("kind", ["auto", "iotcore"])
def test_a_port_in_use(environment: dict[str, str], setting: str, kind: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refused("serve", env={**environment, setting: port, "LOA_BROKER__KIND": kind})
    assert port in said
    assert setting in said
    assert "in use" in said
    assert living(Path(environment["LOA_DATA__DIR"])) == {}


def test_a_data_directory_that_is_a_file(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "data").write_text("not a directory")
    said = refused("serve", env=environment)
    assert str(tmp_path / "data") in said
    assert "LOA_DATA__DIR" in said


def test_a_data_directory_where_nothing_can_be_written(environment: dict[str, str]) -> None:
    said = refused("serve", env={**environment, "LOA_DATA__DIR": "/proc/loa"})
    assert "/proc/loa" in said


def test_a_full_disk_at_the_first_start(environment: dict[str, str]) -> None:
    said = refused("serve", env=environment, limits="-f 0")
    assert environment["LOA_DATA__DIR"] in said
    assert living(Path(environment["LOA_DATA__DIR"])) == {}


def test_a_data_directory_that_another_server_has(place: Town) -> None:
    elsewhere = {"LOA_HTTP__PORT": str(free_port()), "LOA_BROKER__PORT": str(free_port())}
    said = refused("serve", env={**place.environment, **elsewhere})
    assert "already runs" in said
    assert place.ask("GET", "/me")["name"] == "hoa"


def test_every_mistake_in_the_configuration_is_told_at_once(tmp_path: Path, environment: dict[str, str]) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[http]\nprt = 8080\n[broker]\nkind = "rabbit"\n[plan]\nhorizon_days = 99\n[sond]\nvoice = "x"\n')
    said = refused("serve", "--config", str(path), env={**environment, "LOA_HTP__PORT": "1"})
    for name in ("http.prt", "broker.kind", "plan.horizon_days", "sond", "LOA_HTP__PORT"):
        assert name in said
    assert said.count("did you mean") >= 3
    assert not Path(environment["LOA_DATA__DIR"]).exists()


def test_a_configuration_that_is_not_toml_or_not_there(tmp_path: Path, environment: dict[str, str]) -> None:
    path = tmp_path / "config.toml"
    assert "no such file" in refused("serve", "--config", str(path), env=environment)
    path.write_text("[http\nport 8080")
    assert "not TOML" in refused("serve", "--config", str(path), env=environment)
