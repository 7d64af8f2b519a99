"""Every setting, from ``config.toml`` and the environment; all mistakes are told at once.

Precedence: ``LOA_SECTION__KEY`` in the environment, then the file, then the defaults below. The ``config.toml`` of the
repository lists the same defaults with a reason each; a test keeps the two equal.
"""

import os
import tomllib
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from schedules.levels import Policy, Side

PREFIX = "LOA_"


class ConfigError(Exception):
    """The configuration cannot be used. ``mistakes`` are sentences, each naming the setting and what it takes."""

    code = "bad_config"

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("The configuration has mistakes:\n" + "\n".join(f"  - {each}" for each in mistakes))
        self.mistakes = mistakes


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("this time zone is not known; give an IANA name such as Asia/Ho_Chi_Minh") from error
    return name


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("a tier is named twice; name each once, the strongest first")
    return names


Port = Annotated[int, Field(ge=1, le=65535)]
Tier = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class Section(BaseModel):
    """A table of ``config.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Station(Section):
    """Whose station this is, and the local time that its officials schedule in."""

    name: Annotated[str, Field(min_length=1, max_length=100)] = "Đài truyền thanh"
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "Asia/Ho_Chi_Minh"
    tier: Tier = "commune"

    @property
    def zone(self) -> ZoneInfo:
        """The time zone itself."""
        return ZoneInfo(self.time_zone)


class Data(Section):
    """Where everything lies that must survive."""

    dir: Path = Path("data")


class Http(Section):
    """Where the API listens."""

    host: str = "127.0.0.1"
    port: Port = 8080


class Broker(Section):
    """Which MQTT broker serves the boxes, and where."""

    kind: Literal["auto", "mosquitto", "iotcore", "external"] = "auto"
    host: str = "127.0.0.1"
    port: Port = 1883
    advertised_host: str = ""


class Plan(Section):
    """How far ahead and how freely occurrences are laid on timelines, and who goes first."""

    horizon_days: Annotated[int, Field(ge=1, le=31)] = 7
    most_move_minutes: Annotated[int, Field(ge=0, le=240)] = 15
    valid_days: Annotated[int, Field(ge=1, le=31)] = 7
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1, max_length=20), AfterValidator(_each_once)] = (
        "central",
        "province",
        "commune",
    )
    undecided: Literal["ours", "above"] = "ours"
    decide_minutes: Annotated[int, Field(ge=0, le=1440)] = 60


class Sound(Section):
    """Which sounds are taken, and how words are spoken."""

    longest_minutes: Annotated[float, Field(gt=0, le=1440)] = 90
    largest_mb: Annotated[float, Field(gt=0, le=10_000)] = 300
    most_text: Annotated[int, Field(ge=1, le=100_000)] = 5000
    voice: str = "vi-north"
    rate: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    workers: Annotated[int, Field(ge=1, le=16)] = 2


class Session(Section):
    """How long a sign-in lasts."""

    hours: Annotated[float, Field(gt=0, le=24 * 31)] = 12


class Enrolment(Section):
    """How long a one-time code for a box is good for."""

    minutes: Annotated[float, Field(gt=0, le=1440)] = 30


class Report(Section):
    """When an occurrence is closed."""

    grace_s: Annotated[float, Field(ge=1, le=3600)] = 60


class Log(Section):
    """How much is logged."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, case_sensitive=False
    )

    station: Station = Station()
    data: Data = Data()
    http: Http = Http()
    broker: Broker = Broker()
    plan: Plan = Plan()
    sound: Sound = Sound()
    session: Session = Session()
    enrolment: Enrolment = Enrolment()
    report: Report = Report()
    log: Log = Log()

    @model_validator(mode="after")
    def _own_tier_is_one(self) -> Self:
        if self.station.tier not in self.plan.tiers:
            known = ", ".join(self.plan.tiers)
            raise ValueError(
                f"station.tier: {self.station.tier!r} is none of plan.tiers ({known}); take one of these or add it"
            )
        return self

    @property
    def policy(self) -> Policy:
        """Who goes first, in the words of the core."""
        return Policy(
            tiers=self.plan.tiers,
            own=self.station.tier,
            undecided=Side(self.plan.undecided),
            decide_before=timedelta(minutes=self.plan.decide_minutes),
            most_move=timedelta(minutes=self.plan.most_move_minutes),
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the environment over the file, whose path is the only initial value."""
        path = init_settings().pop("_file", None)
        return (env_settings, TomlConfigSettingsSource(settings_cls, toml_file=path))


def load(path: Path | None = None) -> Settings:
    """Return the settings of ``path``, or of ``config.toml`` in the working directory if it is there.

    Raises:
        ConfigError: with every mistake of file and environment.
    """
    if path is not None and not path.is_file():
        raise ConfigError([f"{path}: there is no such file"])
    found = path or (Path("config.toml") if Path("config.toml").is_file() else None)
    mistakes = _unknown_variables()
    try:
        settings = Settings(_file=found)  # type: ignore[call-arg] # taken out by settings_customise_sources
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{found}: not TOML: {error}", *mistakes]) from error
    except SettingsError as error:  # a whole section in one variable, and not in JSON: among the mistakes below
        raise ConfigError(mistakes or [str(error)]) from error
    except ValidationError as error:
        raise ConfigError([*map(_sentence, error.errors(include_url=False)), *mistakes]) from error
    if mistakes:
        raise ConfigError(mistakes)
    return settings


def _unknown_variables() -> list[str]:
    """Name the variables that look like settings but name no section, or no setting in it."""
    mistakes = []
    for name in sorted(os.environ):
        section, delimiter, key = name.removeprefix(PREFIX).lower().partition("__")
        if not name.startswith(PREFIX) or (delimiter and section in Settings.model_fields):
            continue
        if not delimiter:
            section, _, key = section.partition("_")
        near = _near(section, list(Settings.model_fields))
        hint = f"; did you mean {PREFIX}{near.upper()}__{(key or 'key').upper()}?" if near else ""
        mistakes.append(f"{name}: there is no {f'section {section!r}' if delimiter else 'such setting'}{hint}")
    return mistakes


def _sentence(error: Any) -> str:
    where = [str(part) for part in error["loc"]]
    name = ".".join(where)
    if not where:  # about several settings together: the sentence names them
        return str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        near = _near(where[-1], _siblings(where[:-1]))
        return f"{name}: there is no such setting" + (f"; did you mean {near}?" if near else "")
    return f"{name}: {error['msg'].removeprefix('Value error, ')} (it is {error['input']!r})"


def _siblings(where: list[str]) -> list[str]:
    if not where:
        return list(Settings.model_fields)
    section = Settings.model_fields.get(where[0])
    kind = section.annotation if section else None
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _near(word: str, words: list[str]) -> str | None:
    return next(iter(get_close_matches(word, words, n=1, cutoff=0.5)), None)
