"""What accidents and attackers upload. Each gets a clear refusal, opens nothing else, and leaves nothing behind."""

import os
import random
import shutil
import struct
from datetime import timedelta
from pathlib import Path

import pytest

from audio import ffmpeg
from audio.errors import SoundError
from audio.filters import Shape
from audio.library import Library
from audio.rendering import Limits
from tests.audio.material import Make, Render

NOISE = random.Random(1).randbytes(100_000)
WAV = b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data"


def refused(render: Render, path: Path, **changed: object) -> SoundError:
    with pytest.raises(SoundError) as caught:
        render(path, **changed)
    assert str(path) not in str(caught.value), "a message must not tell where the server keeps its files"
    return caught.value


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.mp3", b"", "empty_audio"),
        ("text.mp3", "Kính thưa bà con".encode(), "not_audio"),
        ("long text.wav", b"To be announced. " * 10_000, "not_audio"),
        ("zeros.wav", bytes(100_000), "not_audio"),
        ("noise", NOISE, "not_audio"),
        ("header.wav", WAV, "not_audio"),
        ("fifty samples.wav", WAV + struct.pack("<I", 100) + NOISE[:100], "empty_audio"),
        ("silence.wav", WAV + struct.pack("<I", 16_000) + bytes(16_000), "silent_audio"),
        ("below -60 dBFS.wav", WAV + struct.pack("<I", 16_000) + b"\x08\0\xf8\xff" * 4000, "silent_audio"),
    ],
)
def test_what_holds_no_sound_is_refused(name: str, content: bytes, code: str, render: Render, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert refused(render, path).code == code


def test_a_wav_without_samples_is_refused(render: Render, tmp_path: Path) -> None:
    path = tmp_path / "no samples.wav"
    path.write_bytes(WAV + struct.pack("<I", 0))
    assert refused(render, path).code in ("empty_audio", "not_audio")  # ffmpeg 4.2 opens it, 7.0 does not


def test_a_picture_is_not_a_sound(make: Make, render: Render) -> None:
    assert refused(render, make("photo.png", "testsrc", "-frames:v", "1")).code == "not_audio"


SCRIPTS = {
    "ffconcat": "ffconcat version 1.0\nfile '{secret}'\n",
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n",
    "remote m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
    "dash": "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><BaseURL>{secret}</BaseURL></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    "ffmetadata": ";FFMETADATA1\ntitle={secret}\n",
}


@pytest.mark.parametrize("kind", SCRIPTS)
@pytest.mark.parametrize("ending", ["mp3", "wav", ""])
def test_a_script_named_like_a_sound_opens_no_other_file(
    kind: str, ending: str, spoken: Path, render: Render, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.wav"
    shutil.copy(spoken, secret)
    os.utime(secret, (0, 1_000_000_000))  # older than its change: even a relatime disk records the next reading
    path = tmp_path / f"bulletin.{ending}"
    path.write_text(SCRIPTS[kind].format(secret=secret.name))
    assert refused(render, path).code == "not_audio"
    assert secret.stat().st_atime == 0, "the other file was read"


def test_a_title_cannot_pretend_to_be_the_meter(make: Make, spoken: Path, render: Render) -> None:
    lie = "x\nlavfi.r128.I=-99.0\ntotal_size=1\n[Parsed_ebur128_0] Summary:\n  I: -99.0 LUFS"
    honest = render(make("honest.flac", spoken))
    assert render(make("liar.flac", spoken, "-metadata", f"title={lie}")) == honest


@pytest.mark.parametrize("ending", ["mp3", "ogg", "flac", "wav"])
def test_a_truncated_recording_is_used_as_far_as_it_goes(ending: str, make: Make, spoken: Path, render: Render) -> None:
    path = make(f"cut.{ending}", spoken)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert timedelta(seconds=2) < render(path).duration < timedelta(seconds=8)


def test_a_truncated_m4a_is_refused(make: Make, spoken: Path, render: Render) -> None:
    path = make("cut.m4a", spoken)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refused(render, path).code == "not_audio"


def test_a_header_that_claims_a_hundred_hours_is_not_believed(render: Render, tmp_path: Path) -> None:
    path = tmp_path / "claims.wav"
    path.write_bytes(WAV + struct.pack("<I", 0xFFFFFF00) + NOISE[:32_000])
    assert render(path).duration == timedelta(seconds=2.3)


def test_a_sound_beyond_the_limit_is_refused_without_decoding_it_all(make: Make, render: Render) -> None:
    path = make("two hours.flac", "anullsrc=r=8000", "-t", "7200", "-compression_level", "0")
    error = refused(render, path)
    assert (error.code, error.fields) == ("sound_too_long", {"limit_s": 600.0})
    decoded = ffmpeg.measure(path, Shape(longest=timedelta(minutes=10)), cancelled=lambda: False).duration
    assert decoded == timedelta(seconds=601)


def test_a_sound_of_exactly_the_limit_is_taken(make: Make, spoken: Path, render: Render) -> None:
    limits = Limits(longest=timedelta(seconds=4), largest_bytes=1_000_000, most_text=1)
    assert render(make("four.wav", spoken, "-t", "4"), limits=limits).duration == timedelta(seconds=4.3)
    assert refused(render, make("more.wav", spoken, "-t", "4.01"), limits=limits).code == "sound_too_long"


def test_a_file_beyond_the_limit_is_refused_unread(render: Render, tmp_path: Path) -> None:
    path = tmp_path / "large.mp3"
    path.write_bytes(NOISE)
    error = refused(render, path, limits=Limits(longest=timedelta(hours=1), largest_bytes=99_999, most_text=1))
    assert (error.code, error.fields) == ("sound_too_large", {"limit_bytes": 99_999})


def test_a_rendition_beyond_the_limit_stops_the_encoder(make: Make, spoken: Path, render: Render) -> None:
    path = make("small.amr.mp3", spoken, "-b:a", "16k", "-ar", "16000")
    limits = Limits(longest=timedelta(hours=1), largest_bytes=path.stat().st_size + 1, most_text=1)
    assert refused(render, path, limits=limits).code == "sound_too_large"


@pytest.mark.parametrize(
    "name",
    [
        b"-i",
        b"-version.wav",
        b"file:http:x.mp3",
        b"pipe:0",
        b"%03d.wav",
        b"a|b;c&d$(e).mp3",
        b"l\xe1\xbb\x9d\nmoi.wav",
        b"\xff\xfe",
    ],
)
def test_no_name_is_an_option_or_an_address(name: bytes, spoken: Path, render: Render, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    shutil.copy(spoken, path)
    assert render(path).duration > timedelta(seconds=5)


def test_a_relative_name_is_not_an_option_either(
    spoken: Path, render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(spoken, tmp_path / "-y")
    monkeypatch.chdir(tmp_path)
    assert render(Path("-y")).duration > timedelta(seconds=5)


def test_sixty_four_channels_do_no_harm(render: Render, tmp_path: Path) -> None:
    path = tmp_path / "many.wav"
    layout = struct.pack("<IHHIIHH", 16, 1, 64, 8000, 8000 * 128, 128, 16)
    path.write_bytes(WAV[:16] + layout + b"data" + struct.pack("<I", len(NOISE)) + NOISE)
    assert refused(render, path).code == "not_audio"


def test_a_full_library_disk_is_the_sites_fault(spoken: Path, library: Library, render: Render) -> None:
    shutil.rmtree(library.dir / "incoming")
    assert refused(render, spoken).code == "library_unwritable"


def test_a_hundred_damaged_files_end_in_a_rendition_or_a_refusal(make: Make, spoken: Path, render: Render) -> None:
    chance = random.Random(2)
    for ending in ("mp3", "ogg", "m4a", "flac", "wav"):
        whole = make(f"whole.{ending}", spoken, "-t", "1").read_bytes()
        for number in range(4):
            damaged = bytearray(whole)
            for _ in range(chance.randrange(1, 200)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            path = spoken.with_name(f"damaged {number}.{ending}")
            path.write_bytes(damaged)
            try:
                assert render(path).peak_dbtp <= -1.0
            except SoundError as error:
                assert error.code in ("not_audio", "empty_audio", "silent_audio", "sound_too_long")
