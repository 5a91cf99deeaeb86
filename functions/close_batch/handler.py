"""Writes the account of a batch. Called at the end of the batch workflow with {model, job}, and any {error}."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud, utc_now
from serin.aws.messages import explain_error
from serin.batch.close import BatchCloser

logger = Logger()
metrics = Metrics()
tracer = Tracer()


@cache
def closer() -> BatchCloser:
    return BatchCloser(Cloud.from_environment().data, utc_now)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    error = explain_error(event["error"]) if "error" in event else None
    account = closer().close(event["model"], event["job"], error)
    for what in ("answered", "rejected", "failed"):
        metrics.add_metric(f"BatchRows{what.title()}", MetricUnit.Count, account[what])
    return {"status": account["status"], "manifest": f"{account['results']}manifest.json"}
