"""A wish as the programme that it would be, before anything is stored: what a preview is computed from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from audio.errors import SoundError
from audio.rendering import Limits
from broadcaster.errors import Refusal
from broadcaster.flow.approve import approved
from broadcaster.flow.estimate import recorded, spoken
from broadcaster.flow.prepare import Words, check_words
from broadcaster.flow.schedule import LONGEST, Draft, Terms, programme_of, refuse_wrong
from broadcaster.store.port import Definitions
from broadcaster.store.records import Official
from schedules.programmes import Item, Programme

PREVIEWED: Final = "preview"
"""Id of a programme that is only looked at; those that are stored have 12 hexadecimal digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A programme as it would be if it were submitted now and ready at once."""

    programme: Programme
    """Approved by whoever asks."""
    estimated: bool
    """Whether a sound of it is not prepared yet, so that it may last longer or shorter."""


def wish(
    items: Sequence[Words | str],
    draft: Draft,
    *,
    limits: Limits,
    terms: Terms,
    by: Official,
    definitions: Definitions,
    now: datetime,
) -> Wish:
    """Return what ``announce.compose`` would make of the same; nothing is stored.

    Raises:
        Refusal: ``no_items``, ``programme_too_long``, and those of ``schedule.refuse_wrong``. What local rules stop
            is not refused: the preview shows it.
        SoundError: a text that cannot be spoken, or what was wrong with a sound that was refused.
        ZoneError, RecurrenceError, DayTypeError, NotFound: as ``announce.compose``.
    """
    refuse_wrong(draft, terms=terms, definitions=definitions, now=now)
    heard = [_item(each, limits, definitions) for each in items]
    if not heard:
        raise Refusal("no_items", "There is nothing to hear; give a text or a sound.")
    programme = programme_of(draft, tuple(each for each, _ in heard), id=PREVIEWED, terms=terms, by=by, now=now)
    if programme.duration > LONGEST:
        raise Refusal("programme_too_long", "All sounds together last longer than a day; make several programmes.")
    return Wish(programme=approved(programme, by=by.id, now=now), estimated=any(estimated for _, estimated in heard))


def _item(asked: Words | str, limits: Limits, definitions: Definitions) -> tuple[Item, bool]:
    """Return an item that is ready, and whether its duration is an estimate."""
    if isinstance(asked, Words):
        check_words(asked, limits)
        name = sha256(repr(asked).encode()).hexdigest()
        return Item(sound=name, rendition=name, duration=min(spoken(asked), limits.longest)), True
    sound = definitions.sounds.get(asked)
    if sound.refusal is not None:
        sentence = f"The sound {sound.title!r} was refused; choose another one."
        raise SoundError(sound.refusal["code"], sentence, **sound.refusal["fields"])
    if sound.rendition is not None:
        return Item(sound=sound.id, rendition=sound.rendition.digest, duration=sound.rendition.duration), False
    if sound.speech is not None:
        duration = min(spoken(Words(**sound.speech)), limits.longest)
    else:
        duration = recorded(sound.size_bytes, limits.longest)
    return Item(sound=sound.id, rendition=sound.id, duration=duration), True
