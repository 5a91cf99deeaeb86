"""Rows to predict are read as uploads are, and take the types that the endpoint states."""

from __future__ import annotations

import gzip
import io
import json

import pandas as pd
import pytest

from serin.client.project import AskedWrongly
from serin.client.rows import rows_from_json, rows_from_table
from serin.data.limits import Unreadable

DESCRIBED = {
    "features": [
        {"name": "age", "type": "integer"},
        {"name": "pay", "type": "number"},
        {"name": "town", "type": "category", "values": ["Köln", "NA"]},
        {"name": "owner", "type": "boolean"},
    ]
}
ROWS = [
    {"age": 41, "pay": 12.5, "town": "Köln", "owner": True},
    {"age": None, "pay": 3, "town": "NA", "owner": False},
    {"age": 7, "pay": -0.25, "town": None, "owner": None},
]
CSV = "age,who,pay,town,owner\n41,a,12.5,Köln,yes\n,b,3,NA,0\n7.0,c,-.25,,\n"


def as_parquet() -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(ROWS).assign(who="x").to_parquet(buffer)
    return buffer.getvalue()


FILES = {
    "comma": CSV.encode(),
    "mark": b"\xef\xbb\xbf" + CSV.encode(),
    "semicolon": CSV.replace(",", ";").encode(),
    "tab": CSV.replace(",", "\t").encode(),
    "gzip": gzip.compress(CSV.encode()),
    "parquet": as_parquet(),
}


@pytest.mark.parametrize("name", FILES)
def test_rows_are_read_from_whatever_may_be_uploaded(name: str) -> None:
    assert rows_from_table(FILES[name], DESCRIBED) == ROWS
    assert json.dumps(rows_from_table(FILES[name], DESCRIBED)[0]) == json.dumps(ROWS[0])


@pytest.mark.parametrize(
    ("feature", "cell"),
    [("age", "1_000"), ("pay", "1e999"), ("pay", "inf"), ("pay", "1,5"), ("pay", "12 EUR"), ("owner", "maybe")],
)
def test_what_is_not_of_its_type_goes_as_it_is_for_the_endpoint_to_refuse(feature: str, cell: str) -> None:
    assert rows_from_table(f'{feature},x\n"{cell}",1\n'.encode(), DESCRIBED) == [{feature: cell}]


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"age,age\n1,2\n", "DUP_COLUMN"), ("town,age\nKöln,1\n".encode("latin-1"), "ENCODING"), (b"", "EMPTY")],
)
def test_what_is_no_table_is_refused_as_an_upload_is(content: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as caught:
        rows_from_table(content, DESCRIBED)
    assert caught.value.code == code
    assert caught.value.fix


def test_a_table_without_a_feature_gives_rows_without_any() -> None:
    assert rows_from_table(b"a,b\n1,2\n3,4\n", DESCRIBED) == [{}, {}]


@pytest.mark.parametrize("text", ["[{", '"age"', "41", b"\xff", b'[{"town": "K\xf6ln"}]'])
def test_what_is_no_rows_in_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(AskedWrongly):
        rows_from_json(text)


@pytest.mark.parametrize("text", ['[{"age": 1}]', b'\xef\xbb\xbf{"age": 1}', '{"rows": [{"age": 1}]}'])
def test_rows_in_json_may_stand_alone_in_a_list_or_under_rows(text: str | bytes) -> None:
    assert rows_from_json(text) == [{"age": 1}]


def test_a_table_without_the_columns_that_a_model_needs_is_refused_in_a_sentence() -> None:
    described = {"features": [{**feature, "missing": feature["name"] == "age"} for feature in DESCRIBED["features"]]}
    with pytest.raises(AskedWrongly, match=r"no column pay, town, owner; it has Köln, age$"):
        rows_from_table("Köln,age\nNA,3\n".encode(), described)
    every = {"features": [{**feature, "missing": False} for feature in DESCRIBED["features"]]}
    with pytest.raises(AskedWrongly, match="begin with a row of column names"):
        rows_from_table("Köln,yes\nNA,no\n".encode(), every)
    assert rows_from_table(b"pay,town,owner\n3,NA,no\n", described) == [{"pay": 3, "town": "NA", "owner": False}]
