"""How would another version have answered captured rows? Scored in a process of its own, beside what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from serin.contract.serving_spec import ServingSpec, label_text
from serin.errors import Refused, Unverified
from serin.monitoring.layout import Layout, row_columns
from serin.serving.lines import Capture, Value
from serin.serving.rows.encode import Encoded, encode_columns
from serin.serving.runtime.sandbox import score_apart

SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Challenger:
    """A version on trial, as it was registered."""

    spec: ServingSpec
    onnx: bytes


class Score(Protocol):
    """Scores rows with a model that nobody trusts yet. Raises Unverified where it cannot."""

    def __call__(self, onnx: bytes, spec: bytes, encoded: Encoded) -> NDArray[np.float64]: ...


score_in_child: Score = partial(score_apart, seconds=SECONDS)


@dataclass(frozen=True, slots=True)
class Rescored:
    """Captured rows, the scores of both versions in the champion's order of classes, and how they compare, by row.

    delta: the mean difference of the scores. is_number: whether the challenger gave numbers only. is_flipped: whether
    they are another answer: another label, or a value outside the champion's interval, where it gives one.
    """

    rows: list[list[Value]]
    ours: NDArray[np.float64]
    theirs: NDArray[np.float64]
    delta: NDArray[np.float64]
    is_number: NDArray[np.bool_]
    is_flipped: NDArray[np.bool_]


def rescore(captures: Sequence[Capture], layout: Layout, challenger: Challenger, score: Score) -> Rescored:
    """Score the rows of these captures with the challenger.

    Raises Refused where the two versions cannot be compared, Unverified where the challenger cannot be run.
    """
    _check(layout, challenger.spec)
    rows = [row for capture in captures for row in capture.rows]
    ours = np.array([row for capture in captures for row in capture.scores], dtype=np.float64)
    encoded = encode_columns(row_columns(rows, layout.spec), challenger.spec)
    theirs = score(challenger.onnx, challenger.spec.to_json(), encoded)
    if theirs.shape != (len(rows), max(len(challenger.spec.classes), 1)):
        raise Unverified(f"the challenger gave scores of shape {theirs.shape}")
    theirs = theirs[:, _places(layout.spec, challenger.spec)]
    is_number = np.asarray(np.isfinite(theirs).all(axis=1))
    return Rescored(
        rows=rows,
        ours=ours,
        theirs=theirs,
        delta=np.abs(theirs - ours).mean(axis=1),
        is_number=is_number,
        is_flipped=is_number & _is_another_answer(ours, theirs, layout.spec),
    )


def _is_another_answer(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], champion: ServingSpec
) -> NDArray[np.bool_]:
    if champion.classes:
        return np.asarray(theirs.argmax(axis=1) != ours.argmax(axis=1))
    bound = champion.uncertainty.bound if champion.uncertainty else np.inf
    return np.asarray(np.abs(theirs - ours)[:, 0] > bound)


def _check(layout: Layout, challenger: ServingSpec) -> None:
    """Raise Refused where what was captured is not what the challenger takes and answers."""
    kinds = {feature.name: feature.is_numeric for feature in layout.spec.features}
    for feature in challenger.features:
        if feature.name in layout.hidden:
            raise Refused(f"captures hide {feature.name}: masked or hashed by the contract, or sensitive")
        if kinds.get(feature.name) is not feature.is_numeric:
            raise Refused(f"captures do not hold {feature.name} as the challenger takes it")
    if _labels(challenger).keys() != _labels(layout.spec).keys():
        raise Refused("the two versions tell other classes apart")


def _labels(spec: ServingSpec) -> dict[str, int]:
    return {label_text(label): place for place, label in enumerate(spec.classes)}


def _places(champion: ServingSpec, challenger: ServingSpec) -> list[int]:
    """Find the champion's outputs, in its order, among the challenger's."""
    places = _labels(challenger)
    return [places[label] for label in _labels(champion)] or [0]
