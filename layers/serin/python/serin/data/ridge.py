"""How does a probe that is linear in bins learn? By ridge regression over columns of ones: a bin or category each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PENALTY = 5.0

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Design:
    """How a row becomes the columns of ones that the probe reads: one in each feature."""

    cuts: Mapping[str, NDArray[Any]]
    offsets: Mapping[str, int]
    width: int

    @classmethod
    def of(cls, columns: Columns, features: list[str], bins: int) -> Design:
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
class Ridge:
    weights: Floats
    constant: Floats

    def predict(self, codes: NDArray[np.int64]) -> Floats:
        return np.asarray(self.weights[codes].sum(axis=1) + self.constant)


@dataclass(frozen=True, slots=True)
class Sums:
    """All that ridge regression reads of rows. Sums of parts add up, so that leaving a part out costs one solution."""

    rows: int
    x: Floats
    y: Floats
    xx: NDArray[np.float32]  # exact: counts far below 2**24
    xy: Floats

    @classmethod
    def of(cls, codes: NDArray[np.int64], y: Floats, width: int) -> Sums:
        ones = np.zeros((len(codes), width), dtype=np.float32)
        ones[np.arange(len(codes))[:, None], codes] = 1
        return cls(len(codes), ones.sum(axis=0, dtype=np.float64), y.sum(axis=0), ones.T @ ones, ones.T @ y)

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.rows + other.rows, self.x + other.x, self.y + other.y, self.xx + other.xx, self.xy + other.xy)

    def __sub__(self, other: Sums) -> Sums:
        return Sums(self.rows - other.rows, self.x - other.x, self.y - other.y, self.xx - other.xx, self.xy - other.xy)

    def solve(self) -> Ridge:
        x_mean, y_mean = self.x / self.rows, self.y / self.rows
        gram = self.xx - np.outer(self.x, x_mean)
        gram[np.diag_indices(len(gram))] += PENALTY
        weights = np.linalg.solve(gram, self.xy - np.outer(self.x, y_mean))
        return Ridge(np.asarray(weights, dtype=np.float64), y_mean - x_mean @ weights)
