"""From a recording or a text to a rendition: what a box plays, at one loudness, checked after decoding."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from audio import mixing, speech
from audio.child import Cancelled, stop_if
from audio.errors import SoundError
from audio.ffmpeg import Progress
from audio.formats import MEDIA_TYPE
from audio.library import Library, too_large
from audio.mastering import Mastering, empty

__all__ = ["Limits", "Rendered", "check_text", "render_recording", "render_speech"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A rendition on the shelf. Duration, loudness (LUFS) and true peak (dBTP) are those of its decoded bytes."""

    digest: str
    size_bytes: int
    duration: timedelta
    media_type: str
    loudness_lufs: float
    peak_dbtp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The longest sound (without lead-in), the largest original or rendition, the most characters of a text."""

    longest: timedelta
    largest_bytes: int
    most_text: int


def check_text(text: str, limits: Limits) -> None:
    """Refuse a text that cannot be spoken.

    Raises:
        SoundError: ``empty_text`` (no letter and no digit), ``text_too_long``.
    """
    if not any(sign.isalnum() for sign in text):
        raise SoundError("empty_text", "The text has no word to speak. Write what shall be heard.")
    if len(text) > limits.most_text:
        sentence = f"The text has {len(text)} characters, {limits.most_text} are allowed. Shorten it or split it."
        raise SoundError("text_too_long", sentence, limit=limits.most_text)


def render_recording(
    original: Path, library: Library, *, limits: Limits, progress: Progress, cancelled: Cancelled
) -> Rendered:
    """Put a rendition of the recording into the library, after 300 ms of silence, and return its facts.

    Blocks while two processes work: for a worker thread. Memory does not grow with the length. ``progress`` goes
    from 0 to 1, ``cancelled`` is asked ten times a second; both are called in this thread or, for a moment, not at all.

    Raises:
        SoundError: the sender's fault: ``not_audio``, ``empty_audio``, ``silent_audio``, ``sound_too_long``,
            ``sound_too_large``; not theirs: ``library_unwritable``, ``sound_failed``, ``cancelled``.
    """
    size = original.stat().st_size
    if size > limits.largest_bytes:
        raise too_large(limits.largest_bytes)
    if size == 0:
        raise empty()
    with library.workspace() as room:
        return _render(original, library, room, mixing.LEAD_IN, limits, progress, cancelled)


def render_speech(
    text: str,
    library: Library,
    *,
    voice: str,
    rate: float,
    limits: Limits,
    progress: Progress,
    cancelled: Cancelled,
) -> Rendered:
    """Put the spoken text into the library, after 300 ms of silence and a chime, and return its facts.

    Args:
        voice: A name from ``speech.voices()``.
        rate: Speed of speech, 0.5 to 2.0; 1.0 is the voice's own.

    Raises:
        SoundError: the sender's fault: ``empty_text``, ``text_too_long``, ``unknown_voice``, ``sound_too_long``,
            ``sound_too_large``; not theirs: ``library_unwritable``, ``sound_failed``, ``cancelled``.
    """
    check_text(text, limits)
    speaker = speech.voice(voice)
    with library.workspace() as room:
        stop_if(cancelled)
        speaker.speak(text, room / "speech.wav", rate=rate)
        stop_if(cancelled)
        mixing.announce(room / "speech.wav", room / "announcement.wav")
        return _render(room / "announcement.wav", library, room, timedelta(0), limits, progress, cancelled)


def _render(
    source: Path,
    library: Library,
    room: Path,
    lead_in: timedelta,
    limits: Limits,
    progress: Progress,
    cancelled: Cancelled,
) -> Rendered:
    mastering = Mastering(
        source=source,
        excerpt=room / "excerpt.wav",
        lead_in=lead_in,
        longest=limits.longest,
        progress=progress,
        cancelled=cancelled,
    )
    with library.receive(limit_bytes=limits.largest_bytes) as incoming:
        measured = mastering.run(incoming)
        assert measured.peak_dbtp is not None
        return Rendered(
            digest=library.keep(incoming, "renditions"),
            size_bytes=incoming.size_bytes,
            duration=measured.duration,
            media_type=MEDIA_TYPE,
            loudness_lufs=measured.loudness_lufs,
            peak_dbtp=measured.peak_dbtp,
        )
