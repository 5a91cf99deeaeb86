"""A capture file gets its summary, once, by SQS's messages; a window is read from summaries."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from functions.summarise import handler
from serin.aws.cloud import Cloud
from serin.contract.serving_spec import CaptureSpec
from serin.errors import Refused, TooLarge, Unavailable
from serin.monitoring import summary_per_file as module
from serin.monitoring.summary import Summary
from serin.monitoring.summary_per_file import Summariser
from serin.monitoring.window import read_summaries
from serin.registry.ids import sha256
from serin.registry.keys import summary_key
from serin.registry.reconcile import created_event
from serin.registry.registry import Registry, put
from tests.builders import a_capture, a_capture_file, a_version
from tests.fakes import FakeObjects, FakeRows
from tests.monitoring.world import CONTEXT, register

KEY = "captures/dt=2026-01-01/hour=00/one.jsonl.gz"
SUMMARY = "summaries/dt=2026-01-01/hour=00/one.json"
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def bench() -> Summariser:
    made = Summariser(Registry(FakeRows()), FakeObjects(), FakeObjects())
    register(made.registry, made.artifacts)
    return made


def test_a_capture_file_that_comes_again_replaces_its_own_summary(bench: Summariser) -> None:
    version = bench.data.put(KEY, a_capture_file(a_capture(1), a_capture(2)))
    first, _ = bench.summarise(KEY, version)
    assert bench.summarise(KEY, version)[0] == first == Summary.from_json(bench.data.get(SUMMARY))
    assert [stored.key for stored in bench.data.list("summaries/")] == [SUMMARY]
    assert (first.captures, {key.feature for key in first.slices}) == (2, {"education"})


def test_what_the_contract_hides_in_captures_is_no_slice() -> None:
    hiding = Summariser(Registry(FakeRows()), FakeObjects(), FakeObjects())
    register(hiding.registry, hiding.artifacts, capture=CaptureSpec(hashed=("education",)))
    assert hiding.summarise(KEY, hiding.data.put(KEY, a_capture_file(a_capture())))[0].slices == {}


def test_a_file_over_the_limit_is_not_read(bench: Summariser, monkeypatch: pytest.MonkeyPatch) -> None:
    version = bench.data.put(KEY, b"x" * 200)
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    with pytest.raises(TooLarge, match="200 bytes"):
        bench.summarise(KEY, version)


@pytest.mark.parametrize("fault", ["another", "gone", "of no run"])
def test_a_version_that_is_broken_has_its_rows_set_aside_and_no_others(bench: Summariser, fault: str) -> None:
    spec = bench.artifacts.get("models/loans/1/spec.json")
    run = "run1" if fault != "of no run" else "lost"
    broken = a_version(2, run=run, files={"spec.json": sha256(spec)})
    bench.registry.save(put(broken, expected_revision=0))
    if fault != "gone":
        bench.artifacts.put("models/loans/2/spec.json", b"{}" if fault == "another" else spec)
    lines = [a_capture(number, version=2, answered=2, release="r") for number in (3, 4)]
    version = bench.data.put(KEY, a_capture_file(a_capture(1), a_capture(2), *lines))
    summary, (hindrance,) = bench.summarise(KEY, version)
    assert hindrance.startswith("loans@2: its rows were not summarised: ")
    assert Summary.from_json(bench.data.get(SUMMARY)) == summary
    assert {place: served.rows.rows for place, served in summary.served.items()} == {("loans", 1): 2}
    assert (summary.captures, summary.skipped, len(summary.releases["loans", "r"].firsts)) == (4, 0, 2)


def test_while_a_version_is_out_of_reach_nothing_is_summarised(
    bench: Summariser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: str) -> bytes:
        raise Unavailable("the bucket is out of reach")

    version = bench.data.put(KEY, a_capture_file(a_capture()))
    monkeypatch.setattr(bench.artifacts, "get", fail)
    with pytest.raises(Unavailable):
        bench.summarise(KEY, version)
    assert not bench.data.exists(SUMMARY)


def test_a_summary_that_is_broken_is_left_out_of_a_window(bench: Summariser) -> None:
    for name in ("one", "two"):
        key = KEY.replace("one", name)
        bench.summarise(key, bench.data.put(key, a_capture_file(a_capture())))
    bench.data.put(SUMMARY, b"no summary")
    (summary,) = read_summaries(bench.data, since=START, until=START + timedelta(hours=1))
    assert summary.captures == 1


@pytest.mark.parametrize("key", ["uploads/loans/x.jsonl.gz", "captures/x.json", "summaries/x.jsonl.gz"])
def test_other_objects_are_no_capture_files(key: str) -> None:
    with pytest.raises(Refused, match="no capture file"):
        summary_key(key)


def test_a_window_is_read_from_the_files_with_requests_in_it(bench: Summariser) -> None:
    for minute, hour in ((0, 0), (50, 1), (90, 1), (200, 3)):  # what came at 00:50 was written after 01:00
        key = f"captures/dt=2026-01-01/hour={hour:02}/{minute}.jsonl.gz"
        line = a_capture(minute, at=int((START + timedelta(minutes=minute)).timestamp() * 1000))
        bench.summarise(key, bench.data.put(key, a_capture_file(line)))

    def minutes_of(since: int, until: int) -> list[int]:
        window = read_summaries(
            bench.data, since=START + timedelta(minutes=since), until=START + timedelta(minutes=until)
        )
        first = START.timestamp() // 60
        return [int(key.minute - first) for summary in window for key in summary.traffic]

    assert minutes_of(0, 240) == [0, 50, 90, 200]
    assert minutes_of(40, 60) == [50]
    assert minutes_of(51, 89) == []


def test_a_poisoned_message_fails_alone(deployed: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "summariser", cache(handler.summariser.__wrapped__))
    good = deployed.data.put(KEY, a_capture_file(a_capture(1), b"START"))
    bad = deployed.data.put(KEY.replace("one", "two"), b"no gzip")
    bodies = [
        json.dumps(created_event("data", KEY, good)),
        json.dumps(created_event("data", KEY.replace("one", "two"), bad)),
        json.dumps({"Event": "s3:TestEvent"}),
        "no JSON",
    ]
    answer = handler.handler({"Records": [message(number, body) for number, body in enumerate(bodies)]}, CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}, {"itemIdentifier": "3"}]}
    assert [stored.key for stored in deployed.data.list("summaries/")] == [SUMMARY]
    assert Summary.from_json(deployed.data.get(SUMMARY)).skipped == 1


def message(number: int, body: str) -> dict[str, Any]:
    return {
        "messageId": str(number),
        "receiptHandle": "r",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:captures",
        "awsRegion": "eu-west-1",
    }
