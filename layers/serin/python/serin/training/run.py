"""What does the training step of a run read and write? Everything lands under runs/<model>/<run>/."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version as installed_version

import numpy as np
import pandas as pd

from serin.contract.model import Contract
from serin.data.border import Keys
from serin.data.datasets import DatasetFiles, Rows, find_datasets
from serin.errors import Refused
from serin.profile.profile import Profile, profile_columns
from serin.registry.keys import run_prefix
from serin.registry.ports import Objects
from serin.registry.registry import Registry
from serin.training.rival import dump_rivals
from serin.training.rivals import Fit, RivalFinder
from serin.training.train import Trained, fit_pipeline, train

Learn = Callable[[pd.DataFrame, Contract, Keys], Trained]

LIBRARIES = ("numpy", "onnx", "pandas", "scikit-learn", "scipy", "threadpoolctl")


@dataclass(frozen=True, slots=True)
class Trainer:
    """Trains runs. learn: makes a model of a table; fit: makes it of a recipe that is there already."""

    registry: Registry
    data: Objects
    artifacts: Objects
    learn: Learn = train
    fit: Fit = fit_pipeline

    def train(self, model: str, run_name: str) -> None:
        """Train a run, prepare what it is compared with, and store what came of it. Again gives the same bytes.

        Raises Refused where the rows cannot be learned from, or a dataset of the run was excluded meanwhile.
        """
        run = self.registry.run(model, run_name).value
        if self.data.exists(run_prefix(model, run.id) + "rivals.json"):
            return  # it is written last: an earlier try came to its end
        contract = Contract.model_validate(run.contract)
        datasets = find_datasets(self.registry.datasets(model), run.datasets, model)
        if gone := [dataset.id for dataset in datasets if not dataset.is_used]:
            raise Refused(f"dataset {gone[0]} was excluded while it was learned from", code="EXCLUDED")
        rows = DatasetFiles(self.data, model).read(datasets, contract)
        trained = self.learn(rows.frame, contract, rows.keys)
        finder = RivalFinder(self.registry, self.data, self.artifacts, self.fit)
        rivals = finder.find(model, trained, rows, contract, datasets)
        files = {
            "model.onnx": trained.onnx,
            "spec.json": trained.spec.to_json(),
            "judged.onnx": trained.judged_onnx,
            "judged.json": trained.judged_spec.to_json(),
            "border.json": trained.border.to_json(),
            "profile.json": _profile(rows.frame, contract).to_json(),
            "holdout.npz": trained.holdout_rows,
            "predictions.npz": trained.holdout_predictions,
            **{rival.file: rival.table for rival in rivals if rival.table is not None},
            "training.json": _report(trained, contract, rows),
            "rivals.json": dump_rivals(rivals),
        }
        for name, content in files.items():
            self.data.put(run_prefix(model, run.id) + name, content)


def _profile(frame: pd.DataFrame, contract: Contract) -> Profile:
    """Summarise the rows of a run. An entity is left out: a profile must not name persons."""
    names = [name for name in frame.columns if name in contract.features or name != contract.entity]
    is_number = {name: pd.api.types.is_numeric_dtype(frame[name].dtype) for name in names}
    return profile_columns(
        {name: frame[name].to_numpy(dtype=np.float64 if is_number[name] else object) for name in names}
    )


def _report(trained: Trained, contract: Contract, rows: Rows) -> bytes:
    """What the training found: the leaderboard, the hold-out's figures, and the libraries that made it."""
    by_dataset = np.bincount(rows.dataset[trained.held_out], minlength=len(rows.names))
    report = {
        "chosen": trained.chosen,
        "setting": {"family": trained.setting.name, "params": trained.setting.params},
        "metric": contract.metric.name,
        "leaderboard": [asdict(entry) for entry in trained.leaderboard],
        "metrics": trained.metrics,
        "baseline_metrics": trained.baseline_metrics,
        "importances": trained.importances,
        "fits": trained.fits,
        "fitted": trained.fitted,
        "rows": len(rows.frame),
        "holdout": {name: int(count) for name, count in zip(rows.names, by_dataset, strict=True) if count},
        "left_out": list(rows.left_out),
        "libraries": _libraries(),
    }
    return json.dumps(report, indent=1, sort_keys=True).encode()


@cache
def _libraries() -> dict[str, str]:
    return {name: installed_version(name) for name in LIBRARIES}
