"""The server's one door for what boxes send: verified and stored, or counted and dropped."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from broadcaster.store.records import Box
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup
from devices import messages, topics
from devices.envelope import PublicKey
from devices.link import Message
from devices.registry import kept
from devices.trust import Refused, accept_from_box

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Intake:
    """Verifies what comes from boxes and is the one writer of receipts and statuses."""

    store: Store
    refused: Counter[str] = field(default_factory=Counter)
    """How many messages were dropped, by code."""
    _keys: dict[str, PublicKey] = field(default_factory=dict)

    def take(self, arrived: Iterable[Message], *, now: datetime, session: str | None = None) -> Mapping[str, int]:
        """Store what is true among ``arrived``; return, by box, how far its receipts are complete.

        ``session`` is the word of this session's beacon, which a status may answer.

        What comes from an unknown or retired box, bears another's name or a wrong signature is dropped: a
        refusal is logged once per code and counted, because a hostile client could send any number.
        """
        boxes = {box.id: box for box in self.store.definitions.boxes.all() if box.retired_at is None}
        complete: dict[str, int] = {}
        news = False
        for message in arrived:
            try:
                news |= self._take(message, boxes, complete, now, session)
            except Refused as refusal:
                self.drop(message.topic, refusal)
        if news:
            self.store.wakeups.wake(Wakeup.NEWS, Wakeup.PUBLISH)
        return complete

    def keys(self) -> Mapping[str, PublicKey]:
        """Return the keys of all enrolled boxes, by id."""
        return {box.id: self._key(box) for box in self.store.definitions.boxes.all() if box.retired_at is None}

    def drop(self, topic: str, refusal: Refused) -> None:
        """Count a message that was refused."""
        level = logging.DEBUG if self.refused[refusal.code] else logging.WARNING
        self.refused[refusal.code] += 1
        log.log(level, "message dropped topic=%s code=%s: %s", topic, refusal.code, refusal)

    def _take(
        self,
        message: Message,
        boxes: Mapping[str, Box],
        complete: dict[str, int],
        now: datetime,
        session: str | None,
    ) -> bool:
        found = topics.sender(message.topic)
        if found is None:
            raise Refused("unknown_topic", f"Nothing is expected on {message.topic}.")
        id, kind = found
        if id not in boxes:
            raise Refused("unknown_box", f"{id} is not an enrolled box.")
        if not message.payload:
            return False  # a retained status was cleared
        key = self._key(boxes[id])
        if kind == "status":
            status = accept_from_box(message.payload, messages.STATUS, messages.Status, box=id, key=key)
            self._check_place(status.cluster, boxes[id])
            return self._keep(status, message, now, session)
        document = accept_from_box(message.payload, messages.RECEIPTS, messages.Receipts, box=id, key=key)
        self._check_place(document.cluster, boxes[id])
        stored = self.store.journal.store_receipts(document, received_at=now)
        complete[id] = stored.complete
        if stored.broken is not None:
            log.warning("receipts do not fit their chain box=%s sequence=%d", id, stored.broken)
        for receipt in stored.new:
            log.info(
                "receipt box=%s cluster=%s outcome=%s slot=%s code=%s",
                id, document.cluster, receipt.outcome.value, receipt.slot, receipt.code,
            )  # fmt: skip
        return bool(stored.new)

    def _keep(self, status: messages.Status, message: Message, now: datetime, session: str | None) -> bool:
        last = self.store.journal.statuses().get(status.box)
        new = kept(status, last, retained=message.retained, session=session, now=now)
        if new is None and not message.retained:
            raise Refused("stale", f"A status of {status.at.isoformat()} came after one that is newer.")
        if new is None or new == last:
            return False
        # A server's clock that was set back must not make what boxes say now older than what they said before.
        received_at = max(new[0], last[0]) if last else new[0]
        self.store.journal.store_status(new[1], received_at=received_at)
        return True

    def _key(self, box: Box) -> PublicKey:
        if box.id not in self._keys:
            self._keys[box.id] = PublicKey.from_jwk(dict(box.public_key))
        return self._keys[box.id]

    def _check_place(self, cluster: str, box: Box) -> None:
        if cluster != box.cluster:
            raise Refused("wrong_cluster", f"{box.id} serves {box.cluster} but speaks for {cluster}.")
