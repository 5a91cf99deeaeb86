"""What does the training step of a run read and write? Everything lands under runs/<model>/<run>/."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed_version

import pandas as pd

from serin.contract.model import Contract
from serin.data.storage import load_table
from serin.errors import NotFound, Unverified
from serin.profile.profile import Profile
from serin.registry.ids import sha256
from serin.registry.ports import Objects
from serin.registry.records import Run
from serin.registry.register import run_prefix
from serin.registry.registry import Registry
from serin.training.train import Trained, train

LIBRARIES = ("numpy", "onnx", "pandas", "scikit-learn", "scipy", "threadpoolctl")


@dataclass(frozen=True, slots=True)
class Trainer:
    """Trains runs."""

    registry: Registry
    data: Objects

    def train(self, model: str, run_name: str) -> None:
        """Train a run and store what it made. Doing it again gives the same bytes."""
        run = self.registry.run(model, run_name).value
        if self.data.exists(run_prefix(model, run.id) + "training.json"):
            return  # it is written last: an earlier try came to its end
        contract = Contract.model_validate(run.contract)
        trained = train(self._read(run), contract)
        files = {
            "model.onnx": trained.onnx,
            "spec.json": trained.spec.to_json(),
            "profile.json": self._profile(run).to_json(),
            "holdout.npz": trained.holdout_rows,
            "predictions.npz": trained.holdout_predictions,
            "training.json": _report(trained, run),
        }
        for name, content in files.items():
            self.data.put(run_prefix(model, run.id) + name, content)

    def _read(self, run: Run) -> pd.DataFrame:
        """Read the datasets of a run into one table, each checked against its digest."""
        tables = [load_table(self._file(run.model, name, "data.npz")) for name in run.datasets]
        return pd.concat(tables, ignore_index=True)

    def _profile(self, run: Run) -> Profile:
        first, *rest = [Profile.from_json(self._file(run.model, name, "profile.json")) for name in run.datasets]
        for other in rest:
            first = first + other
        return first

    def _file(self, model: str, name: str, file: str) -> bytes:
        dataset = self.registry.dataset(model, name)
        if dataset is None:
            raise NotFound(f"{model} has no dataset {name}")
        content = self.data.get(f"datasets/{model}/{name}/{file}")
        if sha256(content) != dataset.files[file]:
            raise Unverified(f"{file} of dataset {name} does not have the digest that was registered")
        return content


def _report(trained: Trained, run: Run) -> bytes:
    """What the training found: the leaderboard, the hold-out's figures, and the libraries that made it."""
    report = {
        "chosen": trained.chosen,
        "metric": Contract.model_validate(run.contract).metric.name,
        "leaderboard": [asdict(entry) for entry in trained.leaderboard],
        "metrics": trained.metrics,
        "baseline_metrics": trained.baseline_metrics,
        "fits": trained.fits,
        "rows": run.rows,
        "libraries": {name: installed_version(name) for name in LIBRARIES},
    }
    return json.dumps(report, indent=1, sort_keys=True).encode()
