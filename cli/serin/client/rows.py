"""How does a person give rows to predict? As JSON, or as a table; its cells take the types that the endpoint states."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from serin.client.endpoint import Endpoint, invalid_rows
from serin.client.project import AskedWrongly
from serin.client.words import name_some
from serin.contract.notation import Notation
from serin.errors import InvalidRows, RowProblem
from serin.serving.rows.body import MAX_BODY_BYTES, MAX_ROWS

if TYPE_CHECKING:
    import pandas as pd

LARGEST_EXACT = 2.0**53
ROOM = 64  # bytes of a request's body beside its rows


def rows_from_json(text: str | bytes) -> list[Any]:
    """Read rows: a list of objects, one object, or {"rows": [...]}. Raises AskedWrongly."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AskedWrongly(f"the rows are not JSON: {error}") from error
    if isinstance(document, dict):
        document = document.get("rows", [document])
    if not isinstance(document, list):
        raise AskedWrongly('rows are a list of objects, like [{"age": 41}]')
    return document


def plain_rows(rows: Sequence[Any]) -> list[Any]:
    """Make rows of plain values, which JSON can say: of NaN and its like nothing, of numpy's scalars Python's.

    Raises AskedWrongly where these are no rows.
    """
    if isinstance(rows, str | bytes) or not all(isinstance(row, Mapping) for row in rows):
        raise AskedWrongly("rows are a DataFrame, a dict, or a list of dicts like {'age': 41}")
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        return None
    is_missing = type(value).__name__ in ("NAType", "NaTType")
    return None if is_missing else value if isinstance(value, str | int | float | bool | None) else str(value)


def rows_from_table(content: bytes, described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read rows from a table, as an upload is read; columns that are no features are left out.

    described: what `GET /models/<model>` says. Raises Unreadable, and AskedWrongly where a column is missing.
    """
    from serin.data.read import read_table

    raw = read_table(content, encoding=described.get("encoding", "utf-8"), names=described.get("names", ()))
    _check_columns([str(name) for name in raw.frame.columns], described["features"])
    features = [feature for feature in described["features"] if feature["name"] in raw.frame.columns]
    columns = [_values(raw.frame[feature["name"]], feature) for feature in features]
    names = [feature["name"] for feature in features]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)] or [{} for _ in raw.lines]


def ask_in_pieces(endpoint: Endpoint, path: str, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Ask about any number of rows, in as many requests as they need, and give the answers.

    Rows are numbered from 0 over all requests, also in errors. Raises what the endpoint's error means; nothing comes of
    the pieces before then.
    """
    answers, start = [], 0
    for piece in pieces(rows):
        try:
            answers.append(endpoint.call("POST", path, {"rows": piece}))
        except InvalidRows as error:
            if not start:
                raise
            problems = [
                RowProblem(start + problem.row, problem.field, problem.code, problem.message)
                for problem in error.problems
            ]
            raise invalid_rows(str(InvalidRows(problems)), problems) from error
        start += len(piece)
    return answers


def pieces(rows: Sequence[Any]) -> Iterator[list[Any]]:
    """Cut rows into pieces that fit into a request each; one that is too large by itself goes as it is."""
    piece: list[Any] = []
    size = 0
    for row in rows:
        length = len(json.dumps(row)) + 2
        if piece and (len(piece) == MAX_ROWS or size + length > MAX_BODY_BYTES - ROOM):
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += length
    if piece or not rows:
        yield piece


def _check_columns(names: Sequence[str], features: Sequence[Mapping[str, Any]]) -> None:
    """Raise AskedWrongly where there is no column of a feature that must not be missing."""
    absent = [
        feature["name"] for feature in features if feature["name"] not in names and feature.get("missing") is False
    ]
    if not absent:
        return
    hint = "" if len(absent) < len(features) else "; does it begin with a row of column names?"
    raise AskedWrongly(f"the table has no column {name_some(absent)}; it has {name_some(names)}{hint}")


def _values(cells: pd.Series, feature: Mapping[str, Any]) -> list[Any]:
    """Give cells the type of their feature; what does not fit goes as it is, and the endpoint says what is wrong."""
    from serin.data.cells import as_text, parse_booleans, parse_categories, parse_numbers

    notation = Notation.from_json(feature.get("read", {}))
    if feature["type"] == "category":
        text, missing = parse_categories(cells, feature.get("values", ()), notation)
        return [None if gone else value for value, gone in zip(text, missing, strict=True)]
    is_boolean = feature["type"] == "boolean"
    parsed = parse_booleans(cells, notation) if is_boolean else parse_numbers(cells, notation)
    kind = bool if is_boolean else _number
    columns = (as_text(cells), parsed.values.tolist(), parsed.missing)
    return [
        None if gone else kind(value) if math.isfinite(value) else text
        for text, value, gone in zip(*columns, strict=True)
    ]


def _number(value: float) -> int | float:
    """Write a whole number without a point, as a person does."""
    return int(value) if value.is_integer() and abs(value) <= LARGEST_EXACT else value
