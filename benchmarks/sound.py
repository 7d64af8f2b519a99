"""One hour of MP3 to a finished rendition, against ffmpeg's plain encoding of the same file with the same encoder.

The hour is five minutes of the bundled voice with noise behind it, twelve times over: 44.1 kHz stereo, 128 kbit/s. Both
ways run in fresh processes, one after the other, three times; the figure is the median of the three ratios.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from audio import ffmpeg, speech
from audio.formats import ENCODER
from audio.library import Library
from audio.rendering import Limits, render_recording
from benchmarks.figures import Figure

ROUNDS: Final = 3
TEXT: Final = (
    "Kính thưa bà con nhân dân. Ủy ban nhân dân xã thông báo lịch tiêm phòng dại cho chó mèo. Đúng bảy giờ sáng mai, "
    "mời bà con đưa vật nuôi đến nhà văn hóa ấp. Xin trân trọng thông báo. "
)
LIMITS: Final = Limits(longest=timedelta(hours=2), largest_bytes=200_000_000, most_text=10_000)
_QUIET: Final = ("-nostdin", "-hide_banner", "-loglevel", "error", "-y")


def figures() -> Iterator[Figure]:
    """Return wall time as a ratio, and the most memory (MB) that any process of ours took."""
    with tempfile.TemporaryDirectory() as folder:
        hour = make_hour(Path(folder))
        ratios, peaks = [], []
        for _ in range(ROUNDS):
            plain_s = plain(hour, Path(folder) / "plain.opus")
            ours = json.loads(_in_fresh_process(hour, Path(folder) / "library"))
            print(f"plain {plain_s:.1f} s, ours {ours['wall_s']:.1f} s, {ours['loudness_lufs']:.1f} LUFS", flush=True)
            ratios.append(ours["wall_s"] / plain_s)
            peaks.append(ours["peak_mb"])
        yield Figure(figure="hour of MP3 to rendition", value=statistics.median(ratios), unit="x", limit=1.25)
        yield Figure(figure="memory of the largest process", value=max(peaks), unit="MB", limit=150.0)


def make_hour(folder: Path) -> Path:
    """Write the hour to ``folder`` and return its path. The same on every machine with the same ffmpeg."""
    spoken, part, hour = folder / "spoken.wav", folder / "part.mp3", folder / "hour.mp3"
    speech.voice("vi-north").speak(TEXT * 40, spoken, rate=1.0)
    noise = "anoisesrc=color=pink:amplitude=0.02:seed=1:sample_rate=44100"
    mixed = "[0]aresample=44100,volume=0.8[a];[a][1]amix=2:duration=first,aformat=channel_layouts=stereo"
    encoded = ("-t", "300", "-c:a", "libmp3lame", "-b:a", "128k")
    _ffmpeg("-i", str(spoken), "-f", "lavfi", "-i", noise, "-filter_complex", mixed, *encoded, str(part))
    _ffmpeg("-stream_loop", "11", "-i", str(part), "-c", "copy", str(hour))
    return hour


def plain(hour: Path, into: Path) -> float:
    """Encode without measuring or changing anything; return the seconds it took."""
    started = time.monotonic()
    _ffmpeg("-i", str(hour), "-ac", "1", "-ar", "48000", *ENCODER, str(into))
    return time.monotonic() - started


def _ffmpeg(*arguments: str) -> None:
    subprocess.run([ffmpeg.program(), *_QUIET, *arguments], check=True)


def _in_fresh_process(hour: Path, library: Path) -> str:
    """Render in a process of its own, whose children are only those of the rendering."""
    command = [sys.executable, "-m", "benchmarks.sound", str(hour), str(library)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def render(hour: Path, library: Path) -> None:
    """Render the hour and print what it took as JSON."""
    started = time.monotonic()
    rendered = render_recording(
        hour, Library(library), limits=LIMITS, progress=lambda part: None, cancelled=lambda: False
    )
    wall_s = time.monotonic() - started
    whom = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak_mb = max(resource.getrusage(who).ru_maxrss for who in whom) * 1024 / 1e6
    print(json.dumps({"wall_s": wall_s, "peak_mb": peak_mb, "loudness_lufs": rendered.loudness_lufs}))


if __name__ == "__main__":
    render(Path(sys.argv[1]), Path(sys.argv[2]))
