"""A training makes everything that a version needs, or says why it cannot."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, roc_auc_score

from serin.contract.model import Contract
from serin.data.storage import load_columns, load_table
from serin.errors import Refused
from serin.serving.rows.encode import encode_columns
from serin.serving.runtime.model import LoadedModel
from serin.training.pipelines import MAX_CATEGORIES
from serin.training.train import Trained, train
from tests.training.exporting import a_contract_for

QUICK = {"candidates": ["linear", "boosting"], "folds": 2, "budget": 8}


def a_frame(rows: int = 200, *, labels: tuple[str, str] = ("no", "yes")) -> pd.DataFrame:
    random = np.random.default_rng(0)
    age = random.integers(18, 90, rows).astype(float)
    job = random.choice(["clerk", "cook"], rows)
    likely = (age > 50) ^ (random.random(rows) < 0.1)
    text = {"job": "str", "t": "str"}
    return pd.DataFrame({"age": age, "job": job, "t": np.where(likely, labels[1], labels[0])}).astype(text)


def a_contract_of(frame: pd.DataFrame, task: str = "classification", **changes: Any) -> Contract:
    return a_contract_for(frame, "t", task, **{"training": QUICK, **changes})


@cache
def of_classes() -> Trained:
    return train(a_frame(), a_contract_of(a_frame()))


@cache
def of_values() -> Trained:
    frame = a_frame().assign(t=lambda table: table["age"] * 3 + 7)
    return train(frame, a_contract_of(frame, "regression"))


def test_the_leaderboard_has_both_baselines_and_every_candidate() -> None:
    entries = of_classes().leaderboard
    assert [entry.family for entry in entries if entry.is_baseline] == ["dummy", "linear"]
    assert {entry.family for entry in entries if entry.is_candidate} == {"linear", "boosting"}
    assert next(entry.mean for entry in entries if entry.family == "dummy") == 0.5


def test_the_candidate_with_the_best_mean_is_chosen() -> None:
    trained = of_classes()
    best = max((entry for entry in trained.leaderboard if entry.is_candidate), key=lambda entry: entry.mean or 0)
    assert trained.chosen == best.family


def test_the_fits_stay_within_the_budget() -> None:
    assert of_classes().fits <= QUICK["budget"]  # type: ignore[operator]  # a number among lists


def test_the_metrics_are_those_of_the_pipeline_on_the_holdout() -> None:
    trained = of_classes()
    holdout = load_table(trained.holdout_rows)
    scores = trained.pipeline.predict_proba(holdout)[:, 1]
    assert trained.metrics["roc_auc"] == pytest.approx(roc_auc_score(holdout["t"] == "yes", scores))
    assert trained.baseline_metrics["roc_auc"] == 0.5


def test_the_metrics_of_values_are_those_of_the_pipeline_on_the_holdout() -> None:
    trained = of_values()
    holdout = load_table(trained.holdout_rows)
    assert trained.metrics["mae"] == pytest.approx(mean_absolute_error(holdout["t"], trained.pipeline.predict(holdout)))
    assert trained.baseline_metrics["mae"] > trained.metrics["mae"]


@pytest.mark.parametrize("trained", [of_classes, of_values])
def test_the_stored_predictions_are_scikit_learns_and_the_artifact_gives_them(trained: Any) -> None:
    made: Trained = trained()
    columns, stored = load_columns(made.holdout_rows), load_columns(made.holdout_predictions)
    outputs = max(len(made.spec.classes), 1)
    for prefix, onnx, spec in (("score", made.judged_onnx, made.judged_spec), ("served", made.onnx, made.spec)):
        expected = np.column_stack([stored[f"{prefix}_{place}"] for place in range(outputs)])
        given = LoadedModel.load(onnx, spec.to_json()).predict(encode_columns(columns, spec))
        np.testing.assert_allclose(given, expected, rtol=1e-12, atol=1e-13)
    dummy = np.column_stack([stored[f"baseline_{place}"] for place in range(outputs)])
    assert (dummy == dummy[0]).all()


def test_no_row_of_the_holdout_was_learned_from() -> None:
    frame = a_frame().assign(age=np.arange(200.0))
    holdout = load_columns(train(frame, a_contract_of(frame)).holdout_rows)
    pipeline = train(frame, a_contract_of(frame)).pipeline
    learned = 200 - len(holdout["age"])
    assert pipeline["columns"].named_transformers_["numeric"]["scale"].n_samples_seen_ == learned


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (("no", "yes"), ("no", "yes")),
        (("2", "10"), (2, 10)),
        (("false", "true"), (False, True)),
        (("02", "10"), ("02", "10")),
    ],
)
def test_labels_keep_the_type_they_had_in_their_natural_order(
    labels: tuple[str, str], classes: tuple[Any, ...]
) -> None:
    frame = a_frame(labels=labels)
    trained = train(frame, a_contract_of(frame, training={**QUICK, "candidates": ["linear"]}))
    assert trained.spec.classes == classes
    assert [type(label) for label in trained.spec.classes] == [type(label) for label in classes]
    assert trained.spec.positive == 1
    assert set(trained.pipeline.predict(frame)) <= set(classes)


def test_the_contract_says_which_class_the_score_speaks_of() -> None:
    frame = a_frame()
    assert train(frame, a_contract_of(frame, positive="no")).spec.positive == 0


def test_rare_categories_are_pooled_with_those_never_seen() -> None:
    names = [f"c{place % 200}" if place % 2 else f"c{place % 8}" for place in range(600)]
    frame = a_frame(600).assign(job=pd.Series(names, dtype="str"))
    (job,) = train(frame, a_contract_of(frame)).spec.categories
    assert job.pools_infrequent
    assert len(job.values) == MAX_CATEGORIES - 1
    assert {"c0", "c2", "c4", "c6"} <= set(job.values)


def test_a_missing_category_is_one_of_its_own_where_training_saw_one() -> None:
    frame = a_frame()
    (seen,) = train(frame, a_contract_of(frame)).spec.categories
    assert seen.missing_code == -1
    frame.loc[::5, "job"] = None
    (seen,) = train(frame, a_contract_of(frame)).spec.categories
    assert seen.missing_code == seen.values.index("(missing)")


def test_rows_without_a_target_are_left_out() -> None:
    frame = a_frame()
    frame.loc[::4, "t"] = None
    trained = train(frame, a_contract_of(frame))
    assert trained.spec.classes == ("no", "yes")
    assert not load_table(trained.holdout_rows)["t"].isna().any()


@pytest.mark.parametrize(
    ("changed", "code", "says"),
    [
        (lambda frame: frame.assign(t="yes"), "ONE_CLASS", "every row has the t yes"),
        (lambda frame: frame.head(9), "TOO_FEW_ROWS", "9 rows"),
        (lambda frame: frame.assign(t=["yes"] + ["no"] * 199), "TOO_FEW_ROWS", "too few of one class"),
        (lambda frame: frame.drop(columns="job"), "MISSING_COLUMN", "no column job"),
        (lambda frame: frame.assign(age="old"), "TYPE", "age as text"),
        (lambda frame: frame.assign(job=1.0), "TYPE", "job as numbers"),
        (lambda frame: frame.assign(age=1e39), "RANGE", "age holds 1e\\+39"),
    ],
)
def test_a_table_that_cannot_be_learned_from_is_refused_with_a_reason(changed: Any, code: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as caught:
        train(changed(a_frame()).astype({"t": "str"}), a_contract_of(a_frame()))
    assert caught.value.code == code


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_feature_that_decides_is_more_important_than_one_that_does_not(task: str) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"decides": random.normal(size=400), "does_not": random.normal(size=400)})
    frame["kind"] = np.where(random.random(400) < 0.5, "a", "b")
    score = frame["decides"] + (frame["kind"] == "a")
    frame["t"] = score if task == "regression" else np.where(score > 0.5, "yes", "no")
    contract = a_contract_for(frame, "t", task, training={"candidates": ["linear"], "folds": 2, "budget": 8})
    found = train(frame, contract).importances
    assert sorted(found, key=found.__getitem__) == ["does_not", "kind", "decides"]
    assert found["does_not"] < 0.02 < found["kind"]
    assert train(frame, contract).importances == found
