"""Starts the release of a version that passed its gates. Called by the training workflow with {model, run, version}."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud, utc_now
from serin.release.start import ReleaseStarter

logger = Logger()
metrics = Metrics()
tracer = Tracer()


@cache
def starter() -> ReleaseStarter:
    cloud = Cloud.from_environment()
    return ReleaseStarter(cloud.registry, cloud.release_workflow, utc_now)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    release = starter().start(event["model"], event["version"])
    metrics.add_metric("ReleaseStarted", MetricUnit.Count, 1)
    return {**event, "release": release.id}
