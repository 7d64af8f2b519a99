"""Recordings and words on their way in, and the bytes that boxes fetch."""

import hashlib
from dataclasses import replace

import pytest

from broadcaster.store.records import Sound, SoundState
from tests.broadcaster.commune import OFFICIAL, tone, waiting_sound
from tests.broadcaster.conftest import Commune
from tests.fakes.asgi import Answer, HangUp, Sent

BOUNDARY = "ranh-gioi"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
END = f"--{BOUNDARY}--\r\n".encode()
TEXT = "Kính thưa bà con."


def part(content: bytes, *, name: str = "file", file: str | None = "ban tin.wav") -> bytes:
    told = f'; filename="{file}"' if file else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{told}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def upload(commune: Commune, *body: bytes | HangUp, sent: Sent | None = None) -> Answer:
    return commune.ask("POST", "/sounds", body=body, headers=FORM, sent=sent, token=OFFICIAL.id)


# Recordings


def test_a_recording_is_kept_as_it_was_sent(commune: Commune) -> None:
    recording = tone()
    body = part(b"  L\xe1\xbb\x9di ch\xc3\xa0o ", name="title", file=None) + part(recording) + END
    answer = upload(commune, *(body[i : i + 700] for i in range(0, len(body), 700)))
    assert answer.status == 202
    digest = hashlib.sha256(recording).hexdigest()
    told = answer.json()
    assert (told["id"], told["title"], told["state"]) == (digest, "Lời chào", "preparing")
    assert (told["size_bytes"], told["author"], told["progress"]) == (len(recording), OFFICIAL.id, 0.0)
    assert commune.library.path("originals", digest).read_bytes() == recording
    assert commune.incoming() == []
    assert commune.get(f"/sounds/{digest}") == told
    assert commune.kinds() == ["sound.received"]


@pytest.mark.parametrize(
    ("file", "title"),
    [("ban tin 7h.mp3", "ban tin 7h"), ("", "recording"), ("../../etc/passwd", "passwd"), (None, "recording")],
)
def test_a_recording_without_a_title_is_called_by_its_file(commune: Commune, file: str | None, title: str) -> None:
    assert upload(commune, part(tone(), file=file) + END).json()["title"] == title


def test_the_same_recording_again_is_the_same_sound(commune: Commune) -> None:
    first = upload(commune, part(tone()) + END)
    before = commune.held()
    again = upload(commune, part(tone(), file="other.wav") + END)
    assert (again.status, again.json()) == (202, first.json())
    assert commune.held() == before


def test_a_file_that_is_too_large_is_refused_before_it_is_read(commune: Commune) -> None:
    """The limit is 200,000 bytes; of these 10 MB in pieces hardly more is taken."""
    body = [part(b"")[:-2], *[b"\0" * 10_000] * 1000]
    problem = commune.refused("POST", "/sounds", 413, "sound_too_large", body=body, headers=FORM)
    assert problem["limit_bytes"] == 200_000
    sent = Sent()
    upload(commune, *body, sent=sent)
    assert sent.chunks == 22


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        ([END], "bad_upload", 422),
        ([], "bad_upload", 422),
        ([b"no form at all"], "bad_upload", 422),
        ([part(tone(), name="other"), END], "bad_upload", 422),
        ([part(tone()), part(tone()), END], "bad_upload", 422),
        ([part(b"x" * 5000, name="title", file=None), part(tone()), END], "bad_upload", 422),
        ([*[part(b"x", name=f"field{i}", file=None) for i in range(10)], part(tone()), END], "bad_upload", 422),
        ([part(tone(), name="x" * 100_000), END], "bad_upload", 422),
        ([part(b""), END], "empty_audio", 422),
        ([part(tone())], "bad_upload", 422),
        ([part(tone())[:-500]], "bad_upload", 422),
        ([part(tone())[:-500], HangUp()], "bad_upload", 422),
    ],
    ids=[
        "no file", "nothing", "no form", "another field", "two files", "long field", "many fields", "long header",
        "empty file", "no end", "torn", "hung up",
    ],
)  # fmt: skip
def test_an_upload_that_cannot_be_taken_leaves_nothing(
    commune: Commune, body: list[bytes | HangUp], code: str, status: int
) -> None:
    commune.refused("POST", "/sounds", status, code, body=body, headers=FORM)


@pytest.mark.parametrize(
    "kind", ["audio/wav", "", "multipart/form-data", "multipart/mixed; boundary=x", "multipart/form-data; boundary="]
)
def test_an_upload_of_another_kind_is_refused(commune: Commune, kind: str) -> None:
    commune.refused("POST", "/sounds", 422, "bad_upload", body=[tone()], headers={"content-type": kind})


# Words


def test_words_become_a_sound(commune: Commune) -> None:
    told = commune.post("/sounds/speech", {"text": TEXT, "title": "Chào"}, expect=202)
    assert told["speech"] == {"text": TEXT, "voice": "vi-north", "rate": 1.0}
    assert (told["title"], told["state"]) == ("Chào", "preparing")
    assert "rendition" not in told


def test_the_same_words_in_the_same_voice_are_the_same_sound(commune: Commune) -> None:
    first = commune.post("/sounds/speech", {"text": TEXT}, expect=202)
    before = commune.held()
    assert commune.post("/sounds/speech", {"text": TEXT, "voice": "vi-north"}, expect=202) == first
    assert commune.held() == before
    for other in ({"voice": "vi-south"}, {"rate": 1.2}, {"text": TEXT + "!"}):
        assert commune.post("/sounds/speech", {"text": TEXT, **other}, expect=202)["id"] != first["id"]


@pytest.mark.parametrize(
    ("body", "code", "fields"),
    [
        ({"text": ""}, "empty_text", {}),
        ({"text": " \n\t"}, "empty_text", {}),
        ({"text": "… — !"}, "empty_text", {}),
        ({"text": "a" * 201}, "text_too_long", {"limit": 200}),
        ({"text": TEXT, "voice": "hal"}, "unknown_voice", {"voice": "hal"}),
        ({"text": TEXT, "rate": 3}, "bad_request", {"count": 1}),
        ({"text": "a" * 200_001}, "bad_request", {"count": 1}),
        ({"text": "half a character \ud800"}, "bad_request", {"count": 1}),
        ({}, "bad_request", {"count": 1}),
    ],
)
def test_words_that_cannot_be_spoken_are_refused(
    commune: Commune, body: dict[str, object], code: str, fields: dict[str, object]
) -> None:
    problem = commune.refused("POST", "/sounds/speech", 422, code, json=body)
    assert problem | fields == problem


def test_a_refused_sound_says_why_in_the_language_that_is_asked_for(commune: Commune) -> None:
    sound = waiting_sound(commune.store)
    refusal = {"code": "sound_too_long", "fields": {"limit_s": 60}}
    commune.store.definitions.sounds.change(
        sound.id, lambda old: replace(old, state=SoundState.REFUSED, refusal=refusal)
    )
    english = commune.get(f"/sounds/{sound.id}")
    vietnamese = commune.get(f"/sounds/{sound.id}", headers={"Accept-Language": "vi"})
    assert (english["state"], english["code"]) == ("refused", "sound_too_long")
    assert vietnamese["detail"] == "Âm thanh dài hơn 60 giây; hãy cắt ngắn."
    assert english["detail"] != vietnamese["detail"]


def test_an_unknown_sound_is_not_found(commune: Commune) -> None:
    commune.refused("GET", "/sounds/" + "0" * 64, 404, "not_found")


# What boxes fetch


def test_a_rendition_is_fetched_whole_without_a_token(commune: Commune, sound: Sound) -> None:
    assert sound.rendition is not None
    content = commune.library.path("renditions", sound.rendition.digest).read_bytes()
    told = commune.get(f"/sounds/{sound.id}")
    answer = commune.ask("GET", told["url"], token=None)
    assert (answer.status, answer.body) == (200, content)
    assert hashlib.sha256(answer.body).hexdigest() == told["rendition"]
    assert answer.headers["content-length"] == str(len(content)) == str(told["rendition_bytes"])
    assert answer.headers["content-type"] == "audio/ogg"
    assert answer.headers["etag"] == f'"{sound.rendition.digest}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=0-99", 206, slice(0, 100)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=-50", 206, slice(-50, None)),
        ("bytes=99999-", 416, slice(0, 0)),
    ],
)
def test_a_box_goes_on_where_the_line_fell(
    commune: Commune, sound: Sound, asked: str, status: int, expected: slice
) -> None:
    assert sound.rendition is not None
    content = commune.library.path("renditions", sound.rendition.digest).read_bytes()
    path = f"/media/{sound.rendition.digest}"
    answer = commune.ask("GET", path, headers={"range": asked, "if-range": f'"{sound.rendition.digest}"'})
    assert (answer.status, answer.body) == (status, content[expected])
    whole = commune.ask("GET", path, headers={"range": asked, "if-range": '"another"'})
    assert (whole.status, whole.body) == (200, content)


def test_a_rendition_that_is_not_there_is_not_found(commune: Commune, sound: Sound) -> None:
    commune.refused("GET", "/media/" + "0" * 64, 404, "media_not_found", token=None)
    upload(commune, part(tone()) + END)
    original = hashlib.sha256(tone()).hexdigest()
    commune.refused("GET", f"/media/{original}", 404, "media_not_found", token=None)


@pytest.mark.parametrize("digest", ["x", "0" * 63, "A" * 64, "%2e%2e%2fkeys%2fplaylist.pem", "0" * 64 + "%0a"])
def test_what_is_no_digest_opens_no_file(commune: Commune, digest: str) -> None:
    answer = commune.ask("GET", f"/media/{digest}", token=None)
    assert (answer.status, answer.json()["code"]) in ((422, "bad_request"), (404, "not_found"))
