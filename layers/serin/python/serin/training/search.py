"""Which candidate is the best? Each setting is fitted on the same folds, as many as the budget of fits allows.

The budget counts everything that is fitted: two baselines and every setting on every fold, then the chosen one and
the dummy once more on all training rows.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # a part of scikit-learn

from serin.contract.keys_and_defaults import FINAL_FITS, Candidate
from serin.contract.metrics import Task
from serin.contract.model import Contract
from serin.errors import Refused
from serin.training.measure import measure
from serin.training.pipelines import SETTINGS, Params, build_estimator, build_transform

DUMMY = "dummy"

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing to try: a family with its parameters; family None is the dummy."""

    family: Candidate | None
    params: Params
    is_baseline: bool
    is_candidate: bool

    @property
    def name(self) -> str:
        return DUMMY if self.family is None else self.family.value


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the leaderboard: the contract's metric over the folds; None where no fold could be measured."""

    family: str
    params: Params
    mean: float | None
    std: float | None
    fits: int
    is_baseline: bool
    is_candidate: bool


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What will be tried on how many folds, and how many models that fits."""

    settings: tuple[Setting, ...]
    folds: int

    @property
    def fits(self) -> int:
        return len(self.settings) * self.folds + FINAL_FITS


def plan_search(contract: Contract) -> SearchPlan:
    """Spend the budget: the baselines first, then the candidates' settings in turn, so that each family gets its share.

    A small budget takes fewer folds; for two at least it is enough, or the contract would not be one.
    """
    task, training = contract.task, contract.training
    linear_params = SETTINGS[Candidate.LINEAR, task][0]
    dummy = Setting(None, {}, is_baseline=True, is_candidate=False)
    linear = Setting(
        Candidate.LINEAR,
        linear_params,
        is_baseline=True,
        is_candidate=Candidate.LINEAR in training.candidates,
    )
    turns = zip_longest(*(_candidates(family, task) for family in dict.fromkeys(training.candidates)))
    candidates = [setting for setting in chain.from_iterable(turns) if setting and setting.params != linear_params]
    families = len(set(training.candidates) - {Candidate.LINEAR})
    folds = min(training.folds, (training.budget - FINAL_FITS) // (2 + families))
    affordable = (training.budget - FINAL_FITS) // folds
    return SearchPlan((dummy, linear, *candidates)[:affordable], folds)


def search(plan: SearchPlan, table: Table, contract: Contract) -> list[Entry]:
    """Measure every setting of the plan by cross-validation, in the order of the plan."""
    fold_values: list[list[float]] = [[] for _ in plan.settings]
    fits = [0] * len(plan.settings)
    for train, test in split_folds(plan.folds, table, contract):
        classes, labels = np.unique(table.target[train], return_inverse=True)
        if contract.task is Task.CLASSIFICATION and len(classes) < 2:
            continue  # nothing to tell apart in this fold
        transform = build_transform(contract)
        columns = transform.fit_transform(table.features.iloc[train])
        test_columns = transform.transform(table.features.iloc[test])
        for place, setting in enumerate(plan.settings):
            estimator = make_estimator(setting, contract, rows=len(train), classes=table.classes)
            target = labels if contract.task is Task.CLASSIFICATION else table.target[train]
            fit(estimator, columns, target)
            scores = scores_of(estimator, test_columns)
            if contract.task is Task.CLASSIFICATION:
                scores = _spread(scores, classes.astype(np.int64), table.classes)
            fold_values[place].append(measure(contract.metric, table.target[test], scores))
            fits[place] += 1
    return [_entry(*line) for line in zip(plan.settings, fold_values, fits, strict=True)]


def choose(plan: SearchPlan, entries: list[Entry], contract: Contract) -> Setting:
    """Choose the candidate with the best mean; of equals the earlier, which is the plainer."""
    best: tuple[float, Setting] | None = None
    for setting, entry in zip(plan.settings, entries, strict=True):
        if not setting.is_candidate or entry.mean is None:
            continue
        if best is None or contract.metric.improvement(entry.mean, best[0]) > 0:
            best = (entry.mean, setting)
    if best is None:
        raise Refused(
            f"{contract.metric.name} could not be measured on any fold: "
            "there are too few rows, or too few of one class; upload more",
            code="TOO_FEW_ROWS",
        )
    return best[1]


@dataclass(frozen=True, slots=True)
class Table:
    """The training rows. target: values, or indices of classes; groups, times: of `entity` and `time`, if any."""

    features: pd.DataFrame
    target: NDArray[Any]
    classes: int
    groups: NDArray[np.int64] | None = None
    times: NDArray[np.float64] | None = None


def split_folds(folds: int, table: Table, contract: Contract) -> Iterator[Fold]:
    """Divide the rows: by time where they have one, else by entity, else at random; classes in proportion."""
    rows = np.arange(len(table.target))
    if table.times is not None:
        order = np.argsort(table.times, kind="stable")
        splitter = TimeSeriesSplit(min(folds, len(rows) - 1))
        yield from ((order[train], order[test]) for train, test in splitter.split(order))
        return
    seed, is_classification = contract.training.seed, contract.task is Task.CLASSIFICATION
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # such folds are measured as far as they can be
        if table.groups is not None and (groups := int(table.groups.max()) + 1) > 1:
            folds = min(folds, groups)
            if is_classification:
                by_group = StratifiedGroupKFold(_stratified(folds, table), shuffle=True, random_state=seed)
            else:
                by_group = GroupKFold(folds, shuffle=True, random_state=seed)
            yield from by_group.split(rows, table.target, table.groups)
        elif is_classification:
            stratified = StratifiedKFold(_stratified(folds, table), shuffle=True, random_state=seed)
            yield from stratified.split(rows, table.target)
        else:
            yield from KFold(min(folds, len(rows)), shuffle=True, random_state=seed).split(rows)


def make_estimator(setting: Setting, contract: Contract, *, rows: int, classes: int) -> Any:
    """Build the unfitted estimator of a setting."""
    if setting.family is None:
        return DummyClassifier(strategy="prior") if contract.task is Task.CLASSIFICATION else DummyRegressor()
    return build_estimator(
        setting.family,
        setting.params,
        task=contract.task,
        seed=contract.training.seed,
        rows=rows,
        classes=classes,
    )


def fit(estimator: Any, columns: Any, target: NDArray[Any]) -> None:
    """Fit in place. A linear model that stops short of its optimum is judged by its scores like any other.

    On one thread: more would change the order of sums, and so the bytes of what is exported.
    """
    with _threads().limit(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(columns, target)


def scores_of(estimator: Any, columns: Any) -> NDArray[np.float64]:
    """Give probabilities, or values as one column, as the serving spec has them."""
    with _threads().limit(limits=1):
        if hasattr(estimator, "predict_proba"):
            return np.asarray(estimator.predict_proba(columns), dtype=np.float64)
        return np.asarray(estimator.predict(columns), dtype=np.float64).reshape(-1, 1)


@cache
def _threads() -> ThreadpoolController:
    """Looking for the libraries that have threads takes longer than a small fit."""
    return ThreadpoolController()


def _candidates(family: Candidate, task: Task) -> list[Setting]:
    return [Setting(family, params, is_baseline=False, is_candidate=True) for params in SETTINGS[family, task]]


def _stratified(folds: int, table: Table) -> int:
    """As many folds as the largest class has rows: scikit-learn refuses more."""
    return max(2, min(folds, int(np.bincount(table.target).max())))


def _spread(scores: NDArray[np.float64], known: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Widen probabilities of the classes that a fold saw to all classes."""
    wide = np.zeros((len(scores), classes))
    wide[:, known] = scores
    return wide


def _entry(setting: Setting, values: list[float], fits: int) -> Entry:
    defined = [value for value in values if math.isfinite(value)]
    return Entry(
        family=setting.name,
        params=setting.params,
        mean=float(np.mean(defined)) if defined else None,
        std=float(np.std(defined)) if defined else None,
        fits=fits,
        is_baseline=setting.is_baseline,
        is_candidate=setting.is_candidate,
    )
