"""Every answer leaves one line: who was to answer, who did, what was read and said, and nothing not to be kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serin.contract.compile import compile_spec
from serin.contract.model import Contract
from serin.contract.serving_spec import CaptureSpec, ServingSpec, SpecFeature
from serin.serving.capture.recorder import MAX_LINE_BYTES
from serin.serving.rows.mask import CaptureMask, short_hash
from tests.builders import a_contract
from tests.serving.asking import NAN, TURNED, VERSION, World
from tests.serving.test_forms import FORMS, ROW, send

PREDICT = "/models/loans/predict"
AT = 1_767_225_600_000


def mask(world: World, **said: Any) -> None:
    """Change what the champion's spec says of captures."""
    key = f"models/loans/{VERSION}/spec.json"
    world.files[key] = json.dumps({**json.loads(world.files[key]), "capture": said}).encode()


def ask(world: World, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask, and give the lines that this left."""
    world.captured.clear()
    assert world.ask("POST", PREDICT, {"rows": rows}).status == 200
    return world.captured


def test_a_line_says_all_there_is_to_say(world: World) -> None:
    reply = world.ask("POST", PREDICT, {"rows": [{**ROW, "applicant": "A1"}]})
    scores = list(reply.body["predictions"][0]["probabilities"].values())
    (line,) = world.captured
    assert list(line.items()) == [
        ("serin", "capture"),
        ("v", 1),
        ("id", "p1"),
        ("at", AT),
        ("model", "loans"),
        ("version", VERSION),
        ("answered", VERSION),
        ("arm", "champion"),
        ("release", None),
        ("unit", short_hash("loans\0A1")),
        ("entity", True),
        ("ms", 0.0),
        ("cold", True),
        ("fault", None),
        ("unsure", 0),
        ("n", 1),
        ("rows", [[41, 50.5, True, "degree"]]),
        ("scores", [scores]),
    ]


def test_without_an_entity_the_unit_is_the_prediction(world: World) -> None:
    (line,) = ask(world, ROW)
    assert (line["unit"], line["entity"]) == (short_hash("loans\0p1"), False)


def test_only_what_loads_is_cold(world: World) -> None:
    colds = [ask(world, ROW)[0]["cold"] for _ in range(2)]
    world.try_out(TURNED, 0.0)
    assert [*colds, *(ask(world, ROW)[0]["cold"] for _ in range(2))] == [True, False, True, False]


def test_the_time_is_that_within_the_endpoint(world: World) -> None:
    world.seconds_a_look = 0.001
    (line,) = ask(world, ROW)
    assert 1.0 <= line["ms"] <= 10.0


def test_in_shadow_every_arm_is_the_champions_and_the_release_is_named(world: World) -> None:
    world.try_out(TURNED, 0.0)
    (line,) = ask(world, ROW)
    assert (line["arm"], line["version"], line["release"]) == ("champion", VERSION, "r1")


def test_the_challengers_answer_is_captured_with_its_own_scores(world: World) -> None:
    (alone,) = ask(world, ROW)
    scores = alone["scores"]
    world.try_out(TURNED)
    (line,) = ask(world, ROW)
    assert (line["arm"], line["version"], line["answered"]) == ("challenger", TURNED, TURNED)
    assert line["scores"] == [[float(score == min(scores[0])) for score in scores[0]]], "sure of the least likely label"


@pytest.mark.parametrize("form", FORMS)
def test_each_form_leaves_the_same_line(world: World, form: str) -> None:
    rows = [ROW, {"age": 18, "salary": None, "owner": None, "education": None}]
    for each in ("plain", form):
        assert send(world, each, rows)[0] == 200
    first, second = ({**line, "cold": None} for line in world.captured)
    assert first == second
    assert first["rows"] == [[41, 50.5, True, "degree"], [18, None, None, None]]


def test_a_category_is_kept_as_it_was_read(world: World) -> None:
    (line,) = ask(world, {**ROW, "education": " degree "}, {**ROW, "education": "never seen"}, {**ROW, "education": ""})
    assert [row[3] for row in line["rows"]] == ["degree", "never seen", None]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (PREDICT, b"{", 400),
        (PREDICT, {"rows": [{**ROW, "age": 17}]}, 422),
        (PREDICT, {"rows": [ROW] * 1001}, 413),
        ("/v2/models/loans/infer", {"inputs": []}, 400),
        ("/models/new/predict", {"rows": [ROW]}, 404),
    ],
)
def test_what_is_refused_is_not_captured(world: World, path: str, body: Any, status: int) -> None:
    assert world.ask("POST", path, body).status == status
    assert world.captured == []


def test_an_output_that_does_not_exist_is_refused_before_anything_is_captured(world: World) -> None:
    tensors = FORMS["v2"]([ROW])
    assert world.ask("POST", "/v2/models/loans/infer", {**tensors, "outputs": [{"name": "logits"}]}).status == 400
    assert world.captured == []


def test_a_champion_that_fails_is_captured_without_an_answer(world: World) -> None:
    world.champion = NAN
    assert world.ask("POST", PREDICT, {"rows": [ROW]}).status == 500
    (line,) = world.captured
    found = [line[key] for key in ("version", "answered", "arm", "fault", "n", "rows", "scores")]
    assert found == [NAN, None, "champion", "not_a_number", 1, [], []]


def test_at_most_a_hundred_rows_are_kept(world: World) -> None:
    (line,) = ask(world, *([ROW] * 250))
    assert (line["n"], len(line["rows"]), len(line["scores"])) == (250, 100, 100)
    assert world.ask("POST", "/models/loans/invocations", {"instances": [ROW] * 250}).status == 200
    assert (world.captured[-1]["n"], len(world.captured[-1]["rows"]), len(world.captured[-1]["scores"])) == (
        250,
        100,
        100,
    )


@pytest.mark.parametrize(("letters", "kept"), [(100, 100), (1_000, 57), (5_000, 11), (30_000, 1), (250_000, 0)])
def test_a_line_is_whole_within_the_64_kib_at_which_lambda_may_divide_it(world: World, letters: int, kept: int) -> None:
    sizes: list[int] = []
    write = world._capture
    world._capture = lambda line: sizes.append(len(line)) or write(line)  # type: ignore[func-returns-value, method-assign]
    world.endpoint = world.another_process()
    rows = [{**ROW, "education": "x" * letters}] * min(100, 1_000_000 // letters)
    (line,) = ask(world, *rows)
    assert sizes[0] <= MAX_LINE_BYTES < 2**16
    assert (line["n"], len(line["rows"])) == (len(rows), len(line["scores"]))
    assert world.reported == ([] if kept else ["CaptureLost TOO_LONG"])
    assert kept - 1 <= len(line["rows"]) <= kept


def test_masked_and_hashed_columns_are_not_kept_plain(world: World) -> None:
    mask(world, masked=["salary"], hashed=["education", "age"])
    lines = ask(world, ROW, {**ROW, "education": None})
    education, age = short_hash("loans\0education\0degree"), short_hash("loans\0age\x0041")
    assert lines[0]["rows"] == [[age, None, True, education], [age, None, True, None]]
    assert send(world, "csv", [ROW])[0] == 200
    assert world.captured[-1]["rows"] == lines[0]["rows"][:1]


def test_an_entity_that_is_a_feature_too_is_never_kept() -> None:
    features = (SpecFeature("who", "category"), SpecFeature("x", "number"))
    spec = ServingSpec("m", "regression", "y", features, entity="who", capture=CaptureSpec(hashed=("who",)))
    assert CaptureMask(spec).rows([(1.5, "A1")]) == [[None, 1.5]]


@pytest.mark.parametrize("kind", ["number", "category"])
def test_a_row_of_one_feature_is_a_row(kind: str) -> None:
    spec = ServingSpec("m", "regression", "y", (SpecFeature("x", kind),))
    assert [list(row) for row in CaptureMask(spec).rows([(1.5, "more", None)])] == [[1.5]]


def test_an_entity_is_captured_with_all_its_predictions_or_with_none(world: World) -> None:
    mask(world, share=0.5)
    kept = {
        entity: [len(ask(world, {**ROW, "applicant": entity})) for _ in range(3)]
        for entity in (f"A{number}" for number in range(60))
    }
    assert all(counts in ([0, 0, 0], [1, 1, 1]) for counts in kept.values())
    assert 15 <= sum(counts[0] for counts in kept.values()) <= 45
    world.later()
    mask(world, share=0.0)
    assert [line for entity in kept for line in ask(world, {**ROW, "applicant": entity})] == []


def test_a_capture_that_fails_is_counted_and_the_answer_arrives(world: World) -> None:
    def fail(line: bytes) -> None:
        raise BrokenPipeError("nobody reads")

    world._capture = fail  # type: ignore[method-assign]
    world.endpoint = world.another_process()
    for _ in range(3):
        assert world.ask("POST", PREDICT, {"rows": [ROW]}).status == 200
    assert world.reported == ["CaptureLost BrokenPipeError"] * 3
    assert world.endpoint.recorder is not None
    assert world.endpoint.recorder.lost == 3


def test_neither_does_a_report_that_fails_cost_the_answer(world: World) -> None:
    def fail(*_: object) -> None:
        raise BrokenPipeError("nobody reads")

    world._capture = world._report = fail  # type: ignore[method-assign, assignment]
    world.endpoint = world.another_process()
    assert json.loads(json.dumps(world.endpoint.predict("loans", json.dumps({"rows": [ROW]}).encode())))


def test_the_contract_says_what_is_kept() -> None:
    said = {"capture": {"share": "25%", "mask": ["salary"], "hash": ["age"]}}
    assert a_contract(serving=said).serving.capture.share == 0.25
    assert a_contract(serving={"capture": {"share": "100%"}}).serving.capture.share == 1.0
    assert a_contract().masked == ()
    with pytest.raises(ValueError, match="iq is no feature"):
        a_contract(serving={"capture": {"mask": ["iq"]}})


def test_what_is_sensitive_is_masked_where_the_contract_does_not_say_otherwise() -> None:
    features = {name: {"type": "number", "sensitive": name != "salary"} for name in ("age", "salary", "sex")}

    def masked(**capture: Any) -> tuple[str, ...]:
        contract = a_contract(features=features, serving={"capture": capture})
        stored = Contract.model_validate(contract.model_dump(mode="json"))
        spec = compile_spec(stored, values={}, missing_codes={}, classes=("no", "yes"))
        assert spec.capture.masked == contract.masked
        return contract.masked

    assert masked() == ("age", "sex")
    assert masked(hash=["sex"]) == ("age",)
    assert masked(mask=["salary"]) == ("salary",)
    assert masked(mask=[]) == (), "as contracts were stored that said nothing of it before"


def test_it_travels_in_the_spec_and_a_spec_from_before_keeps_everything() -> None:
    spec = ServingSpec("m", "regression", "y", (), capture=CaptureSpec(0.5, ("a",), ("b",)))
    assert ServingSpec.from_json(spec.to_json()) == spec
    before = {key: value for key, value in json.loads(spec.to_json()).items() if key != "capture"}
    assert ServingSpec.from_json(json.dumps(before).encode()).capture == CaptureSpec()
