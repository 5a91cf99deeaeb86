"""The budget is spent fairly, on folds that do not leak."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from serin.contract.keys_and_defaults import FINAL_FITS, Candidate
from serin.contract.model import Contract
from serin.errors import Refused
from serin.training.search import (
    Entry,
    SearchPlan,
    Setting,
    Table,
    choose,
    plan_search,
    search,
    split_folds,
)
from tests.builders import a_contract


def a_plan(**training: Any) -> SearchPlan:
    return plan_search(a_contract(training=training))


def a_table(rows: int = 60, classes: int = 2, **changes: Any) -> Table:
    random = np.random.default_rng(0)
    features = pd.DataFrame(
        {
            "age": random.normal(50, 9, rows),
            "salary": random.normal(size=rows),
            "education": pd.Series(random.choice(["school", "degree"], rows), dtype="str"),
        }
    )
    return Table(**{"features": features, "target": np.arange(rows) % classes, "classes": classes, **changes})


def an_entry(family: str, mean: float | None) -> Entry:
    return Entry(family, {}, mean, 0.0, 5, is_baseline=False, is_candidate=True)


def choose_among(contract: Contract, means: dict[str, float | None]) -> Setting:
    settings = tuple(Setting(Candidate(family), {}, is_baseline=False, is_candidate=True) for family in means)
    entries = [an_entry(family, mean) for family, mean in means.items()]
    return choose(SearchPlan(settings, folds=5), entries, contract)


@pytest.mark.parametrize("budget", [10, 11, 17, 22, 40, 63, 500])
@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_a_plan_stays_within_its_budget(budget: int, folds: int) -> None:
    plan = a_plan(budget=budget, folds=folds)
    assert plan.fits <= budget
    assert 2 <= plan.folds <= folds
    assert {setting.name for setting in plan.settings} == {"dummy", "linear", "forest", "boosting"}


def test_families_take_turns() -> None:
    names = [setting.name for setting in a_plan(budget=40, folds=5).settings]
    assert names == ["dummy", "linear", "forest", "boosting", "linear", "forest", "boosting"]


def test_a_small_budget_takes_fewer_folds_rather_than_fewer_families() -> None:
    plan = a_plan(budget=16, folds=5)
    assert plan.folds == 3
    assert [setting.name for setting in plan.settings] == ["dummy", "linear", "forest", "boosting"]


def test_the_linear_baseline_is_fitted_where_linear_is_no_candidate_and_is_not_chosen() -> None:
    plan = a_plan(budget=8, folds=2, candidates=["boosting"])
    linear = next(setting for setting in plan.settings if setting.name == "linear")
    assert linear.is_baseline
    assert not linear.is_candidate
    entries = [
        Entry(each.name, {}, mean, 0.0, 2, each.is_baseline, each.is_candidate)
        for each, mean in zip(plan.settings, (0.5, 0.99, 0.7), strict=True)
    ]
    assert choose(plan, entries, a_contract()).name == "boosting"


def test_every_fit_is_counted() -> None:
    contract = a_contract(training={"budget": 12, "folds": 2})
    plan = plan_search(contract)
    entries = search(plan, a_table(), contract)
    assert sum(entry.fits for entry in entries) + FINAL_FITS == plan.fits


def test_the_best_is_the_highest_or_the_lowest_as_the_metric_says() -> None:
    means: dict[str, float | None] = {"linear": 0.6, "forest": 0.7, "boosting": None}
    assert choose_among(a_contract(training={"metric": "roc_auc"}), means).name == "forest"
    assert choose_among(a_contract(training={"metric": "log_loss"}), means).name == "linear"


def test_of_equals_the_plainer_is_chosen() -> None:
    assert choose_among(a_contract(), {"linear": 0.7, "boosting": 0.7}).name == "linear"


def test_where_nothing_could_be_measured_nothing_is_chosen() -> None:
    with pytest.raises(Refused, match="too few rows"):
        choose_among(a_contract(), {"linear": None})


def test_an_entity_is_never_on_both_sides_of_a_fold() -> None:
    groups = np.random.default_rng(0).integers(0, 12, 60)
    for contract in (a_contract(), a_contract(task="regression")):
        folds = list(split_folds(5, a_table(groups=groups), contract))
        assert len(folds) == 5
        assert all(not set(groups[train]) & set(groups[test]) for train, test in folds)


def test_with_a_time_what_is_tested_comes_later_than_what_is_learned() -> None:
    times = np.random.default_rng(0).permutation(60).astype(float)
    folds = list(split_folds(4, a_table(times=times), a_contract()))
    assert len(folds) == 4
    assert all(times[train].max() < times[test].min() for train, test in folds)


def test_classes_are_divided_in_proportion() -> None:
    target = np.array([0] * 50 + [1] * 10)
    for _, test in split_folds(5, a_table(target=target), a_contract()):
        assert target[test].sum() == 2


def test_a_fold_whose_training_rows_have_one_class_is_left_out() -> None:
    target = np.array([0] * 30 + [1] * 30)
    contract = a_contract(training={"budget": 12, "folds": 2})
    table = a_table(target=target, times=np.arange(60.0))
    first, second = (train for train, _ in split_folds(2, table, contract))
    assert set(target[first]) == {0}
    assert set(target[second]) == {0, 1}
    assert [entry.fits for entry in search(plan_search(contract), table, contract)] == [1] * 5


def test_a_class_that_a_fold_did_not_see_has_probability_zero_there() -> None:
    contract = a_contract(training={"budget": 10, "folds": 2, "metric": "log_loss"})
    table = a_table(target=np.array([0, 1] * 29 + [2, 0]), classes=3)
    entries = search(plan_search(contract), table, contract)
    assert all(entry.mean is not None and np.isfinite(entry.mean) for entry in entries)
