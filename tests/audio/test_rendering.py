"""What comes out, judged by other programs: libsndfile decodes as a box does, ffmpeg's own log measures."""

import math
import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audio import ffmpeg, rendering
from audio.errors import SoundError
from audio.library import Library
from audio.rendering import Rendered
from tests.audio.material import LIMITS, TEXT, Make, Render

SOFT_BELLS = (
    "aevalsrc='0.2*exp(-3*mod(t,0.5))*(sin(2*PI*220*t)+sin(2*PI*277*t)+sin(2*PI*330*t)+sin(2*PI*880*t))"
    "+0.3*exp(-40*mod(t,0.5))*(random(0)-0.5)':s=96000:d=12"
)
MATERIAL: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "speech": (None, ("-ar", "44100")),
    "speech in a room full of people": (None, ("-af", "aresample=44100,volume=0.5,aecho=0.8:0.7:40|90:0.4|0.3")),
    "whisper": (None, ("-af", "volume=-40dB", "-c:a", "pcm_f32le")),
    "clipped shouting": (None, ("-af", "volume=30dB", "-c:a", "pcm_s16le")),
    "8 kHz telephone": (None, ("-ar", "8000", "-c:a", "pcm_mulaw")),
    "speech in stereo": (None, ("-ac", "2", "-ar", "48000")),
    "speech on the left only": (None, ("-af", "pan=stereo|c0=c0|c1=0*c0")),
    "speech out of phase": (None, ("-af", "pan=stereo|c0=0.8*c0|c1=-0.8*c0")),
    "speech nearly out of phase": (None, ("-af", "pan=stereo|c0=0.7*c0|c1=-0.9*c0")),
    "bells at 96 kHz": (SOFT_BELLS, ("-c:a", "pcm_s24le")),
    "a tone at full scale": ("aevalsrc='sin(2*PI*997*t)':d=8", ()),
    "pink noise": ("anoisesrc=color=pink:seed=1:duration=10", ()),
    "claps": ("anoisesrc=amplitude=0.9:seed=1:duration=8,volume='if(lt(mod(t,0.5),0.03),1,0.1)':eval=frame", ()),
}


def sound(library: Library, rendered: Rendered) -> np.ndarray[Any, np.dtype[np.float64]]:
    samples, rate = soundfile.read(library.path("renditions", rendered.digest))
    assert rate == 48_000
    assert samples.ndim == 1
    return samples


def judged(path: Path) -> tuple[float, float]:
    """Return loudness and true peak as ffmpeg's log tells them, to 0.1."""
    command = [ffmpeg.program(), "-nostdin", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
    summary = subprocess.run(command, capture_output=True, check=True).stderr.decode().rpartition("Summary:")[2]
    loudness, peak = re.search(r"I: +(\S+) LUFS", summary), re.search(r"Peak: +(\S+) dBFS", summary)
    assert loudness and peak
    return float(loudness[1]), float(peak[1])


@pytest.mark.parametrize("name", MATERIAL)
def test_everything_comes_to_one_loudness_and_below_one_peak(
    name: str, make: Make, spoken: Path, render: Render, library: Library
) -> None:
    source, options = MATERIAL[name]
    rendered = render(make("original.wav", source or spoken, *options))
    loudness, peak = judged(library.path("renditions", rendered.digest))
    assert loudness == pytest.approx(rendered.loudness_lufs, abs=0.1)
    assert peak == pytest.approx(rendered.peak_dbtp, abs=0.1)
    assert rendered.peak_dbtp <= -1.0
    if name == "claps":
        return  # they meet the peak, and are as loud as that allows
    assert rendered.loudness_lufs == pytest.approx(-16.0, abs=1.0 if "noise" in name else 0.5)


FORMATS = {
    "mp3": ("-c:a", "libmp3lame", "-b:a", "96k"),
    "wav": ("-c:a", "pcm_u8"),
    "16.wav": ("-c:a", "pcm_s16le"),
    "24.wav": ("-c:a", "pcm_s24le"),
    "float.wav": ("-c:a", "pcm_f32le"),
    "m4a": ("-c:a", "aac"),
    "aac": ("-c:a", "aac"),
    "vorbis.ogg": ("-c:a", "libvorbis"),
    "opus": ("-ar", "48000", "-c:a", "libopus"),
    "flac": ("-c:a", "flac"),
    "wma": ("-ar", "44100", "-c:a", "wmav2"),
    "amr": ("-ar", "8000", "-c:a", "libopencore_amrnb"),
    "webm": ("-ar", "48000", "-c:a", "libopus"),
    "aiff": (),
    "au": (),
    "caf": (),
    "w64": (),
    "surround.flac": ("-af", "aresample=48000,pan=5.1|FL=0*c0|FR=0*c0|FC=c0|LFE=0*c0|BL=0*c0|BR=0*c0"),
}


@pytest.mark.parametrize("ending", FORMATS)
def test_every_usual_format_becomes_a_rendition(
    ending: str, make: Make, spoken: Path, render: Render, library: Library
) -> None:
    if ending == "amr" and b"libopencore_amrnb" not in _encoders():
        pytest.skip("this ffmpeg cannot make AMR; reading it needs nothing more")
    rendered = render(make(f"original.{ending}", spoken, *FORMATS[ending]))
    assert rendered.media_type == "audio/ogg; codecs=opus"
    assert rendered.size_bytes == library.size("renditions", rendered.digest)
    assert rendered.loudness_lufs == pytest.approx(-16.0, abs=0.6)
    assert library.verify("renditions", rendered.digest)
    length = soundfile.info(spoken).duration + 0.3
    assert rendered.duration.total_seconds() == pytest.approx(length, abs=0.15)  # AMR, AAC and WMA pad


def _encoders() -> bytes:
    return subprocess.run([ffmpeg.program(), "-encoders"], capture_output=True, check=True).stdout


def test_the_picture_and_the_video_beside_a_sound_do_not_matter(make: Make, spoken: Path, render: Render) -> None:
    picture = make("cover.png", "color=red:size=64x64", "-frames:v", "1")
    mp3 = (
        "-i",
        str(picture),
        "-map",
        "0:a",
        "-map",
        "1:v",
        "-c:a",
        "libmp3lame",
        "-c:v",
        "copy",
        "-id3v2_version",
        "3",
    )
    assert render(make("with cover.mp3", spoken, *mp3)).duration > timedelta(seconds=5)
    film = ("-f", "lavfi", "-i", "testsrc=size=64x64:rate=5", "-shortest", "-c:a", "aac", "-c:v", "mpeg4")
    assert render(make("film.mp4", spoken, *film)).duration > timedelta(seconds=5)


CLICKS = "aevalsrc='0.5*sin(2*PI*1000*t)*(between(t,0,0.02)+between(t,2,2.02)+between(t,19.97,19.99))':s=44100:d=20"


def test_what_a_box_decodes_is_exact_at_start_and_end(make: Make, render: Render, library: Library) -> None:
    rendered = render(make("clicks.wav", CLICKS))
    samples = sound(library, rendered)
    assert len(samples) == round(rendered.duration.total_seconds() * 48_000) == 20.3 * 48_000
    for at in (0.0, 2.0, 19.97):
        onset = round((0.3 + at) * 48_000)
        near = np.abs(samples[onset - 4800 : onset + 900])
        first = int(np.argmax(near > 0.25 * near.max())) - 4800
        assert abs(first) <= 48, f"the click at {at} s comes {first} samples late"
    assert np.abs(samples[: round(0.29 * 48_000)]).max() < 0.01


def test_a_box_can_join_at_any_sample(make: Make, spoken: Path, render: Render, library: Library) -> None:
    rendered = render(make("original.wav", spoken, "-ar", "48000"))
    whole = sound(library, rendered)
    with soundfile.SoundFile(library.path("renditions", rendered.digest)) as file:
        for at in (100_001, 14_400, 300_017, len(whole) - 4800):
            assert file.seek(at) == at
            part, expected = file.read(4800), whole[at : at + 4800]
            assert len(part) == 4800
            lags = np.correlate(part, np.pad(expected, 480), "valid")
            assert int(np.argmax(lags)) == 480
            assert np.abs(part - expected).max() < 0.05


def test_the_same_recording_gives_the_same_rendition(make: Make, spoken: Path, render: Render) -> None:
    original = make("original.mp3", spoken)
    assert render(original) == render(original)


def test_a_rendition_tells_nothing_of_its_origin(make: Make, spoken: Path, render: Render, library: Library) -> None:
    rendered = render(make("original.mp3", spoken, "-metadata", "title=secret", "-metadata", "artist=secret"))
    assert b"secret" not in library.path("renditions", rendered.digest).read_bytes()


def test_progress_rises_from_0_to_1(make: Make, spoken: Path, render: Render) -> None:
    steps: list[float] = []
    render(make("original.wav", spoken, "-af", "aloop=loop=9:size=500000"), progress=steps.append)
    assert steps[0] == 0.0
    assert steps[-1] == 1.0
    assert steps == sorted(steps)
    assert len(steps) > 5


@pytest.mark.parametrize("looks", [1, 4, 12])
def test_a_cancelled_sound_leaves_nothing(
    looks: int, make: Make, spoken: Path, render: Render, library: Library
) -> None:
    asked = iter(range(10_000))
    with pytest.raises(SoundError, match="cancelled") as caught:
        render(make("original.wav", spoken), cancelled=lambda: next(asked) >= looks)
    assert caught.value.code == "cancelled"
    assert not list(library.dir.glob("renditions/*/*"))


def speak(library: Library, text: str, **changed: Any) -> Rendered:
    wishes = {
        "voice": "vi-south",
        "rate": 1.0,
        "limits": LIMITS,
        "progress": lambda part: None,
        "cancelled": lambda: False,
    }
    return rendering.render_speech(text, library, **(wishes | changed))


@pytest.mark.parametrize("voice", ["vi-north", "vi-central", "vi-south", "en"])
def test_a_text_becomes_silence_chime_and_speech(voice: str, library: Library) -> None:
    rendered = speak(library, TEXT, voice=voice)
    assert rendered.loudness_lufs == pytest.approx(-16.0, abs=0.5)
    assert rendered.peak_dbtp <= -1.0
    samples = sound(library, rendered)
    assert np.abs(samples[: round(0.29 * 48_000)]).max() < 0.01
    gong, words = samples[14_400:86_400], samples[110_000:]
    apart = 20 * math.log10(np.sqrt(np.mean(gong**2)) / np.sqrt(np.mean(words**2)))
    assert abs(apart) < 4


@pytest.mark.parametrize(
    ("text", "code", "fields"),
    [
        ("", "empty_text", {}),
        (" \n\t…!? —", "empty_text", {}),
        ("a" * 5_001, "text_too_long", {"limit": 5_000}),
    ],
)
def test_a_text_that_cannot_be_spoken_is_refused_early(text: str, code: str, fields: dict[str, Any]) -> None:
    with pytest.raises(SoundError) as caught:
        rendering.check_text(text, LIMITS)
    assert (caught.value.code, caught.value.fields) == (code, fields)


def test_speech_beyond_the_limit_or_by_nobody_is_refused(library: Library) -> None:
    short = rendering.Limits(longest=timedelta(seconds=5), largest_bytes=1_000_000, most_text=5_000)
    with pytest.raises(SoundError, match="longer than the 5 s") as caught:
        speak(library, TEXT, limits=short)
    assert caught.value.fields == {"limit_s": 5.0}
    with pytest.raises(SoundError, match="no voice 'nobody'"):
        speak(library, TEXT, voice="nobody")
