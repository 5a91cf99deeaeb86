"""What is promised is kept: intervals and sets hold the truth of rows that nobody saw, as often as they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.contract.serving_spec import Conformal, ServingSpec, SpecFeature
from serin.data.border import Keys
from serin.data.row_keys import content_keys, row_hashes
from serin.errors import Refused
from serin.training.calibrate import BASELINE_ROWS, MOST_ROWS, baseline_of, conform, split_calibration
from tests.training.exporting import a_contract_for


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(9, 60), st.sampled_from([0.5, 0.8, 0.9]))
def test_the_calibration_rows_themselves_are_covered_as_often_as_promised(
    seed: int, rows: int, coverage: float
) -> None:
    random = np.random.default_rng(seed)
    truth, scores = random.normal(size=rows), random.normal(size=(rows, 1))
    off = conform(truth, scores, coverage)
    assert coverage * rows <= (np.abs(truth - scores[:, 0]) <= off.bound).sum() < coverage * (rows + 1) + 1
    shares = random.dirichlet([1, 1, 1], rows)
    classes = random.integers(0, 3, rows)
    least = conform(classes, shares, coverage)
    assert coverage * rows <= (shares[np.arange(rows), classes] >= least.bound).sum() < coverage * (rows + 1) + 1


def test_over_many_tables_the_next_row_is_covered_as_often_as_promised() -> None:
    """The guarantee itself: over calibration and the next row together, whatever the model. Here it is a bad one."""
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(2_000):
        truth = random.exponential(size=31)
        scores = np.full((31, 1), 3.0)
        off = conform(truth[:-1], scores[:-1], 0.8)
        hits += abs(truth[-1] - 3.0) <= off.bound
    assert 0.8 - 0.025 < hits / 2_000 < 0.8 + 1 / 31 + 0.025  # 2.8 standard errors


def test_a_class_that_the_model_does_not_know_counts_as_missed() -> None:
    shares = np.tile([0.6, 0.4], (10, 1))
    assert conform(np.array([0] * 8 + [-1] * 2), shares, 0.5).bound == pytest.approx(0.6)
    assert conform(np.array([0] * 8 + [-1] * 2), shares, 0.9).bound == 0.0


@pytest.mark.parametrize(("coverage", "least"), [(0.9, 9), (0.8, 4), (0.95, 19), (0.99, 99)])
def test_too_few_rows_for_a_promise_are_refused_with_the_least(coverage: float, least: int) -> None:
    truth = np.arange(least, dtype=float)
    assert conform(truth, np.zeros((least, 1)), coverage) == Conformal(coverage, pytest.approx(least - 1), least)
    with pytest.raises(Refused, match=f"{least} are the least"):
        conform(truth[1:], np.zeros((least - 1, 1)), coverage)


def keys_of(frame: pd.DataFrame) -> Keys:
    return content_keys(row_hashes(frame, ["x"]))


def a_frame(rows: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    at, who = np.arange(rows, dtype=float), [f"w{place % (rows // 3)}" for place in range(rows)]
    return pd.DataFrame({"x": random.normal(size=rows), "t": random.normal(size=rows), "at": at, "who": who})


@pytest.mark.parametrize("role", ["none", "entity", "time"])
def test_calibration_rows_are_set_aside_as_the_holdout_is(role: str) -> None:
    frame, roles = a_frame(900), {"entity": {"entity": "who"}, "time": {"time": "at"}}.get(role, {})
    contract = a_contract_for(frame, "t", "regression", serving={"uncertainty": "conformal"}, **roles)
    fitted, kept = split_calibration(frame, keys_of(frame), contract)
    assert sorted([*fitted, *kept]) == list(range(900))
    assert 0.15 < len(kept) / 900 < 0.25
    if role == "entity":
        assert not set(frame["who"][fitted]) & set(frame["who"][kept])
    if role == "time":
        assert frame["at"][fitted].max() < frame["at"][kept].min()


def test_of_many_rows_only_so_many_are_kept_and_none_where_nothing_is_promised() -> None:
    frame = a_frame(30_000)
    promised = a_contract_for(frame, "t", "regression", serving={"uncertainty": "conformal"})
    assert len(split_calibration(frame, keys_of(frame), promised)[1]) == pytest.approx(MOST_ROWS, rel=0.1)
    assert len(split_calibration(frame, keys_of(frame), a_contract_for(frame, "t", "regression"))[1]) == 0


def a_spec(**kinds: tuple[str, ...] | None) -> ServingSpec:
    """A spec of numbers, and of categories with the values learned; the first may be `(missing)`."""
    return ServingSpec(
        "m",
        "regression",
        "t",
        tuple(
            SpecFeature(name, "number")
            if values is None
            else SpecFeature(name, "category", values=values, missing_code=0 if values[0] == "(missing)" else -1)
            for name, values in kinds.items()
        ),
    )


def test_explanations_start_from_rows_that_are_there() -> None:
    table: dict[str, list[Any]] = {
        "n": [1.0, 2.5, None],
        "none": [None] * 3,
        "k": ["b", "a", None],
        "rare": ["p", "q", "r"],
        "empty": [None, "a", "b"],
        "t": [1.0, 2.0, 3.0],
    }
    frame = pd.DataFrame(table).astype({"n": float, "none": float})
    spec = a_spec(n=None, none=None, k=("a", "b"), rare=("p",), empty=("(missing)", "a", "b"))
    found = baseline_of(frame, spec)
    assert sorted(zip(found.numbers, found.codes, strict=True), key=repr) == [
        ((1.0, None), (1, 0, 0)),
        ((2.5, None), (0, -1, 1)),
        ((None, None), (-1, -1, 2)),
    ]
    assert baseline_of(frame.drop(columns=["n", "none"]), a_spec(k=("a", "b"))).numbers == ((), (), ())


@pytest.mark.parametrize("is_class", [True, False])
def test_so_many_are_kept_and_the_first_of_them_stand_for_all(is_class: bool) -> None:
    random = np.random.default_rng(3)
    x, k = random.exponential(size=20_000), random.choice(["a", "b", "c"], 20_000, p=[0.7, 0.2, 0.1])
    target = np.where(x > np.quantile(x, 0.75), "yes", "no") if is_class else x
    frame = pd.DataFrame({"x": x, "k": k, "t": target})
    spec = a_spec(x=None, k=("a", "b", "c"))
    found = baseline_of(frame, spec)
    assert found == baseline_of(frame, spec)
    assert len(found) == BASELINE_ROWS
    numbers, codes = np.array(found.numbers)[:, 0], np.array(found.codes)[:, 0]
    if is_class:
        assert (numbers > np.quantile(x, 0.75)).sum() == BASELINE_ROWS / 4, "as many of each class as there are"
    else:
        assert numbers.mean() == pytest.approx(x.mean(), rel=0.05)
    for some in (8, 16, 32):
        assert numbers[:some].mean() == pytest.approx(numbers.mean(), abs=0.8 * numbers.std() / some**0.5)
        for code in range(3):
            assert (codes[:some] == code).mean() == pytest.approx((codes == code).mean(), abs=1.5 / some)
