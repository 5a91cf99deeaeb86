"""Answers over HTTP equal scikit-learn's on the same rows to 1e-5, with missing values and unseen categories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from serin.cli.examples import tables
from serin.client.environment import EnvironmentClient
from serin.client.follow import Judged
from serin.contract.load import Contracts
from serin.contract.model import Contract
from serin.data.storage import load_table
from serin.registry.ids import sha256
from serin.registry.records import Release
from serin.training.train import Trained, train
from tests.e2e.conftest import upload, write_contract

EXAMPLES = {
    "loans": lambda: tables.loans(1500),
    "tumours": tables.tumours,
    "diabetes": tables.diabetes,
}
ROWS = 150


@pytest.mark.parametrize("candidates", ["as written", "boosting"])
@pytest.mark.parametrize("example", EXAMPLES)
def test_answers_equal_scikit_learn(there: EnvironmentClient, project: Path, example: str, candidates: str) -> None:
    model = f"{example}-{candidates}".replace(" ", "-")
    written = yaml.safe_load((project / "models" / example / "model.yaml").read_text())
    training: dict[str, Any] = {**written.get("training", {}), "folds": 3, "budget": "14 fits"}
    if candidates == "boosting":
        training["candidates"] = ["boosting"]
    write_contract(project, **{**written, "model": model, "training": training, "gates": []})
    contract = Contracts(project / "models").load(model)

    steps = upload(there, model, "rows.csv", tables.to_csv(EXAMPLES[example]()))
    judged = next(step for step in steps if isinstance(step, Judged))
    assert isinstance(steps[-1], Release)
    trained = train(_dataset(there, model), contract)
    assert sha256(trained.onnx) == judged.version.files["model.onnx"], "the same inputs give the same bytes"
    if candidates == "boosting":
        assert judged.version.chosen == "boosting"

    rows = _adversarial_rows(_dataset(there, model), contract)
    answer = there.call("POST", f"/models/{model}/predict", {"rows": _as_json(rows, contract)})
    assert answer["version"] == 1
    np.testing.assert_allclose(_scores(answer, trained), _expected(trained, rows, contract), rtol=1e-5, atol=1e-5)


def _dataset(there: EnvironmentClient, model: str) -> pd.DataFrame:
    dataset = there.cloud.registry.datasets(model)[0]
    return load_table(there.cloud.data.get(f"datasets/{model}/{dataset.id}/{dataset.table}"))


def _adversarial_rows(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Real rows, of which many lack what may be missing, and many have a category that was never seen."""
    rows = frame.sample(ROWS, random_state=1).reset_index(drop=True)
    random = np.random.default_rng(1)
    for name, feature in contract.features.items():
        if feature.allows_missing:
            rows.loc[random.random(ROWS) < 0.3, name] = None
        if not feature.is_numeric:
            rows.loc[random.random(ROWS) < 0.2, name] = "never seen"
    return rows


def _as_json(rows: pd.DataFrame, contract: Contract) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        rows[list(contract.features)].to_json(orient="records", double_precision=15)
    )
    return found


def _scores(answer: dict[str, Any], trained: Trained) -> np.ndarray:
    if not trained.spec.classes:
        return np.array([[item["score"]] for item in answer["predictions"]])
    return np.array([list(item["probabilities"].values()) for item in answer["predictions"]])


def _expected(trained: Trained, rows: pd.DataFrame, contract: Contract) -> np.ndarray:
    features = rows[list(contract.features)]
    if trained.spec.classes:
        return np.asarray(trained.served.predict_proba(features))
    return np.asarray(trained.served.predict(features)).reshape(-1, 1)
