"""A WAV file that grows in real time: valid for a reader at any moment, and after any ``kill -9``.

Silence is never written: it is a hole in the file, so hours of it cost no disk. Sizes in the header are
moved only after the file is that long, so a reader finds every sample that the header promises.
"""

import json
import os
import struct
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from pydantic import TypeAdapter, ValidationError

from devices.agent.files import write_whole
from devices.agent.sound.mixer import sample_at
from devices.agent.timing.clock import to_ns
from devices.values import Instant

HEADER_BYTES: Final = 44
SAMPLE_BYTES: Final = 2
LONGEST: Final = timedelta(hours=11)
"""A WAV counts its bytes in 32 bits: 12.4 hours at 48 kHz mono 16-bit."""
_FORMAT: Final = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 48_000, 96_000, 2, 16)
_INSTANT: Final[TypeAdapter[datetime]] = TypeAdapter(Instant)


class WaveFile:
    """48 kHz, mono, 16-bit; beside it ``PATH.json`` with the instant of sample 0."""

    def __init__(self, descriptor: int, epoch: datetime, length: int) -> None:
        self._descriptor = descriptor
        self.epoch = epoch
        self.epoch_ns = to_ns(epoch)
        self.length = length
        """Samples in the file."""

    @classmethod
    def resume(cls, path: Path, now: datetime) -> Self:
        """Go on with the file at ``path`` if it is ours and young enough, else begin one at ``now``.

        A file that is in the way is kept: it is moved aside under the name of its epoch.
        """
        epoch = read_epoch(path)
        if epoch is not None and _is_ours(path) and timedelta() <= now - epoch < LONGEST:
            descriptor = os.open(path, os.O_RDWR)
            length = max(os.fstat(descriptor).st_size - HEADER_BYTES, 0) // SAMPLE_BYTES
            return cls(descriptor, epoch, length)
        return cls.begin(path, now)

    @classmethod
    def begin(cls, path: Path, now: datetime) -> Self:
        """Begin a new file whose sample 0 is at ``now``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        _move_aside(path)
        write_whole(_beside(path), json.dumps({"epoch": _INSTANT.dump_python(now, mode="json")}).encode())
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        os.pwrite(descriptor, _header(0), 0)
        return cls(descriptor, now, 0)

    def position(self, instant: datetime) -> int:
        """Return the index of the sample nearest to ``instant``."""
        return sample_at(to_ns(instant), self.epoch_ns)

    def write(self, first: int, samples: bytes) -> None:
        """Put 16-bit samples at index ``first``; whatever lies between is silence."""
        os.pwrite(self._descriptor, samples, HEADER_BYTES + SAMPLE_BYTES * first)
        self.length = max(self.length, first + len(samples) // SAMPLE_BYTES)

    def extend(self, length: int) -> None:
        """Make the file ``length`` samples long, by silence if need be, and its header tell so."""
        self.length = max(self.length, length)
        size = SAMPLE_BYTES * self.length
        if os.fstat(self._descriptor).st_size < HEADER_BYTES + size:
            os.ftruncate(self._descriptor, HEADER_BYTES + size)
        os.pwrite(self._descriptor, _header(size), 0)

    def close(self) -> None:
        """Close the file; it is whole as it stands."""
        os.close(self._descriptor)


def read_epoch(path: Path) -> datetime | None:
    """Return the instant of sample 0 of the file at ``path``, or None if nothing reliable says so."""
    try:
        content = json.loads(_beside(path).read_bytes())
        return _INSTANT.validate_python(content["epoch"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except OSError:
        return False
    return len(head) == HEADER_BYTES and head[8:36] == b"WAVE" + _FORMAT and head[36:40] == b"data"


def _header(size: int) -> bytes:
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVE" + _FORMAT + b"data" + struct.pack("<I", size)


def _move_aside(path: Path) -> None:
    epoch = read_epoch(path)
    mark = f"{epoch:%Y%m%dT%H%M%S.%fZ}" if epoch else f"unknown-{os.getpid()}"
    target = path.with_name(f"{path.stem}.{mark}{path.suffix}")
    for source, aside in ((path, target), (_beside(path), _beside(target))):
        if source.exists():
            source.replace(aside)
