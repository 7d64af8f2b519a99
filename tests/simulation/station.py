"""The server of the simulated commune: the real planner, publisher and intake, over a store that survives them."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from broadcaster.config import Plan, Settings
from broadcaster.config import Station as Place
from broadcaster.flow.approve import approved
from broadcaster.flow.plan import Board
from broadcaster.publisher.intake import Intake
from broadcaster.publisher.playlists import Planner
from broadcaster.publisher.session import Publisher
from broadcaster.store.records import Box, Publication, Rendition, Sound, SoundState
from broadcaster.store.store import Store
from broadcaster.wakeups import Wakeup, Wakeups
from devices import messages
from devices.agent.loops import end, keep
from devices.agent.timing.clock import Clock
from devices.envelope import SigningKey, seal, unseal
from devices.link import Address, Connect
from schedules.programmes import Programme
from schedules.zones import Cluster, Zone
from tests.fakes.store import MemoryDefinitions, MemoryJournal

ADDRESS = Address(host="broker.test", port=1883)


def key_of(name: str) -> SigningKey:
    """Return the signing key that belongs to a name: the same in every run."""
    import base64

    der = bytes.fromhex("302e020100300506032b657004220420") + hashlib.sha256(name.encode()).digest()
    return SigningKey.from_pem(
        b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(der) + b"\n-----END PRIVATE KEY-----\n"
    )


class Journal(MemoryJournal):
    """Tells what it stores."""

    def __init__(self, issued: Callable[[Publication], None]) -> None:
        super().__init__()
        self._issued = issued

    def store_publications(self, publications: Iterable[Publication]) -> None:
        listed = sorted(publications, key=lambda each: each.cluster)  # planned from a set: its order is no seed's
        super().store_publications(listed)
        for each in listed:
            self._issued(each)


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A sound that is ready."""

    id: str
    digest: str
    content: bytes
    duration: timedelta

    @property
    def url(self) -> str:
        return f"/api/v1/media/{self.digest}"


class Station:
    """What the data directory holds, and the process that serves it while there is one."""

    def __init__(self, seed: int, clock: Clock, issued: Callable[[Publication], None]) -> None:
        self.key = key_of(f"{seed} playlists")
        self.clock = clock
        told = {"station": Place(), "plan": Plan(valid_days=1, horizon_days=2)}
        self.settings = Settings().model_copy(update=told)
        self.definitions = MemoryDefinitions()
        self.journal = Journal(issued)
        self.store = Store(definitions=self.definitions, journal=self.journal, wakeups=Wakeups())
        self.content: dict[str, bytes] = {}
        self._chance = Random(f"{seed} recordings")
        self._planning: asyncio.Task[None] | None = None
        self._publishing: asyncio.Task[None] | None = None

    def start(self, connect: Connect) -> None:
        """Begin to serve."""
        intake = Intake(store=self.store)
        publisher = Publisher(
            store=self.store, intake=intake, key=self.key, address=ADDRESS, connect=connect, clock=self.clock
        )
        self._plan()
        self._publishing = asyncio.create_task(keep("publish", publisher.run, self.clock), name="publish")

    def _plan(self) -> None:
        board = Board(self.definitions, self.settings)
        planner = Planner(
            store=self.store, board=board, settings=self.settings, key=self.key, planned=_nothing, clock=self.clock
        )
        self._planning = asyncio.create_task(keep("plan", planner.run, self.clock), name="plan")

    async def stop(self) -> None:
        """Serve no more."""
        tasks = [task for task in (self._planning, self._publishing) if task is not None]
        self._planning = self._publishing = None
        await end(tasks)

    def settle(self, zones: Iterable[Zone], clusters: Iterable[Cluster]) -> None:
        with self.definitions.transaction():
            for zone in zones:
                self.definitions.zones.add(zone)
            for cluster in clusters:
                self.definitions.clusters.add(cluster)

    def enrol(self, box: str, cluster: str, now: datetime) -> SigningKey:
        key = key_of(f"{box} of {cluster}")
        jwk = key.public().to_jwk()
        self.definitions.boxes.add(Box(id=box, cluster=cluster, public_key=jwk, software=None, enrolled_at=now))
        self.store.wakeups.wake(Wakeup.BOXES, Wakeup.PUBLISH)
        return key

    def record(self, seconds: float, now: datetime) -> Recording:
        """Have a new sound, made ready."""
        content = self._chance.randbytes(self._chance.randrange(500, 20_000))
        digest = hashlib.sha256(content).hexdigest()
        recording = Recording(
            id=f"sound-{digest[:8]}", digest=digest, content=content, duration=timedelta(seconds=round(seconds, 3))
        )
        rendition = Rendition(
            digest=digest,
            size_bytes=len(content),
            duration=recording.duration,
            media_type="audio/ogg",
            loudness_lufs=-16.0,
            peak_dbtp=-1.0,
        )
        self.content[recording.url] = content
        self.definitions.sounds.add(
            Sound(
                id=recording.id,
                title=recording.id,
                state=SoundState.READY,
                created_at=now,
                author="can-bo",
                rendition=rendition,
            )
        )
        return recording

    def mistake(self, cluster: str, now: datetime) -> None:
        """Sign a playlist that breaks its own rules: everything in it that begins in the next hours is held.

        It stands for half an hour; then a planner that is right again looks at everything.
        """
        last = self.journal.publications().get(cluster)
        if last is None or self._planning is None:
            return
        self._planning.cancel()
        asyncio.get_running_loop().call_later(1800.0, self._replan, self._planning)
        payload = unseal(last.envelope, messages.PLAYLIST, self.key.public())
        playlist = messages.Playlist.model_validate_json(payload)
        hold = messages.Hold(kind="exam", start=now, end=now + timedelta(hours=3))
        rules = playlist.rules or messages.Rules(time_zone=self.settings.station.time_zone)
        wrong = playlist.model_copy(
            update={
                "version": last.version + 1,
                "issued": now,
                "expires": now + timedelta(days=1),
                "rules": rules.model_copy(update={"holds": (*rules.holds, hold)}),
            }
        )
        publication = Publication(
            cluster=cluster,
            version=wrong.version,
            content="a mistake",
            issued_at=now,
            envelope=seal(wrong.to_bytes(), messages.PLAYLIST, self.key),
        )
        self.journal.store_publications([publication])
        self.store.wakeups.wake(Wakeup.PUBLISH)

    def _replan(self, mistaken: "asyncio.Task[None]") -> None:
        if self._planning is mistaken:
            self._plan()

    def air(self, programme: Programme, now: datetime) -> None:
        """Submit a programme, approved by its author."""
        self.definitions.programmes.add(approved(programme, by=programme.author, now=now))
        self.store.wakeups.wake(Wakeup.PLAN)


def _nothing() -> None:
    pass
