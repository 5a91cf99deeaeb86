"""How is a table read that is written as JSON Lines: an object a line, whose keys are the columns?

A key that a line leaves out, or null, is an empty cell. A column of numbers or of booleans keeps its type; where kinds
are mixed it is text, written as a CSV would have it. Lists and objects are no single values.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from serin.contract.serving_spec import label_text
from serin.data.limits import Limits, Unreadable
from serin.data.raw_table import RawTable
from serin.data.text import PART, Source

ROWS_AT_ONCE = 20_000


def is_json_lines(source: Source) -> bool:
    """Tell whether the first line that is written is an object of JSON."""
    with source() as file:
        line = b""
        while b"\n" not in line.lstrip() and (more := file.read(PART)):
            line += more
    line = line.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0].strip()
    return line.startswith(b"{") and line.endswith(b"}")


def read_json_lines(parts: Iterator[bytes], limits: Limits) -> Iterator[RawTable]:
    """Read the parts of a text. Each part has the columns that its rows name. Raises Unreadable."""
    objects = _objects(parts)
    rows = columns = count = 0
    while batch := [*islice(objects, ROWS_AT_ONCE)]:
        is_blank = [not any(value is not None for value in row.values()) for _, row in batch]
        lines = np.array([line for line, _ in batch], dtype=np.int64)
        written = [row for (_, row), nothing in zip(batch, is_blank, strict=True) if not nothing]
        names = dict.fromkeys(name for row in written for name in row)
        cells = {name: [row.get(name) for row in written] for name in names}
        kinds = {name: _kind_of(values) for name, values in cells.items()}
        rows, count, columns = rows + len(written), count + len(batch), max(columns, len(names))
        limits.check(rows=count, columns=columns)
        frame = {name: _series(values, kinds[name]) for name, values in cells.items() if kinds[name] != "nested"}
        unusable = {name: "lists or objects" for name, kind in kinds.items() if kind == "nested"}
        nothing = np.array(is_blank, dtype=bool)
        table = pd.DataFrame(frame, index=range(len(written)))
        yield RawTable(table, lines[~nothing], unusable=unusable, blank=lines[nothing], may_lack_columns=True)
    if not rows:
        raise Unreadable("EMPTY", "the table has no rows", fix="Send at least one row.")


def _kind_of(cells: list[Any]) -> str:
    kinds = set(map(_kind, cells)) - {"missing"}
    if "nested" in kinds:
        return "nested"
    return kinds.pop() if len(kinds) == 1 else "text"


def _objects(parts: Iterator[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    fix = 'Write an object of JSON in each line: {"age": 41, "region": "north"}.'
    before = 0
    for part in parts:
        text = part.decode()
        text = text if text.isascii() else unicodedata.normalize("NFC", text)
        for number, line in enumerate(text.split("\n"), start=before + 1):
            if not line.strip():
                continue
            message = f"line {number} is no object of JSON"
            try:
                row = json.loads(line, parse_constant=_refuse)
            except (ValueError, RecursionError) as error:
                raise Unreadable("BAD_FORMAT", f"{message}: {error}", line=number, fix=fix) from error
            if not isinstance(row, dict):
                raise Unreadable("BAD_FORMAT", message, line=number, fix=fix)
            yield number, row
        before += part.count(b"\n")


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


def _text(cell: Any) -> str:
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    return label_text(cell)
