"""What serving reads follows from the contract and what training learned."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from serin.contract.compile import compile_spec, native_labels
from serin.contract.serving_spec import Baseline, Conformal, ServingSpec
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


def test_what_serving_says_besides_survives_its_json_too() -> None:
    serving = {"automation": "partial", "review_below": "70%", "uncertainty": "conformal", "explain": True}
    compiled = compile_spec(a_contract(serving=serving), values={}, missing_codes={}, classes=("no", "yes"))
    assert (compiled.automation, compiled.review_below) == ("partial", 0.7)
    rows = Baseline(((1.0, None), (2.5, 3.0)), ((-1,), (0,)))
    spec = replace(compiled, uncertainty=Conformal(0.9, 0.31, rows=80), baseline=rows)
    assert ServingSpec.from_json(spec.to_json()) == spec
    said = json.loads(spec.to_json(), parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    said["baseline"] = {"numeric": [1.0, 2.5], "codes": [-1]}
    before = ServingSpec.from_json(json.dumps(said).encode())
    assert before.baseline == Baseline(((1.0, 2.5),), ((-1,),)), "as one usual row was stored"


def test_a_spec_written_before_there_was_more_to_say_decides_by_itself() -> None:
    spec = compile_spec(a_contract(), values={}, missing_codes={}, classes=("no", "yes"))
    said = json.loads(spec.to_json())
    for key in ("automation", "review_below", "uncertainty", "baseline"):
        del said[key]
    assert ServingSpec.from_json(json.dumps(said).encode()) == spec
    assert (spec.automation, spec.uncertainty, spec.baseline) == ("full", None, None)


def test_a_threshold_that_no_row_is_below_is_refused() -> None:
    contract = a_contract(serving={"automation": "partial", "review_below": 0.5})
    compile_spec(contract, values={}, missing_codes={}, classes=("a", "b", "c"))
    with pytest.raises(Refused, match=r"never below 0\.5"):
        compile_spec(contract, values={}, missing_codes={}, classes=("no", "yes"))


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
