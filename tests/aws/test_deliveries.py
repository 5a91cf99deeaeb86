"""What a function cannot do comes again soon, and not only after the long time for which its queue hides it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from botocore.exceptions import ClientError
from moto import mock_aws

from serin.aws.deliveries import KILLED_SECONDS, Deliveries
from serin.errors import Unavailable

QUEUE = "arn:aws:sqs:eu-west-1:123456789012:captures"
CONTEXT: Any = SimpleNamespace(get_remaining_time_in_millis=lambda: 299_900)


class Hidden:
    """A client that notes which messages are hidden for how long."""

    def __init__(self, error: Exception | None = None) -> None:
        self.said: list[tuple[str, dict[str, int]]] = []
        self._error = error

    def change_message_visibility_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> None:
        self.said.append((QueueUrl, {entry["ReceiptHandle"]: entry["VisibilityTimeout"] for entry in Entries}))
        if self._error:
            raise self._error


def a_message(name: str, receives: int = 1) -> dict[str, Any]:
    return {
        "messageId": name,
        "receiptHandle": name,
        "body": name,
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": QUEUE,
        "awsRegion": "eu-west-1",
    }


def fail(record: Any) -> None:
    if record.body != "good":
        raise Unavailable("S3 is out of reach")


def test_one_that_fails_comes_again_soon_and_the_others_are_done() -> None:
    client = Hidden()
    event = {"Records": [a_message("good"), a_message("bad")]}
    assert Deliveries(client, tries=4).work_off(event, fail, CONTEXT) == {
        "batchItemFailures": [{"itemIdentifier": "bad"}]
    }
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/captures"
    at_start = dict.fromkeys(("good", "bad"), 299 + KILLED_SECONDS)
    assert client.said == [(url, at_start), (url, {"bad": 15})]


def test_each_time_it_waits_longer_and_after_the_last_it_is_set_aside_at_once() -> None:
    deliveries = Deliveries(Hidden(), tries=4)
    assert [deliveries.pause_after(receives) for receives in (1, 2, 3, 4, 5)] == [15, 90, 540, 0, 0]


def test_where_sqs_does_not_hide_it_the_work_is_done_all_the_same() -> None:
    client = Hidden(ClientError({"Error": {"Code": "ThrottlingException"}}, "ChangeMessageVisibilityBatch"))
    answer = Deliveries(client, tries=4).work_off({"Records": [a_message("good")]}, fail, CONTEXT)
    assert answer == {"batchItemFailures": []}


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, str]]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = boto3.client("sqs", region_name="eu-west-1")
        yield client, client.create_queue(QueueName="captures", Attributes={"VisibilityTimeout": "1800"})["QueueUrl"]


def test_sqs_delivers_it_again(queue: tuple[Any, str]) -> None:
    client, url = queue
    client.send_message(QueueUrl=url, MessageBody="bad")
    (received,) = client.receive_message(QueueUrl=url)["Messages"]
    event = {"Records": [a_message("bad") | {"receiptHandle": received["ReceiptHandle"]}]}
    with pytest.raises(BatchProcessingError):
        Deliveries(client, tries=1).work_off(event, fail, CONTEXT)
    assert client.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "bad"
