"""JSON Lines are read as the same table is in CSV, also where kinds are mixed, and in parts."""

from __future__ import annotations

import gzip
import json

import pytest

from serin.data import json_lines as module
from serin.data.limits import Limits, Unreadable
from serin.data.read import read_table

ROWS = [
    {"age": 41, "income": 10.5, "member": True, "region": "Süd"},
    {"age": None, "income": 3, "member": None, "region": "007"},
    {"age": 7, "region": "x"},
]


def as_lines(rows: list[object]) -> bytes:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()


@pytest.mark.parametrize("at_once", [1, 2, 100])
@pytest.mark.parametrize("packed", [False, True])
def test_values_keep_their_types(at_once: int, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", at_once)
    content = as_lines([*ROWS])
    frame = read_table(gzip.compress(content) if packed else content).frame
    assert frame["age"].astype("float64").tolist()[::2] == [41, 7]
    assert frame["age"].isna().tolist() == [False, True, False]
    assert frame["income"].tolist()[:2] == [10.5, 3]
    assert frame["member"].tolist()[0] is True
    assert frame["member"].isna().tolist() == [False, True, True]
    assert frame["region"].tolist() == ["Süd", "007", "x"]


@pytest.mark.parametrize("at_once", [1, 100])
def test_mixed_kinds_are_text_as_csv_has_it(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", at_once)
    frame = read_table(as_lines([{"a": value} for value in (1, "b", True, 2.5, 2**70, 3.0)])).frame
    assert frame["a"].tolist() == ["1", "b", "true", "2.5", str(2**70), "3"]


def test_lists_are_no_single_values_and_empty_objects_no_rows() -> None:
    table = read_table(b'{"a": 1, "tags": [1]}\n\n{"a": null}\n{"a": 2, "tags": null}\n')
    assert table.unusable == {"tags": "lists or objects"}
    assert table.frame["a"].tolist() == [1, 2]
    assert (table.lines.tolist(), table.blank.tolist()) == ([1, 4], [3])


@pytest.mark.parametrize("bad", [b'{"a": 1', b"[1]", b"x", b'{"a": 1} {"a": 2}', b'{"a": ' + b"[" * 5000])
def test_a_line_that_is_no_object_is_named(bad: bytes) -> None:
    with pytest.raises(Unreadable, match="line 2 is no object of JSON") as caught:
        read_table(b'{"a": 1}\n' + bad + b"\n")
    assert (caught.value.code, caught.value.line) == ("BAD_FORMAT", 2)


def test_limits_hold() -> None:
    with pytest.raises(Unreadable) as caught:
        read_table(as_lines([{"a": 1}] * 50), Limits(max_rows=40))
    assert caught.value.code == "TOO_LARGE"


def test_another_kind_of_json_is_told_what_to_send() -> None:
    with pytest.raises(Unreadable) as caught:
        read_table(b'[{"a": 1}]')
    assert "an object a line" in caught.value.fix
