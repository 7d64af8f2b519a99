"""ffmpeg: measure a sound and encode it. The only file that starts the program.

The file that ffmpeg reads is hostile. It is named by protocol and absolute path, so that no name is an option or an
address; what it may open is listed (``formats.py``); only the first audio stream is decoded, and of that only as much
as is allowed, whatever the header says; processor, memory and time are bounded (``child.py``).
"""

import errno
import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from threading import Thread
from typing import IO, Final, Protocol

import imageio_ffmpeg

from audio.child import Bounds, Cancelled, Child, listen
from audio.disk import unwritable
from audio.errors import SoundError, failed
from audio.filters import RATE, Peak, Shape, excerpt, meter, read_meter, shaped
from audio.formats import ENCODER, UNTAGGED, only
from audio.loudness import Measurement

__all__ = ["Progress", "Sink", "encode", "measure", "program"]

Progress = Callable[[float], None]

_QUIET: Final = ("-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-max_alloc", str(128 << 20))
_ONE_THREAD: Final = ("-filter_threads", "1", "-filter_complex_threads", "1")
"""For each graph: no filter here divides its work, and idle threads cost wake-ups."""
_NOWHERE: Final = ("-c:a", "pcm_f64le", "-f", "f64le", os.devnull)
"""The meter's own format, so that nothing is converted; ffmpeg reports the bytes, and these count the samples.

Its report of the time would do for one output. With an excerpt beside it, 7.0 reports the time of that.
"""
_BYTES_A_SECOND: Final = 8 * RATE

_BUFFER_BYTES: Final = 1 << 20
"""Four minutes of a rendition; the most that Linux allows without privilege."""

_START_S: Final = 60.0
_MEMORY_BYTES: Final = 1 << 30
_EXCERPT_BYTES: Final = 1 << 30


class Sink(Protocol):
    """Where encoded bytes go."""

    def write(self, chunk: bytes, /) -> object:
        """Take the next bytes, all of them."""
        ...


@cache
def program() -> str:
    """Return the ffmpeg to use: the system's if it can encode Opus, else the one in imageio-ffmpeg's wheel."""
    installed = shutil.which("ffmpeg")
    if installed is not None and _encodes_opus(installed):
        return installed
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _encodes_opus(path: str) -> bool:
    try:
        answer = subprocess.run([path, "-hide_banner", "-encoders"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b" libopus " in answer.stdout


def measure(
    path: Path, shape: Shape, *, cancelled: Cancelled, peak: Peak | None = None, excerpt_into: Path | None = None
) -> Measurement:
    """Decode ``path`` in the given shape and measure it; on the way write the excerpt, if it is wanted, as a WAV.

    A result longer than ``shape.longest`` says that the sound is too long; how long it is remains unknown.

    Raises:
        SoundError: ``not_audio``, the sender's fault; ``library_unwritable``; ``sound_failed``; ``cancelled``.
    """
    graph = f"{shaped(shape)},{meter(peak)}[metered]"
    outputs = ["-map", "[metered]", *_NOWHERE]
    if excerpt_into is not None:
        graph = f"asplit[whole][part];[whole]{graph};[part]{excerpt(shape.longest)}[excerpt]"
        outputs += ["-map", "[excerpt]", "-c:a", "pcm_f32le", "-f", "wav", f"file:{excerpt_into.absolute()}"]
    bounds = _bounds(shape, file_bytes=_EXCERPT_BYTES if excerpt_into else 0)
    arguments = [*_reading(path), "-filter_complex", f"[0:a:0]{graph}", *outputs]
    with _reporting(arguments, bounds) as (child, report):
        streams = {"meter": child.stdout, "report": report, "complaints": child.stderr}
        tails = listen(streams, seconds=bounds.seconds, cancelled=cancelled)
        if status := child.wait():
            raise _refusal(status, tails["complaints"], path, excerpt_into)
    return _measurement(tails)


def encode(
    path: Path, shape: Shape, into: Sink, *, length: timedelta, progress: Progress, cancelled: Cancelled
) -> Measurement:
    """Write ``path`` in the given shape to ``into`` as Opus in Ogg; return what a decoder of those bytes hears.

    A second ffmpeg decodes and measures while the first encodes: on two cores the check costs little time.

    Args:
        length: Expected duration of the result, for ``progress`` (0 to 1).

    Raises:
        SoundError: as ``measure``, and whatever ``into`` raises.
    """
    bounds = _bounds(shape)
    writing = [*_reading(path), "-map", "0:a:0", "-af", shaped(shape), *ENCODER, *UNTAGGED, "-f", "ogg", "pipe:1"]
    origin = [*_QUIET, *only(protocol="pipe", containers="ogg"), "-i", "pipe:0"]
    checking = [*origin, "-af", meter("true"), *_NOWHERE]

    def heard(name: str, tail: bytes) -> None:
        if name == "report" and length:
            progress(min(1.0, _decoded(tail) / length))

    with (
        Child([program(), *_ONE_THREAD, *writing], bounds=bounds) as encoder,
        _reporting(checking, bounds, stdin=subprocess.PIPE) as (checker, report),
        _pouring(encoder, checker, into),
    ):
        complaints = {"complaints": checker.stderr, "encoder": encoder.stderr}
        streams = {"meter": checker.stdout, "report": report, **complaints}
        tails = listen(streams, seconds=bounds.seconds, cancelled=cancelled, heard=heard)
        status, verdict = encoder.wait(), checker.wait()
    if status:
        raise _refusal(status, tails["encoder"], path)
    if verdict:
        raise failed(f"the rendition does not decode: {_last_line(tails['complaints'])}")
    return _measurement(tails)


def _bounds(shape: Shape, *, file_bytes: int = 0) -> Bounds:
    """Allow a minute, and as long as the longest sound lasts: no machine that serves is slower than real time."""
    seconds = _START_S + shape.longest.total_seconds()
    return Bounds(seconds=seconds, memory_bytes=_MEMORY_BYTES, file_bytes=file_bytes)


def _reading(path: Path) -> list[str]:
    return [*_QUIET, *only(protocol="file"), "-i", f"file:{path.absolute()}"]


@contextmanager
def _reporting(
    arguments: Sequence[str], bounds: Bounds, *, stdin: int = subprocess.DEVNULL
) -> Iterator[tuple[Child, IO[bytes]]]:
    """Run ffmpeg with its progress on a pipe of its own; give the child and that pipe."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as report:
        try:
            command = [program(), *_ONE_THREAD, "-progress", f"pipe:{writer}", *arguments]
            child = Child(command, bounds=bounds, stdin=stdin, keep_open=(writer,))
        finally:
            os.close(writer)
        with child:
            yield child, report


@contextmanager
def _pouring(encoder: Child, checker: Child, into: Sink) -> Iterator[None]:
    """Carry what the encoder writes to ``into`` and to the checker, in a thread, while the block runs."""
    trouble: list[Exception] = []

    def pour() -> None:
        try:
            while chunk := os.read(encoder.stdout.fileno(), 1 << 16):
                into.write(chunk)
                checker.give(chunk)
        except BrokenPipeError:  # the checker has gone; its status tells why
            encoder.kill()
        except Exception as error:  # noqa: BLE001 - raised below, in the caller's thread
            trouble.append(error)
            encoder.kill()
        finally:
            checker.stdin.close()

    if hasattr(fcntl, "F_SETPIPE_SZ"):  # a checker that waits for a core must not make the encoder wait
        fcntl.fcntl(checker.stdin, fcntl.F_SETPIPE_SZ, _BUFFER_BYTES)
    thread = Thread(target=pour, name="rendition")
    thread.start()
    try:
        yield
    finally:
        encoder.kill()
        checker.kill()
        thread.join()
    if trouble:
        raise trouble[0]


def _measurement(tails: Mapping[str, bytes]) -> Measurement:
    loudness, sample_peak, true_peak = read_meter(tails["meter"])
    return Measurement(
        duration=_decoded(tails["report"]),
        loudness_lufs=loudness,
        peak_dbtp=true_peak,
        sample_peak_dbfs=sample_peak,
    )


def _decoded(report: bytes) -> timedelta:
    """Return how much ffmpeg has decoded; when it has ended, exact to the sample."""
    written = re.findall(rb"^total_size=(\d+)$", report, re.MULTILINE)
    return timedelta(seconds=int(written[-1]) / _BYTES_A_SECOND) if written else timedelta(0)


def _refusal(status: int, complaints: bytes, path: Path, excerpt_into: Path | None = None) -> SoundError:
    """Return the error for an ffmpeg that gave up: the disk's fault, the tool's, or that of the file at ``path``."""
    if excerpt_into is not None and os.strerror(errno.ENOSPC).encode() in complaints:
        return unwritable(excerpt_into.parent, errno.ENOSPC)
    detail = _last_line(complaints).replace(f"file:{path.absolute()}", "the file")
    if status < 0:
        return failed(f"ffmpeg was ended by signal {-status} ({detail})")
    sentence = f"This file holds no sound that can be read ({detail}). Send MP3, WAV, M4A, OGG or FLAC."
    return SoundError("not_audio", sentence, detail=detail)


def _last_line(complaints: bytes) -> str:
    """Return ffmpeg's last complaint without the name of the part that made it, at most 200 characters."""
    lines = [line for line in complaints.decode(errors="replace").splitlines() if line.strip()]
    return re.sub(r"^(\[[^]]*\] )+", "", lines[-1])[:200] if lines else "no reason given"
