"""Rows are laid out as a graph reads them, one plain row as many in arrays, whatever is missing or unknown."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.contract.serving_spec import ServingSpec, SpecFeature
from serin.errors import Unverified
from serin.serving.rows.columns import Columns, RowPacker
from serin.serving.rows.encode import Arrays, PlainRow

NUMBERS, CATEGORIES = 3, 2
SPEC = ServingSpec(
    "m",
    "regression",
    "y",
    (
        *(SpecFeature(f"n{place}", "number") for place in range(NUMBERS)),
        *(SpecFeature(f"c{place}", "category") for place in range(CATEGORIES)),
    ),
)

layouts = st.builds(
    Columns.of,
    st.lists(st.tuples(st.integers(0, NUMBERS - 1), st.floats(allow_nan=False)), max_size=8),
    st.lists(st.tuples(st.integers(0, CATEGORIES - 1), st.integers(-1, 5)), max_size=8),
)
plain_rows = st.builds(
    PlainRow,
    st.tuples(*[st.none() | st.floats(-1e300, 1e300)] * NUMBERS),
    st.tuples(*[st.integers(-1, 5)] * CATEGORIES),
)


@given(columns=layouts, row=plain_rows)
def test_a_plain_row_is_laid_out_as_in_an_array(columns: Columns, row: PlainRow) -> None:
    packed = columns.pack(Arrays(row.numeric, row.codes))
    assert RowPacker(columns)(row) == packed.tobytes()


def test_a_number_and_a_code_become_columns() -> None:
    columns = Columns.of([(1, -math.inf), (1, math.inf), (0, 7.0)], [(0, 2), (0, -1), (1, 0)])
    rows = Arrays(np.array([[1.0, 2.0, 3.0], [math.nan, math.nan, 3.0]]), np.array([[2, 0], [-1, 1]]))
    assert columns.pack(rows).tolist() == [[2, 2, 1, 1, 0, 1], [-math.inf, math.inf, 7, 0, 1, 0]]


@given(columns=layouts)
def test_a_layout_travels_as_json(columns: Columns) -> None:
    text = columns.to_json(SPEC)
    json.loads(text, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    read = Columns.from_json(text, SPEC)
    for name in ("numbers", "missing", "categories", "codes"):
        np.testing.assert_array_equal(getattr(read, name), getattr(columns, name))


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {"numbers": [], "codes": None},
        {"numbers": [["n9", "0"]], "codes": []},
        {"numbers": [["c0", "0"]], "codes": []},
        {"numbers": [["n0"]], "codes": []},
        {"numbers": [["n0", "much"]], "codes": []},
        {"numbers": [], "codes": [["n0", 1]]},
        {"numbers": [], "codes": [["c0", "red"]]},
    ],
)
def test_what_is_no_layout_of_the_features_is_refused(said: Any) -> None:
    with pytest.raises(Unverified, match="which of its spec's features"):
        Columns.from_json(json.dumps(said), SPEC)
