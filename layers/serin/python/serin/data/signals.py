"""How strongly do predictions tell a target, and how much of that is lost?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.data.ridge import Floats

LEAST_OF_CLASS = 15
LEAST_TOLD = 0.02  # by those before; what was told by chance alone cannot be lost


@dataclass(frozen=True, slots=True)
class Signal:
    """How strongly features tell a target in blocks of rows. Each is 0 for chance, 1 where they tell it all.

    agreement: Somers' D (2 AUC - 1, the mean over classes), or Spearman's correlation for values. contrast: how far the
    target differs between the rows with the highest and the lowest predictions. se: standard errors of the two in one
    block. spread: how far blocks differ by more than that, as standard deviations. blocks: how many.
    """

    agreement: float
    contrast: float
    se: tuple[float, float]
    spread: tuple[float, float] = (0.0, 0.0)
    blocks: int = 1


def measure_signal(predicted: Floats, y: Floats, is_values: bool) -> Signal:
    """Measure predictions against the target, each column by itself; of classes the mean, rare ones counting less."""
    parts, weights = [], []
    for column in range(y.shape[1]):
        truth, score = y[:, column], predicted[:, column]
        ones = truth.sum()
        if not is_values and min(ones, len(truth) - ones) < LEAST_OF_CLASS / 3:
            continue
        parts.append(_of_values(score, truth) if is_values else _of_class(score, truth))
        weights.append(1.0 if is_values else min(ones, len(truth) - ones))
    if not parts:
        return Signal(0.0, 0.0, (1.0, 1.0))
    share = np.array(weights) / np.sum(weights)
    values = np.array(parts)
    means = share @ values
    return Signal(float(means[0]), float(means[1]), (float(means[2]), float(means[3])))


def _of_class(score: Floats, truth: Floats) -> tuple[float, float, float, float]:
    """Somers' D with its standard error (Hanley and McNeil, 1982), and the contrast of the tails with its own."""
    ranks = to_ranks(score) * len(score)
    ones, zeros = truth.sum(), len(truth) - truth.sum()
    area = float((ranks[truth == 1].sum() - ones * ones / 2) / (ones * zeros))
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (ones - 1) * (q1 - area**2) + (zeros - 1) * (q2 - area**2)
    contrast, error = _contrast(score, truth)
    return 2 * area - 1, contrast, 2 * float(np.sqrt(max(spread, 0) / (ones * zeros))), error


def _of_values(score: Floats, truth: Floats) -> tuple[float, float, float, float]:
    """Spearman's correlation with its standard error, and the contrast of the tails with its own."""
    first, second = to_ranks(score), to_ranks(truth)
    scale = first.std() * second.std()
    rho = float(((first - first.mean()) * (second - second.mean())).mean() / scale) if scale > 0 else 0.0
    contrast, error = _contrast(score, truth)
    return rho, contrast, float((1 - rho**2) / np.sqrt(max(len(truth) - 3, 1))), error


def _contrast(score: Floats, truth: Floats) -> tuple[float, float]:
    """By how much the target is higher where the prediction is highest than where it is lowest, with its error."""
    rows = len(score)
    tail = max(rows // 20, min(50, rows // 4))
    order = np.argsort(score, kind="stable")
    low, high = truth[order[:tail]], truth[order[-tail:]]
    # A tail that is all alike is not known without error.
    error = np.sqrt((low.var() + high.var()) / tail + 0.5 / tail**2)
    return float(high.mean() - low.mean()), float(error)


def to_ranks(values: NDArray[Any]) -> Floats:
    """Ranks from 0 to 1, of equal values their middle."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    return np.asarray(middle[place] / len(values), dtype=np.float64)


def measure_mistakes(predicted: Floats, y: Floats, is_values: bool) -> tuple[float, float]:
    """Say by how much more predictions of one class tell another, the most of any; of values, their opposite."""
    if is_values:
        rho, _, error, _ = _of_values(predicted[:, 0], y[:, 0])
        return -2 * rho, 2 * error
    ones = y.sum(axis=0)
    ranks = np.stack([to_ranks(column) for column in predicted.T], axis=1)
    agreement = (ranks.T @ y / ones - 0.5) * 2 / (1 - ones / len(y))  # Somers' D of each prediction for each class
    own = np.diag(agreement).copy()
    np.fill_diagonal(agreement, -np.inf)
    worst = int(np.argmax(agreement.max(axis=1) - own))
    error = _of_class(predicted[:, worst], y[:, worst])[2]
    return float(agreement[worst].max() - own[worst]), 2 * error


def mean_signal(signals: Sequence[Signal]) -> Signal:
    count = len(signals)
    values = np.array([(signal.agreement, signal.contrast) for signal in signals])
    variances = np.mean([np.square(signal.se) for signal in signals], axis=0)
    spread = np.var(values, axis=0, ddof=1) - variances if count > 1 else np.zeros(2)
    agreement, contrast = values.mean(axis=0).tolist()
    se, spread = np.sqrt(variances), np.sqrt(np.maximum(spread, 0))
    return Signal(agreement, contrast, (se[0], se[1]), (spread[0], spread[1]), count)


@dataclass(frozen=True, slots=True)
class Loss:
    """How much of a signal is lost: of agreement and contrast the smaller share, and the mean in standard errors."""

    share: float
    errors: float


def loss_between(now: Signal, usual: Signal) -> Loss:
    """Compare blocks of the upload with those before. Blocks that follow each other share what time does to them."""
    before = np.array([usual.agreement, usual.contrast])
    if before.min() <= LEAST_TOLD:
        return Loss(0.0, 0.0)
    lost = before - [now.agreement, now.contrast]
    chance, spread = np.square(now.se), np.square(usual.spread)
    errors = np.sqrt(chance / now.blocks + spread + (chance + spread) / usual.blocks)
    return Loss(float((lost / before).min()), float((lost / errors).mean()))
