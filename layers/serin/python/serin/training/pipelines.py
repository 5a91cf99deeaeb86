"""What is fitted? One readable scikit-learn pipeline, whichever family its last step is of.

Numbers: a missing one becomes the median, then all are scaled. Categories: a missing one becomes a category of its own,
then each of the commonest gets a column of zeros and ones; rarer ones and those never seen share one more column,
where training saw any that rare, and are all zeros otherwise. Trees do not need the scaling; one transform for all
families is computed once a fold.
"""

from __future__ import annotations

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from serin.contract.keys_and_defaults import Candidate
from serin.contract.metrics import Task
from serin.contract.model import Contract

MISSING = "(missing)"
MAX_CATEGORIES = 64
FOREST_ROWS = 4_000  # a tree of a forest sees at most so many: more cost time and hardly change the average

Params = dict[str, Any]

# From the plainest on; the first of `linear` is the linear baseline.
SETTINGS: dict[tuple[Candidate, Task], tuple[Params, ...]] = {
    (Candidate.LINEAR, Task.CLASSIFICATION): tuple({"C": c} for c in (1.0, 0.1, 10.0, 0.01)),
    (Candidate.LINEAR, Task.REGRESSION): tuple({"alpha": alpha} for alpha in (1.0, 10.0, 100.0, 0.1)),
    (Candidate.FOREST, Task.CLASSIFICATION): (
        {"min_samples_leaf": 3, "max_features": "sqrt"},
        {"min_samples_leaf": 10, "max_features": 0.5},
        {"min_samples_leaf": 1, "max_features": "sqrt"},
        {"min_samples_leaf": 30, "max_features": 0.5},
    ),
    (Candidate.FOREST, Task.REGRESSION): (
        {"min_samples_leaf": 3, "max_features": 0.33},
        {"min_samples_leaf": 10, "max_features": 0.67},
        {"min_samples_leaf": 1, "max_features": 0.33},
        {"min_samples_leaf": 30, "max_features": 0.67},
    ),
    **dict.fromkeys(
        ((Candidate.BOOSTING, Task.CLASSIFICATION), (Candidate.BOOSTING, Task.REGRESSION)),
        (
            {"max_leaf_nodes": 31, "learning_rate": 0.15},
            {"max_leaf_nodes": 7, "learning_rate": 0.15},
            {"max_leaf_nodes": 15, "learning_rate": 0.07},
            {"max_leaf_nodes": 31, "learning_rate": 0.3, "l2_regularization": 10.0},
        ),
    ),
}


def build_transform(contract: Contract) -> ColumnTransformer:
    """Build the transform of a contract's features: numbers first, then categories, each in the contract's order."""
    numeric = [name for name, feature in contract.features.items() if feature.is_numeric]
    categories = [name for name, feature in contract.features.items() if not feature.is_numeric]
    number_steps = [
        ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
        ("scale", StandardScaler()),
    ]
    category_steps = [
        ("impute", SimpleImputer(strategy="constant", fill_value=MISSING, keep_empty_features=True)),
        (
            "encode",
            OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES, sparse_output=False),
        ),
    ]
    transformers = [
        ("numeric", Pipeline(number_steps), numeric),
        ("categories", Pipeline(category_steps), categories),
    ]
    return ColumnTransformer([part for part in transformers if part[2]])


def build_estimator(family: Candidate, params: Params, *, task: Task, seed: int, rows: int, classes: int) -> Any:
    """Build an unfitted estimator of a family.

    rows, classes: of the table it will be fitted on; classes is 0 for regression. Large tables and many classes get
    smaller ensembles, so that time and the size of the artifact stay bounded.
    """
    is_classification = task is Task.CLASSIFICATION
    if family is Candidate.LINEAR:
        return LogisticRegression(**params, max_iter=1_000) if is_classification else Ridge(**params)
    if family is Candidate.FOREST:
        forest = RandomForestClassifier if is_classification else RandomForestRegressor
        return forest(
            **params,
            n_estimators=40,
            max_leaf_nodes=max(16, 512 // max(classes, 2)),
            max_samples=min(1.0, FOREST_ROWS / rows),
            random_state=seed,
            n_jobs=1,
        )
    boosting = HistGradientBoostingClassifier if is_classification else HistGradientBoostingRegressor
    return boosting(
        **params,
        max_iter=max(20, 120 // max(classes, 2)),  # of more than two classes each gets its own trees
        max_bins=127,
        early_stopping=False,
        random_state=seed,
    )
