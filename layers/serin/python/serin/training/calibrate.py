"""What does an answer need besides the model? How far the truth lies off, and the usual row to explain it by."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.model import Contract
from serin.contract.spec import Baseline, Conformal, ServingSpec, SpecFeature
from serin.data.border import Keys
from serin.data.split import split_holdout
from serin.errors import Refused
from serin.serving.encode import UNKNOWN

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
    """Find the usual row of a table: of each number the median, of each category the commonest."""
    numeric = tuple(_median(training[feature.name]) for feature in spec.numeric)
    return Baseline(numeric, tuple(_commonest(training[feature.name], feature) for feature in spec.categories))


def _median(column: pd.Series[float]) -> float:
    """A value that is there: between true and false lies neither."""
    known = column.dropna()
    return float(known.quantile(0.5, interpolation="lower")) if len(known) else 0.0


def _commonest(column: pd.Series[str], feature: SpecFeature) -> int:
    counts = column.value_counts()
    if counts.empty or column.isna().sum() > counts.iloc[0]:
        return feature.missing_code
    text = str(counts.index[0])
    return feature.values.index(text) if text in feature.values else UNKNOWN
