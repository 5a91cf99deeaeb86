"""What does an answer need besides the model? How far the truth lies off, and rows to explain it by."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.model import Contract
from serin.contract.serving_spec import Baseline, Conformal, ServingSpec, SpecFeature
from serin.data.border import Keys
from serin.data.split import split_holdout
from serin.errors import Refused
from serin.serving.rows.encode import UNKNOWN

BASELINE_ROWS = 64  # some 10 KB of the spec, with 20 features
SHARE, MOST_ROWS = 0.2, 2_000  # more rows hardly make the coverage surer, and the model learns from the rest
_ROUNDING = 1e-9  # by so much the graph's answers may differ from scikit-learn's

Floats = NDArray[np.float64]


def split_calibration(
    training: pd.DataFrame, keys: Keys, contract: Contract
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide training rows into those to fit on and those to calibrate on, by the rule that set the hold-out aside.

    All to fit on where the contract asks for no coverage. keys: of the rows, by content.
    """
    if contract.serving.uncertainty == "none":
        return np.arange(len(training)), np.zeros(0, dtype=np.int64)
    share = min(SHARE, MOST_ROWS / len(training))
    changed = contract.training.model_copy(update={"holdout": share})
    fit_on, kept, _ = split_holdout(training, keys, contract.model_copy(update={"training": changed}))
    return fit_on, kept


def conform(truth: NDArray[Any], scores: Floats, coverage: float) -> Conformal:
    """Calibrate by rows that the model did not learn from, so that the truth of the next one is covered.

    truth: (n,) values, or indices of classes, -1 for one that the scores do not know. scores: as the spec says.
    The guarantee: of rows exchangeable with these, at least the share `coverage` on average, whatever the model.
    Raises Refused where the rows are too few to promise so much.
    Sources: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World (2005); for intervals Lei et al.,
    Distribution-Free Predictive Inference for Regression (2018); for sets Sadinle, Lei and Wasserman, Least Ambiguous
    Set-Valued Classifiers (2019).
    """
    rows = len(truth)
    rank = math.ceil((rows + 1) * coverage - _ROUNDING)
    if rank > rows:
        least = math.ceil(coverage / (1 - coverage) - _ROUNDING)
        raise Refused(
            f"{rows} rows are kept for serving.coverage {coverage:g}, and {least} are the least; "
            "upload more, or promise less",
            code="TOO_FEW_ROWS",
        )
    if scores.shape[1] == 1:
        off = np.sort(np.abs(truth - scores[:, 0]))[rank - 1]
        return Conformal(coverage, float(off) * (1 + _ROUNDING), rows)
    of_truth = np.where(truth >= 0, scores[np.arange(rows), truth], 0.0)
    bound = np.sort(of_truth)[rows - rank]
    return Conformal(coverage, max(float(bound) - _ROUNDING, 0.0), rows)


def baseline_of(training: pd.DataFrame, spec: ServingSpec) -> Baseline:
    """Choose rows of a table for explanations to start from: of all ranks of the target alike, the same every time."""
    target = training[spec.target]
    ranks = target.to_numpy() if pd.api.types.is_numeric_dtype(target) else pd.factorize(target, sort=True)[0]
    shuffled = np.random.default_rng(0).permutation(len(training))
    ranked = shuffled[np.argsort(ranks[shuffled], kind="stable")]
    count = min(BASELINE_ROWS, len(training))
    places = ranked[(2 * np.arange(count) + 1) * len(training) // (2 * count)]
    chosen = training.iloc[places]
    numeric = chosen[[feature.name for feature in spec.numeric]].to_numpy(dtype=np.float64)
    codes = [_codes(chosen[feature.name], feature) for feature in spec.categories]
    kinds = [column[:, None] == np.unique(column) for column in codes]
    order = _representative_first(np.column_stack([ranks[places], numeric, *kinds]).astype(np.float64))
    return Baseline(
        tuple(tuple(None if math.isnan(value) else value for value in row) for row in numeric[order].tolist()),
        tuple(tuple(int(column[row]) for column in codes) for row in order),
    )


def _codes(column: pd.Series[str], feature: SpecFeature) -> NDArray[np.int64]:
    known = {value: code for code, value in enumerate(feature.values)}
    return np.array(
        [feature.missing_code if pd.isna(value) else known.get(value, UNKNOWN) for value in column], dtype=np.int64
    )


def _representative_first(cells: Floats) -> list[int]:
    """Order rows so that the mean of the first few is near that of all, however few they are.

    Source: Welling, Herding dynamical weights to learn (2009).
    """
    is_there = ~np.isnan(cells)
    off = np.where(is_there, cells, 0.0)
    off = np.where(is_there, cells - off.sum(axis=0) / np.maximum(is_there.sum(axis=0), 1), 0.0)
    spread = off.std(axis=0)
    off /= np.where(spread > 0, spread, 1.0)
    order: list[int] = []
    total, left = np.zeros(off.shape[1]), list(range(len(off)))
    while left:
        nearest = min(left, key=lambda row: float(((total + off[row]) ** 2).sum()))
        total += off[nearest]
        order.append(nearest)
        left.remove(nearest)
    return order
