"""Which model is measured? Boosting of 100 trees over 14 numbers and 6 categories, exported as in training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from serin.contract.model import Contract
from serin.contract.serving_spec import ServingSpec
from serin.registry.ids import sha256
from serin.registry.records import Champion, ModelVersion, Route, VersionStatus
from serin.serving.rows.encode import encode_columns
from serin.training.export import to_onnx
from serin.training.pipelines import build_transform
from serin.training.search import fit
from serin.training.train import serving_spec

NAME = "subject"
NUMBERS = tuple(f"number_{place}" for place in range(14))
CATEGORIES = {f"category_{place}": levels for place, levels in enumerate((2, 4, 6, 9, 15, 30))}
FEATURES = (*NUMBERS, *CATEGORIES)
TREES = 100
TRAINING_ROWS = 20_000
TRAINING_SEED = 1
MISSING_SHARE = 0.05
CONTRACT = Contract.model_validate(
    {
        "model": NAME,
        "task": "classification",
        "target": "outcome",
        "features": {
            **{name: {"type": "number", "missing": "allow"} for name in NUMBERS},
            **{name: {"type": "category", "missing": "allow"} for name in CATEGORIES},
        },
    }
)


def draw_table(rows: int, *, seed: int, unseen_share: float = 0.0) -> pd.DataFrame:
    """Make rows of every feature, some of them missing, and of the categories a share that training never saw."""
    random = np.random.default_rng(seed)
    columns: dict[str, NDArray[Any]] = {
        name: random.normal(loc=place, scale=1 + place, size=rows) for place, name in enumerate(NUMBERS)
    }
    for name, levels in CATEGORIES.items():
        known = np.array([f"{name} level {level}" for level in range(levels)], dtype=object)
        columns[name] = known[random.integers(0, levels, rows)]
        columns[name][random.random(rows) < unseen_share] = "never seen"
    for column in columns.values():
        column[random.random(rows) < MISSING_SHARE] = None
    return pd.DataFrame(columns)


def columns_of(table: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Give a table as columns, a missing category being None, as the library reads stored tables."""
    numbers = {name: table[name].to_numpy(dtype=np.float64) for name in NUMBERS}
    texts = {name: table[name].astype(object) for name in CATEGORIES}
    return numbers | {name: text.where(text.notna(), None).to_numpy() for name, text in texts.items()}


def draw_outcomes(table: pd.DataFrame, *, seed: int) -> NDArray[np.str_]:
    """Label rows by a rule that takes numbers, categories and pairs of them, and some noise."""
    random = np.random.default_rng(seed)
    numbers = (table[list(NUMBERS)].fillna(0) - np.arange(14)) / np.arange(1, 15)
    levels = [pd.factorize(table[name], sort=True)[0] / count for name, count in CATEGORIES.items()]
    score = numbers.to_numpy() @ np.linspace(1, 0.1, 14) + sum(levels)
    score += numbers["number_0"] * levels[4] * 3 + np.abs(numbers["number_1"]) * (levels[1] > 0.5)
    noisy = score + random.normal(0, 0.5, len(table))
    return np.where(noisy > noisy.median(), "yes", "no")


@dataclass(frozen=True, slots=True, eq=False)  # so that, like an adapter, it hashes by identity
class Subject:
    """The model: as fitted by scikit-learn, and as a version that can be routed to.

    row: one row as a client sends it. It also is where artifacts are read, by `get`.
    """

    pipeline: Pipeline
    spec: ServingSpec
    version: ModelVersion
    files: Mapping[str, bytes]
    row: dict[str, Any]

    def get(self, key: str, version: str | None = None) -> bytes:  # noqa: ARG002  # as a bucket is read
        return self.files[key.rpartition("/")[2]]

    @property
    def route(self) -> Route:
        return Route(NAME, Champion(self.version.number, self.version.files, self.version.created_at))

    @property
    def body(self) -> bytes:
        """A request for one row in the plain form."""
        return json.dumps({"rows": [self.row]}).encode()

    def write(self, folder: Path) -> None:
        """Write what other tools make their service of: the pipeline, the artifact, and the training rows encoded."""
        folder.mkdir(parents=True, exist_ok=True)
        joblib.dump(self.pipeline, folder / "pipeline.joblib")
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        table = draw_table(TRAINING_ROWS, seed=TRAINING_SEED)
        encoded = encode_columns(columns_of(table), self.spec)
        np.savez(folder / "encoded.npz", numeric=encoded.numeric, codes=encoded.codes)


def an_event(subject: Subject) -> dict[str, Any]:
    """Make what API Gateway sends to the function for a request of one row."""
    event: dict[str, Any] = json.loads((Path(__file__).parent / "event.json").read_text())
    return {**event, "body": subject.body.decode()}


def make_subject() -> Subject:
    """Fit the model and export it; the same each time."""
    table = draw_table(TRAINING_ROWS, seed=TRAINING_SEED).astype(dict.fromkeys(CATEGORIES, "str"))
    boosting = HistGradientBoostingClassifier(max_iter=TREES, early_stopping=False, random_state=0)
    pipeline = Pipeline([("columns", build_transform(CONTRACT)), ("model", boosting)])
    fit(pipeline, table, draw_outcomes(table, seed=TRAINING_SEED))
    spec = serving_spec(pipeline, CONTRACT)
    files = {"model.onnx": to_onnx(pipeline, spec), "spec.json": spec.to_json()}
    digests = {name: sha256(content) for name, content in files.items()}
    manifest = json.dumps({"model": NAME, "version": 1, "files": digests}).encode()
    version = ModelVersion(
        model=NAME,
        number=1,
        run="benchmark",
        status=VersionStatus.PASSED,
        files=digests,
        manifest_sha256=sha256(manifest),
        datasets=(),
        chosen="boosting",
        metrics={},
        gates=(),
        created_at="2026-01-01T00:00:00+00:00",
    )
    row = table.dropna().iloc[0].to_dict()
    return Subject(pipeline, spec, version, {**files, "manifest.json": manifest}, row)
