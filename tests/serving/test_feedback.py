"""What turned out is checked against what the model can say, and leaves a line for each item, or nothing at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.serving.asking import TURNED, VERSION, World

PATH = "/models/loans/feedback"
AT = 1_767_225_600_000
GOOD = {"id": "1f0c86a2b3d4e5f6", "truth": "yes"}


def send(world: World, *items: Any, model: str = "loans") -> tuple[int, Any]:
    reply = world.ask("POST", f"/models/{model}/feedback", {"feedback": items})
    return reply.status, reply.body


def test_each_item_leaves_a_line(world: World) -> None:
    items = [
        GOOD,
        {**GOOD, "truth": "no", "row": 3},
        {**GOOD, "id": f"{GOOD['id']}-7"},
        {**GOOD, "id": "p1-0", "row": 0},
    ]
    assert send(world, *items) == (200, {"received": 4})
    assert list(world.captured[0].items()) == [
        ("serin", "feedback"),
        ("v", 1),
        ("at", AT),
        ("model", "loans"),
        ("id", GOOD["id"]),
        ("row", 0),
        ("truth", "yes"),
    ]
    found = [(line["id"], line["row"], line["truth"]) for line in world.captured[1:]]
    assert found == [(GOOD["id"], 3, "no"), (GOOD["id"], 7, "yes"), ("p1", 0, "yes")]


def test_of_a_regression_the_truth_is_a_number(world: World) -> None:
    assert send(world, {**GOOD, "truth": 3}, {**GOOD, "truth": -1.5}, model="worths")[0] == 200
    assert [line["truth"] for line in world.captured] == [3.0, -1.5]
    for truth in ("3", True, None, 1e39, 10**400, [1]):
        status, body = send(world, {**GOOD, "truth": truth}, model="worths")
        assert (status, body["error"]["problems"][0]["code"]) == (422, "TYPE")


@pytest.mark.parametrize(
    ("classes", "truth", "expected"),
    [
        ([1, 2], 2, 2),
        ([1, 2], "2", 2),
        ([1, 2], 2.0, 2),
        ([1, 2], 2.5, None),
        ([0, 1], True, None),
        ([False, True], True, True),
        ([False, True], "true", True),
        ([False, True], 1, None),
        (["no", "yes"], "maybe", None),
        (["no", "yes"], None, None),
        (["no", "yes"], ["yes"], None),
    ],
    ids=str,
)
def test_a_label_may_come_as_text_and_goes_on_as_the_model_says_it(
    world: World, classes: list[Any], truth: Any, expected: Any
) -> None:
    key = f"models/loans/{VERSION}/spec.json"
    world.files[key] = json.dumps({**json.loads(world.files[key]), "classes": classes, "positive": None}).encode()
    status, body = send(world, {**GOOD, "truth": truth})
    if expected is None:
        assert (status, body["error"]["problems"][0]["code"]) == (422, "LABEL")
        assert world.captured == []
    else:
        assert (status, [(type(line["truth"]), line["truth"]) for line in world.captured]) == (
            200,
            [(type(expected), expected)],
        )


def test_a_label_that_only_the_challenger_knows_is_one(world: World) -> None:
    key = f"models/loans/{TURNED}/spec.json"
    world.files[key] = json.dumps({**json.loads(world.files[key]), "classes": ["no", "later"]}).encode()
    assert send(world, {**GOOD, "truth": "later"})[0] == 422
    world.try_out(TURNED)
    assert send(world, {**GOOD, "truth": "later"}, GOOD)[0] == 200


@pytest.mark.parametrize(
    ("item", "field", "code"),
    [
        ({"truth": "yes"}, "id", "MISSING"),
        ({"id": "p1"}, "truth", "MISSING"),
        ({**GOOD, "id": 7}, "id", "ID"),
        ({**GOOD, "id": ""}, "id", "ID"),
        ({**GOOD, "id": "../loans"}, "id", "ID"),
        ({**GOOD, "id": "p1-1000"}, "id", "ID"),
        ({**GOOD, "id": "p1\n"}, "id", "ID"),
        ({**GOOD, "id": "\u0661"}, "id", "ID"),
        ({**GOOD, "id": "x" * 33}, "id", "ID"),
        ({**GOOD, "row": -1}, "row", "ROW"),
        ({**GOOD, "row": 1000}, "row", "ROW"),
        ({**GOOD, "row": True}, "row", "ROW"),
        ({**GOOD, "row": "0"}, "row", "ROW"),
        ({**GOOD, "id": "p1-3", "row": 0}, "row", "ROW"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_an_item_that_is_wrong_is_named_and_nothing_is_kept(
    world: World, item: dict[str, Any], field: str, code: str
) -> None:
    status, body = send(world, GOOD, item, GOOD)
    (problem,) = body["error"]["problems"]
    assert (status, problem["row"], problem["field"], problem["code"]) == (422, 1, field, code)
    assert body["error"]["message"].startswith(f"row 1, {field}: ")
    assert world.captured == []


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "not JSON"),
        (b"[]", 400, "at least one item"),
        ({"feedback": []}, 400, "at least one item"),
        ({"feedback": ["yes"]}, 400, "at least one item"),
        ({"feedback": [GOOD], "model": "x"}, 400, "'model' is not known here"),
        ({"feedback": [GOOD, {**GOOD, "label": "yes"}]}, 400, "'label' is not known here; item 1"),
        (b'{"feedback": [{"id": "p1", "truth": NaN}]}', 400, "NaN"),
        (b'{"feedback": [{"id": "p1", "id": "p2", "truth": "no"}]}', 400, "twice"),
        ({"feedback": [GOOD] * 1001}, 413, "1,001 items of feedback; at most 1,000"),
        ({"feedback": [{**GOOD, "truth": "x" * 2**20}]}, 413, "bytes"),
    ],
    ids=range(10),
)
def test_a_body_that_cannot_be_read_is_refused(world: World, body: Any, status: int, said: str) -> None:
    reply = world.ask("POST", PATH, body)
    assert (reply.status, world.captured) == (status, [])
    assert said in reply.body["error"]["message"]


def test_a_model_without_a_champion_takes_none(world: World) -> None:
    assert send(world, GOOD, model="new")[0] == 404


def test_a_server_that_keeps_nothing_says_so(world: World) -> None:
    world.endpoint = type(world.endpoint)(world.endpoint.router, world.endpoint.new_id)
    status, body = send(world, GOOD)
    assert (status, body["error"]["code"]) == (404, "NO_FEEDBACK_KEPT")


def test_what_cannot_be_kept_is_not_taken(world: World) -> None:
    def fail(line: bytes) -> None:
        raise BrokenPipeError("nobody reads")

    world._capture = fail  # type: ignore[method-assign]
    world.endpoint = world.another_process()
    reply = world.ask("POST", PATH, {"feedback": [GOOD]})
    assert (reply.status, reply.headers) == (503, {"Retry-After": "5"})
    assert "send it again" in reply.body["error"]["message"]


def test_feedback_leaves_predictions_as_they_are(world: World) -> None:
    assert send(world, *[GOOD] * 1000)[0] == 200
    assert len(world.captured) == 1000
    assert world.ask("GET", "/models/loans").status == 200
