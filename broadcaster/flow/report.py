"""Who heard what: receipts laid beside the plan, and the closing of occurrences that are over."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from broadcaster.flow.plan import Board, Window, alike
from broadcaster.store.port import Journal
from broadcaster.store.store import Store
from devices.messages import Receipt
from schedules.coverage import ClusterCoverage, Play, Summary, coverage, summarise
from schedules.timeline import Slot

CLOSED: Final = "report.closed"
"""The fact that says how far occurrences are closed, and what was known of those closed by it: one write, so that
a crash neither forgets an occurrence nor closes it twice."""
_LONGEST_LOOK_BACK: Final = timedelta(days=31)
_PAGE: Final = 1000
_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotReport:
    """One slot, as it was to be heard, and what is known of it on each cluster that was to hear it so.

    An occurrence that is cut or moved on some clusters makes several.
    """

    slot: Slot
    clusters: tuple[ClusterCoverage, ...]

    @property
    def summary(self) -> Summary:
        """How many clusters heard it."""
        return summarise(self.clusters)


def report(window: Window, *, board: Board, store: Store, now: datetime) -> list[SlotReport]:
    """Return every slot that ends in ``window``, by start, with what boxes say of it by now.

    Raises:
        Refusal: ``window_too_long``.
    """
    return _report(window, lambda slot: slot.end, board=board, store=store, now=now)


def _report(
    window: Window, over: Callable[[Slot], datetime], *, board: Board, store: Store, now: datetime
) -> list[SlotReport]:
    """Return every slot that is ``over`` in ``window``; that is its end, or later."""
    expected: defaultdict[Slot, list[str]] = defaultdict(list)
    looked_at = Window(start=window.start - _INSTANT, end=window.end)  # a timeline has no slot that ends at its start
    for found, clusters in alike(board.within(looked_at, now)):
        for slot in found.timeline.slots:
            if window.start <= over(slot) < window.end:
                expected[slot] += clusters
    if not expected:
        return []
    plays: defaultdict[str, list[tuple[str, str, Play]]] = defaultdict(list)
    for play in _plays(store.journal, since=min(slot.start for slot in expected) - timedelta(minutes=1)):
        plays[play[1]].append(play)
    return [
        SlotReport(slot=slot, clusters=_covered(slot, expected[slot], plays[slot.id]))
        for slot in sorted(expected, key=lambda slot: (slot.start, slot.id, slot.end))
    ]


def _covered(slot: Slot, clusters: list[str], plays: list[tuple[str, str, Play]]) -> tuple[ClusterCoverage, ...]:
    duration = slot.end - slot.start
    return coverage({slot.id: clusters}, plays, durations={slot.id: duration})[slot.id]


def close(*, grace: timedelta, board: Board, store: Store, now: datetime) -> list[SlotReport]:
    """Close the occurrences that ended more than ``grace`` ago and are not closed yet; return them.

    One that a box may begin late has ended when no box may sound it any more: ``Slot.latest_end``. No change of a
    plan brings that back to before the change, so that none is passed over.

    What is written is what is known then; a receipt that comes later still counts in ``report``.
    """
    until = now - grace
    since = max(_closed_until(store.journal) or until, until - _LONGEST_LOOK_BACK)
    window = Window(start=since, end=until)
    closed = _report(window, _latest_end, board=board, store=store, now=now) if since < until else []
    if closed or _closed_until(store.journal) is None:
        said = [{"slot": each.slot.id, "title": each.slot.title, **asdict(each.summary)} for each in closed]
        store.record(CLOSED, "report", by=None, at=now, until=until.isoformat(), occurrences=said)
    return closed


def next_close(*, grace: timedelta, board: Board, now: datetime) -> datetime | None:
    """Return when the next occurrence of the coming day can be closed, or None if there is none."""
    ends = [
        slot.latest_end
        for found, _ in alike(board.within(Window(start=now, end=now + timedelta(days=1)), now))
        for slot in found.timeline.slots
        if slot.latest_end > now
    ]
    return min(ends) + grace if ends else None


def _latest_end(slot: Slot) -> datetime:
    return slot.latest_end


def _closed_until(journal: Journal) -> datetime | None:
    mark = journal.newest(CLOSED)
    return datetime.fromisoformat(mark.body["until"]) if mark else None


def _plays(journal: Journal, *, since: datetime) -> Iterator[tuple[str, str, Play]]:
    row = 0
    while page := journal.receipts(since=since, after=row, limit=_PAGE):
        row = page[-1][0]
        for _row, _box, cluster, receipt in page:
            if receipt.slot is not None:
                yield cluster, receipt.slot, _play(receipt)


def _play(receipt: Receipt) -> Play:
    return Play(
        outcome=receipt.outcome.value,
        at=receipt.at,
        offset=timedelta(seconds=receipt.offset or 0),
        heard=timedelta(seconds=receipt.heard or 0),
        late=timedelta(seconds=receipt.late or 0),
        reason=receipt.code,
    )
