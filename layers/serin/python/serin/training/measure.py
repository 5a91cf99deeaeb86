"""How good are scores? Each metric of the contract, by numpy alone, quick enough to be taken a few hundred times.

Rows may be weighted: a bootstrap sample is the same rows with other weights. Without weights the values are those of
scikit-learn's metrics of the same names.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from serin.contract.metrics import Metric, Task

Floats = NDArray[np.float64]
Measure = Callable[[Floats], float]


def measure(metric: Metric, truth: NDArray[np.float64 | np.int64], scores: Floats) -> float:
    """Measure scores against the truth; NaN where the rows leave the metric undefined.

    truth: (n,) values, for classification the index of the true class, -1 for one that the scores do not know.
    scores: (n, classes) probabilities, for regression (n, 1) values.
    """
    return weighted_measure(metric, truth, scores)(np.ones(len(truth)))


def weighted_measure(metric: Metric, truth: NDArray[np.float64 | np.int64], scores: Floats) -> Measure:
    """Prepare a metric on these rows as a function of their weights, shape (n,)."""
    if metric.task is Task.REGRESSION:
        return _of_values(metric.name, truth.astype(np.float64), scores[:, 0])
    classes = truth.astype(np.int64)
    if metric.name == "roc_auc":
        return _roc_auc(classes, scores)
    if metric.name == "log_loss":
        return _mean_of(_log_losses(classes, scores))
    return _of_labels(metric.name, classes, scores.argmax(axis=1), scores.shape[1])


def _mean_of(losses: Floats) -> Measure:
    return lambda weights: _ratio(float(weights @ losses), float(weights.sum()))


def _of_values(name: str, truth: Floats, values: Floats) -> Measure:
    if name == "mae":
        return _mean_of(np.abs(truth - values))
    squares = (truth - values) ** 2
    if name == "rmse":
        mean_square = _mean_of(squares)
        return lambda weights: float(np.sqrt(mean_square(weights)))

    def r2(weights: Floats) -> float:
        residual = float(weights @ squares)
        spread = float(weights @ (truth - _ratio(float(weights @ truth), float(weights.sum()))) ** 2)
        if spread > 0:
            return 1 - residual / spread
        return 1.0 if residual == 0 else 0.0

    return r2


def _log_losses(truth: NDArray[np.int64], scores: Floats) -> Floats:
    tiny = float(np.finfo(np.float64).eps)
    of_truth = np.where(truth >= 0, scores[np.arange(len(truth)), truth], 0.0)
    losses: Floats = -np.log(np.clip(of_truth, tiny, 1 - tiny))
    return losses


def _roc_auc(truth: NDArray[np.int64], scores: Floats) -> Measure:
    """The area for two classes; for more the plain mean over each class against the rest, where both are there."""
    columns = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    areas = [_area(truth == column, scores[:, column]) for column in columns]

    def mean(weights: Floats) -> float:
        defined = [value for value in (area(weights) for area in areas) if not np.isnan(value)]
        return float(np.mean(defined)) if defined else float("nan")

    return mean


def _area(is_positive: NDArray[np.bool_], score: Floats) -> Measure:
    """How often a positive row scores above a negative one, ties counting half."""
    rank = np.unique(score, return_inverse=True)[1]

    def area(weights: Floats) -> float:
        positive = np.bincount(rank, np.where(is_positive, weights, 0.0))
        negative = np.bincount(rank, np.where(is_positive, 0.0, weights))
        below = np.cumsum(negative) - negative / 2
        return _ratio(float(positive @ below), float(positive.sum() * negative.sum()))

    return area


def _of_labels(name: str, truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> Measure:
    if name == "accuracy":
        return _mean_of((truth == predicted).astype(np.float64))
    cell = (truth + 1) * classes + predicted  # row 0: classes that the scores do not know

    def from_confusion(weights: Floats) -> float:
        counts: Floats = np.bincount(cell, weights, minlength=(classes + 1) * classes).astype(np.float64)
        table = counts.reshape(classes + 1, classes)
        hits, is_true, is_predicted = table[1:].diagonal(), table[1:].sum(axis=1), table.sum(axis=0)
        if name == "balanced_accuracy":
            return _mean_ratio(hits, is_true)
        return _mean_ratio(2 * hits, is_true + is_predicted)  # f1, the mean over classes

    return from_confusion


def _mean_ratio(parts: Floats, wholes: Floats) -> float:
    there = wholes > 0
    return float(np.mean(parts[there] / wholes[there])) if there.any() else float("nan")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
