"""However many requests the twin answers, it keeps but the last of what was said and done."""

import sys
from types import SimpleNamespace

import pytest
from moto.cloudwatch.models import CloudWatchBackend
from moto.logs.models import LogGroup
from moto.sns.models import Topic
from moto.sqs.models import Message, Queue

from serin.local import functions, gaps, logs, workflows
from serin.local.functions import Record
from serin.local.gateway import Gateway
from serin.local.wire import Request


def test_a_request_that_was_refused_is_let_go():
    gateway = Gateway(functions=SimpleNamespace(), account="123456789012", region="eu-west-1")
    request = Request("POST", "/live/models/m/predict", "HTTP/1.1", [], body=b"x" * 1000)
    for _ in range(3):
        assert gateway.answer(request, "127.0.0.1").status == 403
    assert sys.getrefcount(request) == 2, "its variable and the argument"


def test_invocations_are_kept_by_the_size_of_their_events(monkeypatch):
    monkeypatch.setattr(functions, "_KEPT_BYTES", 100)
    monkeypatch.setattr(functions, "_KEPT_RECORDS", 5)
    pool = functions._Pool(SimpleNamespace(concurrency=None))
    for number in range(10):
        pool.note(Record(str(number), b"x"))
    assert [record.request_id for record in pool.records] == ["5", "6", "7", "8", "9"]
    pool.note(Record("large", b"x" * 99))
    assert [record.request_id for record in pool.records] == ["9", "large"]
    pool.note(Record("larger", b"x" * 1000))
    assert [record.request_id for record in pool.records] == ["larger"]


def test_a_log_group_keeps_its_last_lines_over_all_its_streams():
    group = LogGroup("123456789012", "eu-west-1", "group")
    for name in ("one", "other"):
        group.create_log_stream(name)
    for number in range(6):
        event = {"timestamp": 1, "message": f"line {number}"}
        group.streams[("one", "other")[number % 2]].put_log_events([event])
    line = len("line 0") + logs._BYTES_PER_EVENT
    streams = list(group.streams.values())
    assert logs._drop_old_events(streams, most=3 * line) == 3 * line
    assert [[event.message for event in stream.events] for stream in streams] == [["line 4"], ["line 3", "line 5"]]


@pytest.fixture
def forgetful(monkeypatch):
    for kind, name in ((CloudWatchBackend, "put_metric_data"), (Topic, "publish"), (Queue, "delete_message")):
        monkeypatch.setattr(kind, name, getattr(kind, name))
    monkeypatch.setattr(gaps, "_KEPT", 10)
    gaps.forget_what_is_old()


@pytest.mark.usefixtures("forgetful")
def test_a_metric_that_counts_often_leaves_the_others_their_values():
    backend = CloudWatchBackend("eu-west-1", "123456789012")
    backend.put_metric_data("Serin", [{"MetricName": "Rare", "Value": 1}])
    for number in range(200):
        backend.put_metric_data("Serin", [{"MetricName": "Often", "Value": number}])
    values = {name: [datum.value for datum in backend.metric_data if datum.name == name] for name in ("Rare", "Often")}
    assert values["Rare"] == [1]
    assert values["Often"][-1] == 199
    assert len(values["Often"]) <= 40


@pytest.mark.usefixtures("forgetful")
def test_notifications_and_handles_are_forgotten():
    topic = Topic(
        "topic",
        SimpleNamespace(
            **{
                "account_id": "123456789012",
                "region_name": "eu-west-1",
                "list_subscriptions_by_topic": lambda **_: ([], None),
            }
        ),
    )
    for number in range(30):
        topic.publish(str(number))
    assert [each[1] for each in topic.sent_notifications] == [str(number) for number in range(20, 30)]

    queue = Queue("queue", "eu-west-1", "123456789012")
    for number in range(30):
        message = Message(str(number), "body")
        message.receipt_handle = str(number)
        queue.add_message(message)
        queue.delete_message(str(number))
        assert len(queue.deleted_messages) <= 10


def test_executions_that_ended_are_forgotten_once_there_are_many(monkeypatch):
    monkeypatch.setattr(workflows, "_KEPT_EXECUTIONS", 2)
    executions = [SimpleNamespace(name=name, status="RUNNING" if name == "a" else "SUCCEEDED") for name in "abcd"]
    workflows._forget_old(executions)
    assert len(executions) == 4
    executions.append(SimpleNamespace(name="e", status="SUCCEEDED"))
    workflows._forget_old(executions)
    assert [each.name for each in executions] == ["a", "d", "e"]
