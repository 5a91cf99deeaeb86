"""How are messages sent, workflows started and people and programs told? SQS, Step Functions, SNS, EventBridge."""

from __future__ import annotations

import json
import re
from typing import Any

from botocore.exceptions import ClientError

from serin.aws.failures import translated
from serin.errors import NotFound, Unavailable


class SqsQueue:
    """A queue, in SQS."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, message: dict[str, Any]) -> None:
        with translated(f"the queue {self._url}"):
            self._client.send_message(QueueUrl=self._url, MessageBody=json.dumps(message))


class StepFunctionsWorkflow:
    """A state machine, in Step Functions."""

    def __init__(self, client: Any, arn: str) -> None:
        self._client = client
        self._arn = arn

    def start(self, name: str, payload: dict[str, Any]) -> None:
        with translated(f"the workflow {self._arn}"):
            try:
                self._client.start_execution(stateMachineArn=self._arn, name=name, input=json.dumps(payload))
            except ClientError as error:
                if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                    raise

    def is_over(self, name: str) -> bool:
        execution = self._arn.replace(":stateMachine:", ":execution:") + f":{name}"
        try:
            with translated(f"the execution {name}"):
                answer = self._client.describe_execution(executionArn=execution)
        except NotFound:
            return False
        return bool(answer["status"] != "RUNNING")


class SnsNotifier:
    """Subscribers of a topic, in SNS."""

    def __init__(self, client: Any, arn: str) -> None:
        self._client = client
        self._arn = arn

    def tell(self, subject: str, text: str) -> None:
        plain = re.sub(r"[^\x20-\x7e]", "?", subject)[:100]  # SNS takes no other subject
        with translated(f"the topic {self._arn}"):
            self._client.publish(TopicArn=self._arn, Subject=plain, Message=text)


class EventBridgeEvents:
    """An event bus, in EventBridge. environment: whose events they are, for several of an account share its bus."""

    def __init__(self, client: Any, bus: str, environment: str) -> None:
        self._client = client
        self._bus = bus
        self._environment = environment

    def put(self, kind: str, detail: dict[str, Any]) -> None:
        text = json.dumps({"environment": self._environment, **detail})
        entry = {"EventBusName": self._bus, "Source": "serin", "DetailType": kind, "Detail": text}
        with translated(f"the event bus {self._bus}"):
            answer = self._client.put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise Unavailable(f"the event bus {self._bus} did not take an event: {answer['Entries'][0]}")


def explain_error(error: dict[str, Any]) -> str:
    """Say in a sentence what Step Functions caught: `Error` and `Cause`, often the JSON of a function's error."""
    cause = str(error.get("Cause", ""))
    try:
        detail = json.loads(cause)
        return f"{detail['errorType']}: {detail['errorMessage']}"[:1000]
    except (ValueError, KeyError, TypeError):
        pass
    return f"{error.get('Error', 'error')}: {cause}"[:1000]
