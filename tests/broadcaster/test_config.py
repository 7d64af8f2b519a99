"""Settings: where they come from, and every mistake told at once."""

import os
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from broadcaster.config import ConfigError, Settings, load
from schedules.levels import Policy, Side

FILE = Path(__file__).parents[2] / "config.toml"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine that runs the tests takes part in them."""
    for name in list(os.environ):
        if name.startswith("LOA_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "other.toml"
    path.write_text(text)
    return path


def mistakes(path: Path | None = None) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert refused.value.code == "bad_config"
    assert all(each in str(refused.value) for each in refused.value.mistakes)
    return sorted(refused.value.mistakes)


def test_the_file_of_the_repository_is_the_defaults() -> None:
    said = tomllib.loads(FILE.read_text())
    assert said == Settings().model_dump(mode="json")
    assert list(said) == list(Settings.model_fields)
    for name, values in said.items():
        section = Settings.model_fields[name].annotation
        assert isinstance(section, type) and issubclass(section, BaseModel)
        assert list(values) == list(section.model_fields)
    assert load(FILE) == load()


def test_every_line_of_the_file_says_why() -> None:
    lines = [line for line in FILE.read_text().splitlines() if line and not line.startswith(("#", "["))]
    assert len(lines) == sum(len(values) for values in Settings().model_dump().values())
    assert [line for line in lines if "# " not in line] == []


def test_without_a_file_the_defaults_are_in_force() -> None:
    assert load() == Settings()


def test_a_file_in_the_working_directory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[http]\nport = 9001\n")
    assert load().http.port == 9001


def test_the_environment_wins_over_the_file_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, '[http]\nport = 9001\nhost = "0.0.0.0"\n')
    monkeypatch.setenv("LOA_HTTP__PORT", "9002")
    monkeypatch.setenv("LOA_DATA__DIR", "/srv/loa")
    settings = load(path)
    assert (settings.http.port, settings.http.host, settings.data.dir) == (9002, "0.0.0.0", Path("/srv/loa"))  # noqa: S104


def test_the_core_is_told_the_station_s_policy(tmp_path: Path) -> None:
    assert load().policy == Policy(), "the defaults of the file and of the core are the same"
    path = written(
        tmp_path,
        '[station]\ntier = "ward"\n[plan]\ntiers = ["city", "ward"]\nundecided = "above"\n'
        "decide_minutes = 30\nmost_move_minutes = 5\n",
    )
    assert load(path).policy == Policy(
        tiers=("city", "ward"),
        own="ward",
        undecided=Side.ABOVE,
        decide_before=timedelta(minutes=30),
        most_move=timedelta(minutes=5),
    )


def test_every_mistake_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(
        tmp_path,
        '[http]\nprot = 8080\nhost = 5\n[sound]\nrate = 9.0\n[station]\ntime_zone = "Asia/Saigonn"\n'
        '[brokr]\nport = 1\n[plan]\nhorizon_days = "many"\n',
    )
    monkeypatch.setenv("LOA_BROKER__PORT", "70000")
    monkeypatch.setenv("LOA_HTPP__PORT", "1")
    told = mistakes(path)
    assert len(told) == 8
    for expected in (
        "LOA_HTPP__PORT: there is no section 'htpp'; did you mean LOA_HTTP__PORT?",
        "brokr: there is no such setting; did you mean broker?",
        "http.prot: there is no such setting; did you mean port?",
    ):
        assert expected in told
    for name in ("broker.port", "http.host", "plan.horizon_days", "sound.rate", "station.time_zone"):
        [sentence] = [each for each in told if each.startswith(f"{name}: ")]
        assert "(it is " in sentence
    assert "(it is '70000')" in next(each for each in told if each.startswith("broker.port"))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("LOA_HTTP__PROT", "1", "http.prot: there is no such setting; did you mean port?"),
        ("LOA_NOTHING_LIKE__IT", "1", "LOA_NOTHING_LIKE__IT: there is no section 'nothing_like'"),
        ("LOA_HTTP", "not json", "LOA_HTTP: there is no such setting; did you mean LOA_HTTP__KEY?"),
        ("LOA_HTTP_PORT", "9000", "LOA_HTTP_PORT: there is no such setting; did you mean LOA_HTTP__PORT?"),
        ("LOA_SOUND__RATE", "nan", "sound.rate: "),
        (
            "LOA_STATION__TIER",
            "district",
            "station.tier: 'district' is none of plan.tiers (central, province, commune)",
        ),
        ("LOA_PLAN__TIERS", '["commune", "commune"]', "plan.tiers: a tier is named twice"),
        ("LOA_PLAN__TIERS", "[]", "plan.tiers: "),
        ("LOA_PLAN__UNDECIDED", "nobody", "plan.undecided: "),
        ("LOA_PLAN__DECIDE_MINUTES", "-1", "plan.decide_minutes: "),
        ("LOA_SESSION__HOURS", "0", "session.hours: "),
    ],
)
def test_a_variable_that_means_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    [told] = mistakes()
    assert told.startswith(expected)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    [told] = mistakes(tmp_path / "nowhere.toml")
    assert "nowhere.toml" in told


def test_a_file_that_is_no_toml_is_told(tmp_path: Path) -> None:
    [told] = mistakes(written(tmp_path, "[http\nport"))
    assert "not TOML" in told
