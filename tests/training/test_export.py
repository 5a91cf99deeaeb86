"""An exported model answers as its pipeline does, on the rows that are hardest to answer alike."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, load_iris

from serin.contract.serving_spec import NO_CATEGORY
from serin.serving.rows.encode import MAX_MAGNITUDE
from tests.training.exporting import Exported, a_contract_for, export, hard_rows

FAMILIES = ("linear", "forest", "boosting")
ROWS = 300


def _mixed() -> tuple[pd.DataFrame, str]:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "income": random.lognormal(10, 1, ROWS).round(2),
            "age": random.integers(18, 90, ROWS).astype(float),
            "job": random.choice(["clerk", "cook", "pilot"], ROWS),
            "town": random.choice([f"0{place}" for place in range(8)], ROWS),
        }
    )
    risky = (frame["income"] < 20_000) ^ (frame["job"] == "cook") ^ (frame["age"] > 60)
    frame["t"] = np.where(risky, "bad", "good")
    frame.loc[random.random(ROWS) < 0.2, "income"] = np.nan
    frame.loc[random.random(ROWS) < 0.2, "job"] = None
    return frame.astype({"job": "str", "town": "str"}), "classification"


def _large_integers() -> tuple[pd.DataFrame, str]:
    random = np.random.default_rng(1)
    truth = random.random(ROWS) < 0.5
    frame = pd.DataFrame(
        {
            "beyond_single": 2.0**24 + random.integers(0, 9, ROWS) + 3 * truth,
            "account": 1e15 + random.integers(0, 9, ROWS) + 3 * truth,
            "t": np.where(truth, "1", "0"),
        }
    )
    return frame, "classification"


def _tight_thresholds() -> tuple[pd.DataFrame, str]:
    steps = np.arange(ROWS)
    frame = pd.DataFrame({"x": 1 + steps * 2.0**-51, "y": 1e8 + steps % 7 * 2.0**-26})
    return frame.assign(t=np.where(steps % 90 < 45, "a", "b")), "classification"


def _only_categories() -> tuple[pd.DataFrame, str]:
    random = np.random.default_rng(2)
    frame = pd.DataFrame({"one": ["same"] * ROWS, "few": random.choice(list("abc"), ROWS)})
    return frame.assign(t=np.where(random.random(ROWS) < 0.3, "a", frame["few"])), "classification"


def _many_categories() -> tuple[pd.DataFrame, str]:
    random = np.random.default_rng(3)
    number = np.minimum(random.zipf(1.3, 3 * ROWS), 400)
    frame = pd.DataFrame({"zip": [f"z{place}" for place in number], "x": random.normal(size=3 * ROWS)})
    return frame.assign(t=np.where(number % 3 == 0, "true", "false")), "classification"


def _one_number() -> tuple[pd.DataFrame, str]:
    random = np.random.default_rng(4)
    x = random.normal(size=ROWS)
    frame = pd.DataFrame({"x": x, "kind": random.choice(["p", "q"], ROWS)})
    return frame.assign(t=np.where(x + random.normal(size=ROWS) > 0, "yes", "no")), "classification"


def _empty_and_constant() -> tuple[pd.DataFrame, str]:
    frame, task = _mixed()
    blank = pd.Series([None] * ROWS, dtype="str")
    return frame.assign(nothing=np.nan, blank=blank, seven=7.0, one="x"), task


def _three_classes() -> tuple[pd.DataFrame, str]:
    frame = load_iris(as_frame=True).frame
    return frame.rename(columns={"target": "t"}).astype({"t": "str"}), "classification"


def _ten_classes() -> tuple[pd.DataFrame, str]:
    frame = load_digits(as_frame=True).frame.head(500)
    return frame.rename(columns={"target": "t"}).astype({"t": "str"}), "classification"


def _values(scale: float, offset: float) -> Callable[[], tuple[pd.DataFrame, str]]:
    def table() -> tuple[pd.DataFrame, str]:
        frame, _ = _mixed()
        random = np.random.default_rng(5)
        value = frame["age"] + 20 * (frame["job"] == "pilot") + random.normal(size=ROWS)
        return frame.assign(t=value * scale + offset), "regression"

    return table


TABLES: dict[str, Callable[[], tuple[pd.DataFrame, str]]] = {
    "mixed": _mixed,
    "large integers": _large_integers,
    "tight thresholds": _tight_thresholds,
    "only categories": _only_categories,
    "many categories": _many_categories,
    "one number": _one_number,
    "empty and constant columns": _empty_and_constant,
    "three classes": _three_classes,
    "ten classes": _ten_classes,
    "values": _values(1, 0),
    "large values": _values(1e7, 1e9),
    "small values": _values(1e-9, 0),
}


@cache
def exported(table: str, family: str) -> tuple[Exported, pd.DataFrame]:
    frame, task = TABLES[table]()
    return export(frame, a_contract_for(frame, "t", task), family), frame.drop(columns="t")


def assert_equal_answers(model: Exported, features: pd.DataFrame) -> None:
    served, expected = model.served_scores(features), model.scikit_scores(features)
    np.testing.assert_allclose(served, expected, rtol=1e-12, atol=1e-13)
    gap = np.sort(expected, axis=1)
    decided = gap[:, -1] - gap[:, -2] > 1e-12 if expected.shape[1] > 1 else np.zeros(len(gap), dtype=bool)
    np.testing.assert_array_equal(served.argmax(axis=1)[decided], expected.argmax(axis=1)[decided])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("table", TABLES)
def test_answers_equal_scikit_learns_on_hard_rows(table: str, family: str) -> None:
    model, features = exported(table, family)
    rows = hard_rows(model, features, count=200)
    if family == "forest":  # scikit-learn itself refuses what is infinite in single precision after scaling
        scaled = model.pipeline["columns"].transform(rows)
        rows = rows[(np.abs(scaled) < 3e38).all(axis=1)]
    assert len(rows) > 100
    assert_equal_answers(model, rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_is_answered_alone_as_among_others(family: str) -> None:
    model, features = exported("mixed", family)
    rows = hard_rows(model, features, count=40)
    alone = np.concatenate([model.served_scores(rows.iloc[[place]]) for place in range(len(rows))])
    np.testing.assert_allclose(alone, model.served_scores(rows), rtol=1e-12, atol=0)


numbers = st.floats(-1e30, 1e30, allow_nan=False) | st.integers(-(2**62), 2**62) | st.none()
texts = st.sampled_from(["clerk", "cook", "pilot", "00", "07", None]) | st.text(max_size=5).filter(
    lambda text: "\x00" not in text and text == text.strip() and text.lower() not in NO_CATEGORY  # as a table holds it
)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(numbers, numbers, texts, texts), min_size=1, max_size=20))
def test_answers_equal_scikit_learns_on_any_rows(rows: list[tuple[Any, ...]]) -> None:
    frame = pd.DataFrame(rows, columns=["income", "age", "job", "town"], dtype=object)
    typed = frame.astype({"income": "float64", "age": "float64", "job": "str", "town": "str"})
    for family in FAMILIES:
        assert_equal_answers(exported("mixed", family)[0], typed)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_largest_numbers_that_are_allowed_are_answered(family: str) -> None:
    model, _ = exported("mixed", family)
    rows = pd.DataFrame(
        {"income": [MAX_MAGNITUDE, -MAX_MAGNITUDE], "age": [30.0, -MAX_MAGNITUDE], "job": "x", "town": "y"}
    )
    assert np.isfinite(model.served_scores(rows)).all()


def test_a_forest_of_many_classes_stays_small() -> None:
    model, _ = exported("ten classes", "forest")
    assert len(model.onnx) < 5_000_000


EXPORT_IN_A_PROCESS = """
import hashlib, sys
from tests.training.test_export import TABLES
from tests.training.exporting import a_contract_for
from serin.training.train import train
frame, task = TABLES["mixed"]()
for family in ("linear", "forest", "boosting"):
    contract = a_contract_for(frame, "t", task, training={"candidates": [family], "folds": 2, "budget": 8})
    made = train(frame, contract)
    for part in (made.onnx, made.spec.to_json(), made.holdout_rows, made.holdout_predictions):
        print(hashlib.sha256(part).hexdigest())
"""


def test_the_same_inputs_give_the_same_bytes_in_another_process() -> None:
    def start(hash_seed: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", EXPORT_IN_A_PROCESS]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    first, second = (process.communicate()[0] for process in [start("1"), start("2")])
    assert len(first.split()) == 12
    assert second == first
