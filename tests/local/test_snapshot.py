"""What a twin held is there when the next one starts, however the first one ended."""

import json
import os
import signal
import time
from datetime import UTC, datetime

import pytest

from serin.local.errors import StateUnreadable
from serin.local.twin import Twin
from tests.local.assemblies import AssemblyWriter, arn, function, ref, resource
from tests.local.conftest import LEDGER, client_of

COUNTER = """
import boto3, time
def handler(event, context):
    client = boto3.client("dynamodb")
    key = {"key": {"S": event["key"]}}
    add = {"ExpressionAttributeNames": {"#n": "n"}, "ExpressionAttributeValues": {":one": {"N": "1"}}}
    client.update_item(TableName="ledger", Key=key, UpdateExpression="ADD #n :one", **add)
    time.sleep(event.get("seconds", 0))
    return event
"""
NESTED = {
    "key": {"S": "nested"},
    "map": {"M": {"list": {"L": [{"N": "1.50"}, {"NULL": True}, {"B": b"\x00\xff"}]}, "yes": {"BOOL": True}}},
    "set": {"SS": ["a", "b"]},
    "bytes": {"B": b"\x00\x01"},
}


def write_assembly(folder, *, has_bucket=True):
    """A cloud of everything that holds state. The queue has no name, and nobody reads it."""
    writer = AssemblyWriter(folder)
    code = writer.asset("counter", {"handler.py": COUNTER})
    task = {"Type": "Task", "Resource": "${Counter}", "End": True}
    resources = {
        "Ledger": LEDGER,
        "Counter": function("counter", code, Timeout=60),
        "Letters": resource("SQS::Queue", VisibilityTimeout=600),
        "Long": resource(
            "StepFunctions::StateMachine",
            StateMachineName="long",
            RoleArn=arn("Role"),
            DefinitionString=json.dumps({"StartAt": "Work", "States": {"Work": task}}),
            DefinitionSubstitutions={"Counter": arn("Counter")},
        ),
        "Key": resource("ApiGateway::ApiKey", Enabled=True),
    }
    if has_bucket:
        resources["Box"] = resource("S3::Bucket", BucketName="box", VersioningConfiguration={"Status": "Enabled"})
    outputs = {"Letters": {"Value": ref("Letters")}, "KeyId": {"Value": ref("Key")}, "Long": {"Value": ref("Long")}}
    writer.stack("all", resources, outputs)
    return writer.write()


@pytest.fixture
def twin_in(tmp_path):
    """Make a twin whose state is kept."""
    assembly = write_assembly(tmp_path / "cdk.out")
    return lambda: Twin(assembly, state=tmp_path / "state", snapshot=tmp_path / "kept")


def key_value(twin):
    return client_of(twin, "apigateway").get_api_key(apiKey=twin.outputs["KeyId"], includeValue=True)["value"]


def versions(twin):
    listed = client_of(twin, "s3").list_object_versions(Bucket="box")
    return {kind: [{**each, "Owner": 0} for each in listed.get(kind, [])] for kind in ("Versions", "DeleteMarkers")}


def count(twin, key):
    item = client_of(twin, "dynamodb").get_item(TableName="ledger", Key={"key": {"S": key}})
    return int(item.get("Item", {}).get("n", {}).get("N", 0))


def wait_for(holds, seconds=30):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.1)


def end_well(twin, _kept):
    twin.stop()


def end_by_a_kill(twin, kept):
    """Kill the twin once a state has been written that began after now."""
    now = datetime.now(UTC).isoformat()
    client_of(twin, "dynamodb").put_item(TableName="ledger", Item={"key": {"S": "last"}})
    wait_for(lambda: (kept / "state.json").exists() and saved_at(kept) > now)
    os.kill(twin.pid, signal.SIGKILL)
    twin.stop()


def saved_at(kept):
    return json.loads((kept / "state.json").read_text())["saved_at"]


@pytest.mark.parametrize("end", [end_well, end_by_a_kill])
def test_the_next_twin_goes_on_where_this_one_ended(twin_in, tmp_path, end):
    twin = twin_in().start()
    assert twin.restored_from is None
    s3, sqs = client_of(twin, "s3"), client_of(twin, "sqs")
    for content in (b"first", b"second"):
        s3.put_object(Bucket="box", Key="a/ü.txt", Body=content, ContentType="text/x", Metadata={"who": "me"})
    s3.put_object(Bucket="box", Key="gone", Body=b"")
    s3.delete_object(Bucket="box", Key="gone")
    client_of(twin, "dynamodb").put_item(TableName="ledger", Item=NESTED)
    binary = {
        "mark": {"DataType": "Binary", "BinaryValue": b"\xff"},
        "text": {"DataType": "String", "StringValue": "t"},
    }
    sqs.send_message(QueueUrl=twin.outputs["Letters"], MessageBody="in flight", MessageAttributes=binary)
    sqs.receive_message(QueueUrl=twin.outputs["Letters"])
    sqs.send_message(QueueUrl=twin.outputs["Letters"], MessageBody="waits")
    work = json.dumps({"key": "execution", "seconds": 20})
    client_of(twin, "stepfunctions").start_execution(stateMachineArn=twin.outputs["Long"], name="mine", input=work)
    event = json.dumps({"key": "event", "seconds": 20})
    client_of(twin, "lambda").invoke(FunctionName="counter", InvocationType="Event", Payload=event)
    wait_for(lambda: count(twin, "execution") and count(twin, "event"))
    before, key, letters = versions(twin), key_value(twin), twin.outputs["Letters"].rpartition("/")[2]
    end(twin, tmp_path / "kept")

    with twin_in() as twin:
        assert twin.restored_from is not None
        assert versions(twin) == before
        assert len(before["Versions"]) == 3
        assert len(before["DeleteMarkers"]) == 1
        s3, sqs = client_of(twin, "s3"), client_of(twin, "sqs")
        first, second = (
            s3.get_object(Bucket="box", Key="a/ü.txt", VersionId=each["VersionId"])
            for each in sorted(before["Versions"][:2], key=lambda each: each["IsLatest"])
        )
        assert (first["Body"].read(), second["Body"].read()) == (b"first", b"second")
        assert (second["ContentType"], second["Metadata"]) == ("text/x", {"who": "me"})
        items = client_of(twin, "dynamodb").get_item(TableName="ledger", Key={"key": {"S": "nested"}})
        assert items["Item"] == NESTED
        assert key_value(twin) == key
        assert twin.outputs["Letters"].rpartition("/")[2] == letters
        received = sqs.receive_message(
            QueueUrl=twin.outputs["Letters"],
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            AttributeNames=["ApproximateReceiveCount"],
        )["Messages"]
        assert [message["Body"] for message in received] == ["in flight", "waits"]
        assert [message["Attributes"]["ApproximateReceiveCount"] for message in received] == ["1", "1"]
        assert received[0]["MessageAttributes"]["text"]["StringValue"] == "t"
        wait_for(lambda: count(twin, "execution") == 2 and count(twin, "event") == 2)
        running = client_of(twin, "stepfunctions").list_executions(stateMachineArn=twin.outputs["Long"])["executions"]
        assert [(each["name"], each["status"]) for each in running] == [("mine", "RUNNING")]


def test_what_is_deleted_is_deleted_from_the_folder_too(twin_in, tmp_path):
    with twin_in() as twin:
        client_of(twin, "s3").put_object(Bucket="box", Key="a", Body=b"content")
    assert [file.read_bytes() for file in (tmp_path / "kept" / "objects").iterdir()] == [b"content"]

    with twin_in() as twin:
        (version,) = versions(twin)["Versions"]
        client_of(twin, "s3").delete_object(Bucket="box", Key="a", VersionId=version["VersionId"])
    assert not list((tmp_path / "kept" / "objects").iterdir())


def test_a_state_that_cannot_be_put_back_is_told_and_left_as_it_is(twin_in, tmp_path):
    with twin_in() as twin:
        client_of(twin, "s3").put_object(Bucket="box", Key="a", Body=b"content")
    kept = (tmp_path / "kept" / "state.json").read_bytes()

    write_assembly(tmp_path / "cdk.out", has_bucket=False)
    with pytest.raises(StateUnreadable, match="holds box: the template makes it no more"):
        twin_in().start()
    assert (tmp_path / "kept" / "state.json").read_bytes() == kept

    for broken, said in (
        (b"{", "cannot be read"),
        (b'{"format": 99}', "has format 99"),
        (b'{"format": 1}', "put back"),
    ):
        (tmp_path / "kept" / "state.json").write_bytes(broken)
        with pytest.raises(StateUnreadable, match=said):
            twin_in().start()
        assert (tmp_path / "kept" / "state.json").read_bytes() == broken
