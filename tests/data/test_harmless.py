"""A table for people holds no cell that a spreadsheet would run, and every other as it was."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from serin.batch.predict import _csv
from serin.data.harmless import harmless
from tests.data.test_intake import CONTRACT, a_table, as_csv, as_parquet
from tests.judging import judge_upload

RUNS = [
    "=HYPERLINK(A1)",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "-B1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "--1",
    "+" * 2,
]
STAYS = [
    "-5",
    "+49301234567",
    "-1.5e-3",
    "-1,234.50",
    "-0.5 %",
    "-",
    "+",
    "a=b",
    "",
    " =1",
    "'=1",
    "1-2",
    -5,
    2.5,
    None,
]


@pytest.mark.parametrize("cell", RUNS)
def test_what_would_run_is_text(cell: str) -> None:
    assert harmless(cell) == "'" + cell
    assert harmless(harmless(cell)) == harmless(cell)


@pytest.mark.parametrize("cell", STAYS)
def test_all_else_stays_as_it_is(cell: object) -> None:
    assert harmless(cell) is cell


@pytest.mark.parametrize("write", [as_csv, as_parquet])
def test_rows_that_are_set_aside_are_harmless(write: object) -> None:
    frame = a_table().astype({"age": "str"}).assign(**{"@more": "-3"})
    frame.loc[3, "age"] = "=HYPERLINK(A1)"
    frame.loc[4, "age"] = "-7"
    rejected = judge_upload(write(frame), CONTRACT).rejected_csv  # type: ignore[operator]  # one of two functions
    assert rejected is not None
    found = pd.read_csv(io.BytesIO(rejected), dtype="str", keep_default_na=False)
    assert set(found["age"][:2]) == {"'=HYPERLINK(A1)", "-7"}
    assert found["'@more"][0] == "-3"


def test_answers_of_a_batch_are_harmless() -> None:
    said = [{"prediction": "@yes", "score": -0.5, "set": {"labels": ["=a", "b"]}}]
    table = _csv([2], said, {"=who": ["+1-2"]})
    assert [*csv.reader(io.StringIO(table.decode()))] == [
        ["line", "'=who", "prediction", "score", "set.labels"],
        ["2", "'+1-2", "'@yes", "-0.5", "'=a|b"],
    ]
