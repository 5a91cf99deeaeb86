"""The fast reader takes what is plainly right, reads it as the careful one does, and leaves the rest to it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.contract.serving_spec import ServingSpec, SpecFeature
from serin.errors import SerinError
from serin.serving.endpoint import read_rows
from serin.serving.rows.decode import RowDecoder
from serin.serving.rows.encode import Encoded, encode
from tests.serving.test_encode import SPEC, a_row

DECODER = RowDecoder(SPEC, max_rows=3)


def a_body(*rows: Any) -> bytes:
    return json.dumps({"rows": list(rows)}).encode()


def assert_same(fast: Encoded, careful: Encoded) -> None:
    np.testing.assert_array_equal(fast.numeric, careful.numeric)
    np.testing.assert_array_equal(fast.codes, careful.codes)
    assert (fast.numeric.shape, fast.codes.dtype, fast.notes) == (
        careful.numeric.shape,
        careful.codes.dtype,
        careful.notes,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"salary": None},
        {"salary": ...},
        {"car": None, "owner": False},
        {"free": 1e308 / 1e300, "age": 18.0},
        {"free": 9007199254740993},
        {"applicant_id": "A1", "applied_at": 3},
    ],
)
def test_what_is_plainly_right_is_read_fast(changes: dict[str, Any]) -> None:
    body = a_body(a_row(**changes), a_row())
    fast = DECODER.decode(body)
    assert fast is not None
    assert_same(fast, encode(read_rows(body), SPEC))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"rows": []}',
        b'{"rows": [{}]}',
        b"[" * 5000,
        a_body(a_row(), a_row(), a_row(), a_row()),
        a_body(a_row(age=17)),
        a_body(a_row(age=30.5)),
        a_body(a_row(age="30")),
        a_body(a_row(age=True)),
        a_body(a_row(education="never seen")),
        a_body(a_row(education=" school")),
        a_body(a_row(car=4)),
        a_body(a_row(car="NA")),
        a_body(a_row(unknown=1)),
        a_body(a_row(free=[1])),
        a_body(a_row(applicant_id={"a": 1})),
        a_body(a_row()).replace(b'"age": 30', b'"age": 30, "age": 31'),
        a_body(a_row()).replace(b'"car": "4"', b'"car": "4", "car": "true"'),
        a_body(a_row()).replace(b'"free": 0', b'"free": 1, "free": null'),
        a_body(a_row()).replace(b'{"rows"', b'{"rows": [], "rows"'),
        a_body(a_row()).replace(b"1.5", b"1e999"),
        a_body(a_row()).replace(b"1.5", b"NaN"),
        a_body(a_row()).replace(b"school", b"sch\xffool"),
        a_body(a_row()).replace(b"school", b"sch\\u006fol"),
    ],
)
def test_what_needs_a_remark_is_left_to_the_careful_reader(body: bytes) -> None:
    assert DECODER.decode(body) is None


def test_the_number_of_an_entity_that_is_a_feature_too_is_read_whole() -> None:
    decoder = RowDecoder(replace(SPEC, entity="free"), max_rows=3)
    small, large = a_body(a_row(free=2**53 - 1)), a_body(a_row(), a_row(free=2**53 + 1))
    assert (fast := decoder.decode(small)) is not None
    assert fast.entity == str(2**53 - 1)
    assert decoder.decode(large) is None
    assert encode(read_rows(large)[1:], replace(SPEC, entity="free")).entity == str(2**53 + 1)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["school", "degree", "4", "true", "(missing)", "NA", "", "é", '"', "\\"]),
)
ROWS = st.dictionaries(st.sampled_from([*(f.name for f in SPEC.features), "applicant_id", "other"]), VALUES)


@settings(max_examples=400, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=3), st.booleans(), st.booleans())
def test_both_readers_agree_on_any_rows(rows: list[dict[str, Any]], complete: bool, is_ascii: bool) -> None:
    sent = [{**a_row(), **row} for row in rows] if complete else rows
    body = json.dumps({"rows": sent}, ensure_ascii=is_ascii).encode()
    fast = DECODER.decode(body)
    try:
        careful = encode(read_rows(body), SPEC)
    except SerinError:
        assert fast is None
    else:
        assert fast is None or assert_same(fast, careful) is None


@pytest.mark.parametrize("name", ['say "x"', "back\\slash", "tab\t", "line\nbreak", "é.ü [1]"])
def test_a_column_may_have_any_name(name: str) -> None:
    spec = ServingSpec("m", "regression", "y", (SpecFeature(name, "number"),))
    body = a_body({name: 1.5})
    fast = RowDecoder(spec, max_rows=3).decode(body)
    assert fast is None or assert_same(fast, encode(read_rows(body), spec)) is None


@pytest.mark.parametrize("kind", ["number", "category"])
def test_a_model_of_one_kind_of_feature_has_the_other_tensor_empty(kind: str) -> None:
    feature = SpecFeature("x", kind, values=("a",) if kind == "category" else ())
    spec = ServingSpec("m", "regression", "y", (feature,))
    body = a_body({"x": "a" if kind == "category" else 1})
    fast = RowDecoder(spec, max_rows=3).decode(body)
    assert fast is not None
    assert_same(fast, encode(read_rows(body), spec))
