"""A stored table is read as it was, and its bytes follow from it alone."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.data.cells import END_OF_TIME, FIRST_MOMENT
from serin.data.storage import dump_table, load_columns, load_names, load_table
from serin.data.write import COMPRESSION, table_schema, to_arrow
from serin.errors import Unverified
from tests.builders import a_contract

TEXT = st.none() | st.text(st.characters(codec="utf-8"), max_size=8)


def a_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "amount": [1.5, np.nan, -0.0, 1e300],
            "count": pd.array([1, None, 3, 4], dtype="Int64"),
            "flag": [True, False, True, True],
            "purpose": pd.Series(["b", None, "é\x00", "b"], dtype="str"),
            "empty": pd.Series([None] * 4, dtype="str"),
        }
    )


def test_numbers_and_text_come_back() -> None:
    table = load_table(dump_table(a_table()))
    assert table["amount"].tolist()[2:] == [0.0, 1e300]
    assert np.isnan(table["amount"][1])
    assert table["count"].dropna().tolist() == [1.0, 3.0, 4.0]
    assert table["flag"].tolist() == [1.0, 0.0, 1.0, 1.0]
    assert table["purpose"].dropna().tolist() == ["b", "é\x00", "b"]
    assert table["empty"].isna().all()
    assert [str(dtype) for dtype in table.dtypes] == ["float64", "float64", "float64", "str", "str"]


def test_columns_are_read_without_pandas() -> None:
    columns = load_columns(dump_table(a_table()))
    assert columns["purpose"].tolist() == ["b", None, "é\x00", "b"]
    assert columns["amount"].dtype == np.float64


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(allow_infinity=True), TEXT), max_size=20))
def test_any_table_survives_and_is_stored_as_the_same_bytes(rows: list[tuple[float, str | None]]) -> None:
    numbers, texts = [row[0] for row in rows], [row[1] for row in rows]
    table = pd.DataFrame({"n": np.array(numbers, dtype=np.float64), "t": pd.Series(texts, dtype="str")})
    stored = dump_table(table)
    columns = load_columns(stored)
    assert np.array_equal(columns["n"], np.array(numbers, dtype=np.float64), equal_nan=True)
    assert columns["t"].tolist() == texts
    assert dump_table(load_table(stored)) == stored


def test_many_categories_keep_their_codes() -> None:
    texts = [f"id{number % 40_000}" for number in range(80_000)]
    assert load_columns(dump_table(pd.DataFrame({"id": texts})))["id"].tolist() == texts


def test_two_processes_write_the_same_bytes() -> None:
    script = (
        "import sys, pandas as pd; from serin.data.storage import dump_table;"
        "sys.stdout.buffer.write(dump_table(pd.DataFrame({'a': [1.0, None], 'b': list({'p', 'q', 'r'} & {'q'}) * 2})))"
    )
    tables = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(tables) == 1


def test_another_value_is_another_dataset() -> None:
    changed = a_table()
    changed.loc[0, "amount"] = 1.25
    assert dump_table(changed) != dump_table(a_table())


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-200], lambda b: b"PK" + b[10:], lambda b: b"no table"])
def test_damaged_bytes_are_unverified(damage) -> None:  # type: ignore[no-untyped-def]  # a lambda
    with pytest.raises(Unverified, match="cannot be read"):
        load_columns(damage(dump_table(a_table())))


def test_a_pickle_within_is_refused() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array([{"name": "a"}], dtype=object))
    with pytest.raises(Unverified):
        load_columns(buffer.getvalue())


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.floats(allow_infinity=False),
            st.none() | st.booleans(),
            TEXT,
            st.none() | st.integers(FIRST_MOMENT * 10**6, END_OF_TIME * 10**6 - 1),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_a_dataset_in_parquet_is_read_as_it_was_written(
    rows: list[tuple[float, bool | None, str | None, int | None]],
) -> None:
    features: dict[str, Any] = {"age": {"type": "number"}, "known": {"type": "boolean"}, "kind": {"type": "category"}}
    contract = a_contract(features=features, time="at")
    numbers, flags, texts, times = zip(*rows, strict=True)
    table = pd.DataFrame(
        {
            "age": np.array(numbers),
            "known": np.array([np.nan if flag is None else float(flag) for flag in flags]),
            "kind": pd.Series(texts, dtype="str"),
            "approved": pd.Series(["yes"] * len(rows), dtype="str"),
            "at": np.array([np.nan if moment is None else moment / 1e6 for moment in times]),
        }
    )
    buffer = io.BytesIO()
    pq.write_table(to_arrow(table, table_schema(contract)), buffer, compression=COMPRESSION)
    read = load_table(buffer.getvalue())
    pd.testing.assert_frame_equal(read, table)
    assert load_names(buffer.getvalue()) == list(table.columns)
    assert load_columns(buffer.getvalue())["kind"].tolist() == list(texts)


def test_a_damaged_dataset_is_not_read() -> None:
    with pytest.raises(Unverified, match="cannot be read"):
        load_table(b"PAR1 and nothing more PAR1")
