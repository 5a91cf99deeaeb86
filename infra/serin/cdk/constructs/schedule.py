"""What happens by the clock?"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from serin.cdk.constructs.alarms import PERIOD, Alarms
from serin.cdk.constructs.function import ServerlessFunction
from serin.cdk.environment import Environment


class Schedule(Construct):
    """Wake a function every so often. A turn that fails is made up for by the next, but people are told."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        every: cdk.Duration,
        function: ServerlessFunction,
        environment: Environment,
        alarms: Alarms,
    ) -> None:
        super().__init__(scope, id)
        events.Rule(
            self,
            "Rule",
            rule_name=environment.named(function.name),
            schedule=events.Schedule.rate(every),
            targets=[targets.LambdaFunction(function.function, retry_attempts=0)],
        )
        alarms.when_any(
            f"{function.name}-failed",
            metric=function.function.metric_errors(period=PERIOD),
            description=f"{function.name} failed: what is due is not being done. Read the function's logs.",
        )
