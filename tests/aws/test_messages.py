"""Queues, workflows, topics and refusals, over AWS's own client."""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from serin.aws.failures import translated
from serin.aws.messages import EventBridgeEvents, SnsNotifier, SqsQueue, StepFunctionsWorkflow, explain_error
from serin.errors import Conflict, NotFound, SerinError, Unavailable

REGION = "eu-west-1"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield


def test_an_execution_of_one_name_starts_once() -> None:
    client = boto3.client("stepfunctions", region_name=REGION)
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
    role = "arn:aws:iam::123456789012:role/r"
    arn = client.create_state_machine(name="m", definition=definition, roleArn=role)["stateMachineArn"]
    workflow = StepFunctionsWorkflow(client, arn)
    assert not workflow.is_over("one"), "it may still be starting"
    workflow.start("one", {"a": 1})
    workflow.start("one", {"a": 2})
    assert not workflow.is_over("one")
    assert len(client.list_executions(stateMachineArn=arn)["executions"]) == 1


def test_a_message_arrives_as_json() -> None:
    client = boto3.client("sqs", region_name=REGION)
    url = client.create_queue(QueueName="q")["QueueUrl"]
    SqsQueue(client, url).send({"model": "loans"})
    assert json.loads(client.receive_message(QueueUrl=url)["Messages"][0]["Body"]) == {"model": "loans"}


def test_people_are_told_on_a_topic_whatever_the_subject_holds() -> None:
    sns, sqs = boto3.client("sns", region_name=REGION), boto3.client("sqs", region_name=REGION)
    topic = sns.create_topic(Name="t")["TopicArn"]
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:123456789012:q")
    SnsNotifier(sns, topic).tell("é\n" * 100, "what happened")
    told = json.loads(sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"])
    assert told["Message"] == "what happened"
    assert told["Subject"].isascii()
    assert len(told["Subject"]) <= 100


def test_a_program_is_told_by_an_event_that_its_rule_asks_for() -> None:
    events, sqs = boto3.client("events", region_name=REGION), boto3.client("sqs", region_name=REGION)
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["serin"], "detail": {"move": ["promote"]}}))
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:123456789012:q"}])
    for move in ("advance", "promote"):
        EventBridgeEvents(events, "default", "dev").put(
            "Release Changed", {"model": "loans", "move": move, "weight": 0.25}
        )
    (message,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    event = json.loads(message["Body"])
    assert (event["source"], event["detail-type"]) == ("serin", "Release Changed")
    assert event["detail"] == {"environment": "dev", "model": "loans", "move": "promote", "weight": 0.25}


def test_an_event_that_the_bus_did_not_take_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("events", region_name=REGION)
    refused = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}
    monkeypatch.setattr(client, "put_events", lambda **_: refused)
    with pytest.raises(Unavailable, match="ThrottlingException"):
        EventBridgeEvents(client, "default", "dev").put("Release Changed", {})


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("NoSuchKey", NotFound),
        ("ConditionalCheckFailedException", Conflict),
        ("TransactionCanceledException", Conflict),
        ("PreconditionFailed", Conflict),
        ("ThrottlingException", Unavailable),
        ("AccessDenied", SerinError),
    ],
)
def test_a_refusal_by_aws_is_raised_in_our_own_words(code: str, meaning: type[SerinError]) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "m"}}, "Op")
    with pytest.raises(SerinError) as caught, translated("the thing"):
        raise error
    assert type(caught.value) is meaning
    assert "the thing" in caught.value.message


def test_no_connection_is_unavailable() -> None:
    with pytest.raises(Unavailable), translated("the thing"):
        raise EndpointConnectionError(endpoint_url="http://nowhere")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            {"Error": "KeyError", "Cause": json.dumps({"errorType": "KeyError", "errorMessage": "'x'"})},
            "KeyError: 'x'",
        ),
        ({"Error": "Lambda.Unknown", "Cause": "killed"}, "Lambda.Unknown: killed"),
        ({}, "error: "),
    ],
)
def test_what_step_functions_caught_is_told_in_a_sentence(error: dict[str, str], says: str) -> None:
    assert explain_error(error) == says
