"""What must hold when a sound begins."""

from datetime import timedelta
from typing import TYPE_CHECKING

from devices import messages
from schedules.levels import Level
from tests.simulation import slots
from tests.simulation.ear import Sound
from tests.simulation.issues import Issued
from tests.simulation.lives import Glance

if TYPE_CHECKING:
    from tests.simulation.invariants import Watch
    from tests.simulation.poles import Pole

SETTLING = timedelta(seconds=15)
"""What a box may take to act on a playlist that has reached it: a slow disk, several steps, one turn."""


def check_content(watch: "Watch", pole: "Pole", sound: Sound, issued: Issued, asked: messages.Slot) -> None:
    expected = {item.rendition for item in asked.items}
    if sound.digest not in expected:
        watch.violated("only bytes that were promised sound", f"{pole.box} {sound.slot.id} {sound.digest:.12}")
    if sound.gain > issued.playlist.volume / 100 + 1e-9:
        watch.violated("nothing is louder than its playlist", f"{pole.box} {sound.slot.id} {sound.gain}")
    rule = slots.forbidden(issued.playlist, sound.slot)
    if rule is not None:
        watch.violated("nothing sounds that local rules forbid", f"{pole.box} {sound.slot.id} {rule}")
    from_start = [
        each for each in pole.street.sounds if each.slot.id == sound.slot.id and each.place < timedelta(seconds=0.3)
    ]
    if len(from_start) > 1 and sound is from_start[-1] and not sound.blind and not pole.has_forgotten(from_start[-2]):
        watch.violated("nothing begins twice from its beginning", f"{pole.box} {sound.slot.id}")


def check_time(
    watch: "Watch", pole: "Pole", sound: Sound, issued: Issued, asked: messages.Slot, glance: Glance
) -> None:
    goes_on = any(each is not sound and each.slot.id == sound.slot.id for each in pole.street.sounds)
    if not glance.trusted and asked.level != Level.EMERGENCY and not goes_on:
        watch.violated("only emergencies sound by a time that is not trusted", f"{pole.box} {sound.slot.id}")
    if sound.clock + glance.lag >= issued.playlist.expires:
        watch.violated("nothing sounds that has expired", f"{pole.box} {sound.slot.id}")
    planned = sound.slot.start + sound.place
    off = (sound.since - planned).total_seconds()
    if glance.trusted and not glance.lag and abs(off) > glance.doubt_s + 0.3:
        watch.violated("what sounds is on time", f"{pole.box} {sound.slot.id} {off:+.3f} s")
    shift = (sound.slot.start - asked.start).total_seconds()
    within = asked.within if asked.if_late == "whole" and asked.within is not None else 0.0
    known = [each for each in watch.glances[pole.box] if each.at > asked.start - timedelta(minutes=10)]
    steps = any(each.stepped for each in (*known, glance))  # it keeps its place through a step, and after a restart
    if not steps and not -1e-3 <= shift <= within + 1e-3:
        watch.violated("nothing is moved further than it may be", f"{pole.box} {sound.slot.id} {shift:+.3f} s")
    ahead = max((each.error_s for each in known if each.trusted and each.at <= asked.start), default=0.0)
    from_then = asked.start - timedelta(seconds=3 + max(ahead, 0.0))
    cued = pole.ran_between(from_then, asked.start)  # it may have begun, as the ledger has it: it is joined
    if asked.if_late == "skip" and not (goes_on or cued or glance.lag) and sound.place > timedelta(seconds=1.5):
        watch.violated("what is to be skipped is not joined", f"{pole.box} {sound.slot.id} {sound.place}")


def check_version(watch: "Watch", pole: "Pole", sound: Sound) -> None:
    """Once a playlist has reached a box whose disk works, nothing sounds that is not in it."""
    before = sound.since - SETTLING
    came = [version for at, version, life in watch.reached[pole.box] if life == pole.lives and at <= before]
    if not came or pole.disk.full or pole.disk.slow_s > 0.5:
        return
    newest = watch.issue_of(pole.cluster, max(came))
    glances = [each for each in watch.glances[pole.box] if each.at >= before and each.life == pole.lives]
    if newest is None or any(not each.trusted for each in glances) or not glances:
        return
    if newest.slot(sound.slot.id) is None:
        later = [each for each in watch.publications if each.cluster == pole.cluster and each.version > max(came)]
        if not any(each.slot(sound.slot.id) for each in later):
            watch.violated("nothing sounds that is superseded", f"{pole.box} {sound.slot.id} v{max(came)}")
