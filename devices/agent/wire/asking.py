"""The box asks the server what time it is, over the line to the broker: often at first, then rarely."""

import logging
import math
import random
import secrets
from typing import Final

from devices import envelope, times, topics
from devices.agent.timing.clock import Bell, sleep
from devices.agent.timing.timekeeper import Timekeeper
from devices.envelope import SigningKey
from devices.link import Session
from devices.times import Time, TimeRequest
from devices.trust import Pinned

log = logging.getLogger(__name__)

FIRST_S: Final = 1.0
OFTEN_S: Final = 60.0
OFTEN_FOR_S: Final = 900.0
"""The longest pause in the first quarter of an hour: a new box learns how fast its oscillator runs before it is left
to it, and neighbours are in step soon."""
MOST_S: Final = 1800.0
AT_ONCE: Final = 3
"""Questions one after the other: the quickest answer of them is hardly ever one that had to wait on its way. One is
enough while the kernel's clock is believed."""
MOST_DISCIPLINED_S: Final = 7200.0
"""The pause between questions doubles up to this, and to this while the kernel's clock is believed: then the answer
only tells how far the server's is from it. The first few answers lie close together: the quickest of them counts, and
what the next one adds is a longer span to learn the oscillator's rate from."""
ANSWER_S: Final = 10.0
"""A later answer says too little to be used."""


class Asking:
    """Asks over one session at a time, one question at a time."""

    def __init__(self, pinned: Pinned, key: SigningKey, *, clock: Timekeeper) -> None:
        self._pinned = pinned
        self._key = key
        self._clock = clock
        self._pending: tuple[str, float] | None = None
        """The question's nonce, and ``monotonic`` when it left."""
        self._answered = Bell()
        self._answered_at = -math.inf
        self._pause_s = FIRST_S
        self._begun_at = clock.monotonic()

    async def run(self, session: Session) -> None:
        """Ask now, and again after pauses that double, until the line falls (``LinkDown``).

        The pauses begin anew only after a long silence: a line that falls every minute must not cost more.
        """
        if self._clock.monotonic() - self._answered_at > MOST_S:
            self._begin()
        while True:
            asked_at = self._clock.monotonic()
            for _ in range(1 if self._clock.disciplined else AT_ONCE):
                if not await self._have_answer(session):
                    break
            spread_s = self._pause_s * random.uniform(0.8, 1.0)  # noqa: S311 - boxes that came together part
            await sleep(self._clock, asked_at + spread_s - self._clock.monotonic())
            self._pause_s = min(self._pause_s * 2, self._most_s())

    def take(self, answer: Time, received: float) -> None:
        """Pass a verified answer on if it is the one that is waited for; ``received`` is by ``monotonic``.

        Any other comes too late, twice, or from an attacker who sends it again: no reason to act or to complain.
        """
        pending = self._pending
        if pending is None or answer.nonce != pending[0] or received - pending[1] > ANSWER_S:
            log.debug("time not asked for nonce=%s", answer.nonce)
            return
        self._pending, self._answered_at = None, received
        if self._clock.measured(pending[1], received, server_received=answer.received, server_sent=answer.sent):
            self._begin()  # nothing is known of the oscillator, or no longer
        self._answered.ring()

    def _begin(self) -> None:
        self._pause_s, self._begun_at = FIRST_S, self._clock.monotonic()

    def _most_s(self) -> float:
        if self._clock.disciplined:
            return MOST_DISCIPLINED_S
        return OFTEN_S if self._clock.monotonic() - self._begun_at < OFTEN_FOR_S else MOST_S

    async def _have_answer(self, session: Session) -> bool:
        """Ask once, and return whether there was an answer."""
        asked_at = await self._ask(session)
        while self._pending and (left_s := asked_at + ANSWER_S - self._clock.monotonic()) > 0:
            await self._answered.wait(self._clock, left_s)
        unanswered, self._pending = self._pending, None
        return unanswered is None

    async def _ask(self, session: Session) -> float:
        """Send a question and return when it left."""
        question = TimeRequest(box=self._pinned.box, nonce=secrets.token_hex(16))
        sealed = envelope.seal(question.to_bytes(), times.TIME_REQUEST, self._key)
        left = self._clock.monotonic()
        self._pending = (question.nonce, left)
        await session.publish(topics.time_request(self._pinned.box), sealed)
        return left
