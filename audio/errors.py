"""What can be wrong with a sound: one error, its stable codes and the facts of each."""

from typing import Any, Final

__all__ = ["CODES", "SoundError", "failed"]

CODES: Final[dict[str, tuple[str, ...]]] = {
    "not_audio": ("detail",),
    "empty_audio": (),
    "silent_audio": (),
    "sound_too_long": ("limit_s",),
    "sound_too_large": ("limit_bytes",),
    "empty_text": (),
    "text_too_long": ("limit",),
    "unknown_voice": ("voice", "voices"),
    "library_unwritable": ("path", "reason"),
    "sound_failed": ("detail",),
    "cancelled": (),
}
"""Each code with the names of its fields. The last three are never the sender's fault."""


class SoundError(Exception):
    """A recording or a text that does not become a rendition.

    ``code`` is a key of ``CODES`` and never changes its meaning; ``fields`` are the facts under the names that
    ``CODES`` gives. The message says what happened, what was expected and what to do.
    """

    def __init__(self, code: str, sentence: str, **fields: Any) -> None:
        if set(fields) != set(CODES[code]):
            raise ValueError(f"{code} takes the fields {CODES[code]}, not {tuple(fields)}.")
        super().__init__(sentence)
        self.code = code
        self.fields = fields


def failed(detail: str) -> SoundError:
    """Return the ``sound_failed`` for a fault of ours or of a tool."""
    sentence = f"The sound could not be prepared: {detail}. Try again; if that fails too, report this sentence."
    return SoundError("sound_failed", sentence, detail=detail)
