"""Sounds: recordings and words on their way to the boxes, and the bytes that boxes fetch."""

import asyncio
from datetime import datetime
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from broadcaster.api.context import Context, House, Language, Now, SignedIn
from broadcaster.api.idempotency import KeyedRoute
from broadcaster.api.paging import AfterId, Limit, Page, page
from broadcaster.api.problems import sentence
from broadcaster.api.uploads import receive
from broadcaster.config import Sound as SoundSettings
from broadcaster.errors import Refusal
from broadcaster.flow import prepare
from broadcaster.store.records import Sound, SoundState
from devices.values import Digest

_ANY_SIZE = 1 << 50
"""Bytes: the library stops a recording that is larger than sound.largest_mb while it comes in."""

router = APIRouter(route_class=KeyedRoute, tags=["sounds"])


class Speech(BaseModel):
    """A text to be spoken. Voice and rate default to the station's."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=200_000)]
    title: Annotated[str, Field(max_length=200)] | None = None
    voice: Annotated[str, Field(max_length=50)] | None = None
    rate: Annotated[float, Field(ge=0.5, le=2.0)] | None = None


class SoundView(BaseModel):
    """A sound and how far it is. `progress` runs from 0 to 1 while it is prepared."""

    id: str
    title: str
    state: SoundState
    progress: float
    created_at: datetime
    author: str
    speech: dict[str, Any] | None = None
    size_bytes: int | None = None
    duration_s: float | None = None
    loudness_lufs: float | None = None
    peak_dbtp: float | None = None
    rendition: str | None = None
    rendition_bytes: int | None = None
    url: str | None = None
    code: str | None = None
    detail: str | None = None


def words(text: str, voice: str | None, rate: float | None, settings: SoundSettings) -> prepare.Words:
    """Return a text with the station's voice and rate where none is asked for."""
    return prepare.Words(text=text, voice=voice or settings.voice, rate=rate or settings.rate)


def show(sound: Sound, house: Context, language: str) -> SoundView:
    """Return the sound as the API tells it."""
    done = 1.0 if sound.state is SoundState.READY else house.preparation.progress.get(sound.id, 0.0)
    view = SoundView(
        id=sound.id,
        title=sound.title,
        state=sound.state,
        progress=round(done, 2),
        created_at=sound.created_at,
        author=sound.author,
        speech=sound.speech,
        size_bytes=sound.size_bytes,
    )
    if sound.rendition is not None:
        view.duration_s = sound.rendition.duration.total_seconds()
        view.loudness_lufs = sound.rendition.loudness_lufs
        view.peak_dbtp = sound.rendition.peak_dbtp
        view.rendition = sound.rendition.digest
        view.rendition_bytes = sound.rendition.size_bytes
        view.url = f"/api/v1/media/{sound.rendition.digest}"
    if sound.refusal is not None:
        view.code = sound.refusal["code"]
        view.detail = sentence(sound.refusal["code"], sound.refusal["fields"], language)
    return view


@router.get("/sounds", response_model_exclude_none=True)
def list_sounds(
    language: Language, house: House, _by: SignedIn, after: AfterId = None, limit: Limit = 100
) -> Page[SoundView]:
    """Return the sounds, in the order in which they came."""
    sounds = house.store.definitions.sounds.all()
    return page(
        sounds, id_of=lambda sound: sound.id, show=lambda sound: show(sound, house, language), after=after, limit=limit
    )


@router.post(
    "/sounds",
    status_code=202,
    max_body_size=_ANY_SIZE,
    response_model_exclude_none=True,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {
                            "file": {"type": "string", "format": "binary"},
                            "title": {"type": "string", "maxLength": 200},
                        },
                    }
                }
            },
        }
    },
)
async def upload_sound(request: Request, language: Language, house: House, by: SignedIn, now: Now) -> SoundView:
    """Send a recording in any format that ffmpeg reads; it is made ready in the background."""
    largest = prepare.limits(house.settings.sound).largest_bytes
    with house.library.receive(limit_bytes=largest) as incoming:
        name, fields = await receive(request, incoming)
        title = fields.get("title", "").strip()[:200] or PurePath(name).stem[:200] or "recording"
        sound = await asyncio.to_thread(
            prepare.receive_recording,
            incoming,
            title=title,
            by=by,
            library=house.library,
            store=house.store,
            now=now,
        )
    return show(sound, house, language)


@router.post("/sounds/speech", status_code=202, response_model_exclude_none=True)
def speak(asked: Speech, language: Language, house: House, by: SignedIn, now: Now) -> SoundView:
    """Send words to be spoken; the same words in the same voice are the same sound."""
    sound = prepare.speak(
        words(asked.text, asked.voice, asked.rate, house.settings.sound),
        title=asked.title or asked.text.strip()[:60] or "?",
        limits=prepare.limits(house.settings.sound),
        by=by,
        store=house.store,
        now=now,
    )
    return show(sound, house, language)


@router.get("/sounds/{sound}", response_model_exclude_none=True)
def read_sound(sound: str, language: Language, house: House, _by: SignedIn) -> SoundView:
    """Return a sound's facts, state and progress."""
    return show(house.store.definitions.sounds.get(sound), house, language)


@router.get("/media/{digest}", response_class=FileResponse)
def media(digest: Annotated[Digest, Path()], house: House) -> FileResponse:
    """Return a rendition's bytes, whole or by range. Its name is its digest, so it may be kept for ever.

    No token is asked for: it is what the street hears, and boxes have no session.
    """
    if not house.library.has("renditions", digest):
        raise Refusal("media_not_found", f"There is no rendition {digest}; read its digest from a playlist or sound.")
    return FileResponse(
        house.library.path("renditions", digest),
        media_type="audio/ogg",
        headers={"Cache-Control": "public, max-age=31536000, immutable", "ETag": f'"{digest}"'},
    )
