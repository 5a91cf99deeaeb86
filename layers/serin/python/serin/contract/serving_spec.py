"""What does serving need to know? The part of a contract that travels inside the artifact as spec.json.

Written when a version is trained, read on the path of every prediction: standard library only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from serin.contract.notation import OWN, Notation
from serin.errors import Unverified

FORMAT = 1
_POOLS = "pools_rare"  # as specs are stored
# How people write that a category is missing, in lower case; "none" is as often a category of its own.
NO_CATEGORY = frozenset({"", "na", "n/a", "nan", "null", "?", "#n/a", "<na>", "nat"})
Label = str | int | bool
MAX_EXPLAINED_FEATURES = 100  # what is run for an explanation grows with their square


def label_text(label: Label) -> str:
    """Write a label as the text that a table holds."""
    return str(label).lower() if isinstance(label, bool) else str(label)


@dataclass(frozen=True, slots=True)
class SpecFeature:
    """One input. `values` are the categories learned in training, in the order of their codes; () for numbers.

    A missing category is a category of its own where training saw one: `missing_code`, else -1, as for one never seen.
    pools_infrequent: whether training saw categories too infrequent to be learned one by one; they are one with those
    never seen. notation: how its cells are written in CSV; JSON has its own numbers.
    """

    name: str
    type: str
    min: float | None = None
    max: float | None = None
    allows_missing: bool = False
    values: tuple[str, ...] = ()
    missing_code: int = -1
    pools_infrequent: bool = False
    notation: Notation = OWN

    @property
    def is_numeric(self) -> bool:
        return self.type != "category"


@dataclass(frozen=True, slots=True)
class CaptureSpec:
    """What is kept of predictions. share: of the entities, from 0 to 1. masked, hashed: features not kept plain."""

    share: float = 1.0
    masked: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conformal:
    """What split conformal prediction calibrated: with it the truth is covered as often as `coverage` says.

    bound: for regression half the width of every interval; for classification the least probability of a label of the
    set. rows: how many rows it was calibrated on.
    """

    coverage: float
    bound: float
    rows: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """Rows as the graph reads them, from whose mean score explanations start; None where a number is missing.

    The first ones stand for all, however few of them are taken. Specs were stored with one row too, of medians.
    """

    numbers: tuple[tuple[float | None, ...], ...]
    codes: tuple[tuple[int, ...], ...]

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Baseline:
        if "numeric" in data:
            data = {"numbers": [data["numeric"]], "codes": [data["codes"]]}
        return cls(**{key: tuple(map(tuple, rows)) for key, rows in data.items()})

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, slots=True)
class ServingSpec:
    """What one model version accepts and answers.

    The ONNX graph takes `columns`, doubles of shape (n, columns), and says itself how these come from the features
    (serin/serving/rows/columns.py). It gives `scores`: for classification the probabilities, shape (n, classes), for
    regression the values, shape (n, 1).
    classes: labels in the order of the probabilities; () for regression. positive: the index of the class that the
    score speaks of, where there are two. uncertainty, baseline: None where the contract asks for no intervals or sets,
    and for no explanations. encoding, names: of CSV in files, and the columns of one without a row of names.
    """

    model: str
    task: str
    target: str
    features: tuple[SpecFeature, ...]
    classes: tuple[Label, ...] = ()
    positive: int | None = None
    entity: str | None = None
    other_columns: tuple[str, ...] = ()
    capture: CaptureSpec = CaptureSpec()
    automation: str = "full"
    review_below: float | None = None
    uncertainty: Conformal | None = None
    baseline: Baseline | None = None
    encoding: str = "utf-8"
    names: tuple[str, ...] = ()
    format: int = FORMAT
    labels: tuple[str, ...] = field(init=False, repr=False, compare=False)  # the classes as texts, for every answer

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(map(label_text, self.classes)))

    @property
    def numeric(self) -> tuple[SpecFeature, ...]:
        return tuple(feature for feature in self.features if feature.is_numeric)

    @property
    def categories(self) -> tuple[SpecFeature, ...]:
        return tuple(feature for feature in self.features if not feature.is_numeric)

    def to_json(self) -> bytes:
        data = asdict(self)
        del data["labels"]  # which follow from the classes
        for feature, notation in zip(data["features"], (feature.notation for feature in self.features), strict=True):
            feature[_POOLS] = feature.pop("pools_infrequent")
            if notation == OWN:
                del feature["notation"]
        for key, usual in (("encoding", "utf-8"), ("names", ())):
            if data[key] == usual:
                del data[key]
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, text: bytes) -> ServingSpec:
        """Read a spec. Raises Unverified where it is none, or of a format this code does not know."""
        try:
            data: dict[str, Any] = json.loads(text)
            if data["format"] != FORMAT:
                raise Unverified(f"spec.json has format {data['format']}; this version of Serin reads {FORMAT}")
            features = tuple(map(_read_feature, data.pop("features")))
            lists: dict[str, Any] = {key: tuple(data.pop(key)) for key in ("classes", "other_columns")}
            lists["names"] = tuple(data.pop("names", ()))
            capture: dict[str, Any] = data.pop("capture", {})
            veiled: dict[str, Any] = {key: tuple(capture.pop(key, ())) for key in ("masked", "hashed")}
            if data.get("uncertainty"):
                data["uncertainty"] = Conformal(**data["uncertainty"])
            if data.get("baseline"):
                data["baseline"] = Baseline.from_json(data["baseline"])
            return cls(features=features, capture=CaptureSpec(**capture, **veiled), **lists, **data)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unverified(f"spec.json cannot be read: {error}") from error


def _read_feature(item: dict[str, Any]) -> SpecFeature:
    pools, notation = item.pop(_POOLS, False), Notation.from_json(item.pop("notation", {}))
    return SpecFeature(**{**item, "values": tuple(item["values"])}, pools_infrequent=pools, notation=notation)
