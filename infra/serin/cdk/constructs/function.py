"""What is every function given, and what may it do? A role of its own, and the grants it asks for."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from serin.aws import variables as names
from serin.cdk.constructs.alarms import PERIOD
from serin.cdk.constructs.layers import Layers
from serin.cdk.constructs.log_group import LogGroup
from serin.cdk.environment import LEAST_DISK_MB, Environment

READ_TABLE = ["dynamodb:GetItem"]
LIST_TABLE = ["dynamodb:GetItem", "dynamodb:Query"]
CHANGE_TABLE = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"]


class ServerlessFunction(Construct):
    """One of functions/<name>, with its own role and log group.

    bundle: which layers/<bundle> it imports from. with_models: whether it reads contracts.
    variables: environment variables beyond those that every function has. log_days: how long its log is kept, where
    that is not as for most.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        bundle: str,
        environment: Environment,
        layers: Layers,
        handler: str = "handler.handler",
        with_models: bool = True,
        variables: dict[str, str] | None = None,
        log_days: int | None = None,
    ) -> None:
        super().__init__(scope, id)
        size = environment.size_of(name)
        self.name = name
        self._environment = environment
        function_name = environment.named(name)
        self.log_group_name = f"/aws/lambda/{function_name}"
        self.log_group = LogGroup(self, "Logs", name=self.log_group_name, environment=environment, days=log_days)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log_group.grant_write(self.role)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=function_name,
            description=f"Serin: {name}",
            runtime=lambda_.Runtime(environment.runtime, lambda_.RuntimeFamily.PYTHON),
            architecture=lambda_.Architecture.custom(environment.architecture),
            handler=handler,
            code=layers.code_of(name),
            layers=layers.of(name, bundle=bundle, with_models=with_models),
            role=self.role,
            log_group=self.log_group,
            memory_size=size.memory_mb,
            timeout=cdk.Duration.seconds(size.timeout_seconds),
            ephemeral_storage_size=cdk.Size.mebibytes(size.disk_mb) if size.disk_mb > LEAST_DISK_MB else None,
            tracing=lambda_.Tracing.ACTIVE if environment.tracing else lambda_.Tracing.DISABLED,
            environment=_common_variables(name, environment, with_models) | (variables or {}),
        )

    @property
    def arn(self) -> str:
        """Name the function to others."""
        return self.function.function_arn

    def metric(self, name: str) -> cloudwatch.Metric:
        """Find a metric that the function counts itself, summed over a minute."""
        return cloudwatch.Metric(
            namespace=self._environment.metrics,
            metric_name=name,
            dimensions_map={"service": self.name},
            statistic="Sum",
            period=PERIOD,
        )

    def may_read(self, bucket: str, *prefixes: str) -> None:
        """Allow objects under the prefixes to be read, in any version, and to be listed.

        Without the listing S3 answers 403 where an object is missing, and not 404.
        """
        self._may(["s3:GetObject", "s3:GetObjectVersion"], *_objects(bucket, prefixes))
        self.may_list(bucket, *prefixes)

    def may_list(self, bucket: str, *prefixes: str) -> None:
        """Allow keys and versions under the prefixes to be listed."""
        below = [f"{prefix}*" for prefix in prefixes]
        self._may(
            ["s3:ListBucket", "s3:ListBucketVersions"],
            f"arn:aws:s3:::{bucket}",
            # IfExists: a request for one object, whose absence may then be told, carries no prefix.
            conditions={"StringLikeIfExists": {"s3:prefix": below}},
        )

    def may_write(self, bucket: str, *prefixes: str) -> None:
        """Allow objects under the prefixes to be put."""
        self._may(["s3:PutObject"], *_objects(bucket, prefixes))

    def may_read_table(self) -> None:
        """Allow rows to be read."""
        self._may(READ_TABLE, self._table_arn)

    def may_list_table(self) -> None:
        """Allow rows to be read, one or all of a model."""
        self._may(LIST_TABLE, self._table_arn)

    def may_change_table(self) -> None:
        """Allow rows to be read and put, in transactions too."""
        self._may(CHANGE_TABLE, self._table_arn)

    def may_send(self, *queue_arns: str) -> None:
        """Allow messages to be sent."""
        self._may(["sqs:SendMessage"], *queue_arns)

    def may_publish(self, topic_arn: str) -> None:
        """Allow people to be told."""
        self._may(["sns:Publish"], topic_arn)

    def may_put_events(self, bus_arn: str) -> None:
        """Allow programs to be told, by events that say they are Serin's."""
        self._may(["events:PutEvents"], bus_arn)

    def may_start(self, *state_machine_arns: str) -> None:
        """Allow executions to be started."""
        self._may(["states:StartExecution"], *state_machine_arns)

    def may_describe_executions(self, *workflows: str) -> None:
        """Allow executions of the named workflows to be looked at."""
        prefix = f"arn:aws:states:{self._environment.region}:{self._environment.account}:execution"
        self._may(
            ["states:DescribeExecution"],
            *[f"{prefix}:{self._environment.named(workflow)}:*" for workflow in workflows],
        )

    @property
    def _table_arn(self) -> str:
        here = f"{self._environment.region}:{self._environment.account}"
        return f"arn:aws:dynamodb:{here}:table/{self._environment.table}"

    def _may(
        self, actions: list[str], *resources: str, conditions: dict[str, dict[str, list[str]]] | None = None
    ) -> None:
        self.role.add_to_principal_policy(
            iam.PolicyStatement(actions=actions, resources=list(resources), conditions=conditions)
        )


def _objects(bucket: str, prefixes: tuple[str, ...]) -> list[str]:
    return [f"arn:aws:s3:::{bucket}/{prefix}*" for prefix in prefixes]


def _common_variables(name: str, environment: Environment, with_models: bool) -> dict[str, str]:
    settings = {
        names.ENVIRONMENT: environment.name,
        names.TABLE: environment.table,
        names.DATA_BUCKET: environment.data_bucket,
        names.ARTIFACTS_BUCKET: environment.artifacts_bucket,
        names.SECONDS_PER_PLAN_MINUTE: str(environment.seconds_per_plan_minute),
        names.ARRIVAL_SECONDS: str(environment.arrival_seconds),
        "POWERTOOLS_SERVICE_NAME": name,
        "POWERTOOLS_METRICS_NAMESPACE": environment.metrics,
        "POWERTOOLS_LOG_LEVEL": environment.log_level,
    }
    if with_models:
        settings[names.MODELS_PATH] = "/opt/models"
    if not environment.tracing:
        settings["POWERTOOLS_TRACE_DISABLED"] = "true"
    return settings
