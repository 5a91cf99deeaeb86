"""A Parquet file may hold far more than its size, or crash its parser: it is refused at once, and nothing else dies."""

from __future__ import annotations

import io
import os
import signal
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serin.data import parquet
from serin.data.parquet import Bounds, ParserFault, read_apart
from serin.data.read import Unreadable, read_table

BOUNDS = Bounds(max_rows=5_000_000, max_columns=1000, max_cells=24_000_000, max_text=1_000_000)


def as_parquet(table: pa.Table, **options: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", **options)
    return buffer.getvalue()


def fault(content: bytes, bounds: Bounds = BOUNDS) -> ParserFault:
    with pytest.raises(ParserFault) as caught:
        read_apart(content, bounds)
    return caught.value


def test_nulls_that_expand_are_refused_by_what_the_file_says_of_itself() -> None:
    content = as_parquet(pa.table({f"c{place}": pa.nulls(30_000, pa.float64()) for place in range(1000)}))
    found = fault(content)
    assert (found.code, found.message) == ("TOO_LARGE", "the table has 30,000,000 cells; 24,000,000 are allowed")


def test_one_long_text_in_many_rows_is_counted_as_often_as_it_stands_there() -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["x" * 1000])
    content = as_parquet(pa.table({"a": text.cast(pa.string())}))
    assert len(content) < 20_000
    found = fault(content)
    assert (found.code, found.message) == ("TOO_LARGE", "the table holds more than 1,000,000 bytes of text")


def test_a_page_that_unpacks_to_more_memory_than_there_is_is_refused() -> None:
    content = as_parquet(pa.table({"a": pa.array(["x" * 700_000_000])}), use_dictionary=False, write_statistics=False)
    assert len(content) < 200_000
    assert fault(content, replace(BOUNDS, memory_mb=900)).code == "TOO_LARGE"


@pytest.mark.parametrize(
    ("ends_by", "code"),
    [(signal.SIGSEGV, "PARSER_CRASH"), (signal.SIGABRT, "PARSER_CRASH"), (signal.SIGKILL, "TOO_LARGE")],
)
def test_a_process_that_dies_of_a_file_takes_nothing_with_it(
    ends_by: signal.Signals, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_CHILD", f"import os; os.kill(os.getpid(), {int(ends_by)})")
    with pytest.raises(Unreadable) as caught:
        read_table(as_parquet(pa.table({"a": [1]})))
    assert (caught.value.code, os.getpid() > 0) == (code, True)
    assert caught.value.fix


def test_columns_that_hold_no_single_values_are_not_even_read() -> None:
    content = as_parquet(pa.table({"a": [1, 2], "tags": [[1], [2]], "kind": pa.array(["x", "y"]).dictionary_encode()}))
    found = read_apart(content, BOUNDS)
    assert (found.rows, found.table.column_names, found.unusable) == (
        2,
        ["a", "kind"],
        {"tags": "list<element: int64>"},
    )
    assert found.table.column("kind").to_pylist() == ["x", "y"]
    assert read_apart(as_parquet(pa.table({"tags": [[1], [2]]})), BOUNDS).rows == 2
