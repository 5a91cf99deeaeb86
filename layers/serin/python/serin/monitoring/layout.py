"""How are captured rows read? As columns of the types that their version takes, and by the slices of its features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.contract.serving_spec import ServingSpec, SpecFeature, label_text
from serin.serving.lines import Capture, Value
from serin.serving.rows.encode import read_category

MAX_SLICES = 50
MISSING, OTHERS = "(missing)", "(others)"


@dataclass(frozen=True, slots=True)
class Layout:
    """How captured rows of a version are read. sensitive, hidden: features; the hidden are masked or hashed."""

    spec: ServingSpec
    sensitive: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()

    def fits(self, capture: Capture) -> bool:
        """Tell whether rows and scores are as wide as their version says."""
        features, outputs = len(self.spec.features), max(len(self.spec.classes), 1)
        return all(len(row) == features for row in capture.rows) and all(len(row) == outputs for row in capture.scores)


LayoutOf = Callable[[str, int], Layout | None]


def row_columns(rows: Sequence[Sequence[Value]], spec: ServingSpec) -> dict[str, NDArray[Any]]:
    """Turn captured rows into typed columns, as profiles and `encode_columns` take them."""
    return {feature.name: _column([row[place] for row in rows], feature) for place, feature in enumerate(spec.features)}


def score_columns(scores: NDArray[np.float64], spec: ServingSpec) -> dict[str, NDArray[Any]]:
    """Say in columns what a version answered: `score`, as answers have it, and for classification `label`.

    scores: shape (n, classes) or (n, 1), as the serving spec orders them; NaN where there is none; n above 0.
    """
    if not spec.classes:
        return {"score": scores[:, 0]}
    labels = np.array([label_text(label) for label in spec.classes], dtype=object)[scores.argmax(axis=1)]
    labels[np.isnan(scores).any(axis=1)] = None
    return {"score": scores.max(axis=1) if spec.positive is None else scores[:, spec.positive], "label": labels}


def predicted(capture: Capture, spec: ServingSpec) -> str | float | None:
    """Say what the version that was to answer did answer to the first row: a label as text, or a value."""
    scores = [] if capture.is_error or not capture.scores else capture.scores[0]
    numbers = [score for score in scores if score is not None]
    if not numbers or len(numbers) < len(scores):
        return None
    return label_text(spec.classes[numbers.index(max(numbers))]) if spec.classes else numbers[0]


def has_slices(feature: SpecFeature) -> bool:
    """Tell whether a feature has values that rows can be told apart by, and few of them."""
    return feature.type == "boolean" or 0 < len(feature.values) <= MAX_SLICES


def slice_of(value: Value, feature: SpecFeature) -> str:
    """Name the slice that a captured value falls in."""
    text = _text(value, feature)
    if text is None:
        return MISSING
    return text if feature.type == "boolean" or text in feature.values else OTHERS


def _column(values: Sequence[Value], feature: SpecFeature) -> NDArray[Any]:
    """A hashed number is text, and read as missing."""
    if feature.is_numeric:
        return np.array([np.nan if value is None or isinstance(value, str) else float(value) for value in values])
    column = np.empty(len(values), dtype=object)
    column[:] = [_text(value, feature) for value in values]
    return column


def _text(value: Value, feature: SpecFeature) -> str | None:
    """Write a value as the category that serving reads it as."""
    if value is None:
        return None
    text = value if isinstance(value, str) else label_text(value) if isinstance(value, int) else str(value)
    return read_category(text, feature)
