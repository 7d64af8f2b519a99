import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.filters import read_meter
from audio.loudness import (
    CEILING_DBTP,
    CODEC_LOSS_LU,
    MOST_DRIVE_DB,
    TARGET_LUFS,
    Adjustment,
    Measurement,
    corrected,
    first_adjustment,
    is_silent,
    next_gain,
    scaled,
)


def heard(loudness: float, peak: float | None = -2.0, sample_peak: float = -3.0) -> Measurement:
    return Measurement(
        duration=timedelta(seconds=9), loudness_lufs=loudness, peak_dbtp=peak, sample_peak_dbfs=sample_peak
    )


@given(st.floats(-70, 10))
def test_the_plain_gain_leads_to_the_target_before_the_codec(loudness: float) -> None:
    assert loudness + first_adjustment(loudness).gain_db == pytest.approx(TARGET_LUFS + CODEC_LOSS_LU)


@given(st.floats(-40, 0), st.floats(2, 20))
def test_trials_behind_a_limiter_come_to_the_target(loudness: float, headroom: float) -> None:
    def limited(gain: float) -> float:
        """A limiter that takes a third of everything beyond the headroom."""
        return loudness + gain - max(0.0, gain - headroom) / 3

    adjustment = first_adjustment(loudness)
    trials = [(adjustment.gain_db, limited(adjustment.gain_db))]
    for _ in range(3):
        gain = next_gain(trials, TARGET_LUFS)
        trials.append((gain, limited(gain)))
    assert trials[-1][1] == pytest.approx(TARGET_LUFS, abs=0.1)


def test_a_sound_that_gains_nothing_more_is_not_driven_without_end() -> None:
    assert next_gain([(0.0, -20.0), (4.0, -20.0)], TARGET_LUFS) == 4.0 + 4.0 / 0.25


ADJUSTMENT = Adjustment(gain_db=6.0, ceiling_dbfs=-2.5, most_gain_db=6.0 + MOST_DRIVE_DB)


@pytest.mark.parametrize(
    ("rendition", "gain", "ceiling"),
    [
        (heard(-16.4), None, None),
        (heard(-15.6, CEILING_DBTP), None, None),
        (heard(-17.0), 7.0, -2.5),
        (heard(-15.0), 5.0, -2.5),
        (heard(-30.0), 14.0, -2.5),
        (heard(-16.0, -0.5), 6.0, -3.3),
        (heard(-17.0, -0.5), 7.0, -3.3),
    ],
)
def test_a_rendition_that_is_out_is_corrected(
    rendition: Measurement, gain: float | None, ceiling: float | None
) -> None:
    better = corrected(ADJUSTMENT, rendition)
    assert (better and better.gain_db) == gain
    assert (better and better.ceiling_dbfs) == (None if ceiling is None else pytest.approx(ceiling))


def test_the_last_resort_keeps_the_shape_of_the_wave() -> None:
    better = scaled(ADJUSTMENT, heard(-16.0, peak=1.0))
    assert better is not None
    assert better.gain_db - better.ceiling_dbfs == ADJUSTMENT.gain_db - ADJUSTMENT.ceiling_dbfs
    assert ADJUSTMENT.ceiling_dbfs - better.ceiling_dbfs == pytest.approx(2.3)
    assert scaled(ADJUSTMENT, heard(-16.0, peak=-1.0)) is None


def test_a_rendition_without_true_peak_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="true peak"):
        corrected(ADJUSTMENT, heard(-16.0, peak=None))


def test_silence_is_below_the_gate_or_below_60_dbfs() -> None:
    assert is_silent(heard(-math.inf, sample_peak=-20.0))
    assert is_silent(heard(-65.0, sample_peak=-60.1))
    assert not is_silent(heard(-65.0, sample_peak=-59.9))
    with pytest.raises(ValueError, match="sample peak"):
        is_silent(Measurement(duration=timedelta(seconds=1), loudness_lufs=-60.0))
    assert not is_silent(Measurement(duration=timedelta(seconds=1), loudness_lufs=-20.0))


METERED = b"""lavfi.r128.I=-20.000
lavfi.r128.sample_peaks_ch0=0.100
frame:7    pts:33600   pts_time:0.7
lavfi.r128.M=-21.052
lavfi.r128.I=-18.755
lavfi.r128.sample_peaks_ch0=0.500
lavfi.r128.sample_peaks_ch1=1.000
lavfi.r128.true_peaks_ch0=0.100
"""


def test_the_meter_is_read_from_its_end() -> None:
    assert read_meter(METERED) == (-18.755, pytest.approx(-6.02, abs=0.01), pytest.approx(-20.0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", (-math.inf, None, None)),
        (b"lavfi.r128.I=-70.000\nlavfi.r128.sample_peaks_ch0=0.000\n", (-math.inf, -math.inf, None)),
        (b"k=1\nlavfi.r128.I=-12.5\nlavfi.r128.sam", (-12.5, None, None)),
    ],
)
def test_a_meter_that_heard_nothing(text: bytes, expected: tuple[float, float, float | None]) -> None:
    assert read_meter(text) == expected
