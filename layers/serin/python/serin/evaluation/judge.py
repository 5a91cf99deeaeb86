"""May a model version be released? Every gate is asked, with what serving uses, and gives its evidence.

Two questions come before the contract's own: does the artifact answer as scikit-learn did, and do its answers depend
on the row at all? A third, where it promises so: do its intervals or sets hold the truth as often as they say? The
contract's are not answered from a handful of rows: what cannot be told is not passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from serin.contract.gates import Beats, Gate, Rival, Threshold
from serin.contract.metrics import METRICS, Metric, Task, metrics_of
from serin.contract.spec import Conformal, ServingSpec, label_text
from serin.data.storage import load_columns
from serin.errors import SerinError
from serin.serving.encode import encode_columns
from serin.serving.model import LoadedModel
from serin.training.measure import Measure, weighted_measure

PARITY_TOLERANCE = 1e-5
RESAMPLES = 300
CONFIDENCE = 0.95
LEAST_ROWS = 10  # of the hold-out; with fewer, chance decides
LEAST_DEFINED = 0.95  # the share of samples that must define a metric; a class of one or two rows is missing in more
COVERAGE_SLACK = 0.05  # what drift between calibration and hold-out may take from a coverage

Columns = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Artifact:
    """What serving loads: the ONNX file and spec.json."""

    onnx: bytes
    spec: bytes


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate's evidence. value, threshold: in the metric's unit; None where the gate could not be asked.

    interval: 95% for the value, from resampled hold-out rows; None where they do not tell. n: the hold-out's rows.
    """

    gate: str
    passed: bool
    value: float | None
    threshold: float | None
    interval: Interval | None
    n: int
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether every gate was passed, the evidence of each, and the version's metrics on the hold-out."""

    passed: bool
    results: tuple[GateResult, ...]
    metrics: dict[str, float]


def judge(
    challenger: Artifact,
    *,
    holdout_rows: bytes,
    holdout_predictions: bytes,
    gates: Sequence[Gate],
    metric: Metric,
    champion: Artifact | str | None,
) -> Verdict:
    """Ask every gate of a version. What is wrong with the version or the champion is evidence, not an error.

    holdout_rows, holdout_predictions: as `Trained` has them. metric: what the version is compared by. champion: the
    version that answers now, or why there is none to compare with; None where there never was one.
    """
    columns, predictions = load_columns(holdout_rows), load_columns(holdout_predictions)
    rows = len(predictions["score_0"])
    try:
        trial = _Trial.run(challenger, columns)
    except _CannotRun as error:
        parity = GateResult("parity", False, None, PARITY_TOLERANCE, None, rows, str(error))
        return Verdict(False, (parity, *(_unasked(gate, rows) for gate in gates)), {})
    expected = _stack(predictions, "score")
    results = [_ask_parity(trial.scores, expected), _ask_variation(trial.scores)]
    if not np.isfinite(trial.scores).all() or trial.scores.shape != expected.shape:
        return Verdict(False, (*results, *(_unasked(gate, rows) for gate in gates)), {})
    baseline = _Trial(trial.spec, np.broadcast_to(_stack(predictions, "baseline"), trial.scores.shape), trial.truth)
    bench = _Bench(trial, baseline, champion, metric, columns, _units(columns, trial.spec.entity, rows))
    metrics = {name: trial.measure(METRICS[name]) for name in metrics_of(metric.task)}
    if trial.spec.uncertainty:
        coverage = bench.ask_coverage(trial.spec.uncertainty)
        results.append(coverage)
        metrics["coverage"] = coverage.value or 0.0
    results += [bench.ask(gate) for gate in gates]
    finite = {name: value for name, value in metrics.items() if np.isfinite(value)}
    return Verdict(all(result.passed for result in results), tuple(results), finite)


class _CannotRun(Exception):
    """When an artifact gives no scores for the hold-out."""


@dataclass(frozen=True, slots=True)
class _Trial:
    """A model's scores on the hold-out beside the truth."""

    spec: ServingSpec
    scores: Floats
    truth: NDArray[Any]

    @classmethod
    def run(cls, artifact: Artifact, columns: Columns, *, like: ServingSpec | None = None) -> _Trial:
        """Score the hold-out. like: the spec of a model whose task and target this one must share."""
        try:
            model = LoadedModel.load(artifact.onnx, artifact.spec)
        except SerinError as error:
            raise _CannotRun(error.message) from error
        spec = model.spec
        if like and (spec.task, spec.target) != (like.task, like.target):
            raise _CannotRun(f"it predicts {spec.target} ({spec.task})")
        if absent := [name for name in (*(f.name for f in spec.features), spec.target) if name not in columns]:
            raise _CannotRun(f"the hold-out has no column {absent[0]}")
        try:
            scores = model.raw_scores(encode_columns(columns, spec))
        except Exception as error:  # onnxruntime's exceptions have no common ancestor but this
            raise _CannotRun(f"the model cannot be run: {str(error)[:300]}") from error
        return cls(spec, scores, _truth(columns[spec.target], spec))

    def measure(self, metric: Metric) -> float:
        return self.weighted(metric)(np.ones(len(self.truth)))

    def weighted(self, metric: Metric) -> Measure:
        return weighted_measure(metric, self.truth, self.scores)


def _truth(column: NDArray[Any], spec: ServingSpec) -> NDArray[Any]:
    """The target's values, or indices of the spec's classes, -1 for another."""
    if spec.task == Task.REGRESSION:
        return column.astype(np.float64)
    place = {label_text(label): index for index, label in enumerate(spec.classes)}
    return np.array([place.get(text, -1) for text in column], dtype=np.int64)


def _stack(predictions: Columns, prefix: str) -> Floats:
    places = sum(name.startswith(f"{prefix}_") for name in predictions)
    return np.column_stack([predictions[f"{prefix}_{place}"] for place in range(places)])


def _units(columns: Columns, entity: str | None, rows: int) -> NDArray[np.int64]:
    if entity is None or entity not in columns:
        return np.arange(rows)
    return np.unique(columns[entity].astype(str), return_inverse=True)[1].astype(np.int64)


def _ask_parity(scores: Floats, expected: Floats) -> GateResult:
    """Compare with scikit-learn's answers: absolutely for probabilities, for values by the size that they have.

    What passes can give another label only to a row whose two best classes are that close.
    """
    rows = len(scores)
    if scores.shape != expected.shape:
        message = f"the model answers {scores.shape[1]} scores a row, and scikit-learn {expected.shape[1]}"
        return GateResult("parity", False, None, PARITY_TOLERANCE, None, rows, message)
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
        message = f"row {row}: the model gives no finite number, scikit-learn {_plain(expected[row])}"
        return GateResult("parity", False, None, PARITY_TOLERANCE, None, rows, message)
    size = np.ones_like(expected) if expected.shape[1] > 1 else np.maximum(np.abs(expected), np.abs(expected).mean())
    difference = (np.abs(scores - expected) / np.where(size > 0, size, 1.0)).max(axis=1)
    worst = int(difference.argmax())
    largest = float(difference[worst])
    message = (
        f"the ONNX file and scikit-learn differ by at most {largest:.1e}, in row {worst}: "
        f"{_plain(scores[worst])} and {_plain(expected[worst])}"
    )
    return GateResult("parity", largest <= PARITY_TOLERANCE, largest, PARITY_TOLERANCE, None, rows, message)


def _ask_variation(scores: Floats) -> GateResult:
    finite = scores[np.isfinite(scores).all(axis=1)]
    spread = float(np.ptp(finite, axis=0).max()) if len(finite) else 0.0
    least = 1e-9 * float(np.abs(finite).max()) if len(finite) else 0.0
    passed = spread > least
    message = f"answers differ by up to {spread:.3g}" if passed else "every row gets the same answer"
    return GateResult("answers vary", passed, spread, least, None, len(scores), message)


def _unasked(gate: Gate, rows: int) -> GateResult:
    return GateResult(gate.text, False, None, None, None, rows, "could not be asked: the model gives no usable answers")


@dataclass(frozen=True, slots=True)
class _Bench:
    """Where the contract's gates are asked: the version on trial and those it is compared with.

    units: per row, the number of its entity, or of the row itself where there are none.
    """

    trial: _Trial
    baseline: _Trial
    champion: Artifact | str | None
    metric: Metric
    columns: Columns
    units: NDArray[np.int64]

    def ask(self, gate: Gate) -> GateResult:
        if isinstance(gate, Threshold):
            return self._ask_threshold(gate)
        match gate.rival:
            case Rival.BASELINE:
                return self._ask_beats(gate, self.baseline)
            case Rival.CHAMPION:
                return self._ask_beats_champion(gate)
            case _:
                assert_never(gate.rival)

    def ask_coverage(self, promised: Conformal) -> GateResult:
        """Ask how often the truth lies in the interval or set. Fails where it is surely less than promised."""
        scores, truth = self.trial.scores, self.trial.truth
        if self.trial.spec.classes:
            of_truth = scores[np.arange(len(truth)), truth]
            is_covered = (truth >= 0) & (of_truth >= promised.bound)
        else:
            is_covered = np.abs(truth - scores[:, 0]) <= promised.bound

        def covered(weights: Floats) -> float:
            return float(weights @ is_covered / weights.sum())

        value, least = covered(self._ones), promised.coverage - COVERAGE_SLACK
        interval = self._interval(covered, value)
        message = (
            f"the truth lies in the {'set' if self.trial.spec.classes else 'interval'} of {value:.1%} of the rows"
            f"{_between(interval)}; {promised.coverage:.4g} is promised, calibrated on {promised.rows:,} other rows"
        )
        passed = (interval[1] if interval else value) >= least
        return GateResult("coverage", passed, value, least, interval, len(truth), message)

    def _ask_threshold(self, gate: Threshold) -> GateResult:
        if len(self.trial.truth) < LEAST_ROWS:
            return self._too_few(gate, gate.bound)
        measured = self.trial.weighted(METRICS[gate.metric])
        value = measured(self._ones)
        if not np.isfinite(value):
            return self._result(gate, False, None, None, None, f"{gate.metric} is undefined on these rows")
        passed = value >= gate.bound if gate.is_floor else value <= gate.bound
        interval = self._interval(measured, value)
        asked = f"at {'least' if gate.is_floor else 'most'} {gate.bound:g} is asked"
        message = f"{gate.metric} is {value:.4g}{_between(interval)}; {asked}"
        return self._result(gate, passed, value, gate.bound, interval, message)

    def _ask_beats(self, gate: Beats, rival: _Trial) -> GateResult:
        if len(self.trial.truth) < LEAST_ROWS:
            return self._too_few(gate, None)
        ours, theirs = self.trial.weighted(self.metric), rival.weighted(self.metric)
        value, other = ours(self._ones), theirs(self._ones)
        if not (np.isfinite(value) and np.isfinite(other)):
            return self._result(gate, False, None, None, None, f"{self.metric.name} is undefined on these rows")

        def improvement(weights: Floats) -> float:
            return self.metric.improvement(ours(weights), theirs(weights))

        better = self.metric.improvement(value, other)
        least = gate.margin * abs(other) if gate.is_relative else gate.margin
        interval = self._interval(improvement, better)
        message = (
            f"{self.metric.name} is {value:.4g}, the {gate.rival}'s {other:.4g}: "
            f"better by {better:.4g}{_between(interval)}; at least {least:.4g} is asked"
        )
        return self._result(gate, better >= least, better, least, interval, message)

    def _ask_beats_champion(self, gate: Beats) -> GateResult:
        """A champion that cannot be asked about these rows holds no better version back, and the evidence says so."""
        if self.champion is None:
            return self._result(gate, True, None, None, None, "there is no champion yet")
        if isinstance(self.champion, str):
            return self._not_compared(gate, self.champion)
        try:
            rival = _Trial.run(self.champion, self.columns, like=self.trial.spec)
        except _CannotRun as error:
            return self._not_compared(gate, str(error))
        if not np.isfinite(rival.scores).all():
            return self._not_compared(gate, "its answers are not finite on these rows")
        return self._ask_beats(gate, rival)

    def _too_few(self, gate: Gate, threshold: float | None) -> GateResult:
        rows = f"{len(self.trial.truth)} row{'s' if len(self.trial.truth) > 1 else ''}"
        message = f"the hold-out has {rows}, too few to tell; at least {LEAST_ROWS} are needed: send more data"
        return self._result(gate, False, None, threshold, None, message)

    def _not_compared(self, gate: Gate, reason: str) -> GateResult:
        return self._result(gate, True, None, None, None, f"not compared with the champion: {reason}")

    def _result(
        self,
        gate: Gate,
        passed: bool,
        value: float | None,
        threshold: float | None,
        interval: Interval | None,
        message: str,
    ) -> GateResult:
        return GateResult(gate.text, passed, value, threshold, interval, len(self.trial.truth), message)

    def _interval(self, measured: Callable[[Floats], float], value: float) -> Interval | None:
        """Bootstrap percentiles around the value; None where all samples give the same, or too few define it."""
        units = int(self.units.max()) + 1
        if units < 2:
            return None
        values = np.array([measured(weights) for weights in self._resampled_weights()])
        defined = values[np.isfinite(values)]
        if len(defined) < RESAMPLES * LEAST_DEFINED or np.ptp(defined) == 0:
            return None
        tail = tail_share(units)
        low, high = np.quantile(defined, [tail, 1 - tail])
        return min(float(low), value), max(float(high), value)

    def _resampled_weights(self) -> Iterator[Floats]:
        """Draw the same samples each time: whole units, as the rows of one are not independent."""
        random = np.random.default_rng(0)
        units = int(self.units.max()) + 1
        for _ in range(RESAMPLES):
            drawn = np.bincount(random.integers(0, units, units), minlength=units)
            yield drawn[self.units].astype(np.float64)

    @property
    def _ones(self) -> Floats:
        return np.ones(len(self.trial.truth))


def tail_share(units: int) -> float:
    """Say which share of the samples to leave out at each end, for the interval to hold with few units too.

    Plain percentiles are too narrow then, as the normal distribution is beside Student's. units: at least 2.
    Source: Hesterberg, What Teachers Should Know about the Bootstrap (2015), the expanded percentile interval; the
    quantile of Student's distribution by Abramowitz and Stegun, 26.7.5.
    """
    normal, freedom = NormalDist(), units - 1
    z = normal.inv_cdf((1 + CONFIDENCE) / 2)
    t = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return normal.cdf(-t * (units / freedom) ** 0.5)


def _between(interval: Interval | None) -> str:
    if interval is None:
        return " (how sure that is, these rows do not tell)"
    return f" (95%: {interval[0]:.4g} to {interval[1]:.4g})"


def _plain(values: Floats) -> str:
    return ", ".join(f"{value:.9g}" for value in values[:5])
