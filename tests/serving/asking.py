"""How do tests ask in any form? A real endpoint over trained models in memory, and its paths without a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pandas as pd

from serin.cli.faulty import Edit, answering_nan, mistaken, raising
from serin.errors import NotFound
from serin.registry.ids import sha256
from serin.registry.ports import KeptAnswer
from serin.registry.records import Challenger, Champion, ModelVersion, Route
from serin.serving.capture.recorder import Recorder
from serin.serving.endpoint import Endpoint
from serin.serving.http.dispatch import ROUTES, HttpRoute, Reply, respond
from serin.serving.routing.router import Router
from serin.training.train import train
from tests.builders import a_contract

FEATURES = {
    "age": {"type": "integer", "min": 18, "max": 100},
    "salary": {"type": "number", "min": 0, "missing": "allow"},
    "owner": {"type": "boolean", "missing": "allow"},
    "education": {"type": "category", "missing": "allow"},
}
VERSION, TURNED, NAN, RAISES = 3, 4, 5, 6
CHALLENGERS: dict[int, Edit] = {TURNED: partial(mistaken, shift=0.0), NAN: answering_nan, RAISES: raising}


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
    """Train `loans`, a classification, and `worths`, a regression; the same as `cautious` and `spans`, which say more.

    Gives their files by key.
    """
    training = {"budget": "9 fits", "folds": 2, "candidates": ["linear"]}
    surely = {"uncertainty": "conformal", "explain": True}
    asked: dict[str, tuple[str, str, dict[str, Any]]] = {
        "loans": ("classification", "approved", {}),
        "worths": ("regression", "worth", {}),
        "cautious": ("classification", "approved", {**surely, "automation": "partial", "review_below": 0.7}),
        "spans": ("regression", "worth", surely),
    }
    files = {}
    for model, (task, target, serving) in asked.items():
        said = {"model": model, "task": task, "target": target, "features": FEATURES, "serving": serving}
        contract = a_contract(**said, training=training, entity="applicant")
        trained = train(a_table()[[*FEATURES, target]].assign(applicant=""), contract)
        files[f"models/{model}/{VERSION}/model.onnx"] = trained.onnx
        files[f"models/{model}/{VERSION}/spec.json"] = trained.spec.to_json()
    for version, edit in CHALLENGERS.items():
        files[f"models/loans/{version}/model.onnx"] = edit(files[f"models/loans/{VERSION}/model.onnx"])
        files[f"models/loans/{version}/spec.json"] = files[f"models/loans/{VERSION}/spec.json"]
    return files


@dataclass
class World:
    """The models in memory, and an endpoint over them that answers any path."""

    files: dict[str, bytes] = field(repr=False)
    names: tuple[str, ...] = ("loans", "new", "worths")
    now: float = 0.0
    wall: float = 1_767_225_600.0
    seconds_a_look: float = 0.0
    error: Exception | None = None
    champion: int = VERSION
    challenger: Challenger | None = None
    versions: dict[int, ModelVersion] = field(default_factory=dict)
    kept: dict[tuple[str, str], KeptAnswer] = field(default_factory=dict)
    reported: list[str] = field(default_factory=list)
    captured: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpoint = self.another_process()

    def another_process(self) -> Endpoint:
        """An endpoint that has seen nothing yet."""
        router = Router(
            self._route,
            self._file,
            self._look,
            versions=self._version,
            wall_clock=lambda: self.wall + self.now,
            report=self._report,
        )
        recorder = Recorder(self._capture, wall_clock=lambda: self.wall + self.now, report=self._report)
        return Endpoint(
            router,
            new_id=lambda: "p1",
            names=self._names,
            kept=self._kept,
            recorder=recorder,
            report=self._report,
        )

    def try_out(self, version: int, weight: float = 1.0, *, lease: float = 3600.0, release: str = "r1") -> None:
        """Put a version on trial, from the next reading of the route on."""
        until = datetime.fromtimestamp(self.wall + self.now + lease, UTC).isoformat()
        self.challenger = Challenger(version, self.digests("loans", version), release, weight, until)
        self.later()

    def later(self, seconds: float = 5.0) -> None:
        self.now += seconds

    def digests(self, model: str, version: int) -> dict[str, str]:
        names = ("model.onnx", "spec.json")
        return {name: sha256(self.files[f"models/{model}/{version}/{name}"]) for name in names}

    def ask(self, method: str, path: str, body: Any = b"", **headers: str) -> Reply:
        """Send a request; a body that is neither bytes nor text goes as JSON. A header's name has _ for -."""
        path, _, query = path.partition("?")
        route, parameters = find(method, path)
        raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        return respond(
            route,
            endpoint=lambda: self.endpoint,
            parameters=parameters,
            headers=said,
            body=raw,
            query=dict(parse_qsl(query)),
            report=self._report,
        )

    def _look(self) -> float:
        self.now += self.seconds_a_look
        return self.now

    def _report(self, metric: str, code: str, reason: str) -> None:  # for a person
        self.reported.append(f"{metric} {code}")

    def _capture(self, line: bytes) -> None:
        self.captured.append(json.loads(line))

    def _file(self, key: str) -> bytes:
        if key not in self.files:
            raise NotFound(f"the artifact {key} is gone")
        return self.files[key]

    def _version(self, model: str, number: int) -> ModelVersion | None:
        if self.error:
            raise self.error
        return self.versions.get(number) if model == "loans" else None

    def _names(self) -> tuple[str, ...]:
        if self.error:
            raise self.error
        return self.names

    def _kept(self, model: str, entity: str) -> KeptAnswer | None:
        if self.error:
            raise self.error
        return self.kept.get((model, entity))

    def _route(self, model: str) -> Route | None:
        if self.error:
            raise self.error
        champion = self.champion if model == "loans" else VERSION
        if f"models/{model}/{champion}/spec.json" not in self.files:
            return None
        challenger = self.challenger if model == "loans" else None
        champions = Champion(champion, self.digests(model, champion), "2026-01-01T00:00:00+00:00")
        return Route(model, champions, challenger, salt="salt")


def find(method: str, path: str) -> tuple[HttpRoute, Mapping[str, str]]:
    """Find the route of a path, as the gateway does."""
    asked = path.split("/")
    for route in ROUTES:
        parts = route.path.split("/")
        if route.method == method and len(parts) == len(asked):
            pairs = list(zip(parts, asked, strict=True))
            if all(part.startswith("{") or part == word for part, word in pairs):
                return route, {part[1:-1]: word for part, word in pairs if part.startswith("{")}
    raise LookupError(f"{method} {path}")
