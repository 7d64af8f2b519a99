import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audio import mixing
from audio.errors import SoundError

Samples = np.ndarray[Any, np.dtype[np.float64]]


def rms(part: Samples) -> float:
    return float(np.sqrt(np.mean(part**2)))


def heard(gong: Any) -> Samples:
    return np.frombuffer(gong.raw_data, "<i2") / 32768


def test_an_announcement_is_silence_chime_pause_speech(spoken: Path, tmp_path: Path) -> None:
    mixing.announce(spoken, tmp_path / "mixed.wav")
    mixed, rate = soundfile.read(tmp_path / "mixed.wav")
    words, words_rate = soundfile.read(spoken)
    assert rate == words_rate
    assert mixed.ndim == 1
    lead, gong = round(0.3 * rate), len(heard(mixing.chime(rate)))
    assert not np.any(mixed[:lead])
    assert np.any(mixed[lead : lead + rate // 100])
    assert not np.any(mixed[lead + gong + 1 : len(mixed) - len(words)])
    assert np.array_equal(mixed[-len(words) :], words)
    assert rms(mixed[lead : lead + gong]) == pytest.approx(0.63 * rms(words), rel=0.1)  # 4 dB below


@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
def test_the_chime_falls_and_dies_away_without_a_click(rate: int) -> None:
    gong = heard(mixing.chime(rate))
    assert 1.4 <= len(gong) / rate <= 1.8
    assert np.abs(gong).max() == pytest.approx(0.5, rel=0.05)
    assert abs(gong[0]) < 0.01
    assert np.abs(gong[-rate // 100 :]).max() < 0.01
    tones = [strongest_tone(gong[round((number * 0.36 + 0.05) * rate) :][: rate // 4], rate) for number in range(3)]
    assert tones == [pytest.approx(tone, abs=5) for tone in mixing.TONES_HZ]


def strongest_tone(part: Samples, rate: int) -> float:
    """Return the frequency (Hz) that is strongest in ``part``."""
    return float(np.argmax(np.abs(np.fft.rfft(part * np.hanning(len(part)), rate))))


def test_a_voice_that_gave_no_sound_is_at_fault(tmp_path: Path) -> None:
    (tmp_path / "spoken.wav").write_bytes(b"nothing")
    with pytest.raises(SoundError, match="no readable WAV") as caught:
        mixing.announce(tmp_path / "spoken.wav", tmp_path / "mixed.wav")
    assert caught.value.code == "sound_failed"


def test_importing_is_quiet_where_no_ffmpeg_is_on_the_path() -> None:
    command = [sys.executable, "-W", "always", "-c", "import audio.mixing"]
    answer = subprocess.run(
        command, capture_output=True, env={"PATH": "/nowhere"}, check=True, cwd=Path(__file__).parents[2]
    )
    assert (answer.stdout, answer.stderr) == (b"", b"")
