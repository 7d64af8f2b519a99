"""How it goes with the renditions that are not here: when each may be tried, and what has been said of it."""

import logging
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from math import inf

from devices.agent.supply.fetching import Mended
from devices.agent.supply.needs import Need, pause_s

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Trial:
    need: Need
    due: float = inf
    """When it may be tried (monotonic)."""
    failures: int = 0
    wrong: bool = False
    """The last try brought wrong bytes."""
    mended: bool = False
    """Wrong bytes came once that may have been spoilt here."""
    reported: bool = False
    homeless: bool = False


class Trials:
    """Each rendition that the playlist names and that is not here has one."""

    def __init__(self, box: str) -> None:
        self._box = box
        self._trials: dict[str, _Trial] = {}

    def __bool__(self) -> bool:
        return bool(self._trials)

    @property
    def due(self) -> Mapping[str, float]:
        """When (monotonic) each may be tried, by digest."""
        return {digest: trial.due for digest, trial in self._trials.items()}

    def schedule(self, wanted: Sequence[Need], at_hand: Set[str], now: datetime, moment: float) -> None:
        """Give each that is missing its moment, never a later one than it had; forget the others."""
        trials = {}
        for need in wanted:
            if need.digest not in at_hand:
                trial = trials[need.digest] = self._trials.get(need.digest) or _Trial(need)
                pause = pause_s(self._box, need, trial.failures, now, wrong=trial.wrong)
                trial.need, trial.due = need, min(trial.due, moment + pause)
        self._trials = trials

    def failed(self, digest: str, error: Exception, now: datetime, moment: float, *, wrong: bool = False) -> bool:
        """Note a failed try; return whether it is to be reported that the server gives wrong bytes.

        That is said once, and only of bytes that came all at once, or for the second time.
        """
        trial = self._trials.get(digest)
        if trial is None:  # no playlist names it any more
            return False
        trial.failures += 1
        trial.wrong = wrong
        pause = pause_s(self._box, trial.need, trial.failures, now, wrong=wrong)
        trial.due = moment + pause
        level = logging.WARNING if trial.failures == 1 else logging.DEBUG
        log.log(level, "rendition not fetched digest=%.12s retry_s=%.1f error=%s", digest, pause, error)
        if not wrong or trial.reported:
            return False
        trial.reported = trial.mended or not isinstance(error, Mended)
        trial.mended = True
        return trial.reported

    def ended(self, digest: str) -> None:
        """Forget one that is here now."""
        self._trials.pop(digest, None)

    def found_no_room(self, digests: Iterable[str], budget_bytes: int) -> None:
        """Say once of each that it waits for room."""
        for digest in digests:
            trial = self._trials.get(digest)
            if trial is not None and not trial.homeless:
                trial.homeless = True
                log.error(
                    "rendition finds no room digest=%.12s bytes=%d budget=%d start=%s",
                    digest,
                    trial.need.reference.size_bytes,
                    budget_bytes,
                    trial.need.start,
                )
