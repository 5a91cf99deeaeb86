"""Two at once between an upload and a version: whatever one does between two calls of the other, all of it counts once.

The releases' pairs stand in tests/release/test_interleaving.py.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from serin.contract.load import Contracts
from serin.registry.keys import run_prefix
from serin.registry.records import RunStatus
from serin.registry.register import ARTIFACTS, Registrar
from serin.registry.registry import Registry, put
from serin.registry.requests import TrainingRequest, Trigger
from serin.training.close import Closer
from serin.training.start import Starter
from tests.builders import a_contract, a_dataset
from tests.fakes import RESTLESS, FakeClock, FakeNotifier, FakeObjects, FakeQueue, FakeWorkflow
from tests.interleave import OvertakenRows, Seam, at_every_call, overtake_every_row


class Training:
    """Who starts, registers and closes runs of `loans`, over fakes; a first run is under way."""

    def __init__(self, folder: Path) -> None:
        (folder / "loans").mkdir()
        said = a_contract().model_dump(mode="json", exclude_defaults=True)
        (folder / "loans" / "model.yaml").write_text(yaml.safe_dump(said))
        self.seam, self.table, self.clock = Seam(), OvertakenRows(), FakeClock()
        self.registry = Registry(self.seam.over(self.table))
        self.workflow, self.requests = self.seam.over(FakeWorkflow()), self.seam.over(FakeQueue())
        self.data, self.artifacts = self.seam.over(FakeObjects()), self.seam.over(FakeObjects())
        self.starter = Starter(self.registry, Contracts(folder), self.workflow, self.clock, RESTLESS, "code")
        notifier = self.seam.over(FakeNotifier())
        self.closer = Closer(self.registry, self.requests, notifier, self.clock, RESTLESS)
        self.registrar = Registrar(self.registry, self.data, self.artifacts, self.clock, RESTLESS)
        self.accept("d1")
        self.starter.consider(TrainingRequest("loans", Trigger.UPLOAD))
        self.first = self.judged()

    def accept(self, name: str) -> None:
        self.registry.save(put(a_dataset(name, rows=2000), expected_revision=0))

    def judged(self) -> str:
        """Let the run that is under way be fitted and judged, and name it."""
        run = self.registry.training("loans").value.running or ""
        contents = dict.fromkeys(ARTIFACTS, run.encode())
        contents["training.json"] = json.dumps({"chosen": "linear", "libraries": {}}).encode()
        contents["evaluation.json"] = json.dumps({"passed": True, "gates": [], "metrics": {}}).encode()
        for file, content in contents.items():
            self.data.put(run_prefix("loans", run) + file, content)
        return run


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path)


def data_came(training: Training) -> None:
    training.accept("d2")
    training.starter.consider(TrainingRequest("loans", Trigger.UPLOAD))


def asked_by_hand(training: Training) -> None:
    training.starter.consider(TrainingRequest("loans", Trigger.HAND, "r1"))


def ticked(training: Training) -> None:
    training.starter.consider(TrainingRequest("loans", Trigger.TICK))


def registered(training: Training) -> None:
    training.registrar.register("loans", training.first)


def registered_and_tried(training: Training) -> None:
    registered(training)
    found = training.registry.version("loans", 1)
    training.registry.save(put(replace(found.value, served=True), expected_revision=found.revision))


def closed(training: Training) -> None:
    version = training.registry.run("loans", training.first).value.version
    training.closer.close("loans", training.first, attempt=1, version=version, passed=True)


def failed(training: Training) -> None:
    training.closer.close("loans", training.first, attempt=1, version=None, passed=False, error="killed")


def failed_and_tried_again(training: Training) -> None:
    failed(training)
    training.starter.consider(TrainingRequest("loans", Trigger.HAND, "r2"))


def another_registered(training: Training) -> None:
    """A run that was given up goes on all the same, and the next one comes to its end too."""
    failed(training)
    data_came(training)
    training.registrar.register("loans", training.judged())


PAIRS = {
    "training done, the same again": (registered, registered),
    "training done, the same again and on trial": (registered, registered_and_tried),
    "training done, training done": (registered, another_registered),
    "training done, run closed": (registered, closed),
    "run closed, training done": (closed, registered),
    "run failed, training done": (failed, registered),
    "run closed, run closed": (closed, closed),
    "run closed, run failed": (closed, failed),
    "run closed, data came": (closed, data_came),
    "data came, run closed": (data_came, closed),
    "data came, data came": (data_came, ticked),
    "run closed, asked by hand": (closed, asked_by_hand),
    "asked by hand, run failed": (asked_by_hand, failed),
    "asked by hand, the same again": (asked_by_hand, asked_by_hand),
    "run failed, run failed and tried again": (failed, failed_and_tried_again),
    "tick, run failed and tried again": (ticked, failed_and_tried_again),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_two_at_once_lose_nothing_and_do_nothing_twice(training: Training, pair: str) -> None:
    one, other = PAIRS[pair]
    for after, when in at_every_call(training, one, other):
        holds(after, when)
        if asked_by_hand in (one, other):
            assert after.registry.training("loans").value.answered == ("r1",), when
        if registered_and_tried in (one, other):
            assert after.registry.version("loans", 1).value.served, when


def holds(training: Training, when: str) -> None:
    registry = training.registry
    state, runs, versions = registry.training("loans").value, registry.runs("loans"), registry.versions("loans")
    running = [run.id for run in runs if run.status is RunStatus.RUNNING]
    assert running == ([state.running] if state.running else []), when
    assert set(training.workflow.started) == {
        f"{run.id}-{attempt}" for run in runs for attempt in range(1, run.attempt + 1)
    }, when
    numbers = Counter(run.version for run in runs if run.version is not None)
    assert max(numbers.values(), default=1) == 1, when
    assert state.last_version == max(numbers, default=0), when
    assert {version.number: version.run for version in versions}.items() <= {
        run.version: run.id for run in runs
    }.items(), when
    told = [subject for subject, _ in training.closer.notifier.told]
    assert len(told) <= len([run for run in runs if run.attempt > 1 or run.status is not RunStatus.RUNNING]), when


@pytest.mark.parametrize(
    ("acts", "rows"),
    [
        ((data_came,), 3),
        ((closed, data_came), 6),
        ((closed, asked_by_hand), 3),
        ((failed_and_tried_again,), 4),
        ((registered, closed), 5),
    ],
    ids=["it rests", "the next run starts", "nothing is new", "a run is tried again", "training done"],
)
def test_nobody_writes_over_what_somebody_else_wrote_meanwhile(
    training: Training, acts: tuple[Callable[[Training], None], ...], rows: int
) -> None:
    def act(training: Training) -> None:
        for each in acts:
            each(training)

    assert overtake_every_row(training, act) == rows
