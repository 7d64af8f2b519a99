"""How sounds come in and are made ready: recordings and words → renditions, outside the event loop.

A sound that waits is one whose record says ``preparing``; that is the whole queue. After a restart the loop
finds it again. Progress is nobody's fact: it lives in memory and is gone with the work.
"""

import asyncio
import hashlib
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from audio.errors import SoundError
from audio.library import Incoming, Library
from audio.rendering import Limits, Rendered, check_text, render_recording, render_speech
from audio.speech import voice as find_voice
from broadcaster.config import Sound as SoundSettings
from broadcaster.flow.schedule import settle
from broadcaster.store.port import StoreError
from broadcaster.store.records import Official, Rendition, Sound, SoundState
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup

log = logging.getLogger(__name__)

_LOOK_AGAIN_S: Final = 30.0
_STEP: Final = 0.01
"""Progress is told in steps of one percent."""
_OURS: Final = frozenset({"sound_failed", "library_unwritable"})
"""Refusals that are no fault of the sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A text to be spoken, and by whom and how fast (1.0 is the voice's own pace)."""

    text: str
    voice: str
    rate: float


def limits(settings: SoundSettings) -> Limits:
    """Return the limits of the configuration in the units of ``audio``."""
    return Limits(
        longest=timedelta(minutes=settings.longest_minutes),
        largest_bytes=int(settings.largest_mb * 1_000_000),
        most_text=settings.most_text,
    )


def receive_recording(
    incoming: Incoming, *, title: str, by: Official, library: Library, store: Store, now: datetime
) -> Sound:
    """Keep a recording that has come in whole; the same bytes again are the same sound.

    Raises:
        SoundError: ``empty_audio``, ``library_unwritable``.
    """
    if incoming.size_bytes == 0:
        raise SoundError("empty_audio", "The file is empty; record or choose another one.")
    size_bytes = incoming.size_bytes
    digest = library.keep(incoming, "originals")
    sound = Sound(
        id=digest,
        title=title,
        state=SoundState.PREPARING,
        created_at=now,
        author=by.id,
        size_bytes=size_bytes,
    )
    return _queue(sound, by=by, store=store, now=now)


def check_words(words: Words, limits: Limits) -> None:
    """Do nothing if ``words`` can be spoken.

    Raises:
        SoundError: ``empty_text``, ``text_too_long``, ``unknown_voice``.
    """
    check_text(words.text, limits)
    find_voice(words.voice)


def speak(words: Words, *, title: str, limits: Limits, by: Official, store: Store, now: datetime) -> Sound:
    """Keep a text to be spoken; the same words in the same voice are the same sound.

    Raises:
        SoundError: ``empty_text``, ``text_too_long``, ``unknown_voice``.
    """
    check_words(words, limits)
    speech = {"text": words.text, "voice": words.voice, "rate": words.rate}
    sound = Sound(
        id=hashlib.sha256(json.dumps(speech, sort_keys=True).encode()).hexdigest(),
        title=title,
        state=SoundState.PREPARING,
        created_at=now,
        author=by.id,
        speech=speech,
    )
    return _queue(sound, by=by, store=store, now=now)


def _queue(sound: Sound, *, by: Official, store: Store, now: datetime) -> Sound:
    """Store a sound to be prepared, unless it is there already; one that failed on our side is tried again."""
    sounds = store.definitions.sounds
    with store.transaction():
        known = sounds.find(sound.id)
        if known is None:
            known = sounds.add(sound)
        elif known.refusal and known.refusal["code"] in _OURS:
            known = sounds.change(sound.id, lambda old: replace(old, state=SoundState.PREPARING, refusal=None))
        else:
            return known
        store.record("sound.received", sound.id, by=by.id, at=now, wake=(Wakeup.PREPARE,))
    return known


@dataclass(slots=True, kw_only=True)
class Preparation:
    """The loop that makes sounds ready, ``workers`` at a time."""

    store: Store
    library: Library
    settings: SoundSettings
    zone: ZoneInfo
    _progress: dict[str, float] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def progress(self) -> Mapping[str, float]:
        """Of the sounds in work: 0 to 1."""
        return dict(self._progress)

    async def run(self) -> None:
        """Prepare whatever waits, until cancelled; a sound in work then waits again."""
        self._stopping = threading.Event()
        try:
            async with asyncio.TaskGroup() as group:
                with self.store.wakeups.listen(Wakeup.PREPARE) as listener:
                    while True:
                        for sound in await asyncio.to_thread(self._next):
                            self._progress[sound.id] = 0.0
                            group.create_task(self._prepare(sound), name=f"prepare {sound.id[:12]}")
                        await listener.wait(_LOOK_AGAIN_S)
        finally:
            self._stopping.set()

    def _next(self) -> list[Sound]:
        waiting = [
            sound
            for sound in self.store.definitions.sounds.all()
            if sound.state is SoundState.PREPARING and sound.id not in self._progress
        ]
        return waiting[: self.settings.workers - len(self._progress)]

    async def _prepare(self, sound: Sound) -> None:
        try:
            await asyncio.to_thread(self._work_or_refuse, sound)
        except StoreError as error:  # it still waits, and is looked at again with the others: not at once
            log.error("sound cannot be told of sound=%s: %s", sound.id, error)
            return
        finally:
            self._progress.pop(sound.id, None)
        self.store.wakeups.wake(Wakeup.PREPARE, Wakeup.NEWS)

    def _work_or_refuse(self, sound: Sound) -> None:
        try:
            self._work(sound)
        except StoreError:
            raise
        except Exception:
            log.exception("sound failed sound=%s", sound.id)
            self._refuse(sound, SoundError("sound_failed", "", detail="internal"))

    def _work(self, sound: Sound) -> None:
        try:
            rendered = self._render(sound)
        except SoundError as error:
            if error.code != "cancelled":
                self._refuse(sound, error)
            return
        now = datetime.now(UTC)
        rendition = Rendition(
            digest=rendered.digest,
            size_bytes=rendered.size_bytes,
            duration=rendered.duration,
            media_type=rendered.media_type,
            loudness_lufs=rendered.loudness_lufs,
            peak_dbtp=rendered.peak_dbtp,
        )
        with self.store.transaction():
            self.store.definitions.sounds.change(
                sound.id, lambda old: replace(old, state=SoundState.READY, rendition=rendition, refusal=None)
            )
            settle(sound.id, zone=self.zone, store=self.store, now=now)
            self.store.record(
                "sound.ready",
                sound.id,
                by=None,
                at=now,
                rendition=rendition.digest,
                seconds=rendition.duration.total_seconds(),
                loudness_lufs=rendition.loudness_lufs,
                wake=(Wakeup.PLAN,),
            )
        log.info("sound ready sound=%s seconds=%.1f", sound.id, rendition.duration.total_seconds())

    def _render(self, sound: Sound) -> Rendered:
        def progress(done: float) -> None:
            if done - self._progress.get(sound.id, 0.0) >= _STEP:
                self._progress[sound.id] = done
                self.store.wakeups.wake(Wakeup.NEWS)

        if sound.speech is None:
            return render_recording(
                self.library.path("originals", sound.id),
                self.library,
                limits=limits(self.settings),
                progress=progress,
                cancelled=self._stopping.is_set,
            )
        return render_speech(
            sound.speech["text"],
            self.library,
            voice=sound.speech["voice"],
            rate=sound.speech["rate"],
            limits=limits(self.settings),
            progress=progress,
            cancelled=self._stopping.is_set,
        )

    def _refuse(self, sound: Sound, error: SoundError) -> None:
        now = datetime.now(UTC)
        refusal = {"code": error.code, "fields": error.fields}
        with self.store.transaction():
            self.store.definitions.sounds.change(
                sound.id, lambda old: replace(old, state=SoundState.REFUSED, refusal=refusal)
            )
            settle(sound.id, zone=self.zone, store=self.store, now=now)
            self.store.record("sound.refused", sound.id, by=None, at=now, code=error.code)
        log.warning("sound refused sound=%s code=%s", sound.id, error.code)
