import subprocess
import sys
import threading
import unicodedata
import wave
from pathlib import Path

import pytest

from audio import speech
from audio.errors import SoundError
from tests.audio.material import TEXT


def seconds(path: Path) -> float:
    with wave.open(str(path)) as sound:
        assert (sound.getframerate(), sound.getsampwidth(), sound.getnchannels()) == (22_050, 2, 1)
        return sound.getnframes() / sound.getframerate()


def speak(tmp_path: Path, text: str, *, voice: str = "vi-north", rate: float = 1.0) -> Path:
    path = tmp_path / f"{voice}-{rate}.wav"
    speech.voice(voice).speak(text, path, rate=rate)
    return path


def test_every_voice_reads_and_each_sounds_different(tmp_path: Path) -> None:
    names = [voice.name for voice in speech.voices()]
    assert names == ["vi-north", "vi-central", "vi-south", "en"]
    readings = [speak(tmp_path, TEXT, voice=name) for name in names]
    assert all(5 < seconds(path) < 20 for path in readings)
    assert len({path.read_bytes() for path in readings}) == len(names)


def test_the_rate_is_the_speed(tmp_path: Path) -> None:
    slow, plain, fast = (seconds(speak(tmp_path, TEXT, rate=rate)) for rate in (0.5, 1.0, 2.0))
    assert slow / plain == pytest.approx(2.0, rel=0.15)
    assert plain / fast == pytest.approx(2.0, rel=0.25)
    with pytest.raises(ValueError, match=r"from 0\.5 to 2\.0"):
        speak(tmp_path, TEXT, rate=2.1)


def test_vietnamese_sounds_the_same_however_its_tones_are_encoded(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", TEXT)
    assert decomposed != TEXT
    assert speak(tmp_path, decomposed).read_bytes() == speak(tmp_path, TEXT).read_bytes()


def test_tones_are_heard(tmp_path: Path) -> None:
    assert len({speak(tmp_path, syllable).read_bytes() for syllable in ("ma", "má", "mà", "mả", "mã", "mạ")}) == 6


def test_thousands_of_characters_are_read_to_the_end(tmp_path: Path) -> None:
    once = seconds(speak(tmp_path, TEXT))
    assert seconds(speak(tmp_path, f"{TEXT} " * 60)) == pytest.approx(60 * once, rel=0.1)


def test_control_characters_and_markup_are_only_text(tmp_path: Path) -> None:
    plain = seconds(speak(tmp_path, "Xin chào bà con"))
    assert seconds(speak(tmp_path, "Xin\0chào\x1b bà con")) == pytest.approx(plain, rel=0.1)
    assert seconds(speak(tmp_path, "\ud800 Xin chào bà con")) == pytest.approx(plain, rel=0.1)
    assert seconds(speak(tmp_path, "<audio src='/etc/passwd'/> Xin chào bà con")) > 0


def test_two_threads_may_speak_at_once(tmp_path: Path) -> None:
    alone = {name: speak(tmp_path, TEXT, voice=name).read_bytes() for name in ("vi-north", "vi-south")}
    together = tmp_path / "together"
    together.mkdir()
    threads = [threading.Thread(target=speak, args=(together, TEXT), kwargs={"voice": name}) for name in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {name: (together / f"{name}-1.0.wav").read_bytes() for name in alone} == alone


def test_an_unknown_voice_is_answered_with_those_there_are() -> None:
    with pytest.raises(SoundError, match="no voice 'vi-west'") as caught:
        speech.voice("vi-west")
    assert caught.value.code == "unknown_voice"
    assert caught.value.fields == {"voice": "vi-west", "voices": [voice.name for voice in speech.voices()]}


def test_a_voice_that_cannot_write_says_so(tmp_path: Path) -> None:
    with pytest.raises(SoundError, match="No such file or directory") as caught:
        speech.voice("en").speak("hello", tmp_path / "missing" / "file.wav", rate=1.0)
    assert caught.value.code == "sound_failed"


def test_the_child_can_be_run_as_a_module(tmp_path: Path) -> None:
    order = f'{{"text": "hello", "voice": "en", "words_per_minute": 160, "into": "{tmp_path}/en.wav"}}'
    command = [sys.executable, "-m", "audio.espeak"]
    subprocess.run(command, input=order.encode(), check=True, cwd=Path(__file__).parents[2])
    assert seconds(tmp_path / "en.wav") > 0.2
