"""How is one model's endpoint operation to tools? As OpenAPI 3.1, made from what the model's spec says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from serin.contract.spec import label_text
from serin.serving.answer import FULL
from serin.serving.capture.feedback import ID, MAX_ITEMS
from serin.serving.description import Description, FeatureDescription
from serin.serving.http.protocols.v2 import DATATYPES, FEATURE_DATATYPES
from serin.serving.rows.body import MAX_ROWS
from serin.serving.rows.encode import MAX_MAGNITUDE, bounds_of
from serin.serving.runtime.explain import MAX_EXPLAINED_ROWS

_TEXT: dict[str, Any] = {"type": "string"}
_TRUE: dict[str, Any] = {"const": True}
_NUMBER: dict[str, Any] = {"type": "number"}
_DECISIONS = {"shadow": ["none"], "assist": ["review"], "partial": ["automated", "review"]}
_ROW_COUNT: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": MAX_ROWS}
_ROUTES = "while a release is under way, it decides which version answers"


def document(described: Description) -> dict[str, Any]:
    """Describe every path of one model. described: what `Endpoint.describe` gives."""
    model = described.model
    v2 = f"/v2/models/{model}"
    version = str(described.champion.version)
    infer = _post("Predict, by the Open Inference Protocol", _v2_request(described), _ref("InferResponse"), v2=True)
    paths: dict[str, dict[str, Any]] = {
        f"/models/{model}": {"get": _get("What the model is, who answers, and what it takes", _ref("Model"))},
        f"/models/{model}/predict": {"post": _plain(described)},
        f"/models/{model}/invocations": {"post": _scoring(described)},
        f"/models/{model}/feedback": {"post": _feedback(described)},
        f"/models/{model}/answers": {"get": _kept_answers(described)},
        f"/models/{model}/ping": {"get": _get("Does the champion load?", _object(status={"const": "ok"}))},
        f"{v2}": {"get": _get("Metadata", _ref("Metadata"), v2=True)},
        f"{v2}/ready": {"get": _get("Does the champion load?", _ref("Ready"), v2=True)},
        f"{v2}/infer": {"post": infer},
        f"{v2}/versions/{version}": {"get": _get("Metadata of the champion", _ref("Metadata"), v2=True)},
        f"{v2}/versions/{version}/ready": {"get": _get("Does the champion load?", _ref("Ready"), v2=True)},
        f"{v2}/versions/{version}/infer": {"post": infer},
        "/v2": {"get": _open("The server", _object(name=_TEXT, version=_TEXT, extensions=_list(_TEXT)))},
        "/v2/health/live": {"get": _open("Is it there?", _object(live=_TRUE))},
        "/v2/health/ready": {"get": _open("Can models be found?", _object(ready=_TRUE), errors={"503": _V2_ERROR})},
        "/v2/repository/index": {"post": _index()},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{model}: {described.task} of {described.target}",
            "version": version,
            "description": f"At most {MAX_ROWS:,} rows and 1 MiB a request. The same rows give the same answers "
            "through every form. null is a missing value, where a feature takes one.",
        },
        "servers": [{"url": "../.."}],  # seen from where this document is served
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
            "schemas": _schemas(described),
        },
    }


def example_row(features: Iterable[FeatureDescription]) -> dict[str, Any]:
    """Make a row that the model takes."""
    return {feature.name: _example(feature) for feature in features}


def _example(feature: FeatureDescription) -> Any:
    if feature.type == "boolean":
        return True
    if feature.type == "category":
        return next((value for value in feature.values or () if value), "other")
    low, high = feature.min, feature.max
    value = float(low + (high - low) / 2 if low is not None and high is not None else low if low is not None else 0)
    if low is None and high is not None:
        value = min(value, high)
    if feature.type == "number":
        return value
    return int(value) if low is None or int(value) >= low else int(value) + 1


def _schemas(described: Description) -> dict[str, Any]:
    prediction = _prediction(described)
    return {
        "Row": _row(described),
        "Prediction": prediction,
        "KeptPrediction": _without("id", prediction),
        "Answer": _answer(described),
        "Model": _MODEL,
        "InferResponse": _infer_response(described),
        "Metadata": _METADATA,
        "Ready": _object(name=_TEXT, ready=_TRUE),
        "Error": _object(error=_object(("problems",), code=_TEXT, message=_TEXT, problems=_list(_PROBLEM))),
        "V2Error": _object(error=_TEXT),
    }


def _prediction(described: Description) -> dict[str, Any]:
    label = _label(described)
    shares = _object(**{label_text(label): {"type": "number", "minimum": 0} for label in described.classes})
    prediction = _object(
        id=_TEXT, prediction=label, score=_NUMBER, **({"probabilities": shares} if described.classes else {})
    )
    prediction["properties"] |= _more(described, label)
    if described.coverage is not None:
        prediction["required"].append("set" if described.classes else "interval")
    if described.automation != FULL:
        prediction["required"].append("decision")
    return prediction


def _label(described: Description) -> dict[str, Any]:
    return {"enum": list(described.classes)} if described.classes else _NUMBER


def _answer(described: Description) -> dict[str, Any]:
    answer = _object(
        model={"const": described.model},
        version={"type": "integer"},
        id=_TEXT,
        predictions=_list(_ref("Prediction")),
    )
    answer["properties"]["degraded"] = _TRUE
    return answer


def _infer_response(described: Description) -> dict[str, Any]:
    names = ["prediction", "score", *(["probabilities"] if described.classes else []), *_more_outputs(described)]
    tensor = _object(
        name={"enum": names},
        datatype={"enum": ["BYTES", "INT64", "BOOL", "FP64"]},
        shape=_list({"type": "integer"}),
        data=_list({"type": ["string", "number", "boolean"]}),
    )
    facts = _object(
        ("notes", "degraded", "automation", "unsure"),
        version={"type": "integer"},
        prediction_id=_TEXT,
        notes=_TEXT,
        degraded=_TRUE,
        automation=_TEXT,
        unsure={"type": "integer", "minimum": 0},
    )
    return _object(("id",), model_name=_TEXT, model_version=_TEXT, id=_TEXT, parameters=facts, outputs=_list(tensor))


def _more(described: Description, label: dict[str, Any]) -> dict[str, Any]:
    """What a prediction of this model may have besides."""
    more: dict[str, Any] = {}
    if described.coverage is not None:
        share = {"const": described.coverage, "description": "how often the truth lies in it"}
        if described.classes:
            more["set"] = _object(labels=_list(label), coverage=share)
        else:
            more["interval"] = _object(low=_NUMBER, high=_NUMBER, coverage=share)
    if described.automation != FULL:
        more["decision"] = {"enum": _DECISIONS[described.automation]}
        more["reason"] = {**_TEXT, "description": "why the answer does not decide"}
    if described.explains:
        names = {feature.name: _NUMBER for feature in described.features}
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
            "base": {**_NUMBER, "description": mean},
            "base_rows": {"const": described.base_rows},
            "contributions": {**_object(tuple(names), **names), "description": meaning},
        }
    return {**more, "notes": _list(_TEXT)}


def _more_outputs(described: Description) -> list[str]:
    return [name for name in _more(described, {}) if name not in ("notes", "reason", "base_rows")]


def _row(described: Description) -> dict[str, Any]:
    """The schema of a row. A column that is no feature may hold anything, but for the entity, which is read."""
    optional = (*(feature.name for feature in described.features if feature.missing), *described.other_columns)
    columns = {feature.name: _value(feature) for feature in described.features}
    columns |= {name: {"description": "may be there; the model does not read it"} for name in described.other_columns}
    if (entity := described.entity) in columns:
        about = f"whom the row is about; null and empty text name nobody. {_ROUTES.capitalize()}."
        kinds = {"type": ["string", "number", "boolean", "null"]}
        columns[entity] = {**kinds, **columns[entity], "description": about}
    return _object(optional, **columns)


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


def _plain(described: Description) -> dict[str, Any]:
    operation = _post("Predict, in the plain form", _plain_request(described), _ref("Answer"))
    if described.explains:
        asked = f"whether to say what each feature contributed to the score; at most {MAX_EXPLAINED_ROWS} rows"
        parameter = {"name": "explain", "in": "query", "schema": {"type": "boolean"}, "description": asked}
        operation["parameters"] = [parameter]
    return operation


def _kept_answers(described: Description) -> dict[str, Any]:
    schema = _object(
        model={"const": described.model},
        entity=_TEXT,
        version={"type": "integer"},
        job={**_TEXT, "description": "the batch that answered"},
        at={**_TEXT, "format": "date-time", "description": "when that batch began"},
        answer=_ref("KeptPrediction"),
    )
    operation = _get("What the last batch answered for an entity, where the contract has such answers kept", schema)
    operation["responses"] |= _errors(("400",), v2=False)
    operation["parameters"] = [
        {"name": "entity", "in": "query", "required": True, "schema": _TEXT, "example": "7", "description": "whose"}
    ]
    return operation


def _feedback(described: Description) -> dict[str, Any]:
    labels = list(described.classes)
    truth: dict[str, Any] = {"type": "number", "minimum": -MAX_MAGNITUDE, "maximum": MAX_MAGNITUDE}
    if labels:
        truth = {"enum": [*labels, *(label_text(label) for label in labels if not isinstance(label, str))]}
    item = _object(
        ("row",),
        id={
            **_TEXT,
            "pattern": ID,
            "description": "of a prediction as its answer says it; a request's is its first row's",
        },
        truth={**truth, "description": "what turned out"},
        row={"type": "integer", "minimum": 0, "maximum": MAX_ROWS - 1, "description": "where the id does not say it"},
    )
    schema = _object(feedback=_list(item, least=1, most=MAX_ITEMS))
    example = {"feedback": [{"id": "1f0c86a2b3d4e5f6-0", "truth": labels[0] if labels else 1.5}]}
    content = {"application/json": {"schema": schema, "examples": {"one": {"value": example}}}}
    summary = "Say what turned out, once it is known; what comes twice counts once"
    return _post(summary, content, _object(received={"type": "integer", "minimum": 1}))


def _plain_request(described: Description) -> dict[str, Any]:
    schema = _object(rows=_list(_ref("Row"), least=1, most=MAX_ROWS))
    return {
        "application/json": {
            "schema": schema,
            "examples": {"one": {"value": {"rows": [example_row(described.features)]}}},
        }
    }


def _v2_request(described: Description) -> dict[str, Any]:
    tensor = _object(
        ("parameters",),
        name={"enum": [*(feature.name for feature in described.features), *described.other_columns]},
        shape={
            **{"type": "array", "minItems": 1, "maxItems": 2},
            "prefixItems": [_ROW_COUNT, {"const": 1}],
        },
        datatype={"enum": list(DATATYPES)},
        parameters={"type": "object"},
        data={"type": "array", "description": "as many values as there are rows, flat or nested"},
    )
    output = _object(
        ("parameters",),
        name=_ref("InferResponse/properties/outputs/items/properties/name"),
        parameters=_object(("binary_data",), binary_data={"type": "boolean"}),
    )
    schema = _object(
        ("id", "parameters", "outputs"),
        id=_TEXT,
        parameters=_v2_parameters(described),
        inputs=_list(tensor, least=1),
        outputs=_list(output),
    )
    tensors = [
        {
            "name": feature.name,
            "shape": [1],
            "datatype": FEATURE_DATATYPES[feature.type],
            "data": [_example(feature)],
        }
        for feature in described.features
    ]
    chosen = {"id": "mine", "inputs": tensors, "outputs": [{"name": "score"}]}
    examples = {"all outputs": {"value": {"inputs": tensors}}, "one output": {"value": chosen}}
    return {"application/json": {"schema": schema, "examples": examples}}


def _v2_parameters(described: Description) -> dict[str, Any]:
    explained = f"also gives base and contributions, of at most {MAX_EXPLAINED_ROWS} rows"
    explain = {"type": "boolean", "description": explained} if described.explains else {"const": False}
    about = "whom all rows are about, whatever they say themselves"
    entity = {"type": ["string", "number", "boolean", "null"], "minLength": 1, "description": f"{about}; {_ROUTES}"}
    return {
        "type": "object",
        "properties": {"entity": entity, "explain": explain},
        "additionalProperties": {"description": "is not read"},
    }


def _scoring(described: Description) -> dict[str, Any]:
    row = example_row(described.features)
    listed = list(row.values())
    rows, lists = _list(_ref("Row"), least=1, most=MAX_ROWS), _list({"type": "array"}, least=1, most=MAX_ROWS)
    forms: dict[str, tuple[dict[str, Any], Any]] = {
        "dataframe_split": (
            _object(("index",), columns=_list(_TEXT), data=lists, index={"type": "array"}),
            {"columns": list(row), "data": [listed]},
        ),
        "dataframe_records": (rows, [row]),
        "instances": ({"anyOf": [rows, lists]}, [listed]),
        "inputs": (
            {"anyOf": [rows, lists, {"type": "object", "additionalProperties": _list({}, least=1, most=MAX_ROWS)}]},
            {name: [value] for name, value in row.items()},
        ),
    }
    params = _object(("details",), details={"type": "boolean"})
    schema = {"oneOf": [_object(("params",), **{name: form[0], "params": params}) for name, form in forms.items()]}
    line = ",".join(_csv_cell(value) for value in listed)
    content = {
        "application/json": {
            "schema": schema,
            "examples": {name: {"value": {name: form[1]}} for name, form in forms.items()},
        },
        "text/csv": {
            "schema": _TEXT,
            "examples": {"one": {"value": f"{','.join(map(_csv_cell, row))}\n{line}\n"}},
        },
    }
    operation = _post(
        "Predict, as MLflow's and SageMaker's servers do",
        content,
        _object(predictions=_list({"anyOf": [_label(described), _ref("Prediction")]})),
    )
    operation["responses"]["200"]["headers"] = {
        "X-Serin-Version": {"schema": _TEXT, "required": True},
        "X-Serin-Prediction-Id": {"schema": _TEXT, "required": True},
        "X-Serin-Noted-Rows": {"schema": _TEXT, "description": "rows with notes; params.details shows them"},
        "X-Serin-Degraded": {"schema": {"const": "true"}},
    }
    return operation


def _csv_cell(value: Any) -> str:
    text = label_text(value)
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',"\r\n') else text


def _index() -> dict[str, Any]:
    listed = _object(name=_TEXT, version=_TEXT, state={"enum": ["READY", "UNAVAILABLE"]}, reason=_TEXT)
    request = {"application/json": {"schema": _object(("ready",), ready={"type": "boolean"})}}
    operation = _post("The models", request, {"type": "array", "items": listed}, v2=True)
    operation["requestBody"]["required"] = False
    return operation


# -- parts of the document -----------------------------------------------------------------------------


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _without(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The same object without one of its keys."""
    properties = {key: value for key, value in schema["properties"].items() if key != name}
    return {**schema, "properties": properties, "required": [key for key in schema["required"] if key != name]}


def _object(optional: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    """An object that has these keys, and no other; all of them but the optional."""
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any], *, least: int = 0, most: int | None = None) -> dict[str, Any]:
    return {
        "type": "array",
        "items": items,
        **({"minItems": least} if least else {}),
        **({"maxItems": most} if most else {}),
    }


_FEATURE = _object(
    ("min", "max", "values"),
    name=_TEXT,
    type={"enum": list(FEATURE_DATATYPES)},
    missing={"type": "boolean"},
    min=_NUMBER,
    max=_NUMBER,
    values=_list(_TEXT),
)
_MODEL = _object(
    model=_TEXT,
    task=_TEXT,
    target=_TEXT,
    champion=_object(version={"type": "integer"}, since=_TEXT, files={"type": "object"}),
    classes=_list({"type": ["string", "integer", "boolean"]}),
    features=_list(_FEATURE),
    entity={"type": ["string", "null"]},
    other_columns=_list(_TEXT),
    automation=_TEXT,
    coverage={"type": ["number", "null"]},
    explains={"type": "boolean"},
    base_rows={"type": ["integer", "null"]},
    degraded={"type": "boolean"},
)
_METADATA_TENSOR = _object(
    ("parameters",),
    name=_TEXT,
    datatype={"enum": list(DATATYPES)},
    shape=_list({"type": "integer"}),
    parameters={"type": "object"},
)
_METADATA = _object(
    name=_TEXT,
    versions=_list(_TEXT),
    platform=_TEXT,
    inputs=_list(_METADATA_TENSOR),
    outputs=_list(_METADATA_TENSOR),
)
_PROBLEM = _object(row={"type": "integer"}, field=_TEXT, code=_TEXT, message=_TEXT)


def _content(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_ERROR = {
    "400": "It cannot be read.",
    "403": "The API key is missing, or not known.",
    "404": "There is no such model, no champion, no such version, or no answer kept.",
    "413": "It is over 1 MiB, or over the rows that are answered at once.",
    "415": "Its content type is not read.",
    "422": "It can be read, and breaks the model's contract: row, field and what is allowed.",
    "429": "Too many requests: wait as long as Retry-After says.",
    "500": "The model gave no number, or something is wrong here.",
    "503": "Something is out of reach: wait as long as Retry-After says.",
}
_GATEWAY = ("403", "429")  # API Gateway says these, in one form for all
_ASKING = ("403", "404", "429", "500", "503")
_V2_ERROR = _content(_ref("V2Error"), _ERROR["503"])


def _errors(statuses: tuple[str, ...], *, v2: bool) -> dict[str, Any]:
    schemas = {status: "V2Error" if v2 and status not in _GATEWAY else "Error" for status in statuses}
    return {status: _content(_ref(schemas[status]), _ERROR[status]) for status in statuses}


def _get(summary: str, schema: dict[str, Any], *, v2: bool = False) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": _content(schema, "It is so."), **_errors(_ASKING, v2=v2)}}


def _open(summary: str, schema: dict[str, Any], *, errors: dict[str, Any] | None = None) -> dict[str, Any]:
    """What needs no key."""
    limited = _errors(("429",), v2=True)
    return {
        "summary": summary,
        "security": [],
        "responses": {"200": _content(schema, "Yes."), **limited, **(errors or {})},
    }


def _post(summary: str, content: dict[str, Any], schema: dict[str, Any], *, v2: bool = False) -> dict[str, Any]:
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _content(schema, "The answer."), **_errors(tuple(_ERROR), v2=v2)},
    }
