"""Whether every slot that could be heard was, once, in time."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from devices import messages
from devices.agent.conduct.playlists import in_force_of
from schedules.levels import Level
from schedules.rules import stops
from schedules.timeline import Slot

if TYPE_CHECKING:
    from tests.simulation.ear import Sound
    from tests.simulation.invariants import Watch
    from tests.simulation.lives import Glance
    from tests.simulation.poles import Pole

SLACK = timedelta(seconds=0.5)
READY = timedelta(seconds=10)
"""How long before its start a box must have had all that a slot needs: a slow disk, a turn of the player."""


def end_of(slot: messages.Slot) -> datetime:
    return slot.start + timedelta(seconds=slot.duration)


def laid(slot: messages.Slot) -> Slot:
    """Return a slot as it is planned, in the words of the core; what it is made of left out."""
    level = Level(slot.level)
    return Slot(id=slot.id, title=slot.title, level=level, start=slot.start, end=end_of(slot), items=())


def forbidden(playlist: messages.Playlist, slot: Slot) -> str | None:
    """Return the rule of ``playlist`` that stops ``slot`` where it lies, of those that look at it alone."""
    if slot.level is Level.EMERGENCY or playlist.rules is None:
        return None
    breach = stops(slot.start, slot.end, in_force_of(playlist.rules))
    return breach.rule.value if breach is not None else None


def check_heard(watch: "Watch", pole: "Pole") -> None:
    """Compare what a street heard with what its playlists said."""
    heard: dict[str, list[Sound]] = {}
    for sound in pole.street.sounds:
        if sound.until is None:
            sound.until = watch.world.truth.now()
        heard.setdefault(sound.slot.id, []).append(sound)
    _check_overlaps(watch, pole)
    for id_, sounds in sorted(heard.items()):
        _check_once(watch, pole, id_, sounds)
    for slot in _planned(watch, pole):
        _check_played(watch, pole, slot, heard.get(slot.id, []))


def _check_overlaps(watch: "Watch", pole: "Pole") -> None:
    for text in pole.street.overlaps:
        watch.violated("two sounds are never heard at once", f"{pole.box} {text}")


def _check_once(watch: "Watch", pole: "Pole", id_: str, sounds: "list[Sound]") -> None:
    """No part of a slot is heard twice, but for what the doubt of a clock makes of a restart."""
    reached = timedelta()
    if any(pole.has_forgotten(sound) for sound in sounds):
        return
    for sound in sounds:
        near = [each for each in watch.glances[pole.box] if abs(each.at - sound.since) < timedelta(seconds=30)]
        doubt = max((each.doubt_s for each in near if each.trusted), default=1.0)
        if not sound.blind and sound.place < reached - timedelta(seconds=1 + 2 * min(doubt, 100.0)):
            watch.violated("no part of a slot is heard twice", f"{pole.box} {id_} {sound.place} after {reached}")
        reached = max(reached, sound.place + sound.lasted)


def _planned(watch: "Watch", pole: "Pole") -> Iterable[messages.Slot]:
    """Yield the slots that stood unchanged from before their start to their end."""
    issues = [each for each in watch.publications if each.cluster == pole.cluster]
    end = watch.world.truth.now()
    last: dict[str, messages.Slot] = {}
    for issued in issues:
        last.update({slot.id: slot for slot in issued.playlist.slots})
    for id_, slot in sorted(last.items()):
        if end_of(slot) > end - timedelta(seconds=5):
            continue
        since = [each for each in issues if each.at <= slot.start - READY][-1:]
        during = [each for each in issues if slot.start - READY < each.at <= end_of(slot) + READY]
        if since and all(each.slot(id_) == slot for each in (*since, *during)):
            yield slot


def _check_played(watch: "Watch", pole: "Pole", slot: messages.Slot, sounds: "list[Sound]") -> None:
    start, end = slot.start, end_of(slot)
    ready = _ready_since(watch, pole, slot)
    if ready is None or ready > start - timedelta(seconds=4):
        _check_late(watch, pole, slot, sounds, ready)
        return
    watch.counts["slots owed"] += 1
    lasted = sum((sound.lasted for sound in sounds), timedelta())
    if lasted < end - start - SLACK:
        others = [each for each in pole.street.sounds if each.since < end and each.ended > start]
        shifted = [each for each in others if each.slot.id != slot.id and _is_moved(watch, pole, each)]
        if not shifted:
            text = f"{pole.box} {slot.id} {lasted.total_seconds():.3f} of {slot.duration:.3f} s"
            watch.violated("what can be heard is heard", text)


def _check_late(
    watch: "Watch", pole: "Pole", slot: messages.Slot, sounds: "list[Sound]", ready: datetime | None
) -> None:
    """A slot whose box was not ready in time is joined, begun late, or left out."""
    end = end_of(slot)
    if ready is None or slot.if_late == "skip":
        return
    told = [
        receipt
        for _, _, _, receipt in watch.world.station.journal.receipts(box=pole.box, slot=slot.id, limit=100)
        if receipt.at < ready + READY and receipt.outcome in ("interrupted", "missed", "refused", "finished")
    ]
    begun = any(sound.since < ready and not pole.has_forgotten(sound) for sound in sounds)
    if told or (slot.if_late == "whole" and not begun):
        if not told:
            _check_whole(watch, pole, slot, sounds, ready)
        return
    watch.counts["slots to be joined"] += 1
    lasted = sum((max(sound.ended, ready) - max(sound.since, ready) for sound in sounds), timedelta())
    others = [each for each in pole.street.sounds if each.since < end and each.ended > ready]
    if all(each.slot.id == slot.id for each in others) and lasted < end - ready - READY:
        text = f"{pole.box} {slot.id} {lasted.total_seconds():.3f} s though ready {end - ready} before its end"
        watch.violated("what can be joined is joined", text)


def _check_whole(watch: "Watch", pole: "Pole", slot: messages.Slot, sounds: "list[Sound]", ready: datetime) -> None:
    """What may be begun late is, at once, where nothing else has the air for a good while and no rule is near."""
    begin = max(ready, slot.start) + READY
    end = begin + timedelta(seconds=slot.duration)
    near = timedelta(minutes=3)
    issued = watch.newest(pole.cluster, slot.start)
    glances = [each for each in watch.glances[pole.box] if ready <= each.at <= end + READY]
    steady = {(each.life, each.stepped, each.version, each.trusted) for each in glances}
    if begin > slot.start + timedelta(seconds=slot.within or 0.0) or issued is None or len(steady) != 1:
        return
    rules = issued.playlist.rules
    counting = rules is not None and any((rules.longest_session, rules.most_a_day, rules.sessions_a_day, rules.gap))
    planned = (each for each in issued.playlist.slots if each.id != slot.id)
    busy = any(each.start < end + near and end_of(each) > slot.start - near for each in planned)
    stopped = rules is not None and stops(ready, end + near, in_force_of(rules)) is not None
    lasted = sum((sound.lasted for sound in sounds), timedelta())
    free = not busy and (slot.level == Level.EMERGENCY or not (counting or stopped))
    held = issued.version in {each.version for each in glances}
    watch.counts["slots to be begun late"] += free and held
    if free and held and lasted < timedelta(seconds=slot.duration) - SLACK:
        text = f"{pole.box} {slot.id} {lasted.total_seconds():.3f} of {slot.duration:.3f} s, ready {ready:%H:%M:%S}"
        watch.violated("what can be begun late is heard whole", text)


def _is_moved(watch: "Watch", pole: "Pole", sound: "Sound") -> bool:
    starts = {
        asked.start
        for each in watch.publications
        if each.cluster == pole.cluster and (asked := each.slot(sound.slot.id)) is not None
    }
    return sound.slot.start not in starts


def _ready_since(watch: "Watch", pole: "Pole", slot: messages.Slot) -> datetime | None:
    """Return since when, without a break until the slot's end, the box had all that it needs, or None."""
    end = end_of(slot)
    since: datetime | None = None
    before: Glance | None = None
    for glance in watch.glances[pole.box]:
        if glance.at < slot.start - timedelta(seconds=30):
            continue
        if glance.at > end + timedelta(seconds=3):
            break
        gap = before is not None and glance.at - before.at > timedelta(seconds=5)
        if not _is_ready(watch, pole, slot, glance) or (before is not None and _differs(before, glance)) or gap:
            since = None
        if since is None and _is_ready(watch, pole, slot, glance):
            since = glance.at
        before = glance
    if before is None or before.at < end - timedelta(seconds=3) or since is None:
        return None
    return since if pole.ran_from(since, end) else None


def _differs(before: "Glance", after: "Glance") -> bool:
    return (before.life, before.stepped) != (after.life, after.stepped)


def _is_ready(watch: "Watch", pole: "Pole", slot: messages.Slot, glance: "Glance") -> bool:
    if not glance.trusted or glance.lag or abs(glance.error_s) > 1.0:
        return False
    issued = watch.issue_of(pole.cluster, glance.version)
    if issued is None or issued.slot(slot.id) != slot or slot.id in issued.forbidden:
        return False
    if slot.start >= issued.playlist.expires:
        return False
    return all(item.rendition in glance.files for item in slot.items)
