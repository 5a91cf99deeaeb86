"""How is one model's endpoint described to tools? As OpenAPI 3.1, made from what the model's spec says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from serin.contract.serving_spec import label_text
from serin.serving.capture.feedback import ID, MAX_ITEMS
from serin.serving.description import Description, FeatureDescription
from serin.serving.http.protocols.json_schema import TEXT, TRUE, list_of, object_of, ref
from serin.serving.http.protocols.schemas import ROUTED, label_of, schemas
from serin.serving.http.protocols.scoring import JSON_LINES
from serin.serving.http.protocols.v2 import DATATYPES, FEATURE_DATATYPES
from serin.serving.rows.body import MAX_ROWS, dump_json
from serin.serving.rows.encode import MAX_MAGNITUDE
from serin.serving.runtime.explain import MAX_EXPLAINED_ROWS

_ROW_COUNT: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": MAX_ROWS}


def document(described: Description) -> dict[str, Any]:
    """Describe every path of one model. described: what `Endpoint.describe` gives."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{described.model}: {described.task} of {described.target}",
            "version": str(described.champion.version),
            "description": f"At most {MAX_ROWS:,} rows and 1 MiB a request. The same rows give the same answers "
            "through every form. null is a missing value, where a feature takes one.",
        },
        "servers": [{"url": "../.."}],  # seen from where this document is served
        "security": [{"key": []}],
        "paths": _paths(described),
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
            "schemas": schemas(described),
        },
    }


def _paths(described: Description) -> dict[str, dict[str, Any]]:
    model, v2 = f"/models/{described.model}", f"/v2/models/{described.model}"
    version = f"{v2}/versions/{described.champion.version}"
    infer = _post("Predict, by the Open Inference Protocol", _v2_request(described), ref("InferResponse"), v2=True)
    return {
        model: {"get": _get("What the model is, who answers, and what it takes", ref("Model"))},
        f"{model}/predict": {"post": _plain(described)},
        f"{model}/invocations": {"post": _scoring(described)},
        f"/v1/models/{described.model}:predict": {"post": _tensorflow(described)},
        f"{model}/feedback": {"post": _feedback(described)},
        f"{model}/answers": {"get": _kept_answers(described)},
        f"{model}/ping": {"get": _get("Does the champion load?", object_of(status={"const": "ok"}))},
        v2: {"get": _get("Metadata", ref("Metadata"), v2=True)},
        f"{v2}/ready": {"get": _get("Does the champion load?", ref("Ready"), v2=True)},
        f"{v2}/infer": {"post": infer},
        version: {"get": _get("Metadata of the champion", ref("Metadata"), v2=True)},
        f"{version}/ready": {"get": _get("Does the champion load?", ref("Ready"), v2=True)},
        f"{version}/infer": {"post": infer},
        "/v2": {"get": _open("The server", object_of(name=TEXT, version=TEXT, extensions=list_of(TEXT)))},
        "/v2/health/live": {"get": _open("Is it there?", object_of(live=TRUE))},
        "/v2/health/ready": {"get": _open("Can models be found?", object_of(ready=TRUE), errors={"503": _V2_ERROR})},
        "/v2/repository/index": {"post": _index()},
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


def _plain(described: Description) -> dict[str, Any]:
    operation = _post("Predict, in the plain form", _plain_request(described), ref("Answer"))
    if described.explains:
        description = f"whether to say what each feature contributed to the score; at most {MAX_EXPLAINED_ROWS} rows"
        parameter = {"name": "explain", "in": "query", "schema": {"type": "boolean"}, "description": description}
        operation["parameters"] = [parameter]
    return operation


def _kept_answers(described: Description) -> dict[str, Any]:
    schema = object_of(
        model={"const": described.model},
        entity=TEXT,
        version={"type": "integer"},
        job={**TEXT, "description": "the batch that answered"},
        at={**TEXT, "format": "date-time", "description": "when that batch began"},
        answer=ref("KeptPrediction"),
    )
    operation = _get("What the last batch answered for an entity, where the contract has such answers kept", schema)
    operation["responses"] |= _errors(("400",), v2=False)
    operation["parameters"] = [
        {"name": "entity", "in": "query", "required": True, "schema": TEXT, "example": "7", "description": "whose"}
    ]
    return operation


def _feedback(described: Description) -> dict[str, Any]:
    labels = list(described.classes)
    truth: dict[str, Any] = {"type": "number", "minimum": -MAX_MAGNITUDE, "maximum": MAX_MAGNITUDE}
    if labels:
        truth = {"enum": [*labels, *(label_text(label) for label in labels if not isinstance(label, str))]}
    item = object_of(
        ("row",),
        id={
            **TEXT,
            "pattern": ID,
            "description": "of a prediction as its answer says it; a request's is its first row's",
        },
        truth={**truth, "description": "what turned out"},
        row={"type": "integer", "minimum": 0, "maximum": MAX_ROWS - 1, "description": "where the id does not say it"},
    )
    schema = object_of(feedback=list_of(item, least=1, most=MAX_ITEMS))
    example = {"feedback": [{"id": "1f0c86a2b3d4e5f6-0", "truth": labels[0] if labels else 1.5}]}
    content = {"application/json": {"schema": schema, "examples": {"one": {"value": example}}}}
    summary = "Say what turned out, once it is known; what comes twice counts once"
    return _post(summary, content, object_of(received={"type": "integer", "minimum": 1}))


def _plain_request(described: Description) -> dict[str, Any]:
    schema = object_of(rows=list_of(ref("Row"), least=1, most=MAX_ROWS))
    return {
        "application/json": {
            "schema": schema,
            "examples": {"one": {"value": {"rows": [example_row(described.features)]}}},
        }
    }


def _v2_request(described: Description) -> dict[str, Any]:
    output = object_of(
        ("parameters",),
        name=ref("InferResponse/properties/outputs/items/properties/name"),
        parameters=object_of(("binary_data",), binary_data={"type": "boolean"}),
    )
    schema = object_of(
        ("id", "parameters", "outputs"),
        id=TEXT,
        parameters=_v2_parameters(described),
        inputs=list_of(_tensor(described), least=1),
        outputs=list_of(output),
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


def _tensor(described: Description) -> dict[str, Any]:
    return object_of(
        ("parameters",),
        name={"enum": [*(feature.name for feature in described.features), *described.other_columns]},
        shape={"type": "array", "minItems": 1, "maxItems": 2, "prefixItems": [_ROW_COUNT, {"const": 1}]},
        datatype={"enum": list(DATATYPES)},
        parameters={"type": "object"},
        data={"type": "array", "description": "as many values as there are rows, flat or nested"},
    )


def _v2_parameters(described: Description) -> dict[str, Any]:
    explained = f"also gives base and contributions, of at most {MAX_EXPLAINED_ROWS} rows"
    explain = {"type": "boolean", "description": explained} if described.explains else {"const": False}
    about = "whom all rows are about, whatever they say themselves"
    entity = {"type": ["string", "number", "boolean", "null"], "minLength": 1, "description": f"{about}; {ROUTED}"}
    return {
        "type": "object",
        "properties": {"entity": entity, "explain": explain},
        "additionalProperties": {"description": "is not read"},
    }


def _scoring(described: Description) -> dict[str, Any]:
    row = example_row(described.features)
    lines = [",".join(map(_csv_cell, cells)) for cells in (row, row.values())]
    content: dict[str, Any] = {
        "application/json": _table_forms(row),
        "text/csv": {"schema": TEXT, "examples": {"one": {"value": "".join(f"{line}\n" for line in lines)}}},
        JSON_LINES[0]: {"schema": TEXT, "examples": {"one": {"value": f"{dump_json(row).decode()}\n"}}},
    }
    operation = _post(
        "Predict, as MLflow's and SageMaker's servers do",
        content,
        object_of(predictions=list_of({"anyOf": [label_of(described), ref("Prediction")]})),
    )
    others = ("text/csv", *JSON_LINES)  # to whoever accepts them
    operation["responses"]["200"]["content"] |= {kind: {"schema": TEXT} for kind in others}
    operation["responses"]["200"]["headers"] = {
        "X-Serin-Version": {"schema": TEXT, "required": True},
        "X-Serin-Prediction-Id": {"schema": TEXT, "required": True},
        "X-Serin-Noted-Rows": {"schema": TEXT, "description": "rows with notes; params.details shows them"},
        "X-Serin-Degraded": {"schema": {"const": "true"}},
    }
    return operation


def _tensorflow(described: Description) -> dict[str, Any]:
    forms = _table_forms(example_row(described.features))
    predictions = list_of({"anyOf": [label_of(described), ref("Prediction")]})
    return _post("Predict, as TensorFlow Serving does", {"application/json": forms}, object_of(predictions=predictions))


def _table_forms(row: dict[str, Any]) -> dict[str, Any]:
    """Describe the forms in which MLflow writes a table as JSON, each with a row as its example."""
    listed = list(row.values())
    rows, lists = list_of(ref("Row"), least=1, most=MAX_ROWS), list_of({"type": "array"}, least=1, most=MAX_ROWS)
    columns = {"type": "object", "additionalProperties": list_of({}, least=1, most=MAX_ROWS)}
    forms: dict[str, tuple[dict[str, Any], Any]] = {
        "dataframe_split": (
            object_of(("index",), columns=list_of(TEXT), data=lists, index={"type": "array"}),
            {"columns": list(row), "data": [listed]},
        ),
        "dataframe_records": (rows, [row]),
        "instances": ({"anyOf": [rows, lists]}, [listed]),
        "inputs": ({"anyOf": [rows, lists, columns]}, {name: [value] for name, value in row.items()}),
    }
    params = object_of(("details",), details={"type": "boolean"})
    schemas_of_forms = [object_of(("params",), **{name: form, "params": params}) for name, (form, _) in forms.items()]
    return {
        "schema": {"oneOf": schemas_of_forms},
        "examples": {name: {"value": {name: example}} for name, (_, example) in forms.items()},
    }


def _csv_cell(value: Any) -> str:
    text = label_text(value)
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',"\r\n') else text


def _index() -> dict[str, Any]:
    listed = object_of(name=TEXT, version=TEXT, state={"enum": ["READY", "UNAVAILABLE"]}, reason=TEXT)
    request = {"application/json": {"schema": object_of(("ready",), ready={"type": "boolean"})}}
    operation = _post("The models", request, {"type": "array", "items": listed}, v2=True)
    operation["requestBody"]["required"] = False
    return operation


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
_V2_ERROR = _content(ref("V2Error"), _ERROR["503"])


def _errors(statuses: tuple[str, ...], *, v2: bool) -> dict[str, Any]:
    schemas = {status: "V2Error" if v2 and status not in _GATEWAY else "Error" for status in statuses}
    return {status: _content(ref(schemas[status]), _ERROR[status]) for status in statuses}


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
