"""How are a pipeline and its export compared? Both answer the same rows, chosen to be hard."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pandas as pd
from numpy.typing import NDArray
from onnx import numpy_helper
from sklearn.pipeline import Pipeline

from serin.contract.keys_and_defaults import Candidate
from serin.contract.model import Contract
from serin.serving.rows.encode import encode
from serin.serving.runtime.model import LoadedModel
from serin.training.export import to_onnx
from serin.training.pipelines import SETTINGS
from serin.training.search import Setting, scores_of
from serin.training.train import fit_pipeline, serving_spec

# Integers that single precision does not hold, the ends of what is allowed, and what rounding makes of plain decimals.
HARD_NUMBERS = (0.0, -0.0, 2**24 + 1, 2**53 - 1, 10**15 + 1, -1e9, 0.1 + 0.2, 5e-324, 1e-30, 1e30, -1e30)
HARD_CATEGORIES = ("never seen", "#", "(missing)", "é", "x" * 300, None)


@dataclass(frozen=True)
class Exported:
    """A fitted pipeline beside what serving loads of it."""

    pipeline: Pipeline
    onnx: bytes
    model: LoadedModel

    def scikit_scores(self, features: pd.DataFrame) -> NDArray[np.float64]:
        return scores_of(self.pipeline, features)

    def served_scores(self, features: pd.DataFrame) -> NDArray[np.float64]:
        return self.model.predict(encode(as_json_rows(features), self.model.spec))


def a_contract_for(frame: pd.DataFrame, target: str, task: str = "classification", **changes: Any) -> Contract:
    """A contract of all columns: text is a category, the rest a number; everything may be missing."""
    others = {changes.get("entity"), changes.get("time"), target}
    types = {
        name: "number" if pd.api.types.is_numeric_dtype(frame[name]) else "category"
        for name in frame.columns
        if name not in others
    }
    features = {name: {"type": kind, "missing": "allow"} for name, kind in types.items()}
    said = {"model": "m", "task": task, "target": target, "features": features, **changes}
    return Contract.model_validate(said)


def export(frame: pd.DataFrame, contract: Contract, family: str, **params: Any) -> Exported:
    """Fit the first setting of a family, or `params`, on a typed table, and export it."""
    candidate = Candidate(family)
    chosen = params or SETTINGS[candidate, contract.task][0]
    pipeline = fit_pipeline(Setting(candidate, chosen, is_baseline=False, is_candidate=True), frame, contract)
    spec = serving_spec(pipeline, contract)
    content = to_onnx(pipeline, spec)
    return Exported(pipeline, content, LoadedModel.load(content, spec.to_json()))


def as_json_rows(features: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as a client sends them, through JSON; NaN becomes null."""
    rows = features.astype(object).where(features.notna(), None).to_dict("records")
    read: list[dict[str, Any]] = json.loads(json.dumps(rows))
    return read


def hard_rows(exported: Exported, features: pd.DataFrame, *, count: int, seed: int = 0) -> pd.DataFrame:
    """Rows at the model's own thresholds and one step beside them, with hard numbers, missing and unseen values."""
    random = np.random.default_rng(seed)
    rows = features.iloc[random.integers(0, len(features), count)].reset_index(drop=True)
    columns: dict[str, Any] = {}
    for feature in exported.model.spec.features:
        name = feature.name
        if not feature.is_numeric:
            values = rows[name].astype(object).to_numpy()
            odd = np.array([random.choice(np.array(HARD_CATEGORIES, dtype=object)) for _ in range(count)], dtype=object)
            chosen = np.where(random.random(count) < 0.25, odd, values)
            columns[name] = pd.Series(chosen, dtype="str")
            continue
        numbers = rows[name].to_numpy(dtype=np.float64).copy()
        splits = thresholds(exported, name)
        if len(splits):
            near = random.choice(splits, count)
            step = np.nextafter(near, random.choice([-np.inf, np.inf], count))
            at_split = np.where(random.random(count) < 0.5, near, step)
            numbers = np.where(random.random(count) < 0.7, at_split, numbers)
        hard = random.choice(np.array(HARD_NUMBERS, dtype=np.float64), count)
        numbers = np.where(random.random(count) < 0.05, hard, numbers)
        columns[name] = np.where(random.random(count) < 0.15, np.nan, numbers)
    return pd.DataFrame(columns)


def thresholds(exported: Exported, feature: str) -> NDArray[np.float64]:
    """The raw values at which the graph's trees split one number."""
    numbers = [exported.model.spec.numeric[place].name for place in exported.model.columns.numbers]
    asked = [place for place, name in enumerate(numbers) if name == feature]
    for node in onnx.load_from_string(exported.onnx).graph.node:
        if node.op_type == "TreeEnsemble":
            said = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
            of_feature = np.isin(said["nodes_featureids"], asked)
            splits: NDArray[np.float64] = numpy_helper.to_array(said["nodes_splits"])[of_feature]
            return splits[np.abs(splits) < 1e30]
    return np.zeros(0)
