"""What is a version compared with, and on which rows? The champion's and the anchor's judged models, where both are
honest.

Rows are honest that neither side learned from. Where too few are, or the other cannot be asked, its recipe stands in:
its contract, setting and seed, fitted once on the rows that the new version learned from. Then all of the hold-out is
honest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from serin.contract.keys_and_defaults import Candidate
from serin.contract.model import Contract
from serin.contract.serving_spec import Label, ServingSpec, label_text
from serin.data.border import Border
from serin.data.datasets import DatasetFiles, Rows, reads_alike
from serin.data.storage import as_columns, dump_table
from serin.errors import NotFound, Refused, SerinError, Unverified
from serin.registry.anchor import find_anchor
from serin.registry.ports import Objects
from serin.registry.records import Dataset, ModelVersion
from serin.registry.register import verify_version
from serin.registry.registry import Registry
from serin.training.calibrate import split_calibration
from serin.training.rival import ROW, Mode, Rival
from serin.training.search import Setting, scores_of
from serin.training.train import Trained, fit_pipeline

Fit = Callable[[Setting, pd.DataFrame, Contract], Pipeline]

ENOUGH_ROWS = 1_000  # or half of the hold-out, where that is less


@dataclass(frozen=True, slots=True)
class RivalFinder:
    """Prepares the comparison of a new version with those that answer, or earned their seat, before it.

    fit: fits a recipe again.
    """

    registry: Registry
    data: Objects
    artifacts: Objects
    fit: Fit = fit_pipeline

    def find(
        self, model: str, trained: Trained, rows: Rows, contract: Contract, datasets: Sequence[Dataset]
    ) -> list[Rival]:
        """Prepare champion and anchor; none where no version answers yet. rows: those that `trained` was made from."""
        route = self.registry.route(model)
        if route is None:
            return []
        champion = route.value.champion.version
        anchor = find_anchor(champion, self.registry.versions(model), self.registry.releases(model))
        return [
            self._prepare(
                self.registry.version(model, number).value,
                trained,
                rows,
                contract,
                datasets,
                is_champion=number == champion,
                is_anchor=number == anchor,
            )
            for number in dict.fromkeys((champion, anchor))
        ]

    def _prepare(
        self,
        version: ModelVersion,
        trained: Trained,
        rows: Rows,
        contract: Contract,
        datasets: Sequence[Dataset],
        *,
        is_champion: bool,
        is_anchor: bool,
    ) -> Rival:
        earlier = version.metrics.get(contract.metric.name) if contract.time else None
        rival = Rival(version.number, is_champion, is_anchor, Mode.NONE, earlier=earlier)
        try:
            theirs = Contract.model_validate(self.registry.run(version.model, version.run).value.contract)
            if (theirs.task, theirs.target) != (contract.task, contract.target):
                return replace(rival, reason=f"it predicts {theirs.target} ({theirs.task})")
            alike = rows if reads_alike(theirs, contract) else None
            askable, reason = self._ask(version, theirs, trained, rows, datasets, alike)
            if askable is not None:
                return replace(rival, mode=Mode.ASKED, table=askable)
            table, labels = self._refit(version, theirs, trained, rows, datasets, alike)
            return replace(rival, mode=Mode.REFITTED, reason=reason, table=table, labels=labels)
        except (SerinError, ValueError, KeyError) as error:
            message = error.message if isinstance(error, SerinError) else str(error)
            return replace(rival, reason=f"it can neither be asked nor fitted again: {message}")

    def _ask(
        self,
        version: ModelVersion,
        theirs: Contract,
        trained: Trained,
        rows: Rows,
        datasets: Sequence[Dataset],
        alike: Rows | None,
    ) -> tuple[bytes | None, str]:
        """The honest rows as the version reads them; or None, and why it cannot be asked on enough of them.

        alike: `rows`, where it reads them as the new version does.
        """
        if "border.json" not in version.files:
            return None, "it was trained before versions said what they learned from"
        try:
            verify_version(version, self.artifacts)
        except (NotFound, Unverified) as error:
            return None, error.message
        border = Border.from_json(self.artifacts.get(version.prefix + "border.json"))
        if (border.entity, border.time) != (trained.border.entity, trained.border.time):
            return None, "it was split by another entity or time"
        spec = ServingSpec.from_json(self.artifacts.get(version.prefix + "judged.json"))
        if {*map(label_text, spec.classes)} != {*map(label_text, trained.judged_spec.classes)}:
            return None, "it tells other classes apart"
        try:
            read = alike or DatasetFiles(self.data, version.model).read(datasets, theirs)
        except (Refused, NotFound) as error:
            return None, error.message
        here, there = _shared(rows, trained.held_out, read)
        columns = as_columns(read.frame, border.entity, border.time)
        is_honest = ~border.learned(columns, read.keys)[there]
        here, there = here[is_honest], there[is_honest]
        if len(here) < _enough(trained):
            return None, f"it learned from all but {len(here):,} of {len(trained.held_out):,} rows, or cannot read them"
        table = read.frame.iloc[there].reset_index(drop=True)
        table[ROW] = here.astype(np.float64)
        return dump_table(table), ""

    def _refit(
        self,
        version: ModelVersion,
        theirs: Contract,
        trained: Trained,
        rows: Rows,
        datasets: Sequence[Dataset],
        alike: Rows | None,
    ) -> tuple[bytes, tuple[str, ...]]:
        """Fit its recipe on the rows that the new version learned from, and answer the hold-out."""
        read = alike or DatasetFiles(self.data, version.model).read(datasets, theirs, lenient=True)
        recipe = _as_far_as_there(theirs, read.frame)
        _, learned = _shared(rows, trained.learned, read)
        here, there = _shared(rows, trained.held_out, read)
        if len(here) < _enough(trained):
            readable = f"{len(here):,} of {len(trained.held_out):,} rows"
            raise Refused(f"it can read no more than {readable}", code="TOO_FEW_ROWS")
        training = read.frame.iloc[learned].reset_index(drop=True)
        fit_on, _ = split_calibration(training, read.keys[learned], recipe)
        fitted = self.fit(self._setting(version), training.iloc[fit_on], recipe)
        scores = scores_of(fitted, read.frame.iloc[there][list(recipe.features)])
        table = pd.DataFrame({f"score_{place}": column for place, column in enumerate(scores.T)})
        table[ROW] = here.astype(np.float64)
        labels = [label_text(label) for label in _labels_of(fitted)]
        return dump_table(table), tuple(labels)

    def _setting(self, version: ModelVersion) -> Setting:
        """What was chosen for a version; of one from before the report said so, the best of its family."""
        report = json.loads(self.artifacts.get(version.prefix + "training.json"))
        setting: dict[str, Any] | None = report.get("setting")
        if setting is None:
            entries = [
                entry
                for entry in report["leaderboard"]
                if entry["is_candidate"] and entry["family"] == report["chosen"] and entry["mean"] is not None
            ]
            contract = Contract.model_validate(self.registry.run(version.model, version.run).value.contract)
            setting = max(entries, key=lambda entry: contract.metric.improvement(entry["mean"], 0.0))
        return Setting(Candidate(setting["family"]), setting["params"], is_baseline=False, is_candidate=True)


def _enough(trained: Trained) -> float:
    """How many rows of a hold-out tell enough of two versions."""
    return min(ENOUGH_ROWS, len(trained.held_out) / 2)


def _labels_of(fitted: Pipeline) -> list[Label]:
    """The labels of a pipeline's scores, in their order; [] of values."""
    labels: list[Label] = fitted["model"].classes_.tolist() if hasattr(fitted["model"], "classes_") else []
    return labels


def _as_far_as_there(contract: Contract, frame: pd.DataFrame) -> Contract:
    """The contract without what no row has any more, and with any other feature allowed to be missing."""
    features = {
        name: feature.model_copy(update={"missing": "allow"})
        for name, feature in contract.features.items()
        if frame[name].notna().any()
    }
    if not features:
        raise Refused("no row has any of its features any more", code="MISSING_COLUMN")
    roles = {
        role: name if (name := getattr(contract, role)) and frame[name].notna().any() else None
        for role in ("entity", "time")
    }
    return contract.model_copy(update={"features": features, **roles})


def _shared(rows: Rows, positions: NDArray[np.int64], read: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Match rows of one reading with those of another.

    positions: in `rows`. Gives, for each that is in both, its place within `positions` and its position in `read`.
    """
    wanted = _identities(rows)[positions]
    known = _identities(read)
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known, wanted, sorter=order), len(known) - 1)
    nearest = order[place]
    is_there = known[nearest] == wanted
    return np.flatnonzero(is_there), nearest[is_there]


def _identities(rows: Rows) -> NDArray[np.int64]:
    return (rows.dataset << np.int64(40)) | rows.place
