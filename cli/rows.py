"""How does a person give rows to predict? As JSON, or as a CSV whose cells take the types that the endpoint states."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from cli.project import AskedWrongly
from serin.contract.spec import NO_CATEGORY

_BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}


def rows_from_json(text: str) -> list[Any]:
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


def rows_from_csv(content: bytes, described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read rows from a CSV. described: what `GET /models/<model>` says; columns that are no features are left out."""
    types = {feature["name"]: feature["type"] for feature in described["features"]}
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        return [{name: _value(cell, types[name]) for name, cell in row.items() if name in types} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise AskedWrongly(f"the file cannot be read as CSV: {error}") from error


def _value(cell: str | None, kind: str) -> Any:
    """Give a cell the type of its feature; what does not fit goes as it is, and the endpoint says what is wrong."""
    if cell is None or cell.strip().lower() in NO_CATEGORY:
        return None
    if kind == "boolean":
        return _BOOLEANS.get(cell.strip().lower(), cell)
    if kind in ("integer", "number"):
        try:
            return int(cell)
        except ValueError:
            pass
        try:
            return float(cell)
        except ValueError:
            return cell
    return cell
