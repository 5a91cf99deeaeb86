"""Which features does a model lean on? Each is shuffled in turn, and by so much the metric gets worse.

Source: Breiman, Random Forests (2001), section 10; Fisher, Rudin and Dominici, arXiv 1801.01489.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from numpy.typing import NDArray
from sklearn.inspection import permutation_importance
from sklearn.pipeline import Pipeline

from serin.contract.model import Contract
from serin.training.measure import measure
from serin.training.search import scores_of

REPEATS = 3
MOST_ROWS = 500  # more take their time, and hardly change the order


def importances(pipeline: Pipeline, rows: pd.DataFrame, truth: NDArray[Any], contract: Contract) -> dict[str, float]:
    """Tell by how much the contract's metric is worse without each feature; the same rows give the same.

    rows, truth: of a hold-out, as `measure` takes them. A feature without which the metric is undefined is left out.
    """
    sign = 1.0 if contract.metric.higher_is_better else -1.0

    def score(fitted: Pipeline, some: pd.DataFrame, answers: NDArray[Any]) -> float:
        return sign * measure(contract.metric, answers, scores_of(fitted, some))

    some = rows[list(contract.features)].head(MOST_ROWS)
    measured = permutation_importance(
        pipeline,
        some,
        truth[: len(some)],
        scoring=score,
        n_repeats=REPEATS,
        random_state=contract.training.seed,
    )
    named = zip(some.columns, measured.importances_mean.tolist(), strict=True)
    return {name: value for name, value in named if math.isfinite(value)}
