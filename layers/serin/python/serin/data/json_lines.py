"""How is a table read that is written as JSON Lines: an object a line, whose keys are the columns?

A key that a line leaves out, or null, is an empty cell. A column of numbers or of booleans keeps its type; where kinds
are mixed it is text, written as a CSV would have it. Lists and objects are no single values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.serving_spec import label_text

ROWS_AT_ONCE = 20_000


class BadLine(Exception):
    """When a line is no object of JSON. line: its number, from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class _Column:
    """A column as far as it was read: parts of one kind each, and of how many rows they are."""

    parts: list[tuple[str, pd.Series[Any]]] = field(default_factory=list)
    rows: int = 0

    def add(self, cells: list[Any]) -> None:
        kinds = set(map(_kind, cells)) - {"missing"}
        kind = kinds.pop() if len(kinds) == 1 else "nested" if "nested" in kinds else "text" if kinds else "missing"
        self.parts.append((kind, _series([None] * len(cells) if kind == "nested" else cells, kind)))
        self.rows += len(cells)

    @property
    def is_nested(self) -> bool:
        return any(kind == "nested" for kind, _ in self.parts)

    def whole(self) -> pd.Series[Any]:
        kinds = {kind for kind, _ in self.parts} - {"missing"}
        kind = kinds.pop() if len(kinds) == 1 else "text"
        parts = (part if is_of == kind else _series(_plain(part), kind) for is_of, part in self.parts)
        return pd.concat(parts, ignore_index=True)


def is_json_lines(content: bytes) -> bool:
    """Tell whether the first line that is written is an object of JSON."""
    line = content.lstrip().partition(b"\n")[0].strip()
    return line.startswith(b"{") and line.endswith(b"}")


def read_lines(
    content: bytes, check: Callable[[int, int], None]
) -> tuple[dict[str, pd.Series[Any]], dict[str, str], NDArray[np.int64], NDArray[np.int64]]:
    """Read columns, the kinds of those that hold no single values, the lines of the rows, and those of empty objects.

    check: called with rows and columns so far; raises where there are too many. Raises BadLine.
    """
    columns: dict[str, _Column] = {}
    lines: list[int] = []
    blank: list[int] = []
    batch: list[dict[str, Any]] = []

    def flush() -> None:
        for name in {name: None for row in batch for name in row}:
            column = columns.setdefault(name, _Column())
            if missing := len(lines) - len(batch) - column.rows:
                column.add([None] * missing)
            column.add([row.get(name) for row in batch])
        batch.clear()
        check(len(lines), len(columns))

    for number, row in _objects(content):
        if not any(value is not None for value in row.values()):
            blank.append(number)
            continue
        lines.append(number)
        batch.append(row)
        if len(batch) == ROWS_AT_ONCE:
            flush()
    flush()
    for column in columns.values():
        if missing := len(lines) - column.rows:
            column.add([None] * missing)
    unusable = {name: "lists or objects" for name, column in columns.items() if column.is_nested}
    frame = {name: column.whole() for name, column in columns.items() if name not in unusable}
    return frame, unusable, np.array(lines, dtype=np.int64), np.array(blank, dtype=np.int64)


def _objects(content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise BadLine(number, f"line {number} is no object of JSON: {error}") from error
        if not isinstance(row, dict):
            raise BadLine(number, f"line {number} is no object of JSON")
        yield number, row


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")


def _kind(cell: Any) -> str:
    if cell is None:
        return "missing"
    if isinstance(cell, bool):
        return "boolean"
    if isinstance(cell, float) or (isinstance(cell, int) and abs(cell) < 2**63):
        return "number"
    return "text" if isinstance(cell, str | int) else "nested"


def _series(cells: list[Any], kind: str) -> pd.Series[Any]:
    if kind == "number":
        is_whole = all(cell is None or isinstance(cell, int) for cell in cells)
        return pd.Series(cells, dtype="Int64" if is_whole else "float64")
    if kind == "boolean":
        return pd.Series(cells, dtype="boolean")
    return pd.Series([None if cell is None else _text(cell) for cell in cells], dtype="str")


def _plain(part: pd.Series[Any]) -> list[Any]:
    return [None if gone else cell for cell, gone in zip(part.tolist(), part.isna(), strict=True)]


def _text(cell: Any) -> str:
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    return label_text(cell)
