"""How long are logs kept?"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct

from serin.cdk.environment import Environment


class LogGroup(logs.LogGroup):
    """A log group that keeps its lines as many days as the environment says, and goes with its stack.

    days: how many, where that is not as for most.
    """

    def __init__(
        self, scope: Construct, id: str, *, name: str, environment: Environment, days: int | None = None
    ) -> None:
        super().__init__(scope, id, log_group_name=name, removal_policy=cdk.RemovalPolicy.DESTROY)
        log_group = self.node.default_child
        assert isinstance(log_group, logs.CfnLogGroup)
        log_group.retention_in_days = days or environment.days.logs  # a number; the construct above takes an enum
