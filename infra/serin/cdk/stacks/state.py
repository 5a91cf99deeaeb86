"""What is kept, whatever happens to the code? Two buckets and a table."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from serin.cdk.constructs.bucket import ArtifactsBucket, DataBucket
from serin.cdk.environment import Environment


class StateStack(cdk.Stack):
    """The stateful stack: retained outside `local`, and nothing in it is ever replaced."""

    def __init__(self, scope: Construct, id: str, *, environment: Environment, env: cdk.Environment) -> None:
        super().__init__(scope, id, env=env, termination_protection=environment.retain)
        ArtifactsBucket(self, "Artifacts", environment=environment)
        DataBucket(self, "Data", environment=environment)
        dynamodb.Table(
            self,
            "Table",
            table_name=environment.table,
            partition_key=dynamodb.Attribute(name="PK", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="SK", type=dynamodb.AttributeType.STRING),
            time_to_live_attribute="expires",
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=environment.retain,
            removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
            if environment.retain
            else cdk.RemovalPolicy.DESTROY,
        )
