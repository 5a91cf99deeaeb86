"""What is kept, whatever happens to the code? Two buckets and a table."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from serin.cdk.constructs.bucket import ArtifactsBucket, DataBucket
from serin.cdk.environment import Environment


class StateStack(cdk.Stack):
    """The stateful stack: what is in it is never replaced, and outlives the stack where the environment says
    `retain`; where it says `protect`, the stack and the table refuse to be deleted.

    artifacts, data, table: what it keeps, which an app can grant (`data.grant_read(role)`) and watch. To a role of
    another stack, grant what `Bucket.from_bucket_name(…, environment.data_bucket)` finds there: by the name alone, so
    that no export ties that stack to this one.
    """

    def __init__(self, scope: Construct, id: str, *, environment: Environment, env: cdk.Environment) -> None:
        super().__init__(
            scope,
            id,
            stack_name=environment.named("state"),
            env=env,
            termination_protection=environment.protect,
        )
        self.artifacts = ArtifactsBucket(self, "Artifacts", environment=environment)
        self.data = DataBucket(self, "Data", environment=environment)
        self.table = dynamodb.Table(
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
            deletion_protection=environment.protect,
            removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
            if environment.retain
            else cdk.RemovalPolicy.DESTROY,
        )
