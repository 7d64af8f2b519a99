"""What an installer sets on one box: ``box.toml`` in its directory. Every key has a default; it may be missing.

``devices/agent/box.toml`` lists the same defaults with unit and reason; enrolment writes it where there is none, and a
test keeps the two equal.
"""

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from devices.agent.config import BoxError, Layout
from devices.agent.files import write_whole

_DEFAULT: Final = Path(__file__).with_name("box.toml")


def _words(said: object) -> object:
    """Return a command as the tuple that it is kept as."""
    if isinstance(said, list) and said and all(isinstance(word, str) for word in said) and said[0]:
        return tuple(said)
    raise ValueError('a command is a list of a program and its arguments, such as ["pinctrl", "set", "17", "op", "dh"]')


Command = Annotated[tuple[str, ...], BeforeValidator(_words), Field(max_length=32)]
"""A program and its arguments. No shell looks at it."""
OutputName = Annotated[str, StringConstraints(max_length=200, pattern=r"^(device(:.+)?|wav:.+|null)$")]


class Section(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Sound(Section):
    """How it sounds."""

    output: OutputName = "device"
    """``device``, ``device:NAME``, ``wav:PATH`` or ``null``; ``--output`` overrides it."""
    delay_ms: Annotated[float, Field(ge=-1000, le=1000)] = 0.0
    """Milliseconds by which it sounds later than planned (less than 0: earlier), for its amplifier or distance."""


class Amplifier(Section):
    """The commands that switch the amplifier: both, or neither."""

    on: Command | None = None
    off: Command | None = None
    before_s: Annotated[float, Field(ge=0, le=30)] = 2.0
    """Seconds before the first sample at which it is switched on."""
    after_s: Annotated[float, Field(ge=0, le=300)] = 5.0
    """Seconds after the last sample at which it is switched off."""

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.on is None) != (self.off is None):
            there, missing = ("on", "off") if self.off is None else ("off", "on")
            raise ValueError(f"there is a command for {there}, and none for {missing}; an amplifier needs both")
        return self


class Sensors(Section):
    """Commands that print one number; what has no command is unknown."""

    temperature: Command | None = None
    """Degrees Celsius in the cabinet."""
    supply: Command | None = None
    """Volts of the supply."""
    signal: Command | None = None
    """dBm of the mobile line."""
    every_s: Annotated[float, Field(ge=10, le=86_400)] = 300.0
    """Seconds between two readings."""


class Storage(Section):
    """The disk."""

    budget_mb: Annotated[int, Field(ge=16, le=1_000_000)] = 2000
    """Megabytes of 1,000,000 bytes that renditions may take."""
    keep_free_mb: Annotated[int, Field(ge=0, le=1_000_000)] = 50
    """Megabytes that renditions leave free on the disk, for ledger and receipts."""


class Time(Section):
    """The clock."""

    battery: bool = False
    """Whether the system clock goes on by a battery while the power is cut; then it is believed at boot."""
    most_doubt_s: Annotated[float, Field(ge=1, le=3600)] = 90.0
    """Seconds by which the time may be wrong before nothing but emergencies is played."""


class Settings(Section):
    """The whole file."""

    sound: Sound = Sound()
    amplifier: Amplifier = Amplifier()
    sensors: Sensors = Sensors()
    storage: Storage = Storage()
    time: Time = Time()


def read(directory: Path) -> Settings:
    """Return what ``box.toml`` in ``directory`` says, or the defaults if there is none.

    Raises:
        BoxError: ``bad_settings``: with every mistake of the file, each with its key and what it takes.
    """
    path = Layout(directory).settings
    try:
        said = tomllib.loads(path.read_bytes().decode("utf-8-sig"))  # Windows editors put a mark before the first line
        return Settings.model_validate(said)
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise _bad(path, [f"it cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _bad(path, [f"it is not TOML: {error}"]) from error
    except ValidationError as error:
        raise _bad(path, [_sentence(each) for each in error.errors(include_url=False)]) from error


def write_default(directory: Path) -> None:
    """Put a ``box.toml`` of all defaults, each with its reason, into ``directory`` unless there is one.

    Raises:
        OSError: the disk does not take it.
    """
    path = Layout(directory).settings
    if not path.exists():
        write_whole(path, _DEFAULT.read_bytes())


def _bad(path: Path, mistakes: list[str]) -> BoxError:
    return BoxError("bad_settings", f"{path} has mistakes:\n" + "\n".join(f"  - {each}" for each in mistakes))


def _sentence(error: Any) -> str:
    where = [str(part) for part in error["loc"]]
    name = ".".join(where)
    if error["type"] == "extra_forbidden":
        near = next(iter(get_close_matches(where[-1], _siblings(where[:-1]), n=1, cutoff=0.5)), None)
        return f"{name}: there is no such setting" + (f"; did you mean {near}?" if near else "")
    expected = error["msg"].removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        expected = "an output is device, device:NAME, wav:PATH or null"
    if error["type"] == "model_type":
        expected = f"this is a section: write [{name}], and its settings below"
    return f"{name}: {expected}" + ("" if isinstance(error["input"], dict) else f" (it is {error['input']!r})")


def _siblings(where: list[str]) -> list[str]:
    section = Settings.model_fields.get(where[0]) if where else None
    kind = section.annotation if section else Settings
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []
