"""Who answers is current within five seconds, verified before it is loaded, and kept when the table is out of reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serin.errors import NotFound, Unavailable, Unverified
from serin.registry.ids import sha256
from serin.registry.records import Champion, Retirement, Route
from serin.serving.routing.router import Router, _Loaded
from serin.training.train import train
from tests.builders import a_contract


@pytest.fixture(scope="module")
def artifacts() -> dict[str, bytes]:
    """Two real versions: their files by key."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, 200).astype(float)
    frame = pd.DataFrame({"age": age, "approved": np.where(age + rng.normal(0, 5, 200) > 45, "yes", "no")})
    files = {}
    for version in (1, 2):
        contract = a_contract(
            features={"age": {"type": "integer"}},
            training={"budget": "9 fits", "folds": 2, "candidates": ["linear"], "seed": version},
        )
        trained = train(frame.iloc[version * 10 :], contract)
        files[f"models/loans/{version}/model.onnx"] = trained.onnx
        files[f"models/loans/{version}/spec.json"] = trained.spec.to_json()
    return files


@dataclass
class World:
    """A table and a bucket that may be out of reach, and a clock."""

    files: dict[str, bytes]
    champion: int | None = 1
    is_out_of_reach: bool = False
    now: float = 0.0
    wall: float = 1_767_225_600.0
    reads: list[str] = field(default_factory=list)
    retirement: Retirement | None = None

    def retire(self, *, after: float | None) -> None:
        """Let the route say that the model is retired. after: so many seconds from now it answers no longer."""
        until = "" if after is None else datetime.fromtimestamp(self.wall + self.now + after, UTC).isoformat()
        self.retirement = Retirement("2026-01-01T00:00:00+00:00", "arn:aws:iam::1:user/ann", "nobody asks it", until)

    def route(self, model: str) -> Route | None:
        self.reads.append(model)
        if self.is_out_of_reach:
            raise Unavailable("the table is out of reach")
        if self.champion is None or model != "loans":
            return None
        names = ("model.onnx", "spec.json")
        digests = {name: sha256(self.files[f"models/loans/{self.champion}/{name}"]) for name in names}
        return Route("loans", Champion(self.champion, digests, "2026"), retirement=self.retirement)

    def file(self, key: str) -> bytes:
        return self.files[key]

    def router(self) -> Router:
        return Router(self.route, self.file, monotonic=lambda: self.now, wall_clock=lambda: self.wall + self.now)


def a_loaded(size: int) -> _Loaded:
    model: Any = SimpleNamespace(spec=SimpleNamespace(features=()))
    return _Loaded(model, {}, size)


@pytest.fixture
def world(artifacts: dict[str, bytes]) -> World:
    return World(dict(artifacts))


def test_the_route_is_read_again_after_five_seconds_and_not_before(world: World) -> None:
    router = world.router()
    router.serving("loans")
    world.champion, world.now = 2, 3.9
    assert router.serving("loans").champion.version == 1
    assert len(world.reads) == 1
    world.now = 5.0
    assert router.serving("loans").champion.version == 2


def test_a_function_that_slept_wakes_up_current(world: World) -> None:
    router = world.router()
    router.serving("loans")
    world.champion, world.now = 2, 600.0
    assert router.serving("loans").champion.version == 2


@pytest.mark.parametrize("seconds", [600.0, -600.0])
def test_it_wakes_up_current_where_only_the_wall_clock_went_on(world: World, seconds: float) -> None:
    router = world.router()
    router.serving("loans")
    world.champion, world.wall = 2, world.wall + seconds
    assert router.serving("loans").champion.version == 2


def test_a_retired_model_answers_to_the_second_and_not_longer(world: World) -> None:
    router = world.router()
    world.retire(after=12.5)
    for world.now in (0.0, 4.5, 9.0, 12.4):
        assert router.serving("loans").champion.version == 1
    reads, world.now = len(world.reads), 12.5
    with pytest.raises(NotFound, match=r"since 2026-01-01T00:00:12: retired since .*, by ann: nobody") as refused:
        router.serving("loans")
    assert (refused.value.code, len(world.reads) - reads) == ("RETIRED", 1)
    assert router.champion("loans") is None


def test_a_retired_model_whose_route_is_out_of_reach_ends_in_time_too(world: World) -> None:
    router = world.router()
    world.retire(after=12.5)
    router.serving("loans")
    world.is_out_of_reach, world.now = True, 11.0
    assert router.serving("loans").is_degraded
    world.now = 12.5
    for _ in range(2):
        with pytest.raises((NotFound, Unavailable)):
            router.serving("loans")


def test_a_retired_model_without_a_date_answers_on_and_one_taken_back_answers_again(world: World) -> None:
    router = world.router()
    world.retire(after=None)
    world.now = 10_000.0
    assert router.serving("loans").champion.version == 1
    world.retire(after=0.0)
    world.now += 5.0
    with pytest.raises(NotFound):
        router.serving("loans")
    world.retirement = None
    assert router.serving("loans").champion.version == 1


def test_a_date_costs_no_reading_of_the_route_between(world: World) -> None:
    router = world.router()
    world.retire(after=1000.0)
    for world.now in (0.0, 1.0, 2.0, 3.9):
        router.serving("loans")
    assert len(world.reads) == 1


def test_a_thousand_functions_do_not_read_the_row_in_one_moment(world: World) -> None:
    routers = [world.router() for _ in range(1000)]
    for router in routers:
        router._load = lambda *_, **__: a_loaded(1)  # type: ignore[method-assign]  # a thousand need no graph
        router.serving("loans")
    world.reads.clear()
    reads = []
    for moment in range(46):
        world.now = moment / 10
        for router in routers:
            router.serving("loans")
        reads.append(len(world.reads) - sum(reads))
    assert sum(reads) == 1000, "each reads once, with half a second to spare for what a decision takes"
    assert sum(reads[:40]) == 0
    assert max(reads) < 300, "a tenth of a second has its share of the last half"


def test_out_of_reach_and_warm_it_goes_on_degraded(world: World) -> None:
    router = world.router()
    router.serving("loans")
    world.is_out_of_reach, world.now = True, 10.0
    serving = router.serving("loans")
    assert (serving.champion.version, serving.is_degraded) == (1, True)
    assert router.serving("loans").is_degraded, "it stays degraded until the route was read again"
    assert len(world.reads) == 2, "one read in five seconds, also while it fails"
    world.is_out_of_reach, world.now = False, 20.0
    assert not router.serving("loans").is_degraded


def test_out_of_reach_and_cold_it_is_unavailable(world: World) -> None:
    world.is_out_of_reach = True
    with pytest.raises(Unavailable):
        world.router().serving("loans")


@pytest.mark.parametrize("name", ["model.onnx", "spec.json"])
@pytest.mark.parametrize(
    "damage", [lambda content: content[:-1], lambda content: bytes([content[0] ^ 1]) + content[1:]]
)
def test_what_does_not_verify_is_not_loaded_and_the_last_verified_serves(
    world: World, name: str, damage: object
) -> None:
    router = world.router()
    router.serving("loans")
    promised = world.route("loans")
    world.champion, world.now = 2, 10.0
    routed = world.route("loans")
    world.route = lambda _: routed  # type: ignore[method-assign, assignment]  # the route keeps the digest from before
    key = f"models/loans/2/{name}"
    world.files[key] = damage(world.files[key])  # type: ignore[operator]  # a function, as given above
    router = Router(lambda _: promised, world.file, lambda: world.now, wall_clock=lambda: world.now)
    router.serving("loans")
    router._routes = lambda _: routed
    world.now = 20.0
    serving = router.serving("loans")
    assert (serving.champion.version, serving.is_degraded) == (1, True)
    with pytest.raises(Unavailable) as caught:
        Router(lambda _: routed, world.file, lambda: world.now).serving("loans")
    assert isinstance(caught.value.__cause__, Unverified)


def test_another_model_in_its_place_is_not_loaded(world: World) -> None:
    """It would load and answer, and only its digest tells that it is not the one that was released."""
    world.champion = 2
    routed = world.route("loans")
    world.files["models/loans/2/model.onnx"] = world.files["models/loans/1/model.onnx"]
    with pytest.raises(Unavailable) as caught:
        Router(lambda _: routed, world.file, lambda: world.now).serving("loans")
    assert isinstance(caught.value.__cause__, Unverified)


def test_a_model_without_a_champion_is_not_found(world: World) -> None:
    world.champion = None
    with pytest.raises(NotFound) as caught:
        world.router().serving("loans")
    assert caught.value.code == "NO_CHAMPION"
    assert "no model is called so here, or nothing of it was released yet" in caught.value.message


def test_a_cold_function_reads_the_route_twice_before_it_gives_up(world: World) -> None:
    def route(model: str) -> Route | None:
        world.is_out_of_reach = not world.reads
        return world.route(model)

    router = Router(route, world.file, lambda: world.now, wall_clock=lambda: world.now)
    assert router.serving("loans").champion.version == 1
    assert len(world.reads) == 2
