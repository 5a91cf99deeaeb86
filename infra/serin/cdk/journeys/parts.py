"""Of what is every journey made? Of functions, queues, workflows and rules that are named and watched alike.

A journey is no construct: what it makes stands directly in the stack. For logical ids follow the paths of constructs,
nearly everything here has a name of its own, and CloudFormation cannot make what has the name of what still exists: a
resource that moved into another construct could not be deployed over the one from before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets

from serin.aws import variables
from serin.cdk.constructs.alarms import Alarms
from serin.cdk.constructs.function import ServerlessFunction
from serin.cdk.constructs.layers import Layers
from serin.cdk.constructs.queue import WorkQueue
from serin.cdk.constructs.schedule import Schedule
from serin.cdk.constructs.workflow import Workflow
from serin.cdk.environment import Environment


@dataclass(frozen=True, slots=True)
class Parts:
    """Makes the parts of one stack. Each id is a logical id's beginning: it must stay as it is."""

    stack: cdk.Stack
    environment: Environment
    alarms: Alarms
    layers: Layers

    def function(self, id: str, *, name: str, bundle: str, **options: Any) -> ServerlessFunction:
        """Make one of functions/<name>. options: as ServerlessFunction has them."""
        return ServerlessFunction(
            self.stack,
            id,
            name=name,
            bundle=bundle,
            environment=self.environment,
            layers=self.layers,
            **options,
        )

    def reads_files(self, function: str) -> dict[str, str]:
        """What a function that reads files knows of its own size."""
        size = self.environment.size_of(function)
        return {variables.DISK_MB: str(size.disk_mb), variables.TIMEOUT_SECONDS: str(size.timeout_seconds)}

    def queue(self, id: str, *, name: str, reader: str) -> WorkQueue:
        """Make a queue, watched by alarms. reader: the name of the function that will read it."""
        return WorkQueue(self.stack, id, name=name, reader=reader, environment=self.environment, alarms=self.alarms)

    def workflow(
        self, id: str, *, name: str, functions: list[ServerlessFunction], lists: tuple[str, str] | None = None
    ) -> Workflow:
        """Make the state machine of workflows/<name>.asl.json. lists: as Workflow has it."""
        return Workflow(
            self.stack,
            id,
            name=name,
            functions=functions,
            lists=lists,
            environment=self.environment,
            alarms=self.alarms,
        )

    def every_five_minutes(self, id: str, function: ServerlessFunction) -> None:
        """Wake a function by the clock."""
        Schedule(
            self.stack,
            id,
            every=cdk.Duration.minutes(5),
            function=function,
            environment=self.environment,
            alarms=self.alarms,
        )

    def send_objects(self, id: str, *, prefix: str, to: WorkQueue) -> None:
        """Put a message into the queue for each object that arrives under a prefix of the data bucket."""
        events.Rule(
            self.stack,
            id,
            rule_name=self._rule_name(id),
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [self.environment.data_bucket]},
                    "object": {"key": [{"prefix": prefix}]},
                },
            ),
            targets=[targets.SqsQueue(to.queue, dead_letter_queue=to.dead_letters)],
        )

    def wake_when(self, id: str, *alarms: cloudwatch.Alarm, function: ServerlessFunction) -> None:
        """Wake a function as soon as one of the alarms rings."""
        events.Rule(
            self.stack,
            id,
            rule_name=self._rule_name(id),
            event_pattern=events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                resources=[alarm.alarm_arn for alarm in alarms],
                detail={"state": {"value": ["ALARM"]}},
            ),
            targets=[targets.LambdaFunction(function.function)],
        )

    def _rule_name(self, id: str) -> str:
        """Turn `UploadArrived` into `<prefix>-<env>-upload-arrived`."""
        return self.environment.named(re.sub(r"(?<!^)(?=[A-Z])", "-", id).lower())
