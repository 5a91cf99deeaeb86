"""Splits one file of a batch. Called by the batch workflow for each file, with {model, job, key}."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud
from serin.batch.split import Splitter

logger = Logger()
metrics = Metrics()
tracer = Tracer()


@cache
def splitter() -> Splitter:
    cloud = Cloud.from_environment()
    return Splitter(cloud.registry, cloud.data)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    splitter().split(event["model"], event["job"], event["key"])
