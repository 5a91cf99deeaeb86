"""An answer says what was predicted in the labels' own types."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serin.contract.serving_spec import Conformal, Label, ServingSpec
from serin.serving.answer import answers, count_unsure


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


PARTIAL = {"automation": "partial", "review_below": 0.7}


@pytest.mark.parametrize(
    ("said", "row", "decision", "why"),
    [
        ({"automation": "shadow"}, [0.0, 1.0], "none", "nothing may be decided"),
        ({"automation": "assist"}, [0.0, 1.0], "review", "a person decides every row"),
        (PARTIAL, [0.25, 0.75], "automated", ""),
        (PARTIAL, [0.3, 0.7], "automated", ""),
        (PARTIAL, [0.31, 0.69], "review", "0.69, is below 0.7"),
        ({**PARTIAL, "uncertainty": Conformal(0.9, 0.2, 50)}, [0.25, 0.75], "review", "2 labels are likely enough"),
        ({**PARTIAL, "uncertainty": Conformal(0.9, 0.8, 50)}, [0.25, 0.75], "review", "no label is likely enough"),
        ({**PARTIAL, "uncertainty": Conformal(0.9, 0.3, 50)}, [0.25, 0.75], "automated", ""),
    ],
)
def test_who_decides_follows_from_the_automation_and_the_row(
    said: dict[str, Any], row: list[float], decision: str, why: str
) -> None:
    spec = replace(a_spec("no", "yes", positive=1), **said)
    (given,) = answer([row], spec)
    assert (given["decision"], "reason" in given) == (decision, decision != "automated")
    assert why in given.get("reason", "")
    assert count_unsure(np.array([row] * 3), spec) == (3 if decision == "review" else 0)


def test_a_set_has_the_labels_that_are_likely_enough_in_their_own_type() -> None:
    spec = replace(a_spec(1, 2, 3), uncertainty=Conformal(0.9, 0.25, 50))
    both, none, one = answer([[0.25, 0.5, 0.25], [0.2, 0.2, 0.2], [0.1, 0.1, 0.8]], spec)
    assert [given["set"]["labels"] for given in (both, none, one)] == [[1, 2, 3], [], [3]]
    assert both["set"]["coverage"] == 0.9
    assert "decision" not in both


def test_an_interval_stands_around_the_value() -> None:
    (given,) = answer([[10.0]], replace(a_spec(), uncertainty=Conformal(0.8, 2.5, 50)))
    assert given["interval"] == {"low": 7.5, "high": 12.5, "coverage": 0.8}


def test_notes_stand_with_the_row_they_are_about() -> None:
    first, second = answer([[1.0], [2.0]], a_spec(), notes=[(), ("k: 'x' was never seen in training",)])
    assert "notes" not in first
    assert second["notes"] == ["k: 'x' was never seen in training"]
