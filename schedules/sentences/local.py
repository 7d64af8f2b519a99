"""Instants and durations in words: one language, in one place's local time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["Local"]

_UNITS: Final = {"en": ("h", "min", "s"), "vi": ("giờ", "phút", "giây")}


@dataclass(frozen=True, slots=True)
class Local:
    """How times are told in ``language``, ``vi`` or ``en``, where clocks are set to ``zone``."""

    language: str
    zone: ZoneInfo

    def clock(self, t: datetime) -> str:
        """Return the time of day, with seconds if there are any."""
        local = t.astimezone(self.zone)
        return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"

    def date(self, t: datetime) -> str:
        """Return the date."""
        local = t.astimezone(self.zone)
        return f"{local:%d/%m/%Y}" if self.language == "vi" else f"{local:%Y-%m-%d}"

    def moment(self, t: datetime) -> str:
        """Return the time of day and the date."""
        return f"{self.clock(t)} {'ngày' if self.language == 'vi' else 'on'} {self.date(t)}"

    def length(self, duration: timedelta) -> str:
        """Return a duration, to the second."""
        minutes, seconds = divmod(round(duration.total_seconds()), 60)
        hours, minutes = divmod(minutes, 60)
        units = _UNITS[self.language]
        said = [f"{count} {unit}" for count, unit in zip((hours, minutes, seconds), units, strict=True) if count]
        return " ".join(said) or f"0 {units[-1]}"
