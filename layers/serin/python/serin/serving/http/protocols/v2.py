"""What does the Open Inference Protocol, version 2, ask and hear? In JSON, a tensor for each feature or one for all.

Source: https://github.com/kserve/open-inference-protocol; the repository's index is Triton's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from serin.contract.serving_spec import ServingSpec, SpecFeature, label_text
from serin.errors import BadRequest
from serin.serving.answer import EXPLANATION, FULL, Answered, covered, extras
from serin.serving.description import Description
from serin.serving.http.protocols.scoring import read_cell
from serin.serving.rows.body import check_count, check_keys, read_json, shorten
from serin.serving.rows.encode import entity_text

if TYPE_CHECKING:  # as in dispatch
    from serin.serving.endpoint import Endpoint

# Of each datatype: the Python types of its values in JSON, and the largest magnitudes that it holds.
DATATYPES: dict[str, tuple[tuple[type, ...], float, float]] = {
    "BOOL": ((bool,), 0, 1),
    **{f"UINT{bits}": ((int,), 0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": ((int,), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    "FP16": ((int, float), -65504.0, 65504.0),
    "FP32": ((int, float), -(2 - 2**-23) * 2.0**127, (2 - 2**-23) * 2.0**127),
    "FP64": ((int, float), -(2 - 2**-52) * 2.0**1023, (2 - 2**-52) * 2.0**1023),
    "BYTES": ((str,), 0, 0),
}
FEATURE_DATATYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "category": "BYTES"}
USUAL = ("prediction", "score", "probabilities")
SERVER = {"name": "serin", "version": "1", "extensions": ["model_repository"]}
NO_BINARY = "tensors come as JSON here, in data; with tritonclient: binary_data=False"


def infer(endpoint: Endpoint, model: str, version: str | None, body: bytes) -> dict[str, Any]:
    """Answer an inference request. Raises as `Endpoint.answer` does."""
    document = read_json(body)
    if not isinstance(document, dict):
        raise BadRequest('the body must be {"inputs": [{"name", "shape", "datatype", "data"}, …]}')
    check_keys(document, ("id", "parameters", "inputs", "outputs"), "a request")
    if not isinstance(document.get("id", ""), str):
        raise BadRequest("id must be text")
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict) or not isinstance(parameters.get("explain", False), bool):
        raise BadRequest("parameters must be an object, and explain in it true or false")
    entity = parameters.get("entity")
    if entity is not None and entity_text(entity) is None:
        raise BadRequest("entity in parameters must be text or a number")
    serving = endpoint.serving(model, version)
    rows = _matrix(document.get("inputs"), serving.model.spec) or _rows(document.get("inputs"))
    chosen = _chosen(document.get("outputs"), serving.model.spec)
    if parameters.get("explain"):
        chosen += sorted(EXPLANATION.difference(chosen))
    needs = [name for name in chosen if name not in USUAL]
    answered = endpoint.answer(model, rows, serving=serving, entity=entity_text(entity), needs=needs)
    return {
        "model_name": model,
        "model_version": str(answered.version),
        **({"id": document["id"]} if "id" in document else {}),
        "parameters": _facts(answered),
        "outputs": _outputs(answered, chosen),
    }


def describe(endpoint: Endpoint, model: str, version: str | None) -> dict[str, Any]:
    """Give the metadata of a model, or of one version. Raises as `Endpoint.describe` does."""
    described = endpoint.describe(model, version)
    scores: list[dict[str, Any]] = [{"name": "score", "datatype": "FP64", "shape": [-1]}]
    if described.classes:
        shares = {"name": "probabilities", "datatype": "FP64", "shape": [-1, len(described.classes)]}
        scores.append({**shares, "parameters": {"classes": list(described.classes)}})
    scores += _more(described)
    return {
        "name": model,
        "versions": [version or str(described.champion.version)],
        "platform": "onnxruntime_onnx",
        "inputs": [
            {
                "name": feature.name,
                "datatype": FEATURE_DATATYPES[feature.type],
                "shape": [-1],
                "parameters": {"null_is_missing": feature.missing},
            }
            for feature in described.features
        ],
        "outputs": [
            {"name": "prediction", "datatype": _label_datatype(described.classes), "shape": [-1]},
            *scores,
        ],
    }


def _more(described: Description) -> Iterator[dict[str, Any]]:
    """Describe the outputs that are given to whoever asks for them by name."""
    if described.coverage is not None:
        parameters: dict[str, Any] = {"coverage": described.coverage}
        if classes := described.classes:
            parameters["classes"] = list(classes)
            yield {"name": "set", "datatype": "BOOL", "shape": [-1, len(classes)], "parameters": parameters}
        else:
            yield {"name": "interval", "datatype": "FP64", "shape": [-1, 2], "parameters": parameters}
    if described.automation != FULL:
        yield {"name": "decision", "datatype": "BYTES", "shape": [-1]}
    if described.explains:
        names = [feature.name for feature in described.features]
        yield {"name": "base", "datatype": "FP64", "shape": [-1], "parameters": {"rows": described.base_rows}}
        shape = [-1, len(names)]
        yield {"name": "contributions", "datatype": "FP64", "shape": shape, "parameters": {"features": names}}


def ready(endpoint: Endpoint, model: str, version: str | None) -> dict[str, Any]:
    """Say that the champion, or the version asked for, is loaded. Raises where it cannot be, as `describe` does."""
    endpoint.serving(model, version)
    return {"name": model, "ready": True}


def index(endpoint: Endpoint, body: bytes) -> list[dict[str, Any]]:
    """List the models; those that answer, where the body is `{"ready": true}`. Raises BadRequest, Unavailable."""
    document = read_json(body) if body else {}
    if not isinstance(document, dict) or not isinstance(document.get("ready", False), bool):
        raise BadRequest('the body must be {"ready": true}, {"ready": false} or nothing')
    check_keys(document, ("ready",), "the body")
    listed = []
    for name, champion in endpoint.index().items():
        if champion:
            listed.append({"name": name, "version": str(champion.version), "state": "READY", "reason": ""})
        elif not document.get("ready"):
            reason = "it has no champion: nothing was released yet"
            listed.append({"name": name, "version": "", "state": "UNAVAILABLE", "reason": reason})
    return listed


def refuse_binary(headers: Mapping[str, str]) -> None:
    """Raise BadRequest where the body goes on with binary tensors."""
    if headers.get("inference-header-content-length") is not None:
        raise BadRequest(f"Inference-Header-Content-Length: {NO_BINARY}", code="BINARY_TENSORS")


def _matrix(inputs: Any, spec: ServingSpec) -> list[dict[str, Any]] | None:
    """Read rows from one tensor of shape [n, features], whatever its name; None where there is none such.

    Its columns are the features, in their order.
    """
    tensor = inputs[0] if isinstance(inputs, list) and len(inputs) == 1 and isinstance(inputs[0], dict) else {}
    shape, width = tensor.get("shape"), len(spec.features)
    if width < 2 or not isinstance(shape, list) or len(shape) != 2 or shape[1] != width or type(shape[0]) is not int:
        return None
    place = f"the input {shorten(str(tensor.get('name')))!r}"
    data = tensor.get("data")
    if isinstance(data, list) and all(isinstance(row, list) for row in data):
        data = [value for row in data for value in row]
    if not isinstance(data, list) or len(data) != shape[0] * width:
        raise BadRequest(f"{place} has data that is not of its shape")
    check_count(shape[0])
    cells = _values(data, tensor.get("datatype"), place)
    features = spec.features * shape[0]
    read = [(feature.name, _of(feature, cell)) for feature, cell in zip(features, cells, strict=True)]
    return [dict(read[start : start + width]) for start in range(0, len(read), width)]


def _of(feature: SpecFeature, cell: Any) -> Any:
    """Give a cell of a tensor for all features what its feature takes: text is read as in CSV, 0 and 1 are booleans."""
    if isinstance(cell, str):
        return read_cell(cell, feature)
    return bool(cell) if feature.type == "boolean" and cell in (0, 1) else cell


def _rows(inputs: Any) -> list[dict[str, Any]]:
    """Read rows from tensors, each a column."""
    if not isinstance(inputs, list) or not inputs:
        raise BadRequest("inputs must be a list of tensors, one for each feature")
    columns: dict[str, list[Any]] = {}
    for tensor in inputs:
        name = _name(tensor, "inputs")
        if name in columns:
            raise BadRequest(f"the input {shorten(name)!r} stands twice")
        columns[name] = _column(tensor, f"the input {shorten(name)!r}")
        if len(columns[name]) != len(next(iter(columns.values()))):
            raise BadRequest(f"the input {shorten(name)!r} has another number of rows than the first")
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _column(tensor: dict[str, Any], place: str) -> list[Any]:
    """Read a tensor of shape [n] or [n, 1], flat or nested."""
    check_keys(tensor, ("name", "shape", "datatype", "parameters", "data"), place)
    if "data" not in tensor:
        raise BadRequest(f"{place} has no data: {NO_BINARY}")
    shape, data, datatype = (tensor.get(key) for key in ("shape", "data", "datatype"))
    if not isinstance(shape, list) or not shape or shape[1:] not in ([], [1]) or any(type(n) is not int for n in shape):
        raise BadRequest(f"{place} must have shape [n] or [n, 1], n the number of rows")
    if isinstance(data, list) and len(shape) == 2 and all(isinstance(part, list) and len(part) == 1 for part in data):
        data = [part[0] for part in data]
    if not isinstance(data, list) or len(data) != shape[0]:
        raise BadRequest(f"{place} has data that is not of its shape")
    check_count(len(data))
    return _values(data, datatype, place)


def _values(data: list[Any], datatype: Any, place: str) -> list[Any]:
    """Check that values are of a datatype."""
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise BadRequest(f"{place} must have one of the datatypes {', '.join(DATATYPES)}")
    kinds, low, high = DATATYPES[datatype]
    for row, value in enumerate(data):
        if value is None:  # a missing value: our extension
            continue
        if type(value) not in kinds or (kinds != (str,) and not low <= value <= high):
            raise BadRequest(f"{place}: the value of row {row} is no {datatype}", code="DATATYPE")
    return data


def _chosen(outputs: Any, spec: ServingSpec) -> list[str]:
    usual = [*(USUAL if spec.classes else USUAL[:2])]
    if outputs is None:
        return usual
    known = [*usual, *extras(spec)]
    if not isinstance(outputs, list):
        raise BadRequest('outputs must be a list of {"name": …}')
    names = [_name(output, "outputs") for output in outputs]
    for output in outputs:
        check_keys(output, ("name", "parameters"), "an output")
        # What asks for binary data is answered with JSON, as the protocol allows.
        check_keys(output.get("parameters", {}), ("binary_data",), "parameters of an output")
    if len(set(names)) != len(names):
        raise BadRequest("an output is asked for twice")
    for name in names:
        if name not in known:
            raise BadRequest(f"there is no output {shorten(name)!r}; there are {', '.join(known)}")
    return names or usual


def _name(tensor: Any, place: str) -> str:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise BadRequest(f"{place} must be a list of objects with a name")
    if not isinstance(tensor.get("parameters", {}), dict):
        raise BadRequest(f"parameters in {place} must be an object")
    return str(tensor["name"])


def _facts(answered: Answered) -> dict[str, Any]:
    """What the protocol has no place for. Its parameters are texts, numbers and booleans."""
    facts: dict[str, Any] = {"version": answered.version, "prediction_id": answered.id}
    notes = [f"row {row}: {line}" for row, lines in enumerate(answered.notes) for line in lines]
    if notes:
        facts["notes"] = "\n".join(notes)
    if answered.spec.automation != FULL:
        facts |= {"automation": answered.spec.automation, "unsure": answered.unsure}
    if answered.is_degraded:
        facts["degraded"] = True
    return facts


def _outputs(answered: Answered, chosen: list[str]) -> list[dict[str, Any]]:
    rows = answered.answers()
    classes = answered.spec.classes
    datatype = _label_datatype(classes)
    labels = [label_text(row["prediction"]) if datatype == "BYTES" else row["prediction"] for row in rows]
    outputs: dict[str, tuple[str, list[int], list[Any]]] = {
        "prediction": (datatype, [len(rows)], labels),
        "score": ("FP64", [len(rows)], [row["score"] for row in rows]),
    }
    if classes:
        shares = [share for row in answered.scores.tolist() for share in row]
        outputs["probabilities"] = ("FP64", [len(rows), len(classes)], shares)
    outputs |= _more_outputs(answered, rows)
    return [
        {"name": name, "datatype": outputs[name][0], "shape": outputs[name][1], "data": outputs[name][2]}
        for name in chosen
    ]


def _more_outputs(answered: Answered, rows: list[dict[str, Any]]) -> dict[str, tuple[str, list[int], list[Any]]]:
    """Write as tensors what the contract asks for besides; a set as a yes or no for each class."""
    spec, outputs = answered.spec, dict[str, tuple[str, list[int], list[Any]]]()
    if spec.uncertainty and spec.classes:
        is_in = [is_in_set for row in answered.scores.tolist() for is_in_set in covered(row, spec)]
        outputs["set"] = ("BOOL", [len(rows), len(spec.classes)], is_in)
    elif spec.uncertainty:
        bounds = [row["interval"][bound] for row in rows for bound in ("low", "high")]
        outputs["interval"] = ("FP64", [len(rows), 2], bounds)
    if spec.automation != FULL:
        outputs["decision"] = ("BYTES", [len(rows)], [row["decision"] for row in rows])
    if explained := answered.explained:
        outputs["base"] = ("FP64", [len(rows)], explained.base.tolist())
        flat = explained.contributions.ravel().tolist()
        outputs["contributions"] = ("FP64", list(explained.contributions.shape), flat)
    return outputs


def _label_datatype(classes: Any) -> str:
    kinds = {type(label) for label in classes} or {float}
    return {bool: "BOOL", int: "INT64", float: "FP64"}.get(kinds.pop(), "BYTES") if len(kinds) == 1 else "BYTES"
