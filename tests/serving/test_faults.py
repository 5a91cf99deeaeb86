"""The faults that the endpoint must survive, each with its status, its code and its body."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from serin.errors import Unavailable
from serin.serving.rows.body import MAX_BODY_BYTES
from tests.serving.asking import NAN, RAISES, TURNED, VERSION, World
from tests.serving.test_forms import FORMS, ROW, send

PREDICT = "/models/loans/predict"


def refused(world: World, body: Any, path: str = PREDICT) -> tuple[int, str, dict[str, Any]]:
    """Send what is to be refused: the status, the code and the error's body, which is JSON whatever was sent."""
    reply = world.ask("POST", path, body)
    said = json.loads(json.dumps(reply.body, allow_nan=False))
    assert list(said) == ["error"]
    assert said["error"]["message"]
    return reply.status, said["error"]["code"], said["error"]


def row_with(field: str, text: str) -> bytes:
    """A body in which one value is written as given, whether JSON or not."""
    return json.dumps({"rows": [ROW | {field: "HERE"}]}).replace('"HERE"', text).encode()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_a_number_that_is_not_finite_is_a_400(world: World, text: str) -> None:
    status, code, error = refused(world, row_with("salary", text))
    assert (status, code) == (400, "NON_FINITE")
    assert text in error["message"]
    assert "salary" in error["message"], "it names the field"


def test_it_is_named_in_a_tensor_too_and_where_there_is_no_field_the_body_is(world: World) -> None:
    tensor = b'{"inputs": [{"name": "salary", "shape": [1], "datatype": "FP64", "data": [NaN]}]}'
    assert "salary: NaN" in world.ask("POST", "/v2/models/loans/infer", tensor).body["error"]
    for body in (b"NaN", b"[1e999]", b'{"rows": [NaN, }'):
        assert refused(world, body)[1] == "NON_FINITE"


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"rows": [ROW]}).replace('"age": 41', '"age": 41, "age": 42').encode(),
        row_with("salary", "[" * 5000 + "]" * 5000),
        row_with("salary", "9" * 5000),
    ],
    ids=["a key twice", "depth 5,000", "5,000 digits"],
)
def test_json_that_parsers_trip_over_is_a_400(world: World, body: bytes) -> None:
    assert refused(world, body)[:2] == (400, "BAD_REQUEST")


@pytest.mark.parametrize("place", ["a field's name", "a category", "an entity", "an id"])
def test_half_of_a_character_is_a_400(world: World, place: str) -> None:
    row = {
        "a field's name": {**ROW, "\ud800": 1},
        "a category": {**ROW, "education": "\ud800"},
        "an entity": {**ROW, "applicant": "a\udfff"},
    }.get(place, ROW)
    assert refused(world, {"rows": [row]} if row != ROW else {"rows": [row], "id": "\ud800"})[:2] == (
        400,
        "BAD_REQUEST",
    )
    tensors = [{"name": "age", "shape": [1], "datatype": "INT64", "data": [41]}]
    assert "\\ud800" in world.ask("POST", "/v2/models/loans/infer", {"inputs": tensors, "id": "\ud800"}).body["error"]
    assert world.reported == []


def test_a_whole_character_is_none_however_it_is_escaped(world: World) -> None:
    assert (
        world.ask("POST", PREDICT, b'{"rows": [%s]}' % json.dumps({**ROW, "education": "\U0001f424"}).encode()).status
        == 200
    )


@pytest.mark.parametrize(
    ("change", "field", "code", "allowed"),
    [
        ({"age": None}, "age", "MISSING", "required"),
        ({"iq": 1}, "iq", "UNKNOWN_FIELD", "the model takes age, salary, owner, education"),
        ({"age": "41"}, "age", "TYPE", "a number"),
        ({"owner": 1}, "owner", "TYPE", "true or false"),
        ({"salary": 1e39}, "salary", "RANGE", "to 3.4e+38"),
        ({"age": 101}, "age", "RANGE", "from 18 to 100"),
    ],
)
def test_a_row_that_breaks_the_contract_is_a_422_with_the_fields_path(
    world: World, change: dict[str, Any], field: str, code: str, allowed: str
) -> None:
    status, said, error = refused(world, {"rows": [ROW, ROW | change]})
    assert (status, said) == (422, "INVALID_ROWS")
    (problem,) = error["problems"]
    assert (problem["row"], problem["field"], problem["code"]) == (1, field, code)
    assert allowed in problem["message"]


@pytest.mark.parametrize(
    ("body", "limit"), [(b" " * (2**20 + 1), "1,048,576"), ({"rows": [ROW] * 1001}, "1,000")], ids=["bytes", "rows"]
)
def test_too_much_is_a_413_with_the_limit(world: World, body: Any, limit: str) -> None:
    status, code, error = refused(world, body)
    assert (status, code) == (413, "TOO_LARGE")
    assert f"at most {limit}" in error["message"]


@pytest.mark.parametrize("version", [NAN, RAISES])
@pytest.mark.parametrize("form", ["plain", "v2", "csv"])
def test_a_champion_that_gives_no_number_is_a_500_and_valid_json(world: World, version: int, form: str) -> None:
    world.champion = version
    status, body = send(world, form, [ROW])
    assert status == 500
    assert form == "v2" or body["error"]["code"] == "MODEL_OUTPUT"
    assert body["error"]
    assert world.reported == ["NoAnswer MODEL_OUTPUT"]


@pytest.mark.parametrize("version", [NAN, RAISES])
@pytest.mark.parametrize("form", ["plain", "v2", "csv"])
def test_where_the_challenger_fails_the_champion_answers(world: World, version: int, form: str) -> None:
    alone = send(world, form, [ROW])
    world.try_out(version)
    assert send(world, form, [ROW]) == alone
    assert (alone[0], world.captured[-1]["arm"], world.captured[-1]["answered"]) == (200, "challenger", VERSION)


def test_where_both_fail_it_is_the_champions_500(world: World) -> None:
    world.champion = RAISES
    world.try_out(NAN)
    assert refused(world, {"rows": [ROW]})[:2] == (500, "MODEL_OUTPUT")
    line = world.captured[-1]
    assert (line["version"], line["answered"], line["fault"]) == (NAN, None, "not_a_number")


def answered(world: World) -> int:
    reply = world.ask("POST", PREDICT, {"rows": [ROW]})
    assert reply.status == 200
    version: int = reply.body["version"]
    return version


@pytest.mark.parametrize("seconds", [5.0, 600.0], ids=["warm", "slept ten minutes"])
def test_after_a_rollback_the_other_champion_answers_first_thing(world: World, seconds: float) -> None:
    world.champion = TURNED
    assert answered(world) == TURNED
    world.champion = VERSION
    world.later(seconds)
    assert answered(world) == VERSION


def test_out_of_reach_and_cold_it_is_a_503_that_says_when_to_try_again(world: World) -> None:
    world.error = Unavailable("the table is out of reach")
    reply = world.ask("POST", PREDICT, {"rows": [ROW]})
    assert (reply.status, reply.headers) == (503, {"Retry-After": "5"})
    assert reply.body == {"error": {"code": "UNAVAILABLE", "message": "the table is out of reach"}}


def test_out_of_reach_and_warm_the_old_champion_answers_degraded_and_the_challenger_is_not_asked(world: World) -> None:
    world.try_out(TURNED)
    assert answered(world) == TURNED
    world.error = Unavailable("the table is out of reach")
    world.later()
    reply = world.ask("POST", PREDICT, {"rows": [ROW]})
    assert (reply.status, reply.body["version"], reply.body["degraded"]) == (200, VERSION, True)
    line = world.captured[-1]
    assert (line["arm"], line["release"]) == ("champion", None), "it is no evidence for either version"
    world.error = None
    world.later()
    assert answered(world) == TURNED, "the trial goes on where it was"


def test_whatever_goes_wrong_with_a_newer_route_the_old_champion_answers(world: World) -> None:
    answered(world)
    world.error = ValueError("a row that cannot be read: 7")
    world.later()
    assert answered(world) == VERSION
    assert world.reported == ["Degraded UNEXPECTED"]
    with pytest.raises(ValueError, match="cannot be read"):
        world.another_process().predict("loans", b"{}")


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
def test_an_answer_does_not_wait_for_the_word_about_it(world: World, is_known: bool) -> None:
    def fail(*_: str) -> None:
        raise OSError("the log is full")

    world._report = fail  # type: ignore[method-assign]
    world.error = Unavailable("out of reach") if is_known else ValueError("a defect")
    assert world.ask("POST", PREDICT, {"rows": [ROW]}).status == (503 if is_known else 500)


@pytest.mark.parametrize("entity", [[1], {"id": 1}, []])
@pytest.mark.parametrize("path", [PREDICT, "/models/loans/invocations"])
def test_an_entity_that_is_neither_text_nor_number_is_refused_with_its_field(
    world: World, path: str, entity: Any
) -> None:
    rows = [ROW, {**ROW, "applicant": entity}]
    status, code, error = refused(world, {"rows" if path == PREDICT else "instances": rows}, path)
    assert (status, code) == (422, "INVALID_ROWS")
    assert [(each["row"], each["field"]) for each in error["problems"]] == [(1, "applicant")]


@pytest.mark.parametrize("name", ["../loans", "a#b", "x" * 2049, "a\r\nb", "%2e%2e", "Loans", ""])
@pytest.mark.parametrize("ask", ["describe", "predict"])
def test_a_name_that_no_model_has_is_a_404_and_reads_nothing(world: World, name: str, ask: str) -> None:
    world.error = AssertionError("it must not be looked up")
    call: Callable[[str], Any] = (
        world.endpoint.describe if ask == "describe" else lambda model: world.endpoint.predict(model, b"{}")
    )
    with pytest.raises(Exception) as caught:  # noqa: PT011  # its code is looked at
        call(name)
    assert getattr(caught.value, "code", None) == "UNKNOWN_MODEL"
    assert "\r" not in str(caught.value)


LARGEST = {
    "not JSON": b"[" * MAX_BODY_BYTES,
    "not UTF-8": b'{"rows": [{"education": "' + b"\xff" * (MAX_BODY_BYTES - 30),
    "one long text": b'{"rows": [{"age": "' + b"9" * (MAX_BODY_BYTES - 30) + b'"}]}',
    "many rows": b'{"rows": [' + b",".join([b"{}"] * 300_000) + b"]}",
    "many fields": b'{"rows": [{' + b",".join(b'"f%d":1' % number for number in range(90_000)) + b"}]}",
    "too large": b" " * (MAX_BODY_BYTES + 1),
}


@pytest.mark.parametrize("kind", LARGEST)
def test_a_flood_of_the_largest_invalid_bodies_never_reaches_the_model_and_valid_traffic_holds(
    world: World, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = send(world, "plain", [ROW])
    with monkeypatch.context() as patch:
        patch.setattr(type(world.endpoint.router.serving("loans").model), "predict", lambda *_: pytest.fail("asked"))
        for _ in range(3):
            assert refused(world, LARGEST[kind])[0] in (400, 413, 422)
    assert send(world, "plain", [ROW]) == expected
    assert len(world.captured) == 2


def test_with_the_capture_path_down_every_form_still_answers(world: World) -> None:
    def fail(line: bytes) -> None:
        raise BlockingIOError("the pipe is full")

    world._capture = fail  # type: ignore[method-assign]
    world.endpoint = world.another_process()
    assert {form: send(world, form, [ROW])[0] for form in FORMS} == dict.fromkeys(FORMS, 200)
    assert world.endpoint.recorder is not None
    assert world.endpoint.recorder.lost == len(FORMS)
