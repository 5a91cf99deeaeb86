"""What does a model answer on the rows of the hold-out, beside the truth?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from serin.contract.metrics import Metric, Task
from serin.contract.serving_spec import Label, ServingSpec, label_text
from serin.data.border import number_values
from serin.errors import SerinError
from serin.serving.rows.encode import Encoded, encode_columns
from serin.serving.runtime.model import LoadedModel
from serin.training.measure import Floats, Measure, weighted_measure

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is loaded of a model: the ONNX file and its spec."""

    onnx: bytes
    spec: bytes


class Score(Protocol):
    """Runs a model on encoded rows, as serving would. Raises SerinError where it cannot."""

    def __call__(self, onnx: bytes, spec: bytes, encoded: Encoded) -> NDArray[np.float64]: ...


def score_here(onnx: bytes, spec: bytes, encoded: Encoded) -> NDArray[np.float64]:
    """Run a model in this process."""
    return LoadedModel.load(onnx, spec).raw_scores(encoded)


class CannotRun(Exception):
    """When an artifact gives no scores for the hold-out."""


@dataclass(frozen=True, slots=True)
class HoldoutScores:
    """A model's scores on the hold-out beside the truth."""

    spec: ServingSpec
    scores: Floats
    truth: NDArray[Any]

    @classmethod
    def run(cls, artifact: Artifact, columns: Columns, score: Score) -> HoldoutScores:
        """Score the rows of a table."""
        try:
            spec = ServingSpec.from_json(artifact.spec)
        except SerinError as error:
            raise CannotRun(f"{error.code}: {error.message}") from error
        if absent := [name for name in (*(f.name for f in spec.features), spec.target) if name not in columns]:
            raise CannotRun(f"the hold-out has no column {absent[0]}")
        try:
            scores = score(artifact.onnx, artifact.spec, encode_columns(columns, spec))
        except SerinError as error:
            raise CannotRun(f"{error.code}: {error.message}") from error
        except Exception as error:  # onnxruntime's exceptions have no common ancestor but this
            raise CannotRun(f"the model cannot be run: {str(error)[:300]}") from error
        return cls(spec, scores, _truth(columns[spec.target], spec.classes, spec.task))

    def at(self, rows: NDArray[np.int64]) -> HoldoutScores:
        return HoldoutScores(self.spec, self.scores[rows], self.truth[rows])

    def measure(self, metric: Metric) -> float:
        return self.weighted(metric)(np.ones(len(self.truth)))

    def weighted(self, metric: Metric) -> Measure:
        return weighted_measure(metric, self.truth, self.scores)


def _truth(column: NDArray[Any], classes: Sequence[Label], task: str) -> NDArray[Any]:
    """The target's values, or indices of the classes, -1 for another."""
    if task == Task.REGRESSION:
        return column.astype(np.float64)
    place = {label_text(label): index for index, label in enumerate(classes)}
    return np.array([place.get(text, -1) for text in column], dtype=np.int64)


def stack(predictions: Columns, prefix: str) -> Floats:
    """Put the scores together that stand in a column each, as `score_0`, `score_1`."""
    places = sum(name.startswith(f"{prefix}_") for name in predictions)
    return np.column_stack([predictions[f"{prefix}_{place}"] for place in range(places)])


def units_of(columns: Columns, entity: str | None, rows: int) -> NDArray[np.int64]:
    """Number the entity of each row, or the rows themselves where there are none."""
    if entity is None or entity not in columns:
        return np.arange(rows)
    return number_values(columns[entity])[1]
