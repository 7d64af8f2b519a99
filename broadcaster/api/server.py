"""The API as one ASGI application."""

from fastapi import FastAPI

from broadcaster.api import (
    announcements,
    answers,
    boxes,
    clusters,
    days,
    decisions,
    events,
    health,
    preview,
    programmes,
    receipts,
    sessions,
    sounds,
    timeline,
    zones,
)
from broadcaster.api.context import Context

PREFIX = "/api/v1"
_LARGEST_BODY = 2_000_000
"""Bytes of a request. The longest text in the most items fits; only an upload may be longer, by its own limit."""
_NOUNS = (
    sessions,
    zones,
    clusters,
    boxes,
    days,
    sounds,
    announcements,
    preview,
    programmes,
    decisions,
    timeline,
    receipts,
    events,
)


def create(context: Context) -> FastAPI:
    """Return the API over a running application."""
    app = FastAPI(
        title="Loa",
        description="Smart public-address broadcast scheduling for communes.",
        version="1",
        docs_url="/docs",
        redoc_url=None,
        separate_input_output_schemas=False,
        max_body_size=_LARGEST_BODY,
    )
    app.state.context = context
    app.state.metrics = health.registry(context)
    answers.install(app)
    for noun in _NOUNS:
        app.include_router(noun.router, prefix=PREFIX)
    app.include_router(health.router)
    return app
