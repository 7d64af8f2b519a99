"""What came back from the street: receipts as boxes sent them, and who heard what."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from broadcaster.api.context import House, Now, SignedIn
from broadcaster.api.instants import Instant
from broadcaster.api.paging import AfterRow, Limit, Page
from broadcaster.api.timeline import From, SlotView, To, asked_window, show_slot
from broadcaster.flow import report
from devices.messages import Outcome, Receipt
from schedules.coverage import Heard

router = APIRouter(tags=["receipts"])


class ReceiptView(BaseModel):
    """One thing that a box did, as it signed it."""

    id: str
    box: str
    cluster: str
    at: datetime
    outcome: Outcome
    slot: str | None = None
    playlist: int | None = None
    code: str | None = None
    offset_s: float | None = None
    heard_s: float | None = None
    late_s: float | None = None
    """How much later than planned the slot was begun that is heard whole; absent: on time."""
    rendition: str | None = None


class ClusterCoverageView(BaseModel):
    """What is known of one slot on one cluster."""

    cluster: str
    outcome: Heard
    heard_s: float
    late_s: float | None = None
    """How much later than planned it was begun; absent: on time."""
    reason: str | None = None


class CoverageView(BaseModel):
    """A slot with what each cluster is known to have said of it, and the counts."""

    slot: SlotView
    heard: int
    partly: int
    missed: int
    unknown: int
    clusters: list[ClusterCoverageView]


def show(box: str, cluster: str, receipt: Receipt) -> ReceiptView:
    """Return a receipt as the API tells it."""
    return ReceiptView(
        id=receipt.id,
        box=box,
        cluster=cluster,
        at=receipt.at,
        outcome=receipt.outcome,
        slot=receipt.slot,
        playlist=receipt.playlist,
        code=receipt.code,
        offset_s=receipt.offset,
        heard_s=receipt.heard,
        late_s=receipt.late,
        rendition=receipt.rendition,
    )


@router.get("/receipts", response_model_exclude_none=True)
def list_receipts(
    house: House,
    _by: SignedIn,
    box: str | None = None,
    cluster: str | None = None,
    slot: str | None = None,
    begin: Annotated[Instant | None, Query(alias="from")] = None,
    to: Instant | None = None,
    after: AfterRow = 0,
    limit: Limit = 100,
) -> Page[ReceiptView]:
    """Return receipts in the order in which they were stored."""
    rows = house.store.journal.receipts(
        box=box, cluster=cluster, slot=slot, since=begin, until=to, after=after, limit=limit
    )
    return Page(
        items=[show(sender, place, receipt) for _, sender, place, receipt in rows],
        next=str(rows[-1][0]) if len(rows) == limit else None,
    )


@router.get("/coverage", response_model_exclude_none=True)
def coverage(house: House, _by: SignedIn, now: Now, begin: From = None, to: To = None) -> list[CoverageView]:
    """Return every slot that ends in the time asked for, with who heard it."""
    found = report.report(asked_window(begin, to, now), board=house.board, store=house.store, now=now)
    return [_show(each) for each in found]


def _show(found: report.SlotReport) -> CoverageView:
    summary = found.summary
    return CoverageView(
        slot=show_slot(found.slot),
        heard=summary.heard,
        partly=summary.partly,
        missed=summary.missed,
        unknown=summary.unknown,
        clusters=[
            ClusterCoverageView(
                cluster=each.cluster,
                outcome=each.outcome,
                heard_s=each.heard.total_seconds(),
                late_s=each.late.total_seconds() if each.late else None,
                reason=each.reason,
            )
            for each in found.clusters
        ],
    )
