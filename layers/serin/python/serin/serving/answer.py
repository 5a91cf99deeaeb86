"""What does an answer say? One JSON object for each row: the prediction, its score, and what to know about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from serin.contract.spec import ServingSpec, label_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def answers(
    scores: NDArray[np.float64],
    spec: ServingSpec,
    *,
    prediction_id: str,
    notes: Sequence[Sequence[str]] = (),
) -> list[dict[str, Any]]:
    """Write finite scores as answers, in the order of the rows.

    `id` is the prediction's with the row's place. `score` is, of two classes, the probability of the positive one; of
    more, that of the class predicted; for regression the value itself.
    """
    if not spec.classes:
        found = [{"prediction": value, "score": value} for value in scores[:, 0].tolist()]
    else:
        found = [_of_classes(row, spec) for row in scores.tolist()]
    answered = [{"id": f"{prediction_id}-{place}", **answer} for place, answer in enumerate(found)]
    for answer, lines in zip(answered, notes, strict=False):
        if lines:
            answer["notes"] = list(lines)
    return answered


def _of_classes(probabilities: list[float], spec: ServingSpec) -> dict[str, Any]:
    best = probabilities.index(max(probabilities))
    return {
        "prediction": spec.classes[best],
        "score": probabilities[best if spec.positive is None else spec.positive],
        "probabilities": {label_text(label): share for label, share in zip(spec.classes, probabilities, strict=True)},
    }
