"""The metrics are those of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from serin.contract.metrics import METRICS
from serin.training.measure import measure, weighted_measure

CLASS_METRICS = ("roc_auc", "accuracy", "balanced_accuracy", "f1", "log_loss")
VALUE_METRICS = ("r2", "mae", "rmse")


def by_scikit_learn(name: str, truth: NDArray[Any], scores: NDArray[np.float64]) -> float:
    classes, predicted = list(range(scores.shape[1])), scores.argmax(axis=1)
    match name:
        case "roc_auc" if len(classes) == 2:
            return float(sk.roc_auc_score(truth, scores[:, 1]))
        case "roc_auc":
            return float(sk.roc_auc_score(truth, scores, multi_class="ovr", labels=classes))
        case "accuracy":
            return float(sk.accuracy_score(truth, predicted))
        case "balanced_accuracy":
            return float(sk.recall_score(truth, predicted, labels=np.unique(truth), average="macro"))
        case "f1":
            return float(sk.f1_score(truth, predicted, average="macro"))
        case "log_loss":
            return float(sk.log_loss(truth, scores, labels=classes))
        case "r2":
            return float(sk.r2_score(truth, scores[:, 0]))
        case "mae":
            return float(sk.mean_absolute_error(truth, scores[:, 0]))
        case _:
            return float(sk.root_mean_squared_error(truth, scores[:, 0]))


def draw_classes(seed: int, classes: int, rows: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Truth in which every class occurs, and probabilities with ties."""
    random = np.random.default_rng(seed)
    truth = random.permutation(np.concatenate([np.arange(classes), random.integers(0, classes, rows - classes)]))
    scores = random.integers(1, 6, (rows, classes)).astype(np.float64)
    return truth, scores / scores.sum(axis=1, keepdims=True)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), classes=st.integers(2, 4), rows=st.integers(6, 40))
def test_metrics_of_classes_equal_scikit_learns(seed: int, classes: int, rows: int) -> None:
    truth, scores = draw_classes(seed, classes, rows)
    for name in CLASS_METRICS:
        assert measure(METRICS[name], truth, scores) == pytest.approx(by_scikit_learn(name, truth, scores)), name


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(3, 40), scale=st.sampled_from([1e-9, 1.0, 1e9]))
def test_metrics_of_values_equal_scikit_learns(seed: int, rows: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    truth, scores = random.normal(size=rows) * scale, random.normal(size=(rows, 1)) * scale
    for name in VALUE_METRICS:
        assert measure(METRICS[name], truth, scores) == pytest.approx(by_scikit_learn(name, truth, scores)), name


@pytest.mark.parametrize("name", CLASS_METRICS)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_weight_counts_as_that_many_rows(name: str, classes: int) -> None:
    truth, scores = draw_classes(7, classes, 30)
    times = np.random.default_rng(1).integers(0, 4, 30)
    repeated = measure(METRICS[name], np.repeat(truth, times), np.repeat(scores, times, axis=0))
    assert weighted_measure(METRICS[name], truth, scores)(times.astype(float)) == pytest.approx(repeated)


@pytest.mark.parametrize("name", VALUE_METRICS)
def test_a_weight_counts_as_that_many_values(name: str) -> None:
    random = np.random.default_rng(1)
    truth, scores, times = random.normal(size=30), random.normal(size=(30, 1)), random.integers(0, 4, 30)
    repeated = measure(METRICS[name], np.repeat(truth, times), np.repeat(scores, times, axis=0))
    assert weighted_measure(METRICS[name], truth, scores)(times.astype(float)) == pytest.approx(repeated)


def test_the_area_is_undefined_where_one_class_is_there() -> None:
    assert np.isnan(measure(METRICS["roc_auc"], np.ones(5, dtype=np.int64), np.full((5, 2), 0.5)))


def test_the_area_of_many_classes_leaves_out_the_absent() -> None:
    truth, scores = draw_classes(3, 3, 20)
    with_one_more = np.column_stack([scores, np.zeros(20)])
    assert measure(METRICS["roc_auc"], truth, with_one_more) == pytest.approx(
        measure(METRICS["roc_auc"], truth, scores)
    )


def test_a_class_that_the_scores_do_not_know_is_answered_wrongly() -> None:
    truth, scores = np.array([0, 1, -1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    assert measure(METRICS["accuracy"], truth, scores) == pytest.approx(2 / 3)
    assert measure(METRICS["f1"], truth, scores) == pytest.approx((1 + 2 / 3) / 2)
    assert measure(METRICS["log_loss"], truth, scores) > 10
