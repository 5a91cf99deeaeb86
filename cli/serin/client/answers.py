"""What does the endpoint answer? A Prediction for each row, or a DataFrame beside the one that was asked about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Label = str | int | float | bool
_NOTHING: tuple[Any, ...] = (None, "", {})


@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """The answer for one row.

    prediction: a label, or for regression a number. score: of two classes the probability of the positive one, of more
    that of the class predicted, for regression the value itself. version: which one answered. id: to be sent with
    feedback. probabilities: by label, from 0 to 1. labels: of the set that holds the truth with the probability
    `coverage`; interval: low and high that do, in the target's unit. decision: `automated`, `review` or `none`, with
    its reason. contributions: what each feature adds to `base`, the mean score over `base_rows` rows; only where it was
    asked to explain.
    """

    prediction: Label
    score: float
    version: int
    id: str
    probabilities: Mapping[str, float] = field(default_factory=dict)
    labels: tuple[Label, ...] | None = None
    interval: tuple[float, float] | None = None
    coverage: float | None = None
    decision: str = ""
    reason: str = ""
    base: float | None = None
    base_rows: int = 0
    contributions: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Show what the answer says; of what it has nothing to say about, nothing."""
        facts = {item.name: getattr(self, item.name) for item in fields(self)}
        if self.base is None:
            del facts["base_rows"]
        if not self.notes:
            del facts["notes"]
        return f"Prediction({', '.join(f'{name}={value!r}' for name, value in facts.items() if value not in _NOTHING)})"


def read_predictions(answer: Mapping[str, Any]) -> list[Prediction]:
    """Read the endpoint's answer to `POST /models/<model>/predict`, a Prediction a row."""
    return [_read_prediction(row, int(answer["version"])) for row in answer["predictions"]]


def _read_prediction(row: Mapping[str, Any], version: int) -> Prediction:
    labels, interval = row.get("set"), row.get("interval")
    return Prediction(
        prediction=row["prediction"],
        score=row["score"],
        version=version,
        id=row["id"],
        probabilities=row.get("probabilities", {}),
        labels=tuple(labels["labels"]) if labels else None,
        interval=(interval["low"], interval["high"]) if interval else None,
        coverage=(labels or interval or {}).get("coverage"),
        decision=row.get("decision", ""),
        reason=row.get("reason", ""),
        base=row.get("base"),
        base_rows=row.get("base_rows", 0),
        contributions=row.get("contributions", {}),
        notes=tuple(row.get("notes", ())),
    )


def predictions_table(predictions: Sequence[Prediction], features: Iterable[str], index: Any) -> pd.DataFrame:
    """Give predictions as a DataFrame: prediction, score, what else they say, version, id.

    Of probabilities there is a column `probability_<label>` each, of an interval `low` and `high`, of a set `labels`,
    of contributions `base` and for each feature `contribution_<feature>`, 0 where it moved nothing.
    """
    from serin.client.tables import frame

    names = list(features)
    rows = [_cells(prediction, names) for prediction in predictions]
    columns = dict.fromkeys(name for row in rows for name in row)
    ends = ("version", "id")
    return frame(rows, [*(name for name in columns if name not in ends), *ends], index=index)


def _cells(prediction: Prediction, features: Sequence[str]) -> dict[str, Any]:
    cells: dict[str, Any] = {"prediction": prediction.prediction, "score": prediction.score}
    cells |= {f"probability_{label}": share for label, share in prediction.probabilities.items()}
    if prediction.labels is not None:
        cells["labels"] = prediction.labels
    if prediction.interval is not None:
        cells["low"], cells["high"] = prediction.interval
    if prediction.decision:
        cells |= {"decision": prediction.decision, "reason": prediction.reason}
    if prediction.base is not None:
        moved = prediction.contributions
        cells["base"] = prediction.base
        cells |= {f"contribution_{name}": moved.get(name, 0.0) for name in features}
    if prediction.notes:
        cells["notes"] = "; ".join(prediction.notes)
    return cells | {"version": prediction.version, "id": prediction.id}
