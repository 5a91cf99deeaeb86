"""What do MLflow's, SageMaker's and TensorFlow Serving's forms ask and hear? Tables; the predictions, bare."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from serin.contract.notation import BOOLEANS, unwrap
from serin.contract.serving_spec import NO_CATEGORY, ServingSpec, SpecFeature, label_text
from serin.errors import BadRequest
from serin.serving.rows.body import check_count, check_keys, dump_json, read_json, read_text, shorten

if TYPE_CHECKING:  # as in dispatch
    from serin.serving.endpoint import Endpoint

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
CSV, JSON = "text/csv", "application/json"
JSON_LINES = ("application/jsonlines", "application/x-ndjson", "application/jsonl")
MOST_DIGITS = 20


def invoke(
    endpoint: Endpoint, model: str, kind: str, body: bytes, wanted: str
) -> tuple[dict[str, Any] | str, dict[str, str]]:
    """Answer a table with `{"predictions": […]}`, and with headers that say what the form has no place for.

    kind: the content type, JSON, JSON Lines or CSV. Each prediction is a label or a number; with
    `"params": {"details": true}` it is what the plain form answers. wanted: what the request accepts; CSV is a
    prediction a line, JSON Lines a plain answer a line. Raises as `Endpoint.predict` does.
    """
    serving = endpoint.serving(model)
    spec = serving.model.spec
    names, has_details = [feature.name for feature in spec.features], False
    if kind == CSV:
        rows = _csv_rows(body, spec)
    elif kind in JSON_LINES:
        rows = _lines(body)
    else:
        rows, has_details = _json_rows(body, names)
    check_count(len(rows))
    answered = endpoint.answer(model, rows, serving=serving)
    answers = answered.answers()
    headers = {"X-Serin-Version": str(answered.version), "X-Serin-Prediction-Id": answered.id}
    if noted := sum(map(bool, answered.notes)):
        headers["X-Serin-Noted-Rows"] = str(noted)
    if answered.is_degraded:
        headers["X-Serin-Degraded"] = "true"
    if CSV in wanted and JSON not in wanted:
        return _as_csv(answers), headers | {"Content-Type": f"{CSV}; charset=utf-8"}
    if lines := next((name for name in JSON_LINES if name in wanted), None):
        return "".join(f"{dump_json(answer).decode()}\n" for answer in answers), headers | {"Content-Type": lines}
    return {"predictions": answers if has_details else [answer["prediction"] for answer in answers]}, headers


def _as_csv(answers: list[dict[str, Any]]) -> str:
    import csv

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([label_text(answer["prediction"])] for answer in answers)
    return text.getvalue()


def _lines(body: bytes) -> list[dict[str, Any]]:
    lines = [line for line in read_text(body).split("\n") if line.strip()]
    check_count(len(lines))
    rows = [read_json(line.encode()) for line in lines]
    if not all(isinstance(row, dict) for row in rows):
        raise BadRequest("each line must be an object, a row by the names of its columns")
    return rows


def _json_rows(body: bytes, features: list[str]) -> tuple[list[dict[str, Any]], bool]:
    document = read_json(body)
    named = [form for form in FORMS if isinstance(document, dict) and form in document]
    if len(named) != 1:
        raise BadRequest(f"the body must be an object with exactly one of {', '.join(FORMS)}")
    check_keys(document, (named[0], "params"), "the body")
    params = document.get("params", {})
    if not isinstance(params, dict) or not isinstance(params.get("details", False), bool):
        raise BadRequest('params must be {"details": true} or {"details": false}')
    check_keys(params, ("details",), "params")
    table = document[named[0]]
    if named[0] == "dataframe_split":
        rows = _split(table)
    elif named[0] == "inputs" and isinstance(table, dict):
        rows = _columns(table)
    elif named[0] != "dataframe_records" and isinstance(table, list) and all(isinstance(row, list) for row in table):
        rows = _named(table, features, "the features of the model, in their order")
    elif isinstance(table, list) and all(isinstance(row, dict) for row in table):
        rows = table
    else:
        raise BadRequest(f"{named[0]} must be a list of rows")
    return rows, params.get("details", False)


def _split(table: Any) -> list[dict[str, Any]]:
    if not isinstance(table, dict):
        raise BadRequest('dataframe_split must be {"columns": […], "data": [[…], …]}')
    check_keys(table, ("columns", "data", "index"), "dataframe_split")
    columns, data = table.get("columns"), table.get("data")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise BadRequest("dataframe_split must have columns, a list of names")
    if not isinstance(data, list) or not all(isinstance(row, list) for row in data):
        raise BadRequest("dataframe_split must have data, a list of lists")
    if not isinstance(table.get("index", []), list):
        raise BadRequest("index must be a list")
    return _named(data, columns, "the columns")


def _columns(table: dict[str, Any]) -> list[dict[str, Any]]:
    """Read columns by their names: lists of values, or of lists of one value."""
    columns = []
    for name, values in table.items():
        if not isinstance(values, list):
            raise BadRequest(f"inputs: the column {shorten(name)!r} must be a list")
        is_nested = all(isinstance(value, list) and len(value) == 1 for value in values)
        columns.append([value[0] for value in values] if is_nested else values)
    if len({len(column) for column in columns}) > 1:
        raise BadRequest("inputs: the columns must be of one length")
    return [dict(zip(table, row, strict=True)) for row in zip(*columns, strict=True)]


def _csv_rows(body: bytes, spec: ServingSpec) -> list[dict[str, Any]]:
    """Read CSV as an upload is read; columns without a name, an index as a rule, are left out."""
    import csv  # no other form needs it

    from serin.serving.rows.dialect import tell_dialect

    text = read_text(body).lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    dialect = tell_dialect(text.encode())
    lines = io.StringIO(text.encode()[dialect.start :].decode(), newline="")
    try:
        header, *data = [line for line in dialect.reader(lines, strict=True) if line]
    except csv.Error as error:
        raise BadRequest(f"the body is not CSV: {error}") from error
    except ValueError as error:
        raise BadRequest("the body is empty; its first line must name the columns") from error
    features = {feature.name: feature for feature in spec.features}
    columns = [name.strip() for name in header]
    if spec.names and tuple(columns) != spec.names:
        columns, data = [*spec.names], [header, *data]
    elif not features.keys() & set(columns):
        raise BadRequest(f"the first line must name the columns, and names none of {', '.join(list(features)[:20])}")
    data = [_without_trailing(row, len(columns)) for row in data]
    named = [place for place, name in enumerate(columns) if name]
    kept = [[row[place] for place in named] if len(row) == len(columns) else row for row in data]
    rows = _named(kept, [columns[place] for place in named], "the first line")
    return [{name: read_cell(text, features.get(name)) for name, text in row.items()} for row in rows]


def _without_trailing(row: list[str], width: int) -> list[str]:
    """Leave out the separators at the end of a row that has more cells than there are names."""
    while len(row) > width and not row[-1]:
        row = row[:-1]
    return row


def read_cell(text: str, feature: SpecFeature | None) -> Any:
    """Read a cell as training does; what it cannot be is left as it is, for the data plane to refuse."""
    text = unwrap(text.strip())
    if feature is None or not feature.is_numeric:
        return text
    folded = text.lower()
    if folded == "none" or feature.notation.is_missing(folded, NO_CATEGORY):
        return None
    if feature.type == "boolean":
        return BOOLEANS.get(folded, text)
    if len(text) < MOST_DIGITS and text.isascii() and text.isdigit():  # all of it, for it may be an entity's number
        return int(text)
    number = feature.notation.read_number(text)
    return text if number is None else number


def _named(data: list[list[Any]], columns: list[str], what: str) -> list[dict[str, Any]]:
    if len(set(columns)) != len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise BadRequest(f"the column {shorten(twice)!r} stands twice")
    check_count(len(data))
    for place, row in enumerate(data):
        if len(row) != len(columns):
            raise BadRequest(f"row {place} has {len(row)} values, and not one for each of {what} ({len(columns)})")
    return [dict(zip(columns, row, strict=True)) for row in data]
