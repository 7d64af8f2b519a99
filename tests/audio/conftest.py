"""Sounds, a library, and the promise that nothing is left behind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audio import rendering, speech
from audio.library import Library
from audio.rendering import Rendered
from tests.audio.material import LIMITS, TEXT, Make, Render, children, run_ffmpeg


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About nine seconds of Vietnamese speech as the bundled voice gives it."""
    path = tmp_path_factory.mktemp("spoken") / "spoken.wav"
    speech.voice("vi-north").speak(TEXT, path, rate=1.0)
    return path


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a sound: ``make("name.ext", source, *ffmpeg options)``; a source is a file or an lavfi expression."""

    def make(name: str, source: Path | str, *options: str) -> Path:
        origin = ["-i", str(source)] if isinstance(source, Path) else ["-f", "lavfi", "-i", source]
        path = tmp_path / name
        run_ffmpeg(*origin, *options, f"file:{path}")
        return path

    return make


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


@pytest.fixture
def render(library: Library) -> Render:
    """Render a recording; what is not said otherwise is ordinary."""

    def render(original: Path, **changed: Any) -> Rendered:
        wishes = {"limits": LIMITS, "progress": lambda part: None, "cancelled": lambda: False} | changed
        return rendering.render_recording(original, library, **wishes)

    return render


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """Check after every test: no process of ours, no intermediate file."""
    yield
    assert children() == []
    incoming = tmp_path / "library" / "incoming"
    assert not incoming.exists() or list(incoming.iterdir()) == []
