"""What the tests of sound share: a text, limits, and sounds made on the spot by the ffmpeg under test."""

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from audio import ffmpeg
from audio.rendering import Limits, Rendered

TEXT = "Kính thưa bà con nhân dân. Đúng bảy giờ sáng mai, mời bà con đến nhà văn hóa ấp để tiêm phòng dại cho chó mèo."
LIMITS = Limits(longest=timedelta(minutes=10), largest_bytes=30_000_000, most_text=5_000)

Make = Callable[..., Path]
Render = Callable[..., Rendered]


def run_ffmpeg(*arguments: str) -> None:
    """Run ffmpeg without the care that a stranger's file needs."""
    quiet = ("-nostdin", "-hide_banner", "-loglevel", "error", "-y")
    subprocess.run([ffmpeg.program(), *quiet, *arguments], check=True)


def children() -> list[str]:
    """Return the ids of this process's children, of whichever thread."""
    return [pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()]
