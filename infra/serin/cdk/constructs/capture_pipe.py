"""How do the lines that say what was predicted, and what turned out, become objects under captures/?"""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_logs as logs
from constructs import Construct

from serin.cdk.constructs.alarms import PERIOD, Alarms
from serin.cdk.constructs.bucket import CAPTURES_FAILED
from serin.cdk.constructs.function import ServerlessFunction
from serin.cdk.constructs.log_group import LogGroup
from serin.cdk.environment import Environment
from serin.registry import keys

PATTERN = '{ ($.serin = "capture") || ($.serin = "feedback") }'
GATHERED_MB = 16  # some twenty thousand predictions: what `summarise` reads at once
LATE_SECONDS = 900


class CapturePipe(Construct):
    """From a function's log group, by a subscription and Firehose, to gzipped objects of many lines, by the hour.

    A line that the bucket does not take is tried again for a day; what cannot be read goes to captures-failed/.
    """

    def __init__(
        self, scope: Construct, id: str, *, source: ServerlessFunction, environment: Environment, alarms: Alarms
    ) -> None:
        super().__init__(scope, id)
        self._environment = environment
        self._name = environment.named("captures")
        errors = LogGroup(self, "Errors", name=f"/aws/kinesisfirehose/{self._name}", environment=environment)
        error_stream = logs.LogStream(self, "ErrorStream", log_group=errors, log_stream_name="delivery")
        delivery = self._delivery_role(error_stream)
        stream = firehose.CfnDeliveryStream(
            self,
            "Stream",
            delivery_stream_name=self._name,
            delivery_stream_type="DirectPut",
            delivery_stream_encryption_configuration_input=(
                firehose.CfnDeliveryStream.DeliveryStreamEncryptionConfigurationInputProperty(key_type="AWS_OWNED_CMK")
            ),
            extended_s3_destination_configuration=self._destination(delivery, errors, error_stream),
        )
        stream.node.add_dependency(delivery)  # with its policy, which is tried at once
        sender = self._sender_role(stream)
        subscription = logs.CfnSubscriptionFilter(
            self,
            "Subscription",
            filter_name=self._name,
            log_group_name=source.log_group.log_group_name,
            filter_pattern=PATTERN,
            destination_arn=stream.attr_arn,
            role_arn=sender.role_arn,
        )
        subscription.node.add_dependency(sender)
        self._tell_of_delays(alarms)
        self._tell_of_losses(alarms, source)

    def _destination(
        self, role: iam.Role, errors: LogGroup, error_stream: logs.LogStream
    ) -> firehose.CfnDeliveryStream.ExtendedS3DestinationConfigurationProperty:
        kinds = firehose.CfnDeliveryStream
        return kinds.ExtendedS3DestinationConfigurationProperty(
            bucket_arn=self._bucket_arn,
            role_arn=role.role_arn,
            prefix=f"{keys.CAPTURES}dt=!{{timestamp:yyyy-MM-dd}}/hour=!{{timestamp:HH}}/",
            error_output_prefix=f"{CAPTURES_FAILED}!{{firehose:error-output-type}}/dt=!{{timestamp:yyyy-MM-dd}}/",
            file_extension=keys.CAPTURE_ENDING,
            compression_format="GZIP",
            # As a release counts by the minute, no capture need be later than one.
            buffering_hints=kinds.BufferingHintsProperty(
                interval_in_seconds=self._environment.seconds_per_plan_minute, size_in_m_bs=GATHERED_MB
            ),
            processing_configuration=kinds.ProcessingConfigurationProperty(
                enabled=True,
                processors=[
                    _processor("Decompression", CompressionFormat="GZIP"),
                    _processor("CloudWatchLogProcessing", DataMessageExtraction="true"),
                    _processor("AppendDelimiterToRecord"),  # a newline
                ],
            ),
            cloud_watch_logging_options=kinds.CloudWatchLoggingOptionsProperty(
                enabled=True, log_group_name=errors.log_group_name, log_stream_name=error_stream.log_stream_name
            ),
        )

    def _delivery_role(self, error_stream: logs.LogStream) -> iam.Role:
        account, region = self._environment.account, self._environment.region
        objects = [f"{self._bucket_arn}/{prefix}*" for prefix in (keys.CAPTURES, CAPTURES_FAILED)]
        group = f"/aws/kinesisfirehose/{self._name}"
        errors = f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:{error_stream.log_stream_name}"
        role = iam.Role(
            self,
            "DeliveryRole",
            # Firehose gives the account here, so that nobody else's stream can use the role.
            assumed_by=iam.ServicePrincipal(
                "firehose.amazonaws.com", conditions={"StringEquals": {"sts:ExternalId": account}}
            ),
        )
        # Developer Guide, "Grant Firehose access to an Amazon S3 destination".
        for actions, resources in (
            (["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"], objects),
            (["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"], [self._bucket_arn]),
            (["logs:PutLogEvents"], [errors]),
        ):
            role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=resources))
        return role

    def _sender_role(self, stream: firehose.CfnDeliveryStream) -> iam.Role:
        account, region = self._environment.account, self._environment.region
        role = iam.Role(
            self,
            "SenderRole",
            assumed_by=iam.ServicePrincipal(
                "logs.amazonaws.com",
                conditions={"StringLike": {"aws:SourceArn": f"arn:aws:logs:{region}:{account}:*"}},
            ),
        )
        role.add_to_principal_policy(
            iam.PolicyStatement(actions=["firehose:PutRecord", "firehose:PutRecordBatch"], resources=[stream.attr_arn])
        )
        return role

    def _tell_of_delays(self, alarms: Alarms) -> None:
        alarms.when_any(
            "captures-late",
            metric=cloudwatch.Metric(
                namespace="AWS/Firehose",
                metric_name="DeliveryToS3.DataFreshness",
                dimensions_map={"DeliveryStreamName": self._name},
                statistic="Maximum",
                period=PERIOD,
            ),
            above=LATE_SECONDS,
            description=f"Predictions made {LATE_SECONDS // 60} minutes ago are not in the data bucket yet: releases "
            f"and drift checks wait for them, and after a day they are lost. Read the log group "
            f"/aws/kinesisfirehose/{self._name}.",
        )

    def _tell_of_losses(self, alarms: Alarms, source: ServerlessFunction) -> None:
        alarms.when_any(
            "captures-lost",
            metric=cloudwatch.Metric(
                namespace="AWS/Logs",
                metric_name="DeliveryErrors",
                dimensions_map={
                    "LogGroupName": source.log_group_name,
                    "DestinationType": "Firehose",
                    "FilterName": self._name,
                },
                statistic="Sum",
                period=PERIOD,
            ),
            description=f"CloudWatch Logs could not hand predictions over to Firehose, and they are lost. Look whether "
            f"the delivery stream {self._name} and the role of its subscription are as they were deployed.",
        )

    @property
    def _bucket_arn(self) -> str:
        return f"arn:aws:s3:::{self._environment.data_bucket}"


def _processor(kind: str, **parameters: str) -> firehose.CfnDeliveryStream.ProcessorProperty:
    kinds = firehose.CfnDeliveryStream
    return kinds.ProcessorProperty(
        type=kind,
        parameters=[
            kinds.ProcessorParameterProperty(parameter_name=name, parameter_value=value)
            for name, value in parameters.items()
        ],
    )
