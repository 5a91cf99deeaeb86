"""What is said of a model's endpoint is valid OpenAPI, is true, and its examples work when sent."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from serin.contract.serving_spec import ServingSpec, SpecFeature
from serin.registry.ports import KeptAnswer
from serin.registry.records import Champion
from serin.serving.description import Description, FeatureDescription
from serin.serving.http.dispatch import ROUTES
from serin.serving.http.errors import STATUS
from serin.serving.http.protocols.openapi import document, example_row
from tests.golden import check_golden
from tests.serving.asking import FEATURES, VERSION, World
from tests.serving.test_forms import ROW, tensors

GOLDEN = Path(__file__).parent / "golden" / "openapi.json"
# No 7.0: to JSON Schema it is the integer 7, and a category takes integers and no fractions.
ANYTHING: list[Any] = [
    None,
    True,
    0,
    41,
    41.5,
    -(2**64),
    1 - 2**64,
    2**64 - 1,
    2**64,
    1e300,
    "",
    "x",
    "7",
    [7],
    {"a": 7},
]


def the_document(world: World, model: str) -> dict[str, Any]:
    said: dict[str, Any] = world.ask("GET", f"/models/{model}/openapi.json").body
    return said


def operations(said: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method.upper(), path, each) for path, methods in said["paths"].items() for method, each in methods.items()]


def test_it_is_what_was_agreed(world: World) -> None:
    check_golden(GOLDEN, json.dumps(the_document(world, "loans"), indent=1) + "\n")


@pytest.mark.parametrize("model", ["loans", "worths", "cautious", "spans"])
def test_it_is_openapi_and_has_every_path(world: World, model: str) -> None:
    said = the_document(world, model)
    validate(said)
    own = {"/health", "/models/{model}/openapi.json", "/models/{model}/docs"}
    paths = {
        (route.method, route.path.format(model=model, version=VERSION, call=f"{model}:predict"))
        for route in ROUTES
        if route.path not in own
    }
    assert {(method, path) for method, path, _ in operations(said)} == paths
    statuses = {int(status) for _, _, each in operations(said) for status in each["responses"]}
    assert statuses - {200, 403, 429} <= set(STATUS.values())


@pytest.mark.parametrize("model", ["loans", "worths", "cautious", "spans"])
def test_its_examples_work_when_sent_and_every_answer_keeps_to_its_schema(world: World, model: str) -> None:
    said = the_document(world, model)
    predict = said["paths"][f"/models/{model}/predict"]["post"]["requestBody"]["content"]["application/json"]
    answer = world.ask("POST", f"/models/{model}/predict", predict["examples"]["one"]["value"]).body["predictions"][0]
    del answer["id"]
    about = {"version": VERSION, "job": "j1", "at": "2026-01-01T00:00:00+00:00"}
    world.kept[model, "7"] = KeptAnswer("7", at="", expires=2_000_000_000, body={**about, "answer": answer})
    for method, path, each in operations(said):
        needed = "&".join(f"{one['name']}={one['example']}" for one in each.get("parameters", ()) if "example" in one)
        contents = each.get("requestBody", {}).get("content", {"application/json": {}})
        sent = [
            (kind, content.get("schema"), example["value"])
            for kind, content in contents.items()
            for example in content.get("examples", {"none": {"value": b""}}).values()
        ]
        for kind, schema, body in sent:
            if body and kind == "application/json":
                keeps_to(said, schema, body)
            reply = world.ask(method, f"{path}?{needed}", body, content_type=kind)
            assert reply.status == 200, (path, reply.body)
            answered = each["responses"]["200"]
            keeps_to(said, answered["content"]["application/json"]["schema"], json.loads(reply.text))
            if path.endswith("/invocations"):
                assert set(reply.headers) <= set(answered["headers"])
        if method == "POST":
            for wrong in (b"{", b'{"rows": [{"age": 1}]}'):
                reply = world.ask(method, path, wrong)
                schema = each["responses"][str(reply.status)]["content"]["application/json"]["schema"]
                keeps_to(said, schema, json.loads(reply.text))


@pytest.mark.parametrize("model", ["cautious", "spans"])
def test_an_explained_answer_keeps_to_its_schema_and_every_field_is_described(world: World, model: str) -> None:
    said = the_document(world, model)
    predict = said["paths"][f"/models/{model}/predict"]["post"]
    assert [parameter["name"] for parameter in predict["parameters"]] == ["explain"]
    body = predict["requestBody"]["content"]["application/json"]["examples"]["one"]["value"]
    reply = world.ask("POST", f"/models/{model}/predict?explain=true", body)
    keeps_to(said, said["components"]["schemas"]["Answer"], reply.body)
    assert {"base", "contributions"} <= reply.body["predictions"][0].keys()
    asked = said["paths"][f"/v2/models/{model}/infer"]["post"]["requestBody"]["content"]["application/json"]
    names = said["components"]["schemas"]["InferResponse"]["properties"]["outputs"]["items"]["properties"]["name"]
    outputs = [{"name": name} for name in names["enum"]]
    reply = world.ask(
        "POST", f"/v2/models/{model}/infer", {**asked["examples"]["all outputs"]["value"], "outputs": outputs}
    )
    assert [output["name"] for output in reply.body["outputs"]] == names["enum"]
    keeps_to(said, said["components"]["schemas"]["InferResponse"], reply.body)


def keeps_to(said: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    checking(said, schema).validate(json.loads(json.dumps(value)))


def checking(said: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": said["components"]})


def with_columns(world: World, model: str, *, entity: str | None, other_columns: tuple[str, ...]) -> World:
    """Let a model's rows carry other columns than its contract said."""
    key = f"models/{model}/{VERSION}/spec.json"
    spec = replace(ServingSpec.from_json(world.files[key]), entity=entity, other_columns=other_columns)
    return World({**world.files, key: spec.to_json()})


COLUMNS: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "entity": ("applicant", ("applicant", "applied_at", "branch")),
    "entity among the features": ("education", ("education", "applied_at")),
    "no entity": (None, ("branch",)),
    "no other column": (None, ()),
}


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("model", ["loans", "spans"])
def test_its_schemas_take_exactly_what_is_answered(world: World, model: str, columns: str) -> None:
    entity, others = COLUMNS[columns]
    world = with_columns(world, model, entity=entity, other_columns=others)
    said = the_document(world, model)
    names = (*FEATURES, "applicant", "applied_at", "branch", "aproved")
    rows = [{**ROW, name: value} for name in names for value in ANYTHING]
    rows += [{key: ROW[key] for key in ROW if key != name} for name in ROW]
    rows += [{**ROW, **dict.fromkeys(others, "7")}]
    agree(world, said, f"/models/{model}/predict", [{"rows": [row]} for row in rows])
    agree(world, said, f"/models/{model}/invocations", [{"dataframe_records": [row]} for row in rows])
    inputs = tensors([ROW])
    added = [{"name": name, "shape": [1], "datatype": "BYTES", "data": ["7"]} for name in names if name not in ROW]
    parameters = [{key: value} for key in ("entity", "explain", "priority") for value in (*ANYTHING, False)]
    asked = [{"inputs": inputs}, *({"inputs": [*inputs, tensor]} for tensor in added)]
    asked += [{"inputs": inputs, "parameters": each} for each in (*parameters, {}, [], None)]
    agree(world, said, f"/v2/models/{model}/infer", asked)


def agree(world: World, said: dict[str, Any], path: str, bodies: list[dict[str, Any]]) -> None:
    """Check that what a path answers is what its schema takes, and that there are both."""
    schema = checking(said, said["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"])
    answered = [world.ask("POST", path, body).status == 200 for body in bodies]
    assert [body for body, is_so in zip(bodies, answered, strict=True) if schema.is_valid(body) != is_so] == []
    assert set(answered) == {True, False}


def test_the_entity_and_the_other_columns_are_named(world: World) -> None:
    world = with_columns(world, "loans", entity="applicant", other_columns=("applicant", "age", "branch"))
    described = json.loads(world.ask("GET", "/models/loans").text)
    assert (described["entity"], described["other_columns"]) == ("applicant", ["applicant", "branch"])
    said = the_document(world, "loans")
    keeps_to(said, said["components"]["schemas"]["Model"], described)
    row = said["components"]["schemas"]["Row"]
    assert "whom the row is about" in row["properties"]["applicant"]["description"]
    assert row["required"] == ["age"]
    page = world.ask("GET", "/models/loans/docs").body
    assert "<td>branch</td><td>anything</td><td>may be missing</td>" in page
    assert "whom the row is about" in page


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ({"type": "number", "min": 0, "max": 3}, 1.5),
        ({"type": "number", "max": -5}, -5.0),
        ({"type": "number", "min": 0.5}, 0.5),
        ({"type": "integer", "min": 0.5, "max": 1.2}, 1),
        ({"type": "integer"}, 0),
        ({"type": "category", "values": ["", "a"]}, "a"),
        ({"type": "category", "values": []}, "other"),
        ({"type": "boolean"}, True),
    ],
)
def test_an_example_lies_within_its_limits(feature: dict[str, Any], expected: Any) -> None:
    assert example_row([FeatureDescription("x", missing=False, **feature)]) == {"x": expected}


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.outside += [str(value) for name, value in attrs if name in ("src", "href")]


def test_the_page_loads_nothing_and_escapes_what_it_shows(world: World) -> None:
    reply = world.ask("GET", "/models/loans/docs")
    assert reply.headers["Content-Type"].startswith("text/html")
    seen = Seen()
    seen.feed(reply.body)
    assert seen.outside == ["openapi.json"]
    assert not seen.tags & {"script", "link", "img", "iframe"}
    assert all(path in reply.body for path in the_document(world, "loans")["paths"])


def test_a_feature_with_a_hostile_name_is_only_text() -> None:
    from serin.serving.http.protocols.page import write

    features = (SpecFeature("<script>'", "category", allows_missing=True, values=("<img src=x>",)),)
    others = ("<img src=y>", "<script>")
    spec = ServingSpec("m", "regression", "<b>", features, entity="<img src=y>", other_columns=others)
    page = write(document(Description.of("m", spec, Champion(1, {}, since=""), is_degraded=False)))
    seen = Seen()
    seen.feed(page)
    assert not seen.tags & {"script", "img", "b"}
