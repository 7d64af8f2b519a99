"""Whether what the boxes told is what was heard, and nothing is missing of it."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from devices.messages import Outcome, Receipt
from tests.simulation.slots import end_of

if TYPE_CHECKING:
    from tests.simulation.ear import Sound
    from tests.simulation.invariants import Watch
    from tests.simulation.poles import Pole

ENDS = (Outcome.FINISHED, Outcome.INTERRUPTED, Outcome.MISSED)
UNTOLD = timedelta(seconds=3)
"""What may have sounded when the power went, before it was written down that it had begun."""


def check(watch: "Watch", pole: "Pole") -> None:
    """Compare a box's receipts with its street."""
    rows = watch.world.station.journal.receipts(box=pole.box, limit=1_000_000)
    told = sorted((receipt for _, _, _, receipt in rows), key=lambda receipt: receipt.sequence)
    if [receipt.sequence for receipt in told] != list(range(1, len(told) + 1)):
        watch.violated("no receipt is lost", f"{pole.box} has holes among {len(told)}")
    by_slot: dict[str, list[Receipt]] = defaultdict(list)
    for receipt in told:
        if receipt.slot is not None:
            by_slot[receipt.slot].append(receipt)
    sounds: dict[str, list[Sound]] = defaultdict(list)
    for sound in pole.street.sounds:
        sounds[sound.slot.id].append(sound)
    for slot in sorted({*by_slot, *sounds}):
        _check_slot(watch, pole, slot, by_slot[slot], sounds[slot])
    for slot in _to_be_told(watch, pole):
        told_ends = [receipt for receipt in by_slot[slot] if receipt.outcome in (*ENDS, Outcome.REFUSED)]
        if not told_ends:
            watch.violated("of every slot it is told what became of it", f"{pole.box} {slot}")


def _to_be_told(watch: "Watch", pole: "Pole") -> Iterator[str]:
    """Yield the slots that stood to their end, and that the box held before that was over, or learned of later."""
    issues = [each for each in watch.publications if each.cluster == pole.cluster]
    held = {glance.version for glance in watch.glances[pole.box]}
    slots = {slot.id: slot for issued in issues for slot in issued.playlist.slots}
    for id_, slot in sorted(slots.items()):
        end = end_of(slot) + timedelta(seconds=slot.within or 0.0)
        looked = next((each.at for each in watch.glances[pole.box] if each.at > end and each.trusted), end)
        standing = [issued for issued in issues if issued.at <= max(looked, end + timedelta(seconds=30))]
        naming = [issued for issued in standing if issued.playlist.start < end_of(slot)]
        if end > watch.rested or not naming or naming[-1].slot(id_) != slot:
            continue
        known = [each for each in issues if each.version in held and each.slot(id_) == slot and each.at < end_of(slot)]
        lost = any(since <= end and until >= slot.start for since, until in pole.forgot)
        if known and not lost:
            yield id_


def _check_slot(watch: "Watch", pole: "Pole", slot: str, told: list[Receipt], sounds: "list[Sound]") -> None:
    def lies(text: str) -> None:
        words = [f"{each.outcome.value}({each.code or ''})" for each in told]
        watch.violated("receipts tell the truth", f"{pole.box} {slot} {text}; told {' '.join(words)}")

    if any(pole.has_forgotten(sound) for sound in sounds):
        return
    lasted = sum((sound.lasted for sound in sounds), timedelta())
    ends = [receipt for receipt in told if receipt.outcome in ENDS]
    if len(ends) > 1:
        lies(f"{len(ends)} ends")
    if lasted > UNTOLD and not any(receipt.outcome is Outcome.STARTED for receipt in told):
        lies(f"heard for {lasted} and never started")
    for receipt in told:
        if receipt.outcome is Outcome.STARTED and not sounds:
            lies("started, and nothing was heard")
        if receipt.outcome is Outcome.MISSED and lasted > UNTOLD:
            lies(f"missed, and heard for {lasted}")
        if receipt.outcome in (Outcome.FINISHED, Outcome.INTERRUPTED):
            begun = sum(each.outcome is Outcome.STARTED for each in told)
            _check_amount(lies, receipt, lasted, whole=begun == 1 and receipt.code != "off")
    if sounds and not ends and sounds[-1].ended < watch.rested:
        lies("heard, and its end was never told")


def _check_amount(lies: Callable[[str], None], receipt: Receipt, lasted: timedelta, *, whole: bool) -> None:
    """What was heard before a power cut may be unknown (``whole`` False); more than was heard is never told."""
    heard, actual = receipt.heard or 0.0, lasted.total_seconds()
    if heard > actual + 1.0 or (whole and heard < actual - 1.5):
        lies(f"{receipt.outcome.value} says {heard:.3f} s of {actual:.3f}")
