"""How a machine becomes a box, and what it says when it cannot."""

import json
import stat
from pathlib import Path

import pytest

from devices.agent.config import BoxError, Layout, load
from devices.agent.enrolment import enrol
from devices.envelope import PublicKey, SigningKey
from tests.devices.agent.conftest import MediaServer


@pytest.fixture
def server(media: MediaServer) -> MediaServer:
    settings = {
        "box": "box-1",
        "cluster": "ap-chau",
        "broker": {"port": 1884},
        "playlist_keys": [SigningKey.generate().public().to_jwk()],
    }
    media.answer = json.dumps(settings).encode()
    return media


def test_a_box_makes_its_own_key_and_only_the_public_half_leaves(server: MediaServer, tmp_path: Path) -> None:
    settings = enrol(server.url + "/", " CODE-1 ", tmp_path / "box")
    assert (settings.box, settings.cluster) == ("box-1", "ap-chau")
    ((path, body),) = server.requests
    request = json.loads(body or "")
    config = load(tmp_path / "box")
    assert path == "/api/v1/boxes"
    assert request["code"] == "CODE-1"
    assert PublicKey.from_jwk(request["public_key"]).kid == config.key.kid
    assert "d" not in request["public_key"]
    assert stat.S_IMODE(Layout(tmp_path / "box").key.stat().st_mode) == 0o600


def test_the_broker_is_on_the_servers_host_unless_told_otherwise(server: MediaServer, tmp_path: Path) -> None:
    enrol(server.url, "CODE", tmp_path / "one")
    assert (load(tmp_path / "one").broker.host, load(tmp_path / "one").broker.port) == ("127.0.0.1", 1884)
    answer = json.loads(server.answer)
    server.answer = json.dumps({**answer, "broker": {"host": "mqtt.example", "port": 1883}}).encode()
    enrol(server.url, "CODE", tmp_path / "two")
    assert load(tmp_path / "two").broker.host == "mqtt.example"


def test_an_enrolled_directory_is_never_overwritten(server: MediaServer, tmp_path: Path) -> None:
    enrol(server.url, "CODE", tmp_path)
    key = Layout(tmp_path).key.read_bytes()
    with pytest.raises(BoxError, match=r"enrolled in .* already") as caught:
        enrol(server.url, "CODE", tmp_path)
    assert caught.value.code == "already_enrolled"
    assert Layout(tmp_path).key.read_bytes() == key
    assert len(server.requests) == 1


def test_a_refusal_is_told_in_the_servers_words_and_leaves_nothing(server: MediaServer, tmp_path: Path) -> None:
    server.status = 410
    server.answer = json.dumps({"code": "code_spent", "title": "Gone", "detail": "This code was used."}).encode()
    with pytest.raises(BoxError, match=r"^This code was used\.$") as caught:
        enrol(server.url, "CODE", tmp_path / "box")
    assert caught.value.code == "code_spent"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "answer"), [(500, b"oops"), (404, b"[]"), (200, b"{}"), (201, b"{}"), (201, b"<html>")]
)
def test_another_kind_of_server_is_named_as_such(
    server: MediaServer, tmp_path: Path, status: int, answer: bytes
) -> None:
    server.status, server.answer = status, answer
    with pytest.raises(BoxError) as caught:
        enrol(server.url, "CODE", tmp_path / "box")
    assert caught.value.code == "bad_answer"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["", "loa.example", "ftp://loa.example", "http://", "http://loa.example:port"])
def test_a_server_that_is_no_url_is_refused_before_the_code_is_spent(url: str, tmp_path: Path) -> None:
    with pytest.raises(BoxError) as caught:
        enrol(url, "CODE", tmp_path / "box")
    assert caught.value.code == "bad_server"


def test_nobody_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BoxError, match="Is the server running") as caught:
        enrol("http://127.0.0.1:9", "CODE", tmp_path / "box")
    assert caught.value.code == "no_answer"


def test_a_directory_that_cannot_be_written_is_said_before_the_code_is_spent(
    server: MediaServer, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BoxError) as caught:
        enrol(server.url, "CODE", tmp_path / "file" / "box")
    assert caught.value.code == "directory"
    assert server.requests == []


def test_an_empty_directory_asks_for_enrolment(tmp_path: Path) -> None:
    with pytest.raises(BoxError, match="loa box enrol --server URL --code CODE --dir") as caught:
        load(tmp_path)
    assert caught.value.code == "not_enrolled"


@pytest.mark.parametrize("content", ["", "{}", '{"server": 1}', "\x00"])
def test_a_broken_identity_is_named(server: MediaServer, tmp_path: Path, content: str) -> None:
    enrol(server.url, "CODE", tmp_path)
    Layout(tmp_path).identity.write_text(content)
    with pytest.raises(BoxError, match=r"box\.json cannot be used") as caught:
        load(tmp_path)
    assert caught.value.code == "broken_identity"


def test_a_broken_or_missing_key_is_named(server: MediaServer, tmp_path: Path) -> None:
    enrol(server.url, "CODE", tmp_path)
    Layout(tmp_path).key.write_bytes(b"torn")
    with pytest.raises(BoxError) as caught:
        load(tmp_path)
    assert caught.value.code == "broken_key"
    Layout(tmp_path).key.unlink()
    with pytest.raises(BoxError) as caught:
        load(tmp_path)
    assert caught.value.code == "broken_key"


def test_a_key_that_others_may_read_is_closed_and_the_box_runs(server: MediaServer, tmp_path: Path) -> None:
    enrol(server.url, "CODE", tmp_path)
    key = Layout(tmp_path).key
    key.chmod(0o644)
    load(tmp_path)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
