"""How does a table become a model? Split, search, fit the best on all training rows, export, answer the hold-out.

Where the contract promises coverage, some training rows are kept from all fitting, to calibrate it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from serin.contract.compile import compile_spec, native_labels
from serin.contract.metrics import METRICS, Task, metrics_of
from serin.contract.model import Contract
from serin.contract.spec import Label, ServingSpec, label_text
from serin.data.split import split_holdout
from serin.data.storage import dump_table
from serin.errors import Refused
from serin.serving.encode import MAX_MAGNITUDE
from serin.training.calibrate import baseline_of, conform, split_calibration
from serin.training.export import learned_categories, to_onnx
from serin.training.importance import importances
from serin.training.measure import measure
from serin.training.pipelines import build_transform
from serin.training.search import (
    FINAL_FITS,
    Entry,
    Setting,
    Table,
    choose,
    fit,
    make_estimator,
    plan_search,
    scores_of,
    search,
)

Floats = NDArray[np.float64]

LEAST_ROWS = 10


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training made.

    metrics, baseline_metrics: on the hold-out, of the model and of the dummy; a metric that the rows leave undefined
    is left out. holdout_rows, holdout_predictions: tables as `dump_table` writes them; the first has the typed
    columns, the second what scikit-learn answers: `score_0`, `score_1`, … as the serving spec orders them, and the
    dummy's `baseline_0`, …. importances: by feature, as `importances` tells. pipeline: as fitted, in memory only. fits:
    how many models were fitted.
    """

    onnx: bytes
    spec: ServingSpec
    leaderboard: tuple[Entry, ...]
    chosen: str
    metrics: dict[str, float]
    baseline_metrics: dict[str, float]
    holdout_rows: bytes
    holdout_predictions: bytes
    importances: dict[str, float]
    pipeline: Pipeline
    fits: int


def train(frame: pd.DataFrame, contract: Contract) -> Trained:
    """Train on a typed table. The same table and contract give the same bytes on one machine.

    Raises Refused where the table cannot be learned from, saying what to do.
    """
    plan = plan_search(contract)
    frame = _typed(frame, contract)
    train_rows, holdout_rows = split_holdout(frame, contract)
    fit_rows, kept_rows = split_calibration(frame.iloc[train_rows], contract)
    training, kept = frame.iloc[train_rows[fit_rows]], frame.iloc[train_rows[kept_rows]]
    holdout = frame.iloc[holdout_rows]
    labels = _labels(training, contract)
    table = _table(training, contract, labels)
    entries = search(plan, table, contract)
    setting = choose(plan, entries, contract)
    pipeline = fit_pipeline(setting, training, contract)
    dummy = make_estimator(plan.settings[0], contract, rows=len(training), classes=table.classes)
    fit(dummy, table.features, table.target)
    scores = scores_of(pipeline, holdout[list(contract.features)])
    baseline = scores_of(dummy, holdout[list(contract.features)])
    spec = serving_spec(pipeline, contract)
    if len(kept):
        off = conform(
            _truth(kept, contract, labels),
            scores_of(pipeline, kept[list(contract.features)]),
            contract.serving.coverage,
        )
        spec = replace(spec, uncertainty=off)
    if contract.serving.explain:
        spec = replace(spec, baseline=baseline_of(training, spec))
    truth = _truth(holdout, contract, labels)
    return Trained(
        onnx=to_onnx(pipeline, spec),
        spec=spec,
        leaderboard=tuple(entries),
        chosen=setting.name,
        metrics=_metrics(truth, scores, contract),
        baseline_metrics=_metrics(truth, baseline, contract),
        holdout_rows=dump_table(holdout),
        holdout_predictions=_dump_predictions(scores, baseline),
        importances=importances(pipeline, holdout, truth, contract),
        pipeline=pipeline,
        fits=sum(entry.fits for entry in entries) + FINAL_FITS,
    )


def _typed(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The columns that are used, numbers as float64 and categories as text, without rows that lack the target.

    Raises Refused where the table does not fit the contract, as when an earlier contract accepted it.
    """
    is_numeric = {name: feature.is_numeric for name, feature in contract.features.items()}
    is_numeric[contract.target] = contract.task is Task.REGRESSION
    others = [name for name in (contract.entity, contract.time) if name and name not in is_numeric]
    for name in (*is_numeric, *others):
        if name not in frame:
            raise Refused(f"the accepted data has no column {name}; upload a table that has it", code="MISSING_COLUMN")
    for name, expected in is_numeric.items():
        if pd.api.types.is_numeric_dtype(frame[name]) != expected:
            found, asked = ("text", "numbers") if expected else ("numbers", "text")
            message = f"the accepted data holds {name} as {found}, the contract now asks for {asked}; upload it again"
            raise Refused(message, code="TYPE")
    kinds = {name: "float64" if expected else "str" for name, expected in is_numeric.items()}
    typed = frame[[*kinds, *others]].astype(kinds)
    typed = typed[typed[contract.target].notna()].reset_index(drop=True)
    if len(typed) < LEAST_ROWS:
        message = f"{len(typed)} rows have a {contract.target}, and {LEAST_ROWS} are the least; upload more"
        raise Refused(message, code="TOO_FEW_ROWS")
    for name in (name for name, expected in is_numeric.items() if expected):
        if (largest := typed[name].abs().max()) > MAX_MAGNITUDE:
            message = f"{name} holds {largest:g}; numbers above {MAX_MAGNITUDE:.3g} cannot be learned from"
            raise Refused(message, code="RANGE")
    return typed


def _labels(training: pd.DataFrame, contract: Contract) -> list[Label]:
    """The classes of the training rows in their natural order; [] for regression."""
    if contract.task is Task.REGRESSION:
        return []
    labels = sorted(native_labels(sorted(training[contract.target].unique())))
    if len(labels) < 2:
        raise Refused(
            f"every row has the {contract.target} {label_text(labels[0])}: there is nothing to tell apart; "
            "upload rows of both kinds",
            code="ONE_CLASS",
        )
    return labels


def _truth(frame: pd.DataFrame, contract: Contract, labels: Sequence[Label]) -> NDArray[Any]:
    """The target as values, or as indices of `labels`, -1 for a class that training did not see."""
    if contract.task is Task.REGRESSION:
        return frame[contract.target].to_numpy(dtype=np.float64)
    place = {label_text(label): index for index, label in enumerate(labels)}
    return np.array([place.get(text, -1) for text in frame[contract.target]], dtype=np.int64)


def _table(training: pd.DataFrame, contract: Contract, labels: Sequence[Label]) -> Table:
    groups = pd.factorize(training[contract.entity], use_na_sentinel=False)[0] if contract.entity else None
    return Table(
        features=training[list(contract.features)],
        target=_truth(training, contract, labels),
        classes=len(labels),
        groups=groups,
        times=np.nan_to_num(training[contract.time].to_numpy(dtype=np.float64)) if contract.time else None,
    )


def fit_pipeline(setting: Setting, training: pd.DataFrame, contract: Contract) -> Pipeline:
    """Fit one setting on a typed table, the target as the labels that answers will carry."""
    labels = _labels(training, contract)
    table = _table(training, contract, labels)
    estimator = make_estimator(setting, contract, rows=len(table.target), classes=table.classes)
    pipeline = Pipeline([("columns", build_transform(contract)), ("model", estimator)])
    fit(pipeline, table.features, np.array(labels)[table.target] if labels else table.target)
    return pipeline


def serving_spec(pipeline: Pipeline, contract: Contract) -> ServingSpec:
    """Say what a fitted pipeline accepts and answers."""
    classes = pipeline["model"].classes_.tolist() if contract.task is Task.CLASSIFICATION else []
    learned = learned_categories(pipeline, contract)
    return compile_spec(
        contract,
        values={name: categories.values for name, categories in learned.items()},
        missing_codes={name: categories.missing_code for name, categories in learned.items()},
        pooled={name for name, categories in learned.items() if categories.pools_rare},
        classes=[label_text(label) for label in classes],
    )


def _metrics(truth: NDArray[Any], scores: Floats, contract: Contract) -> dict[str, float]:
    values = {name: measure(METRICS[name], truth, scores) for name in metrics_of(contract.task)}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _dump_predictions(scores: Floats, baseline: Floats) -> bytes:
    columns = {f"score_{place}": column for place, column in enumerate(scores.T)}
    columns |= {f"baseline_{place}": column for place, column in enumerate(baseline.T)}
    return dump_table(pd.DataFrame(columns))
