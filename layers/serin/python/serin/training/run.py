"""What does the training step of a run read and write? Everything lands under runs/<model>/<run>/."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed_version

import numpy as np
import pandas as pd

from serin.contract.model import Contract
from serin.data.storage import load_table
from serin.errors import NotFound, Refused, Unverified
from serin.profile.profile import Profile, profile_columns
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
        frame, left_out = self._read(run, contract)
        trained = train(frame, contract)
        files = {
            "model.onnx": trained.onnx,
            "spec.json": trained.spec.to_json(),
            "profile.json": _profile(frame, contract).to_json(),
            "holdout.npz": trained.holdout_rows,
            "predictions.npz": trained.holdout_predictions,
            "training.json": _report(trained, contract, rows=len(frame), left_out=left_out),
        }
        for name, content in files.items():
            self.data.put(run_prefix(model, run.id) + name, content)

    def _read(self, run: Run, contract: Contract) -> tuple[pd.DataFrame, list[str]]:
        """Read the datasets of a run into one table, and say which were left out: the contract has changed since.

        Raises Refused where none fits the contract.
        """
        tables, left_out = [], []
        for name in run.datasets:
            table = load_table(self._file(run.model, name, "data.npz"))
            if misfit := _misfit(table, contract):
                left_out.append(f"dataset {name} is left out: {misfit}")
            else:
                tables.append(table.reindex(columns=_columns(contract)))
        if not tables:
            raise Refused(
                f"no dataset of {run.model} fits its contract any more: {left_out[-1]}; upload the rows again"
            )
        return pd.concat(tables, ignore_index=True), left_out

    def _file(self, model: str, name: str, file: str) -> bytes:
        dataset = self.registry.dataset(model, name)
        if dataset is None:
            raise NotFound(f"{model} has no dataset {name}")
        content = self.data.get(f"datasets/{model}/{name}/{file}")
        if sha256(content) != dataset.files[file]:
            raise Unverified(f"{file} of dataset {name} does not have the digest that was registered")
        return content


def _columns(contract: Contract) -> list[str]:
    """The columns of a dataset that training reads."""
    return list(
        dict.fromkeys(name for name in (*contract.features, contract.target, contract.entity, contract.time) if name)
    )


def _misfit(table: pd.DataFrame, contract: Contract) -> str:
    """Say why a table accepted under an earlier contract cannot be learned from under this one; '' if it can."""
    for name in _columns(contract):
        feature = contract.features.get(name)
        if name not in table.columns:
            if feature is None or not feature.allows_missing:
                return f"it has no column {name}"
        elif feature is not None and feature.is_numeric != pd.api.types.is_numeric_dtype(table[name].dtype):
            return f"its {name} is not of type {feature.type}"
    return ""


def _profile(frame: pd.DataFrame, contract: Contract) -> Profile:
    """Summarise the rows of a run. An entity is left out: a profile must not name persons."""
    names = [name for name in frame.columns if name in contract.features or name != contract.entity]
    is_number = {name: pd.api.types.is_numeric_dtype(frame[name].dtype) for name in names}
    return profile_columns(
        {name: frame[name].to_numpy(dtype=np.float64 if is_number[name] else object) for name in names}
    )


def _report(trained: Trained, contract: Contract, *, rows: int, left_out: list[str]) -> bytes:
    """What the training found: the leaderboard, the hold-out's figures, and the libraries that made it."""
    report = {
        "chosen": trained.chosen,
        "metric": contract.metric.name,
        "leaderboard": [asdict(entry) for entry in trained.leaderboard],
        "metrics": trained.metrics,
        "baseline_metrics": trained.baseline_metrics,
        "importances": trained.importances,
        "fits": trained.fits,
        "rows": rows,
        "left_out": left_out,
        "libraries": {name: installed_version(name) for name in LIBRARIES},
    }
    return json.dumps(report, indent=1, sort_keys=True).encode()
