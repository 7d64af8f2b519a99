"""Boxes: how one takes its place, and how each of them is."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel

from broadcaster.api.context import House, Now, SignedIn
from broadcaster.api.idempotency import KeyedRoute
from broadcaster.api.paging import AfterId, Limit, Page, page
from broadcaster.flow import enrol
from broadcaster.store.records import Box, Publication
from devices.enrolment import BoxSettings, BrokerAddress, EnrolmentRequest
from devices.registry import Health, Last, health

router = APIRouter(route_class=KeyedRoute, tags=["boxes"])


class BoxView(BaseModel):
    """A box, and what it last said of itself. What it did not say is absent."""

    id: str
    cluster: str
    enrolled_at: datetime
    retired_at: datetime | None
    health: Health
    last_seen: datetime | None = None
    wanted_playlist: int | None = None
    """The version that is published for its cluster."""
    held_playlist: int | None = None
    renditions_missing: int | None = None
    playing: str | None = None
    volume: int | None = None
    receipts_waiting: int | None = None
    clock_source: str | None = None
    """Where its time comes from: ``kernel``, ``server``, ``held``, ``battery`` or ``none``."""
    clock_doubt: float | None = None
    """Seconds by which its time may be wrong."""
    clock_offset: float | None = None
    """Seconds by which its system clock is ahead."""
    free_bytes: int | None = None
    output: str | None = None
    software: str | None = None


@router.post("/boxes", status_code=201, response_model_exclude_none=True)
def enrol_box(asked: EnrolmentRequest, house: House, now: Now) -> BoxSettings:
    """Take a cluster's place with a one-time code; called by the box with the public key that it made."""
    box = enrol.take_place(asked, store=house.store, now=now)
    broker = house.settings.broker
    return BoxSettings(
        box=box.id,
        cluster=box.cluster,
        broker=BrokerAddress(host=broker.advertised_host or None, port=broker.port),
        playlist_keys=tuple(key.to_jwk() for key in house.playlist_keys),
    )


@router.get("/boxes", response_model_exclude_none=True)
def list_boxes(house: House, _by: SignedIn, now: Now, after: AfterId = None, limit: Limit = 100) -> Page[BoxView]:
    """Return the boxes, retired ones too, with their health and what they hold."""
    journal = house.store.journal
    statuses, publications, since = journal.statuses(), journal.publications(), house.line_since()
    return page(
        house.store.definitions.boxes.all(),
        id_of=lambda box: box.id,
        show=lambda box: _show(box, statuses.get(box.id), publications.get(box.cluster), since, now),
        after=after,
        limit=limit,
    )


def _show(
    box: Box, last: Last | None, publication: Publication | None, line_since: datetime | None, now: datetime
) -> BoxView:
    said = last[1] if last else None
    return BoxView(
        id=box.id,
        cluster=box.cluster,
        enrolled_at=box.enrolled_at,
        retired_at=box.retired_at,
        health=health(last, now, line_since=line_since),
        last_seen=last[0] if last else None,
        wanted_playlist=publication.version if publication and box.retired_at is None else None,
        held_playlist=said.playlist if said else None,
        renditions_missing=said.renditions_missing if said else None,
        playing=said.playing if said else None,
        volume=said.volume if said else None,
        receipts_waiting=said.receipts_waiting if said else None,
        clock_source=said.clock_source if said else None,
        clock_doubt=said.clock_doubt if said else None,
        clock_offset=said.clock_offset if said else None,
        free_bytes=said.free_bytes if said else None,
        output=said.output if said else None,
        software=said.software if said and said.software else box.software,
    )
