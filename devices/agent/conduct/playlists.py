"""The playlist that the box holds: on disk before it counts, and read back through the same gate."""

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from devices import messages
from devices.agent.files import write_whole
from devices.messages import MOST_SLOTS, Playlist, RenditionReference, Rules
from devices.trust import Accepted, Held, Pinned, Refused, accept_playlist
from schedules.lateness import JOIN, LONGEST_WAIT, IfLate, Late
from schedules.levels import Level
from schedules.refusals import refusals
from schedules.rules import Hold, Hours, InForce, LocalRules, Loudest, highest_volume
from schedules.timeline import Slot, SlotItem, Timeline

log = logging.getLogger(__name__)

_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A slot that the playlist names and its own rules forbid."""

    slot: Slot
    code: str
    """The rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """What a held playlist asks of the box, in the words of the core."""

    version: int
    expires: datetime
    since: datetime
    """When the box came to hold it."""
    history: datetime
    """What was over by then is nobody's affair any more: when the first playlist was issued that this process held, or
    an earlier one of whose slots it has not been told yet what became of them."""
    volume: int
    """Percent of full amplitude."""
    timeline: Timeline
    """Without what is refused."""
    slots: Mapping[str, Slot]
    """The timeline's slots by id."""
    renditions: Mapping[str, RenditionReference]
    """By digest; those of refused slots, too: the next playlist may let them sound."""
    refused: Mapping[str, Refusal]
    """By slot id, in the order of their starts."""
    lowered: Mapping[str, int]
    """Slot id → percent of full amplitude, where a rule makes it less than ``volume``."""
    in_force: InForce | None = None
    """The rules, for what is heard at another time than planned."""
    former: tuple[tuple[Slot, datetime], ...] = ()
    """Slots of earlier playlists that lie before what this one covers, each with when the box came to hold it: it may
    be that nobody was told yet what became of them, because the time was not known."""
    known: frozenset[str] = frozenset()
    """Ids of slots that the playlist before named: they did not come with this one."""

    def gain(self, slot: Slot) -> float:
        """Return the factor to amplitude at which a slot sounds where it lies, 0 to 1."""
        planned = self.slots.get(slot.id)
        if planned is None or planned.start == slot.start or self.in_force is None:
            return self.lowered.get(slot.id, self.volume) / 100
        return _lowered((slot,), self.volume, self.in_force).get(slot.id, self.volume) / 100


def agenda_of(playlist: Playlist, *, since: datetime) -> Agenda:
    """Translate a verified playlist; what its rules forbid never reaches the timeline."""
    asked = tuple(_slot(slot) for slot in playlist.slots)
    in_force = in_force_of(playlist.rules) if playlist.rules is not None else None
    breaches = refusals(asked, in_force, over_by=since) if in_force is not None else {}
    slots = tuple(slot for slot in asked if slot.id not in breaches)
    return Agenda(
        version=playlist.version,
        expires=playlist.expires,
        since=since,
        history=playlist.issued,
        volume=playlist.volume,
        timeline=Timeline(start=playlist.start, end=playlist.end, slots=slots),
        slots={slot.id: slot for slot in slots},
        renditions={reference.digest: reference for reference in playlist.renditions},
        refused={
            slot.id: Refusal(slot=slot, code=breaches[slot.id].rule.value) for slot in asked if slot.id in breaches
        },
        lowered=_lowered(slots, playlist.volume, in_force) if in_force is not None else {},
        in_force=in_force,
    )


def in_force_of(rules: Rules) -> InForce:
    """Translate the rules of a verified playlist; of a hold the box learns neither who placed it nor why."""
    holds = (
        Hold(id=str(number), kind=hold.kind, reason="", start=hold.start, end=hold.end, by="", placed_at=hold.start)
        for number, hold in enumerate(rules.holds)
    )
    return InForce(
        zone=ZoneInfo(rules.time_zone),
        rules=LocalRules(
            quiet=tuple(_hours(hours) for hours in rules.quiet),
            weekdays=frozenset(day - 1 for day in rules.weekdays) if rules.weekdays is not None else None,
            longest_session=_duration(rules.longest_session),
            most_a_day=_duration(rules.most_a_day),
            sessions_a_day=rules.sessions_a_day,
            gap=_duration(rules.gap),
            loudest=tuple(Loudest(hours=_hours(loudest), volume=loudest.volume) for loudest in rules.loudest),
        ),
        holds=tuple(sorted(holds, key=lambda hold: hold.start)),
    )


def _lowered(slots: tuple[Slot, ...], volume: int, in_force: InForce) -> dict[str, int]:
    highest = {
        slot.id: highest_volume(slot.start, slot.end, in_force) for slot in slots if slot.level is not Level.EMERGENCY
    }
    return {slot: percent for slot, percent in highest.items() if percent < volume}


def _slot(slot: messages.Slot) -> Slot:
    return Slot(
        id=slot.id,
        title=slot.title,
        level=Level(slot.level),
        start=slot.start,
        end=slot.start + timedelta(seconds=slot.duration),
        items=tuple(
            SlotItem(
                rendition=item.rendition,
                offset=timedelta(seconds=item.offset),
                duration=timedelta(seconds=item.duration),
            )
            for item in slot.items
        ),
        cut=slot.cut,
        if_late=_if_late(slot),
    )


def _if_late(slot: messages.Slot) -> IfLate:
    """Return what the slot says of lateness; a word of a newer server, or half a choice, is heard as ``join``."""
    if slot.if_late == Late.SKIP:
        return IfLate(action=Late.SKIP)
    if slot.if_late == Late.WHOLE and slot.within is not None:
        within = min(timedelta(seconds=slot.within), LONGEST_WAIT)
        return IfLate(action=Late.WHOLE, within=within) if within > timedelta() else JOIN
    return JOIN


def _hours(hours: messages.Hours) -> Hours:
    return Hours(start=time.fromisoformat(hours.start), end=time.fromisoformat(hours.end))


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


class Shelf:
    """Holds one playlist. The inbox writes it; conductor, cache and status read it."""

    def __init__(self, path: Path, pinned: Pinned) -> None:
        self._path = path
        self._former = path.with_name(f"former-{path.name}")
        """What was held before, until it has been told what became of its slots."""
        self._pinned = pinned
        self._is_settled = True
        self.held: Held | None = None
        self.agenda: Agenda | None = None

    async def load(self) -> None:
        """Take up what was held before the restart.

        An expired playlist is held, too: it makes no sound, but nothing older may take its place.
        """
        try:
            accepted, since = await asyncio.to_thread(self._read, self._path)
        except FileNotFoundError:
            return
        except (OSError, Refused) as error:
            log.error("held playlist cannot be read path=%s error=%s", self._path, error)
            return
        with suppress(OSError, Refused):
            former, then = await asyncio.to_thread(self._read, self._former)
            if former.held.version < accepted.held.version:
                self._hold(former.held, agenda_of(former.playlist, since=then))
        self._hold(accepted.held, agenda_of(accepted.playlist, since=since))

    async def came_by(self, now: datetime) -> None:
        """Note that the held playlist was here by ``now``, if its file or a clock that went ahead said otherwise.

        Local rules do not bind what was over when it came: one from next year would make them bind nothing.
        """
        held, agenda = self.held, self.agenda
        if held is None or agenda is None or agenda.since <= now:
            return
        try:
            accepted, _ = await asyncio.to_thread(self._read, self._path)
        except (OSError, Refused) as error:
            log.error("held playlist cannot be read path=%s error=%s", self._path, error)
            return
        revised = await asyncio.to_thread(agenda_of, accepted.playlist, since=now)
        if self.agenda is agenda:
            self.agenda = replace(revised, history=agenda.history, former=agenda.former, known=agenda.known)

    async def settle(self) -> None:
        """Note that of everything that is over by now it has been told what became of it."""
        if self._is_settled:
            return
        self._is_settled = True
        if self.agenda is not None and self.agenda.former:
            self.agenda = replace(self.agenda, former=())
        with suppress(OSError):
            await asyncio.to_thread(self._former.unlink, missing_ok=True)

    async def put(self, raw: bytes, now: datetime) -> bool:
        """Take a playlist from the network; True if it is new, False if it is the held one again.

        Raises:
            Refused: the gate does not let it in; what was held stays.
            OSError: the disk does not take it; what was held stays.
        """
        accepted = accept_playlist(raw, self._pinned, held=self.held, now=now)
        if accepted is None:
            return False
        self._hold(accepted.held, await asyncio.to_thread(self._store, accepted, now))
        return True

    def _read(self, path: Path) -> tuple[Accepted, datetime]:
        """Read a file through the gate; return since when it was held, too. In a thread."""
        accepted = accept_playlist(path.read_bytes(), self._pinned, held=None, now=_ALWAYS)
        assert accepted is not None, "with nothing held nothing is held again"
        return accepted, datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def _store(self, accepted: Accepted, now: datetime) -> Agenda:
        """Write it down and look at every slot; in a thread, because either may take a while.

        What was held stays beside it: the power may go before it is told what became of its slots. Of several that
        came since then the first says most: from its issue on nothing was told.
        """
        with suppress(OSError):  # one that cannot be kept costs receipts only
            if self.held is None:
                self._former.unlink(missing_ok=True)
            elif not self._former.exists():
                os.link(self._path, self._former)
        write_whole(self._path, accepted.raw)
        with suppress(OSError):  # by the box's clock, not by the machine's
            os.utime(self._path, (now.timestamp(), now.timestamp()))
        return agenda_of(accepted.playlist, since=now)

    def _hold(self, held: Held, agenda: Agenda) -> None:
        if (before := self.agenda) is not None:
            self._is_settled = False
            left = (*before.former, *((slot, before.since) for slot in before.timeline.slots))
            gone = (each for each in left if each[0].latest_end <= agenda.timeline.start)
            former = tuple(each for each in gone if each[0].id not in agenda.slots)[-MOST_SLOTS:]
            history, known = min(agenda.history, before.history), frozenset(before.slots)
            agenda = replace(agenda, history=history, former=former, known=known)
        self.held, self.agenda = held, agenda
        if refused := [*agenda.refused.values()]:
            log.warning(
                "slots refused by local rules version=%d slots=%d first=%s code=%s",
                agenda.version,
                len(refused),
                refused[0].slot.id,
                refused[0].code,
            )
