"""Trains a run. Called by the training workflow with {model, run, attempt}."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud
from serin.aws.observability import count, watched
from serin.training.run import Trainer


@cache
def trainer() -> Trainer:
    cloud = Cloud.from_environment()
    return Trainer(cloud.registry, cloud.data, cloud.artifacts)


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    trainer().train(event["model"], event["run"])
    count("Trained")
    return event
