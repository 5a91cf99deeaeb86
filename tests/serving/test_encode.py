"""A row is read as training read it, or refused with what is wrong and what is allowed."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.contract.serving_spec import ServingSpec, SpecFeature
from serin.errors import InvalidRows, RowProblem
from serin.serving.rows.encode import MAX_MAGNITUDE, Encoded, encode, encode_columns, notes_of

SPEC = ServingSpec(
    model="loans",
    task="classification",
    target="approved",
    features=(
        SpecFeature("age", "integer", min=18, max=100),
        SpecFeature("education", "category", values=("college", "degree", "school")),
        SpecFeature("salary", "number", min=0, allows_missing=True),
        SpecFeature("owner", "boolean", allows_missing=True),
        SpecFeature("car", "category", allows_missing=True, values=("(missing)", "4", "true"), missing_code=0),
        SpecFeature("free", "number", allows_missing=True),
    ),
    classes=("no", "yes"),
    positive=1,
    entity="applicant_id",
    other_columns=("applicant_id", "applied_at"),
)


def a_row(**changes: Any) -> dict[str, Any]:
    row = {"age": 30, "education": "school", "salary": 1.5, "owner": True, "car": "4", "free": 0, **changes}
    return {name: value for name, value in row.items() if value is not ...}


def encode_one(**changes: Any) -> Encoded:
    return encode([a_row(**changes)], SPEC)


def test_of_many_unknown_fields_a_hundred_are_named_and_all_are_counted() -> None:
    row = a_row(age=5, **{f"field {number}": 1 for number in range(150)})
    with pytest.raises(InvalidRows) as caught:
        encode([row, row], SPEC)
    assert len(caught.value.problems) == 102
    assert "(and 301 more)" in caught.value.message


def the_problem(**changes: Any) -> tuple[str, str, str]:
    with pytest.raises(InvalidRows) as caught:
        encode([a_row(), a_row(**changes)], SPEC)
    (problem,) = caught.value.problems
    assert problem.row == 1
    return problem.field, problem.code, problem.message


def test_numbers_and_codes_stand_in_the_order_of_the_spec() -> None:
    encoded = encode([a_row(), a_row(age=40, owner=False, education="college", car=None)], SPEC)
    np.testing.assert_array_equal(encoded.numeric, [[30, 1.5, 1, 0], [40, 1.5, 0, 0]])
    np.testing.assert_array_equal(encoded.codes, [[2, 1], [0, 0]])
    assert encoded.numeric.dtype == np.float64
    assert encoded.codes.dtype == np.int64
    assert encoded.notes == ((), ())


@pytest.mark.parametrize("absent", [None, ...])
def test_what_may_be_missing_may_be_null_or_absent(absent: Any) -> None:
    encoded = encode_one(salary=absent, owner=absent, car=absent)
    assert np.isnan(encoded.numeric[0, [1, 2]]).all()
    assert encoded.codes[0, 1] == 0
    assert encoded.notes == ((),)


@pytest.mark.parametrize(
    ("changes", "field", "code", "says"),
    [
        ({"age": ...}, "age", "MISSING", "required"),
        ({"age": None}, "age", "MISSING", "required"),
        ({"education": None}, "education", "MISSING", "required"),
        ({"age": "30"}, "age", "TYPE", "a number, not '30'"),
        ({"age": True}, "age", "TYPE", "a number, not true"),
        ({"age": [30]}, "age", "TYPE", "a number, not a list"),
        ({"age": {"x": 1}}, "age", "TYPE", "a number, not an object"),
        ({"age": 30.5}, "age", "TYPE", "a whole number, not 30.5"),
        ({"age": 17}, "age", "RANGE", "from 18 to 100, not 17"),
        ({"age": 101}, "age", "RANGE", "from 18 to 100, not 101"),
        ({"salary": -0.01}, "salary", "RANGE", "from 0 to 3.4e+38, not -0.01"),
        ({"salary": 1e39}, "salary", "RANGE", "to 3.4e+38"),
        ({"free": -1e39}, "free", "RANGE", "from -3.4e+38"),
        ({"free": 10**400}, "free", "RANGE", "from -3.4e+38"),
        ({"free": math.nan}, "free", "NON_FINITE", "finite"),
        ({"free": math.inf}, "free", "NON_FINITE", "finite"),
        ({"salary": -math.inf}, "salary", "NON_FINITE", "finite"),
        ({"owner": 1}, "owner", "TYPE", "true or false, not 1"),
        ({"owner": "true"}, "owner", "TYPE", "true or false"),
        ({"education": 1.5}, "education", "TYPE", "text or a whole number, not 1.5"),
        ({"education": ["school"]}, "education", "TYPE", "not a list"),
        ({"education": 10**400}, "education", "TYPE", "a number of 1329 bits"),
        ({"approved": "yes"}, "approved", "TARGET_SENT", "leave it out"),
        ({"educaton": "school"}, "educaton", "UNKNOWN_FIELD", "did you mean education?"),
        ({"zzz": 1}, "zzz", "UNKNOWN_FIELD", "the model takes age, education"),
    ],
)
def test_a_wrong_value_is_refused_by_row_and_field(changes: dict[str, Any], field: str, code: str, says: str) -> None:
    found_field, found_code, message = the_problem(**changes)
    assert (found_field, found_code) == (field, code)
    assert says in message


def test_every_problem_is_named_in_the_order_of_the_rows() -> None:
    with pytest.raises(InvalidRows) as caught:
        encode([a_row(age=1, nmae=2), a_row(), a_row(salary="x")], SPEC)
    found = [(problem.row, problem.field, problem.code) for problem in caught.value.problems]
    assert found == [(0, "nmae", "UNKNOWN_FIELD"), (0, "age", "RANGE"), (2, "salary", "TYPE")]


def test_columns_that_the_contract_knows_besides_are_ignored() -> None:
    encoded = encode_one(applicant_id="A1", applied_at="2026-01-01")
    np.testing.assert_array_equal(encoded.numeric, encode_one().numeric)


@pytest.mark.parametrize(("value", "code"), [("4", 1), (4, 1), (True, 2), ("true", 2), ("(missing)", 0)])
def test_a_category_is_text_or_what_reads_as_its_text(value: Any, code: int) -> None:
    encoded = encode_one(car=value)
    assert encoded.codes[0, 1] == code
    assert encoded.notes == ((),)


def test_a_whole_float_is_an_integer() -> None:
    assert encode_one(age=30.0).numeric[0, 0] == 30


def test_a_category_never_seen_is_answered_with_a_note() -> None:
    encoded = encode([a_row(education="A999"), a_row(), a_row(car=7)], SPEC)
    assert encoded.codes[:, 0].tolist() == [-1, 2, 2]
    assert encoded.notes == (
        ("education: 'A999' was never seen in training",),
        (),
        ("car: '7' was never seen in training",),
    )


def test_the_note_says_where_a_category_may_have_been_too_rare() -> None:
    spec = ServingSpec("m", "regression", "t", (SpecFeature("zip", "category", values=("a",), pools_infrequent=True),))
    assert encode([{"zip": "b"}], spec).notes == (("zip: 'b' was never, or too rarely, seen in training",),)


def test_a_spec_is_stored_under_the_keys_that_it_always_had() -> None:
    spec = ServingSpec("m", "regression", "t", (SpecFeature("zip", "category", values=("a",), pools_infrequent=True),))
    stored = json.loads(spec.to_json())
    assert "pools_infrequent" not in stored["features"][0]
    assert stored["features"][0].pop("pools_rare") is True
    assert ServingSpec.from_json(spec.to_json()) == spec
    assert not ServingSpec.from_json(json.dumps(stored).encode()).features[0].pools_infrequent, "before there was one"


def test_what_was_sent_is_shortened_in_messages() -> None:
    assert len(encode_one(education="x" * 10_000).notes[0][0]) < 150
    field, _, message = the_problem(**{"y" * 10_000: 1})
    assert len(field) <= 200
    assert len(message) < 300


@pytest.mark.parametrize("number", [MAX_MAGNITUDE, -MAX_MAGNITUDE, 2**53 + 1, 5e-324, 0.1 + 0.2])
def test_a_number_is_read_as_the_nearest_double(number: float) -> None:
    assert encode_one(free=number).numeric[0, 3] == float(number)


def test_stored_columns_are_encoded_as_rows_are() -> None:
    rows = [a_row(), a_row(salary=None, owner=None, car=None), a_row(education="never", car="never")]
    columns = {
        feature.name: np.array(
            [row.get(feature.name) for row in rows], dtype=np.float64 if feature.is_numeric else object
        )
        for feature in SPEC.features
    }
    from_rows, from_columns = encode(rows, SPEC), encode_columns(columns, SPEC)
    np.testing.assert_array_equal(from_rows.numeric, from_columns.numeric)
    np.testing.assert_array_equal(from_rows.codes, from_columns.codes)
    texts = [columns[feature.name].tolist() for feature in SPEC.categories]
    assert from_rows.notes == tuple(notes_of(from_columns.codes, texts, SPEC))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from([feature.name for feature in SPEC.features] + ["approved", "applicant_id"]) | st.text()


@settings(max_examples=200, deadline=None)
@given(row=st.dictionaries(names, json_values, max_size=8))
def test_any_row_is_encoded_or_refused_by_field(row: dict[str, Any]) -> None:
    numbers = np.zeros(0)
    problems: tuple[RowProblem, ...] = ()
    try:
        numbers = encode([row], SPEC).numeric
    except InvalidRows as error:
        problems = error.problems
    assert len(numbers) or problems
    assert all(problem.code and problem.message for problem in problems)
    assert (np.abs(numbers[~np.isnan(numbers)]) <= MAX_MAGNITUDE).all()
