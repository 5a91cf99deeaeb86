"""The twin's pure parts, as tables."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from moto.sqs.models import Message, Queue

from serin.local.errors import UnsupportedResource
from serin.local.functions import Outcome
from serin.local.layers import merge_layers
from serin.local.logs import metrics_in
from serin.local.queues import batch_event, failed_messages
from serin.local.schedules import parse_schedule


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("rate(5 minutes)", "2026-03-04T10:22:30"),
        ("rate(1 hour)", "2026-03-04T11:17:30"),
        ("cron(0 8 ? * MON-FRI *)", "2026-03-05T08:00:00"),
        ("cron(0/15 * * * ? *)", "2026-03-04T10:30:00"),
        ("cron(0 12 1 * ? *)", "2026-04-01T12:00:00"),
        ("cron(30 6 ? * SUN *)", "2026-03-08T06:30:00"),
        ("cron(5,20 10 4 MAR ? 2026)", "2026-03-04T10:20:00"),
    ],
)
def test_a_schedule_says_when_it_is_due(expression, due):
    wednesday = datetime(2026, 3, 4, 10, 17, 30, tzinfo=UTC)
    assert parse_schedule(expression).next_after(wednesday) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize("expression", ["every day", "rate(5 fortnights)", "cron(0 8 * *)", "cron(0 8 L * ? *)"])
def test_a_schedule_that_is_not_understood_is_named(expression):
    with pytest.raises(UnsupportedResource, match=expression.split("(")[0]):
        parse_schedule(expression)


@pytest.mark.parametrize(
    ("payload", "error", "failed"),
    [
        (b"null", None, set()),
        (b"{}", None, set()),
        (b'{"batchItemFailures": []}', None, set()),
        (b'{"batchItemFailures": null}', None, set()),
        (b'{"batchItemFailures": [{"itemIdentifier": "b"}]}', None, {"b"}),
        (b'{"batchItemFailures": [{"itemIdentifier": "nobody"}]}', None, {"a", "b"}),
        (b'{"batchItemFailures": [{"itemIdentifier": ""}]}', None, {"a", "b"}),
        (b'{"batchItemFailures": [{"id": "a"}]}', None, {"a", "b"}),
        (b'"text"', None, {"a", "b"}),
        (b'""', None, {"a", "b"}),
        (b"[]", None, {"a", "b"}),
        (b"false", None, {"a", "b"}),
        (b'{"batchItemFailures": 0}', None, {"a", "b"}),
        (b'{"batchItemFailures": [null]}', None, {"a", "b"}),
        (b"not JSON", None, {"a", "b"}),
        (b'{"batchItemFailures": []}', "ValueError", {"a", "b"}),
    ],
)
def test_which_messages_of_a_batch_failed(payload, error, failed):
    assert failed_messages(Outcome("id", payload, error), ["a", "b"], is_partial=True) == failed


def test_the_attributes_of_a_message_come_along():
    queue = Queue("q", "eu-west-1", "123456789012")
    message = Message("id", "body")
    message.message_attributes = {
        "text": {"DataType": "String", "StringValue": "t"},
        "mark": {"DataType": "Binary", "BinaryValue": b"\xff"},
    }
    (record,) = json.loads(batch_event([message], queue))["Records"]
    assert record["messageAttributes"]["text"]["stringValue"] == "t"
    assert record["messageAttributes"]["mark"] == {
        "dataType": "Binary",
        "binaryValue": "/w==",
        "stringListValues": [],
        "binaryListValues": [],
    }


def test_without_partial_responses_a_success_is_of_all():
    outcome = Outcome("id", b'{"batchItemFailures": [{"itemIdentifier": "a"}]}', None)
    assert failed_messages(outcome, ["a", "b"], is_partial=False) == set()


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        file = folder / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return folder


def test_layers_lie_over_each_other_the_last_on_top(tmp_path):
    first = write(tmp_path / "1", python__a__x="1", python__a__y="1", only="1")
    second = write(tmp_path / "2", python__a__y="2", python__b="2", models__m="a copy")
    live = write(tmp_path / "live", m="live")

    opt = merge_layers([first, second], into=tmp_path / "opt", live={"models": live, "absent": live})

    found = {str(f.relative_to(opt)): f.read_text() for f in (opt / "python").rglob("*") if f.is_file()}
    assert found == {"python/a/x": "1", "python/a/y": "2", "python/b": "2"}
    assert (opt / "only").read_text() == "1"
    assert (opt / "models" / "m").read_text() == "live"
    assert not (opt / "absent").exists()
    assert (first / "python" / "a" / "y").read_text() == "1"  # the layers themselves are as they were


def test_each_metric_of_a_line_comes_with_each_set_of_dimensions():
    line = {
        "_aws": {
            "Timestamp": 0,
            "CloudWatchMetrics": [
                {
                    "Namespace": "Serin",
                    "Dimensions": [["service"], ["service", "model"]],
                    "Metrics": [{"Name": "Rows", "Unit": "Count"}, {"Name": "Ms"}],
                }
            ],
        },
        "service": "api",
        "model": "loans",
        "Rows": 3,
        "Ms": [1.5, 2],
    }
    found = [
        (n, d["MetricName"], d["Values"], d["Unit"], len(d["Dimensions"])) for n, d in metrics_in(json.dumps(line))
    ]
    assert found == [
        ("Serin", "Rows", [3], "Count", 1),
        ("Serin", "Ms", [1.5, 2], "None", 1),
        ("Serin", "Rows", [3], "Count", 2),
        ("Serin", "Ms", [1.5, 2], "None", 2),
    ]


@pytest.mark.parametrize("line", ['{"_aws": 1}', '{"_aws": {"Timestamp": "x"}}', '{"_aws"', '["_aws"]'])
def test_a_line_that_only_looks_like_metrics_is_none(line):
    assert list(metrics_in(line)) == []
