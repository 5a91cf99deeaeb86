"""Does the challenger answer otherwise than the champion too often? Counted where both were asked the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log

from serin.release.sequential import PASS_LEVEL, log_mean


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How often the challenger answered otherwise than the champion, of the requests where both were asked.

    faults: on how many others of them the challenger raised or gave no number.
    """

    compared: int = 0
    disagreeing: int = 0
    faults: int = 0

    @property
    def is_sound(self) -> bool:
        """Tell whether these can be counts at all. Nothing that is not finite can."""
        events = self.disagreeing + self.faults
        return isfinite(self.compared) and 0 <= self.disagreeing <= events <= self.compared

    @property
    def sentence(self) -> str:
        """Say it in words."""
        return f"disagrees on {self.disagreeing} of {self.compared} requests and failed on {self.faults}"


UNSEEN = Disagreement()
_PARTS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.95)
"""The bets on a disagreement are spread over rates so far on the way from what is allowed to all, or to none."""


def is_too_much(seen: Disagreement, allowed: float, *, level: float = PASS_LEVEL) -> bool:
    """Tell whether the challenger certainly disagrees, or fails, more often than is allowed.

    A bet against one rate, spread over larger ones; it may be looked at any time.
    """
    allowed = _proper(allowed)
    return _is_won(seen, allowed, [allowed + (1 - allowed) * part for part in _PARTS], level=level)


def is_surely_allowed(seen: Disagreement, allowed: float, *, level: float = PASS_LEVEL) -> bool:
    """Tell whether the challenger certainly disagrees, or fails, less often than is allowed: a bet on smaller rates."""
    allowed = _proper(allowed)
    return _is_won(seen, allowed, [allowed * (1 - part) for part in _PARTS], level=level)


def _is_won(seen: Disagreement, allowed: float, rates: Sequence[float], *, level: float) -> bool:
    events = seen.disagreeing + seen.faults
    bets = tuple(
        events * log(rate / allowed) + (seen.compared - events) * log((1 - rate) / (1 - allowed)) for rate in rates
    )
    return log_mean(bets, (1 / len(bets),) * len(bets)) >= log(1 / level)


def _proper(rate: float) -> float:
    return min(max(rate, 1e-6), 1 - 1e-6)
