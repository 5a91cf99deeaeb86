"""What breaks the contract is found, named with its rows, and set aside; the rest is typed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serin.contract.model import Contract
from serin.contract.serving_spec import ServingSpec, SpecFeature
from serin.data.labels import NewLabel
from serin.data.raw_table import RawTable
from serin.data.reasons import Reason
from serin.data.write import profile_table
from tests.builders import a_contract
from tests.judging import Found, expect, expect_features

ROWS = 40


def a_strict_contract(**changes: Any) -> Contract:
    """A contract of every type of column that lets through few bad rows."""
    said: dict[str, Any] = {
        "features": {
            "age": {"type": "integer", "min": 18, "max": 100},
            "salary": {"type": "number", "min": 0, "missing": "allow"},
            "education": {"type": "category", "values": ["school", "college"]},
            "owner": {"type": "boolean"},
        },
        "entity": "person",
        "time": "at",
        "data": {"min_rows": 10, "max_bad_rows": "10%"},
        **changes,
    }
    return a_contract(**said)


def a_raw_table(rows: int = ROWS, **first_cells: list[str]) -> RawTable:
    """A good table as text, but for the first cells of the columns that are named."""
    columns = {
        "age": ["30"] * rows,
        "salary": ["1000.5"] * rows,
        "education": ["school", "college"] * (rows // 2),
        "owner": ["true", "no"] * (rows // 2),
        "person": [f"{number:04d}" for number in range(rows)],
        "at": ["2024-05-31"] * rows,
        "approved": ["yes", "no"] * (rows // 2),
    }
    columns = {name: [*first_cells.get(name, []), *cells][:rows] for name, cells in columns.items()}
    return RawTable(pd.DataFrame(columns, dtype="str"), np.arange(2, rows + 2))


def only(reasons: tuple[Reason, ...]) -> Reason:
    assert len(reasons) == 1, [reason.message for reason in reasons]
    assert reasons[0].fix
    return reasons[0]


def codes(finding: Found) -> list[str]:
    return [reason.code for reason in finding.refusals]


def test_a_good_table_is_typed() -> None:
    finding = expect(a_raw_table(), a_strict_contract())
    assert (finding.refusals, finding.reasons, finding.notes) == ((), (), ())
    assert finding.table is not None
    assert finding.table.iloc[1].to_dict() == {
        "age": 30.0,
        "salary": 1000.5,
        "education": "college",
        "owner": 0.0,
        "approved": "no",
        "person": "0001",
        "at": 1717113600.0,
    }


@pytest.mark.parametrize(
    ("column", "cell", "code", "says"),
    [
        ("age", "abc", "TYPE", "age should hold a whole number and does not, in 1 row; first in line 2: 'abc'"),
        ("age", "30.5", "TYPE", "age should hold a whole number"),
        ("age", "17", "DOMAIN", "age is outside of what the contract allows, 18 to 100"),
        ("age", "101", "DOMAIN", "18 to 100"),
        ("age", "1e400", "DOMAIN", "infinite, or beyond 3.4e+38, the most that a number may be"),
        ("age", "", "MISSING", "age is empty, in 1 row; first in line 2"),
        ("age", "NA", "MISSING", "age is empty, in 1 row; first in line 2: 'NA', which is read as empty"),
        ("salary", "1,000", "TYPE", "salary should hold a number"),
        ("salary", "-1", "DOMAIN", "0 or more"),
        ("salary", "inf", "DOMAIN", "infinite"),
        ("education", "Colege", "DOMAIN", "does not list: 'Colege' (near to 'college')"),
        ("education", "?", "MISSING", "education is empty"),
        ("owner", "maybe", "TYPE", "owner should hold true or false"),
        ("person", "", "MISSING", "person is empty"),
        ("at", "31.5.24", "TIME", "at holds no time, in 1 row; first in line 2: '31.5.24'"),
        ("at", "", "MISSING", "at is empty"),
        ("approved", "", "MISSING", "approved is empty"),
    ],
)
def test_a_cell_that_breaks_the_contract_sets_its_row_aside(column: str, cell: str, code: str, says: str) -> None:
    finding = expect(a_raw_table(**{column: [cell]}), a_strict_contract())
    reason = only(finding.reasons)
    assert (reason.code, reason.column, reason.rows, reason.count) == (code, column, (2,), 1)
    assert says in reason.message
    assert finding.refusals == ()
    assert finding.is_bad.tolist() == [True] + [False] * (ROWS - 1)
    assert finding.why.tolist() == [f"{column}: {code}"]


@pytest.mark.parametrize(
    ("column", "says"),
    [("age", "missing: allow"), ("approved", "always needed"), ("person", "always needed"), ("at", "always needed")],
)
def test_only_of_a_feature_one_is_told_that_it_may_be_allowed_to_be_empty(column: str, says: str) -> None:
    assert says in only(expect(a_raw_table(**{column: [""]}), a_strict_contract()).reasons).fix


def test_of_many_unlisted_categories_some_are_named_and_all_are_counted() -> None:
    contract = a_strict_contract(data={"min_rows": 10, "max_bad_rows": "90%"})
    reason = only(expect(a_raw_table(education=[f"x{number}" for number in range(8)]), contract).reasons)
    assert "'x3'; 'x4'; and 3 more, in 8 of 40 rows" in reason.message


def test_rows_in_which_nothing_is_written_are_noted_with_their_number() -> None:
    raw = replace(a_raw_table(), blank=np.arange(50, 80))
    note = only(expect(raw, a_strict_contract()).notes)
    assert (note.code, note.rows, note.count) == ("BLANK_ROWS", tuple(range(50, 70)), 30)
    assert "nothing is written in 30 rows" in note.message


@pytest.mark.parametrize("cell", ["", "NA", "nan", "?"])
def test_what_may_be_missing_is_nan(cell: str) -> None:
    finding = expect(a_raw_table(salary=[cell]), a_strict_contract())
    assert finding.reasons == ()
    assert finding.table is not None
    assert np.isnan(finding.table["salary"][0])


def test_whole_numbers_may_be_written_with_a_point() -> None:
    assert expect(a_raw_table(age=["30.0", "3e1"]), a_strict_contract()).reasons == ()


def test_a_reason_names_the_first_twenty_rows_and_counts_all() -> None:
    contract = a_strict_contract(data={"min_rows": 10, "max_bad_rows": "90%"})
    reason = only(expect(a_raw_table(age=["x"] * 25), contract).reasons)
    assert reason.rows == tuple(range(2, 22))
    assert reason.count == 25
    assert "in 25 of 40 rows; first in line 2" in reason.message


def test_a_row_says_all_that_is_wrong_with_it() -> None:
    finding = expect(a_raw_table(age=["x", "30", "x"], salary=["x", "x", "1"]), a_strict_contract())
    assert finding.why.tolist() == ["age: TYPE; salary: TYPE", "salary: TYPE", "age: TYPE"]


def test_of_a_row_with_many_faults_the_first_are_named() -> None:
    names = [f"f{place}" for place in range(12)]
    contract = a_contract(features={name: {"type": "number"} for name in names}, data={"min_rows": 10})
    frame = pd.DataFrame({name: ["x", "1"] for name in names} | {"approved": ["yes", "no"]}, dtype="str")
    (why,) = expect(RawTable(frame, np.arange(2)), contract).why.tolist()
    assert why == "; ".join([*(f"f{place}: TYPE" for place in range(10)), "…"])


def test_more_bad_rows_than_allowed_refuse_the_table() -> None:
    assert codes(expect(a_raw_table(age=["x"] * 4), a_strict_contract())) == []
    finding = expect(a_raw_table(age=["x"] * 5), a_strict_contract())
    assert "5 of 40 rows (12.5%) break the contract, which allows 10.00%" in only(finding.refusals).message
    assert codes(finding) == ["TOO_MANY_BAD_ROWS"]
    assert only(finding.reasons).code == "TYPE"


def test_they_refuse_a_table_for_regression_alike() -> None:
    contract = a_strict_contract(task="regression", target="salary", features={"age": {"type": "integer"}})
    salaries = [str(number) for number in range(30)]
    assert codes(expect(a_raw_table(salary=["x"] * 4 + salaries), contract)) == []
    assert codes(expect(a_raw_table(salary=["x"] * 5 + salaries), contract)) == ["TOO_MANY_BAD_ROWS"]


def test_too_few_good_rows_refuse_the_table() -> None:
    contract = a_strict_contract(data={"min_rows": 40, "max_bad_rows": "10%"})
    assert codes(expect(a_raw_table(), contract)) == []
    assert codes(expect(a_raw_table(age=["x"]), contract)) == ["TOO_FEW_ROWS"]


def test_a_column_that_changed_type_is_named_with_what_is_expected() -> None:
    finding = expect(a_raw_table(age=["young"] * ROWS), a_strict_contract())
    assert "TOO_MANY_BAD_ROWS" in codes(finding)
    assert "age should hold a whole number and does not, in 40 of 40 rows" in only(finding.reasons).message


def test_a_missing_column_is_named_with_the_nearest() -> None:
    raw = a_raw_table()
    raw.frame.rename(columns={"age": "AGE", "education": "eduction", "at": "when"}, inplace=True)
    finding = expect(raw, a_strict_contract())
    assert finding.table is None
    assert [(reason.code, reason.column) for reason in finding.refusals] == [
        ("MISSING_COLUMN", "age"),
        ("MISSING_COLUMN", "education"),
        ("MISSING_COLUMN", "at"),
    ]
    assert [reason.fix for reason in finding.refusals] == [
        "Rename AGE to age.",
        "Rename eduction to education.",
        "Add the column at, or take it out of the contract.",
    ]
    assert "a feature of type integer; there is AGE" in finding.refusals[0].message


def test_a_new_column_is_noted_and_an_ignored_one_is_not() -> None:
    raw = a_raw_table()
    raw.frame["row"] = "1"
    raw.frame["shoe"] = "44"
    finding = expect(raw, a_strict_contract(data={"ignore": ["row", "absent"], "min_rows": 10}))
    assert finding.refusals == ()
    note = only(finding.notes)
    assert (note.code, note.column) == ("NEW_COLUMN", "shoe")
    assert finding.table is not None
    assert not {"shoe", "row"} & set(finding.table.columns)


def test_a_column_that_holds_no_single_values_is_named_with_its_type() -> None:
    raw = a_raw_table()
    raw = RawTable(raw.frame.drop(columns="age"), raw.lines, "row", {"age": "list<int64>"})
    reason = only(expect(raw, a_strict_contract()).refusals)
    assert reason.code == "TYPE"
    assert "age holds list<int64>; the contract expects a feature of type integer" in reason.message


def test_leading_zeros_of_text_are_kept() -> None:
    contract = a_strict_contract(features={"person": {"type": "category"}, "salary": {"type": "number"}}, entity=None)
    table = expect(a_raw_table(), contract).table
    assert table is not None
    assert table["person"].tolist()[7] == "0007"


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        (["yes"] * ROWS, "ONE_CLASS"),
        (["yes"] * (ROWS - 1) + ["no"], "ONE_CLASS"),
        ([str(number) for number in range(60)], "MANY_CLASSES"),
        ([f"text {number}" for number in range(60)], "MANY_CLASSES"),
    ],
)
def test_a_target_that_cannot_be_learned_refuses_the_table(cells: list[str], code: str) -> None:
    contract = a_strict_contract()
    finding = expect(a_raw_table(len(cells), approved=cells), contract)
    if cells[-1] == "no":  # two classes, one of them with a single row, can still grow: the row waits
        assert codes(finding) == []
    else:
        reason = only(finding.refusals)
        assert reason.code == code
        assert ("task: regression" in reason.fix) == (cells[0] == "0")


def test_a_class_of_one_row_waits_for_another() -> None:
    finding = expect(a_raw_table(approved=["perhaps"]), a_strict_contract())
    reason = only(finding.reasons)
    assert (reason.code, reason.rows) == ("RARE_CLASS", (2,))
    assert finding.is_bad.sum() == 1


def test_rows_that_came_before_count_for_the_classes() -> None:
    contract = a_strict_contract()
    first = expect(a_raw_table(approved=["perhaps"] * 2), contract).table
    assert first is not None
    previous = profile_table(first, contract)
    assert codes(expect(a_raw_table(approved=["yes"] * ROWS), contract, previous)) == []
    assert expect(a_raw_table(approved=["perhaps"]), contract, previous).reasons == ()


@pytest.mark.parametrize("uploads", ["append", "replace"])
def test_a_class_that_no_row_before_had_is_noted_with_what_it_may_be_meant_to_be(uploads: str) -> None:
    contract = a_strict_contract(data={"min_rows": 10, "max_bad_rows": "10%", "uploads": uploads})
    first = expect(a_raw_table(), contract).table
    assert first is not None
    previous = profile_table(first, contract)
    finding = expect(a_raw_table(approved=["yes", "yse", "yse", "perhaps", "perhaps"]), contract, previous)
    assert (finding.refusals, finding.reasons) == ((), ())
    note = only(finding.notes)
    assert (note.code, note.column, note.rows, note.count) == ("NEW_CLASS", "approved", (3, 4, 5, 6), 4)
    assert "in 4 rows: 'yse' (near to 'yes'); 'perhaps'" in note.message
    assert finding.new_labels == (NewLabel("yse", 2, "yes"), NewLabel("perhaps", 2, None))
    assert (expect(a_raw_table(), contract, previous).notes, expect(a_raw_table(), contract).new_labels) == ((), ())


def test_numbers_that_share_digits_are_not_near_to_each_other() -> None:
    contract = a_strict_contract()
    first = expect(a_raw_table(approved=["1", "2"] * (ROWS // 2)), contract).table
    assert first is not None
    finding = expect(a_raw_table(approved=["01", "12"] * (ROWS // 2)), contract, profile_table(first, contract))
    assert [(new.label, new.near) for new in finding.new_labels] == [("01", "1"), ("12", None)]


def test_a_label_that_the_classes_do_not_name_sets_its_row_aside() -> None:
    contract = a_strict_contract(classes=("<=50K", ">50K", "NA"))
    labels = ["<=50K", ">50K", "NA"] * ROWS
    first = expect(a_raw_table(approved=labels), contract).table
    assert first is not None
    finding = expect(
        a_raw_table(approved=["<=50K.", "<=50K.", "other", *labels]), contract, profile_table(first, contract)
    )
    reason = only(finding.reasons)
    assert (reason.code, reason.column, reason.rows, reason.count) == ("CLASS", "approved", (2, 3, 4), 3)
    assert "does not list: '<=50K.' (near to '<=50K'); 'other', in 3 of 40 rows" in reason.message
    assert "add the label to classes" in reason.fix
    assert (finding.refusals, finding.notes, finding.new_labels) == ((), (), ())
    assert codes(expect(a_raw_table(approved=["<=50K."] * 5 + labels), contract)) == ["TOO_MANY_BAD_ROWS"]


def test_a_class_that_the_contract_has_named_since_is_not_noted_as_new() -> None:
    first = expect(a_raw_table(approved=["other"] * 5), a_strict_contract()).table
    assert first is not None
    contract = a_strict_contract(classes=("yes", "no", "perhaps"))
    finding = expect(a_raw_table(approved=["perhaps"] * 5), contract, profile_table(first, a_strict_contract()))
    assert (finding.refusals, finding.reasons, finding.notes) == ((), (), ())


def test_a_class_that_the_contract_names_or_that_comes_first_is_not_noted() -> None:
    table = a_raw_table(approved=["perhaps"] * 5)
    assert expect(table, a_strict_contract()).notes == ()
    first = expect(a_raw_table(), a_strict_contract()).table
    assert first is not None
    previous = profile_table(first, a_strict_contract())
    assert expect(table, a_strict_contract(positive="perhaps"), previous).notes == ()


def test_a_target_of_regression_is_a_number_that_varies() -> None:
    contract = a_strict_contract(task="regression", target="salary", features={"age": {"type": "integer"}})
    assert codes(expect(a_raw_table(), contract)) == ["ONE_VALUE"]
    finding = expect(a_raw_table(salary=["1", "2", "x", ""]), contract)
    assert codes(finding) == []
    assert [reason.code for reason in finding.reasons] == ["TYPE", "MISSING"]
    assert finding.table is not None
    assert finding.table["salary"].tolist()[:2] == [1.0, 2.0]


def test_typed_cells_of_parquet_are_judged_alike() -> None:
    frame = a_raw_table().frame.astype({"age": "int64", "salary": "float64"})
    frame["owner"] = frame["owner"] == "true"
    frame["at"] = pd.to_datetime(frame["at"], utc=True)
    frame.loc[0, "age"] = 17
    frame.loc[1, "salary"] = np.inf
    finding = expect(RawTable(frame, np.arange(1, ROWS + 1), "row"), a_strict_contract())
    assert [(reason.code, reason.rows) for reason in finding.reasons] == [("DOMAIN", (1,)), ("DOMAIN", (2,))]
    assert "first in row 1: '17'" in finding.reasons[0].message
    frame["age"] = frame["owner"]
    assert "TYPE" in [reason.code for reason in expect(RawTable(frame, np.arange(ROWS)), a_strict_contract()).reasons]


ASKED = ServingSpec(
    "loans",
    "classification",
    "approved",
    (
        SpecFeature("salary", "number", allows_missing=True),
        SpecFeature("age", "integer", min=18),
        SpecFeature("owner", "boolean", allows_missing=True),
    ),
)


def a_file(**columns: list[str]) -> RawTable:
    return RawTable(pd.DataFrame(columns, dtype="str"), np.arange(2, 2 + len(next(iter(columns.values())))))


def test_of_rows_to_be_answered_a_column_may_be_absent_where_its_feature_may_be_missing() -> None:
    finding = expect_features(a_file(age=["30", "17"], shoe=["44", "45"]), ASKED)
    assert finding.table is not None
    assert finding.table[["salary", "owner"]].isna().all(axis=None)
    assert finding.is_bad.tolist() == [False, True]
    assert [reason.column for reason in expect_features(a_file(salary=["1"]), ASKED).refusals] == ["age"]


def test_an_absent_column_that_seems_to_have_another_name_is_not_taken_as_missing() -> None:
    reason = only(expect_features(a_file(age=["30"], Salary=["1"]), ASKED).refusals)
    assert (reason.code, reason.fix) == ("MISSING_COLUMN", "Rename Salary to salary.")
    assert expect_features(a_file(age=["30"], approved=["1"], ower=["1"]), ASKED).refusals


def test_a_table_of_none_of_the_features_is_not_answered() -> None:
    spec = replace(ASKED, features=ASKED.features[:1])
    assert only(expect_features(a_file(what=["1"]), spec).refusals).column == "salary"
