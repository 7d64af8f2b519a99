"""Every error, answered as a problem document (RFC 9457) in the language that the request prefers."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from audio.errors import SoundError
from broadcaster.api.mistakes import field_mistake
from broadcaster.api.problems import PROBLEMS, language, sentence
from broadcaster.store.port import StoreError
from schedules.errors import DomainError

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"


def answer(
    request: Request, code: str, fields: dict[str, Any], english: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the problem document of an error."""
    problem = PROBLEMS.get(code, PROBLEMS["internal"])
    spoken = language(request.headers.get("accept-language", ""))
    told = {**(headers or {}), "Content-Language": spoken}
    if problem.status == 401:
        told["WWW-Authenticate"] = "Bearer"
    body = {
        **fields,
        "type": f"urn:loa:problem:{code}",
        "title": problem.title_vi if spoken == "vi" else problem.title,
        "status": problem.status,
        "detail": sentence(code, fields, spoken, english),
        "code": code,
    }
    return JSONResponse(body, problem.status, told, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error with a problem document."""
    app.add_exception_handler(DomainError, _refused)
    app.add_exception_handler(SoundError, _refused)
    app.add_exception_handler(StoreError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    code, fields = getattr(error, "code", "internal"), getattr(error, "fields", {})
    if PROBLEMS.get(code, PROBLEMS["internal"]).status >= 500:
        log.error("request failed path=%s code=%s: %s", request.url.path, code, error)
    return answer(request, code, jsonable_encoder(fields), str(error))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    spoken = language(request.headers.get("accept-language", ""))
    mistakes = [
        {
            "where": ".".join(str(part) for part in each["loc"][1:]) or str(each["loc"][0]),
            "message": field_mistake(each, spoken),
        }
        for each in error.errors()
    ]
    named = "; ".join(f"{each['where']}: {each['message']}" for each in mistakes[:3])
    english = f"The request has {len(mistakes)} wrong field(s): {named}. Correct them and send it again."
    return answer(request, "bad_request", {"count": len(mistakes), "errors": mistakes[:20]}, english)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}.get(error.status_code, "bad_request")
    fields: dict[str, Any] = {"count": 1, "errors": []} if code == "bad_request" else {}
    english = f"{error.detail}: {request.method} {request.url.path}; see /docs."
    return answer(request, code, fields, english, error.headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("request failed path=%s", request.url.path, exc_info=error)
    return answer(request, "internal", {}, "Something went wrong on our side and was logged; try again.")
