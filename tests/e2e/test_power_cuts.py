"""Cut the power anywhere: killed at any call, or delivered twice, everything ends in the same state.

Exhaustively on fakes, where the power is cut at every single call; then on the twin, with real processes and SIGKILL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from serin.client.environment import EnvironmentClient
from serin.data.accept_or_refuse import Upload
from serin.data.storage import dump_table
from serin.evaluation import run as evaluation_run
from serin.local.twin import Twin
from serin.registry.ids import sha256
from serin.registry.records import Release, ReleaseStatus, Run, RunStatus
from serin.registry.registry import put, put_training
from serin.registry.requests import TrainingRequest, Trigger
from serin.training import run as training_run
from tests.builders import a_release, a_run
from tests.e2e.conftest import upload, write_contract
from tests.e2e.test_journey_on_fakes import House

SMALL: dict[str, Any] = {
    "model": "small",
    "task": "classification",
    "target": "y",
    "features": {"x": {"type": "number"}},
    "training": {"candidates": ["linear"], "folds": 2, "budget": "9 fits"},
    "gates": ["beats baseline by 0.1"],
}


def remember(patch: pytest.MonkeyPatch, module: ModuleType, name: str) -> None:
    """Let a pure function compute each answer once."""
    original, known = getattr(module, name), {}

    def answer(*words: Any, **named: Any) -> Any:
        key = sha256(
            repr([dump_table(word) if isinstance(word, pd.DataFrame) else word for word in (*words, named)]).encode()
        )
        if key not in known:
            known[key] = original(*words, **named)
        return known[key]

    patch.setattr(module, name, answer)


def small_table(rows: int = 200) -> bytes:
    x = np.random.default_rng(0).normal(size=rows)
    return pd.DataFrame({"x": x, "y": np.where(x > 0, "up", "down")}).to_csv(index=False).encode()


class PowerCut(BaseException):
    """The process is gone: nothing catches this."""


@dataclass
class Fuse:
    """Counts every call to the outside, and cuts the power before or after the one it was set to."""

    cut_at: int = 0
    after: bool = False
    calls: list[str] = field(default_factory=list)

    def wrap(self, port: Any) -> Any:
        return _Fused(port, self)

    def run(self, name: str, call: Callable[[], Any]) -> Any:
        self.calls.append(name)
        is_cut = len(self.calls) == self.cut_at
        if is_cut and not self.after:
            raise PowerCut(name)
        answer = call()
        if is_cut:
            raise PowerCut(name)
        return answer


class _Fused:
    """A port whose every call goes through the fuse."""

    def __init__(self, port: Any, fuse: Fuse) -> None:
        self._port, self._fuse = port, fuse

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        if not callable(value):
            return value
        return lambda *words, **named: self._fuse.run(name, lambda: value(*words, **named))


def steps_of(house: House) -> list[Callable[[], Any]]:
    """Everything that functions do from an upload to a champion, a step each; each may be done again."""

    def run() -> str:
        return house.registry.runs("small")[0].id

    def release() -> None:
        house.releaser.starter.start("small", 1)

    return [
        lambda: house.intake.receive(Upload("uploads/small/a.csv", "1")),
        lambda: house.starter.consider(TrainingRequest("small", Trigger.UPLOAD)),
        lambda: house.trainer.train("small", run()),
        lambda: house.evaluator.evaluate("small", run()),
        lambda: house.registrar.register("small", run()),
        release,
        lambda: house.releaser.turn("small", "00000001-1"),
        lambda: house.closer.close("small", run(), attempt=1, version=1, passed=True),
        lambda: house.releaser.abandon("small", "00000001-1", "late"),
        lambda: house.starter.consider(TrainingRequest("small", Trigger.RUN)),  # the end of a run asks again
    ]


def end_state(house: House) -> dict[str, Any]:
    """All that is stored, less the times and the ids made from them."""
    rows = house.registry._rows.rows  # type: ignore[attr-defined]  # the fake's
    found = {}
    for (partition, sort), row in rows.items():
        name = "HISTORY" if sort.startswith("HISTORY#") else sort
        found[partition, name] = _timeless(row.body)
    names = (*house.data.versions, *house.artifacts.versions)
    return {"rows": found, "histories": sum(sort.startswith("HISTORY#") for _, sort in rows), "objects": sorted(names)}


def _timeless(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    timed = ("at", "id", "since", "step_since", "lease_until")
    return {key: _timeless(part) for key, part in value.items() if key not in timed and not key.endswith("_at")}


def fuse_house(house: House, fuse: Fuse) -> None:
    """Lead every port of the house through the fuse."""
    house.registry._rows = fuse.wrap(house.registry._rows)
    for port in ("data", "artifacts", "requests", "training", "releasing", "notifier"):
        fused = fuse.wrap(getattr(house, port))
        for part in (
            house.intake,
            house.starter,
            house.trainer,
            house.evaluator,
            house.registrar,
            house.releaser,
            house.releaser.release_log,
            house.closer,
        ):
            for name in part.__slots__:
                if getattr(part, name) is getattr(house, port):
                    object.__setattr__(part, name, fused)


@pytest.fixture
def make_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], House]:
    # The fit and the judgement are pure and slow, and the same in every trial: they are computed once.
    remember(monkeypatch, training_run, "train")
    remember(monkeypatch, evaluation_run, "judge_version")
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "model.yaml").write_text(yaml.safe_dump(SMALL))

    def make() -> House:
        house = House(tmp_path)
        house.data.put("uploads/small/a.csv", small_table())
        return house

    return make


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_cut_at_every_call_and_another_try_end_in_the_same_state(
    make_house: Callable[[], House], after: bool
) -> None:
    undisturbed = make_house()
    for step in steps_of(undisturbed):
        step()
    expected = end_state(undisturbed)

    disturbed, cuts = make_house(), 0
    for place in range(len(steps_of(disturbed))):
        cut_at = 0
        while True:
            cut_at += 1
            trial = make_house()
            steps = steps_of(trial)
            for step in steps[:place]:
                step()
            rows = trial.registry._rows
            fuse = Fuse(cut_at, after)
            fuse_house(trial, fuse)
            try:
                steps_of(trial)[place]()
            except PowerCut:
                cuts += 1
            else:
                break
            fuse.cut_at = 0
            for step in steps_of(trial)[place:]:
                step()
            trial.registry._rows = rows
            assert end_state(trial) == expected, (
                f"step {place}, cut {'after' if after else 'before'} call {cut_at}: {fuse.calls[cut_at - 1]}"
            )
    assert cuts > 40


@pytest.mark.parametrize("times", [2, 3])
def test_every_step_repeated_ends_in_the_same_state(make_house: Callable[[], House], times: int) -> None:
    once, often = make_house(), make_house()
    for step in steps_of(once):
        step()
    for step in steps_of(often):
        for _ in range(times):
            step()
    assert end_state(often) == end_state(once)


CUTS = {
    "first calls": {
        "validate_data": 1,
        "start_training": 1,
        "train_model": 1,
        "evaluate_model": 1,
        "register_model": 1,
        "start_release": 1,
        "close_run": 1,
        "advance_release": 1,
    },
    "later calls": {
        "validate_data": 4,
        "start_training": 5,
        "train_model": 6,
        "evaluate_model": 5,
        "register_model": 7,
        "start_release": 4,
        "close_run": 3,
        "advance_release": 8,
    },
}


@pytest.mark.parametrize(("when", "cuts"), [("before", "first calls"), ("after", "later calls")])
def test_every_function_killed_once_ends_in_the_same_state(
    there: EnvironmentClient, twin: Twin, project: Path, when: Any, cuts: str
) -> None:
    model = f"cut-{when}"
    write_contract(project, **{**SMALL, "model": model})
    faults = {name: twin.kill(f"serin-local-{name}", call=call, when=when) for name, call in CUTS[cuts].items()}
    try:
        last = upload(there, model, "a.csv", small_table())[-1]
        twin.settle(120)
    finally:
        twin.clear_faults()
    assert [name for name, fault in faults.items() if not fault.has_fired] == []
    assert isinstance(last, Release)
    assert_one_of_each(there, model)


def test_every_event_delivered_twice_ends_in_the_same_state(
    there: EnvironmentClient, twin: Twin, project: Path
) -> None:
    write_contract(project, **{**SMALL, "model": "twice"})
    for name in CUTS["first calls"]:
        twin.deliver_twice(f"serin-local-{name}")
    try:
        upload(there, "twice", "a.csv", small_table())
        twin.settle(120)
    finally:
        twin.clear_faults()
    assert_one_of_each(there, "twice")


def test_a_training_that_is_refused_is_not_tried_again(there: EnvironmentClient, twin: Twin, project: Path) -> None:
    write_contract(project, **{**SMALL, "model": "refused", "positive": "nobody"})
    last = upload(there, "refused", "a.csv", small_table())[-1]
    assert isinstance(last, Run)
    assert "positive is 'nobody'" in (last.error or "")
    twin.settle(60)
    tried = [said for said in twin.invocations("serin-local-train_model") if said["event"]["model"] == "refused"]
    assert len(tried) == 1


# What is killed at which of its AWS calls, at one try after the other; the third try comes through.
FALLBACK_CUTS = {
    "before": {"abort_release": (1, 2), "tick": (6, 12)},
    "after": {"abort_release": (1, 2), "tick": (6, 6)},
    "twice": {"abort_release": (), "tick": ()},
}


@pytest.mark.parametrize("when", FALLBACK_CUTS)
def test_a_release_that_meets_an_error_is_ended_once(there: EnvironmentClient, twin: Twin, when: str) -> None:
    model, registry = f"erring-{when}", there.cloud.registry
    release = replace(a_release(), model=model)  # of a version that does not exist
    registry.save(put(release, expected_revision=0))
    with faults_in(twin, "abort_release", when):
        there.cloud.release_workflow.start(release.execution, {"model": model, "release": release.id})
        twin.settle(60)
    assert_ended_once(there, model, release)


@pytest.mark.parametrize("when", FALLBACK_CUTS)
def test_what_died_is_closed_once_by_the_tick(there: EnvironmentClient, twin: Twin, project: Path, when: str) -> None:
    model, registry, workflows = f"a-dead-{when}", there.cloud.registry, there.session.client("stepfunctions")
    run, release = replace(a_run(f"run-{when}"), model=model), replace(a_release(), model=model)
    # The tick looks after models in the order of their names, so that its first calls are about this one.
    write_contract(project, **{**SMALL, "model": model})
    for name, machine in ((run.execution, "TrainingWorkflowArn"), (release.execution, "ReleaseWorkflowArn")):
        # It is told of another model, which is not there: every function fails, and nothing is closed.
        workflows.start_execution(stateMachineArn=there.outputs[machine], name=name, input='{"model": "none"}')
    twin.settle(60)
    state = replace(registry.training(model).value, running=run.id)
    registry.save(
        put(run, expected_revision=0),
        put(release, expected_revision=0),
        put_training(model, state, expected_revision=0),
    )
    with faults_in(twin, "tick", when):
        there.session.client("lambda").invoke(FunctionName="serin-local-tick", InvocationType="Event", Payload=b"{}")
        twin.settle(60)
    ended = registry.run(model, run.id).value
    assert (ended.status, ended.error) == (RunStatus.FAILED, "its workflow ended without closing it")
    assert registry.training(model).value.running is None
    assert registry.training(model).value.decision == "there is no accepted data yet"
    assert_ended_once(there, model, release)


@contextmanager
def faults_in(twin: Twin, function: str, when: Any) -> Iterator[None]:
    """Kill a function's next tries, or have it do everything twice."""
    name = f"serin-local-{function}"
    faults = [twin.kill(name, call=call, when=when) for call in FALLBACK_CUTS[when][function]]
    if not faults:
        twin.deliver_twice(name)
    try:
        yield
    finally:
        twin.clear_faults()
    assert [fault.has_fired for fault in faults] == [True] * len(faults)


def assert_ended_once(there: EnvironmentClient, model: str, release: Release) -> None:
    registry = there.cloud.registry
    assert registry.release(model, release.id).value.status is ReleaseStatus.ABORTED
    assert [(entry.move, entry.release) for entry in registry.history(model)] == [("aborted", release.id)]
    assert registry.route(model) is None


def assert_one_of_each(there: EnvironmentClient, model: str) -> None:
    """One dataset, one run that came to its end, one version, one promotion in the history; and it answers."""
    registry = there.cloud.registry
    assert len(registry.datasets(model)) == 1
    assert [str(run.status) for run in registry.runs(model)] == ["registered"]
    assert [version.number for version in registry.versions(model)] == [1]
    assert [entry.move for entry in registry.history(model)] == ["live", "promote"]
    assert registry.releases(model)[0].status is ReleaseStatus.PROMOTED
    assert registry.training(model).value.running is None
    receipts = [json.loads(there.cloud.data.get(item.key)) for item in there.cloud.data.list(f"receipts/{model}/")]
    assert [receipt["status"] for receipt in receipts] == ["accepted"]
    answer = there.call("POST", f"/models/{model}/predict", {"rows": [{"x": 1.5}]})
    assert answer["predictions"][0]["prediction"] == "up"
