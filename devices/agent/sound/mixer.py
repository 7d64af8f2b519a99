"""Cued slots to samples: the one place that says which sample sounds when. Shared by every audible output."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import numpy as np

from devices.agent.sound.decoding import RATE, Decoder, Samples, Track
from devices.agent.sound.output import Cue, Heard
from devices.agent.timing.clock import from_ns, to_ns

FADE_FRAMES: Final = RATE * 8 // 1000
"""8 ms up or down wherever a sound is cut: short enough to hide, long enough not to click."""

_Key: TypeAlias = tuple[str, str, datetime]


def sample_at(instant_ns: int, epoch_ns: int) -> int:
    """Return the index of the sample nearest to an instant, where sample 0 is at ``epoch_ns``. Exact."""
    return ((instant_ns - epoch_ns) * (RATE // 1000) + 500_000) // 1_000_000


def instant_of(sample: int, epoch_ns: int) -> int:
    """Return the nanosecond at which a sample sounds."""
    return epoch_ns + sample * 1_000_000 // (RATE // 1000)


@dataclass(slots=True)
class _Voice:
    """One item of one slot as it sounds."""

    slot: str
    digest: str
    begin_ns: int
    """Instant of the item's first sample."""
    from_ns: int
    """When it may be heard: not before it begins, later where it is joined."""
    end_ns: int
    gain: float
    track: Track
    released: bool = False
    done: bool = False
    sounded: int | None = None
    """Index behind the last sample that went out, relative to the item."""
    rose: int = 0
    """Where the sound was joined, relative to the item."""
    last_gain: float = field(default=-1.0)


class Mixer:
    """Renders what is cued. ``play`` belongs to the event loop, ``render`` to the output's thread."""

    def __init__(self, *, changed: Callable[[], None], decoder: Decoder | None = None) -> None:
        self._changed = changed
        self._decoder = decoder or Decoder()
        self._voices: dict[_Key, _Voice] = {}
        self._cues: dict[str, Cue] = {}
        self._began: dict[str, int] = {}
        self._frames: dict[str, int] = {}
        self._lock = threading.Lock()

    def play(self, cues: Sequence[Cue], now: datetime) -> None:
        """See ``Output.play``."""
        with self._lock:  # held for microseconds on both sides: neither decodes nor waits under it
            self._cues = {cue.slot.id: cue for cue in cues}
            voices = {key: voice for key, voice in self._voices.items() if not voice.done}
            kept = set()
            for cue in cues:
                for item, begin, end in cue.spans():
                    if item.rendition in cue.files:
                        key = (cue.slot.id, item.rendition, begin)
                        voices[key] = self._voice(voices.get(key), cue, item.rendition, begin, end, now)
                        kept.add(key)
            for key, voice in voices.items():
                if key not in kept:
                    voice.released = True
            self._voices = voices
            alive = {voice.slot for voice in voices.values()} | self._cues.keys()
            self._began = {slot: at for slot, at in self._began.items() if slot in alive}
            self._frames = {slot: frames for slot, frames in self._frames.items() if slot in alive}

    def heard(self, now: datetime) -> Mapping[str, Heard]:
        """See ``Output.heard``."""
        del now  # what counts is what went out
        with self._lock:
            return {
                slot: Heard(
                    cue=cue,
                    began=from_ns(self._began[slot]),
                    lasted=timedelta(seconds=self._frames[slot] / RATE),
                )
                for slot, cue in self._cues.items()
                if slot in self._began
            }

    def broken(self) -> frozenset[str]:
        """See ``Output.broken``."""
        with self._lock:
            return frozenset(voice.digest for voice in self._voices.values() if voice.track.failed is not None)

    def silent(self, first: int, frames: int, *, epoch_ns: int) -> bool:
        """Return True if ``render`` would give zeros only."""
        with self._lock:
            return not any(self._span(voice, first, frames, epoch_ns) for voice in self._voices.values())

    def render(self, first: int, frames: int, *, epoch_ns: int) -> Samples:
        """Return samples ``[first, first + frames)`` of an output whose sample 0 is at ``epoch_ns``.

        An item's first sample is ``sample_at`` its instant: to half a sample, whatever the blocks.
        Blocks must follow one another; a hole is allowed, going back is not.
        """
        mixed = np.zeros(frames, np.float32)
        with self._lock:
            for voice in self._voices.values():
                if span := self._span(voice, first, frames, epoch_ns):
                    self._mix(voice, mixed, first, span, epoch_ns)
        return mixed

    def close(self) -> None:
        """End decoding and forget every sound; what is played from now on begins anew."""
        with self._lock:
            self._voices = {}
        self._decoder.close()

    def _voice(
        self, known: _Voice | None, cue: Cue, digest: str, begin: datetime, end: datetime, now: datetime
    ) -> _Voice:
        from_ns = max(to_ns(begin), to_ns(cue.begin))
        if known is not None and not known.released and (known.sounded is not None or from_ns >= known.from_ns):
            known.from_ns, known.end_ns, known.gain = from_ns, to_ns(end), cue.gain
            return known
        if known is not None:
            known.track.close()
        joined = sample_at(max(to_ns(now), from_ns), to_ns(begin))
        return _Voice(
            slot=cue.slot.id,
            digest=digest,
            begin_ns=to_ns(begin),
            from_ns=from_ns,
            end_ns=to_ns(end),
            gain=cue.gain,
            track=self._decoder.open(cue.files[digest], joined),
        )

    def _span(self, voice: _Voice, first: int, frames: int, epoch_ns: int) -> tuple[int, int, int] | None:
        """Return ``(begin of the item, low, high)`` in samples of the output if it may sound in the block."""
        begin, end = sample_at(voice.begin_ns, epoch_ns), sample_at(voice.end_ns, epoch_ns)
        if voice.released and not voice.done and (voice.sounded is None or first - begin > voice.sounded):
            self._finish(voice)
        if voice.done:
            return None
        if first >= end:
            self._finish(voice)
            return None
        low, high = max(first, sample_at(voice.from_ns, epoch_ns)), min(first + frames, end)
        return (begin, low, high) if low < high else None

    def _mix(self, voice: _Voice, mixed: Samples, first: int, span: tuple[int, int, int], epoch_ns: int) -> None:
        begin, low, high = span
        skipped, samples = voice.track.take(low - begin, high - low)
        if len(samples):
            position = low - begin + skipped
            shaped = samples * self._shape(voice, position, len(samples), begin, epoch_ns)
            mixed[low - first + skipped : low - first + skipped + len(samples)] += shaped
            self._count(voice, position, len(samples), begin, epoch_ns)
        if voice.released:
            self._finish(voice)

    def _shape(self, voice: _Voice, position: int, frames: int, begin: int, epoch_ns: int) -> Samples:
        """Return the gain of each sample: the volume, and a fade wherever the sound is cut."""
        if voice.sounded != position:
            voice.rose = position
        gain = np.full(frames, voice.gain, np.float32)
        if voice.last_gain >= 0 and voice.last_gain != voice.gain:
            gain = np.linspace(voice.last_gain, voice.gain, frames, dtype=np.float32)
        voice.last_gain = voice.gain
        places = np.arange(position, position + frames)
        if voice.rose > 0 and position < voice.rose + FADE_FRAMES:
            gain *= np.clip((places - voice.rose) / FADE_FRAMES, 0, 1)
        length = sample_at(voice.end_ns, epoch_ns) - begin
        cut = voice.track.frames is not None and voice.track.frames > length
        if cut and position + frames > length - FADE_FRAMES:
            gain *= np.clip((length - places) / FADE_FRAMES, 0, 1)
        if voice.released:
            gain *= np.clip(1 - (places - position) / FADE_FRAMES, 0, 1)
        return gain

    def _count(self, voice: _Voice, position: int, frames: int, begin: int, epoch_ns: int) -> None:
        voice.sounded = position + frames
        self._frames[voice.slot] = self._frames.get(voice.slot, 0) + frames
        if voice.slot not in self._began:
            # On the output's own grid a sound begins up to half a sample off its instant: that is on time.
            first = begin + position
            on_time = first == sample_at(voice.from_ns, epoch_ns)
            self._began[voice.slot] = voice.from_ns if on_time else instant_of(first, epoch_ns)
            self._changed()

    def _finish(self, voice: _Voice) -> None:
        voice.done = True
        voice.track.close()
