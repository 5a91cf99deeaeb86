"""How does a table become a model? Divide, search, fit the best twice, export both, answer the hold-out.

The judged model is fitted on the training side alone: it answers for the version wherever versions are compared. The
served model has the same setting and is fitted on all rows: it answers requests. Where the contract promises coverage,
some training rows are kept from the judged one too, to calibrate it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from serin.contract.compile import compile_spec, native_labels
from serin.contract.keys_and_defaults import FINAL_FITS
from serin.contract.metrics import METRICS, Task, metrics_of
from serin.contract.model import Contract
from serin.contract.serving_spec import Label, ServingSpec, label_text
from serin.data.border import Border, Keys, mix
from serin.data.row_keys import content_keys, row_hashes
from serin.data.split import split_holdout
from serin.data.storage import dump_table
from serin.errors import Refused
from serin.serving.rows.encode import MAX_MAGNITUDE
from serin.training.calibrate import baseline_of, conform, split_calibration
from serin.training.export import learned_categories, to_onnx
from serin.training.importance import importances
from serin.training.measure import measure
from serin.training.pipelines import build_transform
from serin.training.search import (
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
class Divided:
    """A typed table, and what each of its rows is for.

    learned, held_out: positions in `frame`, each ascending; border: the line between them. fitted, calibrated: those
    learned from, by what from. keys: of each row.
    """

    frame: pd.DataFrame
    keys: Keys
    learned: NDArray[np.int64]
    held_out: NDArray[np.int64]
    fitted: NDArray[np.int64]
    calibrated: NDArray[np.int64]
    border: Border


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training made.

    onnx, spec: of the served model; judged_onnx, judged_spec: of the judged one. border: what the judged one learned
    from. metrics, baseline_metrics: on the hold-out, of the judged model and of the dummy; a metric that the rows leave
    undefined is left out. holdout_rows, holdout_predictions: tables as `dump_table` writes them; the first has the
    typed columns, the second what scikit-learn answers: `score_0`, `score_1`, … of the judged model as the spec orders
    them, `served_0`, … of the served one, `again_0`, … of one like the judged with another seed on other rows, and the
    dummy's `baseline_0`, …. importances: by feature, as `importances` tells. pipeline, served: as fitted, in memory
    only. setting: what fits it again. fits: how many models the search and its end fitted. learned, held_out: positions
    in the table. fitted: on how many rows each was fitted, or calibrated, or judged.
    """

    onnx: bytes
    spec: ServingSpec
    judged_onnx: bytes
    judged_spec: ServingSpec
    border: Border
    leaderboard: tuple[Entry, ...]
    setting: Setting
    metrics: dict[str, float]
    baseline_metrics: dict[str, float]
    holdout_rows: bytes
    holdout_predictions: bytes
    importances: dict[str, float]
    pipeline: Pipeline
    served: Pipeline
    fits: int
    learned: NDArray[np.int64]
    held_out: NDArray[np.int64]
    fitted: dict[str, int]

    @property
    def chosen(self) -> str:
        return self.setting.name


def train(frame: pd.DataFrame, contract: Contract, keys: Keys | None = None) -> Trained:
    """Train on a typed table. The same table, keys and contract give the same bytes on one machine.

    keys: of each row, its place in every split; where left out, they follow from the features.
    Raises Refused where the table cannot be learned from, saying what to do.
    """
    plan = plan_search(contract)
    divided = divide(frame, contract, keys)
    frame, keys = divided.frame, divided.keys
    training, kept = frame.iloc[divided.fitted], frame.iloc[divided.calibrated]
    holdout = frame.iloc[divided.held_out]
    labels = _labels(training, contract)
    table = _table(training, contract, labels)
    entries = search(plan, table, contract)
    setting = choose(plan, entries, contract)
    pipeline = fit_pipeline(setting, training, contract)
    dummy = make_estimator(plan.settings[0], contract, rows=len(training), classes=table.classes)
    fit(dummy, table.features, table.target)
    scores = scores_of(pipeline, holdout[list(contract.features)])
    baseline = scores_of(dummy, holdout[list(contract.features)])
    known = frame[_is_known(frame, contract, labels)]
    served = fit_pipeline(setting, known, contract)
    again = fit_pipeline(setting, _drawn_anew(known, keys, len(training), contract), _reseeded(contract))
    conformal = None
    if len(kept):
        conformal = conform(
            _truth(kept, contract, labels),
            scores_of(pipeline, kept[list(contract.features)]),
            contract.serving.coverage,
        )

    def spec_of(fitted: Pipeline, on: pd.DataFrame) -> ServingSpec:
        spec = replace(serving_spec(fitted, contract), uncertainty=conformal)
        return replace(spec, baseline=baseline_of(on, spec)) if contract.serving.explain else spec

    spec, judged_spec = spec_of(served, known), spec_of(pipeline, training)
    truth = _truth(holdout, contract, labels)
    features = holdout[list(contract.features)]
    predictions = {
        "score": scores,
        "served": scores_of(served, features),
        "again": _spread_like(again, scores_of(again, features), pipeline),
        "baseline": baseline,
    }
    return Trained(
        onnx=to_onnx(served, spec),
        spec=spec,
        judged_onnx=to_onnx(pipeline, judged_spec),
        judged_spec=judged_spec,
        border=divided.border,
        leaderboard=tuple(entries),
        setting=setting,
        metrics=_metrics(truth, scores, contract),
        baseline_metrics=_metrics(truth, baseline, contract),
        holdout_rows=dump_table(holdout),
        holdout_predictions=_dump_predictions(predictions),
        importances=importances(pipeline, holdout, truth, contract),
        pipeline=pipeline,
        served=served,
        fits=sum(entry.fits for entry in entries) + FINAL_FITS,
        learned=divided.learned,
        held_out=divided.held_out,
        fitted={
            "judged": len(training),
            "served": len(known),
            "calibration": len(kept),
            "holdout": len(holdout),
        },
    )


def divide(frame: pd.DataFrame, contract: Contract, keys: Keys | None = None) -> Divided:
    """Say which rows of a table are fitted on, calibrated on and held out. Arguments and errors are those of train."""
    frame = _typed(frame, contract)
    if keys is None:
        keys = content_keys(row_hashes(frame, list(contract.features)))
    try:
        learned, held_out, border = split_holdout(frame, keys, contract)
    except ValueError as error:
        raise Refused(f"{error}; upload more", code="TOO_FEW_ROWS") from error
    fitted, calibrated = split_calibration(frame.iloc[learned], keys[learned], contract)
    return Divided(frame, keys, learned, held_out, learned[fitted], learned[calibrated], border)


def _is_known(frame: pd.DataFrame, contract: Contract, labels: Sequence[Label]) -> NDArray[np.bool_]:
    """Which rows have a class that the training side has too: of another nobody could say how well it is told."""
    if contract.task is Task.REGRESSION:
        return np.ones(len(frame), dtype=bool)
    return frame[contract.target].isin([label_text(label) for label in labels]).to_numpy()


def _drawn_anew(known: pd.DataFrame, keys: Keys, rows: int, contract: Contract) -> pd.DataFrame:
    """As many rows as the judged model learned from, drawn from all by another order of keys; of one class, all."""
    order = np.argsort(mix(keys[known.index.to_numpy()] ^ np.uint64(1)), kind="stable")
    drawn = known.iloc[np.sort(order[:rows])]
    is_one_class = contract.task is Task.CLASSIFICATION and drawn[contract.target].nunique() < 2
    return known if is_one_class else drawn


def _reseeded(contract: Contract) -> Contract:
    seed = (contract.training.seed + 1) % 2**31
    return contract.model_copy(update={"training": contract.training.model_copy(update={"seed": seed})})


def _spread_like(fitted: Pipeline, scores: Floats, like: Pipeline) -> Floats:
    """Widen the scores of a model that may have seen fewer classes to those of another."""
    if not hasattr(like["model"], "classes_"):
        return scores
    classes = like["model"].classes_.tolist()
    wide = np.zeros((len(scores), len(classes)))
    for place, label in enumerate(fitted["model"].classes_.tolist()):
        if label in classes:
            wide[:, classes.index(label)] = scores[:, place]
    return wide


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
            stored, wanted = ("text", "numbers") if expected else ("numbers", "text")
            message = f"the accepted data holds {name} as {stored}, the contract now asks for {wanted}; upload it again"
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
        pooled={name for name, categories in learned.items() if categories.pools_infrequent},
        classes=[label_text(label) for label in classes],
    )


def _metrics(truth: NDArray[Any], scores: Floats, contract: Contract) -> dict[str, float]:
    values = {name: measure(METRICS[name], truth, scores) for name in metrics_of(contract.task)}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _dump_predictions(scores: Mapping[str, Floats]) -> bytes:
    columns = {f"{name}_{place}": column for name, table in scores.items() for place, column in enumerate(table.T)}
    return dump_table(pd.DataFrame(columns))
