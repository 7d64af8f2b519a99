"""Where a sound card stands on the clock, and how fast the sound must be read so that it stays in step. Pure.

Two things are kept apart. ``CardLine`` learns, from noisy reports, where the card's frames lie on a steady clock that
nobody slews: crystals keep their rate, so it may average for long. ``Pacer`` lays the planned sound on that line by the
wall clock, which is read without noise, and so follows at once when that is slewed.

The planned sound is one grid for all boxes: 48,000 samples a second, counted from 1970.
"""

from dataclasses import dataclass
from typing import Final

RATE: Final = 48_000
MOST: Final = 500e-6
"""How much faster or slower than planned the sound is read at most: less than a hundredth of a semitone."""
AT_ONCE_S: Final = 0.05
"""From here on sound is moved in one step: an underrun that nobody told, or a clock that was set."""
_MEMORY_S: Final = 40.0
"""Over how long reports are averaged: those off by +-2 ms give a line that is off by 0.03 ms."""
_YOUNG: Final = 3.0
"""Before, over this part of the time that there were reports: PulseAudio's are wrong by 3 ms in their first seconds."""
_YOUNGEST_S: Final = 1.0
_FIRST_NOISE_S: Final = 0.001
"""What a report is off by, half of the time; then it is learnt."""
_LEAST_NOISE_S: Final = 20e-6
_FIRST_DRIFT: Final = 50e-6
"""A card's crystal before anything is known of it, as a standard deviation."""
_OUTLIER: Final = 3.0
"""A report counts as no further off than so many times what is usual."""
_NOISE_SHARE: Final = 0.002
_SLIP_S: Final = 0.005
"""Reports that are off by so much on average over a second tell that the card has moved. PulseAudio's were off by 4 ms
for five seconds, and came back, while others had the processor; a card that ran dry moves by more."""
_SLIP_MOST_S: Final = 0.02
_SLIP_SHARE: Final = 0.02
_CATCH_UP_S: Final = 2.0
"""The time constant with which sound is brought back in step."""
_GLIDE: Final = 250e-6
"""How much the speed changes in a second at most."""
_SLEW_SHARE: Final = 0.02


class CardLine:
    """A straight line through noisy reports: frame of the card to second of the clock. A Kalman filter that forgets."""

    def __init__(self) -> None:
        self.drift = 0.0
        """By how much a frame of the card lasts longer than it should, as a share."""
        self._frame: int | None = None
        self._first = 0
        self._zero_s = self._late_s = 0.0
        self._usual_s = _FIRST_NOISE_S
        self._average_s = 0.0
        self._var_late = self._covariance = 0.0
        self._var_drift = _FIRST_DRIFT**2

    @property
    def known(self) -> bool:
        """Whether there was a report since the beginning, or since ``lose``."""
        return self._frame is not None

    def lose(self) -> None:
        """Forget where the card stands, as after an underrun."""
        self._frame = None

    def at(self, frame: int) -> float:
        """Return the second at which ``frame`` is heard. Only once it is ``known``."""
        assert self._frame is not None
        late = self._late_s + self.drift * (frame - self._frame) / RATE
        return self._zero_s + frame / RATE + late

    def report(self, frame: int, heard_s: float) -> None:
        """Learn that ``frame`` is heard at about ``heard_s``. Frames only grow."""
        if self._frame is None:
            self._begin(frame, heard_s)
            return
        apart = heard_s - self.at(frame)
        self._foresee(frame - self._frame, frame)
        self._average_s += (_within(apart, _SLIP_MOST_S) - self._average_s) * _SLIP_SHARE
        if abs(self._average_s) > _SLIP_S:
            self._begin(frame, heard_s)
        else:
            self._correct(_within(apart, _OUTLIER * self._usual_s))
        more = 1 + _NOISE_SHARE if abs(apart) > self._usual_s else 1 - _NOISE_SHARE
        self._usual_s = max(_LEAST_NOISE_S, min(self._usual_s * more, _FIRST_NOISE_S))

    def _begin(self, frame: int, heard_s: float) -> None:
        self._frame = self._first = frame
        self._zero_s, self._late_s, self._average_s = heard_s - frame / RATE, 0.0, 0.0
        self._usual_s = _FIRST_NOISE_S
        self._var_late, self._covariance = (2 * _FIRST_NOISE_S) ** 2, 0.0

    def _foresee(self, frames: int, frame: int) -> None:
        """Go on to ``frame``, and trust what was learnt a little less: this is how it is forgotten."""
        seconds = frames / RATE
        memory_s = min(max((frame - self._first) / RATE, _YOUNGEST_S) / _YOUNG, _MEMORY_S)
        less = 1 + 2 * seconds / memory_s
        self._frame = frame
        self._late_s += self.drift * seconds
        self._var_late = less * (self._var_late + seconds * (2 * self._covariance + seconds * self._var_drift))
        self._covariance = less * (self._covariance + seconds * self._var_drift)
        self._var_drift = less * self._var_drift

    def _correct(self, apart_s: float) -> None:
        whole = self._var_late + _FIRST_NOISE_S**2
        gain, drift_gain = self._var_late / whole, self._covariance / whole
        self._late_s += gain * apart_s
        self.drift = _within(self.drift + drift_gain * apart_s, MOST)
        self._var_drift = min(self._var_drift - drift_gain * self._covariance, _FIRST_DRIFT**2)
        self._var_late *= 1 - gain
        self._covariance *= 1 - gain


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known when a block of the card is to be filled."""

    heard_s: float | None
    """Second of the steady clock at which its first frame will be heard, as reported; None: nobody knows."""
    ahead_ns: int
    """By how much the wall clock, in nanoseconds since 1970, is ahead of the steady one."""
    slipped: bool
    """The card ran dry since the last block."""


@dataclass(frozen=True, slots=True)
class Block:
    """Which of the planned samples a block of the card is made of."""

    whole: int
    """Its first frame lies at sample ``whole + part``."""
    part: float
    ratio: float
    """Samples for each frame at its beginning, and at its end."""
    ratio_after: float
    cut: bool
    """What follows does not join on: let the sound fall softly."""


class Pacer:
    """Says which planned samples each block of the card is made of."""

    def __init__(self, *, delay_ns: int = 0) -> None:
        self._delay_ns = delay_ns
        self._line = CardLine()
        self._frame = 0
        self._place: tuple[int, float] | None = None
        self._ratio = 1.0
        self._ahead_ns: int | None = None
        self._slew = 0.0
        self.apart_s = 0.0
        """How far the sound was behind its instant at the last block."""

    @property
    def place(self) -> int | None:
        """The sample that the next block begins with if sound goes on as it does; None: nothing is laid yet."""
        return None if self._place is None else self._place[0]

    def lose(self) -> None:
        """Lay everything anew with the next report: the card has begun anew."""
        self._line.lose()
        self._place = None

    def block(self, frames: int, reading: Reading, *, quiet: bool) -> Block | None:
        """Return what the next block of the card is made of; None: not known yet, let it be silent.

        Args:
            frames: of the block.
            reading: of card and clock, now.
            quiet: nothing sounds there where it would go on; then it may begin anywhere.
        """
        if reading.slipped:
            self.lose()
        self._follow_clock(reading.ahead_ns, frames)
        if reading.heard_s is not None:
            self._line.report(self._frame, reading.heard_s)
        block = self._lay(frames, reading.ahead_ns, quiet=quiet) if self._line.known else None
        self._frame += frames
        return block

    def _lay(self, frames: int, ahead_ns: int, *, quiet: bool) -> Block:
        heard_ns = round(self._line.at(self._frame) * 1e9) + ahead_ns - self._delay_ns
        due, rest = divmod(heard_ns * (RATE // 1000), 1_000_000)
        if self._place is None or quiet:
            self._place, self._ratio = (due, rest / 1e6), self._evenly(0.0)
        whole, part = self._place
        before = self._ratio
        self.apart_s = ((due - whole) + (rest / 1e6 - part)) / RATE
        self._ratio += _within(self._evenly(self.apart_s) - before, _GLIDE * frames / RATE)
        if abs(self.apart_s) >= AT_ONCE_S:
            self._place = None
            return Block(whole, part, before, self._ratio, cut=True)
        over, rest_part = divmod(part + frames * (before + self._ratio) / 2, 1.0)
        self._place = (whole + int(over), rest_part)
        return Block(whole, part, before, self._ratio, cut=False)

    def _evenly(self, apart_s: float) -> float:
        wanted = self._line.drift + self._slew + apart_s / _CATCH_UP_S
        return 1.0 + _within(wanted, MOST)

    def _follow_clock(self, ahead_ns: int, frames: int) -> None:
        """Measure by how much the wall clock runs faster than the steady one, steps left out."""
        if self._ahead_ns is not None:
            slew = (ahead_ns - self._ahead_ns) / 1e9 / (frames / RATE)
            if abs(slew) < 0.05:
                self._slew += (slew - self._slew) * _SLEW_SHARE
        self._ahead_ns = ahead_ns


def _within(value: float, most: float) -> float:
    return max(-most, min(value, most))
