"""Contributions add up to the difference from the mean score, and say what the model really does."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.contract.serving_spec import Baseline, ServingSpec, SpecFeature
from serin.errors import Refused, TooLarge, Unverified
from serin.serving.answer import answers
from serin.serving.rows.encode import Arrays, Encoded, encode
from serin.serving.runtime.explain import MAX_EXPLAINED_ROWS, Explained, explain
from serin.serving.runtime.model import LoadedModel
from serin.training.calibrate import baseline_of
from tests.serving.asking import World
from tests.training.exporting import Exported, a_contract_for, as_json_rows, export, hard_rows

FAMILIES = ("linear", "forest", "boosting")
TARGETS = {"worth": "regression", "approved": "classification", "grade": "classification"}
ROW = {"age": 30, "salary": 20.5, "owner": True, "education": "school"}


def a_table(rows: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(0)
    numbers = {name: random.normal(size=rows) for name in ("x", "y", "idle")}
    k = random.choice(np.array(["a", "b", "c"]), rows)
    worth = 3 * numbers["x"] * (k == "a") + numbers["y"] ** 2
    grade = np.select([worth < 0.3, worth < 1.5], ["low", "middle"], "high")
    said = {"k": k, "worth": worth, "approved": np.where(worth > 0.6, "yes", "no"), "grade": grade}
    return pd.DataFrame(numbers | said).astype(dict.fromkeys(("k", "approved", "grade"), "str"))


@cache
def exported(family: str, target: str) -> tuple[Exported, pd.DataFrame]:
    frame = a_table()[["k", "x", "y", "idle", target]]  # the category first: the graph has it last
    return export(frame, a_contract_for(frame, target, TARGETS[target]), family), frame


@cache
def explainable(family: str, target: str) -> tuple[LoadedModel, pd.DataFrame]:
    """A model that has rows to start from, and hard rows for it."""
    made, frame = exported(family, target)
    spec = replace(made.model.spec, baseline=baseline_of(frame, made.model.spec))
    return LoadedModel.load(made.onnx, spec.to_json()), hard_rows(made, frame.drop(columns=target), count=100)


def explained(model: LoadedModel, rows: list[dict[str, Any]]) -> tuple[Explained, np.ndarray[Any, Any]]:
    encoded = encode(rows, model.spec)
    scores = model.predict(encoded)
    return model.explain(encoded, scores), scores


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=8, deadline=None)
@given(places=st.lists(st.integers(0, 99), min_size=1, max_size=MAX_EXPLAINED_ROWS))
def test_contributions_add_up_to_the_score_that_is_answered(family: str, target: str, places: list[int]) -> None:
    model, rows = explainable(family, target)
    why, scores = explained(model, as_json_rows(rows.iloc[places]))
    of_class = scores[:, 1] if target == "approved" else scores.max(axis=1)
    size = np.maximum(1.0, np.abs(of_class))
    assert (np.abs(why.base + why.contributions.sum(axis=1) - of_class) <= 1e-4 * size).all()


def test_of_a_linear_model_a_contribution_is_weight_times_difference() -> None:
    model, rows = explainable("linear", "worth")
    assert model.usual is not None
    at = [feature.name for feature in model.spec.numeric].index("y")
    mean = float(model.usual.numeric[:, at].mean())
    row = {**as_json_rows(rows[:1])[0], "k": "c"}
    why, scores = explained(model, [{**row, "y": value} for value in (mean, mean + 1, mean + 3)])
    of_y = why.contributions[:, [feature.name for feature in model.spec.features].index("y")]
    weight = scores[1, 0] - scores[0, 0]
    np.testing.assert_allclose(of_y, [0.0, weight, 3 * weight], atol=0.05 * abs(weight))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("family", FAMILIES)
def test_it_starts_from_the_mean_score_of_the_rows_that_are_kept(family: str, target: str) -> None:
    model, rows = explainable(family, target)
    assert model.usual is not None
    usual = model.predict(Encoded(model.usual))
    why, scores = explained(model, as_json_rows(rows[:10]))
    places = {"approved": np.ones(10, dtype=int), "grade": scores.argmax(axis=1), "worth": np.zeros(10, dtype=int)}
    np.testing.assert_allclose(why.base, usual.mean(axis=0)[places[target]])
    assert why.rows == len(usual) == 64


def test_it_is_near_what_all_rows_and_many_paths_say() -> None:
    model, rows = explainable("boosting", "approved")
    assert model.usual is not None
    encoded = encode(as_json_rows(rows[:5]), model.spec)
    scores = model.predict(encoded)
    each = [
        explain(encoded, scores, model.spec, model.usual.part(row, row + 1), model.predict).contributions
        for row in range(model.usual.row_count)
    ]
    exact, found = np.mean(each, axis=0), model.explain(encoded, scores).contributions
    assert np.abs(found - exact).sum() <= 0.25 * np.abs(exact).sum()


def test_contributions_are_shapley_values_where_these_are_known() -> None:
    """Features that interact by twos each have half of what they do together: the walk backwards makes it exact."""
    names = ("u", "v", "w", "x", "y")
    spec = ServingSpec("m", "regression", "t", tuple(SpecFeature(name, "number") for name in names))
    values = np.array([2.0, 3.0, 5.0, 7.0, 11.0])

    def numbers(*rows: Any) -> Arrays:
        return Arrays(np.array(rows), np.zeros((len(rows), 0), dtype=np.int64))

    def run(rows: Encoded) -> np.ndarray[Any, Any]:
        return np.asarray(rows.numeric.sum(axis=1, keepdims=True) ** 2)

    row = Encoded(numbers(values))
    why = explain(row, run(row), spec, numbers(np.zeros(5)), run)
    assert (why.base.tolist(), why.rows) == ([0.0], 1)
    np.testing.assert_allclose(why.contributions, [values * values.sum()])
    both = explain(row, run(row), spec, numbers(np.zeros(5), -values), run)
    assert both.base.tolist() == [values.sum() ** 2 / 2]
    np.testing.assert_allclose(both.contributions, [values * values.sum() / 2])


def test_what_moves_nothing_is_left_out_and_has_exactly_nothing() -> None:
    model, rows = explainable("forest", "worth")
    encoded = encode(as_json_rows(rows[:20]), model.spec)
    scores = model.predict(encoded)

    def without_idle(mixed: Encoded) -> np.ndarray[Any, Any]:
        values = mixed.numeric.copy()
        values[:, [feature.name for feature in model.spec.numeric].index("idle")] = 0.0
        return model.predict(Encoded(Arrays(values, mixed.codes)))

    assert model.usual is not None
    why = explain(encoded, without_idle(encoded), model.spec, model.usual, without_idle)
    assert not why.contributions[:, [feature.name for feature in model.spec.features].index("idle")].any()
    for said in answers(scores, model.spec, prediction_id="p", explained=why):
        assert "idle" not in said["contributions"]
        assert all(said["contributions"].values())
        assert said["base_rows"] == 64


def test_a_version_from_before_explains_from_its_one_usual_row() -> None:
    model, rows = explainable("boosting", "approved")
    said = json.loads(model.spec.to_json())
    said["baseline"] = {"numeric": [0.1, -0.2, 0.0], "codes": [1]}
    before = LoadedModel.load(exported("boosting", "approved")[0].onnx, json.dumps(said).encode())
    assert before.usual is not None
    why, _ = explained(before, as_json_rows(rows[:3]))
    np.testing.assert_allclose(why.base, before.predict(Encoded(before.usual))[0, 1])
    assert why.rows == 1


def test_rows_that_are_not_as_wide_as_the_features_are_not_loaded() -> None:
    model, _ = explainable("boosting", "approved")
    for wrong in (Baseline(((1.0,),), ((0,),)), Baseline(((1.0,) * 3,) * 2, ((0,),))):
        with pytest.raises(Unverified, match="baseline"):
            LoadedModel.load(exported("boosting", "approved")[0].onnx, replace(model.spec, baseline=wrong).to_json())


def test_the_same_rows_get_the_same_explanation_whatever_stands_beside_them() -> None:
    model, rows = explainable("boosting", "grade")
    one, many = explained(model, as_json_rows(rows[:1]))[0], explained(model, as_json_rows(rows[:20]))[0]
    np.testing.assert_allclose(one.contributions[0], many.contributions[0], rtol=0, atol=1e-12)


def test_an_answer_is_explained_in_the_contracts_own_names(world: World) -> None:
    reply = world.ask("POST", "/models/cautious/predict?explain=true", {"rows": [ROW, {**ROW, "age": 70}]})
    for said in reply.body["predictions"]:
        assert said["contributions"].keys() <= {"age", "salary", "owner", "education"}
        assert said["base"] + sum(said["contributions"].values()) == pytest.approx(said["score"], abs=1e-9)


@pytest.mark.parametrize("asked", ["", "?explain=false"])
def test_nothing_is_explained_unasked(world: World, asked: str) -> None:
    (said,) = world.ask("POST", f"/models/cautious/predict{asked}", {"rows": [ROW]}).body["predictions"]
    assert {"set", "decision"} <= said.keys()
    assert "contributions" not in said


def test_a_capture_counts_the_rows_that_a_person_decides(world: World) -> None:
    rows = [{**ROW, "age": age} for age in range(18, 78, 4)]
    said = world.ask("POST", "/models/cautious/predict", {"rows": rows}).body["predictions"]
    unsure = [answer["decision"] for answer in said].count("review")
    assert 0 < unsure < len(rows)
    assert world.captured[-1]["unsure"] == unsure


@pytest.mark.parametrize(
    ("path", "rows", "status", "code", "says"),
    [
        ("/models/loans/predict?explain=true", 1, 422, "NOT_EXPLAINED", "serving: {explain: true}"),
        ("/models/cautious/predict?explain=true", MAX_EXPLAINED_ROWS + 1, 413, "TOO_LARGE", "at most 20 are explained"),
        ("/models/cautious/predict?explain=please", 1, 400, "BAD_REQUEST", "explain must be true or false"),
    ],
)
def test_what_cannot_be_explained_says_what_to_do(
    world: World, path: str, rows: int, status: int, code: str, says: str
) -> None:
    reply = world.ask("POST", path, {"rows": [ROW] * rows})
    assert (reply.status, reply.body["error"]["code"]) == (status, code)
    assert says in reply.body["error"]["message"]


def test_a_model_without_a_usual_row_and_too_many_rows_are_refused() -> None:
    model, rows = explainable("linear", "worth")
    encoded = encode(as_json_rows(rows), model.spec)
    with pytest.raises(TooLarge):
        model.explain(encoded, model.predict(encoded))
    plain = replace(model, spec=replace(model.spec, baseline=None))
    with pytest.raises(Refused):
        plain.explain(encoded, model.predict(encoded))
