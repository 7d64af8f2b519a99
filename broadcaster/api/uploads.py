"""A multipart upload as a stream: one file, written on as it comes, never held in memory or twice on disk."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from audio.library import Incoming
from broadcaster.errors import Refusal

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_MOST_FIELD_BYTES: Final = 4096
_FILE: Final = "file"


@dataclass(slots=True)
class _Form:
    """What the parser's callbacks build up: the file goes to ``incoming``, fields stay here."""

    incoming: Incoming
    fields: dict[str, bytes] = field(default_factory=dict)
    file_name: str | None = None
    ended: bool = False
    _header: bytes = b""
    _value: bytes = b""
    _disposition: bytes = b""
    _name: str = ""

    def on_part_begin(self) -> None:
        self._disposition, self._name = b"", ""

    def on_header_begin(self) -> None:
        self._header = self._value = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name == _FILE:
            if self.file_name is not None:
                raise _bad_upload("it holds more than one file")
            self.file_name = options.get(b"filename", b"").decode("utf-8", "replace") or "recording"

    def on_end(self) -> None:
        self.ended = True

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == _FILE:
            self.incoming.write(data[start:end])
            return
        value = self.fields.get(self._name, b"") + data[start:end]
        if len(value) > _MOST_FIELD_BYTES or len(self.fields) > 8:
            raise _bad_upload("its fields are too long or too many")
        self.fields[self._name] = value


async def receive(request: Request, incoming: Incoming) -> tuple[str, dict[str, str]]:
    """Write the file of a ``multipart/form-data`` request to ``incoming``; return its name and the other fields.

    Raises:
        Refusal: ``bad_upload``: another content type, no file, several, or a body that breaks off.
        SoundError: ``sound_too_large``, as soon as the limit of ``incoming`` is passed.
    """
    content_type, options = parse_options_header(request.headers.get("content-type", ""))
    if content_type != b"multipart/form-data" or b"boundary" not in options:
        raise _bad_upload("the body is not multipart/form-data")
    form = _Form(incoming)
    callbacks: MultipartCallbacks = {
        "on_part_begin": form.on_part_begin,
        "on_header_begin": form.on_header_begin,
        "on_header_field": form.on_header_field,
        "on_header_value": form.on_header_value,
        "on_header_end": form.on_header_end,
        "on_headers_finished": form.on_headers_finished,
        "on_part_data": form.on_part_data,
        "on_end": form.on_end,
    }
    parser = MultipartParser(options[b"boundary"], callbacks)
    try:
        async for chunk in _stream(request):
            parser.write(chunk)
    except MultipartParseError as error:
        raise _bad_upload(f"the body cannot be read: {error}") from error
    except ClientDisconnect as error:
        raise _bad_upload("the line fell before its end") from error
    if not form.ended:  # the parser itself takes a torn body for a whole one
        raise _bad_upload("it breaks off before its end")
    if form.file_name is None:
        raise _bad_upload("it holds no file")
    return form.file_name, {name: value.decode("utf-8", "replace") for name, value in form.fields.items()}


async def _stream(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk


def _bad_upload(detail: str) -> Refusal:
    return Refusal(
        "bad_upload",
        f"The upload cannot be taken: {detail}. Send multipart/form-data with one file in the field 'file'.",
        detail=detail,
    )
