"""What is said of a model's endpoint is valid OpenAPI, is true, and its examples work when sent."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from serin.registry.ports import KeptAnswer
from serin.serving.http import ROUTES
from serin.serving.protocols.openapi import document, example_row
from serin.serving.statuses import STATUS
from tests.golden import check_golden
from tests.serving.asking import VERSION, World

GOLDEN = Path(__file__).parent / "golden" / "openapi.json"


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
        (route.method, route.path.format(model=model, version=VERSION)) for route in ROUTES if route.path not in own
    }
    assert {(method, path) for method, path, _ in operations(said)} == paths
    statuses = {int(status) for _, _, each in operations(said) for status in each["responses"]}
    assert statuses - {200, 403, 429} <= set(STATUS.values())


@pytest.mark.parametrize("model", ["loans", "worths", "cautious", "spans"])
def test_its_examples_work_when_sent_and_every_answer_keeps_to_its_schema(world: World, model: str) -> None:
    said = the_document(world, model)
    predict = said["paths"][f"/models/{model}/predict"]["post"]["requestBody"]["content"]["application/json"]
    answer = world.ask("POST", f"/models/{model}/predict", predict["examples"]["one"]["value"]).body["predictions"][0]
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
            keeps_to(said, answered["content"]["application/json"]["schema"], reply.body)
            if path.endswith("/invocations"):
                assert set(reply.headers) <= set(answered["headers"])
        if method == "POST":
            for wrong in (b"{", b'{"rows": [{"age": 1}]}'):
                reply = world.ask(method, path, wrong)
                schema = each["responses"][str(reply.status)]["content"]["application/json"]["schema"]
                keeps_to(said, schema, reply.body)


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
    Draft202012Validator({**schema, "components": said["components"]}).validate(json.loads(json.dumps(value)))


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
    assert example_row({"features": [{"name": "x", "missing": False, **feature}]}) == {"x": expected}


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
    from serin.serving.protocols.page import write

    feature = {"name": "<script>'", "type": "category", "missing": True, "values": ["<img src=x>"]}
    said = {"model": "m", "task": "regression", "target": "<b>", "champion": {"version": 1}, "classes": []}
    said |= {"automation": "full", "coverage": None, "explains": False}
    page = write(document({**said, "features": [feature]}))
    seen = Seen()
    seen.feed(page)
    assert not seen.tags & {"script", "img", "b"}
