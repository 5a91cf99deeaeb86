"""What functions find in AWS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import yaml
from moto import mock_aws

from serin.aws.cloud import Cloud
from tests.builders import a_contract
from tests.monitoring.world import register


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cloud]:
    """An environment where version 1 of `a_contract` is the champion."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    (tmp_path / "loans").mkdir()
    said = a_contract().model_dump(mode="json", exclude_defaults=True)
    (tmp_path / "loans" / "model.yaml").write_text(yaml.safe_dump(said))
    with mock_aws():
        s3, tables = boto3.client("s3"), boto3.client("dynamodb")
        tables.create_table(
            TableName="t",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK")],
        )
        for bucket in ("data", "artifacts"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        names = {
            "TABLE": "t",
            "DATA_BUCKET": "data",
            "ARTIFACTS_BUCKET": "artifacts",
            "MODELS_PATH": str(tmp_path),
            "TRIES": "4",
            "SECONDS_PER_PLAN_MINUTE": "60",
            "POWERTOOLS_METRICS_NAMESPACE": "Serin",
            "TRAINING_QUEUE_URL": boto3.client("sqs").create_queue(QueueName="training")["QueueUrl"],
            "TOPIC_ARN": boto3.client("sns").create_topic(Name="news")["TopicArn"],
        }
        for name, value in names.items():
            monkeypatch.setenv(name, value)
        cloud = Cloud.from_environment()
        register(cloud.registry, cloud.artifacts, is_champion=True)
        yield cloud
