"""What serving reads follows from the contract and what training learned."""

from __future__ import annotations

import pytest

from serin.contract.compile import compile_spec, native_labels
from serin.contract.spec import ServingSpec
from serin.errors import Refused, Unverified
from tests.builders import a_contract


def test_a_spec_survives_its_json() -> None:
    spec = compile_spec(
        a_contract(entity="applicant"),
        values={"education": ("college", "school")},
        missing_codes={"education": 2},
        classes=("no", "yes"),
    )
    assert ServingSpec.from_json(spec.to_json()) == spec
    assert [feature.name for feature in spec.numeric] == ["age", "salary"]
    assert spec.other_columns == ("applicant",)


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (["1", "2"], [1, 2]),
        (["01", "02"], ["01", "02"]),
        (["false", "true"], [False, True]),
        (["bad", "good"], ["bad", "good"]),
        (["1", "x"], ["1", "x"]),
    ],
)
def test_labels_get_their_type_back(texts: list[str], labels: list[object]) -> None:
    assert native_labels(texts) == labels


@pytest.mark.parametrize(("positive", "index"), [(None, 1), (1, 0), ("1", 0), (2, 1)])
def test_the_score_speaks_of_the_positive_class(positive: object, index: int) -> None:
    spec = compile_spec(a_contract(positive=positive), values={}, missing_codes={}, classes=("1", "2"))
    assert spec.positive == index


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 99}'])
def test_what_is_no_spec_does_not_verify(text: bytes) -> None:
    with pytest.raises(Unverified):
        ServingSpec.from_json(text)


def test_a_positive_class_that_the_data_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="'1', '2'"):
        compile_spec(a_contract(positive="good"), values={}, missing_codes={}, classes=("1", "2"))
