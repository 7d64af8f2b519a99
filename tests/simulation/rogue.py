"""A broker that lies: it replays, mixes up, garbles and forges, and never has the server's key."""

import asyncio
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from devices import envelope, messages, topics
from devices.link import Message
from tests.simulation.station import key_of

if TYPE_CHECKING:
    from tests.simulation.world import World


class Rogue:
    """Sends boxes what they must refuse, ``often`` times an hour."""

    def __init__(self, seed: int, world: "World") -> None:
        self._chance = Random(f"{seed} rogue")
        self._world = world
        self._key = key_of(f"{seed} rogue")
        self._often = 0.0

    @property
    def often(self) -> float:
        return self._often

    @often.setter
    def often(self, often: float) -> None:
        idle, self._often = self._often == 0, often
        if idle and often:
            self._wait()

    def _wait(self) -> None:
        asyncio.get_running_loop().call_later(self._chance.expovariate(self._often / 3600.0), self._strike)

    def _strike(self) -> None:
        if not self._often:
            return
        self._wait()
        pole = self._chance.choice(self._world.poles)
        session = self._world.broker.sessions.get(pole.box)
        published = self._world.watch.publications
        if session is None or not published:
            return
        topic = topics.playlist(pole.cluster)
        mine = [each for each in published if each.cluster == pole.cluster] or published
        raw = self._chance.choice(self._chance.choice((published, mine))).envelope
        way = self._chance.choice(("replay", "garble", "forge", "wrong topic"))
        if way == "garble":
            at = self._chance.randrange(len(raw))
            raw = raw[:at] + bytes((raw[at] ^ (1 << self._chance.randrange(8)),)) + raw[at + 1 :]
        elif way == "forge":
            payload = messages.Playlist.model_validate_json(envelope.unseal(raw, messages.PLAYLIST, self._server_key))
            forged = payload.model_copy(update={"version": payload.version + 1000})
            raw = envelope.seal(forged.to_bytes(), messages.PLAYLIST, self._key)
        elif way == "wrong topic":
            topic = topics.acknowledgement(pole.box)
        self._world.note(f"{pole.box} is sent a {way}")
        message = Message(topic=topic, payload=raw, retained=True)
        session.offer(replace(message, retained=False))

    @property
    def _server_key(self) -> envelope.PublicKey:
        return self._world.station.key.public()
