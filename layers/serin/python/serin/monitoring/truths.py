"""Was an answer wrong? What turned out is joined to the predictions that are counted, whichever was read first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Self

from serin.contract.serving_spec import Label, label_text
from serin.monitoring.units import Unit
from serin.serving.prediction_id import row_id


class ReceivedTruth(NamedTuple):
    """What turned out of one row of a prediction. at: when that was received, in milliseconds since 1970."""

    at: int
    value: Label | float


@dataclass(frozen=True, slots=True)
class Truths:
    """What turned out of a model's predictions, by `row_id`: of each the first that was received."""

    known: dict[str, ReceivedTruth]

    def __add__(self, other: Self) -> Self:
        known = dict(self.known)
        for name, truth in other.known.items():
            known[name] = earlier(truth, known.get(name, truth))
        return type(self)(known)


def earlier(one: ReceivedTruth, other: ReceivedTruth) -> ReceivedTruth:
    """Choose the first of two, whichever is named first."""
    return min(one, other, key=lambda truth: (truth.at, repr(truth.value)))


@dataclass(frozen=True, slots=True)
class Terms:
    """Which answers are compared with the truth, and how. All times in milliseconds.

    within: feedback counts that was received so long after its prediction at most. before: only predictions of before
    this time are compared; as long as it is at least `within` ago, what is known of them no longer changes. tolerance:
    how far from the truth a value may be; None where values are not compared.
    """

    within: float
    before: float
    tolerance: float | None = None


def find_wrong(units: Iterable[Unit], truths: Truths, terms: Terms) -> dict[str, bool]:
    """Say of each unit whose truth is known whether it was answered wrongly, by the prediction's id.

    A request of several rows is judged by its first one. A version that failed gave no answer that could be wrong.
    """
    wrong = {}
    for unit in units:
        truth = truths.known.get(row_id(unit.id, 0))
        if truth is None or unit.at >= terms.before or truth.at - unit.at > terms.within:
            continue
        is_wrong = _is_wrong(unit.predicted, truth.value, terms.tolerance)
        if is_wrong is not None:
            wrong[unit.id] = is_wrong
    return wrong


def _is_wrong(predicted: str | float | None, truth: Label | float, tolerance: float | None) -> bool | None:
    """Compare an answer with the truth; None where the two cannot be compared."""
    if isinstance(predicted, str):
        return None if isinstance(truth, float) else predicted != label_text(truth)
    if predicted is None or tolerance is None or isinstance(truth, str | bool):
        return None
    return not abs(predicted - truth) <= tolerance
