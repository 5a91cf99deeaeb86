"""What do a model's rows and answers look like, for tools? The schemas that its OpenAPI document refers to."""

from __future__ import annotations

from typing import Any

from serin.contract.serving_spec import label_text
from serin.serving.answer import FULL
from serin.serving.description import Description, FeatureDescription
from serin.serving.http.protocols.json_schema import NUMBER, TEXT, TRUE, list_of, object_of, ref, without
from serin.serving.http.protocols.v2 import DATATYPES, FEATURE_DATATYPES
from serin.serving.rows.encode import bounds_of

ROUTED = "while a release is under way, it decides which version answers"
_DECISIONS = {"shadow": ["none"], "assist": ["review"], "partial": ["automated", "review"]}

_FEATURE = object_of(
    ("min", "max", "values", "read"),
    name=TEXT,
    type={"enum": list(FEATURE_DATATYPES)},
    missing={"type": "boolean"},
    min=NUMBER,
    max=NUMBER,
    values=list_of(TEXT),
    read={"type": "object"},
)
_MODEL = object_of(
    model=TEXT,
    task=TEXT,
    target=TEXT,
    champion=object_of(version={"type": "integer"}, since=TEXT, files={"type": "object"}),
    classes=list_of({"type": ["string", "integer", "boolean"]}),
    features=list_of(_FEATURE),
    entity={"type": ["string", "null"]},
    other_columns=list_of(TEXT),
    automation=TEXT,
    coverage={"type": ["number", "null"]},
    explains={"type": "boolean"},
    base_rows={"type": ["integer", "null"]},
    degraded={"type": "boolean"},
    encoding=TEXT,
    names=list_of(TEXT),
)
_METADATA_TENSOR = object_of(
    ("parameters",),
    name=TEXT,
    datatype={"enum": list(DATATYPES)},
    shape=list_of({"type": "integer"}),
    parameters={"type": "object"},
)
_METADATA = object_of(
    name=TEXT,
    versions=list_of(TEXT),
    platform=TEXT,
    inputs=list_of(_METADATA_TENSOR),
    outputs=list_of(_METADATA_TENSOR),
)
_PROBLEM = object_of(row={"type": "integer"}, field=TEXT, code=TEXT, message=TEXT)


def schemas(described: Description) -> dict[str, Any]:
    """Write the schemas that the paths of a model refer to, by name."""
    prediction = _prediction(described)
    return {
        "Row": _row(described),
        "Prediction": prediction,
        "KeptPrediction": without("id", prediction),
        "Answer": _answer(described),
        "Model": _MODEL,
        "InferResponse": _infer_response(described),
        "Metadata": _METADATA,
        "Ready": object_of(name=TEXT, ready=TRUE),
        "Error": object_of(error=object_of(("problems",), code=TEXT, message=TEXT, problems=list_of(_PROBLEM))),
        "V2Error": object_of(error=TEXT),
    }


def _prediction(described: Description) -> dict[str, Any]:
    label = label_of(described)
    shares = object_of(**{label_text(label): {"type": "number", "minimum": 0} for label in described.classes})
    prediction = object_of(
        id=TEXT, prediction=label, score=NUMBER, **({"probabilities": shares} if described.classes else {})
    )
    prediction["properties"] |= _more(described, label)
    if described.coverage is not None:
        prediction["required"].append("set" if described.classes else "interval")
    if described.automation != FULL:
        prediction["required"].append("decision")
    return prediction


def label_of(described: Description) -> dict[str, Any]:
    """What a model may predict: one of its labels, or a number."""
    return {"enum": list(described.classes)} if described.classes else NUMBER


def _answer(described: Description) -> dict[str, Any]:
    answer = object_of(
        model={"const": described.model},
        version={"type": "integer"},
        id=TEXT,
        predictions=list_of(ref("Prediction")),
    )
    answer["properties"]["degraded"] = TRUE
    return answer


def _infer_response(described: Description) -> dict[str, Any]:
    names = ["prediction", "score", *(["probabilities"] if described.classes else []), *_more_outputs(described)]
    tensor = object_of(
        name={"enum": names},
        datatype={"enum": ["BYTES", "INT64", "BOOL", "FP64"]},
        shape=list_of({"type": "integer"}),
        data=list_of({"type": ["string", "number", "boolean"]}),
    )
    facts = object_of(
        ("notes", "degraded", "automation", "unsure"),
        version={"type": "integer"},
        prediction_id=TEXT,
        notes=TEXT,
        degraded=TRUE,
        automation=TEXT,
        unsure={"type": "integer", "minimum": 0},
    )
    return object_of(("id",), model_name=TEXT, model_version=TEXT, id=TEXT, parameters=facts, outputs=list_of(tensor))


def _more(described: Description, label: dict[str, Any]) -> dict[str, Any]:
    """What a prediction of this model may have besides."""
    more: dict[str, Any] = {}
    if described.coverage is not None:
        share = {"const": described.coverage, "description": "how often the truth lies in it"}
        if described.classes:
            more["set"] = object_of(labels=list_of(label), coverage=share)
        else:
            more["interval"] = object_of(low=NUMBER, high=NUMBER, coverage=share)
    if described.automation != FULL:
        more["decision"] = {"enum": _DECISIONS[described.automation]}
        more["reason"] = {**TEXT, "description": "why the answer does not decide"}
    if described.explains:
        names = {feature.name: NUMBER for feature in described.features}
        meaning = (
            "with explain=true: base + contributions = score; of more than two classes, of the predicted one. "
            "A feature that moves nothing is left out"
        )
        mean = (
            "the mean score over base_rows rows of the training data"
            if (described.base_rows or 0) > 1
            else "of a usual row"
        )
        more |= {
            "base": {**NUMBER, "description": mean},
            "base_rows": {"const": described.base_rows},
            "contributions": {**object_of(tuple(names), **names), "description": meaning},
        }
    return {**more, "notes": list_of(TEXT)}


def _more_outputs(described: Description) -> list[str]:
    return [name for name in _more(described, {}) if name not in ("notes", "reason", "base_rows")]


def _row(described: Description) -> dict[str, Any]:
    """The schema of a row. A column that is no feature may hold anything, but for the entity, which is read."""
    optional = (*(feature.name for feature in described.features if feature.missing), *described.other_columns)
    columns = {feature.name: _value(feature) for feature in described.features}
    columns |= {name: {"description": "may be there; the model does not read it"} for name in described.other_columns}
    if (entity := described.entity) in columns:
        about = f"whom the row is about; null and empty text name nobody. {ROUTED.capitalize()}."
        kinds = {"type": ["string", "number", "boolean", "null"]}
        columns[entity] = {**kinds, **columns[entity], "description": about}
    return object_of(optional, **columns)


def _value(feature: FeatureDescription) -> dict[str, Any]:
    """The schema of one feature in a row. Categories that were never seen are answered too."""
    kinds: dict[str, list[str]] = {"boolean": ["boolean"], "category": ["string", "integer", "boolean"]}
    kind = kinds.get(feature.type, [feature.type])
    value: dict[str, Any] = {"type": [*kind, "null"] if feature.missing else kind}
    if feature.type in ("number", "integer"):
        low, high = bounds_of(feature)
        return value | {"minimum": low, "maximum": high}
    if feature.type == "category":  # of its numbers; as floats, for msgspec writes no larger integers
        value |= {"exclusiveMinimum": -(2.0**64), "exclusiveMaximum": 2.0**64}
    return value | ({"examples": list(feature.values[:5])} if feature.values else {})
