"""Trains a run. Called by the training workflow with {model, run}."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud
from serin.training.run import Trainer

logger = Logger()
metrics = Metrics()
tracer = Tracer()


@cache
def trainer() -> Trainer:
    cloud = Cloud.from_environment()
    return Trainer(cloud.registry, cloud.data)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    trainer().train(event["model"], event["run"])
    metrics.add_metric("Trained", MetricUnit.Count, 1)
    return {"model": event["model"], "run": event["run"]}
