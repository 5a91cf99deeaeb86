"""How does a person give rows to predict? As JSON, or as a table; its cells take the types that the endpoint states."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from serin.cli.project import AskedWrongly
from serin.cli.show import name_some

if TYPE_CHECKING:
    import pandas as pd

LARGEST_EXACT = 2.0**53


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


def rows_from_table(content: bytes, described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read rows from a table, as an upload is read; columns that are no features are left out.

    described: what `GET /models/<model>` says. Raises Unreadable, and AskedWrongly where a column is missing.
    """
    from serin.data.read import read_table

    raw = read_table(content)
    _check_columns([str(name) for name in raw.frame.columns], described["features"])
    features = [feature for feature in described["features"] if feature["name"] in raw.frame.columns]
    columns = [_values(raw.frame[feature["name"]], feature) for feature in features]
    names = [feature["name"] for feature in features]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)] or [{} for _ in raw.lines]


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

    if feature["type"] == "category":
        text, missing = parse_categories(cells, feature.get("values", ()))
        return [None if gone else value for value, gone in zip(text, missing, strict=True)]
    is_boolean = feature["type"] == "boolean"
    parsed = parse_booleans(cells) if is_boolean else parse_numbers(cells)
    kind = bool if is_boolean else _number
    columns = (as_text(cells), parsed.values.tolist(), parsed.missing)
    return [
        None if gone else kind(value) if math.isfinite(value) else text
        for text, value, gone in zip(*columns, strict=True)
    ]


def _number(value: float) -> int | float:
    """Write a whole number without a point, as a person does."""
    return int(value) if value.is_integer() and abs(value) <= LARGEST_EXACT else value
