"""An answer is of one version, whatever a release does between two calls of who answers; and the reverse."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from serin.registry.records import Route
from serin.release.rollback import rollback
from serin.serving.endpoint import Endpoint
from serin.serving.routing.router import MAX_AGE_SECONDS, Router
from tests.interleave import at_every_call
from tests.release import bench as given
from tests.release.bench import Bench
from tests.serving.asking import TURNED, VERSION
from tests.serving.test_forms import ROW

Actor = Callable[["Served"], None]
ROWS = [{**ROW, "age": age, "applicant": "A1"} for age in (20, 40, 60, 80)]


class Served(Bench):
    """A bench whose versions answer: 1 is the champion, and the release of 2 under a section waits for its turn."""

    def __init__(self, files: dict[str, bytes], section: dict[str, Any]) -> None:
        super().__init__()
        self.answers: list[dict[str, Any]] = []
        self._start_like(1, VERSION, files)
        self.turn(1)
        self.section = section
        self._start_like(2, TURNED, files)

    def _start_like(self, number: int, version: int, files: dict[str, bytes]) -> None:
        onnx, spec = (files[f"models/loans/{version}/{name}"] for name in ("model.onnx", "spec.json"))
        self.start(number, content=onnx, spec=spec)

    def ask(self) -> None:
        """Let a new process answer, and twice again when its route is old."""

        def seconds() -> float:
            return self.clock.at.timestamp()

        router = Router(self._route, self.artifacts.get, seconds, wall_clock=seconds)
        endpoint = Endpoint(router, new_id=lambda: "p1")
        for _ in range(3):
            self.answers.append(endpoint.predict("loans", json.dumps({"rows": ROWS}).encode()))
            self.clock.advance(seconds=MAX_AGE_SECONDS)

    def take_turn(self) -> None:
        self.turn(2)

    def promote_and_take_back(self) -> None:
        self.turn(2)
        rollback(self.releaser, "loans", "by hand", version=2)

    def _route(self, model: str) -> Route | None:
        found = self.registry.route(model)
        return found.value if found else None


AT_ONCE, CANARY = {"strategy": "blue_green"}, {**given.CANARY, "steps": [0.99]}
PAIRS: dict[str, tuple[dict[str, Any], Actor, Actor, list[int]]] = {
    "answer, promotion": (AT_ONCE, Served.ask, Served.take_turn, [1, 2]),
    "promotion, answer": (AT_ONCE, Served.take_turn, Served.ask, [1, 2]),
    "answer, promotion and way back": (AT_ONCE, Served.ask, Served.promote_and_take_back, [1]),
    "promotion and way back, answer": (AT_ONCE, Served.promote_and_take_back, Served.ask, [1, 2]),
    "answer, a trial begins": (CANARY, Served.ask, Served.take_turn, [1, 2]),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_never_two_versions_in_one_answer(model_files: dict[str, bytes], pair: str) -> None:
    section, one, other, versions = PAIRS[pair]
    alone = {}
    for number, act in ((1, Served.ask), (2, Served.take_turn)):
        bench = Served(model_files, AT_ONCE)
        act(bench)
        bench.ask()
        alone[number] = bench.answers[-1]["predictions"]
    assert alone[1] != alone[2]
    answers = []
    for after, when in at_every_call(Served(model_files, section), one, other):
        assert [answer["predictions"] for answer in after.answers] == [
            alone[answer["version"]] for answer in after.answers
        ], when
        answers += after.answers
    assert sorted({answer["version"] for answer in answers}) == versions
