"""The same rows give the same answers through each form, and what is refused is refused in each."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serin.errors import Unavailable
from serin.serving.http.protocols.v2 import FEATURE_DATATYPES
from serin.serving.rows.body import MAX_BODY_BYTES
from tests.serving.asking import FEATURES, World

Row = dict[str, Any]
NAMES = list(FEATURES)
ROW: Row = {"age": 41, "salary": 50.5, "owner": True, "education": "degree"}
URL = {"plain": "/models/{}/predict", "v2": "/v2/models/{}/infer"}


def as_csv(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(NAMES)
    spelled = {True: "true", False: "false"}
    for row in rows:
        writer.writerow([spelled[value] if isinstance(value, bool) else value for value in map(row.get, NAMES)])
    return text.getvalue()


def tensors(rows: list[Row], *, nested: bool = False) -> list[Row]:
    return [
        {
            "name": name,
            "datatype": FEATURE_DATATYPES[FEATURES[name]["type"]],
            "shape": [len(rows), 1] if nested else [len(rows)],
            "data": [[row[name]] if nested else row[name] for row in rows],
        }
        for name in NAMES
    ]


# Each form: how rows are written in it.
FORMS: dict[str, Callable[[list[Row]], Any]] = {
    "plain": lambda rows: {"rows": rows},
    "v2": lambda rows: {"inputs": tensors(rows)},
    "v2, nested": lambda rows: {"inputs": tensors(rows, nested=True)},
    "dataframe_records": lambda rows: {"dataframe_records": rows},
    "dataframe_split": lambda rows: {
        "dataframe_split": {"columns": NAMES[::-1], "data": [[row[name] for name in NAMES[::-1]] for row in rows]}
    },
    "instances": lambda rows: {"instances": rows},
    "instances, lists": lambda rows: {"instances": [[row[name] for name in NAMES] for row in rows]},
    "inputs, lists": lambda rows: {"inputs": [[row[name] for name in NAMES] for row in rows]},
    "inputs, columns": lambda rows: {"inputs": {name: [row[name] for row in rows] for name in NAMES}},
    "inputs, nested": lambda rows: {"inputs": {name: [[row[name]] for row in rows] for name in NAMES}},
    "csv": as_csv,
}


def send(world: World, form: str, rows: list[Row], model: str = "loans") -> tuple[int, Any]:
    url = URL.get(form.partition(",")[0], "/models/{}/invocations").format(model)
    kind = "text/csv; charset=utf-8" if form == "csv" else "application/json"
    reply = world.ask("POST", url, FORMS[form](rows), content_type=kind)
    return reply.status, json.loads(json.dumps(reply.body, allow_nan=False))


def labels(form: str, body: Any) -> list[Any]:
    if form == "plain":
        return [row["prediction"] for row in body["predictions"]]
    if form.startswith("v2"):
        return list(body["outputs"][0]["data"])
    return list(body["predictions"])


rows_of_any_kind = st.lists(
    st.fixed_dictionaries(
        {
            "age": st.integers(18, 100),
            "salary": st.none() | st.floats(0, 1e9, allow_nan=False) | st.integers(0, 10**18),
            "owner": st.none() | st.booleans(),
            "education": st.none() | st.sampled_from(["degree", "school", "NA", "", " degree "]) | st.text(max_size=8),
        }
    ),
    min_size=1,
    max_size=6,
)


# A text with NUL cannot stand in a CSV; a lone surrogate in none of the forms.
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows_of_any_kind.filter(lambda rows: "\\u0000" not in json.dumps(rows)))
def test_the_same_rows_give_the_same_answers_through_each_form(world: World, rows: list[Row]) -> None:
    for model in ("loans", "worths"):
        plain = send(world, "plain", rows, model)
        assert plain[0] == 200
        for form in FORMS:
            status, body = send(world, form, rows, model)
            assert (form, status) == (form, 200)
            assert labels(form, body) == labels("plain", plain[1]), form
        found = {output["name"]: output for output in send(world, "v2", rows, model)[1]["outputs"]}
        assert found["score"]["data"] == [row["score"] for row in plain[1]["predictions"]]
        if model == "loans":
            shares = np.reshape(found["probabilities"]["data"], found["probabilities"]["shape"])
            assert shares.tolist() == [list(row["probabilities"].values()) for row in plain[1]["predictions"]]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("change", "field", "message"),
    [({"age": 17}, "age", "from 18 to 100"), ({"age": None}, "age", "required"), ({"salary": -1}, "salary", "from 0")],
)
def test_what_breaks_the_contract_is_a_422_that_names_the_field(
    world: World, form: str, change: Row, field: str, message: str
) -> None:
    status, body = send(world, form, [ROW, {**ROW, **change}])
    assert status == 422
    said = body["error"] if form.startswith("v2") else body["error"]["message"]
    assert f"row 1, {field}" in said
    assert message in said


@pytest.mark.parametrize("form", FORMS)
def test_too_many_rows_are_a_413_and_none_a_400(world: World, form: str) -> None:
    status, body = send(world, form, [ROW] * 1001)
    assert (status, "at most 1,000" in str(body)) == (413, True)
    assert send(world, form, [ROW] * 1000)[0] == 200
    assert send(world, form, [])[0] == 400


POSTS = ["/models/loans/predict", "/models/loans/invocations", "/v2/models/loans/infer", "/v2/repository/index"]
HOSTILE = {
    "not JSON": b"{",
    "not UTF-8": b'{"id": "\xff"}',
    "NaN": b'{"rows": [{"age": NaN}]}',
    "1e999": b'{"inputs": [{"data": [1e999]}]}',
    "a key twice": b'{"inputs": [], "inputs": []}',
    "depth": b'{"inputs": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "5,000 digits": b'{"inputs": ' + b"9" * 5000 + b"}",
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "another key": b'{"surplus": 1}',
}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_is_a_400_in_the_form_of_its_protocol(world: World, path: str, name: str) -> None:
    reply = world.ask("POST", path, HOSTILE[name])
    assert reply.status == 400
    said = reply.body["error"] if path.startswith("/v2") else reply.body["error"]["message"]
    assert isinstance(said, str)
    assert 10 < len(said) < 400


@pytest.mark.parametrize("path", POSTS)
def test_a_body_over_1_mib_is_a_413_and_of_another_type_a_415(world: World, path: str) -> None:
    assert world.ask("POST", path, b" " * (MAX_BODY_BYTES + 1)).status == 413
    reply = world.ask("POST", path, b"<rows/>", content_type="application/xml")
    assert (reply.status, "application/json" in str(reply.body)) == (415, True)
    assert ("text/csv" in str(reply.body)) == path.endswith("/invocations")


BAD_TABLES = [
    {"dataframe_records": [ROW], "instances": [ROW]},
    {"params": {}},
    {"dataframe_records": [ROW], "params": {"detail": True}},
    {"dataframe_records": [ROW], "params": {"details": "yes"}},
    {"dataframe_records": [ROW], "params": []},
    {"dataframe_records": [[1]]},
    {"dataframe_records": {"age": [1]}},
    {"instances": {"age": [1]}},
    {"instances": [[41, 50.5, True]]},
    {"instances": [ROW, [1]]},
    {"inputs": {"age": 41}},
    {"inputs": {"age": [41], "salary": [1, 2]}},
    {"inputs": {}},
    {"dataframe_split": [ROW]},
    {"dataframe_split": {"columns": NAMES}},
    {"dataframe_split": {"columns": [1], "data": [[1]]}},
    {"dataframe_split": {"columns": ["age", "age"], "data": [[41, 41]]}},
    {"dataframe_split": {"columns": NAMES, "data": [[41]]}},
    {"dataframe_split": {"columns": NAMES, "data": [list(ROW.values())], "index": 1}},
    {"dataframe_split": {"columns": NAMES, "data": [list(ROW.values())], "name": "t"}},
]


@pytest.mark.parametrize("table", BAD_TABLES, ids=json.dumps)
def test_a_bad_table_is_a_400(world: World, table: Any) -> None:
    reply = world.ask("POST", "/models/loans/invocations", table)
    assert (reply.status, reply.body["error"]["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "text",
    ["", "\n", 'sep="\nage"salary\n1"2\n', "age,age\n1,2\n", "age,salary\n1\n", 'age\n"1', "age\n" + "1" * 200_000],
)
def test_a_bad_csv_is_a_400(world: World, text: str) -> None:
    reply = world.ask("POST", "/models/loans/invocations", text, content_type="text/csv")
    assert reply.status == 400


def test_a_csv_is_read_as_in_training(world: World) -> None:
    text = "\ufeffage , salary,owner,education\r\n41.0,N/A,Yes, degree \r\n\r\n18,1e1,0,none\r\n"
    rows = [
        {"age": 41, "salary": None, "owner": True, "education": "degree"},
        {"age": 18, "salary": 10, "owner": False, "education": "none"},
    ]
    reply = world.ask("POST", "/models/worths/invocations", text, content_type="text/csv")
    assert reply.body["predictions"] == labels("plain", send(world, "plain", rows, "worths")[1])
    for wrong in ("inf", "1e400", "1_000", "٣"):
        text = f"age,salary,owner,education\n41,{wrong},1,degree\n"
        reply = world.ask("POST", "/models/worths/invocations", text, content_type="text/csv")
        assert (wrong, reply.status) == (wrong, 422)


@pytest.mark.parametrize(
    "text",
    [
        "age;salary;owner;education\n41;10;1;degree\n",
        "sep=|\nage|salary|owner|education\n41|10|1|degree\n",
        ",age,salary,owner,education\n0,41,10,1,degree\n",
        "age,salary,owner,education,\n41,10,1,degree,\n",
        "\ufeff\ufeffage, salary, owner, education\n41, 10, 1, degree\n",
    ],
)
def test_a_csv_of_another_dialect_is_read_as_an_upload_is(world: World, text: str) -> None:
    row = {"age": 41, "salary": 10, "owner": True, "education": "degree"}
    reply = world.ask("POST", "/models/worths/invocations", text, content_type="text/csv")
    assert (reply.status, reply.body["predictions"]) == (200, labels("plain", send(world, "plain", [row], "worths")[1]))


def test_json_lines_are_read_and_written(world: World) -> None:
    rows = [ROW, {**ROW, "education": "never seen"}]
    plain = send(world, "plain", rows)[1]["predictions"]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    path = "/models/loans/invocations"
    for kind in ("application/jsonlines", "application/x-ndjson", "application/jsonl"):
        reply = world.ask("POST", path, lines, content_type=kind)
        assert (reply.status, reply.body["predictions"]) == (200, labels("plain", {"predictions": plain}))
    reply = world.ask("POST", path, {"instances": rows}, accept="application/jsonlines")
    assert [json.loads(line) for line in reply.body.splitlines()] == plain
    assert world.ask("POST", path, '{"age": 1}\n{"age"', content_type="application/jsonlines").status == 400
    assert world.ask("POST", path, "[1]\n", content_type="application/jsonlines").status == 400
    assert world.ask("POST", path, "{}\n" * 1001, content_type="application/jsonlines").status == 413


def test_a_csv_is_written_to_whoever_accepts_one(world: World) -> None:
    rows = [ROW, {**ROW, "education": "never seen"}]
    expected = labels("plain", send(world, "plain", rows)[1])
    reply = world.ask("POST", "/models/loans/invocations", {"instances": rows}, accept="text/csv")
    assert reply.body == "".join(f"{label}\n" for label in expected)


def test_tensorflow_servings_path_answers(world: World) -> None:
    rows = [ROW, {**ROW, "education": "never seen"}]
    reply = world.ask("POST", "/v1/models/loans:predict", {"instances": rows})
    assert reply.body["predictions"] == labels("plain", send(world, "plain", rows)[1])
    assert world.ask("POST", "/v1/models/loans:classify", {"instances": rows}).status == 404
    assert world.ask("POST", "/v1/models/nobody:predict", {"instances": rows}).status == 404


def test_a_csv_without_names_is_told_so(world: World) -> None:
    reply = world.ask("POST", "/models/worths/invocations", "41,10,1,degree\n", content_type="text/csv")
    assert reply.status == 400
    assert "the first line must name the columns, and names none of age, salary" in reply.body["error"]["message"]


def test_details_are_what_the_plain_form_answers(world: World) -> None:
    rows = [ROW, {**ROW, "education": "never seen"}]
    asked = {"instances": rows, "params": {"details": True}}
    reply = world.ask("POST", "/models/loans/invocations", asked)
    assert reply.body["predictions"] == send(world, "plain", rows)[1]["predictions"]
    said = {"X-Serin-Version": "3", "X-Serin-Prediction-Id": "p1", "X-Serin-Noted-Rows": "1"}
    assert reply.headers == said


def test_a_degraded_answer_says_so_in_each_form_and_is_reported(world: World) -> None:
    send(world, "plain", [ROW])
    world.error, world.now = Unavailable("the table is out of reach"), 60.0
    for form, found in {"plain": "degraded", "v2": "degraded", "csv": "predictions"}.items():
        status, body = send(world, form, [ROW])
        assert (status, found in json.dumps(body)) == (200, True)
    reply = world.ask("POST", "/models/loans/invocations", {"instances": [ROW]})
    assert reply.headers["X-Serin-Degraded"] == "true"
    assert world.reported == ["Degraded UNAVAILABLE"], "once for each reading that failed"


LETTERS = {
    "plain": ("/models/loans/predict", b'{"rows": [{"age": 41, "education": "M%sller"}]}', "application/json"),
    "v2": (
        "/v2/models/loans/infer",
        b'{"id": "M%sller", "inputs": [{"name": "age", "shape": [1], "datatype": "INT64", "data": [41]}]}',
        "application/json",
    ),
    "records": (
        "/models/loans/invocations",
        b'{"instances": [{"age": 41, "education": "M%sller"}]}',
        "application/json",
    ),
    "csv": ("/models/loans/invocations", b"age,education\n41,M%sller\n", "text/csv"),
    "feedback": ("/models/loans/feedback", b'{"feedback": [{"id": "M%sller-0", "truth": "yes"}]}', "application/json"),
}


@pytest.mark.parametrize("form", LETTERS)
def test_letters_that_were_lost_are_refused_and_none_is_guessed(world: World, form: str) -> None:
    path, body, kind = LETTERS[form]
    for lost in ("ü".encode("latin-1"), "\ufffd".encode()):  # as a container gets it, and as API Gateway hands it on
        reply = world.ask("POST", path, body % lost, content_type=kind)
        assert reply.status == 400
        assert "UTF-8" in json.dumps(reply.body)
    for charset in ("iso-8859-1", '"windows-1252"', "utf-16"):
        reply = world.ask("POST", path, body % b"u", content_type=f"{kind}; header=present; Charset={charset}")
        assert (reply.status, "send UTF-8" in json.dumps(reply.body)) == (415, True)
    assert world.ask("POST", path, body % b"u", content_type=kind, content_encoding="gzip").status == 415
    usual = world.ask("POST", path, body % "ü".encode(), content_type=kind)
    assert usual.status not in (400, 415)
    for said in ('; charset="UTF-8"', "; charset=utf8;", "; header=present"):
        reply = world.ask("POST", path, body % "ü".encode(), content_type=kind + said, content_encoding="identity")
        assert reply.body == usual.body
    marked = world.ask("POST", path, b"\xef\xbb\xbf" + body % "ü".encode(), content_type=kind)
    assert marked.body == usual.body, "a byte order mark says nothing"


def test_the_sign_for_a_lost_letter_can_be_meant(world: World) -> None:
    body = json.dumps({"rows": [{**ROW, "education": "\ufffd"}]})
    assert "ufffd" in body
    assert world.ask("POST", "/models/loans/predict", body).status == 200
    assert world.ask("GET", "/models/loans/answers?entity=M%FCller").status == 400


def test_ping_says_whether_the_champion_loads(world: World) -> None:
    assert world.ask("GET", "/models/loans/ping").status == 200
    assert world.ask("GET", "/models/new/ping").status == 404
    world.error = Unavailable("the table is out of reach")
    assert World.ask(world, "GET", "/models/worths/ping").headers == {"Retry-After": "5"}
