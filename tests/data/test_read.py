"""What is a table is read as it was written; what is none is refused by name, with its line and what to do."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets

from serin.data.limits import Limits, Unreadable
from serin.data.raw_table import RawTable
from serin.data.read import read_table

TABLES = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "tumours": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
    "digits": datasets.load_digits,
    "linnerud": datasets.load_linnerud,
}


def refusal(content: bytes, limits: Limits | None = None) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read_table(content, limits or Limits())
    assert caught.value.message
    assert caught.value.fix
    return caught.value


def cells(content: bytes) -> list[list[str]]:
    return read_table(content).frame.to_numpy().tolist()


def a_frame(rows: int = 40) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "status": random.choice(["A11", "A12", "A13"], rows),
            "months": random.integers(6, 48, rows),
            "purpose": random.choice(["A40", "A41"], rows),
            "rate": random.integers(1, 5, rows),
            "risk": random.integers(1, 3, rows),
        }
    )


def as_parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def zipped(content: bytes) -> bytes:
    """Without the time in its header: the tests' names are made of it, and every worker must make the same."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_usual_ways_to_write_a_table_are_read(separator: str, end: str, mark: bytes) -> None:
    text = end.join([f"name{separator}n", f'"é{separator} ""q"""{separator}1', f"b{separator}007", ""])
    table = read_table(mark + text.encode())
    assert list(table.frame.columns) == ["name", "n"]
    assert table.frame.to_numpy().tolist() == [[f'é{separator} "q"', "1"], ["b", "007"]]
    assert table.lines.tolist() == [2, 3]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("numbered", [True, False])
def test_real_tables_have_no_false_alarm(name: str, index: bool, numbered: bool) -> None:
    frame = TABLES[name](as_frame=True).frame
    if numbered:
        frame.columns = range(frame.shape[1])
    table = read_table(frame.to_csv(index=index).encode())
    assert table.frame.shape == (frame.shape[0], frame.shape[1] + index)
    assert table.frame.iloc[:, -1].astype(float).tolist() == frame.iloc[:, -1].tolist()


@pytest.mark.parametrize(
    "header",
    ["id,2019,2020,2021", "y,400.5,401.0,401.5", "class,2021,2018,1999", "<DATE>,<OPEN>,PK", "PAR1,PAR2,c", "yes,no,a"],
)
def test_odd_names_are_names(header: str) -> None:
    rows = "\n".join(f"{number},{number % 7}.5,yes" + ",2" * (header.count(",") - 2) for number in range(30))
    assert list(read_table(f"{header}\n{rows}\n".encode()).frame.columns) == header.split(",")


@pytest.mark.parametrize("name", TABLES)
def test_numbers_without_a_row_of_names_are_no_header(name: str) -> None:
    error = refusal(TABLES[name](as_frame=True).frame.to_csv(index=False, header=False).encode())
    assert (error.code, error.line) == ("NO_HEADER", 1)
    assert "Put a row with a name for each column above it" in error.fix


def test_mixed_and_text_rows_without_names_are_no_header() -> None:
    frame = a_frame()
    assert refusal(frame.to_csv(index=False, header=False).encode()).code == "NO_HEADER"
    assert refusal(frame[["status", "purpose"]].to_csv(index=False, header=False).encode()).code == "NO_HEADER"


def test_text_that_never_recurs_is_read_with_its_first_row_as_names() -> None:
    assert cells(b"anna,berlin\nbea,paris\ncleo,rome\n") == [["bea", "paris"], ["cleo", "rome"]]


def test_a_header_repeated_among_the_rows_is_still_a_header() -> None:
    text = a_frame().to_csv(index=False)
    assert len(read_table((text + text).encode()).frame) == 81


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (b"", "EMPTY", None),
        (b"\xef\xbb\xbf\r\n\r\n", "EMPTY", None),
        (b"a,b\n", "EMPTY", None),
        (b"a,b\n\n,\n", "EMPTY", None),
        (b"a,b\n1,2\n3", "TRUNCATED", 3),
        (b"a,b\n1,2\n3\n", "TRUNCATED", 3),
        (b'a,b\n1,x\n2,"y\n3,z\n', "TRUNCATED", 3),
        (b'a,b\n1,5"x\n2,"y\n3,z\n', "TRUNCATED", 3),
        ("a,b\n1,é".encode()[:-1], "TRUNCATED", 2),
        (b"a,b\n1,2\n3,4,5\n6,7\n", "RAGGED", 3),
        (b'a,b\n"1\n",2\n3,4,5\n6,7\n', "RAGGED", 4),
        (b"Report of May\na,b\n1,2\n3,4\n", "RAGGED", 2),
        (b"a,b, a\n1,2,3\n", "DUP_COLUMN", 1),
        (b"a,b\n1," + b"x" * 131_073 + b"\n", "FIELD_TOO_LONG", 2),
        (b'a,b\n1,2\n1,"' + b"x\n" * 70_000 + b'"\n', "FIELD_TOO_LONG", 3),
        (b'a,b\n1,5" pipe\n1,' + b"x" * 131_073 + b"\n", "FIELD_TOO_LONG", 3),
        (b"a,b\n" + b"x" * 10_000_000, "FIELD_TOO_LONG", 2),
        ("a,b\n1,2\n".encode("utf-16-le"), "ENCODING", None),
        ("a,b\n1,2\n".encode("utf-16-be"), "ENCODING", None),
        ("a,b\nü,2\n".encode("latin-1"), "ENCODING", 2),
        (b"a,b\n1,2\n3,\x00\n", "ENCODING", 3),
        (pickle.dumps({"a": [1]}), "BAD_FORMAT", None),
        (pickle.dumps({"a": [1]}, protocol=0), "BAD_FORMAT", None),
        (b"cos\nsystem\n(S'true'\ntR.", "BAD_FORMAT", None),
        (b"PK\x03\x04\x14\x00", "BAD_FORMAT", None),
        (b"%PDF-1.7\n", "BAD_FORMAT", None),
        (b"\n <!DOCTYPE html><html>", "BAD_FORMAT", None),
        (b'<?xml version="1.0"?>', "BAD_FORMAT", None),
        (b'[{"a": 1}]', "BAD_FORMAT", None),
        (b"\x89PNG\r\n\x1a\n", "BAD_FORMAT", None),
        (bytes(range(256)) * 4, "BAD_FORMAT", None),
        (zipped(zipped(b"a,b\n1,2\n")), "BAD_FORMAT", None),
        (zipped(pickle.dumps([1])), "BAD_FORMAT", None),
        (zipped(b"a,b\n1,2\n" * 100)[:-12], "TRUNCATED", None),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff", "BAD_FORMAT", None),
        (as_parquet(pd.DataFrame({"a": [1]}))[:-7], "TRUNCATED", None),
        (b"PAR1\x15\x04\x00\x00PAR1", "BAD_FORMAT", None),
        (as_parquet(pd.DataFrame({"a": [1.0], "b": [2]}).head(0)), "EMPTY", None),
    ],
)
def test_what_is_no_table_is_refused_by_name(content: bytes, code: str, line: int | None) -> None:
    error = refusal(content)
    assert (error.code, error.line) == (code, line)


def test_a_pickle_is_never_opened(tmp_path: Any) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (open, (str(tmp_path / "sprung"), "w"))

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert refusal(pickle.dumps(Trap(), protocol=protocol)).code == "BAD_FORMAT"
    assert not list(tmp_path.iterdir())


def test_a_field_as_long_as_is_allowed_is_read() -> None:
    assert len(cells(b"a,b\n1," + b"x" * 131_072 + b"\n")[0][1]) == 131_072


def test_gzip_is_read_and_stops_at_the_limit() -> None:
    assert cells(gzip.compress(b"a,b\n1,2\n")) == [["1", "2"]]
    bomb = gzip.compress(b"1,2\n" * 5_000_000)
    assert len(bomb) < 100_000
    assert refusal(bomb, Limits(max_bytes=1_000_000)).code == "TOO_LARGE"


@pytest.mark.parametrize("write", [lambda f: f.to_csv(index=False).encode(), as_parquet], ids=["csv", "parquet"])
@pytest.mark.parametrize(
    "limits", [Limits(max_rows=39), Limits(max_columns=4), Limits(max_bytes=100), Limits(max_cells=199)]
)
def test_a_table_over_a_limit_is_refused(write: Any, limits: Limits) -> None:
    assert refusal(write(a_frame()), limits).code == "TOO_LARGE"
    assert len(read_table(write(a_frame()), Limits(max_rows=40, max_columns=5, max_cells=205)).frame) == 40


@pytest.mark.parametrize("content", [b"a\n1\n" + b"\n" * 1000 + b"2\n", b"a\n" + b",\n" * 1000], ids=["lines", "cells"])
def test_a_small_file_that_holds_more_than_is_allowed_is_refused_before_it_is_parsed(content: bytes) -> None:
    for sent in (content, gzip.compress(content)):
        assert refusal(sent, Limits(max_cells=900)).code == "TOO_LARGE"
        assert refusal(sent, Limits(max_rows=900)).code == "TOO_LARGE"


def test_rows_in_which_nothing_is_written_are_left_out_and_lines_stay_right() -> None:
    table = read_table(b'\na,b,,\n1,"x\ny",,\n,,,\n\n2,z,,\n,,,\n')
    assert table.frame.to_numpy().tolist() == [["1", "x\ny"], ["2", "z"]]
    assert table.lines.tolist() == [3, 7]
    assert table.blank.tolist() == [5, 6, 8]


def test_rows_in_which_nothing_is_written_are_found_beside_odd_quotes_too() -> None:
    assert read_table(b'\na,b\n1,5" pipe\n,\n\n2,x\n\n').blank.tolist() == [4, 5]


@pytest.mark.parametrize("cell", [b"1", b'5" pipe'])
def test_rows_in_which_nothing_is_written_can_be_had_in_their_places(cell: bytes) -> None:
    table = read_table(b",\n\na,b\n" + cell + b",x\n,\n\n2,y\n,\n\n\n").with_blank()
    assert table.frame.to_numpy().tolist() == [[cell.decode(), "x"], ["", ""], ["", ""], ["2", "y"], ["", ""]]
    assert table.lines.tolist() == [4, 5, 6, 7, 8]
    assert not len(table.blank)


@settings(deadline=None, max_examples=100)
@given(st.text(st.sampled_from('ab,"\n'), max_size=40), st.integers(1, 9))
def test_it_does_not_matter_where_a_file_is_parted(text: str, part: int) -> None:
    def read() -> list[Any]:
        try:
            table = read_table(text.encode())
        except Unreadable as error:
            return [error.code, error.line]
        return [list(table.frame), table.frame.to_numpy().tolist(), table.lines.tolist(), table.blank.tolist()]

    whole = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serin.data.text.PART", part)
        assert read() == whole


def test_quotes_in_odd_places_are_read_as_the_csv_module_does() -> None:
    assert cells(b'a,b\n1,5" pipe\n2,"x"y\n') == [["1", '5" pipe'], ["2", "xy"]]


def test_columns_without_a_name_are_named_as_pandas_does() -> None:
    assert list(read_table(b",Unnamed: 0,a\n0,0,x\n1,1,y\n").frame.columns) == ["Unnamed: 0.1", "Unnamed: 0", "a"]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.text(st.sampled_from('ab ,;"\n'), max_size=5), min_size=2, max_size=2), min_size=1))
def test_what_the_csv_module_writes_is_read_back(rows: list[list[str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([["name", "other name"], *rows])
    written = [row for row in rows if any(row)]
    if written:
        assert cells(buffer.getvalue().encode()) == written


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=60) | st.text(st.sampled_from('a1.,"\n\r\x00é'), max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert isinstance(read_table(content), RawTable)


def test_parquet_keeps_its_types() -> None:
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None, 2**60 + 1], dtype="Int64"),
            "number": [0.5, np.nan, 2.0],
            "flag": pd.array([True, None, False], dtype="boolean"),
            "text": ["007", None, ""],
            "kind": pd.Categorical(["x", "y", None]),
            "at": pd.to_datetime([1, None, 2], unit="ns"),
            "tags": [[1], [2], []],
        }
    )
    table = read_table(as_parquet(frame))
    assert table.unusable == {"tags": "list<element: int64>"}
    assert table.frame["whole"].tolist()[::2] == [1, 2**60 + 1]
    assert table.frame["text"].tolist()[::2] == ["007", ""]
    assert table.frame["kind"].tolist()[:2] == ["x", "y"]
    assert table.frame["flag"].tolist()[::2] == [True, False]
    assert str(table.frame["at"].dtype) == "datetime64[us, UTC]"
    assert table.lines.tolist() == [1, 2, 3]


def test_bytes_in_parquet_are_text_where_they_can_be() -> None:
    table = pa.table({"text": pa.array([b"a", None, "ü".encode()]), "key": pa.array([b"\xff\x00", b"a", b"b"])})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    read = read_table(buffer.getvalue())
    assert read.frame["text"].tolist()[::2] == ["a", "ü"]
    assert read.unusable == {"key": "bytes that are no text"}


def test_lines_above_the_names_are_kept_apart_and_lines_keep_their_numbers() -> None:
    table = read_table(b"# exported\nReport;;\n\na;b;c\n1;2;3\n4;5;6\n")
    assert table.above == ("# exported", "Report;;")
    assert list(table.frame) == ["a", "b", "c"]
    assert table.lines.tolist() == [5, 6]


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        (b'a,b\n"he said \\"hi\\", left",1\n"x",2\n', [['he said "hi", left', "1"], ["x", "2"]]),
        (b"#id,v\n1,2\n3,4\n", [["1", "2"], ["3", "4"]]),
        (b"a,b\n1,2,\n3,4\n", [["1", "2"], ["3", "4"]]),
        (b"a,b\n1,2,,,\n\n3,4,\n", [["1", "2"], ["3", "4"]]),
        (b'a,b\n1, "x, y"\n2, "z"\n', [["1", "x, y"], ["2", "z"]]),
        (b'zip,b\n="02116",2\n"=""10115""",4\n', [["02116", "2"], ["10115", "4"]]),
    ],
)
def test_dialects_of_other_tools_are_read(content: bytes, cells: list[list[str]]) -> None:
    assert read_table(content).frame.to_numpy().tolist() == cells


def test_an_encoding_is_taken_where_a_file_is_not_utf_8() -> None:
    text = "a,b\nKöln,1\n"
    assert read_table(text.encode("cp1252"), encoding="cp1252").frame["a"].tolist() == ["Köln"]
    assert read_table(text.encode(), encoding="cp1252").frame["a"].tolist() == ["Köln"], "UTF-8 shows that it is"
    with pytest.raises(Unreadable, match="is not utf-32, as the contract says"):
        read_table(text.encode("cp1252"), encoding="utf-32")


def test_parquet_with_a_column_twice_is_refused() -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), buffer)
    assert refusal(buffer.getvalue()).code == "DUP_COLUMN"


def test_of_many_faults_some_are_named_and_all_are_counted() -> None:
    names = ",".join(f"{name},{name}" for name in "abcdefg")
    assert "'a', 'b', 'c', 'd', 'e' and 2 more" in refusal(f"{names}\n{'1,' * 13}1\n".encode()).message
