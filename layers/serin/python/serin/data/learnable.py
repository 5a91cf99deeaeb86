"""Do the labels of an upload still say what its features tell? A small probe learns them, as it learned those before.

The probe is linear in bins: each number is cut into bins by what came before, each category has a column, and ridge
regression predicts the target. It is much weaker than a trained model, and need not be better: it is asked the same of
the upload and of the rows before it, on as many rows. Labels that were shuffled in a share of the rows weaken by that
share all that can be learned, whatever learns it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_ROWS = 20_000  # of those before
BLOCK_ROWS, MOST_BLOCKS = 5_000, 5
LEAST_ROWS = 60  # of an upload, and of those before it; fewer tell nothing
LEAST_OF_CLASS = 15
BINS, MOST_DESIGNED = 12, 1_200
FOLDS, PENALTY = 5, 5.0
LOST = 0.2  # less than a fifth lost is left to the gates

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Signal:
    """How strongly features tell a target. Each is 0 for chance, 1 where they tell it all, below 0 where the opposite.

    agreement: Somers' D (2 AUC - 1, the mean over classes), or Spearman's correlation for values. contrast: how far the
    target differs between the rows with the highest and the lowest predictions. se: standard errors of the two. spread:
    how far blocks of rows differ in each.
    """

    agreement: float
    contrast: float
    se: tuple[float, float]
    spread: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Learnability:
    """What an upload tells beside the rows before it.

    own, before: cross-validated within blocks of `rows` rows, of the upload and of the last rows before. told,
    told_before: what the probe of the rows before it tells of the upload, and of rows like those.
    """

    own: Signal
    before: Signal
    told: Signal
    told_before: Signal
    rows: int

    @property
    def lost(self) -> float:
        """The share of what could be learned before that cannot be learned from the upload."""
        return _mean_loss(self.own, self.before)

    @property
    def lost_se(self) -> float:
        return _loss_error(self.own, self.before)

    @property
    def is_noise(self) -> bool:
        """Tell whether the upload cannot be learned as those before it could, by more than chance.

        Where the rows before foretell it worse too, less is needed: what cannot be learned in either way is no drift.
        """
        if min(self.before.agreement, self.before.contrast) <= 0:
            return False
        foretold = _mean_loss(self.told, self.told_before)
        is_foretold_worse = foretold > max(LOST, 3 * _loss_error(self.told, self.told_before))
        if self.lost > LOST and self.lost > 2.3 * self.lost_se:
            return True
        return is_foretold_worse and self.lost > LOST / 2 and self.lost > 1.3 * self.lost_se

    @property
    def is_opposite(self) -> bool:
        """Tell whether what was learned before is worse than chance on the upload, as where labels are swapped."""
        usual, found = self.told_before.agreement, self.told.agreement
        return usual > 0 and found < -0.3 * usual and found + 2.6 * self.told.se[0] < 0


def probe_upload(upload: Columns, before: Columns, *, target: str, is_values: bool) -> Learnability | None:
    """Ask how well an upload can be learned. None where there are too few rows to tell.

    upload, before: typed columns, features and target; the rows before in the order in which they came.
    """
    features = [name for name in upload if name != target and name in before]
    rows, known = len(upload[target]), len(before[target])
    block = min(rows, known, BLOCK_ROWS)
    if block < LEAST_ROWS or not features:
        return None
    start = max(0, known - max(MOST_ROWS, block))
    past = {name: before[name][start:] for name in (*features, target)}
    bins = max(3, min(BINS, MOST_DESIGNED // len(features)))
    design = _Design.of(past, features, bins)
    x_new, x_past = design.codes(upload), design.codes(past)
    answers = _answers(upload[target], past[target], is_values=is_values)
    if answers is None:
        return None
    y_new, y_past = answers
    own = _mean(
        _cross_validated(x_new[rows], y_new[rows], design.width, is_values) for rows in _blocks(len(x_new), block)
    )
    usual = _mean(
        _cross_validated(x_past[rows], y_past[rows], design.width, is_values) for rows in _blocks(len(x_past), block)
    )
    told = _signal(_Ridge.fit(x_past, y_past, design.width).predict(x_new), y_new, is_values)
    return Learnability(own, usual, told, _told_before(x_past, y_past, design.width, block, is_values), block)


def _told_before(x: NDArray[np.int64], y: Floats, width: int, block: int, is_values: bool) -> Signal:
    """What the probe tells of blocks of the rows before, learned from the others; of few rows by cross-validation."""
    if len(x) < 2 * block:
        return _cross_validated(x, y, width, is_values)

    def signals() -> Iterator[Signal]:
        for rows in _blocks(len(x), block):
            others = np.ones(len(x), dtype=bool)
            others[rows] = False
            yield _signal(_Ridge.fit(x[others], y[others], width).predict(x[rows]), y[rows], is_values)

    return _mean(signals())


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

    @classmethod
    def fit(cls, codes: NDArray[np.int64], y: Floats, width: int) -> _Ridge:
        x = _one_hot(codes, width)
        x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
        gram = (x.T @ x).astype(np.float64) - len(x) * np.outer(x_mean, x_mean)
        gram[np.diag_indices(width)] += PENALTY
        weights = np.linalg.solve(gram, x.T @ y - len(x) * np.outer(x_mean, y_mean))
        return cls(weights, y_mean - x_mean @ weights)

    def predict(self, codes: NDArray[np.int64]) -> Floats:
        return np.asarray(self.weights[codes].sum(axis=1) + self.constant)


def _one_hot(codes: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    ones = np.zeros((len(codes), width), dtype=np.float32)
    ones[np.arange(len(codes))[:, None], codes] = 1
    return ones


def _cross_validated(codes: NDArray[np.int64], y: Floats, width: int, is_values: bool) -> Signal:
    fold = np.random.default_rng(0).permutation(len(y)) % FOLDS
    predicted = np.empty_like(y)
    for number in range(FOLDS):
        test = fold == number
        predicted[test] = _Ridge.fit(codes[~test], y[~test], width).predict(codes[test])
    return _signal(predicted, y, is_values)


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


def _blocks(rows: int, size: int) -> list[slice]:
    """Cut rows into blocks that follow each other, the last ones where there are more than enough."""
    count = min(max(rows // size, 1), MOST_BLOCKS)
    return [slice(rows - (place + 1) * size, rows - place * size) for place in range(count)]


def _mean(signals: Iterator[Signal]) -> Signal:
    found = list(signals)
    count = len(found)
    spread = [np.std([getattr(each, name) for each in found]) for name in ("agreement", "contrast")]
    errors = [
        float(np.sqrt(sum(each.se[place] ** 2 for each in found) / count**2 + spread[place] ** 2 / count))
        for place in range(2)
    ]
    return Signal(
        float(np.mean([each.agreement for each in found])),
        float(np.mean([each.contrast for each in found])),
        (errors[0], errors[1]),
        (float(spread[0]), float(spread[1])),
    )


def _mean_loss(found: Signal, usual: Signal) -> float:
    """Which share of the signal is lost, the mean of what agreement and contrast say."""
    pairs = ((found.agreement, usual.agreement), (found.contrast, usual.contrast))
    return float(np.mean([1 - value / max(other, 1e-9) for value, other in pairs]))


def _loss_error(found: Signal, usual: Signal) -> float:
    """The standard error of that share; the two measures rest on the same rows, so that their errors add up."""
    shares = []
    for place, other in enumerate((usual.agreement, usual.contrast)):
        value = (found.agreement, found.contrast)[place]
        other = max(other, 1e-9)
        error = max(found.se[place], usual.spread[place])  # blocks may differ by more than chance in them
        shares.append(np.hypot(error / other, usual.se[place] * value / other**2))
    return float(np.mean(shares))
