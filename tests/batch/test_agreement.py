"""A row in a file is answered or refused as the same row in a request is, read as the same numbers, and noted alike."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from serin.contract.serving_spec import ServingSpec, SpecFeature, label_text
from serin.data.read import read_table
from serin.data.storage import dump_table, load_columns
from serin.errors import InvalidRows
from serin.serving.rows.encode import MAX_MAGNITUDE, encode, encode_columns, notes_of
from tests.judging import expect_features

Row = Mapping[str, Any]
Read = tuple[list[str], list[int], tuple[str, ...]]

LEARNED = ("NA", "a", "7", "(missing)")
numbers = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-3, 3)
    | st.sampled_from([10**400, -(10**39), MAX_MAGNITUDE, -MAX_MAGNITUDE, 3.5e38, 2**53 + 1, "large"])
)
texts = st.sampled_from(["a", " a ", "NA", "na", "?", "none", "zzz", "7", "(missing)", ""]) | st.text("aN7 ?\"',;é\n")
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "number": numbers,
    "integer": numbers,
    "boolean": st.booleans() | st.just("large"),
    "category": texts | st.booleans() | st.integers(-(2**64) + 1, 2**64 - 1),
}


@st.composite
def features(draw: st.DrawFn, name: str) -> SpecFeature:
    kind = draw(st.sampled_from(sorted(CELLS)))
    allows_missing = draw(st.booleans())
    if kind == "category":
        values = draw(st.sampled_from([LEARNED, LEARNED[1:], LEARNED[:2]]))
        code = values.index("(missing)") if allows_missing and "(missing)" in values else -1
        return SpecFeature(
            name,
            kind,
            allows_missing=allows_missing,
            values=values,
            missing_code=code,
            pools_infrequent=draw(st.booleans()),
        )
    low, high = (None, None) if kind == "boolean" else draw(st.sampled_from([(None, None), (-2, None), (None, 1e5)]))
    return SpecFeature(name, kind, min=low, max=high, allows_missing=allows_missing)


@st.composite
def asked(draw: st.DrawFn) -> tuple[ServingSpec, list[str], list[Row]]:
    """A spec, the features that are written, and rows of these; a feature that must be there may be left out too."""
    spec = ServingSpec("m", "regression", "y", tuple(draw(features(f"{place} feature")) for place in range(3)))
    written = draw(st.lists(st.sampled_from(spec.features), min_size=1, unique=True))
    row = st.fixed_dictionaries({feature.name: st.none() | CELLS[feature.type] for feature in written})
    return spec, [feature.name for feature in written], draw(st.lists(row, min_size=1, max_size=6))


@settings(max_examples=150, deadline=None)
@given(asked())
def test_a_row_of_a_file_is_read_as_the_same_row_of_a_request(said: tuple[ServingSpec, list[str], list[Row]]) -> None:
    spec, written, rows = said
    assert by_file(spec, written, rows) == [by_request(spec, row) for row in rows]


def by_request(spec: ServingSpec, row: Row) -> Read | None:
    try:
        encoded = encode([row], spec)
    except InvalidRows:
        return None
    return plain(encoded.numeric[0]), encoded.codes[0].tolist(), encoded.notes[0]


def by_file(spec: ServingSpec, written: list[str], rows: list[Row]) -> list[Read | None]:
    assume(any(cell not in (None, "") for row in rows for cell in row.values()))
    raw = read_table(as_csv(written, rows)).with_blank()
    finding = expect_features(raw, spec)
    if finding.table is None:
        return [None] * len(rows)
    columns = load_columns(dump_table(finding.table[~finding.is_bad]))
    encoded = encode_columns(columns, spec)
    notes = notes_of(encoded.codes, [columns[feature.name].tolist() for feature in spec.categories], spec)
    answered = iter(zip(map(plain, encoded.numeric), encoded.codes.tolist(), notes, strict=True))
    return [None if is_bad else next(answered) for is_bad in finding.is_bad]


def plain(numbers: NDArray[np.float64]) -> list[str]:
    """Give numbers to be compared, a missing one being equal to another."""
    return [repr(number) for number in numbers.tolist()]


def as_csv(written: list[str], rows: list[Row]) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(written)
    for row in rows:
        cells = [row[name] for name in written]
        writer.writerow([label_text(cell) if isinstance(cell, bool) else cell for cell in cells])
    return buffer.getvalue().encode()
