"""Records come back as they went in, and newer code's rows can be read by older."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from serin.errors import NotFound, Refused
from serin.registry.ids import receipt_id, run_id, ulid
from serin.registry.lineage import resolve_version
from serin.registry.receipts import read_receipt, receipt_key, write_receipt
from serin.registry.reconcile import Dead, resend_lost_uploads
from serin.registry.records import (
    Approval,
    HistoryEntry,
    Receipt,
    ReceiptStatus,
    ReleaseStatus,
    Route,
    RunStatus,
    TrainingState,
)
from serin.registry.registry import Registry, decode, put, put_training
from tests.builders import a_dataset, a_release, a_route, a_run, a_version
from tests.fakes import STORED_AT, FakeObjects, FakeQueue, FakeRows, FakeWorkflow


@pytest.fixture
def registry() -> Registry:
    return Registry(FakeRows())


def test_records_come_back_as_they_went_in(registry: Registry) -> None:
    entry = HistoryEntry("01", "loans", "2026", "me", "promote", "why", 1, None, {"a": [1]})
    release = a_release(step=2, changed_at=("2026", "2027"), approval=Approval(True, "ada", "2026", "d1"))
    records = (a_dataset(), a_run(), a_version(), release, a_route(), entry)
    registry.save(*(put(record, expected_revision=0) for record in records))
    found = (
        registry.datasets("loans")[0],
        registry.run("loans", "run1").value,
        registry.version("loans", 1).value,
        registry.release("loans", "00000001-1").value,
        registry.route("loans").value,  # type: ignore[union-attr]  # it was stored above
        registry.history("loans")[0],
    )
    assert found == records


def test_versions_are_listed_as_numbers_sort(registry: Registry) -> None:
    for number in (10, 9, 100):
        registry.save(put(a_version(number), expected_revision=0))
    assert [version.number for version in registry.versions("loans")] == [9, 10, 100]


def test_a_key_of_newer_code_is_left_out() -> None:
    body = {"model": "loans", "champion": {"version": 1, "files": {}, "since": "2026", "lease": 3}, "weight": 5}
    assert decode(Route, body).champion.version == 1


def test_what_is_not_there_is_said_by_its_name(registry: Registry) -> None:
    with pytest.raises(NotFound, match="loans has no version 12"):
        registry.version("loans", 12)


@pytest.mark.parametrize(
    ("which", "error"), [("champion", NotFound), ("7", NotFound), ("x", Refused), ("-1", Refused), ("²", Refused)]
)
def test_a_version_that_cannot_be_meant_is_refused(registry: Registry, which: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        resolve_version(registry, "loans", which)


def test_names_follow_from_content_alone() -> None:
    assert run_id(datasets=["b", "a"], contract_digest="c", code_digest="d") == run_id(
        datasets=["a", "b"], contract_digest="c", code_digest="d"
    )
    assert receipt_id("a", "bc") != receipt_id("ab", "c")


def test_ulids_sort_by_time() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [ulid(start + timedelta(milliseconds=step), bytes(10)) for step in range(50)]
    assert ids == sorted(ids)
    assert {len(one) for one in ids} == {26}


def test_a_receipt_comes_back_as_it_went_in() -> None:
    objects = FakeObjects()
    receipt = Receipt("id", "loans", "uploads/loans/é.csv", "v1", ReceiptStatus.ACCEPTED, "2026", ({"code": "X"},))
    write_receipt(objects, receipt)
    assert read_receipt(objects, "loans", "id") == receipt
    assert read_receipt(objects, "loans", "other") is None


@pytest.mark.parametrize(("hours", "sent"), [(2, 0), (4, 1)])
def test_an_upload_long_without_a_receipt_is_sent_again(hours: int, sent: int) -> None:
    data, events = FakeObjects(), FakeQueue()
    for name in ("seen", "lost"):
        data.put(f"uploads/loans/{name}.csv", b"x")
    data.put(receipt_key("loans", receipt_id("uploads/loans/seen.csv", "1")), b"{}")
    now = STORED_AT + timedelta(hours=hours)
    assert resend_lost_uploads("loans", data=data, bucket="b", upload_events=events, now=now) == sent
    if sent:
        assert events.messages[0]["detail"]["object"] == {"key": "uploads/loans/lost.csv", "version-id": "1"}


def test_what_died_is_found_what_never_started_is_started_and_the_young_are_left_alone(registry: Registry) -> None:
    training, releasing = FakeWorkflow(), FakeWorkflow()
    now = datetime(2026, 1, 1, 1, tzinfo=UTC)
    registry.save(
        put(a_run("dead"), expected_revision=0),
        put(a_run("never"), expected_revision=0),
        put(a_run("young", started_at=(now - timedelta(seconds=30)).isoformat()), expected_revision=0),
        put(a_run("over", status=RunStatus.FAILED), expected_revision=0),
        put(a_release(1), expected_revision=0),
        put(a_release(2, status=ReleaseStatus.PROMOTED), expected_revision=0),
    )
    training.started["dead-1"] = {}
    releasing.started["loans-00000001-1"] = {}
    dead = Dead(registry, training, releasing, now)
    assert [run.id for run in dead.runs("loans")] == ["dead"]
    assert [release.version for release in dead.releases("loans")] == [1]
    assert training.started["never-1"] == {"model": "loans", "run": "never", "attempt": 1}
    assert "young-1" not in training.started


def test_the_training_state_begins_empty_and_moves_by_revision(registry: Registry) -> None:
    assert registry.training("loans").revision == 0
    registry.save(put_training("loans", TrainingState(running="r"), expected_revision=0))
    assert registry.training("loans").value.running == "r"
