"""What must hold whatever happens, and who watches it."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import takewhile
from typing import TYPE_CHECKING

from broadcaster.store.records import Publication
from devices import envelope, messages
from devices.link import Message
from schedules.levels import Level
from tests.simulation import receipts, slots
from tests.simulation.beginnings import SETTLING, check_content, check_time, check_version
from tests.simulation.ear import Sound
from tests.simulation.issues import Issued
from tests.simulation.lives import Glance
from tests.simulation.poles import Pole

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass(frozen=True)
class Violation:
    """Something happened that must not."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


class Watch:
    """Sees everything from outside, compares it, and names what is wrong."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.violations: list[Violation] = []
        self.publications: list[Issued] = []
        self.glances: dict[str, list[Glance]] = defaultdict(list)
        self._by_digest: dict[str, Issued] = {}
        self.reached: dict[str, list[tuple[datetime, int, int]]] = defaultdict(list)
        """By box: when which version came to which life of it."""
        self._last: dict[str, int] = defaultdict(int)
        self._opened: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        """What was compared: a promise that was never owed was never kept."""
        self.rested = world.truth.now()
        """What was over by then has been told."""

    def violated(self, name: str, text: str) -> None:
        """Note it, with when it was."""
        self.violations.append(Violation(name, f"{self.world.truth.now():%d %H:%M:%S.%f} {text}"))
        self.world.note(f"VIOLATED {name}: {text}")

    def newest(self, cluster: str, at: datetime | None = None) -> Issued | None:
        """Return the last publication of a cluster, or the last by ``at``."""
        known = (each for each in reversed(self.publications) if each.cluster == cluster and (not at or each.at <= at))
        return next(known, None)

    def issue_of(self, cluster: str, version: int) -> Issued | None:
        """Return a publication by its version."""
        known = (each for each in self.publications if each.cluster == cluster and each.version == version)
        return next(known, None)

    # What is told by the world.

    def issued(self, publication: Publication) -> None:
        payload = envelope.unseal(publication.envelope, messages.PLAYLIST, self.world.station.key.public())
        issued = Issued(
            cluster=publication.cluster,
            version=publication.version,
            at=self.world.truth.now(),
            playlist=messages.Playlist.model_validate_json(payload),
            envelope=publication.envelope,
        )
        self.publications.append(issued)
        self._by_digest[sha256(publication.envelope).hexdigest()] = issued
        self.world.note(f"{issued.cluster} version {issued.version} with {len(issued.playlist.slots)} slots")

    def delivered(self, client: str, message: Message) -> None:
        issued = self._by_digest.get(sha256(message.payload).hexdigest())
        pole = self.world.by_box.get(client)
        if issued is not None and pole is not None and issued.cluster == pole.cluster:
            self.reached[client].append((self.world.truth.now(), issued.version, pole.lives))

    def began(self, pole: Pole, sound: Sound) -> None:
        self.world.note(f"{pole.box} sounds {sound.slot.id} from {sound.place.total_seconds():.6f} at {sound.gain}")
        life = pole.life
        glance = life.glance() if life is not None else None
        if glance is None or life is None or life.box is None:
            self.violated("a box without power is silent", f"{pole.box} {sound.slot.id}")
            return
        sound.blind = sound.slot.level is Level.EMERGENCY and not glance.trusted
        held = life.box._shelf.held
        issued = self._by_digest.get(held.digest) if held is not None else None
        asked = issued.slot(sound.slot.id) if issued is not None else None
        former = self.issue_of(pole.cluster, glance.version - 1)
        if asked is None and former is not None:
            asked, issued = former.slot(sound.slot.id), former  # the next turn of the player will end it
        if issued is None or asked is None or issued.cluster != pole.cluster:
            self.violated("nothing sounds that is not on a signed playlist", f"{pole.box} {sound.slot.id}")
            return
        check_content(self, pole, sound, issued, asked)
        check_time(self, pole, sound, issued, asked, glance)
        check_version(self, pole, sound)

    # What is looked at again and again.

    async def follow(self, pole: Pole) -> None:
        """Look at a box while something should be heard, and now and then."""
        while True:
            self._look(pole)
            await asyncio.sleep(self._pause_s(pole))

    def _pause_s(self, pole: Pole) -> float:
        newest, now = self.newest(pole.cluster), self.world.truth.now()
        if pole.life is None or newest is None:
            return 2.0 if pole.powered else 20.0
        if pole.life.ear is not None and pole.life.ear.sounding is not None:
            return 2.0
        coming = next((start for start, end in newest.slots if end + timedelta(seconds=20) > now), None)
        until = (coming - now).total_seconds() - 20 if coming else 60.0
        return min(max(until, 2.0), 60.0)

    def _look(self, pole: Pole) -> None:
        life = pole.life
        glance = life.glance() if life is not None else None
        if glance is None or life is None or life.box is None:
            return
        known = self.glances[pole.box]
        if known and known[-1].life == glance.life and known[-1].version > glance.version:
            self.violated("versions only rise", f"{pole.box} {known[-1].version} then {glance.version}")
        known.append(glance)
        if glance.trusted and abs(glance.error_s) > glance.doubt_s + 0.1:
            self.violated(
                "doubt bounds the error of a clock", f"{pole.box} {glance.error_s:+.3f} s, doubt {glance.doubt_s:.3f} s"
            )
        last = life.box._outbox.last
        if not life.was_full:
            if last < self._last[pole.box]:
                self.violated("no receipt is lost", f"{pole.box} had {self._last[pole.box]} and has {last}")
            self._last[pole.box] = last
        sound = life.ear.sounding if life.ear is not None else None
        self._check_goes_on(pole, sound, known)
        if glance.life != self._opened.get(pole.box) and list(life.directory.glob("*.broken-*")):
            self.violated("outbox and ledger open after every cut", pole.box)
        self._opened[pole.box] = glance.life

    def _check_goes_on(self, pole: Pole, sound: Sound | None, known: list[Glance]) -> None:
        """What is withdrawn, held or cut ends."""
        if sound is None:
            return
        recent = list(takewhile(lambda each: each.at >= known[-1].at - SETTLING, reversed(known)))
        steady = len(recent) > 3 and all(
            (each.version, each.life, each.stepped) == (known[-1].version, known[-1].life, known[-1].stepped)
            for each in recent
        )
        issued = self.issue_of(pole.cluster, known[-1].version) if sound is not None and steady else None
        if sound is None or issued is None:
            return
        asked = issued.slot(sound.slot.id)
        if asked is None or slots.forbidden(issued.playlist, sound.slot) is not None:
            self.violated("what may not sound any more ends", f"{pole.box} {sound.slot.id} v{issued.version}")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear what loops say of themselves."""
        watch = self

        class Ears(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if record.msg.startswith("loop failed"):
                    error = record.args[1] if isinstance(record.args, tuple) else record.args
                    watch.violated("no loop fails", f"{record.getMessage()} {error!r}")

        handler, root = Ears(level=logging.DEBUG), logging.getLogger("devices.agent.loops")
        level, spreads = root.level, root.propagate
        others = logging.root.manager.disable
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        root.propagate = False
        logging.getLogger("devices").setLevel(logging.CRITICAL)
        logging.getLogger("broadcaster").setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
            root.propagate = spreads
            logging.getLogger("devices").setLevel(logging.NOTSET)
            logging.getLogger("broadcaster").setLevel(logging.NOTSET)
            logging.disable(others)

    # What is looked at in the end.

    def at_rest(self) -> None:
        """All faults have been over for a while: everything has converged."""
        self.rested = self.world.truth.now() - timedelta(minutes=5)
        statuses = self.world.station.journal.statuses()
        for pole in self.world.poles:
            life, newest = pole.life, self.newest(pole.cluster)
            glance = life.glance() if life is not None else None
            if glance is None or life is None or life.box is None:
                self.violated("all converge", f"{pole.box} does not run")
                continue
            said = statuses.get(pole.box, (None, None))[1]
            missing = life.box._cache.missing
            found = {
                "version": glance.version == (newest.version if newest else 0),
                "files": missing == 0,
                "receipts": life.box._outbox.waiting == 0 and not life.box._outbox._unsaved[0],
                "clock": glance.trusted,
                "status": said is not None and said.online and said.playlist == glance.version,
            }
            if not all(found.values()):
                wrong = [name for name, right in found.items() if not right]
                self.violated("all converge", f"{pole.box} {', '.join(wrong)}")

    def at_end(self) -> None:
        """Compare what was heard with what was planned and told."""
        for pole in self.world.poles:
            slots.check_heard(self, pole)
            receipts.check(self, pole)

    def figures(self) -> Mapping[str, int]:
        """Return what there was of everything: a run in which nothing happened proves nothing."""
        counts = Counter(self.counts)
        for pole in self.world.poles:
            counts["sounds"] += len(pole.street.sounds)
            counts["lives"] += pole.lives
            counts["boots"] += pole.boots
        counts["publications"] = len(self.publications)
        counts["faults"] = len(self.world.faults)
        counts.update({f"receipts {name}": n for name, n in self.world.station.journal.count_receipts().items()})
        return dict(sorted(counts.items()))
