"""The three examples learn, pass the gates of their contracts, and answer as scikit-learn does."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import binom

from serin.cli.examples.tables import diabetes, loans, tumours
from serin.contract.model import Contract
from serin.contract.serving_spec import label_text
from serin.data.storage import dump_table, load_columns, load_table
from serin.evaluation.holdout import Artifact
from serin.evaluation.judge import judge_version
from serin.serving.answer import answers
from serin.serving.rows.encode import encode, encode_columns
from serin.serving.runtime.model import LoadedModel
from serin.training.train import Trained, train
from tests.training.exporting import Exported, as_json_rows, export, hard_rows

MODELS = Path(__file__).parents[2] / "models"
TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "loans": lambda: loans(2_000),
    "tumours": tumours,
    "diabetes": diabetes,
}


def the_contract(name: str) -> Contract:
    return Contract.model_validate(yaml.safe_load((MODELS / name / "model.yaml").read_text()))


def the_table(name: str) -> pd.DataFrame:
    """An example's table as an accepted upload holds it."""
    contract, frame = the_contract(name), TABLES[name]()
    if contract.time:
        frame[contract.time] = pd.to_datetime(frame[contract.time]).astype("int64") / 1e9
    texts = [column for column, feature in contract.features.items() if not feature.is_numeric]
    return load_table(dump_table(frame.astype(dict.fromkeys(texts, "str"))))


@cache
def trained(name: str) -> Trained:
    """Trained as the contract says, but on the smallest budget."""
    contract = the_contract(name)
    quick = contract.training.model_copy(update={"folds": 2, "budget": 10})
    return train(the_table(name), contract.model_copy(update={"training": quick}))


@pytest.mark.parametrize("name", TABLES)
def test_an_example_passes_the_gates_of_its_contract(name: str) -> None:
    made, contract = trained(name), the_contract(name)
    verdict = judge_version(
        Artifact(made.judged_onnx, made.judged_spec.to_json()),
        Artifact(made.onnx, made.spec.to_json()),
        holdout_rows=made.holdout_rows,
        holdout_predictions=made.holdout_predictions,
        gates=contract.parsed_gates,
        metric=contract.metric,
    )
    assert [result.message for result in verdict.results if not result.passed] == []
    assert len(verdict.results) == 5 + len(contract.gates)


@pytest.mark.parametrize("name", TABLES)
def test_an_example_covers_the_truth_of_held_out_rows_as_often_as_it_promises(name: str) -> None:
    made, columns = trained(name), load_columns(trained(name).holdout_rows)
    model = LoadedModel.load(made.judged_onnx, made.judged_spec.to_json())
    given = answers(model.predict(encode_columns(columns, made.judged_spec)), made.judged_spec, prediction_id="p")
    truth = columns[made.spec.target]
    if made.spec.classes:
        hits = sum(text in map(label_text, answer["set"]["labels"]) for answer, text in zip(given, truth, strict=True))
    else:
        spans = [answer["interval"] for answer in given]
        hits = sum(span["low"] <= value <= span["high"] for span, value in zip(spans, truth, strict=True))
    low, high = binom.interval(0.99, len(truth), the_contract(name).serving.coverage)
    assert low <= hits <= high


@pytest.mark.parametrize("name", ["loans", "tumours"])
def test_an_examples_contributions_add_up(name: str) -> None:
    made, columns = trained(name), load_columns(trained(name).holdout_rows)
    model = LoadedModel.load(made.onnx, made.spec.to_json())
    encoded = encode_columns({column: values[:20] for column, values in columns.items()}, made.spec)
    scores = model.predict(encoded)
    for answer in answers(scores, made.spec, prediction_id="p", explained=model.explain(encoded, scores)):
        assert abs(answer["base"] + sum(answer["contributions"].values()) - answer["score"]) <= 1e-4


@pytest.mark.parametrize("family", ["linear", "forest", "boosting"])
@pytest.mark.parametrize("name", TABLES)
def test_answers_equal_scikit_learns_with_missing_and_unseen_values(name: str, family: str) -> None:
    contract, frame = the_contract(name), the_table(name)
    exported = export(frame, contract, family)
    rows = allowed(hard_rows(exported, frame[list(contract.features)], count=200), contract, frame)
    assert rows.isna().to_numpy().any()
    assert_answers_equal(exported, rows)


def allowed(rows: pd.DataFrame, contract: Contract, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows within what the contract accepts: whole numbers, within their bounds, missing only where that is allowed."""
    kept = rows.copy()
    for name, feature in contract.features.items():
        if feature.is_numeric:
            values = kept[name].round() if feature.type == "integer" else kept[name]
            kept[name] = values.clip(feature.min, feature.max if feature.max is not None else 1e9)
        if not feature.allows_missing:
            kept[name] = kept[name].fillna(frame[name].iloc[0])
    return kept


def assert_answers_equal(exported: Exported, rows: pd.DataFrame) -> None:
    spec, model = exported.model.spec, exported.model
    encoded = encode(as_json_rows(rows), spec)
    given = answers(model.predict(encoded), spec, prediction_id="p", notes=encoded.notes)
    scores = [answer["score"] for answer in given]
    if spec.classes:
        expected = exported.pipeline.predict_proba(rows)[:, spec.positive]
        assert [answer["prediction"] for answer in given] == exported.pipeline.predict(rows).tolist()
    else:
        expected = exported.pipeline.predict(rows)
    np.testing.assert_allclose(scores, expected, rtol=1e-9, atol=1e-12)
    unseen = [feature.name for feature in spec.categories if "never seen" in set(rows[feature.name])]
    noted = {note.partition(":")[0] for answer in given for note in answer.get("notes", [])}
    assert set(unseen) <= noted


def test_a_table_with_another_concept_fails_the_gates_of_a_model_of_the_first() -> None:
    """What stages drift in the demonstration does: the model of function 2 is no use under function 5."""
    made, contract = trained("loans"), the_contract("loans")
    other = loans(1_000, function=5, first=2_000).astype({"car": "str"})
    model = LoadedModel.load(made.onnx, made.spec.to_json())
    encoded = encode(as_json_rows(other[list(contract.features)]), made.spec)
    predicted = [answer["prediction"] for answer in answers(model.predict(encoded), made.spec, prediction_id="p")]
    assert (np.array(predicted) == other["approved"]).mean() < 0.7
