"""May a model version be released? Every gate is asked, with what serving uses, and gives its evidence.

Some questions come before the contract's own: do the artifacts answer as scikit-learn did, do answers depend on the row
at all, and is the served model what the judged one promises? And where it promises so: do its intervals or sets hold
the truth as often as they say? The contract's are asked of the judged model, and not answered from a handful of rows:
what cannot be told is not passed.

Versions are compared on honest rows alone, from which neither side learned (serin/training/rivals.py prepares them).
What is asked of one hold-out again and again is found by chance at last, so that certainty costs more with each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from serin.contract.gates import NOT_COMPARABLE, Beats, Gate, NotWorse, Threshold, is_of_champion
from serin.contract.gates import Rival as GateRival
from serin.contract.metrics import METRICS, Metric, Task, metrics_of
from serin.contract.spec import Conformal, Label, ServingSpec, label_text
from serin.data.border import number_values
from serin.data.storage import load_columns
from serin.errors import SerinError
from serin.serving.rows.encode import Encoded, encode_columns
from serin.serving.runtime.model import LoadedModel
from serin.training.measure import Measure, weighted_measure
from serin.training.rival import ROW, Mode, Rival

PARITY_TOLERANCE = 1e-5
RESAMPLES = 300
CONFIDENCE = 0.95
LEAST_ROWS = 10  # of the hold-out; with fewer, chance decides
LEAST_DEFINED = 0.95  # the share of samples that must define a metric; a class of one or two rows is missing in more
FAMILY_LEVEL = 0.05  # the chance that any of all the asks of one hold-out finds a gain where there is none
LIKENESS = 1.5  # times the difference that another seed makes
ROUNDING = 1e-12  # of a value; two that are nearer to each other are the same, as of a model that was fitted twice
COVERAGE_SLACK = 0.05  # what drift between calibration and hold-out may take from a coverage

Columns = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is loaded of a model: the ONNX file and its spec."""

    onnx: bytes
    spec: bytes


class Score(Protocol):
    """Runs a model on encoded rows, as serving would. Raises SerinError where it cannot."""

    def __call__(self, onnx: bytes, spec: bytes, encoded: Encoded) -> NDArray[np.float64]: ...


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
class Verdict:
    """Whether every gate was passed, the evidence of each, and the version's metrics on the hold-out.

    held: why a person must decide, where all was passed but what could not be compared; empty otherwise. gain: whether
    the version is certainly better than the champion.
    """

    passed: bool
    results: tuple[GateResult, ...]
    metrics: dict[str, float]
    held: str = ""
    gain: bool = False


def score_here(onnx: bytes, spec: bytes, encoded: Encoded) -> NDArray[np.float64]:
    """Run a model in this process."""
    return LoadedModel.load(onnx, spec).raw_scores(encoded)


def judge(
    judged: Artifact,
    served: Artifact,
    *,
    holdout_rows: bytes,
    holdout_predictions: bytes,
    gates: Sequence[Gate],
    metric: Metric,
    rivals: Sequence[tuple[Rival, Artifact | None]] = (),
    asked_before: float = 0.0,
    score: Score = score_here,
) -> Verdict:
    """Ask every gate of a version. What is wrong with the version or a rival is evidence, not an error.

    holdout_rows, holdout_predictions: as `Trained` has them. metric: what the version is compared by. rivals: the
    champion and the anchor, each with its judged model where that is to be asked; () where no version answers yet.
    asked_before: how often this hold-out was asked, in full.
    """
    columns, predictions = load_columns(holdout_rows), load_columns(holdout_predictions)
    rows = len(predictions["score_0"])
    try:
        trial = _Trial.run(judged, columns, score)
        answers = _Trial.run(served, columns, score)
    except _CannotRun as error:
        parity = GateResult("parity", False, None, PARITY_TOLERANCE, None, rows, str(error))
        return Verdict(False, (parity, *(_unasked(gate, rows) for gate in gates)), {})
    expected = _stack(predictions, "score")
    results = [
        _ask_parity("parity", trial.scores, expected),
        _ask_parity("parity of the served model", answers.scores, _stack(predictions, "served")),
        _ask_variation(answers.scores),
    ]
    if not all(result.passed for result in results[:2]):
        return Verdict(False, (*results, *(_unasked(gate, rows) for gate in gates)), {})
    results.append(_ask_likeness(trial, answers.scores, _stack(predictions, "again")))
    baseline = _Trial(trial.spec, np.broadcast_to(_stack(predictions, "baseline"), trial.scores.shape), trial.truth)
    units = _units(columns, trial.spec.entity, rows)
    level = FAMILY_LEVEL * 6 / math.pi**2 / (1 + asked_before) ** 2
    comparisons = [_compare(rival, asked, trial, metric, units, level, score) for rival, asked in rivals]
    bench = _Bench(trial, baseline, metric, units, comparisons)
    metrics = {name: trial.measure(METRICS[name]) for name in metrics_of(metric.task)}
    if trial.spec.uncertainty:
        coverage = bench.ask_coverage(trial.spec.uncertainty)
        results.append(coverage)
        metrics["coverage"] = coverage.value or 0.0
    for gate in gates:
        results += bench.ask(gate)
    finite = {name: value for name, value in metrics.items() if np.isfinite(value)}
    unknown = [each.reason for each in comparisons if each.reason and each.rival.is_champion]
    failed = [result for result in results if not result.passed]
    is_held = bool(unknown) and bool(failed) and all(_is_not_comparable(result) for result in failed)
    return Verdict(
        passed=not failed,
        results=tuple(results),
        metrics=finite,
        held=unknown[0] if is_held else "",
        gain=any(each.is_gain for each in comparisons if each.rival.is_champion)
        and all(each.better >= 0 for each in comparisons if not each.reason),
    )


class _CannotRun(Exception):
    """When an artifact gives no scores for the hold-out."""


@dataclass(frozen=True, slots=True)
class _Trial:
    """A model's scores on the hold-out beside the truth."""

    spec: ServingSpec
    scores: Floats
    truth: NDArray[Any]

    @classmethod
    def run(cls, artifact: Artifact, columns: Columns, score: Score) -> _Trial:
        """Score the rows of a table."""
        try:
            spec = ServingSpec.from_json(artifact.spec)
        except SerinError as error:
            raise _CannotRun(f"{error.code}: {error.message}") from error
        if absent := [name for name in (*(f.name for f in spec.features), spec.target) if name not in columns]:
            raise _CannotRun(f"the hold-out has no column {absent[0]}")
        try:
            scores = score(artifact.onnx, artifact.spec, encode_columns(columns, spec))
        except SerinError as error:
            raise _CannotRun(f"{error.code}: {error.message}") from error
        except Exception as error:  # onnxruntime's exceptions have no common ancestor but this
            raise _CannotRun(f"the model cannot be run: {str(error)[:300]}") from error
        return cls(spec, scores, _truth(columns[spec.target], spec.classes, spec.task))

    def at(self, rows: NDArray[np.int64]) -> _Trial:
        return _Trial(self.spec, self.scores[rows], self.truth[rows])

    def measure(self, metric: Metric) -> float:
        return self.weighted(metric)(np.ones(len(self.truth)))

    def weighted(self, metric: Metric) -> Measure:
        return weighted_measure(metric, self.truth, self.scores)


def _truth(column: NDArray[Any], classes: Sequence[Label], task: str) -> NDArray[Any]:
    """The target's values, or indices of the classes, -1 for another."""
    if task == Task.REGRESSION:
        return column.astype(np.float64)
    place = {label_text(label): index for index, label in enumerate(classes)}
    return np.array([place.get(text, -1) for text in column], dtype=np.int64)


def _stack(predictions: Columns, prefix: str) -> Floats:
    places = sum(name.startswith(f"{prefix}_") for name in predictions)
    return np.column_stack([predictions[f"{prefix}_{place}"] for place in range(places)])


def _units(columns: Columns, entity: str | None, rows: int) -> NDArray[np.int64]:
    if entity is None or entity not in columns:
        return np.arange(rows)
    return number_values(columns[entity])[1]


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A version beside a rival on the same honest rows.

    reason: why they cannot be compared; then the rest says nothing. better: by how much, in the metric's unit; se: the
    standard error of that. z: how many of them make it certain.
    """

    rival: Rival
    reason: str = ""
    value: float = math.nan
    other: float = math.nan
    better: float = math.nan
    se: float = math.nan
    interval: Interval | None = None
    rows: int = 0
    z: float = math.inf

    @property
    def is_gain(self) -> bool:
        return not self.reason and self.se > 0 and self.better > self.z * self.se

    @property
    def name(self) -> str:
        role = "champion" if self.rival.is_champion else "anchor"
        how = ", fitted again" if self.rival.mode is Mode.REFITTED else ""
        return f"the {role}'s (version {self.rival.version}{how})"

    @property
    def why(self) -> str:
        return f"; fitted again on the same rows, since {self.rival.reason}" if self.rival.mode is Mode.REFITTED else ""


def _compare(
    rival: Rival,
    asked: Artifact | None,
    trial: _Trial,
    metric: Metric,
    units: NDArray[np.int64],
    level: float,
    score: Score,
) -> _Comparison:
    """Measure a version and a rival on the rows that the rival's table names."""
    if rival.mode is Mode.NONE or rival.table is None:
        return _Comparison(rival, rival.reason or "its rows were not prepared")
    columns = load_columns(rival.table)
    rows = columns[ROW].astype(np.int64)
    ours = trial.at(rows)
    if rival.mode is Mode.ASKED:
        if asked is None:
            return _Comparison(rival, "its judged model is gone")
        try:
            theirs = _Trial.run(asked, columns, score)
        except _CannotRun as error:
            return _Comparison(rival, str(error))
    else:
        labels = [label_text(label) for label in trial.spec.classes]
        order = [rival.labels.index(label) if label in rival.labels else -1 for label in labels] or [0]
        scores = np.column_stack([_stack(columns, "score"), np.zeros(len(rows))])[:, order]
        theirs = _Trial(trial.spec, scores, ours.truth)
    if not np.isfinite(theirs.scores).all():
        return _Comparison(rival, "its answers are not finite on these rows")
    return compare_scores(rival, ours.weighted(metric), theirs.weighted(metric), metric, units[rows], level)


def compare_scores(
    rival: Rival, ours: Measure, theirs: Measure, metric: Metric, units: NDArray[np.int64], level: float
) -> _Comparison:
    """Compare two measures on the same rows. units: of each row. level: the chance of a gain where there is none."""
    ones = np.ones(len(units))
    value, other = ours(ones), theirs(ones)
    if not (np.isfinite(value) and np.isfinite(other)):
        return _Comparison(rival, f"{metric.name} is undefined on the {len(units):,} rows that both can be asked on")

    def improvement(weights: Floats) -> float:
        one, another = ours(weights), theirs(weights)
        return 0.0 if abs(one - another) <= ROUNDING * abs(another) else metric.improvement(one, another)

    better = improvement(ones)
    samples = np.array([improvement(weights) for weights in resampled_weights(units)])
    defined = samples[np.isfinite(samples)]
    return _Comparison(
        rival,
        value=value,
        other=other,
        better=better,
        se=float(defined.std()) if len(defined) else 0.0,
        interval=_percentiles(samples, better, units),
        rows=len(units),
        z=NormalDist().inv_cdf(1 - level),
    )


def resampled_weights(units: NDArray[np.int64]) -> Iterator[Floats]:
    """Draw the same samples each time: whole units, as the rows of one are not independent."""
    random = np.random.default_rng(0)
    place = np.unique(units, return_inverse=True)[1]
    count = int(place.max()) + 1
    for _ in range(RESAMPLES):
        yield np.bincount(random.integers(0, count, count), minlength=count)[place].astype(np.float64)


def _ask_likeness(judged: _Trial, served: Floats, again: Floats) -> GateResult:
    """Ask whether the served model differs from the judged no more than models of its kind differ from each other.

    again: answers of one with another seed, fitted on as many rows drawn anew.
    """
    rows = len(served)
    if judged.spec.classes:
        own = float((judged.scores.argmax(1) != judged.truth).mean())
        flips, usual = (float((judged.scores.argmax(1) != other.argmax(1)).mean()) for other in (served, again))
        noise = 3 * math.sqrt(usual * (1 - usual) / rows) + 2 / rows
        message = (
            f"it gives another label than the judged one to {flips:.1%} of the rows; another seed does to {usual:.1%}"
        )
    else:
        own = float(np.sqrt(((judged.scores[:, 0] - judged.truth) ** 2).mean()))
        flips, usual = (float(np.sqrt(((judged.scores - other) ** 2).mean())) for other in (served, again))
        noise = usual * 3 / math.sqrt(rows) + 1e-9 * float(np.abs(judged.scores).max())
        message = f"its values are off the judged one's by {flips:.3g}, root mean square; another seed's by {usual:.3g}"
    most = (
        max(LIKENESS * usual, own / 10) + noise
    )  # where models of its kind hardly differ, a tenth of its error is little
    return GateResult("served like judged", flips <= most, flips, most, None, rows, message)


def _ask_parity(gate: str, scores: Floats, expected: Floats) -> GateResult:
    """Compare with scikit-learn's answers: absolutely for probabilities, for values by the size that they have.

    What passes can give another label only to a row whose two best classes are that close.
    """
    rows = len(scores)
    if scores.shape != expected.shape:
        message = f"the model answers {scores.shape[1]} scores a row, and scikit-learn {expected.shape[1]}"
        return GateResult(gate, False, None, PARITY_TOLERANCE, None, rows, message)
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
        message = f"row {row}: the model gives no finite number, scikit-learn {_plain(expected[row])}"
        return GateResult(gate, False, None, PARITY_TOLERANCE, None, rows, message)
    size = np.ones_like(expected) if expected.shape[1] > 1 else np.maximum(np.abs(expected), np.abs(expected).mean())
    difference = (np.abs(scores - expected) / np.where(size > 0, size, 1.0)).max(axis=1)
    worst = int(difference.argmax())
    largest = float(difference[worst])
    message = (
        f"the ONNX file and scikit-learn differ by at most {largest:.1e}, in row {worst}: "
        f"{_plain(scores[worst])} and {_plain(expected[worst])}"
    )
    return GateResult(gate, largest <= PARITY_TOLERANCE, largest, PARITY_TOLERANCE, None, rows, message)


def _ask_variation(scores: Floats) -> GateResult:
    finite = scores[np.isfinite(scores).all(axis=1)]
    spread = float(np.ptp(finite, axis=0).max()) if len(finite) else 0.0
    least = 1e-9 * float(np.abs(finite).max()) if len(finite) else 0.0
    passed = spread > least
    message = f"answers differ by up to {spread:.3g}" if passed else "every row gets the same answer"
    return GateResult("answers vary", passed, spread, least, None, len(scores), message)


def _unasked(gate: Gate, rows: int) -> GateResult:
    return GateResult(gate.text, False, None, None, None, rows, "could not be asked: the model gives no usable answers")


def _is_not_comparable(result: GateResult) -> bool:
    return result.message.startswith(NOT_COMPARABLE)


@dataclass(frozen=True, slots=True)
class _Bench:
    """Where the contract's gates are asked: the version on trial and those it is compared with.

    units: per row, the number of its entity, or of the row itself where there are none.
    """

    trial: _Trial
    baseline: _Trial
    metric: Metric
    units: NDArray[np.int64]
    comparisons: Sequence[_Comparison]

    def ask(self, gate: Gate) -> list[GateResult]:
        """Ask one gate; of a margin there is a result for each rival."""
        if len(self.trial.truth) < LEAST_ROWS and not (is_of_champion(gate) and not self.comparisons):
            return [self._too_few(gate, gate.bound if isinstance(gate, Threshold) else None)]
        if isinstance(gate, Threshold):
            return [self._ask_threshold(gate)]
        if isinstance(gate, Beats) and gate.rival is GateRival.BASELINE:
            return [self._ask_baseline(gate)]
        if not self.comparisons:
            return [self._result(gate, True, None, None, None, "there is no champion yet")]
        champion = next(each for each in self.comparisons if each.rival.is_champion)
        if isinstance(gate, Beats):
            return [self._ask_gain(gate, champion)]
        # A margin counts from the anchor too; one that cannot be asked any more is no reason to wait.
        anchor = [each for each in self.comparisons if not each.rival.is_champion and not each.reason]
        return [self._ask_margin(gate, each) for each in (champion, *anchor)]

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
        measured = self.trial.weighted(METRICS[gate.metric])
        value = measured(self._ones)
        if not np.isfinite(value):
            return self._result(gate, False, None, None, None, f"{gate.metric} is undefined on these rows")
        passed = value >= gate.bound if gate.is_floor else value <= gate.bound
        interval = self._interval(measured, value)
        asked = f"at {'least' if gate.is_floor else 'most'} {gate.bound:g} is asked"
        message = f"{gate.metric} is {value:.4g}{_between(interval)}; {asked}"
        return self._result(gate, passed, value, gate.bound, interval, message)

    def _ask_baseline(self, gate: Beats) -> GateResult:
        ours, theirs = self.trial.weighted(self.metric), self.baseline.weighted(self.metric)
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
            f"better by {better:.4g}{_between(interval)}; at least {least:.4g} is asked"
        )
        return self._result(gate, better >= least, better, least, interval, message)

    def _ask_gain(self, gate: Beats, beside: _Comparison) -> GateResult:
        """Ask whether a version is better than the champion by more than chance."""
        if beside.reason:
            return self._not_comparable(gate, beside)
        least = gate.margin * abs(beside.other) if gate.is_relative else gate.margin
        certain = least + beside.z * beside.se
        message = (
            f"{self._told(beside)}; certainly more than {least:.4g} is asked, which takes {certain:.4g}{beside.why}"
        )
        passed = beside.better > certain and beside.se > 0
        return GateResult(gate.text, passed, beside.better, certain, beside.interval, beside.rows, message)

    def _ask_margin(self, gate: NotWorse, beside: _Comparison) -> GateResult:
        """Ask whether a version looks worse than it may. Half a standard error more is left to the release to show."""
        if beside.reason:
            return self._not_comparable(gate, beside)
        margin = gate.margin * abs(beside.other) if gate.is_relative else gate.margin
        allowed = max(margin, beside.se / 2)
        message = f"{self._told(beside)}; at most {margin:.4g} worse is allowed"
        if allowed > margin:
            message += (
                f", and since {beside.rows:,} rows cannot tell so little, {allowed:.4g}; the release must show the rest"
            )
        passed = beside.better >= -allowed
        return GateResult(
            gate.text, passed, beside.better, -allowed, beside.interval, beside.rows, message + beside.why
        )

    def _told(self, beside: _Comparison) -> str:
        rows = (
            "the hold-out"
            if beside.rows == len(self.trial.truth)
            else f"{beside.rows:,} rows that neither learned from"
        )
        way = "better" if beside.better >= 0 else "worse"
        earlier = (
            "" if beside.rival.earlier is None else f" ({beside.rival.earlier:.4g} on the older rows it was judged by)"
        )
        return (
            f"{self.metric.name} is {beside.value:.4g}, {beside.name} {beside.other:.4g}{earlier} on {rows}: "
            f"{way} by {abs(beside.better):.4g}{_between(beside.interval)}"
        )

    def _not_comparable(self, gate: Gate, beside: _Comparison) -> GateResult:
        message = f"{NOT_COMPARABLE} with version {beside.rival.version}: {beside.reason}; a person must decide"
        return GateResult(gate.text, False, None, None, None, 0, message)

    def _too_few(self, gate: Gate, threshold: float | None) -> GateResult:
        rows = f"{len(self.trial.truth)} row{'s' if len(self.trial.truth) > 1 else ''}"
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
        return GateResult(gate.text, passed, value, threshold, interval, len(self.trial.truth), message)

    def _interval(self, measured: Callable[[Floats], float], value: float) -> Interval | None:
        return _percentiles(
            np.array([measured(weights) for weights in resampled_weights(self.units)]), value, self.units
        )

    @property
    def _ones(self) -> Floats:
        return np.ones(len(self.trial.truth))


def _percentiles(values: Floats, value: float, units: NDArray[np.int64]) -> Interval | None:
    """Bootstrap percentiles around the value; None where all samples give the same, or too few define it."""
    count = len(np.unique(units))
    defined = values[np.isfinite(values)]
    if count < 2 or len(defined) < RESAMPLES * LEAST_DEFINED or np.ptp(defined) == 0:
        return None
    tail = tail_share(count)
    low, high = np.quantile(defined, [tail, 1 - tail])
    return min(float(low), value), max(float(high), value)


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
