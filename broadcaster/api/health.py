"""Whether the server lives, whether it is of use, and its figures for Prometheus."""

from collections import Counter as Tally
from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broadcaster.api.context import Context, House
from devices.registry import health

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Return 200 while the process answers."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"description": "Something is missing; the body says what."}})
def readyz(house: House) -> JSONResponse:
    """Return 200 when the server is of use, 503 while something is missing."""
    parts = dict(house.readiness())
    return JSONResponse({"ready": all(parts.values()), **parts}, status_code=200 if all(parts.values()) else 503)


@router.get("/metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Return the figures in the Prometheus text format."""
    return Response(generate_latest(request.app.state.metrics), media_type=CONTENT_TYPE_LATEST)


class _Figures(Collector):
    """Reads the figures from the store when they are asked for: nothing is counted twice or lost by a restart."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        """Yield every figure as it is now."""
        context, now = self._context, self._context.clock()
        definitions, journal = context.store.definitions, context.store.journal
        boxes = GaugeMetricFamily("loa_boxes", "Enrolled boxes by health.", labels=["health"])
        statuses, since = journal.statuses(), context.line_since()
        enrolled = [box for box in definitions.boxes.all() if box.retired_at is None]
        for state, count in Tally(
            health(statuses.get(box.id), now, line_since=since).value for box in enrolled
        ).items():
            boxes.add_metric([state], count)
        yield boxes
        sounds = GaugeMetricFamily("loa_sounds", "Sounds by state.", labels=["state"])
        for state, count in Tally(sound.state.value for sound in definitions.sounds.all()).items():
            sounds.add_metric([state], count)
        yield sounds
        receipts = CounterMetricFamily("loa_receipts", "Receipts stored, by outcome.", labels=["outcome"])
        for outcome, count in journal.count_receipts().items():
            receipts.add_metric([outcome], count)
        yield receipts
        dropped = CounterMetricFamily("loa_dropped_messages", "Messages from boxes that were dropped.", labels=["code"])
        for code, count in context.dropped().items():
            dropped.add_metric([code], count)
        yield dropped
        versions = GaugeMetricFamily("loa_playlist_version", "Published playlist version.", labels=["cluster"])
        for cluster, publication in journal.publications().items():
            versions.add_metric([cluster], publication.version)
        yield versions
        parts = GaugeMetricFamily("loa_ready", "1 where this part of the server is ready.", labels=["part"])
        for part, ready in context.readiness().items():
            parts.add_metric([part], int(ready))
        yield parts


def registry(context: Context) -> CollectorRegistry:
    """Return the figures of one application."""
    registry = CollectorRegistry()
    registry.register(_Figures(context))
    return registry
