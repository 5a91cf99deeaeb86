"""A training starts when it should, once, and everybody can see why not."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from serin.contract.load import Contracts
from serin.registry.records import Deletion, Life, Retirement, RunStatus, TrainingState
from serin.registry.registry import Registry, put, put_life, put_training
from serin.registry.requests import TrainingRequest, Trigger
from serin.training.close import Closer
from serin.training.start import MARKED_AT_ONCE, Skip, Starter, Train, decide
from tests.builders import a_contract, a_dataset
from tests.fakes import RESTLESS, FakeClock, FakeNotifier, FakeQueue, FakeRows, FakeWorkflow

NOW = datetime(2026, 2, 1, tzinfo=UTC)
OLD, NEW = a_dataset("old", rows=5000), a_dataset("new", rows=400, at="2026-01-02T00:00:00+00:00")


@pytest.mark.parametrize(
    ("retrain", "datasets", "trained", "by", "trains", "reason"),
    [
        ({}, [], [], Trigger.UPLOAD, None, "no accepted data"),
        ({}, [], [], Trigger.HAND, None, "no accepted data"),
        ({}, [NEW], [], Trigger.UPLOAD, ["new"], "first training, on 400 rows"),
        ({}, [OLD, NEW], ["old"], Trigger.UPLOAD, None, "400 new rows of the 1,000"),
        ({"min_new_rows": 400}, [OLD, NEW], ["old"], Trigger.UPLOAD, ["old", "new"], "400 new rows"),
        ({}, [OLD, NEW], ["old"], Trigger.HAND, ["old", "new"], "by hand"),
        ({}, [OLD], ["old"], Trigger.TICK, None, "trained on already"),
        ({}, [OLD, NEW], ["old"], Trigger.DRIFT, ["old", "new"], "has drifted, and there are 400 new"),
        ({}, [OLD], ["old"], Trigger.DRIFT, None, "trained on already"),
        ({"on_drift": False}, [OLD, NEW], ["old"], Trigger.DRIFT, None, "400 new rows of"),
        ({"on_upload": False}, [OLD], [], Trigger.UPLOAD, None, "on_upload is off"),
        ({"on_upload": False}, [OLD], [], Trigger.HAND, ["old"], "by hand"),
        ({"every": "7d"}, [OLD, NEW], ["old"], Trigger.TICK, ["old", "new"], "older than"),
        ({"every": "60d"}, [OLD, NEW], ["old"], Trigger.TICK, None, "400 new rows of"),
    ],
)
def test_when_it_trains(
    retrain: dict[str, object], datasets: list, trained: list[str], by: Trigger, trains: list[str] | None, reason: str
) -> None:
    contract = a_contract(training={"retrain": retrain})
    last = NOW - timedelta(days=31)
    choice = decide(contract, datasets, running=None, trained=trained, by=by, last_started_at=last, now=NOW)
    assert reason in choice.reason
    match choice:
        case Train():
            assert [dataset.id for dataset in choice.datasets] == trains
        case Skip():
            assert trains is None


def test_while_a_run_is_under_way_nothing_starts() -> None:
    choice = decide(a_contract(), [OLD], running="r1", trained=[], by=Trigger.HAND, last_started_at=None, now=NOW)
    assert isinstance(choice, Skip)
    assert "r1 is under way" in choice.reason


def test_where_uploads_replace_each_other_the_latest_alone_is_trained_on() -> None:
    contract = a_contract(data={"uploads": "replace"})
    choice = decide(contract, [OLD, NEW], running=None, trained=[], by=Trigger.HAND, last_started_at=None, now=NOW)
    assert isinstance(choice, Train)
    assert choice.datasets == (NEW,)


def test_a_minute_of_the_plan_may_be_a_second() -> None:
    contract = a_contract(training={"retrain": {"every": "60d"}})
    last = NOW - timedelta(days=2)
    choice = decide(
        contract,
        [OLD, NEW],
        running=None,
        trained=["old"],
        by=Trigger.TICK,
        last_started_at=last,
        now=NOW,
        seconds_per_minute=1,
    )
    assert isinstance(choice, Train)


class Bench:
    """A starter over fakes."""

    def __init__(self, folder: Path) -> None:
        (folder / "loans").mkdir()
        said = a_contract().model_dump(mode="json", exclude_defaults=True)
        (folder / "loans" / "model.yaml").write_text(yaml.safe_dump(said))
        self.registry = Registry(FakeRows())
        self.workflow = FakeWorkflow()
        self.requests = FakeQueue()
        self.notifier = FakeNotifier()
        self.clock = FakeClock()
        self.starter = Starter(self.registry, Contracts(folder), self.workflow, self.clock, RESTLESS, "code")
        self.closer = Closer(self.registry, self.requests, self.notifier, self.clock, RESTLESS)

    def accept(self, name: str, rows: int = 2000) -> None:
        self.registry.save(put(a_dataset(name, rows=rows), expected_revision=0))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_same_request_twice_starts_one_run(bench: Bench) -> None:
    bench.accept("d1")
    first = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD))
    again = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD))
    assert first.running == again.running
    assert len(bench.workflow.started) == len(bench.registry.runs("loans")) == 1


def test_a_run_whose_start_got_lost_is_started_by_the_next_look(bench: Bench) -> None:
    bench.accept("d1")
    bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD))
    bench.workflow.started.clear()
    bench.starter.consider(TrainingRequest("loans", Trigger.TICK))
    assert len(bench.workflow.started) == 1


def test_data_that_came_meanwhile_is_trained_on_when_the_run_ends(bench: Bench) -> None:
    bench.accept("d1")
    first = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running
    bench.accept("d2")
    assert bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running == first
    bench.closer.close("loans", first or "", attempt=1, version=1, passed=True)
    assert bench.requests.messages == [{"model": "loans", "by": "run"}]
    second = bench.starter.consider(TrainingRequest("loans", Trigger.RUN)).running
    assert second not in (None, first)
    assert bench.registry.run("loans", second or "").value.datasets == ("d1", "d2")


def test_drift_that_is_told_while_a_run_is_under_way_is_answered_when_it_ends(bench: Bench) -> None:
    bench.accept("d1")
    first = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running or ""
    bench.accept("d2", rows=300)
    assert bench.starter.consider(TrainingRequest("loans", Trigger.DRIFT, "told-1")).is_drift_waiting
    bench.closer.close("loans", first, attempt=1, version=1, passed=True)
    second = bench.starter.consider(TrainingRequest("loans", Trigger.RUN))
    assert "has drifted, and there are 300 new rows" in second.decision
    assert (second.running in (None, first), second.is_drift_waiting) == (False, False)
    bench.accept("d3", rows=10)
    redelivered = TrainingRequest("loans", Trigger.DRIFT, "told-1")
    assert not bench.starter.consider(redelivered).is_drift_waiting, "a redelivery asks nothing anew"
    bench.closer.close("loans", second.running or "", attempt=1, version=2, passed=True)
    assert "10 new rows of the 1,000" in bench.starter.consider(TrainingRequest("loans", Trigger.RUN)).decision


@pytest.mark.parametrize("by", [Trigger.TICK, Trigger.UPLOAD, Trigger.RUN])
def test_drift_waits_for_a_contract_that_can_be_read(bench: Bench, by: Trigger) -> None:
    bench.accept("d1")
    first = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running or ""
    bench.closer.close("loans", first, attempt=1, version=1, passed=True)
    bench.accept("d2", rows=300)
    file = bench.starter.contracts.folder / "loans" / "model.yaml"
    text = file.read_text()
    file.write_text("model: loans\n")
    assert bench.starter.consider(TrainingRequest("loans", Trigger.DRIFT, "told-1")).is_drift_waiting
    file.write_text(text)
    assert bench.starter.consider(TrainingRequest("loans", by)).running not in (None, first)


def test_drift_waits_for_the_data_after_those_on_which_a_run_failed(bench: Bench) -> None:
    bench.accept("d1")
    first = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running or ""
    bench.closer.close("loans", first, attempt=1, version=1, passed=True)
    bench.accept("d2", rows=1000)
    second = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running or ""
    bench.starter.consider(TrainingRequest("loans", Trigger.DRIFT, "told-1"))
    bench.closer.close("loans", second, attempt=1, version=None, passed=False, error="out of memory")
    skipped = bench.starter.consider(TrainingRequest("loans", Trigger.RUN))
    assert ("failed on these very inputs" in skipped.decision, skipped.is_drift_waiting) == (True, True)
    assert not bench.starter.consider(TrainingRequest("loans", Trigger.HAND)).is_drift_waiting


def test_drift_that_the_run_under_way_learned_everything_about_waits_no_longer(bench: Bench) -> None:
    bench.accept("d1")
    first = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running or ""
    bench.starter.consider(TrainingRequest("loans", Trigger.DRIFT, "told-1"))
    bench.closer.close("loans", first, attempt=1, version=1, passed=True)
    assert not bench.starter.consider(TrainingRequest("loans", Trigger.RUN)).is_drift_waiting
    bench.accept("d2", rows=10)
    assert bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running is None


def test_each_dataset_is_marked_once_a_decision_knew_of_it(bench: Bench) -> None:
    names = [f"d{number}" for number in range(MARKED_AT_ONCE + 5)]
    for name in names:
        bench.accept(name, rows=1)
    bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD))
    bench.accept("late")
    marked = {dataset.id: dataset.is_considered for dataset in bench.registry.datasets("loans")}
    assert marked == {**dict.fromkeys(names, True), "late": False}


def test_the_state_of_training_does_not_grow_with_the_data(bench: Bench) -> None:
    bench.accept("d1")
    first = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD))
    for number in range(2, 50):
        bench.accept(f"d{number}")
    later = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD))
    assert len(asdict(later)) == len(asdict(first))
    assert not [value for value in asdict(later).values() if isinstance(value, tuple) and value]


def test_the_same_inputs_are_not_trained_twice(bench: Bench) -> None:
    bench.accept("d1")
    run = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running or ""
    bench.closer.close("loans", run, attempt=1, version=1, passed=True)
    state = bench.starter.consider(TrainingRequest("loans", Trigger.HAND, "request-1"))
    assert state.running is None
    assert "these very inputs already" in state.decision
    assert state.answered == ("request-1",)


def test_a_failed_run_is_tried_again_by_hand_only_and_under_another_name(bench: Bench) -> None:
    bench.accept("d1")
    run = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running or ""
    bench.closer.close("loans", run, attempt=1, version=None, passed=False, error="out of memory")
    skipped = bench.starter.consider(TrainingRequest("loans", Trigger.RUN))
    assert skipped.running is None
    assert "failed on these very inputs" in skipped.decision
    assert bench.starter.consider(TrainingRequest("loans", Trigger.HAND)).running == run
    assert list(bench.workflow.started) == [f"{run}-1", f"{run}-2"]


def test_what_a_failed_run_did_not_learn_from_counts_with_the_next_data(bench: Bench) -> None:
    bench.accept("d1", rows=900)
    run = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running or ""
    bench.closer.close("loans", run, attempt=1, version=None, passed=False, error="out of memory")
    bench.accept("d2", rows=200)
    second = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running
    assert bench.registry.run("loans", second or "").value.datasets == ("d1", "d2")


def test_a_late_first_attempt_does_not_close_the_second(bench: Bench) -> None:
    bench.accept("d1")
    run = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running or ""
    bench.closer.close("loans", run, attempt=1, version=None, passed=False, error="out of memory")
    bench.starter.consider(TrainingRequest("loans", Trigger.HAND))
    assert bench.closer.close("loans", run, attempt=1, version=1, passed=True).status is RunStatus.RUNNING
    assert bench.registry.training("loans").value.running == run
    assert bench.workflow.started[f"{run}-2"] == {"model": "loans", "run": run, "attempt": 2}
    assert bench.closer.close("loans", run, attempt=2, version=1, passed=True).status is RunStatus.REGISTERED


def test_a_request_by_hand_that_comes_twice_is_answered_once(bench: Bench) -> None:
    bench.accept("d1")
    run = bench.starter.consider(TrainingRequest("loans", Trigger.HAND, "r1")).running or ""
    bench.closer.close("loans", run, attempt=1, version=None, passed=False, error="killed")
    assert bench.starter.consider(TrainingRequest("loans", Trigger.HAND, "r1")).running is None


@pytest.mark.parametrize("text", [None, "model: loans\nfeatures: 3\n"])
def test_without_a_contract_that_can_be_read_it_rests_and_says_why(bench: Bench, text: str | None) -> None:
    file = bench.starter.contracts.folder / "loans" / "model.yaml"
    file.unlink() if text is None else file.write_text(text)
    bench.accept("d1")
    state = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD))
    assert state.running is None
    assert "no contract to train by" in state.decision


def test_closing_twice_tells_people_once(bench: Bench) -> None:
    bench.accept("d1")
    run = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running or ""
    bench.closer.close("loans", run, attempt=1, version=1, passed=False)
    closed = bench.closer.close("loans", run, attempt=1, version=None, passed=False, error="late")
    assert closed.status is RunStatus.REJECTED
    assert [subject for subject, _ in bench.notifier.told] == ["loans@1 was rejected by its gates"]


@pytest.mark.parametrize("by", list(Trigger))
def test_a_retired_model_is_not_trained_whoever_asks(bench: Bench, by: Trigger) -> None:
    bench.accept("d1")
    retirement = Retirement("2026-01-01T00:00:00+00:00", "arn:aws:iam::1:user/ann", "nobody asks it")
    bench.registry.save(put_life("loans", Life(retirement), expected_revision=0))
    state = bench.starter.consider(TrainingRequest("loans", by, "r1"))
    assert (state.running, bench.workflow.started, state.is_drift_waiting) == (None, {}, False)
    assert state.decision == "loans is retired since 2026-01-01T00:00:00, by ann: nobody asks it; nothing is trained"
    bench.registry.save(put_life("loans", Life(), expected_revision=1))
    assert bench.starter.consider(TrainingRequest("loans", Trigger.DATA)).running


def test_the_same_data_after_a_deletion_is_another_run(bench: Bench) -> None:
    """The name of an execution is spent once, so that a run of the same name would never begin."""
    bench.accept("d1")
    before = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running
    bench.registry.erase_records("loans")
    state = bench.registry.training("loans")
    bench.registry.save(put_training("loans", TrainingState(), expected_revision=state.revision))
    ended = Deletion("2026-01-02", "ann", "a trial", ended_at="2026-01-02")
    bench.registry.save(put_life("loans", Life(deletion=ended), expected_revision=0))
    bench.accept("d1")
    after = bench.starter.consider(TrainingRequest("loans", Trigger.UPLOAD)).running
    assert after not in (None, before)
    assert len(bench.workflow.started) == 2
