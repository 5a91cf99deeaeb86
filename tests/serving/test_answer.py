"""An answer says what was predicted in the labels' own types."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from serin.contract.spec import Label, ServingSpec
from serin.serving.answer import answers


def a_spec(*classes: Label, positive: int | None = None) -> ServingSpec:
    task = "classification" if classes else "regression"
    return ServingSpec("m", task, "t", (), classes=classes, positive=positive)


def answer(scores: list[list[float]], spec: ServingSpec, **more: Any) -> list[dict[str, Any]]:
    return answers(np.array(scores), spec, prediction_id="p", **more)


@pytest.mark.parametrize(("positive", "score"), [(1, 0.25), (0, 0.75)])
def test_of_two_classes_the_score_is_the_positive_ones_probability(positive: int, score: float) -> None:
    (given,) = answer([[0.75, 0.25]], a_spec("no", "yes", positive=positive))
    assert given == {"id": "p-0", "prediction": "no", "score": score, "probabilities": {"no": 0.75, "yes": 0.25}}


def test_of_more_classes_the_score_is_that_of_the_class_predicted() -> None:
    (given,) = answer([[0.2, 0.5, 0.3]], a_spec("a", "b", "c"))
    assert (given["prediction"], given["score"]) == ("b", 0.5)


def test_a_value_is_its_own_score() -> None:
    assert answer([[3.5], [-1e9]], a_spec()) == [
        {"id": "p-0", "prediction": 3.5, "score": 3.5},
        {"id": "p-1", "prediction": -1e9, "score": -1e9},
    ]


@pytest.mark.parametrize(("classes", "texts"), [((1, 2), ["1", "2"]), ((False, True), ["false", "true"])])
def test_labels_keep_their_type_through_json(classes: tuple[Label, ...], texts: list[str]) -> None:
    (given,) = json.loads(json.dumps(answer([[0.1, 0.9]], a_spec(*classes, positive=1))))
    assert given["prediction"] is classes[1] or given["prediction"] == classes[1]
    assert type(given["prediction"]) is type(classes[1])
    assert list(given["probabilities"]) == texts


def test_of_equal_probabilities_the_first_class_is_predicted_as_scikit_learn_does() -> None:
    assert answer([[0.5, 0.5]], a_spec("no", "yes", positive=1))[0]["prediction"] == "no"


def test_notes_stand_with_the_row_they_are_about() -> None:
    first, second = answer([[1.0], [2.0]], a_spec(), notes=[(), ("k: 'x' was never seen in training",)])
    assert "notes" not in first
    assert second["notes"] == ["k: 'x' was never seen in training"]
