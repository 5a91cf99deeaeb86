"""How do tests ask in any form? A real endpoint over trained models in memory, and its paths without a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from serin.registry.ids import sha256
from serin.registry.records import Champion
from serin.registry.records import Route as ModelRoute
from serin.serving.endpoint import Endpoint
from serin.serving.http import ROUTES, Reply, Route, respond
from serin.serving.route import Router
from serin.training.train import train
from tests.builders import a_contract

FEATURES = {
    "age": {"type": "integer", "min": 18, "max": 100},
    "salary": {"type": "number", "min": 0, "missing": "allow"},
    "owner": {"type": "boolean", "missing": "allow"},
    "education": {"type": "category", "missing": "allow"},
}
VERSION = 3


def a_table(rows: int = 240) -> pd.DataFrame:
    random = np.random.default_rng(0)
    age = random.integers(18, 80, rows).astype(float)
    salary = np.where(random.random(rows) < 0.1, np.nan, random.uniform(10, 90, rows))
    owner = np.where(random.random(rows) < 0.1, np.nan, random.integers(0, 2, rows))
    education = random.choice(np.array(["degree", "school", None], dtype=object), rows)
    worth = age + np.nan_to_num(salary) / 3 + 9 * (education == "degree") + random.normal(0, 5, rows)
    columns = {"age": age, "salary": salary, "owner": owner, "education": education, "worth": worth}
    return pd.DataFrame(columns).assign(approved=np.where(worth > 60, "yes", "no"))


def train_files() -> dict[str, bytes]:
    """Train `loans`, a classification, and `worths`, a regression: their files by key."""
    training = {"budget": "9 fits", "folds": 2, "candidates": ["linear"]}
    asked = {"loans": ("classification", "approved"), "worths": ("regression", "worth")}
    files = {}
    for model, (task, target) in asked.items():
        contract = a_contract(model=model, task=task, target=target, features=FEATURES, training=training)
        trained = train(a_table()[[*FEATURES, target]], contract)
        files[f"models/{model}/{VERSION}/model.onnx"] = trained.onnx
        files[f"models/{model}/{VERSION}/spec.json"] = trained.spec.to_json()
    return files


@dataclass
class World:
    """The models in memory, and an endpoint over them that answers any path."""

    files: dict[str, bytes] = field(repr=False)
    names: tuple[str, ...] = ("loans", "new", "worths")
    now: float = 0.0
    error: Exception | None = None
    reported: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        router = Router(self._route, self.files.__getitem__, lambda: self.now)
        self.endpoint = Endpoint(router, new_id=lambda: "p1", names=self._names)

    def ask(self, method: str, path: str, body: Any = b"", **headers: str) -> Reply:
        """Send a request; a body that is neither bytes nor text goes as JSON. A header's name has _ for -."""
        route, parameters = find(method, path)
        raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        return respond(
            route,
            endpoint=lambda: self.endpoint,
            parameters=parameters,
            headers=said,
            body=raw,
            report=lambda metric, code, reason: self.reported.append(f"{metric} {code}"),
        )

    def _names(self) -> tuple[str, ...]:
        if self.error:
            raise self.error
        return self.names

    def _route(self, model: str) -> ModelRoute | None:
        if self.error:
            raise self.error
        if f"models/{model}/{VERSION}/spec.json" not in self.files:
            return None
        names = ("model.onnx", "spec.json")
        digests = {name: sha256(self.files[f"models/{model}/{VERSION}/{name}"]) for name in names}
        return ModelRoute(model, Champion(VERSION, digests, "2026-01-01T00:00:00+00:00"))


def find(method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """Find the route of a path, as the gateway does."""
    asked = path.split("/")
    for route in ROUTES:
        parts = route.path.split("/")
        if route.method == method and len(parts) == len(asked):
            pairs = list(zip(parts, asked, strict=True))
            if all(part.startswith("{") or part == word for part, word in pairs):
                return route, {part[1:-1]: word for part, word in pairs if part.startswith("{")}
    raise LookupError(f"{method} {path}")
