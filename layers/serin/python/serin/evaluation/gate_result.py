"""What did a gate find, and what follows from all of them?"""

from __future__ import annotations

from dataclasses import dataclass

from serin.evaluation.estimates import Interval


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate's evidence. value, threshold: in the metric's unit; None where the gate could not be asked.

    interval: 95% for the value, from resampled rows; None where they do not tell. n: the rows it was asked on.
    """

    gate: str
    passed: bool
    value: float | None
    threshold: float | None
    interval: Interval | None
    n: int
    message: str


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Whether every gate was passed, the evidence of each, and the version's metrics on the hold-out.

    held: why a person must decide, where all was passed but what could not be compared; empty otherwise. gain: whether
    the version is certainly better than the champion.
    """

    passed: bool
    results: tuple[GateResult, ...]
    metrics: dict[str, float]
    held: str = ""
    gain: bool = False
