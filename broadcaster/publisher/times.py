"""The server's answers to boxes that ask what time it is: at once, for whoever may ask, and not too often."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from devices import times, topics
from devices.agent.timing.clock import Clock
from devices.envelope import PublicKey, SigningKey, seal
from devices.link import Message
from devices.trust import Refused, accept_from_box

log = logging.getLogger(__name__)

A_SECOND: Final = 2.0
BURST: Final = 8.0
"""Answers a second that a box gets, and how many at once: a box asks three times, one after the other, and a second
later again."""


@dataclass(slots=True)
class _Bucket:
    """What a box may still have: fills by ``A_SECOND``, holds ``BURST``."""

    left: float
    at: float

    def take(self, moment: float) -> bool:
        self.left = min(self.left + (moment - self.at) * A_SECOND, BURST)
        self.at = moment
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(slots=True, kw_only=True)
class Times:
    """Verifies questions and signs answers."""

    key: SigningKey
    clock: Clock
    keys: Mapping[str, PublicKey] = field(default_factory=dict)
    """Of the boxes that may ask, by id."""
    _buckets: dict[str, _Bucket] = field(default_factory=dict)
    _answered: dict[str, str] = field(default_factory=dict)
    """The last nonce of each box: QoS 1 may deliver a question twice, and an attacker any number of times."""

    def answer(self, message: Message, received: datetime) -> tuple[str, bytes] | None:
        """Return the topic and the signed answer to a question that came at ``received``; None: it was answered before.

        Raises:
            Refused: with the codes of the gate, ``unknown_box``, ``unknown_topic`` or ``too_often``.
        """
        box = topics.asker(message.topic)
        if box is None:
            raise Refused("unknown_topic", f"No question is expected on {message.topic}.")
        key = self.keys.get(box)
        if key is None:
            raise Refused("unknown_box", f"{box} is not an enrolled box.")
        asked = accept_from_box(message.payload, times.TIME_REQUEST, times.TimeRequest, box=box, key=key)
        if self._answered.get(box) == asked.nonce:
            return None
        moment = self.clock.monotonic()
        if not self._buckets.setdefault(box, _Bucket(BURST, moment)).take(moment):
            raise Refused("too_often", f"{box} asks for the time more than {A_SECOND:g} times a second.")
        self._answered[box] = asked.nonce
        document = times.Time(box=box, nonce=asked.nonce, received=received, sent=self.clock.now())
        return topics.time(box), seal(document.to_bytes(), times.TIME, self.key)
