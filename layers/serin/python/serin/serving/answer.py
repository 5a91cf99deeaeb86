"""What does one version answer, and what does an answer say? One JSON object for each row.

It says the prediction, its score, and what to know about it.

What the contract asks for besides: an interval or a set of labels that holds the truth as often as is stated with it,
and the decision, which is "automated", "review" (a person must decide) or "none" (nobody may, by this answer).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from serin.contract.serving_spec import ServingSpec
from serin.serving.lines import Arm, Fault
from serin.serving.prediction_id import row_id
from serin.serving.rows.encode import Encoded

if TYPE_CHECKING:  # who only reads the routes of the API loads nothing that runs a graph
    from serin.serving.routing.router import Serving
    from serin.serving.runtime.explain import Explained
    from serin.serving.runtime.model import LoadedModel

Scores = NDArray[np.float64]
FULL, PARTIAL = "full", "partial"
EXPLANATION = frozenset({"base", "contributions"})
AUTOMATED, REVIEW, NONE = "automated", "review", "none"
_WHATEVER_THE_ROW = {
    "shadow": (NONE, "nothing may be decided by this answer: automation is shadow"),
    "assist": (REVIEW, "a person decides every row: automation is assist"),
}


class Answered(msgspec.Struct, frozen=True):  # made for every request, and a frozen dataclass takes three times as long
    """What one version answers to the rows of one request, in whatever form they came. scores: as its spec says.

    serving: who was found to answer. assigned: the version whose turn it was; `version` and `model` the one that did.
    entity: None where the request names none, or several. fault: what `assigned` did wrong. failure: why there are no
    scores.
    """

    id: str
    serving: Serving
    version: int
    model: LoadedModel
    encoded: Encoded
    scores: Scores
    arm: Arm
    assigned: int
    entity: str | None
    fault: Fault | None = None
    failure: str = ""
    explained: Explained | None = None

    @property
    def is_degraded(self) -> bool:
        return self.serving.is_degraded

    @property
    def spec(self) -> ServingSpec:
        return self.model.spec

    @property
    def notes(self) -> tuple[tuple[str, ...], ...]:
        return self.encoded.notes

    @property
    def unsure(self) -> int:
        """How many rows a person must decide."""
        return count_unsure(self.scores, self.spec)

    def answers(self) -> list[dict[str, Any]]:
        """Write one answer for each row."""
        return answers(self.scores, self.spec, prediction_id=self.id, notes=self.notes, explained=self.explained)


def answers(
    scores: Scores,
    spec: ServingSpec,
    *,
    prediction_id: str,
    notes: Sequence[Sequence[str]] = (),
    explained: Explained | None = None,
) -> list[dict[str, Any]]:
    """Write finite scores as answers, in the order of the rows.

    `id` is the prediction's with the row's place. `score` is, of two classes, the probability of the positive one; of
    more, that of the class predicted; for regression the value itself.
    """
    rows = scores.tolist()
    names = [row_id(prediction_id, place) for place in range(len(rows))]
    if not spec.classes:
        written = [{"id": name, "prediction": row[0], "score": row[0]} for name, row in zip(names, rows, strict=True)]
    else:
        written = [_of_classes(name, row, spec) for name, row in zip(names, rows, strict=True)]
    if spec.uncertainty or spec.automation != FULL:
        for answer, row in zip(written, rows, strict=True):
            answer |= _caution(row, spec)
    if explained:
        for answer, why in zip(written, _explanations(explained, spec), strict=True):
            answer |= why
    for answer, lines in zip(written, notes, strict=False):
        if lines:
            answer["notes"] = list(lines)
    return written


def extras(spec: ServingSpec) -> Iterator[str]:
    """Name what answers say besides prediction, score and probabilities."""
    if spec.uncertainty:
        yield "set" if spec.classes else "interval"
    if spec.automation != FULL:
        yield "decision"
    if spec.baseline:
        yield from sorted(EXPLANATION)


def _of_classes(name: str, probabilities: list[float], spec: ServingSpec) -> dict[str, Any]:
    best = probabilities.index(max(probabilities))
    return {
        "id": name,
        "prediction": spec.classes[best],
        "score": probabilities[best if spec.positive is None else spec.positive],
        "probabilities": dict(zip(spec.labels, probabilities, strict=True)),
    }


def count_unsure(scores: Scores, spec: ServingSpec) -> int:
    """Count the rows that a person must decide."""
    if spec.automation == FULL:
        return 0
    return sum(_decide(row, spec)[0] == REVIEW for row in scores.tolist())


def covered(row: list[float], spec: ServingSpec) -> list[bool]:
    """Say of each class whether it is in the set that holds the truth as often as the spec's coverage says."""
    assert spec.uncertainty is not None  # else nobody asks
    return [share >= spec.uncertainty.bound for share in row]


def _caution(row: list[float], spec: ServingSpec) -> dict[str, Any]:
    """Say how sure an answer is, and whether it decides."""
    caution: dict[str, Any] = {}
    if uncertainty := spec.uncertainty:
        if spec.classes:
            labels = [label for label, is_in in zip(spec.classes, covered(row, spec), strict=True) if is_in]
            caution["set"] = {"labels": labels, "coverage": uncertainty.coverage}
        else:
            caution["interval"] = {
                "low": row[0] - uncertainty.bound,
                "high": row[0] + uncertainty.bound,
                "coverage": uncertainty.coverage,
            }
    if spec.automation != FULL:
        caution["decision"], reason = _decide(row, spec)
        if reason:
            caution["reason"] = reason
    return caution


def _decide(row: list[float], spec: ServingSpec) -> tuple[str, str]:
    """Say who decides about a row, and why it is not the answer. row: its scores."""
    if spec.automation != PARTIAL:
        return _WHATEVER_THE_ROW[spec.automation]
    if spec.review_below is not None and max(row) < spec.review_below:
        return REVIEW, f"the highest probability, {max(row):.4g}, is below {spec.review_below:g}"
    if spec.uncertainty and (labels := sum(covered(row, spec))) != 1:
        return REVIEW, f"{labels or 'no'} label{'s are' if labels else ' is'} likely enough to be in the set"
    return AUTOMATED, ""


def _explanations(explained: Explained, spec: ServingSpec) -> list[dict[str, Any]]:
    """Say where each explanation starts, and what moved the score from there: nothing of what did not."""
    names = [feature.name for feature in spec.features]
    return [
        {
            "base": base,
            "base_rows": explained.rows,
            "contributions": {name: value for name, value in zip(names, values, strict=True) if value},
        }
        for base, values in zip(explained.base.tolist(), explained.contributions.tolist(), strict=True)
    ]
