"""Do conditional writes have exactly one winner, as on AWS? moto alone lets two through."""

import threading
import time
import uuid
from io import BytesIO
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from moto.sqs.models import Queue, SQSBackend

from serin.local.endpoint import Endpoint
from serin.local.gaps import make_queues_safe

WRITERS = 12
REFUSALS = {"ConditionalCheckFailedException", "TransactionCanceledException", "PreconditionFailed"}


def race(write):
    """Let many write at once; how many of them were told that they had won."""
    barrier = threading.Barrier(WRITERS)
    won, refusals = [], []

    def attempt(number):
        barrier.wait()
        try:
            write(number)
            won.append(number)
        except ClientError as error:
            refusals.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(refusals) <= REFUSALS
    return won


@pytest.fixture
def item(aws):
    """An item of a name of its own, and a way to read it."""
    key = {"key": {"S": str(uuid.uuid4())}}
    client = aws("dynamodb")
    return key, lambda: client.get_item(TableName="ledger", Key=key)["Item"]


def test_one_put_of_a_new_item_wins(aws, item):
    key, read = item

    def put(number):
        aws("dynamodb").put_item(
            TableName="ledger",
            Item={**key, "by": {"N": str(number)}},
            ConditionExpression="attribute_not_exists(#k)",
            ExpressionAttributeNames={"#k": "key"},
        )

    won = race(put)
    assert len(won) == 1
    assert read()["by"] == {"N": str(won[0])}


def test_one_update_on_a_revision_wins(aws, item):
    key, read = item
    aws("dynamodb").put_item(TableName="ledger", Item={**key, "revision": {"N": "1"}})

    def update(number):
        aws("dynamodb").update_item(
            TableName="ledger",
            Key=key,
            UpdateExpression="SET revision = :next",
            ConditionExpression="revision = :expected",
            ExpressionAttributeValues={":next": {"N": "2"}, ":expected": {"N": "1"}},
        )

    assert len(race(update)) == 1
    assert read()["revision"] == {"N": "2"}


def test_one_transaction_wins(aws, item):
    key, read = item
    aws("dynamodb").put_item(TableName="ledger", Item={**key, "revision": {"N": "1"}})

    def transact(number):
        history = {"key": {"S": f"{key['key']['S']} history {number}"}}
        aws("dynamodb").transact_write_items(
            TransactItems=[
                {
                    "Update": {
                        "TableName": "ledger",
                        "Key": key,
                        "UpdateExpression": "SET revision = :next, winner = :me",
                        "ConditionExpression": "revision = :expected",
                        "ExpressionAttributeValues": {
                            ":next": {"N": "2"},
                            ":expected": {"N": "1"},
                            ":me": {"N": str(number)},
                        },
                    }
                },
                {"Put": {"TableName": "ledger", "Item": history}},
            ]
        )

    won = race(transact)
    assert len(won) == 1
    assert read()["winner"] == {"N": str(won[0])}
    written = [
        number
        for number in range(WRITERS)
        if "Item"
        in aws("dynamodb").get_item(
            TableName="ledger", Key={"key": {"S": f"{key['key']['S']} history {number}"}}, ConsistentRead=True
        )
    ]
    assert written == won


def test_a_cancelled_transaction_leaves_everything_as_it_was(aws, item):
    key, read = item
    client = aws("dynamodb")
    client.put_item(TableName="ledger", Item={**key, "revision": {"N": "1"}, "tags": {"L": [{"S": "old"}]}})
    other = {"key": {"S": f"{key['key']['S']} other"}}

    def change(expected):
        client.transact_write_items(
            TransactItems=[
                {
                    "Update": {
                        "TableName": "ledger",
                        "Key": key,
                        "UpdateExpression": "SET tags[0] = :new, revision = :two",
                        "ExpressionAttributeValues": {":new": {"S": "new"}, ":two": {"N": "2"}},
                    }
                },
                {"Put": {"TableName": "ledger", "Item": other}},
                {
                    "ConditionCheck": {
                        "TableName": "ledger",
                        "Key": {"key": {"S": "nobody"}},
                        "ConditionExpression": f"{expected}(#k)",
                        "ExpressionAttributeNames": {"#k": "key"},
                    }
                },
            ]
        )

    with pytest.raises(client.exceptions.TransactionCanceledException):
        change("attribute_exists")
    assert read() == {**key, "revision": {"N": "1"}, "tags": {"L": [{"S": "old"}]}}
    assert "Item" not in client.get_item(TableName="ledger", Key=other)

    change("attribute_not_exists")
    assert read() == {**key, "revision": {"N": "2"}, "tags": {"L": [{"S": "new"}]}}
    assert "Item" in client.get_item(TableName="ledger", Key=other)


def test_one_put_of_a_new_object_wins(aws):
    name = str(uuid.uuid4())

    def put(number):
        aws("s3").put_object(Bucket="inbox", Key=name, Body=str(number).encode(), IfNoneMatch="*")

    won = race(put)
    assert len(won) == 1
    assert aws("s3").get_object(Bucket="inbox", Key=name)["Body"].read() == str(won[0]).encode()


def test_no_message_is_lost_among_many_senders_and_receivers(aws, twin):
    """Deleting rebuilds the list of messages in moto: without a lock, one sent meanwhile is gone."""
    url = aws("sqs").create_queue(QueueName=str(uuid.uuid4()))["QueueUrl"]
    seen, lock = [], threading.Lock()

    def send(number):
        for part in range(10):
            aws("sqs").send_message(QueueUrl=url, MessageBody=f"{number} {part}")

    def receive():
        while True:
            messages = aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=2, WaitTimeSeconds=1)
            if "Messages" not in messages:
                return
            for message in messages["Messages"]:
                aws("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                with lock:
                    seen.append(message["Body"])

    threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    threads += [threading.Thread(target=receive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(seen) == sorted(f"{number} {part}" for number in range(4) for part in range(10))


class Overlap:
    """Notices whether it is ever inside twice at once."""

    def __init__(self):
        self.inside, self.most, self._lock = 0, 0, threading.Lock()

    def __call__(self, *arguments, **keywords):
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(0.05)
        with self._lock:
            self.inside -= 1
        return []


def at_once(act, times=4):
    barrier = threading.Barrier(times)
    threads = [threading.Thread(target=lambda: barrier.wait() is None or act()) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("service", "method", "is_alone"),
    [("dynamodb", "POST", True), ("s3", "PUT", True), ("s3", "GET", False), ("sqs", "POST", False)],
)
def test_calls_of_a_service_that_moto_does_not_guard_come_one_at_a_time(monkeypatch, service, method, is_alone):
    moto = Overlap()
    locks = {"dynamodb": threading.RLock(), "s3": threading.RLock()}
    endpoint = Endpoint(functions=SimpleNamespace(process_of=lambda key: None), control=lambda *_: None, locks=locks)
    monkeypatch.setattr(endpoint, "_moto", SimpleNamespace(get_application=lambda environ: moto))

    def call():
        scope = f"AWS4-HMAC-SHA256 Credential=key/20260101/eu-west-1/{service}/aws4_request, Signature=0"
        environ = {"PATH_INFO": "/", "REQUEST_METHOD": method, "HTTP_AUTHORIZATION": scope, "wsgi.input": BytesIO()}
        endpoint(environ, lambda *_: None)

    at_once(call)
    assert (moto.most == 1) == is_alone


def test_changes_of_a_queue_come_one_at_a_time(monkeypatch):
    moto = Overlap()
    for kind, name in (
        (Queue, "add_message"),
        (Queue, "delete_message"),
        (SQSBackend, "receive_message"),
        (SQSBackend, "change_message_visibility"),
    ):
        monkeypatch.setattr(kind, name, moto)
    make_queues_safe()

    at_once(lambda: Queue.add_message(None, None))
    at_once(lambda: Queue.delete_message(None, ""))
    at_once(lambda: SQSBackend.receive_message(None, "q", 1, 0, 0))
    at_once(lambda: SQSBackend.change_message_visibility(None, "q", "", 0))
    assert moto.most == 1
