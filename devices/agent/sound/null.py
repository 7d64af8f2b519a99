"""The output that makes no sound: a slot is heard when its time passes. Costs nothing between two slots."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from devices.agent.sound.output import Cue, Heard


class NullOutput:
    """For load tests, training and simulation: thousands in one process."""

    name = "null"

    def __init__(self) -> None:
        self._cues: tuple[Cue, ...] = ()
        self._since: dict[tuple[str, timedelta], datetime] = {}

    def play(self, cues: Sequence[Cue], now: datetime) -> None:
        """See ``Output.play``."""
        self._cues = tuple(cues)
        keys = ((cue.slot.id, item.offset) for cue in cues for item, _, _ in cue.spans() if item.rendition in cue.files)
        self._since = {key: self._since.get(key, now) for key in keys}

    def heard(self, now: datetime) -> Mapping[str, Heard]:
        """See ``Output.heard``."""
        answers = (self._heard(cue, now) for cue in self._cues)
        return {answer.cue.slot.id: answer for answer in answers if answer is not None}

    def broken(self) -> frozenset[str]:
        """See ``Output.broken``; nothing is decoded here."""
        return frozenset()

    async def run(self) -> None:
        """See ``Output.run``."""
        await asyncio.Event().wait()

    def _heard(self, cue: Cue, now: datetime) -> Heard | None:
        began: datetime | None = None
        lasted = timedelta()
        for item, begin, end in cue.spans():
            since = self._since.get((cue.slot.id, item.offset))
            if since is None or (first := max(begin, cue.begin, since)) >= end or first > now:
                continue
            began = first if began is None else min(began, first)
            lasted += min(end, now) - first
        return None if began is None else Heard(cue=cue, began=began, lasted=lasted)
