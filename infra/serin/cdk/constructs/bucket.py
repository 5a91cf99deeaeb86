"""How are objects kept: encrypted, versioned, never public, and models written once?"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from serin.cdk.environment import Environment
from serin.registry import keys

CAPTURES_FAILED = "captures-failed/"  # what Firehose could not make of a line; no function reads it


class PrivateBucket(s3.Bucket):
    """A bucket that is versioned, encrypted and reached by TLS only; retained outside `local`."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        environment: Environment,
        lifecycle_rules: list[s3.LifecycleRule],
    ) -> None:
        tidy = s3.LifecycleRule(
            id="tidy",
            abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
            noncurrent_version_expiration=cdk.Duration.days(environment.days.old_versions),
        )
        super().__init__(
            scope,
            id,
            bucket_name=name,
            versioned=True,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[tidy, *lifecycle_rules],
            removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
            if environment.retain
            else cdk.RemovalPolicy.DESTROY,
        )


class DataBucket(PrivateBucket):
    """Uploads, receipts, datasets, quarantine, runs, batches, captures and summaries. Its events go to EventBridge."""

    def __init__(self, scope: Construct, id: str, *, environment: Environment) -> None:
        days = environment.days
        super().__init__(
            scope,
            id,
            name=environment.data_bucket,
            environment=environment,
            lifecycle_rules=[
                _expire(keys.UPLOADS, days.uploads, overwritten=days.old_versions),
                _expire(keys.QUARANTINE, days.uploads),
                _expire(keys.RUNS, days.runs),
                _expire(keys.BATCH, days.batches),
                _expire(keys.BATCH_WORK, days.batches),
                _expire(keys.PREDICTIONS, days.batches),
                _expire(keys.CAPTURES, days.captures),
                _expire(CAPTURES_FAILED, days.captures),
                _expire(keys.SUMMARIES, days.summaries),
                _expire(keys.RELEASES, days.captures),  # a replay lists rows as they were captured
            ],
        )
        # event_bridge_enabled=True would bring a custom-resource function to set this one property.
        bucket = self.node.default_child
        assert isinstance(bucket, s3.CfnBucket)
        bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        )


class ArtifactsBucket(PrivateBucket):
    """Model versions: whoever asks, an object under models/ is written once, and no function deletes it."""

    def __init__(self, scope: Construct, id: str, *, environment: Environment) -> None:
        super().__init__(scope, id, name=environment.artifacts_bucket, environment=environment, lifecycle_rules=[])
        models = self.arn_for_objects(f"{keys.MODELS}*")
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="WriteOnce",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:PutObject"],
                resources=[models],
                # The second condition lets the parts of a multipart upload pass, which cannot carry the
                # header; its completion must. User Guide, "Enforce conditional writes", example 1.
                conditions={
                    "Null": {"s3:if-none-match": "true"},
                    "Bool": {"s3:ObjectCreationOperation": "true"},
                },
            )
        )
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="FunctionsNeverDelete",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:DeleteObject", "s3:DeleteObjectVersion"],
                resources=[models],
                conditions={
                    "ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{environment.account}:role/{environment.named('*')}"}
                },
            )
        )


def _expire(prefix: str, days: int, *, overwritten: int = 1) -> s3.LifecycleRule:
    """Delete what is so many days old. What expires stays on as an old version, so that it expires that much earlier.

    overwritten: how long an old version is kept; of most no more than S3 lets it, for they are not written by people.
    """
    return s3.LifecycleRule(
        id=f"expire {prefix}",
        prefix=prefix,
        expiration=cdk.Duration.days(days - overwritten),
        noncurrent_version_expiration=cdk.Duration.days(overwritten),
    )
