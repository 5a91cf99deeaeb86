"""How is a gate of the contract asked? Not from a handful of rows: what cannot be told is not passed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serin.contract.gates import NOT_COMPARABLE, Beats, Gate, NotWorse, Threshold, is_of_champion
from serin.contract.gates import Rival as GateRival
from serin.contract.metrics import METRICS, Metric
from serin.evaluation.comparison import Comparison
from serin.evaluation.estimates import Interval, in_words, percentile_interval, resampled_weights
from serin.evaluation.gate_result import GateResult
from serin.evaluation.holdout import HoldoutScores
from serin.training.measure import Floats

LEAST_ROWS = 10  # of the hold-out; with fewer, chance decides


def unasked(gate: Gate, rows: int) -> GateResult:
    return GateResult(gate.text, False, None, None, None, rows, "could not be asked: the model gives no usable answers")


def is_not_comparable(result: GateResult) -> bool:
    return result.message.startswith(NOT_COMPARABLE)


@dataclass(frozen=True, slots=True)
class GateBench:
    """Where the contract's gates are asked: the judged version and those it is compared with.

    units: per row, the number of its entity, or of the row itself where there are none.
    """

    judged: HoldoutScores
    baseline: HoldoutScores
    metric: Metric
    units: NDArray[np.int64]
    comparisons: Sequence[Comparison]

    def ask(self, gate: Gate) -> list[GateResult]:
        """Ask one gate; of a margin there is a result for each rival."""
        if len(self.judged.truth) < LEAST_ROWS and not (is_of_champion(gate) and not self.comparisons):
            return [self._too_few(gate, gate.bound if isinstance(gate, Threshold) else None)]
        if isinstance(gate, Threshold):
            return [self._ask_threshold(gate)]
        if isinstance(gate, Beats) and gate.rival is GateRival.BASELINE:
            return [self._ask_baseline(gate)]
        if not self.comparisons:
            return [self._result(gate, True, None, None, None, "there is no champion yet")]
        champion = next(beside for beside in self.comparisons if beside.rival.is_champion)
        if isinstance(gate, Beats):
            return [self._ask_gain(gate, champion)]
        # A margin counts from the anchor too; one that cannot be asked any more is no reason to wait.
        anchor = [beside for beside in self.comparisons if not beside.rival.is_champion and not beside.reason]
        return [self._ask_margin(gate, beside) for beside in (champion, *anchor)]

    def _ask_threshold(self, gate: Threshold) -> GateResult:
        measured = self.judged.weighted(METRICS[gate.metric])
        value = measured(self._ones)
        if not np.isfinite(value):
            return self._result(gate, False, None, None, None, f"{gate.metric} is undefined on these rows")
        passed = value >= gate.bound if gate.is_floor else value <= gate.bound
        interval = self._interval(measured, value)
        bound = f"at {'least' if gate.is_floor else 'most'} {gate.bound:g} is asked"
        message = f"{gate.metric} is {value:.4g}{in_words(interval)}; {bound}"
        return self._result(gate, passed, value, gate.bound, interval, message)

    def _ask_baseline(self, gate: Beats) -> GateResult:
        ours, theirs = self.judged.weighted(self.metric), self.baseline.weighted(self.metric)
        value, other = ours(self._ones), theirs(self._ones)
        if not (np.isfinite(value) and np.isfinite(other)):
            return self._result(gate, False, None, None, None, f"{self.metric.name} is undefined on these rows")

        def improvement(weights: Floats) -> float:
            return self.metric.improvement(ours(weights), theirs(weights))

        better = self.metric.improvement(value, other)
        least = gate.margin * abs(other) if gate.is_relative else gate.margin
        interval = self._interval(improvement, better)
        message = (
            f"{self.metric.name} is {value:.4g}, the baseline's {other:.4g}: "
            f"better by {better:.4g}{in_words(interval)}; at least {least:.4g} is asked"
        )
        return self._result(gate, better >= least, better, least, interval, message)

    def _ask_gain(self, gate: Beats, beside: Comparison) -> GateResult:
        """Ask whether a version is better than the champion by more than chance."""
        if beside.reason:
            return self._not_comparable(gate, beside)
        least = gate.margin * abs(beside.other) if gate.is_relative else gate.margin
        certain = least + beside.z * beside.se
        message = (
            f"{self._describe(beside)}; certainly more than {least:.4g} is asked, which takes {certain:.4g}{beside.why}"
        )
        passed = beside.better > certain and beside.se > 0
        return GateResult(gate.text, passed, beside.better, certain, beside.interval, beside.rows, message)

    def _ask_margin(self, gate: NotWorse, beside: Comparison) -> GateResult:
        """Ask whether a version looks worse than it may. Half a standard error more is left to the release to show."""
        if beside.reason:
            return self._not_comparable(gate, beside)
        margin = gate.margin * abs(beside.other) if gate.is_relative else gate.margin
        allowed = max(margin, beside.se / 2)
        message = f"{self._describe(beside)}; at most {margin:.4g} worse is allowed"
        if allowed > margin:
            message += (
                f", and since {beside.rows:,} rows cannot tell so little, {allowed:.4g}; the release must show the rest"
            )
        passed = beside.better >= -allowed
        return GateResult(
            gate.text, passed, beside.better, -allowed, beside.interval, beside.rows, message + beside.why
        )

    def _describe(self, beside: Comparison) -> str:
        rows = (
            "the hold-out"
            if beside.rows == len(self.judged.truth)
            else f"{beside.rows:,} rows that neither learned from"
        )
        way = "better" if beside.better >= 0 else "worse"
        earlier = (
            "" if beside.rival.earlier is None else f" ({beside.rival.earlier:.4g} on the older rows it was judged by)"
        )
        return (
            f"{self.metric.name} is {beside.value:.4g}, {beside.name} {beside.other:.4g}{earlier} on {rows}: "
            f"{way} by {abs(beside.better):.4g}{in_words(beside.interval)}"
        )

    def _not_comparable(self, gate: Gate, beside: Comparison) -> GateResult:
        message = f"{NOT_COMPARABLE} with version {beside.rival.version}: {beside.reason}; a person must decide"
        return GateResult(gate.text, False, None, None, None, 0, message)

    def _too_few(self, gate: Gate, threshold: float | None) -> GateResult:
        rows = f"{len(self.judged.truth)} row{'s' if len(self.judged.truth) > 1 else ''}"
        message = f"the hold-out has {rows}, too few to tell; at least {LEAST_ROWS} are needed: send more data"
        return self._result(gate, False, None, threshold, None, message)

    def _result(
        self,
        gate: Gate,
        passed: bool,
        value: float | None,
        threshold: float | None,
        interval: Interval | None,
        message: str,
    ) -> GateResult:
        return GateResult(gate.text, passed, value, threshold, interval, len(self.judged.truth), message)

    def _interval(self, measured: Callable[[Floats], float], value: float) -> Interval | None:
        return percentile_interval(
            np.array([measured(weights) for weights in resampled_weights(self.units)]), value, self.units
        )

    @property
    def _ones(self) -> Floats:
        return np.ones(len(self.judged.truth))
