"""Makes a judged run a model version. Called by the training workflow with {model, run}."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud, utc_now
from serin.registry.records import VersionStatus
from serin.registry.register import Registrar

logger = Logger()
metrics = Metrics()
tracer = Tracer()


@cache
def registrar() -> Registrar:
    cloud = Cloud.from_environment()
    return Registrar(cloud.registry, cloud.data, cloud.artifacts, utc_now)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    version = registrar().register(event["model"], event["run"])
    metrics.add_metric("Registered", MetricUnit.Count, 1)
    passed = version.status is not VersionStatus.REJECTED
    return {"model": event["model"], "run": event["run"], "version": version.number, "passed": passed}
