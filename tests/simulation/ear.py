"""What stands in the street and listens: an output without a device that notes exactly what sounded, and when."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from devices.agent.sound.output import Cue, Heard
from devices.agent.timing.clock import Bell, Clock
from schedules.timeline import Slot, SlotItem

LOOK_S = 5.0
"""While something is cued the clock is looked at this often, beside the edges of what sounds."""


@dataclass(kw_only=True)
class Sound:
    """A stretch of one slot that went out without a gap."""

    slot: Slot
    """As it was cued: where it lay then."""
    place: timedelta
    """Of the first sample, into the slot."""
    since: datetime
    """Instant of the first sample, by a right clock."""
    clock: datetime
    """The same by the clock that the sound was laid on."""
    gain: float
    digest: str
    """Of the bytes in the file."""
    until: datetime | None = None
    """By a right clock; None: it still sounds."""
    blind: bool = False
    """Whether the box did not trust its time: an emergency, which may be heard again then."""

    @property
    def ended(self) -> datetime:
        assert self.until is not None
        return self.until

    @property
    def lasted(self) -> timedelta:
        return self.ended - self.since


class Street:
    """Everything that one box's loudspeakers ever made, across all its lives."""

    def __init__(self, truth: Callable[[], datetime], began: Callable[[Sound], None]) -> None:
        self.truth = truth
        self.sounds: list[Sound] = []
        self.overlaps: list[str] = []
        """What was cued for the same time as something else."""
        self._began = began

    def begin(self, sound: Sound) -> None:
        self.sounds.append(sound)
        self._began(sound)


@dataclass
class _Voice:
    """What has been heard of one cued slot in this life of the output."""

    cue: Cue
    decoded: dict[timedelta, str | None] = field(default_factory=dict)
    """By offset of the item: the digest of its bytes, None where the file cannot be used."""
    began: datetime | None = None
    lasted: timedelta = timedelta()


class Ear:
    """An ``Output``: see there for the contract. Sound begins and ends at edges of the clock that it is laid on."""

    name = "ear"

    def __init__(self, street: Street, *, clock: Clock, changed: Callable[[], None]) -> None:
        self._street = street
        self._clock = clock
        self._changed = changed
        self._voices: dict[str, _Voice] = {}
        self._sound: Sound | None = None
        self._item: SlotItem | None = None
        self._looked = clock.now()
        self._broken: set[str] = set()
        self._bell = Bell()
        self.deaf = False
        """True once the power is gone: nothing sounds any more, whatever is asked."""

    def play(self, cues: Sequence[Cue], now: datetime) -> None:
        """See ``Output.play``."""
        del now  # what sounds, sounds by its own clock
        self._advance()
        self._compare(cues)
        before = self._voices
        self._voices = {}
        for cue in cues:
            voice = before.get(cue.slot.id) or _Voice(cue)
            voice.cue = cue
            for item, _, _ in cue.spans():
                if item.rendition in cue.files and item.offset not in voice.decoded:
                    voice.decoded[item.offset] = self._decode(cue, item)
            self._voices[cue.slot.id] = voice
        self._advance()
        self._bell.ring()

    def heard(self, now: datetime) -> Mapping[str, Heard]:
        """See ``Output.heard``."""
        del now
        self._advance()
        return {
            slot: Heard(cue=voice.cue, began=voice.began, lasted=voice.lasted)
            for slot, voice in self._voices.items()
            if voice.began is not None
        }

    def broken(self) -> frozenset[str]:
        """See ``Output.broken``."""
        return frozenset(self._broken)

    async def run(self) -> None:
        """See ``Output.run``."""
        while True:
            self._advance()
            now = self._looked
            edges = [
                edge
                for voice in self._voices.values()
                for _, begin, end in voice.cue.spans()
                for edge in (max(begin, voice.cue.begin), end)
                if edge > now
            ]
            pause = (min(edges) - now).total_seconds() if edges else LOOK_S
            await self._bell.wait(self._clock, min(pause + 1e-6, LOOK_S) if self._voices else 86_400.0)

    def fall_silent(self) -> None:
        """The power is gone."""
        self._advance()
        self.deaf = True
        self._stop(self._looked)

    @property
    def sounding(self) -> Sound | None:
        """What sounds now."""
        return self._sound

    def _compare(self, cues: Sequence[Cue]) -> None:
        spans = sorted((max(cue.begin, self._looked), cue.end, cue.slot.id) for cue in cues if cue.end > self._looked)
        for (_, end, earlier), (begin, _, later) in pairwise(spans):
            if begin < end and not self.deaf:
                self._street.overlaps.append(f"{self._street.truth()} {later} begins before {earlier} ends")

    def _decode(self, cue: Cue, item: SlotItem) -> str | None:
        try:
            return hashlib.sha256(cue.files[item.rendition].read_bytes()).hexdigest()
        except OSError:
            self._broken.add(item.rendition)
            return None

    def _advance(self) -> None:
        """Let what should sound by now sound, and end what should not, at the edge that lies between."""
        now, before = self._clock.now(), self._looked
        self._looked = now
        if self.deaf:
            return
        if self._sound is not None and self._item is not None:
            voice = self._voices.get(self._sound.slot.id)
            span = self._span(voice, self._item) if voice else None
            until = now if span is None else min(span[1], now)
            if voice is not None:
                voice.lasted += max(until - before, timedelta())
            if span is None or not span[0] <= now < span[1] or voice is None or voice.cue.slot != self._sound.slot:
                self._stop(max(until, before))
        if self._sound is None:
            self._start(now, before)

    def _start(self, now: datetime, before: datetime) -> None:
        for voice in self._voices.values():
            for item, digest in self._items(voice):
                begin, end = self._span(voice, item) or (now, now)
                if begin <= now < end:
                    since = begin if before < begin else now
                    late = now - since
                    self._item = item
                    voice.lasted += late
                    fresh = voice.began is None
                    voice.began = voice.began or since
                    self._sound = Sound(
                        slot=voice.cue.slot,
                        place=since - voice.cue.slot.start,
                        since=self._street.truth() - late,
                        clock=since,
                        gain=voice.cue.gain,
                        digest=digest,
                    )
                    self._street.begin(self._sound)
                    if fresh:
                        self._changed()
                    return

    @staticmethod
    def _items(voice: _Voice) -> list[tuple[SlotItem, str]]:
        known = ((item, voice.decoded.get(item.offset)) for item in voice.cue.slot.items)
        return [(item, digest) for item, digest in known if digest is not None]

    @staticmethod
    def _span(voice: _Voice, item: SlotItem) -> tuple[datetime, datetime] | None:
        found = ((max(begin, voice.cue.begin), end) for each, begin, end in voice.cue.spans() if each == item)
        return next(found, None)

    def _stop(self, at: datetime) -> None:
        if self._sound is not None:
            self._sound.until = max(self._street.truth() - (self._looked - at), self._sound.since)
        self._sound = self._item = None


async def never() -> None:
    """Wait for ever."""
    await asyncio.Event().wait()
