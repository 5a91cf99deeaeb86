"""The contract that is written from a file fits it, and says why each line is as it is."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from serin.contract.load import parse_contract
from serin.contract.metrics import Task
from serin.contract.model import Contract
from serin.data.infer import infer_contract
from serin.data.limits import Unreadable
from serin.errors import ContractError
from serin.registry.records import ReceiptStatus
from tests.judging import judge_upload

ROWS = 400


def a_table() -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "row_id": range(ROWS),
            "customerId": [f"c{number % 80:03d}" for number in range(ROWS)],
            "created_at": pd.date_range("2024-01-01", periods=ROWS, freq="h").strftime("%Y-%m-%dT%H:%M:%SZ"),
            "dob": pd.date_range("1970-01-01", periods=ROWS, freq="D").strftime("%Y-%m-%d"),
            "applicantAge": random.integers(18, 80, ROWS),
            "mileage": np.linspace(0, 90_000, ROWS).round(1),
            "balance": np.where(np.arange(ROWS) % 10 == 0, np.nan, np.linspace(-1000, 1000, ROWS)),
            "rooms": random.integers(1, 5, ROWS),
            "plan": random.choice(["a, b", "c: d", "#e", 'f"g', "yes", "1", "none"], ROWS),
            "who": random.choice(["Female", "Male"], ROWS),
            "city": [f"city {number % 80}" for number in range(ROWS)],
            "zip": [f"{number:05d}" for number in random.integers(1, 40, ROWS)],
            "active": random.choice(["True", "False"], ROWS),
            "store_id": random.integers(1, 9, ROWS),
            "remark": [f"they said {number % 300} things" for number in range(ROWS)],
            "always": "x",
            "never": np.nan,
            "key: #1": random.choice(["p", "q"], ROWS),
            "approved": random.permutation(["no", "yes"] * (ROWS // 2)),
        }
    )


def infer(frame: pd.DataFrame, target: str = "approved") -> tuple[str, Contract]:
    text = infer_contract(frame.to_csv(index=False).encode(), "loans.csv", "loans", target).text
    return text, parse_contract(text, "model.yaml")


@pytest.fixture(scope="module")
def written() -> str:
    return infer(a_table())[0]


def line(text: str, start: str) -> str:
    (found,) = [line for line in text.splitlines() if line.strip().startswith(start)]
    return found.strip()


def problem(content: bytes, target: str = "approved") -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        infer_contract(content, "loans.csv", "loans", target)
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("applicantAge:", "{type: integer, min: 0, max: 140, sensitive: true}"),
        ("mileage:", "{type: number, min: 0, max: 180000}  # seen 0 to 90,000"),
        ("balance:", "{type: number, min: -3000, max: 3000, missing: allow}"),
        ("balance:", "missing in 10.0% of rows"),
        ("rooms:", "{type: integer, min: 0, max: 7}  # seen 1 to 4"),
        ("plan:", 'values: ["#e", "1", "a, b", "c: d", "f\\"g", "none", "yes"]}'),
        (
            "who:",
            "{type: category, values: [Female, Male], sensitive: true}  # looks like a fact about a person; check",
        ),
        ("city:", "{type: category}  # 80 categories, learned from the data"),
        ("zip:", 'values: ["00001", '),
        ("zip:", "sensitive: true"),
        ("active:", "{type: boolean}"),
        ("store_id:", 'type: category, values: ["1", "2"'),
        ('"key: #1":', "{type: category, values: [p, q]}"),
        ("entity:", "customerId  # 80 ids in 400 rows"),
        ("time:", "created_at  # times from 2024-01-01 to 2024-01-17"),
        ("task:", "classification  # approved has 2 classes: no (50.0%), yes (50.0%); the score speaks of yes"),
        ("classes:", '["no", "yes"]  # a row with another label is set aside'),
        ("- row_id", "different in every row"),
        ("- dob", "looks like a fact about a person"),
        ("- remark", "free text: 300 different ones in 400 rows"),
        ("- always", "always x"),
        ("- never", "empty in every row"),
        ("# yaml-language-server:", "$schema=../../docs/contract.schema.json"),
        ("# Written", "from loans.csv, 400 rows by 19 columns"),
    ],
)
def test_each_column_gets_its_place_and_a_reason(written: str, start: str, expected: str) -> None:
    assert expected in line(written, start)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_file_keeps_to_its_contract(kind: str) -> None:
    buffer = io.BytesIO()
    a_table().to_csv(buffer, index=False) if kind == "csv" else a_table().to_parquet(buffer)
    contract = parse_contract(infer_contract(buffer.getvalue(), "f", "loans", "approved").text, "model.yaml")
    judgement = judge_upload(buffer.getvalue(), contract)
    assert (judgement.status, judgement.bad_rows, judgement.notes) == (ReceiptStatus.ACCEPTED, 0, ())


@pytest.mark.parametrize(
    ("load", "task"),
    [
        (datasets.load_iris, Task.CLASSIFICATION),
        (datasets.load_wine, Task.CLASSIFICATION),
        (datasets.load_breast_cancer, Task.CLASSIFICATION),
        (datasets.load_diabetes, Task.REGRESSION),
    ],
)
@pytest.mark.parametrize("index", [True, False])
def test_real_tables_keep_to_their_contracts(load: Any, task: Task, index: bool) -> None:
    content = load(as_frame=True).frame.to_csv(index=index).encode()
    contract = parse_contract(infer_contract(content, "f", "m", "target").text, "model.yaml")
    judgement = judge_upload(content, contract)
    assert contract.task is task
    assert (judgement.status, judgement.bad_rows, judgement.notes) == (ReceiptStatus.ACCEPTED, 0, ())
    assert ("Unnamed: 0" in contract.data.ignore) == index


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (["1", "2"] * 200, Task.CLASSIFICATION),
        (["3", "4", "5", "6"] * 100, Task.CLASSIFICATION),
        (["true", "false"] * 200, Task.CLASSIFICATION),
        ([str(number) for number in range(400)], Task.REGRESSION),
        ([f"{number % 7}.5" for number in range(400)], Task.REGRESSION),
    ],
)
def test_the_task_follows_from_the_target(cells: list[str], task: Task) -> None:
    assert infer(a_table().assign(approved=cells))[1].task is task


def test_a_column_that_tells_the_target_is_warned_of() -> None:
    table = a_table()
    table["granted"] = (table["approved"] == "yes").astype(int)
    table["score"] = np.where(table["approved"] == "yes", 700.5, 300.5) + np.arange(ROWS) / 7
    text, _ = infer(table)
    assert "WARNING: it alone tells approved" in line(text, "granted:")
    assert "WARNING: it alone tells approved" in line(text, "score:")
    assert "WARNING" not in line(text, "mileage:")
    text, _ = infer(table.assign(miles=table["mileage"] * 0.62), "mileage")
    assert "WARNING: it alone tells mileage" in line(text, "miles:")
    assert "WARNING" not in line(text, "score:")


def test_rows_without_a_target_are_allowed_for_and_said() -> None:
    table = a_table()
    table.loc[:59, "approved"] = None
    text, contract = infer(table)
    assert contract.data.max_bad_rows == pytest.approx(0.15)
    assert "approved is empty, in 60 of 400 rows" in line(text, "max_bad_rows:")
    judgement = judge_upload(table.to_csv(index=False).encode(), contract)
    assert (judgement.status, judgement.bad_rows) == (ReceiptStatus.ACCEPTED, 60)


def test_a_label_that_one_row_has_is_named() -> None:
    table = a_table()
    table.loc[0, "approved"] = "yes."
    text, contract = infer(table)
    assert contract.classes == ("no", "yes", "yes.")
    assert "only one row has yes." in line(text, "classes:")
    assert infer(table, "mileage")[1].classes is None


def test_a_cell_beyond_what_a_number_may_be_widens_nothing() -> None:
    table = a_table().astype({"mileage": object})
    table.loc[0, "mileage"] = "1e39"
    text, contract = infer(table)
    assert contract.features["mileage"].max == 180_000
    assert "cells that are no number: 1, whose rows are set aside" in line(text, "mileage:")


def test_a_small_file_lowers_the_least_number_of_rows() -> None:
    text, contract = infer(a_table().head(30))
    assert contract.data.min_rows == 15
    assert "this file has 30" in line(text, "min_rows:")
    assert infer(a_table())[1].data.min_rows == 100


def test_an_entity_or_time_with_gaps_is_not_used() -> None:
    table = a_table()
    table.loc[0, ["customerId", "created_at"]] = None
    _, contract = infer(table)
    assert (contract.entity, contract.time) == (None, None)
    assert "created_at" in contract.data.ignore


def test_epochs_and_dates_without_dashes_are_times_by_their_name() -> None:
    table = a_table().drop(columns="created_at")
    seconds = np.arange(ROWS) * 3600 + 1_700_000_000
    dates = pd.date_range("2024-01-01", periods=ROWS).strftime("%Y%m%d")
    assert infer(table.assign(event_time=seconds))[1].time == "event_time"
    assert infer(table.assign(date=dates))[1].time == "date"
    assert infer(table.assign(turnover=seconds))[1].time is None


def test_digits_in_a_column_named_like_a_time_need_not_be_years() -> None:
    table = a_table().drop(columns="created_at")
    loads = infer(table.assign(load_time=[1037 + 7 * (number % 300) for number in range(ROWS)]))[1]
    assert (loads.time, loads.features["load_time"].type) == (None, "integer")
    assert infer(table.assign(time=[1990 + number % 30 for number in range(ROWS)]))[1].time == "time"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_date_that_stands_for_never_is_not_the_time_of_a_row(kind: str) -> None:
    table = a_table().drop(columns="created_at")
    ends = pd.date_range("2024-01-01", periods=ROWS).strftime("%Y-%m-%d").tolist()
    table["valid_to"] = ["9999-12-31", *ends[1:]]
    if kind == "parquet":
        table["valid_to"] = table["valid_to"].astype("datetime64[us]")
    buffer = io.BytesIO()
    table.to_csv(buffer, index=False) if kind == "csv" else table.to_parquet(buffer)
    text = infer_contract(buffer.getvalue(), "f", "loans", "approved").text
    said = "# times from 2024-01-02 to 9999-12-31; too far from now to be the time of a row"
    assert said in line(text, "- valid_to")


@pytest.mark.parametrize(
    ("content", "target", "code", "says"),
    [
        (b"", "approved", "EMPTY", "is empty"),
        (a_table().to_csv(index=False).encode(), "aproved", "MISSING_COLUMN", "did you mean approved?"),
        (a_table().to_csv(index=False).encode(), "always", "ONE_CLASS", "is 'x' in every row"),
        (a_table().to_csv(index=False).encode(), "never", "ONE_CLASS", "is empty"),
        (a_table().to_csv(index=False).encode(), "remark", "MANY_CLASSES", "300 different texts"),
        (a_table().to_csv(index=False, header=False).encode(), "approved", "NO_HEADER", "data and not column names"),
        (a_table().head(8).to_csv(index=False).encode(), "approved", "TOO_FEW_ROWS", "8 good rows"),
        (a_table()[["approved", "always"]].to_csv(index=False).encode(), "approved", "NO_FEATURES", "no column"),
    ],
)
def test_a_file_that_teaches_nothing_is_refused(content: bytes, target: str, code: str, says: str) -> None:
    error = problem(content, target)
    assert error.code == code
    assert says in error.message


def test_a_name_that_no_model_can_have_is_refused() -> None:
    with pytest.raises(ContractError, match="model"):
        infer_contract(a_table().to_csv(index=False).encode(), "loans.csv", "My Loans!", "approved")


def test_odd_names_and_cells_are_written_safely() -> None:
    names = ["yes", "null", "1", "a: b", "- c", "{d}", "e\nf", "g # h", "é", "'", '"', "*x", "&y", "!z", "%", "@", "~"]
    random = np.random.default_rng(0)
    table = pd.DataFrame({name: random.choice([*names[:4], "\u2028", "\x85"], 200) for name in names})
    table["y"] = random.choice(["on", "off"], 200)
    text, contract = infer(table, "y")
    assert list(contract.features) == names
    assert judge_upload(table.to_csv(index=False).encode(), contract).bad_rows == 0
    assert text.isprintable() or all(part.isprintable() for part in text.split("\n"))


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        (["ann@example.org", "bob@example.com", "cy@example.net"], "addresses of mail"),
        (["+49 30 1234567", "0170 7654321", "(030) 1111111"], "numbers of phones"),
        (["4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009"], "numbers of cards"),
    ],
)
def test_what_names_a_person_is_no_feature(cells: list[str], what: str) -> None:
    rows = [f"{cells[place % 3]},{place % 5}.5,{('yes', 'no')[place % 2]}" for place in range(60)]
    text = infer_contract("\n".join(["contact,x,won", *rows]).encode(), "f", "m", "won").text
    assert f"    - contact  # {what}: they name a person" in text
