"""Ends a release that met an error. Called by the release workflow with {model, release, error}."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud, new_ulid, utc_now
from serin.aws.messages import explain_error
from serin.release.turn import Releaser

logger = Logger()
metrics = Metrics()
tracer = Tracer()


@cache
def releaser() -> Releaser:
    cloud = Cloud.from_environment()
    return Releaser(cloud.registry, cloud.artifacts, cloud.notifier, utc_now, new_ulid, actor="roll_back")


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    releaser().abandon(event["model"], event["release"], error=explain_error(event["error"]))
    metrics.add_metric("ReleaseAbandoned", MetricUnit.Count, 1)
    return {"model": event["model"], "release": event["release"]}
