"""Models are loaded as they are asked for, within a budget; what was asked least recently makes room."""

from __future__ import annotations

import pytest

from serin.serving.routing import router as serving_route
from serin.serving.routing.router import MEMORY_AT_LEAST, MEMORY_BYTES
from tests.builders import a_version
from tests.serving.asking import NAN, RAISES, TURNED, VERSION, World
from tests.serving.test_forms import ROW, tensors

VERSIONS = "/v2/models/loans/versions"


@pytest.fixture
def loaded(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files of models that were read, in order; `a` to `d` are models of their own."""
    for model in "abcd":
        for name in ("model.onnx", "spec.json"):
            world.files[f"models/{model}/{VERSION}/{name}"] = world.files[f"models/worths/{VERSION}/{name}"]
    read: list[str] = []
    file = world._file
    monkeypatch.setattr(world, "_file", lambda key: read.append(key) or file(key))
    world.endpoint = world.another_process()
    return read


def ask(world: World, loaded: list[str], model: str) -> bool:
    """Ask a model; tell whether it was loaded for that."""
    loaded.clear()
    world.later(0.1)
    assert world.ask("POST", f"/models/{model}/predict", {"rows": [ROW]}).status == 200
    return bool(loaded)


def test_what_was_asked_least_recently_makes_room(
    world: World, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_route, "MEMORY_BYTES", 3 * MEMORY_AT_LEAST)
    assert [ask(world, loaded, model) for model in "abc"] == [True] * 3
    assert [ask(world, loaded, model) for model in "abc"] == [False] * 3
    assert ask(world, loaded, "a") is False
    assert ask(world, loaded, "d") is True
    assert [ask(world, loaded, model) for model in "acd"] == [False] * 3
    assert ask(world, loaded, "b") is True, "it was the one to go"
    assert ask(world, loaded, "a") is True


def test_a_model_larger_than_the_budget_is_served_alone(
    world: World, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_route, "MEMORY_BYTES", MEMORY_AT_LEAST // 2)
    assert [ask(world, loaded, model) for model in "aab"] == [True, False, True]
    assert ask(world, loaded, "a") is True


def test_a_challenger_that_does_not_fit_beside_its_champion_is_not_asked(
    world: World, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_route, "MEMORY_BYTES", 2 * MEMORY_AT_LEAST - 1)
    world.try_out(TURNED)
    assert world.ask("POST", "/models/loans/predict", {"rows": [ROW]}).body["version"] == VERSION
    assert world.captured[-1]["fault"] == "raised"


def test_champion_and_challenger_stay_together_and_are_each_loaded_once(world: World, loaded: list[str]) -> None:
    world.try_out(TURNED, 0.0)
    ask(world, loaded, "loans")
    assert len(loaded) == 4
    world.try_out(TURNED, 0.5)
    assert ask(world, loaded, "loans") is False
    world.champion, world.challenger = TURNED, None
    world.later()
    assert ask(world, loaded, "loans") is False, "it was loaded when it was promoted"


def test_the_budget_leaves_the_largest_examples_room() -> None:
    assert MEMORY_BYTES == 2048 * MEMORY_AT_LEAST


def test_a_version_that_was_on_trial_can_be_addressed(world: World, loaded: list[str]) -> None:
    world.versions = {
        number: a_version(number, files=world.digests("loans", number), served=number != RAISES)
        for number in (TURNED, NAN, RAISES)
    }
    champion, turned = (
        world.ask("POST", f"{VERSIONS}/{number}/infer", {"inputs": tensors([ROW])}) for number in (VERSION, TURNED)
    )
    assert (turned.status, turned.body["model_version"]) == (200, str(TURNED))
    scores = champion.body["outputs"][2]["data"]
    assert turned.body["outputs"][2]["data"] == [float(score == min(scores)) for score in scores]
    assert [(line["arm"], line["version"], line["answered"]) for line in world.captured] == [
        ("direct", VERSION, VERSION),
        ("direct", TURNED, TURNED),
    ]
    loaded.clear()
    assert world.ask("GET", f"{VERSIONS}/{TURNED}/ready").body == {"name": "loans", "ready": True}
    assert world.ask("GET", f"{VERSIONS}/{TURNED}").body["versions"] == [str(TURNED)]
    assert loaded == [], "it stays in memory"
    assert world.ask("POST", f"{VERSIONS}/{NAN}/infer", {"inputs": tensors([ROW])}).status == 500
    for number in (RAISES, 99):
        reply = world.ask("GET", f"{VERSIONS}/{number}/ready")
        assert (reply.status, "is or was champion or challenger" in reply.body["error"]) == (404, True)


def test_the_challenger_can_be_addressed_and_is_then_no_evidence(world: World) -> None:
    world.try_out(TURNED, 0.0)
    reply = world.ask("POST", f"{VERSIONS}/{TURNED}/infer", {"inputs": tensors([ROW])})
    assert reply.body["model_version"] == str(TURNED)
    assert (world.captured[-1]["arm"], world.captured[-1]["release"]) == ("direct", "r1")


@pytest.mark.parametrize("damage", ["gone", "other bytes"])
def test_a_version_addressed_that_does_not_verify_is_out_of_reach(world: World, damage: str) -> None:
    world.versions = {TURNED: a_version(TURNED, files=world.digests("loans", TURNED), served=True)}
    key = f"models/loans/{TURNED}/model.onnx"
    if damage == "gone":
        del world.files[key]
    else:
        world.files[key] += b" "
    reply = world.ask("GET", f"{VERSIONS}/{TURNED}/ready")
    assert (reply.status, reply.headers) == (503, {"Retry-After": "5"})
