"""A challenger answers for its share of the entities, the same ones as the share grows, and never fails a request."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.cli.faulty import answering_nan_above
from serin.contract.serving_spec import ServingSpec
from serin.errors import Unavailable
from serin.registry.records import Challenger
from serin.serving.routing.router import RETRY_SECONDS
from serin.serving.routing.split_and_lease import bucket
from serin.serving.routing.trial import MOST_FAILURES, Trial
from tests.serving.asking import NAN, RAISES, TURNED, VERSION, World
from tests.serving.test_forms import ROW, send, tensors

PREDICT, INFER = "/models/loans/predict", "/v2/models/loans/infer"
WRONG = {NAN: "not_a_number", RAISES: "raised"}


def ask(world: World, *entities: Any) -> int:
    """Ask for rows of these entities; give the version that answered."""
    reply = world.ask("POST", PREDICT, {"rows": [{**ROW, "applicant": entity} for entity in entities]})
    assert reply.status == 200, reply.body
    answered: int = reply.body["version"]
    return answered


def a_trial(weight: float, lease_until: str = "2026-01-01T01:00:00+00:00") -> Trial:
    return Trial.begin(Challenger(2, {}, "r1", weight, lease_until), "salt", None)


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_who_saw_the_challenger_goes_on_seeing_it_as_its_share_grows(key: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert a_trial(large).takes(key, 0) or not a_trial(small).takes(key, 0)
    assert 0 <= bucket("salt", key) < 1
    assert a_trial(1.0).takes(key, 0)
    assert not a_trial(0.0).takes(key, 0)


def test_the_share_is_what_the_weight_says_and_another_salt_splits_anew() -> None:
    keys = [f"A{number}" for number in range(4000)]
    one, other = ({key for key in keys if bucket(salt, key) < 0.25} for salt in ("one", "other"))
    assert abs(len(one) - 1000) < 110  # four standard deviations
    assert abs(len(one & other) - 250) < 62


@pytest.mark.parametrize(
    ("lease_until", "is_asked"),
    [("2026-01-01T00:00:01+00:00", True), ("2026-01-01T00:00:00+00:00", False), ("", False), ("soon", False)],
)
def test_a_weight_whose_lease_ran_out_counts_as_nothing(lease_until: str, is_asked: bool) -> None:
    assert a_trial(1.0, lease_until).takes("A1", 1_767_225_600.0) is is_asked


def test_a_lease_runs_out_between_two_readings_of_the_route(world: World) -> None:
    ask(world, "A1")
    world.try_out(TURNED, lease=2.0)
    assert ask(world, "A1") == VERSION, "the lease counts from the writing, three seconds before the reading"
    world.try_out(TURNED, lease=7.0)
    assert ask(world, "A1") == TURNED
    world.later(2.5)
    assert ask(world, "A1") == VERSION


def test_one_entity_is_answered_by_one_version_however_it_is_written(world: World) -> None:
    world.try_out(TURNED, 0.5)
    for entity in (17, 2**53 + 1, "A1", "é", 0.5):
        answered = {ask(world, entity) for _ in range(3)} | {ask(world, entity, entity)}
        said = {"inputs": tensors([ROW]), "parameters": {"entity": entity}}
        answered.add(int(world.ask("POST", INFER, said).body["model_version"]))
        text = str(entity) if not isinstance(entity, str) else entity
        answered.add(ask(world, text))
        reply = world.ask("POST", "/models/loans/invocations", {"instances": [{**ROW, "applicant": entity}]})
        answered.add(int(reply.headers["X-Serin-Version"]))
        assert len(answered) == 1, entity


def test_a_table_writes_an_entity_as_json_does(world: World) -> None:
    world.ask("POST", PREDICT, {"rows": [{**ROW, "applicant": 7}]})
    written = pd.DataFrame([{**ROW, "applicant": 7}, {**ROW, "applicant": None}])[:1].to_csv(index=False)
    assert "7.0" in written
    world.ask("POST", "/models/loans/invocations", written, content_type="text/csv")
    assert len({line["unit"] for line in world.captured}) == 1


def test_both_versions_answer_when_half_is_on_trial(world: World) -> None:
    world.try_out(TURNED, 0.5)
    answered = [ask(world, f"A{number}") for number in range(40)]
    assert {VERSION, TURNED} == set(answered)
    world.try_out(TURNED, 0.75)
    later = [ask(world, f"A{number}") for number in range(40)]
    assert all(now == TURNED for before, now in zip(answered, later, strict=True) if before == TURNED)


def test_rows_of_several_entities_are_not_split(world: World) -> None:
    world.try_out(TURNED)
    assert ask(world, "A1", "A1") == TURNED
    assert ask(world, "A1", "A2") == ask(world, "A1", None) == VERSION
    assert [line["arm"] for line in world.captured] == ["challenger", "direct", "direct"]


def test_without_an_entity_the_id_of_the_prediction_is_split(world: World) -> None:
    share = bucket("salt", "p1")
    for weight, version in ((share, VERSION), (share + 1e-9, TURNED)):
        world.try_out(TURNED, weight)
        assert ask(world, None) == version


def test_an_entity_of_v2_is_text_or_a_number(world: World) -> None:
    for entity in ([], {}, ""):
        reply = world.ask("POST", INFER, {"inputs": tensors([ROW]), "parameters": {"entity": entity}})
        assert (reply.status, reply.body) == (400, {"error": "entity in parameters must be text or a number"})


def test_the_champions_answers_are_the_same_to_the_byte_with_and_without_a_challenger(world: World) -> None:
    rows = [ROW, {**ROW, "education": "never seen"}]
    alone = {form: json.dumps(send(world, form, rows)) for form in ("plain", "v2", "csv")}
    for version, weight in ((TURNED, 0.0), (TURNED, 1e-12), (NAN, 1.0), (RAISES, 1.0), (99, 1.0)):
        world.files.setdefault("models/loans/99/model.onnx", b"no graph")
        world.files.setdefault("models/loans/99/spec.json", b"no spec")
        world.try_out(version, weight)
        assert {form: json.dumps(send(world, form, rows)) for form in alone} == alone


ELDER = {**ROW, "age": 90}
LESS, STRAYS = (
    7,
    8,
)  # versions: the first says less than the champion, the second gives no number for most rows, but for this one


@pytest.fixture
def rich(model_files: dict[str, bytes]) -> World:
    """A world whose champion explains, and says who decides."""
    files = dict(model_files)
    for name in ("model.onnx", "spec.json"):
        files[f"models/loans/{LESS}/{name}"] = files[f"models/loans/{VERSION}/{name}"]
        files[f"models/loans/{VERSION}/{name}"] = files[f"models/cautious/{VERSION}/{name}"]
        files[f"models/loans/{STRAYS}/{name}"] = files[f"models/cautious/{VERSION}/{name}"]
    onnx = files[f"models/loans/{STRAYS}/model.onnx"]
    files[f"models/loans/{STRAYS}/model.onnx"] = answering_nan_above(onnx, threshold=0.2)
    return World(files)


EXPLAIN = PREDICT + "?explain=true"
DECISION = {"inputs": tensors([ROW]), "outputs": [{"name": "decision"}]}


def test_a_challenger_that_says_less_than_is_asked_for_is_answered_for(rich: World) -> None:
    alone = [rich.ask("POST", INFER, DECISION).body["outputs"], rich.ask("POST", EXPLAIN, {"rows": [ROW]}).body]
    rich.try_out(LESS)
    assert rich.ask("POST", INFER, DECISION).body["outputs"] == alone[0]
    assert rich.ask("POST", EXPLAIN, {"rows": [ROW]}).body == alone[1]
    assert ask(rich, "A1") == LESS, "where no more is asked for, it answers"
    said = [(line["arm"], line["answered"], line["fault"]) for line in rich.captured[2:]]
    assert said == [("challenger", VERSION, "raised")] * 2 + [("challenger", LESS, None)]


def test_a_challenger_that_cannot_explain_its_answer_is_answered_for_and_given_up(rich: World) -> None:
    alone = rich.ask("POST", EXPLAIN, {"rows": [ELDER]}).body
    rich.try_out(STRAYS)
    assert rich.ask("POST", PREDICT, {"rows": [ELDER]}).body["version"] == STRAYS, "the answer itself is a number"
    for _ in range(4):
        assert rich.ask("POST", EXPLAIN, {"rows": [ELDER]}).body == alone
    assert [line["fault"] for line in rich.captured[2:]] == ["not_a_number"] * 4
    assert len(rich.reported) == 3, "after the third it is not asked again"


def test_a_champion_that_cannot_explain_its_answer_is_a_500_that_is_captured(rich: World) -> None:
    rich.champion = STRAYS
    reply = rich.ask("POST", EXPLAIN, {"rows": [ELDER]})
    assert (reply.status, reply.body["error"]["code"]) == (500, "MODEL_OUTPUT")
    assert [(line["answered"], line["fault"]) for line in rich.captured] == [(None, "not_a_number")]


@pytest.mark.parametrize(("champion", "challenger"), [(0.3, 1.0), (1.0, 0.3)])
def test_both_arms_are_captured_by_one_share_whoever_answers(world: World, champion: float, challenger: float) -> None:
    for version, share in ((VERSION, champion), (RAISES, challenger), (TURNED, challenger)):
        key = f"models/loans/{version}/spec.json"
        spec = ServingSpec.from_json(world.files[key])
        world.files[key] = replace(spec, capture=replace(spec.capture, share=share)).to_json()
    kept = []
    for version in (TURNED, RAISES):
        world.try_out(version, 0.5)
        world.captured.clear()
        for number in range(100):
            ask(world, f"A{number}")
        kept.append({line["unit"] for line in world.captured})
    assert kept[0] == kept[1]
    assert 15 <= len(kept[0]) <= 45


@pytest.mark.parametrize("weight", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("champion", [VERSION, TURNED], ids=["on trial", "watched"])
def test_whoever_the_champion_answers_gets_the_same_bytes_as_from_it_alone(
    world: World, weight: float, champion: int
) -> None:
    world.champion = champion
    bodies = [{"rows": [{**ROW, "age": 20 + number, "applicant": f"A{number}"}]} for number in range(60)]
    alone = [json.dumps(world.ask("POST", PREDICT, body).body) for body in bodies]
    world.try_out(VERSION + TURNED - champion, weight)
    replies = [world.ask("POST", PREDICT, body).body for body in bodies]
    same = [json.dumps(reply) == before for reply, before in zip(replies, alone, strict=True)]
    assert same == [reply["version"] == champion for reply in replies]
    assert all(same) == (weight == 0.0)
    assert any(same)


@pytest.mark.parametrize("version", WRONG)
def test_a_challenger_that_fails_is_answered_for_by_the_champion_and_given_up_after_three_times(
    world: World, version: int
) -> None:
    world.try_out(version)
    assert [ask(world, "A1") for _ in range(5)] == [VERSION] * 5
    assert [line["fault"] for line in world.captured] == [WRONG[version]] * 5
    assert {(line["arm"], line["version"], line["answered"]) for line in world.captured} == {
        ("challenger", version, VERSION)
    }
    assert world.reported == [f"ChallengerFault {WRONG[version]}"] * MOST_FAILURES, "asked no more after the third"
    world.try_out(version, 0.9)
    ask(world, "A1")
    assert len(world.reported) == MOST_FAILURES, "another weight makes it no other challenger"
    world.try_out(TURNED)
    assert ask(world, "A1") == TURNED, "another challenger is asked"
    assert world.captured[-1]["fault"] is None


def test_a_new_release_of_the_same_version_is_asked_again(world: World) -> None:
    for release in ("r1", "r2"):
        world.try_out(NAN, release=release)
        for _ in range(4):
            ask(world, "A1")
    assert len(world.reported) == 2 * MOST_FAILURES


def test_only_failures_in_a_row_count(world: World) -> None:
    world.try_out(TURNED)
    ask(world, "A1")
    for seconds in (0.3, 0.3, 0.0, 0.3, 0.3, 0.0):
        world.seconds_a_look = seconds
        assert ask(world, "A1") == (VERSION if seconds else TURNED)
    assert [line["fault"] for line in world.captured[1:]] == ["late", "late", None] * 2


def test_a_challenger_that_refuses_what_the_champion_takes_is_at_fault(world: World) -> None:
    spec = json.loads(world.files[f"models/loans/{TURNED}/spec.json"])
    spec["features"][0]["max"] = 30
    world.files[f"models/loans/{TURNED}/spec.json"] = json.dumps(spec).encode()
    world.try_out(TURNED)
    assert ask(world, "A1") == VERSION
    assert world.captured[-1]["fault"] == "raised"


@pytest.mark.parametrize("damage", ["gone", "other bytes", "no graph"])
def test_a_challenger_that_cannot_be_loaded_is_at_fault_and_tried_three_times(world: World, damage: str) -> None:
    key = f"models/loans/{TURNED}/model.onnx"
    sound = world.files[key]
    if damage == "no graph":
        world.files[key] = b"no graph"
    world.try_out(TURNED)
    if damage == "gone":
        del world.files[key]
    elif damage == "other bytes":
        world.files[key] += b" "
    for _ in range(MOST_FAILURES):
        assert ask(world, "A1") == VERSION
        world.later()
    assert {(line["arm"], line["fault"]) for line in world.captured} == {("challenger", "raised")}
    assert world.reported == ["ChallengerFault raised"] * MOST_FAILURES
    assert not world.ask("POST", PREDICT, {"rows": [ROW]}).body.get("degraded")
    if damage != "no graph":
        world.files[key] = sound
        world.later()
        assert ask(world, "A1") == VERSION, "it was given up"
        fresh = world.another_process().predict("loans", json.dumps({"rows": [ROW]}).encode())
        assert fresh["version"] == TURNED, "and is not in another process"


def test_a_challenger_out_of_reach_is_nobodys_fault_and_its_arms_stay_comparable(world: World) -> None:
    def file(key: str, read: Any = world._file) -> bytes:
        if f"/{TURNED}/" in key and not is_back:
            looked.append(key)
            raise Unavailable("the bucket is out of reach")
        content: bytes = read(key)
        return content

    looked, is_back = list[str](), False
    world._file = file  # type: ignore[method-assign]
    world.endpoint = world.another_process()
    world.try_out(TURNED, 0.5)
    for _ in range(2 * MOST_FAILURES):
        assert {ask(world, f"A{number}") for number in range(9)} == {VERSION}
        world.later()
    assert len(looked) == 1, "each look holds a request up"
    assert {(line["arm"], line["release"], line["fault"]) for line in world.captured} == {("champion", None, None)}
    assert world.ask("POST", PREDICT, {"rows": [ROW]}).body["degraded"]
    assert world.reported == ["Degraded UNAVAILABLE"]
    is_back = True
    world.later(RETRY_SECONDS)
    assert {ask(world, f"A{number}") for number in range(9)} == {VERSION, TURNED}
    assert world.captured[-1]["release"] == "r1"


def test_a_challenger_too_large_to_stand_beside_its_champion_is_at_fault(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serin.serving.routing.router.MEMORY_BYTES", 300_000)
    world.try_out(TURNED)
    assert ask(world, "A1") == VERSION
    assert (world.captured[-1]["arm"], world.captured[-1]["fault"]) == ("challenger", "raised")


def test_what_is_said_of_a_challengers_fault_quotes_no_value(world: World) -> None:
    told: list[str] = []
    world._report = lambda *said: told.append(" ".join(said))  # type: ignore[method-assign]
    world.endpoint = world.another_process()
    spec = json.loads(world.files[f"models/loans/{TURNED}/spec.json"])
    spec["features"][1]["max"] = 30
    world.files[f"models/loans/{TURNED}/spec.json"] = json.dumps(spec).encode()
    world.try_out(TURNED)
    assert world.ask("POST", PREDICT, {"rows": [{**ROW, "salary": 98765.4}]}).body["version"] == VERSION
    (said,) = told
    assert "InvalidRows INVALID_ROWS at " in said
    assert "98765" not in said


def test_it_is_loaded_once_it_can_be(world: World) -> None:
    key = f"models/loans/{TURNED}/model.onnx"
    world.try_out(TURNED)
    sound = world.files.pop(key)
    assert ask(world, "A1") == VERSION
    world.files[key] = sound
    world.later()
    assert ask(world, "A1") == TURNED
