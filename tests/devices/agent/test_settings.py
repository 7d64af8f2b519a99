"""``box.toml``: where its values come from, and every mistake told at once."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from devices.agent import settings
from devices.agent.cli import app
from devices.agent.config import BoxError
from devices.agent.settings import Settings, read, write_default
from tests.architecture.house import ROOT

DEFAULT = ROOT / "devices" / "agent" / "box.toml"
OPERATIONS = ROOT / "docs" / "operations.md"
COMMANDS = {("amplifier", "on"), ("amplifier", "off"), ("sensors", "temperature"), ("sensors", "supply")} | {
    ("sensors", "signal")
}


def sections() -> dict[str, type[BaseModel]]:
    found = {}
    for name, field in Settings.model_fields.items():
        assert isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        found[name] = field.annotation
    return found


def written(directory: Path, text: str | bytes) -> Path:
    (directory / "box.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    return directory


def mistakes(directory: Path, text: str | bytes) -> list[str]:
    with pytest.raises(BoxError) as refused:
        read(written(directory, text))
    assert refused.value.code == "bad_settings"
    head, *told = str(refused.value).splitlines()
    assert head == f"{directory / 'box.toml'} has mistakes:"
    return sorted(line.removeprefix("  - ") for line in told)


def lines_of_the_default() -> list[str]:
    """Return the lines that set something, those that are examples of a command included."""
    return [line for line in DEFAULT.read_text().splitlines() if re.match(r"(# )?\w+ = ", line)]


def test_without_a_file_the_defaults_are_in_force(tmp_path: Path) -> None:
    assert read(tmp_path) == Settings()


def test_what_the_file_says_is_in_force_and_the_rest_is_default(tmp_path: Path) -> None:
    said = read(
        written(tmp_path, '[sound]\noutput = "device:USB"\ndelay_ms = -12\n[sensors]\nsupply = ["volts", "-1"]\n')
    )
    assert (said.sound.output, said.sound.delay_ms) == ("device:USB", -12.0)
    assert said.sensors.supply == ("volts", "-1")
    assert said.model_copy(update={"sound": settings.Sound(), "sensors": settings.Sensors()}) == Settings()


def test_the_file_that_enrolment_writes_is_the_defaults(tmp_path: Path) -> None:
    write_default(tmp_path)
    assert read(tmp_path) == Settings()
    said = tomllib.loads(DEFAULT.read_text())
    assert said == Settings().model_dump(mode="json", exclude_none=True)
    assert list(said) == list(Settings.model_fields)


def test_every_setting_stands_in_it_in_order_with_a_reason() -> None:
    told: dict[str, list[str]] = {}
    for line in DEFAULT.read_text().splitlines():
        if line.startswith("["):
            told[line.strip("[]")] = keys = []
        elif found := re.match(r"(?:# )?(\w+) = ", line):
            keys.append(found[1])
    assert told == {name: list(section.model_fields) for name, section in sections().items()}
    assert [line for line in lines_of_the_default() if not re.search(r".\s# \S.{10,}", line)] == []


def test_its_examples_of_commands_can_be_taken_as_they_stand(tmp_path: Path) -> None:
    said = read(written(tmp_path, re.sub(r"^# (\w+ = )", r"\1", DEFAULT.read_text(), flags=re.MULTILINE)))
    dumped: dict[str, dict[str, Any]] = said.model_dump()
    assert all(len(dumped[section][key]) >= 1 for section, key in COMMANDS)
    assert {
        (s, k) for s, keys in Settings().model_dump().items() for k, value in keys.items() if value is None
    } == COMMANDS


def test_every_setting_with_its_default_and_limits_is_written_down_for_operators() -> None:
    said = OPERATIONS.read_text()
    for name, keys in Settings().model_dump(mode="json").items():
        for key, value in keys.items():
            [row] = [line for line in said.splitlines() if line.startswith(f"| `{name}.{key}` |")]
            default = "none" if value is None else json.dumps(value).removesuffix(".0").strip('"')
            assert row.split(" | ")[1].strip("`") == default


def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    write_default(written(tmp_path, "[sound]\ndelay_ms = 3\n"))
    assert read(tmp_path).sound.delay_ms == 3


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    told = mistakes(
        tmp_path,
        '[sound]\noutput = "horn"\ndelay_mss = 5\ndelay_ms = "5"\n[amplifer]\non = ["x"]\n'
        '[sensors]\ntemperature = "vcgencmd measure_temp"\nevery_s = 1\nsignal = []\nsupply = [""]\n'
        "[time]\nbattery = 1\nmost_doubt_s = nan\n",
    )
    wrong_command = 'a command is a list of a program and its arguments, such as ["pinctrl", "set", "17", "op", "dh"]'
    assert told == [
        "amplifer: there is no such setting; did you mean amplifier?",
        "sensors.every_s: Input should be greater than or equal to 10 (it is 1)",
        f"sensors.signal: {wrong_command} (it is [])",
        f"sensors.supply: {wrong_command} (it is [''])",
        f"sensors.temperature: {wrong_command} (it is 'vcgencmd measure_temp')",
        "sound.delay_ms: Input should be a valid number (it is '5')",
        "sound.delay_mss: there is no such setting; did you mean delay_ms?",
        "sound.output: an output is device, device:NAME, wav:PATH or null (it is 'horn')",
        "time.battery: Input should be a valid boolean (it is 1)",
        "time.most_doubt_s: Input should be less than or equal to 3600 (it is nan)",
    ]


@pytest.mark.parametrize("there", ["on", "off"])
def test_an_amplifier_has_both_commands_or_none(tmp_path: Path, there: str) -> None:
    [told] = mistakes(tmp_path, f'[amplifier]\n{there} = ["relay"]\n')
    assert told.startswith(f"amplifier: there is a command for {there}, and none for ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[sound\n", "it is not TOML: "),
        (b"[sound]\noutput = '\xff'\n", "it is not TOML: "),
        ("sound = 5\n", "sound: this is a section: write [sound]"),
        ("delay_ms = 5\n", "delay_ms: there is no such setting"),
    ],
)
def test_a_file_that_is_no_such_file_is_told(tmp_path: Path, text: str | bytes, expected: str) -> None:
    [told] = mistakes(tmp_path, text)
    assert told.startswith(expected)


def test_a_file_from_a_windows_editor_is_taken(tmp_path: Path) -> None:
    assert read(written(tmp_path, b"\xef\xbb\xbf[sound]\r\ndelay_ms = 7\r\n")).sound.delay_ms == 7


def test_something_else_of_that_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "box.toml").mkdir()
    with pytest.raises(BoxError, match="it cannot be read: Is a directory"):
        read(tmp_path)


def test_a_mistake_keeps_the_box_from_starting_with_exit_2(tmp_path: Path, enrolled: Path) -> None:
    del tmp_path
    answer = CliRunner().invoke(app, ["run", "--dir", str(written(enrolled, "[sound]\ndelay = 1\n"))])
    assert answer.exit_code == 2
    assert "sound.delay: there is no such setting; did you mean delay_ms?" in answer.stderr


@pytest.fixture
def enrolled(tmp_path: Path) -> Path:
    """A directory with the identity of a box."""
    from devices.agent.config import Identity, Layout
    from devices.enrolment import BoxSettings
    from devices.envelope import SigningKey

    key, layout = SigningKey.generate(), Layout(tmp_path)
    place = {"box": "box-1", "cluster": "ap-chau", "broker": {"port": 9}, "playlist_keys": [key.public().to_jwk()]}
    identity = Identity(server="http://127.0.0.1:9", settings=BoxSettings.model_validate(place))
    layout.identity.write_text(identity.model_dump_json(exclude_none=True))
    layout.key.write_bytes(key.to_pem())
    return tmp_path
