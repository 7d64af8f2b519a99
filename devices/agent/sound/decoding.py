"""Renditions to samples, decoded ahead in a thread of their own. The only file that imports soundfile."""

import logging
import threading
from collections import deque
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile

log = logging.getLogger(__name__)

RATE: Final = 48_000
"""Samples a second, of every rendition and every output."""
AHEAD_FRAMES: Final = 2 * RATE
"""How much is decoded before it is needed: 2 s cover a slow card and a busy processor."""
_BLOCK_FRAMES: Final = RATE // 10
_SEEK_FRAMES: Final = RATE // 2
"""A reader that lags by more than this seeks instead of decoding through."""

Samples: TypeAlias = npt.NDArray[np.float32]


class Track:
    """One rendition being decoded. ``take`` belongs to the output's thread, the rest to the decoder."""

    def __init__(self, path: Path, first: int) -> None:
        self.path = path
        self.frames: int | None = None
        """Length of the rendition, once it is open."""
        self.failed: str | None = None
        """Why it cannot be decoded."""
        self._wanted = first
        self._decoded = first
        self._blocks: deque[tuple[int, Samples]] = deque()
        self._file: soundfile.SoundFile | None = None
        self._closed = False

    def take(self, first: int, frames: int) -> tuple[int, Samples]:
        """Return ``(skipped, samples)``: what is there of ``[first, first + frames)``, without waiting.

        ``samples`` begins ``skipped`` frames behind ``first`` and has no gap; it may be empty.
        What lies before ``first + frames`` is forgotten: the caller never goes back.
        """
        end = first + frames
        pieces: list[Samples] = []
        start = end
        while self._blocks:
            at, block = self._blocks[0]
            if at >= end:
                break
            if at + len(block) > first:
                start = min(start, max(at, first))
                pieces.append(block[max(first - at, 0) : end - at])
            if at + len(block) > end:
                break
            self._blocks.popleft()
        self._wanted = end
        return start - first, np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def close(self) -> None:
        """Stop decoding; the decoder closes the file on its next round. Any thread."""
        self._closed = True

    def advance(self) -> bool:
        """Decode one block if it is time to; return whether there was work. Decoder only."""
        if self._closed:
            self._shut()
            return False
        if self.failed is not None or self._decoded - self._wanted >= AHEAD_FRAMES:
            return False
        try:
            return self._decode(self._file or self._open())
        except (OSError, soundfile.SoundFileError, ValueError) as error:
            self.failed = str(error) or type(error).__name__
            log.error("rendition cannot be decoded file=%s error=%s", self.path.name, self.failed)
            self._shut()
            return False

    @property
    def done(self) -> bool:
        """True once it is closed and its file as well."""
        return self._closed and self._file is None

    def _open(self) -> soundfile.SoundFile:
        file = self._file = soundfile.SoundFile(self.path)
        if file.samplerate != RATE:
            raise ValueError(f"{file.samplerate} samples a second where {RATE} belong")
        self.frames = file.frames
        self._seek(file, self._decoded)
        return file

    def _seek(self, file: soundfile.SoundFile, position: int) -> None:
        file.seek(min(position, file.frames))
        self._decoded = position

    def _decode(self, file: soundfile.SoundFile) -> bool:
        if self._decoded >= file.frames:
            return False
        if self._wanted - self._decoded > _SEEK_FRAMES:
            self._seek(file, self._wanted)
        block: Samples = file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True).mean(axis=1, dtype=np.float32)
        if not len(block):
            self.frames = self._decoded  # shorter than its header says
            return False
        self._blocks.append((self._decoded, block))
        self._decoded += len(block)
        return True

    def _shut(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._blocks.clear()


class Decoder:
    """The thread that keeps tracks decoded ahead. It sleeps while nothing is cued."""

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._more = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def open(self, path: Path, first: int) -> Track:
        """Return a track whose decoding begins at frame ``first``, soon."""
        track = Track(path, first)
        self._tracks = [*(known for known in self._tracks if not known.done), track]
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="decoder", daemon=True)
            self._thread.start()
        self._more.set()
        return track

    def fill(self) -> None:
        """Decode until every track is far enough ahead. For the decoder's thread, and for tests."""
        while sum(track.advance() for track in self._tracks):  # every track gets its turn, none is starved
            pass

    def close(self) -> None:
        """Close all tracks and end the thread; ``open`` may begin anew."""
        for track in self._tracks:
            track.close()
        self._stopping = True
        self._more.set()
        if self._thread is not None:
            self._thread.join()
        else:
            self.fill()
        self._thread, self._tracks, self._stopping = None, [], False

    def _run(self) -> None:
        while True:
            self.fill()
            if self._stopping:
                return
            idle = all(track.done for track in self._tracks)
            self._more.wait(None if idle else 0.25)
            self._more.clear()
