"""A champion is checked when due; drift is told once a cooldown, and asks for a training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from functions.check_drift import handler
from serin.aws.cloud import Cloud, utc_now
from serin.contract.load import Contracts
from serin.errors import Refused, SerinError, Unavailable, Unverified
from serin.monitoring.check import Checker
from serin.monitoring.drift import DriftReport, DriftVerdict
from serin.monitoring.summary import Summary
from serin.monitoring.summary_per_file import Summariser
from serin.registry.records import Retirement
from serin.registry.registry import Registry, put
from serin.registry.requests import Trigger
from tests.builders import a_capture_file, a_contract
from tests.fakes import FakeClock, FakeNotifier, FakeObjects, FakeQueue
from tests.interleave import OvertakenRows, overtake_every_row
from tests.monitoring.world import CONTEXT, captures_of, register

CLOCK = "clock"


class Bench:
    """A checker over fakes, and what serves the champion that it checks."""

    def __init__(self, folder: Path, *, is_champion: bool = True, empty: Sequence[str] = (), **said: Any) -> None:
        (folder / "loans").mkdir()
        contract = a_contract(**said).model_dump(mode="json", exclude_defaults=True)
        (folder / "loans" / "model.yaml").write_text(yaml.safe_dump(contract))
        self.table = OvertakenRows()
        self.registry, self.data, self.artifacts = Registry(self.table), FakeObjects(), FakeObjects()
        self.requests, self.notifier, self.clock = FakeQueue(), FakeNotifier(), FakeClock()
        register(self.registry, self.artifacts, is_champion=is_champion, empty=empty)
        self.checker = Checker(
            self.registry,
            self.data,
            self.artifacts,
            Contracts(folder),
            self.requests,
            self.notifier,
            self.clock,
            lambda at: at.isoformat(),
            actor="check_drift",
        )

    def serve(self, rows: int, **table: Any) -> None:
        """Answer requests now, and let their captures be summarised."""
        at = self.clock()
        key = f"captures/dt={at:%Y-%m-%d}/hour={at:%H}/{at:%M%S%f}.jsonl.gz"
        content = a_capture_file(*captures_of(rows, at=int(at.timestamp() * 1000), seed=1, **table))
        Summariser(self.registry, self.data, self.artifacts).summarise(key, self.data.put(key, content))

    def check(self, by: str = CLOCK) -> DriftReport:
        report = self.checker.check("loans", by)
        assert report is not None
        return report


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_traffic_as_in_training_is_steady_and_nobody_is_told(bench: Bench) -> None:
    bench.serve(400)
    report = bench.check()
    assert (report.verdict, report.rows) == (DriftVerdict.STEADY, 400)
    assert {shift.column for shift in report.features} == {"age", "salary", "education"}
    assert {shift.column for shift in report.predictions} == {"score", "label"}
    assert (bench.requests.messages, bench.notifier.told, bench.registry.history("loans")) == ([], [], [])


def test_a_retired_model_is_not_checked_and_who_asks_is_told_so(bench: Bench) -> None:
    bench.serve(400, older=25)
    route = bench.registry.route("loans")
    assert route is not None
    retirement = Retirement("2026-01-01T00:00:00+00:00", "arn:aws:iam::1:user/ann", "nobody asks it")
    bench.registry.save(put(replace(route.value, retirement=retirement), expected_revision=route.revision))
    assert bench.checker.check("loans", CLOCK) is None
    with pytest.raises(Refused, match="by ann: nobody asks it"):
        bench.checker.check("loans", Trigger.HAND)
    assert (bench.requests.messages, bench.notifier.told) == ([], [])


def test_drift_names_the_feature_tells_people_and_asks_for_a_training(bench: Bench) -> None:
    bench.serve(400, older=25)
    report = bench.check()
    state, (entry,), ((subject, text),) = (
        bench.registry.drift("loans").value,
        bench.registry.history("loans"),
        bench.notifier.told,
    )
    assert report.verdict is DriftVerdict.DRIFTED
    assert {shift.column for shift in report.features if shift.verdict is DriftVerdict.DRIFTED} == {"age", "salary"}
    assert bench.requests.messages == [{"model": "loans", "by": "drift", "id": "drift of 1 since ever"}]
    assert subject == "loans@1: what it is asked has drifted"
    assert "age: median" in text
    assert "serin drift loans" in text
    assert (entry.move, entry.version, entry.evidence["report"]) == ("drift alarm", 1, state.report)
    stored = json.loads(bench.data.get(state.report))
    assert (stored["verdict"], stored["rows"]) == ("drifted", 400)


def test_a_column_that_was_empty_in_training_and_is_filled_is_a_finding_and_no_alarm(tmp_path: Path) -> None:
    bench = Bench(tmp_path, empty=("salary",))
    bench.serve(400)
    report = bench.check()
    assert (report.verdict, report.features[0].column) == (DriftVerdict.INTEGRITY, "salary")
    assert "salary was always missing in training" in bench.registry.drift("loans").value.reason
    assert (bench.requests.messages, bench.notifier.told, bench.registry.history("loans")) == ([], [], [])


def test_it_is_checked_when_due_and_by_hand_at_once(bench: Bench) -> None:
    bench.serve(400)
    bench.check()
    bench.clock.advance(minutes=59)
    assert bench.checker.check("loans", CLOCK) is None
    bench.check(Trigger.HAND)
    bench.clock.advance(minutes=61)
    bench.check()


def test_one_check_by_a_clock_that_was_fast_keeps_no_others_away(bench: Bench) -> None:
    bench.clock.advance(hours=20)
    bench.check()
    bench.clock.advance(hours=-20)
    bench.serve(400, older=25)
    assert bench.check().verdict is DriftVerdict.DRIFTED
    assert len(bench.notifier.told) == 1
    assert bench.checker.check("loans", CLOCK) is None


def test_people_are_told_once_a_cooldown(bench: Bench) -> None:
    for told, hours in ((1, 1), (1, 4), (1, 2), (2, 1)):
        bench.serve(400, older=25)
        bench.check()
        assert (len(bench.notifier.told), len(bench.requests.messages)) == (told, told)
        bench.clock.advance(hours=hours)


def test_what_was_served_before_the_window_does_not_count(bench: Bench) -> None:
    bench.serve(400, older=25)
    bench.clock.advance(hours=25)
    bench.serve(50)
    report = bench.check()
    assert (report.rows, report.verdict) == (50, DriftVerdict.NOT_ENOUGH)


def test_without_traffic_there_is_not_enough(bench: Bench) -> None:
    report = bench.check()
    assert (report.rows, report.verdict, report.features) == (0, DriftVerdict.NOT_ENOUGH, ())


def test_a_contract_may_leave_the_training_to_people(tmp_path: Path) -> None:
    bench = Bench(tmp_path, training={"retrain": {"on_drift": False}})
    bench.serve(400, older=25)
    bench.check()
    assert (len(bench.notifier.told), bench.requests.messages) == (1, [])


def test_a_version_older_than_it_may_be_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, monitoring={"max_age": "30d"})
    bench.clock.advance(days=29)
    assert not bench.check().is_stale
    bench.clock.advance(days=2)
    assert bench.check().is_stale
    assert [subject for subject, _ in bench.notifier.told] == ["loans@1 is older than it may be"]
    assert bench.requests.messages == []


def test_each_summary_is_read_once_for_all_models_and_counts_in_the_windows_that_it_is_of(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        bench.serve(20)
        bench.clock.advance(hours=3)
    for stored in bench.data.list("summaries/"):  # another model was asked the same
        summary = Summary.from_json(bench.data.get(stored.key))
        both = {(model, 1): summary.served["loans", 1] for model in ("loans", "other")}
        bench.data.put(stored.key, replace(summary, served=both).to_json())
    due = bench.checker.due("loans", Trigger.HAND)
    assert due is not None
    other = replace(due, version=replace(due.version, model="other"), since=due.at - timedelta(hours=4))
    read, get = list[str](), bench.data.get

    def noted(key: str, version: str | None = None) -> bytes:
        read.append(key)
        return get(key, version)

    monkeypatch.setattr(bench.data, "get", noted)
    served = bench.checker.served([due, other])
    assert {model: each.rows.rows for model, each in served.items()} == {"loans": 60, "other": 20}
    assert sorted(read) == [stored.key for stored in bench.data.list("summaries/")]
    assert bench.checker.served([]) == {}


def test_where_nobody_answers_nothing_is_checked(tmp_path: Path) -> None:
    assert Bench(tmp_path, is_champion=False).checker.check("loans", Trigger.HAND) is None


def test_of_two_checks_at_once_one_tells(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.serve(400, older=25)
    state = bench.registry.drift("loans")
    bench.check()
    monkeypatch.setattr(Registry, "drift", lambda *_: state)
    bench.check()
    assert (len(bench.notifier.told), len(bench.registry.history("loans"))) == (1, 1)
    first, second = bench.requests.messages
    assert first == second, "a training answers one of them"


def test_a_check_writes_over_nothing_that_was_written_meanwhile(bench: Bench) -> None:
    bench.serve(400, older=25)
    assert overtake_every_row(bench, Bench.check) == 2  # what was found, and the alarm in the history


def test_an_alarm_stands_in_the_history_behind_what_was_written_while_it_was_found(bench: Bench) -> None:
    bench.serve(400, older=25)
    bench.check()
    (alarm,) = bench.registry.history("loans")
    assert alarm.id > alarm.at


def test_people_out_of_reach_do_not_undo_what_was_found(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str) -> None:
        raise Unavailable("the topic is out of reach")

    monkeypatch.setattr(bench.notifier, "tell", fail)
    bench.serve(400, older=25)
    assert bench.check().verdict is DriftVerdict.DRIFTED
    assert len(bench.registry.history("loans")) == 1


def test_a_profile_that_is_not_the_registered_one_is_not_compared_with(bench: Bench) -> None:
    bench.artifacts.put("models/loans/1/profile.json", b"{}")
    with pytest.raises(Unverified, match=r"profile\.json"):
        bench.check()


def test_the_function_checks_each_model_and_one_that_fails_stops_no_other(
    deployed: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(handler, "checker", cache(handler.checker.__wrapped__))
    broken = deployed.contracts.folder / "apples"
    broken.mkdir()
    (broken / "model.yaml").write_text("model: apples\nfeatures: 3\n")
    at = utc_now()
    key = f"captures/dt={at:%Y-%m-%d}/hour={at:%H}/one.jsonl.gz"
    lines = captures_of(300, at=int(at.timestamp() * 1000), older=25)
    version = deployed.data.put(key, a_capture_file(*lines))
    Summariser(deployed.registry, deployed.data, deployed.artifacts).summarise(key, version)
    with pytest.raises(SerinError, match="failed for apples"):
        handler.handler({}, CONTEXT)
    assert deployed.registry.drift("loans").value.verdict == "drifted"
    sent = boto3.client("sqs").receive_message(QueueUrl=deployed.names["TRAINING_QUEUE_URL"])["Messages"]
    assert [json.loads(message["Body"])["by"] for message in sent] == ["drift"]
    counted = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert counted[0]["model"] == "loans"
    assert counted[0]["DriftEffect"][0] > 1
    assert counted[1]["CheckedDrifted"] == [1.0]
