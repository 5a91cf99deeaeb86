"""Do the labels of an upload still say what its features tell? A small probe learns them, as it learned those before.

The probe is linear in bins: each number is cut into bins by what came before, each category has a column, and ridge
regression predicts the target. It is much weaker than a trained model, and need not be better: it is asked the same of
blocks of the upload and of blocks before it, all of as many rows. Labels that were shuffled in a share of the rows
weaken all that can be learned by that share, whatever learns it: how well rows are put in order (agreement), and how
surely those at both ends are told (contrast). Time that passes weakens seldom both: where rows become harder to tell,
the ends are told as before, and where what holds is new, it can be learned from the upload by itself.

Measured on tables of labels, of values, of five classes and of one row in twenty: of 4,000 clean rows nothing is
lost, give or take 6%, and of those with 30% shuffled 30 to 45%, so that at least 95 of 100 are found. Fewer are
where what holds jumps or turns with the season (two in three to nine in ten), where features hardly tell the target
(nine in ten at an AUC of 0.6), and of 24 distinct rows (one in three). Of clean uploads of a few hundred rows up to
8 of 100 are held where blocks differ by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_ROWS = 20_000  # of those before, and of an upload
BLOCK_ROWS = 1_000  # few enough that there are several, which show how far blocks differ by themselves
LEAST_ROWS = 60  # of an upload, and of those before it; fewer tell nothing
LEAST_OF_CLASS = 15
BINS, LEAST_BINS, MOST_DESIGNED = 12, 3, 400
MOST_FEATURES = MOST_DESIGNED // (LEAST_BINS + 2)
FOLDS, PENALTY = 5, 5.0
LEAST_TOLD = 0.02  # by those before; what was told by chance alone cannot be lost
LOST = 0.18  # of both; less is left to the gates

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]


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


@dataclass(frozen=True, slots=True)
class Learnability:
    """What an upload tells beside the rows before it.

    own, before: cross-validated within blocks of `rows` rows, of the upload and of the last rows before. told,
    told_before: what the probe of the rows before it tells of the upload, and of blocks of those from the others.
    mistaken: by how much more it tells another class, or the opposite, where it would tell one; and the standard error.
    """

    own: Signal
    before: Signal
    told: Signal
    told_before: Signal
    mistaken: tuple[float, float]
    rows: int

    @property
    def lost(self) -> float:
        """The share of what could be learned before that cannot be learned from the upload."""
        return _loss(self.own, self.before).share

    @property
    def is_noise(self) -> bool:
        """Tell whether the upload cannot be learned as those before it could, by more than chance.

        Where the rows before foretell it worse too, less is needed: what cannot be learned in either way is no drift.
        """
        own, told = _loss(self.own, self.before), _loss(self.told, self.told_before)
        if own.share > LOST and own.errors > 2.3:
            return True
        return told.share > LOST and told.errors > 2.5 and own.share > 0.8 * LOST and own.errors > 1.5

    @property
    def is_opposite(self) -> bool:
        """Tell whether what was learned before is worse than chance on the upload, as where labels are swapped."""
        value, error = self.mistaken
        return value > 0.6 * self.told_before.agreement > 0 and value > 2.6 * error


def probe_upload(upload: Columns, before: Columns, *, target: str, is_values: bool) -> Learnability | None:
    """Ask how well an upload can be learned. None where there are too few rows to tell.

    upload, before: typed columns, features and target, MOST_ROWS of each at most; the rows in the order in which they
    came.
    """
    features = [name for name in upload if name != target and name in before]
    rows, known = len(upload[target]), len(before[target])
    block = min(rows // max(round(rows / BLOCK_ROWS), 1), known)
    if min(block, known // 2 if len(features) > MOST_FEATURES else known) < LEAST_ROWS or not features:
        return None
    answers = _answers(upload[target], before[target], is_values=is_values)
    if answers is None:
        return None
    y_new, y_past = answers
    if len(features) > MOST_FEATURES:  # those are asked that told most in the first half of what came before
        half = len(y_past) // 2
        features = _telling(before, y_past, features, slice(0, half))
        before, y_past = {name: before[name][half:] for name in features}, y_past[half:]
        block = min(block, len(y_past))
    design = _Design.of(before, features, max(LEAST_BINS, min(BINS, MOST_DESIGNED // len(features) - 2)))
    x_new, x_past = design.codes(upload), design.codes(before)

    def learn(x: NDArray[np.int64], y: Floats) -> list[tuple[Signal, _Sums]]:
        return [_learn(x[rows], y[rows], design.width, is_values) for rows in _blocks(len(x), block)]

    learned = learn(x_past, y_past)
    rest = slice(0, len(x_past) % block)
    total = reduce(add, (sums for _, sums in learned), _Sums.of(x_past[rest], y_past[rest], design.width))
    own, usual = _mean([signal for signal, _ in learn(x_new, y_new)]), _mean([signal for signal, _ in learned])
    predicted = total.solve().predict(x_new)
    told = _mean([_signal(predicted[rows], y_new[rows], is_values) for rows in _blocks(len(x_new), block)])
    others = [(rows, total - sums) for rows, (_, sums) in zip(_blocks(len(x_past), block), learned, strict=True)]
    told_before = usual
    if len(others) > 1:
        told_before = _mean(
            [_signal(sums.solve().predict(x_past[rows]), y_past[rows], is_values) for rows, sums in others]
        )
    return Learnability(own, usual, told, told_before, _mistaken(predicted, y_new, is_values), block)


def choose_rows(rows: int) -> NDArray[np.int64]:
    """Choose the rows of an upload that are asked. Of many, blocks from all parts: only one part of it may be wrong."""
    if rows <= MOST_ROWS:
        return np.arange(rows)
    starts = np.linspace(0, rows - BLOCK_ROWS, MOST_ROWS // BLOCK_ROWS).astype(np.int64)
    return (starts[:, None] + np.arange(BLOCK_ROWS)).ravel()


def _answers(new: NDArray[Any], past: NDArray[Any], *, is_values: bool) -> tuple[Floats, Floats] | None:
    """The targets as what the probe predicts: ranks of values, or one column of zeros and ones a class."""
    if is_values:
        return _ranks(new)[:, None], _ranks(past)[:, None]
    new, past = new.astype(str), past.astype(str)
    labels, counts = np.unique(past, return_counts=True)
    classes = [
        label
        for label, count in zip(labels, counts, strict=True)
        if min(count, len(past) - count, (new == label).sum(), (new != label).sum()) >= LEAST_OF_CLASS
    ]
    if not classes:
        return None
    return tuple(
        np.stack([(column == label).astype(np.float64) for label in classes], axis=1) for column in (new, past)
    )  # type: ignore[return-value]


def _telling(columns: Columns, y: Floats, features: list[str], rows: slice) -> list[str]:
    """Give the features that tell most by themselves: between whose bins the target differs most."""
    y = y[rows] - y[rows].mean(axis=0)

    def tells(name: str) -> float:
        column = {name: columns[name][rows]}
        codes = _Design.of(column, [name], LEAST_BINS).codes(column)[:, 0]
        rows_in = np.maximum(np.bincount(codes), 1)
        return float(sum((np.bincount(codes, weights=column) ** 2 / rows_in).sum() for column in y.T))

    return sorted(features, key=tells, reverse=True)[:MOST_FEATURES]


@dataclass(frozen=True, slots=True)
class _Design:
    """How a row becomes the columns of ones that the probe reads: one in each feature."""

    cuts: Mapping[str, NDArray[Any]]
    offsets: Mapping[str, int]
    width: int

    @classmethod
    def of(cls, columns: Columns, features: list[str], bins: int) -> _Design:
        cuts, offsets, width = {}, {}, 0
        for name in features:
            cuts[name] = (
                _common(columns[name], 2 * bins) if columns[name].dtype == object else _quantiles(columns[name], bins)
            )
            offsets[name] = width
            width += len(cuts[name]) + 2
        return cls(cuts, offsets, width)

    def codes(self, columns: Columns) -> NDArray[np.int64]:
        """Name for each row and feature the column that is one; shape (rows, features)."""
        return np.stack([self._code(name, columns[name]) + self.offsets[name] for name in self.cuts], axis=1)

    def _code(self, name: str, column: NDArray[Any]) -> NDArray[np.int64]:
        cuts = self.cuts[name]
        if column.dtype != object:
            code = np.searchsorted(cuts, column, side="right")
            return np.where(np.isnan(column), len(cuts) + 1, code)
        missing = np.array([value is None or value != value for value in column])  # NaN is not itself
        texts = np.where(missing, "", column).astype(str)
        place = np.minimum(np.searchsorted(cuts, texts), max(len(cuts) - 1, 0))
        is_known = cuts[place] == texts if len(cuts) else np.zeros(len(texts), dtype=bool)
        return np.where(missing, len(cuts) + 1, np.where(is_known, place, len(cuts)))


def _quantiles(column: Floats, bins: int) -> Floats:
    finite = column[np.isfinite(column)]
    return np.unique(np.quantile(finite, np.linspace(0, 1, bins + 1)[1:-1])) if len(finite) else finite


def _common(column: NDArray[Any], most: int) -> NDArray[np.str_]:
    values, counts = np.unique(
        np.array([value for value in column if isinstance(value, str)], dtype=str), return_counts=True
    )
    return np.sort(values[np.argsort(-counts, kind="stable")][:most])


@dataclass(frozen=True, slots=True)
class _Ridge:
    weights: Floats
    constant: Floats

    def predict(self, codes: NDArray[np.int64]) -> Floats:
        return np.asarray(self.weights[codes].sum(axis=1) + self.constant)


@dataclass(frozen=True, slots=True)
class _Sums:
    """All that ridge regression reads of rows. Sums of parts add up, so that leaving a part out costs one solution."""

    rows: int
    x: Floats
    y: Floats
    xx: NDArray[np.float32]  # exact: counts far below 2**24
    xy: Floats

    @classmethod
    def of(cls, codes: NDArray[np.int64], y: Floats, width: int) -> _Sums:
        ones = np.zeros((len(codes), width), dtype=np.float32)
        ones[np.arange(len(codes))[:, None], codes] = 1
        return cls(len(codes), ones.sum(axis=0, dtype=np.float64), y.sum(axis=0), ones.T @ ones, ones.T @ y)

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(self.rows + other.rows, self.x + other.x, self.y + other.y, self.xx + other.xx, self.xy + other.xy)

    def __sub__(self, other: _Sums) -> _Sums:
        return _Sums(self.rows - other.rows, self.x - other.x, self.y - other.y, self.xx - other.xx, self.xy - other.xy)

    def solve(self) -> _Ridge:
        x_mean, y_mean = self.x / self.rows, self.y / self.rows
        gram = self.xx - np.outer(self.x, x_mean)
        gram[np.diag_indices(len(gram))] += PENALTY
        weights = np.linalg.solve(gram, self.xy - np.outer(self.x, y_mean))
        return _Ridge(np.asarray(weights, dtype=np.float64), y_mean - x_mean @ weights)


def _learn(codes: NDArray[np.int64], y: Floats, width: int, is_values: bool) -> tuple[Signal, _Sums]:
    """Measure by cross-validation how well rows can be learned. Also their sums."""
    fold = np.random.default_rng(0).permutation(len(y)) % FOLDS
    parts = [_Sums.of(codes[fold == number], y[fold == number], width) for number in range(FOLDS)]
    total = reduce(add, parts)
    predicted = np.empty_like(y)
    for number, part in enumerate(parts):
        predicted[fold == number] = (total - part).solve().predict(codes[fold == number])
    return _signal(predicted, y, is_values), total


def _signal(predicted: Floats, y: Floats, is_values: bool) -> Signal:
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
    ranks = _ranks(score) * len(score)
    ones, zeros = truth.sum(), len(truth) - truth.sum()
    area = float((ranks[truth == 1].sum() - ones * ones / 2) / (ones * zeros))
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (ones - 1) * (q1 - area**2) + (zeros - 1) * (q2 - area**2)
    contrast, error = _contrast(score, truth)
    return 2 * area - 1, contrast, 2 * float(np.sqrt(max(spread, 0) / (ones * zeros))), error


def _of_values(score: Floats, truth: Floats) -> tuple[float, float, float, float]:
    """Spearman's correlation with its standard error, and the contrast of the tails with its own."""
    first, second = _ranks(score), _ranks(truth)
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


def _ranks(values: NDArray[Any]) -> Floats:
    """Ranks from 0 to 1, of equal values their middle."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    return np.asarray(middle[place] / len(values), dtype=np.float64)


def _mistaken(predicted: Floats, y: Floats, is_values: bool) -> tuple[float, float]:
    """Say by how much more predictions of one class tell another, the most of any; of values, their opposite."""
    if is_values:
        rho, _, error, _ = _of_values(predicted[:, 0], y[:, 0])
        return -2 * rho, 2 * error
    ones = y.sum(axis=0)
    ranks = np.stack([_ranks(column) for column in predicted.T], axis=1)
    agreement = (ranks.T @ y / ones - 0.5) * 2 / (1 - ones / len(y))  # Somers' D of each prediction for each class
    own = np.diag(agreement).copy()
    np.fill_diagonal(agreement, -np.inf)
    worst = int(np.argmax(agreement.max(axis=1) - own))
    error = _of_class(predicted[:, worst], y[:, worst])[2]
    return float(agreement[worst].max() - own[worst]), 2 * error


def _blocks(rows: int, size: int) -> list[slice]:
    """Cut rows into blocks that follow each other, up to the last."""
    return [slice(start, start + size) for start in range(rows % size, rows, size)]


def _mean(signals: Sequence[Signal]) -> Signal:
    count = len(signals)
    values = np.array([(signal.agreement, signal.contrast) for signal in signals])
    variances = np.mean([np.square(signal.se) for signal in signals], axis=0)
    spread = np.var(values, axis=0, ddof=1) - variances if count > 1 else np.zeros(2)
    agreement, contrast = values.mean(axis=0).tolist()
    se, spread = np.sqrt(variances), np.sqrt(np.maximum(spread, 0))
    return Signal(agreement, contrast, (se[0], se[1]), (spread[0], spread[1]), count)


@dataclass(frozen=True, slots=True)
class _Loss:
    """How much of a signal is lost: of agreement and contrast the smaller share, and the mean in standard errors."""

    share: float
    errors: float


def _loss(now: Signal, usual: Signal) -> _Loss:
    """Compare blocks of the upload with those before. Blocks that follow each other share what time does to them."""
    before = np.array([usual.agreement, usual.contrast])
    if before.min() <= LEAST_TOLD:
        return _Loss(0.0, 0.0)
    lost = before - [now.agreement, now.contrast]
    chance, spread = np.square(now.se), np.square(usual.spread)
    errors = np.sqrt(chance / now.blocks + spread + (chance + spread) / usual.blocks)
    return _Loss(float((lost / before).min()), float((lost / errors).mean()))
