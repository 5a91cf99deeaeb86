"""What does a function, or a person's command, reach? Adapters made from names, each when first used."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from serin.aws import variables
from serin.aws.bucket import S3Objects
from serin.aws.messages import EventBridgeEvents, SnsNotifier, SqsQueue, StepFunctionsWorkflow
from serin.aws.table import DynamoAnswers, DynamoRows
from serin.contract.load import Contracts
from serin.errors import SerinError
from serin.registry.ids import ulid
from serin.registry.registry import Registry
from serin.registry.retry import Patience

if TYPE_CHECKING:
    from serin.aws.deliveries import Deliveries

_CONFIG = Config(connect_timeout=2, read_timeout=20, retries={"mode": "standard", "max_attempts": 4})


@dataclass(frozen=True)
class Cloud:
    """One environment's resources by name. `names` holds what the functions have in their environment."""

    names: Mapping[str, str]
    session: Any

    @classmethod
    def from_environment(cls) -> Cloud:
        """Reach what the environment variables of a function name."""
        return cls(dict(os.environ), boto3.session.Session())

    @cached_property
    def registry(self) -> Registry:
        return Registry(DynamoRows(self._client("dynamodb"), self._name(variables.TABLE)))

    @cached_property
    def data(self) -> S3Objects:
        return S3Objects(self._client("s3"), self._name(variables.DATA_BUCKET))

    @cached_property
    def artifacts(self) -> S3Objects:
        return S3Objects(self._client("s3"), self._name(variables.ARTIFACTS_BUCKET))

    @cached_property
    def contracts(self) -> Contracts:
        return Contracts(Path(self._name(variables.MODELS_PATH)))

    @cached_property
    def training_requests(self) -> SqsQueue:
        return SqsQueue(self._client("sqs"), self._name(variables.TRAINING_QUEUE_URL))

    @cached_property
    def upload_events(self) -> SqsQueue:
        return SqsQueue(self._client("sqs"), self._name(variables.UPLOADS_QUEUE_URL))

    @cached_property
    def training_workflow(self) -> StepFunctionsWorkflow:
        return StepFunctionsWorkflow(self._client("stepfunctions"), self._name(variables.TRAINING_WORKFLOW_ARN))

    @cached_property
    def release_workflow(self) -> StepFunctionsWorkflow:
        return StepFunctionsWorkflow(self._client("stepfunctions"), self._name(variables.RELEASE_WORKFLOW_ARN))

    @cached_property
    def batches(self) -> SqsQueue:
        return SqsQueue(self._client("sqs"), self._name(variables.BATCHES_QUEUE_URL))

    @cached_property
    def batch_workflow(self) -> StepFunctionsWorkflow:
        return StepFunctionsWorkflow(self._client("stepfunctions"), self._name(variables.BATCH_WORKFLOW_ARN))

    @cached_property
    def kept_answers(self) -> DynamoAnswers:
        return DynamoAnswers(self._client("dynamodb"), self._name(variables.TABLE), PATIENCE)

    @cached_property
    def notifier(self) -> SnsNotifier:
        return SnsNotifier(self._client("sns"), self._name(variables.TOPIC_ARN))

    @cached_property
    def events(self) -> EventBridgeEvents:
        return EventBridgeEvents(self._client("events"), "default", self._name(variables.ENVIRONMENT))

    @cached_property
    def deliveries(self) -> Deliveries:
        from serin.aws.deliveries import Deliveries  # a person's command has no need of it

        return Deliveries(self._client("sqs"), tries=int(self._name(variables.TRIES)))

    @property
    def code_digest(self) -> str:
        return self._name(variables.CODE_DIGEST)

    @property
    def seconds_per_minute(self) -> float:
        """How long a minute of a contract lasts here: 60, but on the twin."""
        return float(self._name(variables.SECONDS_PER_PLAN_MINUTE))

    @property
    def arrival_seconds(self) -> float:
        """How long captures take here from the endpoint into a summary."""
        return float(self._name(variables.ARRIVAL_SECONDS))

    def _client(self, service: str) -> Any:
        return self.session.client(service, config=_CONFIG)

    def _name(self, variable: str) -> str:
        try:
            return self.names[variable]
        except KeyError:
            raise SerinError(
                f"{variable} is not set: this function was deployed without it", code="CONFIGURATION"
            ) from None


PATIENCE = Patience(time.sleep, random.random)


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_ulid(now: datetime) -> str:
    return ulid(now, os.urandom(10))
